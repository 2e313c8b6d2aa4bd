//! IPFS clusters as tests want them: peers that are well, and what differs from that.

use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, Network},
    condition::{CONFIG_HONOURED, Statement, reason},
    shared::{Made, Shared},
};

use crate::{
    identity::{self, Identity},
    names,
    observe::{Claim, Embedded, Observed, Peer, PeerPod, Seen, Source, Surveyed},
    settings,
    survey::Survey,
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> IpfsCluster {
    serde_json::from_value(json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": "IpfsCluster",
        "metadata": {"name": "temporal", "namespace": "default", "uid": "0"},
        "spec": spec,
    }))
    .unwrap()
}

/// An object that wants so many peers.
pub(crate) fn of_size(replicas: i32) -> IpfsCluster {
    object(&json!({"replicas": replicas}))
}

/// A cluster of which nothing has been made.
pub(crate) fn unmade(object: &IpfsCluster) -> Embedded {
    let children = temporal_stack_common::cache::Children::default();
    let outcome = crate::secrets::decide(object, &children, None, None, object.spec.network, None);
    Embedded {
        provider: object.spec.provider.kubo.clone().unwrap_or_default(),
        settings: settings::settings(object, None).0,
        shared: outcome.shared,
        network: outcome.network,
        identities: Vec::new(),
        restart: None,
        replicas: None,
        listed: 0,
        service: None,
        claims: Vec::new(),
        pods: Vec::new(),
        peers: Vec::new(),
        survey: Surveyed::Not("no peer could be asked".to_owned()),
    }
}

/// A cluster with so many peers, all of them well.
pub(crate) fn well(object: &IpfsCluster, peers: i32) -> Embedded {
    Embedded {
        shared: Shared { made: vec![made(1, object.spec.network)], next: None },
        identities: (0..peers).map(identity).collect(),
        replicas: Some(peers),
        listed: peers,
        service: Some("10.96.0.1".to_owned()),
        claims: (0..peers).map(claim).collect(),
        pods: (0..peers).map(pod).collect(),
        peers: (0..peers).map(|ordinal| peer(ordinal, peers)).collect(),
        survey: Surveyed::Now(Survey { pins: 10, ..Survey::default() }),
        ..unmade(object)
    }
}

/// A secret that has been made.
pub(crate) fn made(number: u32, network: Network) -> Made {
    let network = if network == Network::Private { "private" } else { "public" };
    let mut annotations = json!({"temporal-stack.dev/network": network});
    // The first needs no permission, and no other is made without one.
    if number > 1 {
        annotations["temporal-stack.dev/full-restart"] = json!("permitted");
    }
    let secret = json!({
        "metadata": {
            "name": names::shared(&of_size(1), number),
            "labels": {"temporal-stack.dev/shared-secret": number.to_string()},
            "annotations": annotations,
        },
        // 64 digits each.
        "data": {"cluster-secret": "YWFhYQ==", "swarm-key": "YmJiYg=="},
    });
    Made::of(serde_json::from_value(secret).unwrap()).unwrap()
}

/// The identity of a peer; always the same one.
pub(crate) fn identity(ordinal: i32) -> Identity {
    let seed = u8::try_from(ordinal).unwrap();
    Identity { ordinal, kubo: identity::of_seed(seed), cluster: identity::of_seed(seed + 100) }
}

/// A volume that is there.
pub(crate) fn claim(ordinal: i32) -> Claim {
    Claim { ordinal, is_bound: true, is_going: false, has_left: None }
}

/// A pod that is ready.
pub(crate) fn pod(ordinal: i32) -> PeerPod {
    PeerPod {
        ordinal,
        ready: true,
        serves: true,
        outdated: false,
        shared: Some(1),
        ip: Some(format!("10.244.0.{ordinal}")),
        life: format!("{ordinal}"),
    }
}

/// A peer that sees all others of so many.
pub(crate) fn peer(ordinal: i32, peers: i32) -> Peer {
    let id = |ordinal| identity(ordinal).cluster.id;
    let seen = Seen {
        id: id(ordinal),
        version: "1.1.6".to_owned(),
        rpc_protocol: "/ipfscluster/1.0/rpc".to_owned(),
        sees: (0..peers).map(id).collect(),
        allocates_to: (0..peers).map(id).collect(),
        kubo_id: identity(ordinal).kubo.id,
        kubo_version: "0.42.0".to_owned(),
        connected: (0..peers).filter(|other| *other != ordinal).map(|other| identity(other).kubo.id).collect(),
        repository: 1 << 20,
        most: 9 << 30,
        ..Seen::default()
    };
    Peer { ordinal, seen: Ok(seen) }
}

/// What a peer said, to change it.
pub(crate) fn seen(embedded: &mut Embedded, ordinal: i32) -> &mut Seen {
    let peer = embedded.peers.iter_mut().find(|peer| peer.ordinal == ordinal).unwrap();
    peer.seen.as_mut().unwrap()
}

/// What a pass knows.
pub(crate) fn observed(embedded: Embedded) -> Observed {
    Observed {
        honoured: Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, ""),
        obstacle: None,
        source: Source::Embedded(Box::new(embedded)),
        bound: true,
    }
}
