//! Pods that have our labels and are none of ours: copies for debugging, helpers, and what is named as if it were a member.

use anyhow::{Result, ensure};
use e2e::{One, Subject};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    step::{made, quiet},
    with_controller,
};

for_each_kind!(a_stray_pod_with_our_labels_changes_nothing);

/// Makes a pod with the labels of the first one, ready, as `kubectl debug --copy-to --keep-labels` does.
async fn copy<K: Subject>(space: &One<'_, K>, name: &str, owners: Value) -> Result<()> {
    let pods = space.api::<Pod>();
    let first = pods.get(&K::pod(0)).await?;
    let copy = json!({
        "metadata": {"name": name, "labels": first.labels(), "ownerReferences": owners},
        "spec": {"containers": [{"name": "copy", "image": "registry.invalid/copy"}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(copy)?).await?;
    let ready = json!({"status": {
        "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(ready)).await?;
    Ok(())
}

/// What there is but pods: the set as it is wanted, and the Secrets.
async fn rest<K: Subject>(space: &One<'_, K>) -> Result<(Option<i32>, Vec<String>)> {
    let set = space.api::<StatefulSet>().get(&K::set()).await?;
    let secrets = space.api::<Secret>().list(&ListParams::default()).await?;
    Ok((set.spec.and_then(|spec| spec.replicas), secrets.iter().map(ResourceExt::name_any).collect()))
}

async fn a_stray_pod_with_our_labels_changes_nothing<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let object = made(space, controller).await?;
        let before = rest(space).await?;
        let custom = json!([{"apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": object.name_any(), "uid": object.uid(), "controller": true}]);
        copy(space, "dbg", Value::Null).await?;
        copy(space, "forged", custom).await?;
        copy(space, &format!("{}-2000000000", K::set()), Value::Null).await?;
        quiet(space, controller).await?;
        ensure!(rest(space).await? == before, "there were {before:?}, and there are {:?}", rest(space).await?);
        space.waits_for_its_pods().await?;
        Ok(())
    })
    .await;
}
