//! What is ours stays as intended; what is theirs stays as it is.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{One, Subject, database::child::SERVER, subject::external, until, until_gone};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Secret, Service},
    },
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase},
    component::Component as _,
};

use crate::{
    step::{complete, made, quiet, server_of, theirs},
    with_controller,
};

for_each_kind!(
    what_another_provider_does_not_need_goes_and_data_stay,
    a_foreign_edit_of_what_is_ours_is_undone_and_of_what_is_theirs_is_left,
    a_foreign_edit_of_the_binding_is_undone,
    an_addition_to_a_value_that_is_one_is_undone,
);

/// Edits an object as `kubectl edit` does: somebody else's field manager, no force.
async fn edit<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    Ok(api.patch(name, &params, &Patch::Strategic(patch)).await?)
}

#[tokio::test]
async fn a_field_removed_from_the_spec_disappears() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let mut spec = e2e::database::embedded();
        spec["provider"]["postgres"]["parameters"] = json!({"work_mem": "8MB", "max_connections": "50"});
        spec["provider"]["postgres"]["resources"] = json!({"limits": {"cpu": "2"}, "requests": {"cpu": "0.5"}});
        space.create(&spec).await?;
        complete(space, controller).await?;
        let sets = space.api::<StatefulSet>();
        let server = server_of(&sets.get(SERVER).await?);
        ensure!(
            server["command"].to_string().contains("work_mem=8MB") && server["resources"]["limits"]["cpu"] == "2",
            "{server:#}"
        );

        let less = json!({"parameters": {"work_mem": null}, "resources": {"limits": {"cpu": null}}});
        space.patch(&json!({"spec": {"provider": {"postgres": less}}})).await?;
        let set = until(&sets, SERVER, "lost what was removed", |set| {
            let server = server_of(set);
            !server["command"].to_string().contains("work_mem") && server["resources"]["limits"]["cpu"].is_null()
        })
        .await?;
        let server = server_of(&set);
        ensure!(server["command"].to_string().contains("max_connections=50"), "{server:#}");
        ensure!(server["resources"]["requests"]["cpu"] == "500m", "{server:#}");
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

async fn what_another_provider_does_not_need_goes_and_data_stay<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let secrets = space.api::<Secret>();
        let mut before = BTreeMap::new();
        for name in K::data() {
            before.insert(name.clone(), secrets.get(&name).await?.uid());
        }
        theirs(space).await?;
        let provider = json!({K::PROVIDER: null, "external": {"secretName": "theirs"}});
        space.patch(&json!({"spec": {"provider": provider}})).await?;
        until_gone(&space.api::<StatefulSet>(), &K::set()).await?;
        until_gone(&space.api::<Service>(), &K::set()).await?;
        until(&space.api::<Secret>(), &K::binding(), "been made", |_| true).await?;
        quiet(space, controller).await?;
        for (name, uid) in before {
            ensure!(secrets.get(&name).await?.uid() == uid, "{name} was made again");
        }
        space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
        Ok(())
    })
    .await;
}

async fn a_foreign_edit_of_what_is_ours_is_undone_and_of_what_is_theirs_is_left<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let (sets, services) = (space.api::<StatefulSet>(), space.api::<Service>());
        let image = server_of(&sets.get(&K::set()).await?)["image"].clone();
        let selector = services.get(&K::set()).await?.spec.and_then(|spec| spec.selector);

        let sidecar = json!({"name": "sidecar", "image": "registry.invalid/sidecar:1"});
        let pod = json!({"containers": [{"name": K::PROVIDER, "image": "registry.invalid/other:1"}, sidecar]});
        let theirs = json!({"annotations": {"example.com/theirs": "yes"}, "labels": {"example.com/theirs": "yes"}});
        edit(&sets, &K::set(), json!({"metadata": theirs, "spec": {"template": {"spec": pod}}})).await?;
        let astray = json!({"app.kubernetes.io/name": "nothing"});
        edit(&services, &K::set(), json!({"metadata": theirs, "spec": {"selector": astray}})).await?;

        let set = until(&sets, &K::set(), "its image back", |set| server_of(set)["image"] == image).await?;
        let service = until(&services, &K::set(), "its selector back", |service| {
            service.spec.as_ref().is_some_and(|spec| spec.selector == selector)
        })
        .await?;
        for meta in [set.meta(), service.meta()] {
            let labels = meta.labels.clone().unwrap_or_default();
            let annotations = meta.annotations.clone().unwrap_or_default();
            ensure!(labels.contains_key("example.com/theirs"), "their label has gone: {labels:?}");
            ensure!(annotations.contains_key("example.com/theirs"), "their annotation has gone: {annotations:?}");
        }
        quiet(space, controller).await?;
        let set = serde_json::to_value(sets.get(&K::set()).await?)?;
        let containers = set["spec"]["template"]["spec"]["containers"].to_string();
        ensure!(containers.contains("sidecar"), "their sidecar has gone: {containers}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_foreign_edit_of_a_services_port_is_undone() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        made(space, controller).await?;
        let services = space.api::<Service>();
        let ports = json!([
            {"port": 5432, "$patch": "delete"},
            {"port": 5433, "name": "tcp-postgresql", "targetPort": "postgresql"},
        ]);
        edit(&services, SERVER, json!({"spec": {"ports": ports}})).await?;
        until(&services, SERVER, "its port back", |service| {
            let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
            ports.is_some_and(|ports| ports.iter().any(|port| port.port == 5432))
        })
        .await?;
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

/// What somebody else may add to an object: a pointer to a list or map that the API treats as one value, and what is added to it.
pub(crate) type Addition = (&'static str, &'static str, &'static str, Value);

/// Adds to an object, as `kubectl edit` does, and waits until that is undone.
pub(crate) async fn is_undone<K: Subject>(space: &One<'_, K>, addition: &Addition) -> Result<()> {
    let (kind, name, pointer, added) = addition;
    let kinds: Vec<_> = K::Component::children().into_iter().map(|child| child.resource).collect();
    let resource = kinds.iter().find(|resource| resource.kind == *kind).context("no child of that kind")?;
    let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, resource);
    let mut edit = api.get(name).await?.data;
    let value = edit.pointer_mut(pointer).with_context(|| format!("{name} has no {pointer}"))?;
    let intended = value.clone();
    match value {
        Value::Array(list) => list.push(added.clone()),
        Value::Object(map) => map.extend(added.as_object().cloned().unwrap_or_default()),
        other => anyhow::bail!("{other} takes no additions"),
    }
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    let edited = api.patch(name, &params, &Patch::Merge(json!({"spec": edit["spec"]}))).await?;
    ensure!(edited.data.pointer(pointer) != Some(&intended), "{name}: the server took nothing at {pointer}");
    until(&api, name, &format!("what was added at {pointer} off"), |object| {
        object.data.pointer(pointer) == Some(&intended)
    })
    .await?;
    Ok(())
}

async fn an_addition_to_a_value_that_is_one_is_undone<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let set: &'static str = K::set().leak();
        let containers = "/spec/template/spec/containers/0";
        let mut additions: Vec<Addition> = vec![
            ("Service", set, "/spec/selector", json!({"off": "1"})),
            ("Service", K::child("pods").leak(), "/spec/selector", json!({"off": "1"})),
            ("StatefulSet", set, format!("{containers}/command").leak(), json!("--theirs")),
            ("StatefulSet", set, format!("{containers}/securityContext/capabilities/drop").leak(), json!("KILL")),
            ("NetworkPolicy", set, "/spec/ingress", json!({})),
            ("NetworkPolicy", set, "/spec/podSelector/matchLabels", json!({"off": "1"})),
            ("NetworkPolicy", set, "/spec/policyTypes", json!("Egress")),
        ];
        if K::kind(&()) == IpfsCluster::kind(&()) {
            let everybody = json!({"ipBlock": {"cidr": "0.0.0.0/0"}});
            additions.push(("NetworkPolicy", set, "/spec/ingress/0/from", everybody));
        }
        // Twice: the fields are posted ones at first, and applied ones then.
        for addition in additions.iter().chain(&additions) {
            is_undone(space, addition).await?;
        }
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_addition_to_the_selector_of_a_budget_is_undone() {
    with_controller::<MessageQueue>(async |space, controller| {
        made(space, controller).await?;
        space.patch_provider(&json!({"replicas": 3})).await?;
        complete(space, controller).await?;
        let set: &'static str = MessageQueue::set().leak();
        is_undone(space, &("PodDisruptionBudget", set, "/spec/selector/matchLabels", json!({"off": "1"}))).await?;
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

async fn a_foreign_edit_of_the_binding_is_undone<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        theirs(space).await?;
        space.create(&external("theirs")).await?;
        let secrets = space.api::<Secret>();
        let host = |host: &str| {
            let host = ByteString(host.as_bytes().to_vec());
            move |secret: &Secret| secret.data.as_ref().is_some_and(|data| data.get("host") == Some(&host))
        };
        let made = until(&secrets, &K::binding(), "the host", host("127.0.0.1")).await?;
        edit(&secrets, &K::binding(), json!({"stringData": {"host": "elsewhere", "theirs": "too"}})).await?;
        let mended = until(&secrets, &K::binding(), "its host back", host("127.0.0.1")).await?;
        ensure!(mended.uid() == made.uid(), "the binding was made again");
        ensure!(mended.data.is_some_and(|data| data.contains_key("theirs")), "their key has gone");
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}
