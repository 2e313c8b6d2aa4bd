//! All messages of conditions and actions, to be read as an operator does.

use std::sync::Arc;

use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, Network},
    testkit::{distinct, texts},
};

use crate::{
    act::{Action, Recover},
    fixture::{self, decision, healthy, identity, object, of_size, pod, report, shared_secret, with_survey},
    observed::{Embedded, FailedCopy, Pinset},
    survey::{Impossible, Lacking, Relist, ShortPins, Survey, Unlisted},
};

fn changed(peers: i32, change: impl FnOnce(&mut Embedded)) -> Embedded {
    let mut embedded = healthy(&of_size(peers), peers);
    change(&mut embedded);
    embedded
}

fn failed(error: &str) -> FailedCopy {
    FailedCopy {
        cid: "bafkfailed".to_owned(),
        error: error.to_owned(),
        attempts: 1,
        is_lost: false,
        is_removal: false,
        is_due: true,
    }
}

fn with_errors(error: &str, given_up: u64, is_removal: bool) -> Embedded {
    changed(3, |embedded| {
        let copies = &mut report(embedded, 0).copies;
        (copies.errors, copies.given_up) = (given_up.max(1), given_up);
        copies.failed = vec![FailedCopy { is_removal, ..failed(error) }];
    })
}

fn short() -> Survey {
    Survey { pins: 10, short: ShortPins { count: 2, examples: vec!["bafkshort".to_owned()] }, ..Survey::default() }
}

/// Surveys with pins that the third peer lacks.
fn unlisted() -> [Survey; 5] {
    let lacking = |count| Lacking { count, cid: "bafkunlisted".to_owned(), peer: identity(2).cluster.id };
    let survey = |unlisted| Survey { pins: 10, unlisted, ..Survey::default() };
    let lost = |count| survey(Unlisted { lost: lacking(count), ..Unlisted::default() });
    [
        Survey { relist: vec![Relist { pin: Arc::default(), lacking: vec![identity(2).cluster.id] }], ..lost(1) },
        Survey { short: short().short, ..lost(3) },
        survey(Unlisted { stuck: lacking(2), ..Unlisted::default() }),
        survey(Unlisted { doubtful: lacking(1), ..Unlisted::default() }),
        survey(Unlisted { doubtful: lacking(2), ..Unlisted::default() }),
    ]
}

/// The third peer has left the set, and its pod has not ended.
fn ending(embedded: &mut Embedded) {
    embedded.objects.surplus.push(pod(2));
    embedded.objects.listed = 3;
}

/// Peers in every state, each with the object.
fn states() -> Vec<(IpfsCluster, Embedded)> {
    let impossible = Impossible { count: 1, examples: vec!["bafkmany".to_owned()], highest: 3 };
    let leaving = |survey| (of_size(2), with_survey(healthy(&of_size(2), 3), survey));
    let raise = || Survey { pins: 10, to_raise: 4, ..Survey::default() };
    let restore = || Survey { pins: 10, to_restore: 1, ..Survey::default() };
    let known = |change: fn(&mut Embedded)| (of_size(3), changed(3, change));
    let mut states = vec![
        (of_size(1), fixture::empty()),
        (of_size(1), healthy(&of_size(1), 1)),
        known(|embedded| embedded.objects.pods[2].is_ready = false),
        known(|embedded| embedded.objects.pods.clear()),
        known(|embedded| embedded.peers[1].report = Err("Kubo: 10.244.0.1:5001 does not answer: timeout".to_owned())),
        known(|embedded| report(embedded, 0).id = "12D3other".to_owned()),
        known(|embedded| report(embedded, 0).rpc_protocol = "/ipfscluster/2.0/rpc".to_owned()),
        known(|embedded| report(embedded, 2).visible_peers.clear()),
        known(|embedded| report(embedded, 0).connected.clear()),
        known(|embedded| report(embedded, 0).allocates_to.clear()),
        known(|embedded| report(embedded, 0).copies.queued = 1234),
        known(|embedded| report(embedded, 0).copies.is_full = true),
        known(|embedded| report(embedded, 0).repository = 9 << 30),
        known(|embedded| embedded.pinset = Pinset::Silent(1)),
        known(|embedded| embedded.pinset = Pinset::Failed("peer 12D3 does not list its pins".to_owned())),
        known(|embedded| embedded.pinset = Pinset::Earlier(Survey::default())),
        (of_size(3), with_errors("context canceled", 0, false)),
        (of_size(3), with_errors("", 1234, false)),
        (of_size(3), with_errors("no such pin", 0, true)),
        (of_size(3), with_survey(healthy(&of_size(3), 3), short())),
        leaving(Survey::default()),
        leaving(short()),
        leaving(raise()),
        leaving(Survey { impossible, ..short() }),
        (of_size(2), changed(2, ending)),
        (of_size(3), with_survey(healthy(&of_size(3), 3), restore())),
    ];
    let (object, mut full) = leaving(raise());
    report(&mut full, 2).repository = 100 << 30;
    states.push((object, full));
    let mut left = with_survey(healthy(&of_size(2), 2), restore());
    left.objects.identities.push(identity(2));
    report(&mut left, 0).visible_peers.push(identity(2).cluster.id);
    states.push((of_size(2), left));
    states.extend(unlisted().map(|survey| (of_size(3), with_survey(healthy(&of_size(3), 3), survey))));
    states
}

/// What the user must correct.
fn mistakes() -> Vec<(IpfsCluster, Embedded)> {
    let spec = |spec| {
        let object = object(&spec);
        let embedded = healthy(&object, 3);
        (object, embedded)
    };
    let private = object(&json!({"replicas": 3, "network": "private"}));
    let mut stopping = healthy(&of_size(3), 3);
    stopping.objects.shared.push(shared_secret(2, Network::Public));
    vec![
        spec(json!({"replicas": 0})),
        spec(json!({"replicas": 3, "replication": {"min": 3, "max": 2}})),
        spec(json!({"replicas": 3, "replication": {"min": 4, "max": 4}})),
        spec(json!({"replicas": 3, "replication": {"min": -1, "max": 2}})),
        spec(json!({"provider": {"kubo": {}, "external": {"secretName": "theirs"}}})),
        spec(json!({"replicas": 3, "network": "private", "provider": {"kubo": {"kuboConfig": {
            "Identity": {}, "Gatewy": 1, "API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["*"]}},
        }}}})),
        spec(json!({"replicas": 3, "provider": {"kubo": {"kuboConfig": {"Reprovider": {"Interval": "12h"}}}}})),
        spec(json!({"replicas": 3, "provider": {"kubo": {"clusterConfig": {
            "CLUSTER_REPLICATIONFACTORMIN": "5", "CLUSTER_REPLICATIONFACTORMAX": "6",
            "CLUSTER_SECRET": "short", "CLUSTER_LEAVEONSHUTDOWN": "true",
        }}}})),
        (private, healthy(&of_size(3), 3)),
        (of_size(3), changed(3, |embedded| embedded.objects.identities.clear())),
        (
            of_size(3),
            changed(3, |embedded| {
                let secret = "temporal-ipfscluster-identity-0".to_owned();
                embedded.objects.unreadable.push((secret, "kubo-private-key"));
            }),
        ),
        (of_size(3), changed(3, |embedded| embedded.objects.shared.clear())),
        (of_size(3), stopping),
    ]
}

#[test]
fn messages_are_as_reviewed() {
    let external = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let keys = [("host", "kubo"), ("cluster-host", "cluster")];
    let externals = [None, Some(&keys[..1]), Some(&keys[..])];
    let externals =
        externals.map(|keys| super::super::decide(&external, &fixture::external(keys), &fixture::defaults()));
    let embedded = states().into_iter().chain(mistakes()).map(|(object, embedded)| decision(&object, embedded));
    let lost = Recover {
        ordinal: 1,
        access: crate::access::Access::at_host("10.244.0.1"),
        cids: vec!["bafka".to_owned(), "bafkb".to_owned()],
        lost: None,
    };
    let lines = embedded.chain(externals).flat_map(|decision| {
        let probe = decision.intent.as_ref().ok().and_then(|intent| intent.probe.as_ref());
        let verified = probe.map(|probe| format!("Verified: a CID {}", probe.evidence));
        texts(&decision).into_iter().chain(verified).collect::<Vec<_>>()
    });
    insta::assert_snapshot!(distinct(lines.chain([format!("action: {}", Action::Recover(lost))])));
}
