//! All objects of a cluster, to see whether anything was written.

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::space;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};

/// Kinds that change by themselves.
const RESTLESS: [&str; 3] = ["Event", "Lease", "Node"];

/// Each object with its UID and the version of its last change.
pub(crate) async fn everything(client: &Client) -> Result<BTreeMap<String, (String, String)>> {
    let mut all = BTreeMap::new();
    let discovery = Discovery::new(client.clone()).run().await?;
    for (kind, capabilities) in discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources) {
        if !capabilities.supports_operation(verbs::LIST) || RESTLESS.contains(&kind.kind.as_str()) {
            continue;
        }
        let api = Api::<DynamicObject>::all_with(client.clone(), &kind);
        for object in api.list(&ListParams::default()).await? {
            let namespace =
                if kind.kind == "Namespace" { object.name_any() } else { object.namespace().unwrap_or_default() };
            // The namespace of another test may still be ending, and its volumes are being deleted.
            let is_of_volumes = namespace == "local-path-storage" && object.name_any().starts_with("helper-pod-");
            if namespace.starts_with(space::PREFIX) || is_of_volumes || is_of_another_test(&object) {
                continue;
            }
            let name = format!("{}/{}/{}", kind.kind, object.namespace().unwrap_or_default(), object.name_any());
            all.insert(name, (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default()));
        }
    }
    Ok(all)
}

/// Whether it is the volume of a claim, or the address of a Service, in the namespace of another test. Kubernetes removes them a
/// while after the namespace.
fn is_of_another_test(object: &DynamicObject) -> bool {
    let namespaces = ["/spec/claimRef/namespace", "/spec/parentRef/namespace"].map(|path| object.data.pointer(path));
    let mut namespaces = namespaces.into_iter().flatten().filter_map(serde_json::Value::as_str);
    namespaces.any(|namespace| namespace.starts_with(space::PREFIX))
}

/// What differs between two of them, in words.
pub(crate) fn differences(
    before: &BTreeMap<String, (String, String)>,
    after: &BTreeMap<String, (String, String)>,
) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} has gone"));
    let other = after.iter().filter(|(name, version)| before.get(*name) != Some(version));
    gone.chain(other.map(|(name, _)| format!("{name} is new or was written"))).collect()
}
