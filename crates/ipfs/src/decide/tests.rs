mod messages;

use serde_json::{Value, json};
use temporal_stack_common::{
    condition::{CONFIG_HONOURED, Reason},
    manifest::Mode,
};

use super::*;
use crate::{
    fixture::{self, defaults, healthy, of_size, report},
    observed::{Embedded, Pinset},
    survey::{Lacking, Unlisted},
};

fn waiting_of(embedded: Embedded) -> Option<Waiting> {
    fixture::intent(&of_size(3), embedded).waiting
}

fn reason_of(embedded: Embedded) -> Option<&'static str> {
    waiting_of(embedded).map(|waiting| waiting.reason.as_str())
}

#[test]
fn connected_peers_wait_for_nothing() {
    let intent = fixture::intent(&of_size(3), healthy(&of_size(3), 3));
    assert_eq!((intent.waiting, intent.look_again), (None, Some(CALM)));
}

#[test]
fn silent_peer_is_named_with_the_cause() {
    let mut embedded = healthy(&of_size(3), 3);
    embedded.peers[1].report = Err("Kubo: connection refused".to_owned());
    let Waiting { reason, message } = waiting_of(embedded).unwrap();
    assert_eq!(reason.as_str(), "PeerUnreachable");
    assert!(message.contains("temporal-ipfscluster-1") && message.contains("connection refused"), "{message}");
}

#[test]
fn disconnected_peers_are_named_with_the_port() {
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 2).visible_peers.remove(0);
    let Waiting { reason, message } = waiting_of(embedded).unwrap();
    assert_eq!(reason.as_str(), "NotConnected");
    for part in ["temporal-ipfscluster-2", "temporal-ipfscluster-0", "9096"] {
        assert!(message.contains(part), "{message}");
    }
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 0).connected.clear();
    let message = waiting_of(embedded).unwrap().message;
    assert!(message.contains("temporal-ipfscluster-0") && message.contains("4001"), "{message}");
}

#[test]
fn missing_pods_and_mixed_versions_are_waited_for() {
    let mut embedded = healthy(&of_size(3), 3);
    embedded.objects.pods[2].is_ready = false;
    assert_eq!(reason_of(embedded), Some("PeersNotReady"));
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 0).rpc_protocol = "/ipfscluster/2.0/rpc".to_owned();
    assert_eq!(reason_of(embedded), Some("ProtocolMismatch"));
}

#[test]
fn moving_cluster_is_observed_again_soon() {
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 0).copies.queued = 1;
    assert_eq!(fixture::intent(&of_size(3), embedded).look_again, Some(BUSY));
}

#[test]
fn cluster_with_a_lost_pin_is_observed_again_soon() {
    for (due, look_again) in [(1, BUSY), (0, CALM)] {
        let lost = Lacking { count: 1, ..Lacking::default() };
        let survey = Survey { unlisted: Unlisted { lost, due, ..Unlisted::default() }, ..Survey::default() };
        let embedded = fixture::with_survey(healthy(&of_size(3), 3), survey);
        assert_eq!(fixture::intent(&of_size(3), embedded).look_again, Some(look_again));
    }
}

#[test]
fn external_cluster_is_verified_or_stalled() {
    let object = fixture::object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let keys = [("host", "kubo"), ("cluster-host", "cluster")];
    let intent = decide(&object, &fixture::external(Some(&keys)), &defaults()).intent.unwrap();
    assert_eq!(intent.probe.unwrap().access.kubo.to_string(), "kubo:5001");
    assert!(intent.inspection.unwrap().is_read_only);
    let reason =
        |keys| decide(&object, &fixture::external(keys), &defaults()).intent.err().map(|stalled| stalled.reason);
    let expected: [Option<Reason>; 2] = [Some(reason::SECRET_MISSING), Some(reason::SECRET_INCOMPLETE)];
    assert_eq!([reason(None), reason(Some(&keys[..1]))], expected);
}

#[test]
fn probe_uses_the_service_and_another_peer() {
    let intent = fixture::intent(&of_size(3), healthy(&of_size(3), 3));
    let probe = intent.probe.unwrap();
    assert_eq!(probe.access.cluster.to_string(), "10.96.0.1:9094");
    assert_eq!(probe.reader.to_string(), "10.244.0.2:5001");
}

#[test]
fn swarm_address_that_no_peer_announces_is_remarked() {
    let honoured = |network: &str, type_: &str, config: Value| {
        let kubo = json!({"swarm": {"type": type_}, "kuboConfig": config});
        let object = fixture::object(&json!({"network": network, "provider": {"kubo": kubo}}));
        let conditions = fixture::decision(&object, healthy(&object, 1)).conditions;
        format!("{:?}", conditions.iter().find(|condition| condition.kind() == CONFIG_HONOURED).unwrap())
    };
    for type_ in ["NodePort", "LoadBalancer"] {
        let honoured = honoured("public", type_, json!({"Addresses": {"AppendAnnounce": []}}));
        assert!(honoured.contains("holds: true") && honoured.contains("Adapted"), "{honoured}");
        for part in ["announce the addresses of their pods", type_, "kuboConfig.Addresses.AppendAnnounce"] {
            assert!(honoured.contains(part), "`{part}` is not in: {honoured}");
        }
    }
    let announced = json!({"Addresses": {"AppendAnnounce": ["/ip4/192.0.2.1/tcp/30001"]}});
    for (network, type_, config) in
        [("public", "ClusterIP", json!({})), ("private", "NodePort", json!({})), ("public", "NodePort", announced)]
    {
        let honoured = honoured(network, type_, config);
        assert!(honoured.contains("AsWritten"), "{honoured}");
    }
}

#[test]
fn cluster_elsewhere_cannot_be_suspended() {
    let suspended = fixture::decision(&fixture::object(&json!({"suspend": true})), healthy(&of_size(1), 1));
    assert!(suspended.suspension.is_some() && suspended.intent.is_ok());
    let object = fixture::object(&json!({"suspend": true, "provider": {"external": {"secretName": "theirs"}}}));
    let refused = decide(&object, &fixture::external(None), &defaults());
    assert_eq!((refused.intent.err().unwrap().reason.as_str(), refused.suspension), ("InvalidSpec", None));
}

#[test]
fn suspended_peers_come_back_all_and_lose_no_volume() {
    let stopped = || {
        let mut embedded = healthy(&of_size(3), 3);
        (embedded.objects.replicas, embedded.objects.pods, embedded.peers) = (Some(0), Vec::new(), Vec::new());
        // Before they stopped, every pin had its copies.
        Embedded { pinset: Pinset::Earlier(Survey::default()), ..embedded }
    };
    for policy in ["Retain", "Delete"] {
        for (wanted, replicas) in [(1, 3), (3, 3)] {
            let spec = json!({"suspend": true, "replicas": wanted, "deletionPolicy": policy});
            let intent = fixture::intent(&fixture::object(&spec), stopped());
            let set = intent.manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
            assert_eq!(set.object["spec"]["replicas"], replicas, "{policy} {wanted}");
            let claims = intent.manifests.iter().filter(|manifest| manifest.resource.kind == "PersistentVolumeClaim");
            let kept = claims.filter(|claim| claim.object["metadata"].get("labels").is_none());
            assert_eq!(kept.filter(|claim| matches!(claim.mode, Mode::Existing)).count(), 3, "{policy} {wanted}");
            assert!(intent.actions.is_empty(), "nothing is pinned elsewhere");
        }
    }
}
