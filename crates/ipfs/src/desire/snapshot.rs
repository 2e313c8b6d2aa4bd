//! Every stage of a cluster's life → all manifests as YAML: reviewing them is reading Kubernetes objects.

use serde_json::json;
use temporal_stack_common::{
    api::IpfsCluster,
    manifest::{Making, Manifest},
    network::Home,
    testkit::{bill, limits::too_long},
};

use super::desire;
use crate::{
    Defaults,
    external::Access,
    fixture::{self, of_size},
    observe::{Embedded, Observed, Source, Surveyed},
    survey::Survey,
};

fn manifests(object: &IpfsCluster, observed: &Observed) -> Vec<Manifest> {
    let defaults = Defaults {
        kubo_image: "kubo:0.42".to_owned(),
        cluster_image: "ipfs-cluster:1.1".to_owned(),
        home: Home::default(),
    };
    desire(object, observed, &defaults)
}

fn of(object: &IpfsCluster, embedded: Embedded) -> Vec<Manifest> {
    manifests(object, &fixture::observed(embedded))
}

fn named<'a>(manifests: &'a [Manifest], reference: &str) -> Option<&'a Manifest> {
    manifests.iter().find(|manifest| manifest.reference() == reference)
}

#[test]
fn an_empty_spec_draws_what_one_peer_needs_before_the_peer() {
    let object = fixture::object(&json!({}));
    insta::assert_snapshot!(bill(&of(&object, fixture::unmade(&object))));
}

#[test]
fn a_single_peer_of_the_public_network() {
    let object = fixture::object(&json!({}));
    insta::assert_snapshot!(bill(&of(&object, fixture::well(&object, 1))));
}

#[test]
fn everything_that_can_be_said_of_a_cluster_is_in_its_manifests() {
    let object = fixture::object(&json!({
        "replicas": 2,
        "network": "private",
        "replication": {"min": 1, "max": 2},
        "deletionPolicy": "Delete",
        "provider": {"kubo": {
            "storage": {"size": "1Gi", "storageClassName": "fast"},
            "image": "example/kubo:1",
            "clusterImage": "example/ipfs-cluster:1",
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
            "clusterResources": {"limits": {"memory": "1Gi"}},
            "pubsub": true,
            "garbageCollection": true,
            "kuboConfig": {"Datastore": {"StorageMax": "500MB"}},
            "clusterConfig": {"CLUSTER_RESTAPI_HEADERS": "X:$(HOME)"},
            "clients": [{"podSelector": {"matchLabels": {"app": "temporal"}}}],
            "gateway": {"type": "LoadBalancer", "annotations": {"example.com/pool": "a"}},
            "swarm": {"type": "NodePort"},
            "proxy": true,
        }},
    }));
    insta::assert_snapshot!(bill(&of(&object, fixture::well(&object, 2))));
}

#[test]
fn somebody_elses_cluster_needs_a_binding_only() {
    let object = fixture::object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let access = Access {
        host: "kubo.example.com".to_owned(),
        port: 5001,
        cluster_host: "cluster.example.com".to_owned(),
        cluster_port: 9094,
    };
    let observed = Observed { source: Source::External(Some(access)), ..fixture::observed(fixture::unmade(&object)) };
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn scaling_changes_no_pod() {
    let template = |peers| {
        let object = of_size(peers);
        let manifests = of(&object, fixture::well(&object, peers));
        named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["template"].clone()
    };
    assert_eq!(template(1), template(5));
}

#[test]
fn peers_stay_while_the_keys_of_further_ones_are_made() {
    let object = of_size(5);
    let manifests = of(&object, fixture::well(&object, 3));
    assert_eq!(named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["replicas"], 3);
    assert!(named(&manifests, "Secret/temporal-ipfscluster-peers").is_some());
    assert!(named(&manifests, "Secret/temporal-ipfscluster-identity-4").is_some());
}

#[test]
fn a_set_that_somebody_deleted_comes_back_as_it_was() {
    let object = of_size(1);
    let manifests = of(&object, Embedded { replicas: None, ..fixture::well(&object, 3) });
    assert_eq!(named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["replicas"], 3);
}

#[test]
fn a_peer_that_is_to_leave_gets_no_clients() {
    let object = of_size(2);
    let manifests = of(&object, fixture::well(&object, 3));
    let serves = |pod: &str| {
        let labels = named(&manifests, &format!("Pod/temporal-ipfscluster-{pod}")).unwrap();
        labels.object["metadata"]["labels"]["temporal-stack.dev/serves"].clone()
    };
    assert_eq!([serves("1"), serves("2")], ["true", "false"]);
}

/// What becomes of the identity and the claim of a peer that has left: `kept` as it was, `marked`, or `absent`.
fn what_is_left(policy: &str, survey: Survey, pods: i32, has_claim: bool) -> (&'static str, &'static str) {
    let object = fixture::object(&json!({"replicas": 2, "deletionPolicy": policy}));
    let mut embedded = fixture::well(&object, 2);
    embedded.pods = (0..pods).map(fixture::pod).collect();
    embedded.claims.extend(has_claim.then(|| fixture::claim(2)));
    embedded.survey = Surveyed::Now(survey);
    let manifests = of(&object, embedded);
    let fate = |name: &str| match named(&manifests, name) {
        Some(manifest) if matches!(manifest.making, Making::Absent) => "absent",
        Some(manifest) if manifest.object["metadata"]["labels"]["temporal-stack.dev/left"] == "true" => "marked",
        _ => "kept",
    };
    (fate("Secret/temporal-ipfscluster-identity-2"), fate("PersistentVolumeClaim/data-temporal-ipfscluster-2"))
}

#[test]
fn what_a_peer_that_has_left_had_goes_under_delete_volume_first_when_nothing_can_be_missed() {
    let restoring = || Survey { to_restore: 1, ..Survey::default() };
    assert_eq!(what_is_left("Delete", Survey::default(), 2, true), ("kept", "absent"));
    assert_eq!(what_is_left("Delete", Survey::default(), 2, false), ("absent", "kept"));
    assert_eq!(what_is_left("Delete", restoring(), 2, true), ("kept", "kept"));
    assert_eq!(what_is_left("Delete", Survey::default(), 3, true), ("kept", "kept"));
}

#[test]
fn the_volume_of_a_peer_that_has_left_is_marked_under_retain() {
    assert_eq!(what_is_left("Retain", Survey::default(), 2, true), ("kept", "marked"));
    assert_eq!(what_is_left("Retain", Survey::default(), 3, true), ("kept", "kept"));
}

#[test]
fn an_object_made_again_brings_back_all_that_had_not_left() {
    let object = of_size(1);
    let replicas = |has_left| {
        let mut embedded = Embedded { replicas: None, listed: 0, ..fixture::well(&object, 2) };
        embedded.claims[1].has_left = has_left;
        let manifests = of(&object, embedded);
        let set = named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap();
        set.object["spec"]["replicas"].clone()
    };
    assert_eq!(replicas(None), 2);
    assert_eq!(replicas(Some(true)), 1);
}

#[test]
fn the_longest_name_fits_wherever_it_is_used() {
    let mut object = of_size(32);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = of(&object, fixture::well(&object, 32));
    assert_eq!(too_long(&manifests, 32), [] as [String; 0]);
}
