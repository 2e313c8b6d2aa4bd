use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Value, json};
use temporal_stack_common::{address::Endpoint, component::Decision};

use super::major;
use crate::{
    Database,
    decide::decide,
    fixture::{answers, defaults, login, manifests, object, with_logins},
    observe::version::template,
    observed::{Observed, Provider, Report, Runner, Server, Template},
    reason,
};

/// A server that runs with this spec, and what Jobs have reported.
fn running(spec: &Value, server: Server, reports: Vec<Report>) -> Observed {
    let first = login(1, "temporal_a");
    let mut observed = with_logins(&[&first], Some(&first), server);
    let live = live(spec, &observed);
    let Provider::Administered(administered) = &mut observed.provider else { panic!("not administered") };
    administered.service = Some(Endpoint { host: "10.1.0.1".to_owned(), port: 5432 });
    let Runner::Embedded(embedded) = &mut administered.runner else { panic!("not embedded") };
    (embedded.live, embedded.reports) = (Some(live), reports);
    observed
}

fn live(spec: &Value, observed: &Observed) -> Template {
    let all = manifests(&object(spec), observed);
    let set = all.into_iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
    template(&serde_json::from_value::<StatefulSet>(set.object).unwrap()).unwrap()
}

fn known() -> Server {
    answers(&[&login(1, "temporal_a")])
}

fn of_image(image: &str) -> Value {
    json!({"provider": {"postgres": {"image": image}}})
}

fn report(image: &str, version: &str) -> Report {
    Report { image: image.to_owned(), version: Some(version.to_owned()), ..Report::default() }
}

fn decision(spec: &Value, observed: &Observed) -> Decision<Database> {
    decide(&object(spec), observed, &defaults())
}

fn jobs(decision: &Decision<Database>) -> usize {
    let intent = decision.intent.as_ref().unwrap_or_else(|stalled| panic!("{stalled:?}"));
    intent.manifests.iter().filter(|manifest| manifest.resource.kind == "Job").count()
}

#[test]
fn new_image_is_tried_before_the_server_restarts() {
    let decision = decision(&of_image("postgres:17.7"), &running(&json!({}), known(), Vec::new()));
    assert_eq!(jobs(&decision), 1);
    assert!(decision.serving.is_some());
    let intent = decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
    assert!(intent.keeps_templates);
    assert_eq!(intent.waiting.unwrap().reason, reason::CHECKING_IMAGE);
}

#[test]
fn image_of_the_same_major_version_is_rolled_out() {
    let reports = vec![report("postgres:17.7", "postgres (PostgreSQL) 17.7 (Debian 17.7-1)")];
    let decision = decision(&of_image("postgres:17.7"), &running(&json!({}), known(), reports));
    assert_eq!((jobs(&decision), decision.serving.is_some()), (0, false));
    let intent = decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
    assert!(!intent.keeps_templates && intent.waiting.is_none());
}

#[test]
fn image_of_another_major_version_is_refused() {
    for version in ["postgres (PostgreSQL) 18.1", "postgres (PostgreSQL) 18beta1", "postgres (PostgreSQL) 16.4", "sh"] {
        let observed = running(&json!({}), known(), vec![report("elsewhere/db", version)]);
        let decision = decision(&of_image("elsewhere/db"), &observed);
        let stalled = decision.intent.err().unwrap();
        assert_eq!(stalled.reason, reason::MAJOR_VERSION_CHANGED, "{version}");
        assert!(stalled.message.starts_with("server not restarted: image elsewhere/db"), "{}", stalled.message);
        assert!(decision.serving.is_some());
    }
}

#[test]
fn unavailable_image_is_explained() {
    let trouble =
        Report { image: "no/such".to_owned(), trouble: Some("Pod/x: image not found".to_owned()), ..Report::default() };
    let decision = decision(&of_image("no/such"), &running(&json!({}), known(), vec![trouble]));
    let intent = decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
    let message = intent.waiting.unwrap().message;
    assert!(message.contains("image not found") && message.contains("keeps its image"), "{message}");
}

#[test]
fn silent_server_is_judged_by_its_last_version() {
    let mut object = object(&of_image("postgres:18"));
    let observed = running(&json!({}), Server::Absent, vec![report("postgres:18", "postgres (PostgreSQL) 18.0")]);
    // Nothing is known of the data.
    assert!(decide(&object, &observed, &defaults()).intent.is_ok());
    object.status.get_or_insert_default().server_version = Some("17.6".to_owned());
    let decision = decide(&object, &observed, &defaults());
    assert_eq!(decision.intent.err().unwrap().reason, reason::MAJOR_VERSION_CHANGED);
    assert!(decision.serving.is_none());
}

#[test]
fn newer_default_image_is_tried_when_it_is_due() {
    let mut earlier = defaults();
    earlier.postgres_image = "postgres:17.5".to_owned();
    let mut observed = running(&json!({}), known(), Vec::new());
    if let Provider::Administered(administered) = &mut observed.provider
        && let Runner::Embedded(embedded) = &mut administered.runner
    {
        embedded.live.as_mut().unwrap().image = earlier.postgres_image;
    }
    assert_eq!(jobs(&decision(&json!({}), &observed)), 0);
    assert_eq!(jobs(&decision(&json!({"rollout": "Automatic"}), &observed)), 1);
    let resized = json!({"provider": {"postgres": {"parameters": {"max_connections": "50"}}}});
    assert_eq!(jobs(&decision(&resized, &observed)), 1);
}

#[test]
fn major_version_is_read_from_words_and_numbers() {
    for (version, number) in [
        ("postgres (PostgreSQL) 17.6 (Debian 17.6-1.pgdg12+1)", Some(17)),
        ("17.6 (Debian 17.6-1)", Some(17)),
        ("18beta1", Some(18)),
        ("sh: postgres: not found", None),
        ("", None),
    ] {
        assert_eq!(major(version), number, "{version}");
    }
}
