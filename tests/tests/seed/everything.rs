//! All objects of a cluster, to see whether anything was written.

use std::collections::BTreeMap;

use anyhow::Result;
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
            let name = format!("{}/{}/{}", kind.kind, object.namespace().unwrap_or_default(), object.name_any());
            all.insert(name, (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default()));
        }
    }
    Ok(all)
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
