//! Who is told what, and who may connect: neither Kubo's RPC nor IPFS Cluster's REST API asks for a password.

use anyhow::{Context as _, Result, ensure};
use e2e::{Subject as _, until};
use k8s_openapi::{
    api::{
        core::v1::{Secret, Service},
        networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use temporal_stack_common::api::IpfsCluster;

use super::{Ipfs, made, scale, set, spec, text, with_controller};
use crate::step::{complete, quiet};

/// Who may connect to a port: nobody has `None`, everybody has no sources.
fn sources(policy: &NetworkPolicy, port: i32) -> Option<Vec<NetworkPolicyPeer>> {
    let rules = policy.spec.as_ref()?.ingress.as_ref()?;
    let mut found = rules
        .iter()
        .filter(|rule| rule.ports.iter().flatten().any(|allowed| allowed.port == Some(IntOrString::Int(port))));
    let rule = found.next()?;
    assert!(found.next().is_none(), "there are two rules for {port}");
    Some(rule.from.clone().unwrap_or_default())
}

async fn policy(space: &Ipfs<'_>) -> Result<NetworkPolicy> {
    let policy = space.api::<NetworkPolicy>().get(&IpfsCluster::set()).await?;
    let rules = policy.spec.as_ref().and_then(|spec| spec.ingress.clone()).unwrap_or_default();
    ensure!(
        rules.iter().all(|rule| rule.ports.as_ref().is_some_and(|ports| !ports.is_empty())),
        "a rule is for every port"
    );
    Ok(policy)
}

/// The pods of the cluster itself.
async fn peers(space: &Ipfs<'_>) -> Result<NetworkPolicyPeer> {
    let labels = set(space).await?.spec.context("the set is empty")?.selector;
    Ok(serde_json::from_value(json!({"podSelector": labels}))?)
}

fn controller() -> Result<NetworkPolicyPeer> {
    let controller = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "temporal-stack-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "ipfs-controller"}},
    });
    Ok(serde_json::from_value(controller)?)
}

#[tokio::test]
async fn only_listed_clients_reach_ports_without_a_password() {
    with_controller(async |space, controlled| {
        made(space, controlled, 2).await?;
        let (peers, controller) = (peers(space).await?, controller()?);
        let now = policy(space).await?;
        let spec = now.spec.as_ref().context("the policy is empty")?;
        let selected = serde_json::to_value(&spec.pod_selector)?;
        ensure!(selected == serde_json::to_value(&peers.pod_selector)?, "it is about other pods: {selected}");
        ensure!(spec.policy_types.as_deref().is_some_and(|types| types == ["Ingress"]), "{:?}", spec.policy_types);
        let ours = Some(vec![peers.clone(), controller.clone()]);
        for port in [5001, 9094, 8080] {
            ensure!(sources(&now, port) == ours, "{port}: {:?}", sources(&now, port));
        }
        for port in [9096, 4001] {
            ensure!(sources(&now, port) == Some(vec![peers.clone()]), "{port}: {:?}", sources(&now, port));
        }
        for port in [9095, 8888] {
            ensure!(sources(&now, port).is_none(), "{port} can be reached");
        }

        let client = json!({
            "namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {"matchLabels": {"app": "uploader"}},
        });
        space.patch_provider(&json!({"clients": [client], "proxy": true})).await?;
        complete(space, controlled).await?;
        let now = policy(space).await?;
        let with_client = Some(vec![peers.clone(), controller.clone(), serde_json::from_value(client)?]);
        for port in [5001, 9094, 9095] {
            ensure!(sources(&now, port) == with_client, "{port}: {:?}", sources(&now, port));
        }
        for port in [9096, 4001] {
            ensure!(sources(&now, port) == Some(vec![peers.clone()]), "{port}: {:?}", sources(&now, port));
        }

        ensure!(sources(&now, 8888).is_none(), "clients get metrics");

        // What everybody may use is open to everybody, and nothing else is.
        space.patch_provider(&json!({"clients": null, "proxy": false, "gateway": {}, "swarm": {}})).await?;
        complete(space, controlled).await?;
        let now = policy(space).await?;
        for port in [8080, 4001] {
            ensure!(sources(&now, port) == Some(Vec::new()), "{port}: {:?}", sources(&now, port));
        }
        for port in [5001, 9094] {
            ensure!(sources(&now, port) == ours, "{port}: {:?}", sources(&now, port));
        }
        ensure!(sources(&now, 9095).is_none(), "the proxy can be reached");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn foreign_edit_of_the_policy_is_undone() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let policies = space.api::<NetworkPolicy>();
        let before = policy(space).await?;
        let open = Patch::Merge(json!({"spec": {"ingress": [{}]}}));
        policies.patch(&IpfsCluster::set(), &PatchParams::default(), &open).await?;
        until(&policies, &IpfsCluster::set(), "its rules back", |policy| policy.spec == before.spec).await?;
        quiet(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn services_follow_the_ports_of_the_spec() {
    with_controller(async |space, controller| {
        space.create(&spec(2, &json!({"proxy": true, "gateway": {"type": "NodePort"}, "swarm": {}}))).await?;
        complete(space, controller).await?;
        let services = space.api::<Service>();
        let ports = async |name: String| -> Result<Vec<i32>> {
            let spec = services.get(&name).await?.spec.context("the Service is empty")?;
            let mut ports: Vec<i32> = spec.ports.into_iter().flatten().map(|port| port.port).collect();
            ports.sort_unstable();
            ports.dedup();
            Ok(ports)
        };
        ensure!(ports(IpfsCluster::set()).await? == [5001, 8888, 9094, 9095]);
        ensure!(ports(IpfsCluster::child("gateway")).await? == [8080]);
        for part in ["swarm-0", "swarm-1"] {
            ensure!(ports(IpfsCluster::child(part)).await? == [4001]);
        }
        let gateway = text(space, &IpfsCluster::binding(), "gateway-uri").await?;
        ensure!(gateway == format!("http://{}.{}.svc:8080", IpfsCluster::child("gateway"), space.name), "{gateway}");

        space.patch_provider(&json!({"proxy": false, "gateway": null, "swarm": null})).await?;
        complete(space, controller).await?;
        ensure!(ports(IpfsCluster::set()).await? == [5001, 8888, 9094]);
        for part in ["gateway", "swarm-0", "swarm-1"] {
            ensure!(services.get_opt(&IpfsCluster::child(part)).await?.is_none(), "{part} is still there");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn each_peer_gets_its_identity_and_the_others_addresses() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        for count in [1_u32, 3] {
            scale(space, count).await?;
            let object = complete(space, controller).await?;
            let secret = space.api::<Secret>().get(&IpfsCluster::child("peers")).await?;
            let owners = secret.owner_references();
            ensure!(owners.len() == 1 && Some(&owners[0].uid) == object.uid().as_ref(), "it outlives the object");
            let peers = object.status.map(|status| status.peers).unwrap_or_default();
            ensure!(peers.len() == usize::try_from(count)?, "{peers:?}");
            let keys = secret.data.map(|data| data.len()).unwrap_or_default();
            ensure!(keys == 2 * peers.len(), "there are {keys} keys for {count} peers");
            for (ordinal, peer) in (0..).zip(&peers) {
                let pod = IpfsCluster::pod(ordinal);
                ensure!(peer.pod == pod, "{} is not {pod}", peer.pod);
                let own = |key: &str| IpfsCluster::child(&format!("identity-{ordinal}")) + "/" + key;
                let identity = IpfsCluster::child(&format!("identity-{ordinal}"));

                let config = text(space, &IpfsCluster::child("peers"), &format!("{pod}.kubo.json")).await?;
                let config: Value = serde_json::from_str(&config)?;
                ensure!(config["Identity"]["PeerID"] == *peer.kubo_id, "{pod}: {}", config["Identity"]["PeerID"]);
                let key = text(space, &identity, "kubo-private-key").await?;
                ensure!(config["Identity"]["PrivKey"] == *key, "{pod} has not {}", own("kubo-private-key"));
                let neighbours = config["Peering"]["Peers"].as_array().cloned().unwrap_or_default();
                let others = (0..).zip(&peers).filter(|(other, _)| *other != ordinal).map(|(other, peer)| {
                    let host = format!("{}.{}.{}.svc", IpfsCluster::pod(other), IpfsCluster::child("pods"), space.name);
                    json!({"ID": peer.kubo_id, "Addrs": [format!("/dns/{host}/tcp/4001")]})
                });
                ensure!(neighbours == others.collect::<Vec<_>>(), "{pod}: {neighbours:?}");

                let lines = text(space, &IpfsCluster::child("peers"), &format!("{pod}.cluster.env")).await?;
                ensure!(lines.contains(&format!("CLUSTER_ID='{}'", peer.id)), "{pod} has another ID");
                let key = text(space, &identity, "cluster-private-key").await?;
                ensure!(
                    lines.contains(&format!("CLUSTER_PRIVATEKEY='{key}'")),
                    "{pod} has not {}",
                    own("cluster-private-key")
                );
                let missing = peers.iter().find(|other| !lines.contains(&format!("/tcp/9096/p2p/{}", other.id)));
                ensure!(missing.is_none(), "{pod} is not told of {missing:?}");
            }
            for key in ["cluster-secret", "swarm-key"] {
                let shared = text(space, &IpfsCluster::child("secret-1"), key).await?;
                let set = serde_json::to_string(&set(space).await?)?;
                ensure!(!set.contains(&shared), "{key} is in the StatefulSet");
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn edited_or_deleted_peer_configuration_is_restored() {
    with_controller(async |space, controller| {
        made(space, controller, 2).await?;
        let (api, name) = (space.api::<Secret>(), IpfsCluster::child("peers"));
        let before = api.get(&name).await?.data;
        let key = format!("{}.cluster.env", IpfsCluster::pod(0));
        let edit = Patch::Merge(json!({"stringData": {key: "export CLUSTER_ID=x"}}));
        api.patch(&name, &PatchParams::default(), &edit).await?;
        until(&api, &name, "its text back", |secret| secret.data == before).await?;
        api.delete(&name, &DeleteParams::default()).await?;
        until(&api, &name, "been made again", |secret| secret.data == before).await?;
        quiet(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn binding_has_the_addresses_of_both_programs() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let host = format!("{}.{}.svc", IpfsCluster::set(), space.name);
        for (key, value) in [
            ("type", "ipfs".to_owned()),
            ("provider", "kubo".to_owned()),
            ("host", host.clone()),
            ("port", "5001".to_owned()),
            ("uri", format!("http://{host}:5001")),
            ("cluster-host", host.clone()),
            ("cluster-port", "9094".to_owned()),
            ("cluster-uri", format!("http://{host}:9094")),
        ] {
            let said = text(space, &IpfsCluster::binding(), key).await?;
            ensure!(said == value, "{key} is {said}");
        }
        Ok(())
    })
    .await;
}
