//! What is ours stays as intended; what is theirs stays as it is.

use anyhow::{Context as _, Result, ensure};
use e2e::{One, Subject, database::child::SERVER, snapshot::kinds, until};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Secret, Service},
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase},
    binding::text,
};

use crate::{
    step::{complete, made, quiet, server_of, theirs},
    with_controller,
};

e2e::for_each_kind!(
    foreign_edit_of_an_owned_field_is_undone_and_others_kept,
    foreign_edit_of_the_binding_is_undone,
    addition_to_an_atomic_value_is_undone,
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
async fn field_removed_from_the_spec_disappears() {
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

async fn foreign_edit_of_an_owned_field_is_undone_and_others_kept<K: Subject>() {
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
async fn foreign_edit_of_a_services_port_is_undone() {
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
    let resource = kinds().into_iter().find(|resource| resource.kind == *kind).context("no child of that kind")?;
    let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
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

async fn addition_to_an_atomic_value_is_undone<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let set: &'static str = K::set().leak();
        let containers = "/spec/template/spec/containers/0";
        // Where the program's name belongs to the image, it has arguments alone.
        let server = server_of(&space.api::<StatefulSet>().get(set).await?);
        let words = if server["command"].is_null() { "args" } else { "command" };
        let mut additions: Vec<Addition> = vec![
            ("Service", set, "/spec/selector", json!({"off": "1"})),
            ("Service", K::child("pods").leak(), "/spec/selector", json!({"off": "1"})),
            ("StatefulSet", set, format!("{containers}/{words}").leak(), json!("--theirs")),
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
async fn addition_to_the_selector_of_a_budget_is_undone() {
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

async fn foreign_edit_of_the_binding_is_undone<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let theirs = theirs::<K>(space).await?;
        space.create(&K::external("theirs")).await?;
        let secrets = space.api::<Secret>();
        let has_place = |secret: &Secret| text(secret, K::SCOPE_KEY) == Some(&theirs.scope);
        let made = until(&secrets, &K::binding(), "its place", has_place).await?;
        edit(&secrets, &K::binding(), json!({"stringData": {K::SCOPE_KEY: "elsewhere", "theirs": "too"}})).await?;
        let corrected = until(&secrets, &K::binding(), "its place back", has_place).await?;
        ensure!(corrected.uid() == made.uid(), "the binding was made again");
        ensure!(corrected.data.is_some_and(|data| data.contains_key("theirs")), "their key has gone");
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}
