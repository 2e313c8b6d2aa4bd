//! Snapshots of all manifests as YAML, for every stage of an object storage, to be reviewed as Kubernetes objects.

use serde_json::json;
use temporal_stack_common::{
    login::LoginState,
    manifest::{Manifest, Mode},
    testkit::{bill, limits::too_long},
};

use crate::{
    fixture::{
        KEYS, annotated, bound, embedded, engine, external, facts, healthy, known, login, manifests, object, root,
        sized, with_bucket,
    },
    observed::{Found, Known, Survey},
};

#[test]
fn empty_spec_makes_a_server_and_draws_its_root() {
    insta::assert_snapshot!(bill(&manifests(&object(&json!({})), &embedded())));
}

#[test]
fn full_spec_is_in_the_manifests() {
    let object = object(&json!({
        "provider": {"minio": {
            "servers": 4,
            "drivesPerServer": 2,
            "image": "example/minio:1",
            "storage": {"size": "20Gi", "storageClassName": "fast"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        }},
        "buckets": [{"name": "albums"}],
        "deletionPolicy": "Delete",
    }));
    insta::assert_snapshot!(bill(&manifests(&object, &healthy(&object))));
}

#[test]
fn versity_has_a_volume_and_directories() {
    let object = object(&json!({"provider": {"versity": {}}, "buckets": [{"name": "albums"}]}));
    insta::assert_snapshot!(bill(&manifests(&object, &healthy(&object))));
}

#[test]
fn external_storage_needs_bindings_only() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}, "buckets": [{"name": "albums"}]}));
    let buckets = [("albums".to_owned(), Found::Usable(facts()))].into_iter().collect();
    let known = Known { buckets, ..Known::default() };
    insta::assert_snapshot!(bill(&manifests(&object, &external(Some(&KEYS), Survey::Known(known)))));
}

#[test]
fn binding_is_not_led_to_a_foreign_bucket() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}, "buckets": [{"name": "albums"}]}));
    for found in [Found::Foreign, Found::Absent] {
        let buckets = [("albums".to_owned(), found)].into_iter().collect();
        let mut observed = external(Some(&KEYS), Survey::Known(Known { buckets, ..Known::default() }));
        // Nor is the one that has led to a bucket of another storage.
        observed.bound.insert("albums".to_owned(), bound(1));
        let manifests = manifests(&object, &observed);
        assert!(manifests.iter().all(|manifest| matches!(manifest.mode, Mode::Existing)), "{manifests:?}");
    }
}

/// The Secrets of logins and bindings, a line each.
fn secrets(all: &[Manifest]) -> Vec<String> {
    let secrets = all.iter().filter(|manifest| manifest.resource.kind == "Secret" && !manifest.name().contains("root"));
    let line = |manifest: &Manifest| {
        let number = manifest.object.pointer("/metadata/labels/temporal-stack.dev~1login");
        format!("{} {:?} {}", manifest.name(), manifest.mode, number.unwrap_or_default())
    };
    secrets.map(line).collect()
}

#[test]
fn rotation_keeps_the_previous_key_until_the_next() {
    let object = annotated(with_bucket(&json!({})), "temporal-stack.dev/rotate", "may");
    let stage = |count: u32, login_states: &[LoginState], held: u32| {
        let mut observed = healthy(&object);
        let mut logins: Vec<_> = (1..=count).map(login).collect();
        logins.last_mut().unwrap().rotation = (count > 1).then(|| "may".to_owned());
        engine(&mut observed).logins.insert("albums".to_owned(), logins);
        known(&mut observed).login_states.insert("albums".to_owned(), login_states.to_vec());
        observed.bound.insert("albums".to_owned(), bound(held));
        secrets(&manifests(&object, &observed)).join("\n")
    };
    let [yes, no] = [LoginState::Usable, LoginState::Absent];
    let stages = [
        ("a rotation is requested", stage(1, &[yes], 1)),
        ("the engine lacks the next key", stage(2, &[yes, no], 1)),
        ("the engine has it", stage(2, &[yes, yes], 1)),
        ("the binding has it", stage(2, &[yes, yes], 2)),
        ("the key before the previous one works", stage(3, &[yes, yes, yes], 3)),
        ("the key before the previous one is removed", stage(3, &[no, yes, yes], 3)),
    ];
    insta::assert_snapshot!(stages.map(|(title, lines)| format!("{title}:\n{lines}")).join("\n\n"));
}

#[test]
fn full_stop_replaces_the_root_of_several_servers() {
    let object = annotated(sized(4), "temporal-stack.dev/full-restart", "now");
    let set = |observed| {
        let manifests = manifests(&object, &observed);
        let set = manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
        let number = set.object.pointer("/spec/template/metadata/annotations/temporal-stack.dev~1shared-secret");
        let replicas = set.object.pointer("/spec/replicas").unwrap().to_string();
        let roots = manifests.iter().filter(|manifest| manifest.name().contains("-root-"));
        (number.unwrap().as_str().unwrap().to_owned(), replicas, roots.map(|root| format!("{:?}", root.mode)).count())
    };
    let requested = healthy(&object);
    assert_eq!(set(requested), ("1".to_owned(), "4".to_owned(), 2), "the next one is drawn");
    let mut drawn = healthy(&object);
    engine(&mut drawn).roots.push(root(2, Some("now"), "minio-4x1"));
    assert_eq!(set(drawn), ("2".to_owned(), "0".to_owned(), 2), "all servers stop");
    let mut stopped = healthy(&object);
    engine(&mut stopped).roots.push(root(2, Some("now"), "minio-4x1"));
    engine(&mut stopped).pods.clear();
    assert_eq!(set(stopped), ("2".to_owned(), "4".to_owned(), 2), "all servers start");
}

#[test]
fn root_of_a_single_server_is_replaced_by_a_restart() {
    let object = annotated(sized(1), "temporal-stack.dev/full-restart", "now");
    let roll = |observed| {
        let manifests = manifests(&object, &observed);
        let set = manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
        assert_eq!(set.object.pointer("/spec/replicas"), Some(&json!(1)));
        set.object.pointer("/spec/template/metadata/annotations/temporal-stack.dev~1roll").cloned()
    };
    let before = roll(healthy(&object));
    let mut drawn = healthy(&object);
    engine(&mut drawn).roots.push(root(2, Some("now"), "minio-1x1"));
    assert_ne!(roll(drawn), before);
}

#[test]
fn no_argument_or_variable_has_a_key() {
    for spec in [json!({"provider": {"versity": {}}}), json!({"provider": {"minio": {"servers": 4}}})] {
        let object = object(&spec);
        for manifest in manifests(&object, &healthy(&object)) {
            if manifest.resource.kind != "Secret" {
                let text = manifest.object.to_string();
                assert!(!text.contains("root-id") && !text.contains("root-secret"), "{text}");
            }
        }
    }
}

#[test]
fn longest_name_fits_wherever_it_is_used() {
    let mut object = sized(16);
    object.spec.buckets[0].name = "b".repeat(63);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    assert_eq!(too_long(&manifests(&object, &embedded()), 16), [] as [String; 0]);
}
