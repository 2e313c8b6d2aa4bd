//! Pods, volumes, Secrets and ConfigMaps with the stack's labels and names.

use anyhow::ensure;
use e2e::{
    Subject, full,
    step::{look, made},
    subject::NAME,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret},
};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{annotation, label},
    component::Component as _,
};

use crate::victim::{Strangers, Victim, with_strangers};

/// Ordinals of pods that no set has.
const ORDINALS: [&str; 7] = ["1", "40", "2147483647", "2000000000", "99999999999999999999", "00", "x"];

/// The labels of a kind's children.
fn labels<K: Subject>(product: &str) -> Value {
    json!({
        label::MANAGED_BY: label::STACK,
        label::COMPONENT: K::Component::NAME,
        label::INSTANCE: NAME,
        label::NAME: product,
        label::DATA: "true",
        label::CONFIG: "true",
        label::BINDING: "true",
        "apps.kubernetes.io/pod-index": "2000000000",
    })
}

/// Annotations as the controllers write them, with values that they would not.
fn annotations(uid: &str) -> Value {
    json!({
        annotation::OWNER: uid, annotation::ROLL: "x", annotation::CONFIG: "x", annotation::INTENT: "x", annotation::MADE: "x",
        "temporal-stack.dev/shared-secret": "2000000000", "temporal-stack.dev/left": "true", "temporal-stack.dev/network": "private",
    })
}

for_each_kind!(strays_with_our_labels_harm_no_stranger, names_taken_by_a_stranger_are_left_alone);

async fn strays_with_our_labels_harm_no_stranger<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        let Strangers { hostile, stranger, controller, .. } = strangers;
        let object = made(hostile, controller).await?;
        let set = hostile.api::<StatefulSet>().get(&K::set()).await?;
        let template = set.spec.and_then(|spec| spec.template.metadata).and_then(|metadata| metadata.labels);
        let product = template.unwrap_or_default().get(label::NAME).cloned().unwrap_or_default();
        let metadata = |name: String| {
            json!({"name": name, "labels": labels::<K>(&product), "annotations": annotations(&object.uid().unwrap_or_default())})
        };
        let container = json!({"name": K::PROVIDER, "image": "registry.invalid/stray:1"});
        let many = if full() { 2000 } else { 30 };
        let names = ORDINALS.iter().map(|ordinal| format!("{}-{ordinal}", K::set()));
        let mut taken = 0;
        for name in names.chain((0..many).map(|number| format!("stray-{number}"))) {
            let pod = json!({"metadata": metadata(name), "spec": {"containers": [container]}});
            taken += u32::from(stranger.create::<Pod>(&pod).await?);
        }
        ensure!(taken > 30, "the API server took {taken} pods");
        for ordinal in ORDINALS {
            let claim = json!({
                "metadata": metadata(format!("data-{}-{ordinal}", K::set())),
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            });
            stranger.create::<PersistentVolumeClaim>(&claim).await?;
            for part in ["login", "cookie", "secret", "identity"] {
                let name = K::child(&format!("{part}-{ordinal}"));
                stranger.create::<Secret>(&json!({"metadata": metadata(name), "stringData": {"password": "x"}})).await?;
            }
        }
        // As `kubectl scale` does it.
        let replicas = if full() { 2000 } else { 12 };
        stranger.patch::<StatefulSet>(&K::set(), &json!({"spec": {"replicas": replicas}})).await?;
        look(hostile, controller).await?;
        let secrets = hostile.api::<Secret>().list(&kube::api::ListParams::default()).await?.items.len();
        ensure!(secrets < 80, "there are {secrets} Secrets by now");
        Ok(())
    })
    .await;
}

/// What a stranger has made under the names of children stays theirs, and is not taken for ours.
async fn names_taken_by_a_stranger_are_left_alone<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        let Strangers { hostile, stranger, .. } = strangers;
        let forged = json!({"name": K::binding(), "labels": {label::BINDING: "true", label::CONFIG: "true"}});
        let secret = json!({"metadata": forged, "stringData": {"host": "127.0.0.1"}});
        ensure!(stranger.create::<Secret>(&secret).await?, "the API server did not take the Secret");
        for name in [K::set(), K::child("config"), K::child("members")] {
            stranger.create::<ConfigMap>(&json!({"metadata": {"name": name}, "data": {"mine": "x"}})).await?;
        }
        hostile.create(&K::embedded()).await?;
        hostile.stalled("NameTaken", &[]).await?;
        let kept = hostile.api::<Secret>().get(&K::binding()).await?;
        ensure!(kept.data.is_some_and(|data| data.len() == 1), "the stranger's Secret was written to");
        Ok(())
    })
    .await;
}
