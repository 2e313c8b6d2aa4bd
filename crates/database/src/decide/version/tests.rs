use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    component::{Decision, Intent},
    manifest::{Manifest, Mode},
};

use super::major;
use crate::{
    Database,
    decide::decide,
    fixture::{answers, defaults, login, manifests, object, with_logins},
    observe::version::template_of_set,
    observed::{Embedded, Observed, Provider, Report, Runner, Server},
    reason,
};

/// A server that runs with the defaults.
fn running(server: Server) -> Observed {
    let first = login(1, "temporal_a");
    let mut observed = with_logins(&[&first], Some(&first), server);
    let all = manifests(&object(&json!({})), &observed);
    let set = all.into_iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
    let set: StatefulSet = serde_json::from_value(set.object).unwrap();
    let Provider::Administered(administered) = &mut observed.provider else { panic!("not administered") };
    administered.service = Some(Endpoint { host: "10.1.0.1".to_owned(), port: 5432 });
    let embedded = embedded(&mut observed);
    (embedded.live, embedded.has_set) = (template_of_set(&set), true);
    observed
}

fn embedded(observed: &mut Observed) -> &mut Embedded {
    let Provider::Administered(administered) = &mut observed.provider else { panic!("not administered") };
    let Runner::Embedded(embedded) = &mut administered.runner else { panic!("not embedded") };
    embedded
}

fn known() -> Server {
    answers(&[&login(1, "temporal_a")])
}

fn of_image(image: &str) -> Value {
    json!({"provider": {"postgres": {"image": image}}})
}

fn decision(spec: &Value, observed: &Observed) -> Decision<Database> {
    decide(&object(spec), observed, &defaults())
}

fn intent(decision: Decision<Database>) -> Intent<Database> {
    decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn jobs(intent: &Intent<Database>) -> Vec<&Manifest> {
    intent.manifests.iter().filter(|manifest| manifest.resource.kind == "Job").collect()
}

/// The Job of the image has reported this.
fn reported(spec: &Value, mut observed: Observed, report: Report) -> Observed {
    let awaited = intent(decision(spec, &observed));
    let job = jobs(&awaited)[0].name().to_owned();
    embedded(&mut observed).reports = vec![Report { job, ..report }];
    observed
}

fn of_version(version: &str) -> Report {
    Report { version: Some(version.to_owned()), ..Report::default() }
}

#[test]
fn new_image_is_tried_before_the_server_restarts() {
    let decision = decision(&of_image("postgres:17.7"), &running(known()));
    assert!(decision.serving.is_some());
    let intent = intent(decision);
    assert_eq!(jobs(&intent).len(), 1);
    assert!(intent.keeps_templates);
    assert_eq!(intent.waiting.unwrap().reason, reason::CHECKING_IMAGE);
}

#[test]
fn image_of_the_same_major_version_is_rolled_out() {
    for version in ["postgres (PostgreSQL) 17.7 (Debian 17.7-1)", "warning\npostgres (EnterpriseDB) 17.5.0"] {
        let spec = of_image("postgres:17.7");
        let decision = decision(&spec, &reported(&spec, running(known()), of_version(version)));
        assert!(decision.serving.is_none());
        let intent = intent(decision);
        assert!(!intent.keeps_templates && intent.waiting.is_none() && jobs(&intent).is_empty());
    }
}

#[test]
fn image_of_another_major_version_is_refused() {
    for version in ["postgres (PostgreSQL) 18.1", "postgres (PostgreSQL) 18beta1", "postgres (PostgreSQL) 16.4", ""] {
        let spec = of_image("elsewhere/db");
        let decision = decision(&spec, &reported(&spec, running(known()), of_version(version)));
        assert!(decision.serving.is_some());
        let intent = intent(decision);
        let stalled = intent.stalled.as_ref().unwrap();
        assert_eq!(stalled.reason, reason::MAJOR_VERSION_CHANGED, "{version}");
        assert!(stalled.message.starts_with("server not restarted: image elsewhere/db"), "{}", stalled.message);
        // All else is kept in order.
        assert!(intent.keeps_templates && intent.manifests.len() > 5);
    }
}

#[test]
fn unavailable_image_is_explained_with_the_way_back() {
    let spec = of_image("no/such");
    let trouble = Report { trouble: Some("Pod/x: image not found".to_owned()), ..Report::default() };
    let intent = intent(decision(&spec, &reported(&spec, running(known()), trouble)));
    let message = intent.waiting.unwrap().message;
    for part in ["image not found", "keeps its image", "set spec.provider.postgres.image to postgres:17"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn job_that_lost_its_report_is_repeated() {
    let spec = of_image("postgres:17.7");
    let lost = Report { is_lost: true, ..Report::default() };
    let intent = intent(decision(&spec, &reported(&spec, running(known()), lost)));
    assert!(matches!(jobs(&intent)[0].mode, Mode::Absent));
}

#[test]
fn change_of_how_pods_run_is_another_job() {
    let observed = running(known());
    let name = |pods: Value| {
        let mut spec = of_image("private/postgres:17.7");
        spec["pods"] = pods;
        jobs(&intent(decision(&spec, &observed)))[0].name().to_owned()
    };
    assert_ne!(name(json!({})), name(json!({"imagePullSecrets": [{"name": "registry"}]})));
}

#[test]
fn server_that_does_not_answer_is_judged_by_its_last_version() {
    let spec = of_image("postgres:18");
    let mut object = object(&spec);
    let mut observed = running(known());
    observed = reported(&spec, observed, of_version("postgres (PostgreSQL) 18.0"));
    let Provider::Administered(administered) = &mut observed.provider else { panic!("not administered") };
    administered.server = Server::Absent;
    // Nothing is known of the data.
    assert!(!intent(decide(&object, &observed, &defaults())).keeps_templates);

    object.status.get_or_insert_default().server_version = Some("17.6".to_owned());
    let refused = decide(&object, &observed, &defaults());
    assert!(refused.serving.is_none());
    assert!(intent(refused).stalled.is_some());

    // Its pod cannot start anyway: any image may help.
    embedded(&mut observed).has_failed = true;
    assert!(!intent(decide(&object, &observed, &defaults())).keeps_templates);
}

#[test]
fn set_that_was_deleted_does_not_start_with_an_untried_image() {
    let mut object = object(&of_image("postgres:18"));
    object.status.get_or_insert_default().server_version = Some("17.6".to_owned());
    let mut observed = running(Server::Absent);
    (embedded(&mut observed).live, embedded(&mut observed).has_set) = (None, false);
    let intent = intent(decide(&object, &observed, &defaults()));
    assert!(intent.manifests.iter().all(|manifest| manifest.resource.kind != "StatefulSet"));
    assert_eq!(jobs(&intent).len(), 1);
}

#[test]
fn newer_default_image_is_tried_when_it_is_due() {
    let mut observed = running(known());
    embedded(&mut observed).live.as_mut().unwrap().image = "postgres:17.5".to_owned();
    let tries = |spec: &Value| jobs(&intent(decision(spec, &observed))).len();
    assert_eq!(tries(&json!({})), 0);
    assert_eq!(tries(&json!({"rollout": "Automatic"})), 1);
    assert_eq!(tries(&json!({"provider": {"postgres": {"parameters": {"max_connections": "50"}}}})), 1);
}

#[test]
fn major_version_is_the_first_number() {
    for (version, number) in [
        ("postgres (PostgreSQL) 17.6 (Debian 17.6-1.pgdg12+1)", Some(17)),
        ("warning: 1 setting\npostgres (PostgreSQL) 16.2", Some(16)),
        ("17.6 (Debian 17.6-1)", Some(17)),
        ("18beta1", Some(18)),
        ("", None),
    ] {
        assert_eq!(major(version), number, "{version}");
    }
}
