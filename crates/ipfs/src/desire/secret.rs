//! Secrets: identities, the configuration of each peer, and the binding.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{binding::Binding, manifest::secret};

use crate::{
    access::Access,
    decide::view::EmbeddedView,
    identity::Identity,
    kubo_config,
    names::{self, GATEWAY, Names, PEER, PEERS},
    settings::Settings,
};

/// The type of the bindings, by the Service Binding specification.
const TYPE: &str = "ipfs";

/// The keys of one peer; they are drawn when it is made.
pub(super) fn identity(names: &Names, ordinal: i32) -> Secret {
    let mut identity = secret(names::identity(names, ordinal), &[]);
    identity.metadata.labels.get_or_insert_default().insert(PEER.to_owned(), ordinal.to_string());
    identity
}

/// The Secret that each peer reads when it starts: its keys, its configuration, and the addresses of the others. It grows with
/// the peers, but is not part of the pod template: running peers learn of a new one from it.
pub(super) fn peers(view: &EmbeddedView<'_>, peers: i32) -> Secret {
    let names = &view.names;
    let identities: Vec<&Identity> =
        view.observed.objects.identities.iter().filter(|identity| identity.ordinal < peers).collect();
    let kubo = kubo_config::common(&view.provider, view.secrets.network, &view.kubo_config);
    let addresses: Vec<String> = identities
        .iter()
        .map(|peer| format!("/dns/{}/tcp/{PEERS}/p2p/{}", names.pod_host(peer.ordinal), peer.cluster.id))
        .collect();
    let mut keys = BTreeMap::new();
    for identity in &identities {
        let pod = names.pod(identity.ordinal);
        let others = identities.iter().filter(|other| other.ordinal != identity.ordinal);
        let others: Vec<_> = others.map(|other| (names.pod_host(other.ordinal), other.kubo.id.as_str())).collect();
        let config = kubo_config::peer_config(&kubo, &identity.kubo, &others);
        keys.insert(format!("{pod}.kubo.json"), config.to_string());
        keys.insert(format!("{pod}.cluster.env"), cluster_env(&view.settings, identity, &pod, &addresses));
    }
    let data = keys.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))).collect();
    Secret {
        metadata: ObjectMeta { name: Some(names::peers(names)), ..ObjectMeta::default() },
        data: Some(data),
        ..Secret::default()
    }
}

/// Variables that differ from peer to peer, as shell assignments.
fn cluster_env(settings: &Settings, identity: &Identity, pod: &str, addresses: &[String]) -> String {
    let name = match &settings.peer_name {
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

/// The binding for applications.
pub(super) fn binding(names: &Names, has_gateway: bool) -> Secret {
    let mut binding = bind("kubo", &Access::at_host(&names.host(&names.base)));
    if has_gateway {
        let host = names.host(&names::gateway(names));
        binding.more.insert("gateway-uri", format!("http://{host}:{GATEWAY}"));
        binding.more.insert("gateway-host", host);
        binding.more.insert("gateway-port", GATEWAY.to_string());
    }
    binding.secret(&names.binding)
}

/// The same for a cluster that runs elsewhere.
pub(super) fn external_binding(names: &Names, access: &Access) -> Secret {
    bind("external", access).secret(&names.binding)
}

fn bind(provider: &str, Access { kubo, cluster }: &Access) -> Binding {
    Binding {
        type_: TYPE.to_owned(),
        provider: provider.to_owned(),
        host: kubo.host.clone(),
        port: kubo.port,
        uri: format!("http://{kubo}"),
        more: BTreeMap::from([
            ("cluster-host", cluster.host.clone()),
            ("cluster-port", cluster.port.to_string()),
            ("cluster-uri", format!("http://{cluster}")),
        ]),
        ..Binding::default()
    }
}
