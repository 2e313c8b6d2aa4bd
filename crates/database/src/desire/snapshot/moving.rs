//! The objects of a move.

use serde_json::json;
use temporal_stack_common::{
    address::Endpoint,
    login::Access,
    manifest::Manifest,
    provider::Answer,
    testkit::{bill, reach},
};

use crate::{
    fixture::{applied, delegated, login, manifests, object, with_logins},
    moving::{EmbeddedParts, Move, Observed, Phase, ProviderName, Record, Run, Source, Step, Target},
    observed,
};

/// The manifests while the Job copies.
fn copying(way: Move, spec: &serde_json::Value) -> Vec<Manifest> {
    let object = object(&json!({"provider": spec, "access": {"clients": []}}));
    let first = login(1, "temporal_a");
    let base = match way.to {
        ProviderName::CloudNativePg => delegated(Some(applied(&object, &json!({}))), &[&first], Some(&first)),
        _ => with_logins(&[&first], Some(&first), crate::fixture::answers(&[&first])),
    };
    let part = |text: &str| text.to_owned();
    let endpoint = Endpoint { host: part("db.example.com"), port: 6432 };
    let theirs = Access { endpoint, username: part("app"), password: part("s3cret"), scope: part("theirs") };
    let is_theirs = way.from == ProviderName::External;
    let found = Observed {
        record: Some(Record {
            way,
            phase: Phase::Copying,
            is_closed: true,
            failure: None,
            attempt: None,
            database: "temporal".to_owned(),
            theirs: is_theirs.then(|| theirs.clone()),
        }),
        job: Some(Run { step: Step::Copying, trouble: None, has_ended: false }),
        source: Answer::Known(Box::new(Source::default())),
        target: Answer::Known(Box::new(Target::default())),
        embedded: EmbeddedParts { set: way.from == ProviderName::Postgres, ..EmbeddedParts::default() },
        cluster: (way.from == ProviderName::CloudNativePg).then(|| crate::fixture::cluster(&json!({}))),
        binding: is_theirs.then_some(theirs.clone()),
        ..Observed::default()
    };
    manifests(&object, &observed::Observed { moving: Some(Box::new(found)), ..base })
}

/// Those of the move itself. The scripts and statements are tested by themselves: here they are one word.
fn parts(mut all: Vec<Manifest>) -> Vec<Manifest> {
    all.retain(|manifest| manifest.name().contains("-move"));
    for job in all.iter_mut().filter(|manifest| manifest.resource.kind == "Job") {
        let pod = &mut job.object["spec"]["template"]["spec"];
        for kind in ["initContainers", "containers"] {
            for container in pod[kind].as_array_mut().into_iter().flatten() {
                container["command"][2] = json!("script");
                for variable in container["env"].as_array_mut().into_iter().flatten() {
                    if variable["value"].as_str().is_some_and(|value| value.len() > 60) {
                        variable["value"] = json!("statements");
                    }
                }
            }
        }
    }
    all
}

#[test]
fn move_to_a_cluster_has_a_job_and_policies() {
    let way = Move { from: ProviderName::Postgres, to: ProviderName::CloudNativePg };
    insta::assert_snapshot!(bill(&parts(copying(way, &json!({"cloudNativePg": {}})))));
}

#[test]
fn move_from_a_server_elsewhere_reads_the_record() {
    let way = Move { from: ProviderName::External, to: ProviderName::Postgres };
    let text = bill(&parts(copying(way, &json!({"postgres": {"image": "example/postgres:17"}}))));
    assert!(!text.contains("s3cret"), "the password is not hidden");
    insta::assert_snapshot!(text);
}

#[test]
fn job_alone_reaches_both_servers() {
    let way = Move { from: ProviderName::CloudNativePg, to: ProviderName::Postgres };
    let all = copying(way, &json!({"postgres": {}}));
    let reach = reach::Reach::new("default", &all);
    let job = reach.pod("temporal-postgresdatabase-move");
    let server = reach::Endpoint::new(
        "default",
        &[("cnpg.io/cluster", "temporal-postgresdatabase"), ("cnpg.io/podRole", "instance")],
    );
    assert!(reach.allows_to(&job, &server, 5432) && reach.allows(&job, "temporal-postgresdatabase", 5432));
    assert!(!reach.allows_to(&job, &server, 8000));
    let stranger = reach::Endpoint::stranger();
    assert!(!reach.allows_to(&stranger, &server, 5432) && !reach.allows(&stranger, "temporal-postgresdatabase", 5432));
    assert!(!reach.allows(&stranger, "temporal-postgresdatabase-move", 5432));
}
