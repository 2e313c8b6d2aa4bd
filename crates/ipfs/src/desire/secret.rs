//! Secrets: identities, what all peers share, what tells each peer who is who, and the binding.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{
    api::IpfsCluster,
    binding::{Binding, authority},
    login::secret,
};

use crate::{
    external::Access,
    identity::{Identity, PEER},
    kubo_config::{self, Neighbour},
    names::{self, GATEWAY, PEERS, REST, RPC},
    observe::Embedded,
};

/// The type of the bindings, by the Service Binding specification.
const TYPE: &str = "ipfs";

/// The keys of one peer; they are drawn when it is made.
pub(super) fn identity(object: &IpfsCluster, ordinal: i32) -> Secret {
    let mut made = secret(names::identity(object, ordinal), &[]);
    made.metadata.labels.get_or_insert_default().insert(PEER.to_owned(), ordinal.to_string());
    made
}

/// What each peer reads at its start: its keys, its configuration, and where the others are. It grows with the peers, and is
/// no part of the pods' template: those that run hear of a new one from it.
pub(super) fn peers(object: &IpfsCluster, embedded: &Embedded, peers: i32) -> Secret {
    let there: Vec<&Identity> = embedded.identities.iter().filter(|identity| identity.ordinal < peers).collect();
    let kubo = kubo_config::common(&embedded.provider, embedded.network);
    let addresses: Vec<String> = there
        .iter()
        .map(|peer| format!("/dns/{}/tcp/{PEERS}/p2p/{}", names::host(object, peer.ordinal), peer.cluster.id))
        .collect();
    let mut keys = BTreeMap::new();
    for identity in &there {
        let pod = names::pod(object, identity.ordinal);
        let others = there.iter().filter(|other| other.ordinal != identity.ordinal);
        let neighbours: Vec<Neighbour> = others
            .map(|other| Neighbour { host: names::host(object, other.ordinal), id: other.kubo.id.clone() })
            .collect();
        let config = kubo_config::of_peer(&kubo, &identity.kubo, &neighbours);
        keys.insert(format!("{pod}.kubo.json"), config.to_string());
        keys.insert(format!("{pod}.cluster.env"), cluster_env(embedded, identity, &pod, &addresses));
    }
    let data = keys.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))).collect();
    Secret {
        metadata: ObjectMeta { name: Some(names::peers(object)), ..ObjectMeta::default() },
        data: Some(data),
        ..Secret::default()
    }
}

/// Variables that differ from peer to peer, as a shell reads them.
fn cluster_env(embedded: &Embedded, identity: &Identity, pod: &str, addresses: &[String]) -> String {
    let name = match &embedded.settings.peer_name {
        Some(prefix) => format!("{prefix}-{}", identity.ordinal),
        None => pod.to_owned(),
    };
    let mut text = String::new();
    for (key, value) in [
        ("CLUSTER_ID", identity.cluster.id.as_str()),
        ("CLUSTER_PRIVATEKEY", identity.cluster.private.as_str()),
        ("CLUSTER_PEERNAME", name.as_str()),
        ("CLUSTER_PEERADDRESSES", addresses.join(",").as_str()),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "export {key}='{}'", value.replace('\'', r"'\''"));
    }
    text
}

/// What an application needs.
pub(super) fn binding(object: &IpfsCluster, has_gateway: bool) -> Secret {
    let host = names::suffix(object, &names::set(object));
    let access = Access { host: host.clone(), port: RPC, cluster_host: host, cluster_port: REST };
    let mut bound = bind("kubo", &access);
    if has_gateway {
        let host = names::suffix(object, &names::gateway(object));
        bound.more.insert("gateway-uri", format!("http://{host}:{GATEWAY}"));
        bound.more.insert("gateway-host", host);
        bound.more.insert("gateway-port", GATEWAY.to_string());
    }
    bound.secret(&names::binding(object))
}

/// The same for a cluster that somebody else runs.
pub(super) fn external_binding(object: &IpfsCluster, access: &Access) -> Secret {
    bind("external", access).secret(&names::binding(object))
}

fn bind(provider: &str, access: &Access) -> Binding {
    let uri = |host: &str, port| format!("http://{}", authority(host, port));
    Binding {
        type_: TYPE.to_owned(),
        provider: provider.to_owned(),
        host: access.host.clone(),
        port: access.port,
        uri: uri(&access.host, access.port),
        more: BTreeMap::from([
            ("cluster-host", access.cluster_host.clone()),
            ("cluster-port", access.cluster_port.to_string()),
            ("cluster-uri", uri(&access.cluster_host, access.cluster_port)),
        ]),
        ..Binding::default()
    }
}
