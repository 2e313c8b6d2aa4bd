//! Snapshots of all manifests as YAML, for every stage of a cluster, to be reviewed as Kubernetes objects.

use serde_json::json;
use temporal_stack_common::{
    manifest::{Manifest, Mode},
    testkit::{bill, limits::too_long, mistaken_ports},
};

use crate::{
    decide::decide,
    fixture::{self, defaults, healthy, manifests, of_size, with_survey},
    names::LEFT,
    survey::Survey,
};

fn named<'a>(manifests: &'a [Manifest], reference: &str) -> Option<&'a Manifest> {
    manifests.iter().find(|manifest| manifest.reference() == reference)
}

#[test]
fn empty_spec_draws_secrets_before_the_peer() {
    let object = fixture::object(&json!({}));
    insta::assert_snapshot!(bill(&manifests(&object, fixture::empty())));
}

#[test]
fn default_spec_makes_one_public_peer() {
    let object = fixture::object(&json!({}));
    insta::assert_snapshot!(bill(&manifests(&object, healthy(&object, 1))));
}

#[test]
fn all_fields_of_the_spec_are_in_the_manifests() {
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
    insta::assert_snapshot!(bill(&manifests(&object, healthy(&object, 2))));
}

#[test]
fn external_cluster_needs_a_binding_only() {
    let object = fixture::object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let keys = [("host", "kubo.example.com"), ("cluster-host", "cluster.example.com")];
    let intent = decide(&object, &fixture::external(Some(&keys)), &defaults()).intent.unwrap();
    insta::assert_snapshot!(bill(&intent.manifests));
}

#[test]
fn scaling_changes_no_pod() {
    let template = |peers| {
        let object = of_size(peers);
        let manifests = manifests(&object, healthy(&object, peers));
        named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["template"].clone()
    };
    assert_eq!(template(1), template(5));
}

#[test]
fn peers_stay_while_further_identities_are_made() {
    let object = of_size(5);
    let manifests = manifests(&object, healthy(&object, 3));
    assert_eq!(named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["replicas"], 3);
    assert!(named(&manifests, "Secret/temporal-ipfscluster-peers").is_some());
    assert!(named(&manifests, "Secret/temporal-ipfscluster-identity-4").is_some());
}

#[test]
fn deleted_set_comes_back_with_all_peers() {
    let object = of_size(1);
    let mut embedded = healthy(&object, 3);
    embedded.objects.replicas = None;
    let manifests = manifests(&object, embedded);
    assert_eq!(named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap().object["spec"]["replicas"], 3);
}

#[test]
fn leaving_peer_gets_no_clients() {
    let object = of_size(2);
    let manifests = manifests(&object, healthy(&object, 3));
    let is_serving = |pod: &str| {
        let labels = named(&manifests, &format!("Pod/temporal-ipfscluster-{pod}")).unwrap();
        labels.object["metadata"]["labels"]["temporal-stack.dev/serves"].clone()
    };
    assert_eq!([is_serving("1"), is_serving("2")], ["true", "false"]);
}

/// What becomes of the identity and the claim of a peer that has left: `kept` as it was, `marked`, or `absent`.
fn fate_of_a_leaver(policy: &str, survey: Survey, pods: i32, has_claim: bool) -> (&'static str, &'static str) {
    let object = fixture::object(&json!({"replicas": 2, "deletionPolicy": policy}));
    let mut embedded = with_survey(healthy(&object, 2), survey);
    embedded.objects.pods = (0..pods).map(fixture::pod).collect();
    embedded.objects.volumes[2] = has_claim.then(|| fixture::claim(2));
    let manifests = manifests(&object, embedded);
    let fate = |name: &str| match named(&manifests, name) {
        Some(manifest) if matches!(manifest.mode, Mode::Absent) => "absent",
        Some(manifest) if manifest.object["metadata"]["labels"]["temporal-stack.dev/left"] == "true" => "marked",
        _ => "kept",
    };
    (fate("Secret/temporal-ipfscluster-identity-2"), fate("PersistentVolumeClaim/data-temporal-ipfscluster-2"))
}

#[test]
fn volume_and_then_identity_of_a_leaver_go_under_delete() {
    let restoring = || Survey { to_restore: 1, ..Survey::default() };
    assert_eq!(fate_of_a_leaver("Delete", Survey::default(), 2, true), ("kept", "absent"));
    assert_eq!(fate_of_a_leaver("Delete", Survey::default(), 2, false), ("absent", "kept"));
    assert_eq!(fate_of_a_leaver("Delete", restoring(), 2, true), ("kept", "kept"));
    assert_eq!(fate_of_a_leaver("Delete", Survey::default(), 3, true), ("kept", "kept"));
}

#[test]
fn volume_of_a_leaver_is_marked_under_retain() {
    assert_eq!(fate_of_a_leaver("Retain", Survey::default(), 2, true), ("kept", "marked"));
    assert_eq!(fate_of_a_leaver("Retain", Survey::default(), 3, true), ("kept", "kept"));
}

#[test]
fn recreated_object_brings_back_peers_that_had_not_left() {
    let object = of_size(1);
    let replicas = |has_left: bool| {
        let mut embedded = healthy(&object, 2);
        (embedded.objects.replicas, embedded.objects.listed) = (None, 0);
        let mut claim = fixture::claim(1);
        claim.metadata.labels = has_left.then(|| [(LEFT.to_owned(), "true".to_owned())].into());
        embedded.objects.volumes[1] = Some(claim);
        let manifests = manifests(&object, embedded);
        let set = named(&manifests, "StatefulSet/temporal-ipfscluster").unwrap();
        set.object["spec"]["replicas"].clone()
    };
    assert_eq!(replicas(false), 2);
    assert_eq!(replicas(true), 1);
}

#[test]
fn mesh_learns_the_protocol_of_each_port() {
    for network in ["public", "private"] {
        let provider = json!({"kubo": {"gateway": {}, "swarm": {}, "proxy": true}});
        let object = fixture::object(&json!({"network": network, "provider": provider}));
        assert_eq!(mistaken_ports(&manifests(&object, healthy(&object, 1))), [] as [String; 0], "{network}");
    }
}

#[test]
fn longest_name_fits_everywhere() {
    let mut object = of_size(32);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = manifests(&object, healthy(&object, 32));
    assert_eq!(too_long(&manifests, 32), [] as [String; 0]);
}
