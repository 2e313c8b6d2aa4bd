//! Snapshots of all manifests as YAML, for every fixture, to be reviewed as Kubernetes objects.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::{
    manifest::{Manifest, secret},
    testkit::{bill, limits::too_long, mistaken_ports},
};

use crate::{
    fixture::{admin, config, fresh, manifests, migrated, names, referring, referring_with, running},
    names::{CA_CERTIFICATE, CA_KEY, FINGERPRINT, Names, RENEWAL, TLS_CERTIFICATE, TLS_KEY},
    observed::Observed,
};

#[test]
fn default_spec_makes_a_whole_instance() {
    let object = referring();
    insta::assert_snapshot!(bill(&manifests(&object, &running(&object))));
}

#[test]
fn environment_waits_with_its_readers() {
    let object = referring();
    let manifests = manifests(&object, &running(&object));
    let deployments = manifests.iter().filter(|manifest| manifest.resource.kind == "Deployment");
    let deployments: BTreeSet<String> = deployments.map(Manifest::reference).collect();
    let environment = manifests.iter().find(|manifest| manifest.name() == names().environment).unwrap();
    assert_eq!(environment.read_by.iter().cloned().collect::<BTreeSet<_>>(), deployments);
}

#[test]
fn new_object_begins_with_keys_and_services() {
    insta::assert_snapshot!(bill(&manifests(&referring(), &fresh())));
}

/// The keys of the certificate, and a certificate that was issued with them.
fn issued(names: &Names) -> [(String, Secret); 2] {
    let keys = secret(names.certificate_keys.clone(), &[(CA_KEY, "key"), (TLS_KEY, "key")]);
    let parts = [(TLS_CERTIFICATE, "certificate"), (TLS_KEY, "key"), (CA_CERTIFICATE, "authority")];
    let mut certificate = secret(names.certificate.clone(), &parts);
    let annotations = [(RENEWAL, "1800000000"), (FINGERPRINT, "663669bb3448219e")];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    certificate.metadata.annotations = Some(annotations.into());
    [(names.certificate_keys.clone(), keys), (names.certificate.clone(), certificate)]
}

#[test]
fn full_spec_is_in_the_manifests() {
    let object = referring_with(json!({
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
        "pods": {
            "imagePullSecrets": [{"name": "registry"}],
            "labels": {"team": "storage"},
            "annotations": {"example.com/cost": "1"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "priorityClassName": "high",
        },
        "deletionPolicy": "Delete",
        "rollout": "Automatic",
    }));
    let mut observed = Observed {
        config: config(&[
            ("API_CONNECTION_CERTIFICATES_CERTPATH", "/temporal/api.cert"),
            ("API_CONNECTION_CERTIFICATES_KEYPATH", "/temporal/api.key"),
            ("API_CONNECTION_LIMIT", "100"),
            ("LOGDIR", "/logs"),
        ]),
        named: [admin("first-admin")].into(),
        restart: Some("1".to_owned()),
        ..running(&object)
    };
    observed.secrets.extend(issued(&Names::new(&object)));
    insta::assert_snapshot!(bill(&manifests(&object, &migrated(&object, observed))));
}

#[test]
fn mesh_learns_the_protocol_of_each_port() {
    let object = referring();
    assert_eq!(mistaken_ports(&manifests(&object, &running(&object))), [] as [String; 0]);
}

#[test]
fn longest_name_fits_wherever_it_is_used() {
    let secret = "s".repeat(253);
    let mut object = referring_with(json!({"admins": [{"secretName": secret}]}));
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let observed = Observed { named: [admin(&secret)].into(), ..running(&object) };
    let manifests = manifests(&object, &observed);
    assert!(manifests.iter().any(|manifest| manifest.name().contains("-account-")));
    assert_eq!(too_long(&manifests, 1), [] as [String; 0]);
}
