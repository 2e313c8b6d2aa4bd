//! Snapshots of all manifests as YAML, for every stage of a message queue, to be reviewed as Kubernetes objects.

use serde_json::{Value, json};
use temporal_stack_common::{
    api::{MessageQueue, annotation},
    manifest::{Manifest, Mode},
    testkit::{bill, limits::too_long, mistaken_ports},
};

use super::stateful_set;
use crate::{
    fixture::{cluster, cookie, external, healthy, manifests, object, observed, pod, sized},
    observed::{Broker, BrokerPod, Embedded},
};

fn manifests_of(object: &MessageQueue, embedded: Embedded) -> Vec<Manifest> {
    manifests(object, &cluster(embedded))
}

fn stateful_set_of(manifests: &[Manifest]) -> Value {
    manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap().object.clone()
}

/// The names of desired objects and of those that must be absent.
fn summary(manifests: &[Manifest], kind: &str) -> Vec<String> {
    let of_kind = manifests.iter().filter(|manifest| manifest.resource.kind == kind);
    let line = |manifest: &Manifest| {
        let absent = if matches!(manifest.mode, Mode::Absent) { " absent" } else { "" };
        format!("{}{absent}", manifest.name())
    };
    of_kind.map(line).collect()
}

#[test]
fn empty_spec_makes_one_node_and_draws_its_secrets() {
    let object = object(&json!({}));
    insta::assert_snapshot!(bill(&manifests(&object, &observed())));
}

#[test]
fn full_spec_is_in_the_manifests() {
    let object = object(&json!({
        "provider": {"rabbitmq": {
            "replicas": 3,
            "image": "example/rabbitmq:4.1",
            "storage": {"size": "1Gi", "storageClassName": "fast"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
            "additionalConfig": "channel_max = 100\nvm_memory_high_watermark.relative = 0.4",
        }},
        "deletionPolicy": "Delete",
    }));
    insta::assert_snapshot!(bill(&manifests_of(&object, healthy(&object, 3))));
}

#[test]
fn external_broker_needs_a_binding_only() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let keys = [("host", "mq.example.com"), ("port", "5673"), ("username", "app"), ("password", "a b'c")];
    insta::assert_snapshot!(bill(&manifests(&object, &external(Some(&keys)))));
}

#[test]
fn virtual_host_of_the_spec_reaches_the_binding() {
    let object = object(&json!({"virtualHost": "app"}));
    let manifests = manifests_of(&object, healthy(&object, 1));
    let binding = manifests.iter().find(|manifest| manifest.name() == "temporal-messagequeue-binding").unwrap();
    assert_eq!(binding.object["data"]["virtual-host"], "YXBw");
}

#[test]
fn members_are_kept_while_the_broker_is_silent() {
    let object = sized(3);
    let known = manifests_of(&object, healthy(&object, 3));
    let silent = manifests_of(&object, Embedded { broker: Broker::Absent, ..healthy(&object, 3) });
    let members = |manifests: &[Manifest]| {
        let found = manifests.iter().find(|manifest| manifest.name().ends_with("-members"));
        found.map(|manifest| manifest.object["data"]["members"].clone())
    };
    assert_eq!(members(&known), members(&silent));
    assert_eq!(members(&manifests(&object, &observed())), None);
}

#[test]
fn larger_volume_rolls_the_brokers_by_its_free_limit() {
    let noted = |size: &str, config: &str| {
        let rabbitmq = json!({"storage": {"size": size}, "additionalConfig": config});
        let object = object(&json!({"provider": {"rabbitmq": rabbitmq}}));
        let set = stateful_set_of(&manifests_of(&object, healthy(&object, 1)));
        let notes = set["spec"]["template"]["metadata"]["annotations"].clone();
        (notes[stateful_set::DISK_FREE_LIMIT].clone(), notes[annotation::ROLL].clone())
    };
    let (small, roll) = noted("1Gi", "");
    let (large, same_roll) = noted("2Gi", "");
    assert!(small.is_string() && small != large);
    assert!(stateful_set::DISK_FREE_LIMIT.starts_with(annotation::ROLL_PART));
    // An upgrade from a version that did not note it must not restart brokers.
    assert_eq!(roll, same_roll);
    assert!(noted("2Gi", "disk_free_limit.absolute = 1GB").0.is_null());
}

#[test]
fn configuration_waits_with_the_template_of_the_brokers() {
    let object = sized(1);
    let manifests = manifests_of(&object, healthy(&object, 1));
    let config = manifests.iter().find(|manifest| manifest.name().ends_with("-config")).unwrap();
    let workloads: Vec<String> = manifests.iter().map(Manifest::reference).collect();
    assert!(!config.read_by.is_empty() && config.read_by.iter().all(|reader| workloads.contains(reader)));
}

#[test]
fn next_cookie_waits_until_no_pod_has_the_one_before() {
    let object = sized(1);
    let cookies = || vec![cookie(1, "cookie-1", None), cookie(2, "cookie-2", Some("permitted"))];
    let replicas = |manifests: &[Manifest]| stateful_set_of(manifests)["spec"]["replicas"].clone();
    let stopping = manifests_of(&object, Embedded { cookies: cookies(), ..healthy(&object, 1) });
    assert_eq!(replicas(&stopping), 0);
    assert!(summary(&stopping, "Secret").contains(&"temporal-messagequeue-cookie-1".to_owned()));

    let starting = Embedded { cookies: cookies(), replicas: Some(0), ..Embedded::default() };
    let starting = manifests_of(&object, starting);
    assert_eq!(replicas(&starting), 1);
    assert!(summary(&starting, "Secret").contains(&"temporal-messagequeue-cookie-1".to_owned()));

    let pods = vec![BrokerPod { cookie: Some(2), ..pod(0) }];
    let started = manifests_of(&object, Embedded { cookies: cookies(), pods, ..healthy(&object, 1) });
    assert!(summary(&started, "Secret").contains(&"temporal-messagequeue-cookie-1 absent".to_owned()));
}

#[test]
fn outgrown_volume_is_deleted_when_its_pod_has_gone() {
    let volumes = |policy: &str, pods: i32| {
        let object = object(&json!({"provider": {"rabbitmq": {"replicas": 1}}, "deletionPolicy": policy}));
        let embedded = Embedded { pods: (0..pods).map(pod).collect(), ..healthy(&object, 1) };
        summary(&manifests_of(&object, embedded), "PersistentVolumeClaim")
    };
    let first = "data-temporal-messagequeue-0".to_owned();
    let third = "data-temporal-messagequeue-2 absent".to_owned();
    assert_eq!(volumes("Retain", 1), [first]);
    assert!(volumes("Delete", 1).contains(&third));
    assert!(!volumes("Delete", 3).contains(&third));
}

#[test]
fn mesh_learns_the_protocol_of_each_port() {
    let object = sized(3);
    assert_eq!(mistaken_ports(&manifests_of(&object, healthy(&object, 3))), [] as [String; 0]);
}

#[test]
fn longest_name_fits_wherever_it_is_used() {
    let mut object = sized(5);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = manifests_of(&object, healthy(&object, 5));
    assert_eq!(too_long(&manifests, 5), [] as [String; 0]);
}
