//! Every fixture, and all that is made of it.

use std::collections::BTreeSet;

use serde_json::json;
use temporal_stack_common::{
    api::Temporal,
    manifest::Manifest,
    testkit::{bill, limits::too_long},
};

use super::desire;
use crate::{
    certificate::Made,
    fixture::{self, defaults, unmade, well, whole},
    names,
    observe::{Admin, Observed, Tls},
    tables::Found,
};

fn snapshot(object: &Temporal, observed: &Observed) -> String {
    bill(&desire(object, observed, &defaults()))
}

#[test]
fn what_the_defaults_make() {
    let object = whole();
    insta::assert_snapshot!(snapshot(&object, &well(&object)));
}

#[test]
fn the_environment_waits_with_all_that_read_it() {
    let object = whole();
    let manifests = desire(&object, &well(&object), &defaults());
    let deployments = manifests.iter().filter(|manifest| manifest.resource.kind == "Deployment");
    let deployments: BTreeSet<String> = deployments.map(Manifest::reference).collect();
    let name = names::environment(&object);
    let environment = manifests.iter().find(|manifest| manifest.name() == name).unwrap();
    assert_eq!(environment.read_by.iter().cloned().collect::<BTreeSet<_>>(), deployments);
}

#[test]
fn before_anything_is_made() {
    insta::assert_snapshot!(snapshot(&whole(), &unmade()));
}

#[test]
fn everything_that_can_be_said_of_temporal_is_in_its_manifests() {
    let named = json!({"name": "temporal"});
    let object = fixture::object(&json!({
        "database": named, "queue": named, "ipfs": named,
        "image": "example.com/temporal:v2.9.0",
        "bridge": "Off",
        "api": {
            "replicas": 2,
            "resources": {"limits": {"memory": "4Gi"}},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
            "drainSeconds": 60,
        },
        "workers": {"cluster": {"replicas": 3}, "emailSend": {"replicas": 0}},
        "krab": {"storage": {"size": "2Gi", "storageClassName": "fast"}},
        "tls": {"names": ["api.example.com"]},
        "ingress": {"host": "api.example.com", "className": "nginx", "tlsSecretName": "api-tls", "annotations": {"c": "d"}},
        "admins": [{"secretName": "first-admin"}],
        "deletionPolicy": "Delete",
        "rollout": "Automatic",
    }));
    let made = Made {
        key: "key".to_owned(),
        ca: "authority".to_owned(),
        certificate: "certificate".to_owned(),
        renewal: 1_800_000_000,
    };
    let observed = Observed {
        settings: fixture::settings(&[
            ("API_CONNECTION_CERTIFICATES_CERTPATH", "/temporal/api.cert"),
            ("API_CONNECTION_CERTIFICATES_KEYPATH", "/temporal/api.key"),
            ("API_CONNECTION_LIMIT", "100"),
            ("LOGDIR", "/logs"),
        ]),
        tls: Tls::Made(Some(made)),
        image: "example.com/temporal:v2.9.0".to_owned(),
        tables: Ok(Found::default()),
        admins: vec![Admin { secret: "first-admin".to_owned(), username: Ok("admin".to_owned()), run: None }],
        restart: Some("1".to_owned()),
        ..well(&object)
    };
    insta::assert_snapshot!(snapshot(&object, &observed));
}

#[test]
fn the_longest_name_fits_wherever_it_is_used() {
    let mut object = whole();
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let mut observed = well(&object);
    observed.tables = Ok(Found::default());
    observed.admins = vec![Admin { secret: "s".repeat(253), username: Ok("admin".to_owned()), run: None }];
    let manifests = desire(&object, &observed, &defaults());
    assert!(manifests.iter().any(|manifest| manifest.name().contains("-account-")));
    assert_eq!(too_long(&manifests, 1), [] as [String; 0]);
}
