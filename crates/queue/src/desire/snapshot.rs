//! Every stage of a message queue's life → all manifests as YAML: reviewing them is reading Kubernetes objects.

use serde_json::json;
use temporal_stack_common::{
    api::{MessageQueue, annotation},
    manifest::{Making, Manifest},
    network::Home,
    testkit::{bill, limits::too_long},
};

use super::{desire, stateful_set};
use crate::{
    Defaults,
    amqp::Access,
    cookie, fixture,
    observe::{Broker, Embedded, Observed, Source},
};

fn manifests(object: &MessageQueue, observed: &Observed) -> Vec<Manifest> {
    desire(object, observed, &Defaults { rabbitmq_image: "rabbitmq:4.0".to_owned(), home: Home::default() })
}

fn of(object: &MessageQueue, embedded: Embedded) -> Vec<Manifest> {
    manifests(object, &fixture::observed(embedded))
}

/// Names of what is wanted and of what must be absent.
fn summary(manifests: &[Manifest], kind: &str) -> Vec<String> {
    let of_kind = manifests.iter().filter(|manifest| manifest.resource.kind == kind);
    let line = |manifest: &Manifest| {
        let absent = if matches!(manifest.making, Making::Absent) { " absent" } else { "" };
        format!("{}{absent}", manifest.name())
    };
    of_kind.map(line).collect()
}

#[test]
fn an_empty_spec_makes_one_node_and_draws_its_secrets() {
    let object = fixture::object(&json!({}));
    insta::assert_snapshot!(bill(&of(&object, fixture::unmade(&object))));
}

#[test]
fn everything_that_can_be_said_of_a_cluster_is_in_its_manifests() {
    let object = fixture::object(&json!({
        "provider": {"rabbitmq": {
            "replicas": 3,
            "image": "example/rabbitmq:4.1",
            "storage": {"size": "1Gi", "storageClassName": "fast"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
            "additionalConfig": "channel_max = 100\nvm_memory_high_watermark.relative = 0.4",
        }},
        "virtualHost": "app",
        "deletionPolicy": "Delete",
    }));
    insta::assert_snapshot!(bill(&of(&object, fixture::well(&object, 3))));
}

#[test]
fn somebody_elses_broker_needs_a_binding_only() {
    let object = fixture::object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let access = Access {
        host: "mq.example.com".to_owned(),
        port: 5673,
        username: "app".to_owned(),
        password: "a b'c".to_owned(),
        virtual_host: "/".to_owned(),
    };
    let observed = Observed { source: Source::External(Some(access)), ..fixture::observed(fixture::unmade(&object)) };
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn the_members_are_kept_while_nobody_can_be_asked() {
    let object = fixture::of_size(3);
    let asked = of(&object, fixture::well(&object, 3));
    let silent = of(&object, Embedded { broker: Broker::Absent, ..fixture::well(&object, 3) });
    let members = |manifests: &[Manifest]| {
        let found = manifests.iter().find(|manifest| manifest.name().ends_with("-members"));
        found.map(|manifest| manifest.object["data"]["members"].clone())
    };
    assert_eq!(members(&asked), members(&silent));
    assert_eq!(members(&of(&object, fixture::unmade(&object))), None);
}

#[test]
fn a_larger_volume_rolls_the_brokers_by_its_free_limit() {
    let noted = |size: &str, config: &str| {
        let rabbitmq = json!({"storage": {"size": size}, "additionalConfig": config});
        let object = fixture::object(&json!({"provider": {"rabbitmq": rabbitmq}}));
        let manifests = of(&object, fixture::well(&object, 1));
        let set = manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
        let notes = set.object["spec"]["template"]["metadata"]["annotations"].clone();
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
fn the_configuration_waits_with_the_template_of_the_brokers() {
    let object = fixture::of_size(1);
    let manifests = of(&object, fixture::well(&object, 1));
    let config = manifests.iter().find(|manifest| manifest.name().ends_with("-config")).unwrap();
    let workloads: Vec<String> = manifests.iter().map(Manifest::reference).collect();
    assert!(!config.read_by.is_empty() && config.read_by.iter().all(|reader| workloads.contains(reader)));
}

#[test]
fn another_cookie_waits_until_no_pod_has_the_one_before() {
    let object = fixture::of_size(1);
    let mut embedded = fixture::well(&object, 1);
    embedded.cookies.made.push(cookie::made(2));
    let replicas = |manifests: &[Manifest]| {
        let set = manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
        set.object["spec"]["replicas"].clone()
    };
    let stopping = of(&object, embedded);
    assert_eq!(replicas(&stopping), 0);
    assert!(summary(&stopping, "Secret").contains(&"temporal-messagequeue-cookie-1".to_owned()));

    let mut embedded = fixture::unmade(&object);
    embedded.cookies.made = vec![cookie::made(1), cookie::made(2)];
    embedded.cookies.next = None;
    embedded.replicas = Some(0);
    let starting = of(&object, embedded);
    assert_eq!(replicas(&starting), 1);
    assert!(summary(&starting, "Secret").contains(&"temporal-messagequeue-cookie-1".to_owned()));

    let mut embedded = fixture::well(&object, 1);
    embedded.cookies.made.push(cookie::made(2));
    embedded.pods[0].cookie = Some(2);
    let started = of(&object, embedded);
    assert!(summary(&started, "Secret").contains(&"temporal-messagequeue-cookie-1 absent".to_owned()));
}

#[test]
fn the_volume_of_a_node_that_has_left_goes_under_delete_when_its_pod_has_gone() {
    let volumes = |policy: &str, pods: i32| {
        let object = fixture::object(&json!({"provider": {"rabbitmq": {"replicas": 1}}, "deletionPolicy": policy}));
        let mut embedded = fixture::well(&object, 1);
        embedded.pods = (0..pods).map(|ordinal| fixture::pod(&object, ordinal)).collect();
        summary(&of(&object, embedded), "PersistentVolumeClaim")
    };
    let first = "data-temporal-messagequeue-0".to_owned();
    let third = "data-temporal-messagequeue-2 absent".to_owned();
    assert_eq!(volumes("Retain", 1), [first]);
    assert!(volumes("Delete", 1).contains(&third));
    assert!(!volumes("Delete", 3).contains(&third));
}

#[test]
fn the_longest_name_fits_wherever_it_is_used() {
    let mut object = fixture::of_size(5);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = of(&object, fixture::well(&object, 5));
    assert_eq!(too_long(&manifests, 5), [] as [String; 0]);
}
