//! Pods, volumes, Secrets and ConfigMaps with the stack's labels and names.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::{
    Space, Subject, full,
    siblings::waits_for_the_broker,
    step::{look, made, quiet},
    subject::NAME,
    until, until_gone,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret},
};
use kube::{ResourceExt, api::ListParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, MessageQueue, Temporal, annotation, label};

use crate::victim::{Strangers, Victim, with_strangers};

/// Ordinals of pods that no set has.
const ORDINALS: [&str; 7] = ["1", "40", "2147483647", "2000000000", "99999999999999999999", "00", "x"];

/// The labels of a kind's children.
fn labels<K: Subject>(product: &str) -> Value {
    json!({
        label::MANAGED_BY: label::STACK,
        label::COMPONENT: K::COMPONENT,
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
        "temporal-stack.dev/shared-secret": "7", "temporal-stack.dev/left": "true", "temporal-stack.dev/network": "private",
    })
}

/// The names of all Secrets.
async fn secrets(space: &Space) -> Result<BTreeSet<String>> {
    let secrets = space.api::<Secret>().list(&ListParams::default()).await?;
    Ok(secrets.iter().map(ResourceExt::name_any).collect())
}

/// How many replicas a set has again that somebody has scaled: those of the spec. While no node of a RabbitMQ answers, none may be
/// taken from it, so it has as many as one may have at all.
fn back<K: Subject>() -> i32 {
    if K::PROGRAM == MessageQueue::PROGRAM { 5 } else { 1 }
}

e2e::for_each_kind!(
    stray_pods_with_our_labels_do_not_affect_other_tenants,
    names_taken_by_another_owner_are_not_touched
);

async fn stray_pods_with_our_labels_do_not_affect_other_tenants<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        let Strangers { hostile, stranger, controller, .. } = strangers;
        let object = made(hostile, controller).await?;
        let set = hostile.api::<StatefulSet>().get(&K::set()).await?;
        let is_parallel = set.spec.as_ref().is_some_and(|spec| spec.pod_management_policy.as_deref() == Some("Parallel"));
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
                "metadata": metadata(format!("{}-{}-{ordinal}", K::VOLUME, K::set())),
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            });
            stranger.create::<PersistentVolumeClaim>(&claim).await?;
            for part in ["login", "cookie", "secret", "identity"] {
                let name = K::child(&format!("{part}-{ordinal}"));
                stranger.create::<Secret>(&json!({"metadata": metadata(name), "stringData": {"password": "x"}})).await?;
            }
        }
        // The set's controller has adopted those that are named like its own, and deletes them; after the next step it would keep them.
        for ordinal in [1, 40].into_iter().filter(|_| is_parallel) {
            until_gone(&hostile.api::<Pod>(), &K::pod(ordinal)).await?;
        }
        let planted = secrets(hostile).await?;
        // As `kubectl scale` does it.
        let replicas = if full() { 2000 } else { 40 };
        let scaled = stranger.patch::<StatefulSet>(&K::set(), &json!({"spec": {"replicas": replicas}})).await?;
        ensure!(scaled, "the API server has not scaled the set");
        let is_back = |set: &StatefulSet| set.spec.as_ref().and_then(|spec| spec.replicas) == Some(back::<K>());
        if K::PROGRAM == IpfsCluster::PROGRAM {
            // The planted Secret of an identity holds none: the object stalls, and nothing of it is scaled.
            hostile.stalled("SecretIncomplete", &[]).await?;
        } else {
            until(&hostile.api::<StatefulSet>(), &K::set(), "been scaled back", is_back).await?;
            look(hostile, controller).await?;
            let set = hostile.api::<StatefulSet>().get(&K::set()).await?;
            ensure!(is_back(&set), "the set has been scaled again: {:?}", set.spec.and_then(|spec| spec.replicas));
        }
        let others: Vec<_> = secrets(hostile).await?.difference(&planted).cloned().collect();
        ensure!(others.is_empty(), "Secrets were made for pods that nobody needs: {others:?}");
        Ok(())
    })
    .await;
}

mod temporals {
    #[tokio::test]
    async fn stray_pods_with_our_labels_do_not_affect_other_tenants() {
        Box::pin(super::stray_pods_of_temporal_do_not_affect_other_tenants()).await;
    }
}

/// Pods of the key server, the API, a worker and Jobs, and Secrets beside the keys.
async fn stray_pods_of_temporal_do_not_affect_other_tenants() {
    with_strangers::<Temporal>(async |strangers| {
        let Strangers { hostile, stranger, controller, .. } = strangers;
        Temporal::made(hostile, controller).await?;
        let mut known = secrets(hostile).await?;
        let annotations = annotations(&hostile.get().await?.uid().unwrap_or_default());
        for role in ["krab", "api", "pin", "migrate", "account"] {
            let mut labels = labels::<Temporal>("temporal");
            labels["temporal-stack.dev/role"] = json!(role);
            let metadata = |name: &str| json!({"name": name, "labels": labels, "annotations": annotations});
            let container = json!({"name": role, "image": "registry.invalid/stray:1"});
            for name in [format!("stray-{role}"), Temporal::child(&format!("{role}-1"))] {
                let pod = json!({"metadata": metadata(&name), "spec": {"containers": [container]}});
                ensure!(stranger.create::<Pod>(&pod).await?, "the API server did not take {name}");
            }
            let name = Temporal::child(&format!("{role}-keys"));
            let secret = json!({"metadata": metadata(&name), "stringData": {"jwt-key": "x"}});
            ensure!(stranger.create::<Secret>(&secret).await?, "the API server did not take {name}");
            known.insert(name);
        }
        quiet(hostile, controller).await?;
        let others: Vec<_> = secrets(hostile).await?.difference(&known).cloned().collect();
        ensure!(others.is_empty(), "Secrets were made for stray pods: {others:?}");
        for role in ["krab", "api", "pin", "migrate", "account"] {
            hostile.api::<Pod>().get(&format!("stray-{role}")).await?;
        }
        waits_for_the_broker(hostile).await
    })
    .await;
}

/// What a stranger has made under the names of children stays theirs, and is not taken for ours.
async fn names_taken_by_another_owner_are_not_touched<K: Victim>() {
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
