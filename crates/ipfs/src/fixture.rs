//! The fixtures of this crate's tests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    api::{IpfsCluster, Network},
    component::{Decision, Intent},
    default_source::DefaultSource,
    manifest::{Manifest, secret},
    network::Home,
    provider::{External, Provider},
    shared::Made,
    testkit,
    volume::Offer,
};

use crate::{
    Defaults, Ipfs,
    access::Access,
    decide::{
        self,
        view::{EmbeddedView, View},
    },
    identity::{self, Identity},
    names::{self, MOST_PEERS, Names, network_name},
    observed::{Embedded, Objects, Observed, Peer, PeerPod, Pinset, Report},
    survey::Survey,
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> IpfsCluster {
    testkit::object("temporal", spec)
}

/// An object with this number of peers.
pub(crate) fn of_size(replicas: i32) -> IpfsCluster {
    object(&json!({"replicas": replicas}))
}

/// The settings of the installation.
pub(crate) fn defaults() -> Defaults {
    Defaults { kubo_image: "kubo:0.42".to_owned(), cluster_image: "ipfs-cluster:1.1".to_owned(), home: Home::default() }
}

/// Nothing exists yet.
pub(crate) fn empty() -> Embedded {
    Embedded {
        objects: Objects {
            shared: Vec::new(),
            shared_in_use: None,
            identities: Vec::new(),
            unreadable: Vec::new(),
            restart: None,
            replicas: None,
            listed: 0,
            service: None,
            volumes: (0..MOST_PEERS).map(|_| None).collect(),
            pods: Vec::new(),
            surplus: Vec::new(),
        },
        offer: Offer::default(),
        peers: Vec::new(),
        pinset: Pinset::Silent(0),
    }
}

/// This number of peers, connected and with all pins.
pub(crate) fn healthy(object: &IpfsCluster, peers: i32) -> Embedded {
    let mut embedded = empty();
    embedded.objects = Objects {
        shared: vec![shared_secret(1, object.spec.network)],
        shared_in_use: Some(1),
        identities: (0..peers).map(identity).collect(),
        replicas: Some(peers),
        listed: peers,
        service: Some("10.96.0.1".to_owned()),
        volumes: (0..MOST_PEERS).map(|ordinal| (ordinal < peers).then(|| claim(ordinal))).collect(),
        pods: (0..peers).map(pod).collect(),
        ..embedded.objects
    };
    embedded.peers = (0..peers).map(|ordinal| peer(ordinal, peers)).collect();
    with_survey(embedded, Survey { pins: 10, ..Survey::default() })
}

/// The same after this survey.
pub(crate) fn with_survey(embedded: Embedded, survey: Survey) -> Embedded {
    Embedded { pinset: Pinset::Current(survey), ..embedded }
}

/// An existing shared secret. The first needs no permission, and all others do.
pub(crate) fn shared_secret(number: u32, network: Network) -> Made {
    let mut annotations = json!({"temporal-stack.dev/network": network_name(network)});
    if number > 1 {
        annotations["temporal-stack.dev/full-restart"] = json!("permitted");
    }
    let secret = json!({
        "metadata": {
            "name": names::shared(&Names::new(&of_size(1)), number),
            "labels": {"temporal-stack.dev/shared-secret": number.to_string()},
            "annotations": annotations,
        },
        "data": {"cluster-secret": "YWFhYQ==", "swarm-key": "YmJiYg=="},
    });
    Made::parse(serde_json::from_value(secret).unwrap()).unwrap()
}

/// The identity of a peer; always the same one.
pub(crate) fn identity(ordinal: i32) -> Identity {
    let seed = u8::try_from(ordinal).unwrap();
    Identity { ordinal, kubo: identity::key_of_seed(seed), cluster: identity::key_of_seed(seed + 100) }
}

/// The data of the Secret of an identity.
pub(crate) fn identity_data() -> Value {
    let key = STANDARD.encode(identity::key_of_seed(7).private);
    json!({"kubo-private-key": key, "cluster-private-key": key})
}

/// A bound volume claim.
pub(crate) fn claim(ordinal: i32) -> PersistentVolumeClaim {
    let name = Names::new(&of_size(1)).volume(ordinal);
    let claim = json!({"metadata": {"name": name, "namespace": "default"}, "status": {"phase": "Bound"}});
    serde_json::from_value(claim).unwrap()
}

/// A pod that is ready.
pub(crate) fn pod(ordinal: i32) -> PeerPod {
    PeerPod {
        ordinal,
        is_ready: true,
        is_serving: true,
        is_outdated: false,
        shared: Some(1),
        ip: Some(format!("10.244.0.{ordinal}")),
        incarnation: format!("{ordinal}"),
    }
}

/// A peer that is connected to all others of this number.
pub(crate) fn peer(ordinal: i32, peers: i32) -> Peer {
    let id = |ordinal| identity(ordinal).cluster.id;
    let report = Report {
        id: id(ordinal),
        version: "1.1.6".to_owned(),
        rpc_protocol: "/ipfscluster/1.0/rpc".to_owned(),
        visible_peers: (0..peers).map(id).collect(),
        allocates_to: (0..peers).map(id).collect(),
        kubo_id: identity(ordinal).kubo.id,
        kubo_version: "0.42.0".to_owned(),
        connected: (0..peers).filter(|other| *other != ordinal).map(|other| identity(other).kubo.id).collect(),
        repository: 1 << 20,
        most: 9 << 30,
        ..Report::default()
    };
    Peer { ordinal, access: Access::at_host(&format!("10.244.0.{ordinal}")), report: Ok(report) }
}

/// Where a server is.
pub(crate) fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

/// The report of a peer, to change it.
pub(crate) fn report(embedded: &mut Embedded, ordinal: i32) -> &mut Report {
    let peer = embedded.peers.iter_mut().find(|peer| peer.ordinal == ordinal).unwrap();
    peer.report.as_mut().unwrap()
}

/// The observed state of a pass.
pub(crate) fn observed(embedded: Embedded) -> Observed {
    Observed {
        config: None,
        default_source: DefaultSource::Ours,
        is_bound: true,
        provider: Provider::Embedded(Box::new(embedded)),
    }
}

/// A cluster elsewhere, described by a Secret with these keys.
pub(crate) fn external(keys: Option<&[(&str, &str)]>) -> Observed {
    Observed {
        provider: Provider::External(External {
            name: "theirs".to_owned(),
            secret: keys.map(|keys| secret("theirs".to_owned(), keys)),
        }),
        ..observed(empty())
    }
}

/// The view of an object whose peers the controller runs.
pub(crate) fn view<'a>(object: &'a IpfsCluster, observed: &'a Observed) -> EmbeddedView<'a> {
    let Provider::Embedded(embedded) = View::new(object, observed).provider else { panic!("not embedded") };
    *embedded
}

/// The decision.
pub(crate) fn decision(object: &IpfsCluster, embedded: Embedded) -> Decision<Ipfs> {
    decide::decide(object, &observed(embedded), &defaults())
}

/// The intent.
pub(crate) fn intent(object: &IpfsCluster, embedded: Embedded) -> Intent<Ipfs> {
    decision(object, embedded).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

/// The desired objects.
pub(crate) fn manifests(object: &IpfsCluster, embedded: Embedded) -> Vec<Manifest> {
    intent(object, embedded).manifests
}
