//! Pods that have our labels and are none of ours: copies for debugging, helpers, and what is named as if it were a member, which the
//! controller of StatefulSets adopts for a moment. Nothing is made of them, and nothing is sent to them.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::{HANG, One, Subject};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
    events::v1::Event,
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use crate::{
    step::{made, quiet},
    with_controller,
};

e2e::for_each_kind!(stray_pod_with_our_labels_changes_nothing);

/// Listens on all ports of a pod, at an address of this machine that no other test has. Ends when it is dropped.
struct Listeners {
    address: IpAddr,
    accepted: watch::Receiver<u64>,
    _serving: JoinSet<()>,
}

impl Listeners {
    async fn start(pod: &Pod) -> Result<Self> {
        let [second, third, fourth]: [u8; 3] = rand::random();
        let address = IpAddr::from(Ipv4Addr::new(127, 1 + second % 254, third, 1 + fourth % 254));
        let (count, accepted) = watch::channel(0);
        let mut serving = JoinSet::new();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let ports = containers.flat_map(|container| container.ports.iter().flatten());
        for port in ports.filter(|port| port.protocol.as_deref() != Some("UDP")) {
            let listener = TcpListener::bind((address, u16::try_from(port.container_port)?)).await?;
            let count = count.clone();
            serving.spawn(async move {
                while listener.accept().await.is_ok() {
                    count.send_modify(|count| *count += 1);
                }
            });
        }
        ensure!(!serving.is_empty(), "the pod has no ports");
        Ok(Self { address, accepted, _serving: serving })
    }

    fn connections(&self) -> u64 {
        *self.accepted.borrow()
    }

    /// Waits for the first connection.
    async fn are_asked(&self) -> Result<()> {
        let mut accepted = self.accepted.clone();
        let asked = timeout(HANG, accepted.wait_for(|count| *count > 0)).await;
        asked.context("nobody has connected to the member")?.map(drop).context("the listeners have ended")
    }
}

/// A status that says that a pod is ready, at the address of the listeners.
fn ready(at: &Listeners) -> Patch<Value> {
    let address = at.address.to_string();
    Patch::Merge(json!({"status": {
        "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }}))
}

/// Ordinals that the set does not have.
const ORDINALS: [u32; 3] = [1, 40, 2_000_000_000];

/// Makes a pod with the labels of the first one, ready, as `kubectl debug --copy-to --keep-labels` does. It says that it has the
/// seventh of the secrets that members share.
async fn copy<K: Subject>(space: &One<'_, K>, name: &str, owners: Value, at: &Listeners) -> Result<()> {
    let pods = space.api::<Pod>();
    let first = pods.get(&K::pod(0)).await?;
    let copy = json!({
        "metadata": {
            "name": name, "labels": first.labels(), "ownerReferences": owners,
            "annotations": {"temporal-stack.dev/shared-secret": "7"},
        },
        "spec": {"containers": [{"name": "copy", "image": "registry.invalid/copy"}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(copy)?).await?;
    match pods.patch_status(name, &PatchParams::default(), &ready(at)).await {
        // The controller of StatefulSets adopts a pod with such a name, and deletes it because of its ordinal: at once, or when the
        // pods before it are ready.
        Err(kube::Error::Api(status)) if status.is_not_found() && name.starts_with(&K::set()) => Ok(()),
        patched => Ok(patched.map(drop)?),
    }
}

/// What there is but pods: the set as it is wanted, and the Secrets.
async fn rest<K: Subject>(space: &One<'_, K>) -> Result<(Option<i32>, Vec<String>)> {
    let set = space.api::<StatefulSet>().get(&K::set()).await?;
    let secrets = space.api::<Secret>().list(&ListParams::default()).await?;
    Ok((set.spec.and_then(|spec| spec.replicas), secrets.iter().map(ResourceExt::name_any).collect()))
}

async fn stray_pod_with_our_labels_changes_nothing<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let object = made(space, controller).await?;
        let before = rest(space).await?;
        let custom = json!([{"apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": object.name_any(), "uid": object.uid(), "controller": true}]);
        let pods = space.api::<Pod>();
        let member = pods.get(&K::pod(0)).await?;
        let (of_strays, of_the_member) = (Listeners::start(&member).await?, Listeners::start(&member).await?);
        copy(space, "dbg", Value::Null, &of_strays).await?;
        copy(space, "forged", custom, &of_strays).await?;
        for ordinal in ORDINALS {
            copy(space, &K::pod(ordinal), Value::Null, &of_strays).await?;
        }
        quiet(space, controller).await?;
        ensure!(rest(space).await? == before, "there were {before:?}, and there are {:?}", rest(space).await?);
        space.waits_for_its_pods().await?;
        // No pass has believed that the members share a secret that is lost.
        let events = space.api::<Event>().list(&ListParams::default()).await?;
        let lost = events.iter().find(|event| event.reason.as_deref() == Some("SecretIncomplete"));
        ensure!(lost.is_none(), "a stray pod stalled the object: {lost:?}");

        // The member, once it is ready in the same way, is connected with.
        pods.patch_status(&K::pod(0), &PatchParams::default(), &ready(&of_the_member)).await?;
        of_the_member.are_asked().await?;
        ensure!(of_strays.connections() == 0, "a stray pod was connected with {} times", of_strays.connections());
        Ok(())
    })
    .await;
}
