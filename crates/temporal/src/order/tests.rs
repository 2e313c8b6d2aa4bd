use super::*;
use crate::{
    broker::Queue,
    desire,
    fixture::{self, unmade, well, whole},
    observe::Run,
};

/// Which kinds and names a pass would make or change: what is only kept is not among them.
fn applied(observed: &Observed) -> Vec<String> {
    use temporal_stack_common::manifest::{Making, Manifest};
    let manifests = desire::desire(&whole(), observed, &fixture::defaults());
    let is_applied = |making: &Making| matches!(making, Making::Applied);
    manifests.iter().filter(|manifest| is_applied(&manifest.making)).map(Manifest::reference).collect()
}

fn reason_of(observed: &Observed) -> (Step, String) {
    let (step, lack) = first_open(&whole(), observed);
    match lack {
        Some(Progress::Waiting { reason, .. } | Progress::Stalled { reason, .. }) => (step, reason.to_string()),
        Some(Progress::Settled) | None => (step, String::new()),
    }
}

#[test]
fn it_comes_up_step_by_step() {
    let mut observed = unmade();
    assert_eq!(reason_of(&observed), (Step::Dependencies, "Preparing".to_owned()));
    observed.keys = well(&whole()).keys;
    assert_eq!(reason_of(&observed), (Step::Queues, "DeclaringQueues".to_owned()));
    observed.queues = Ok(QUEUES.into_iter().map(|name| Queue { name, consumers: 0 }).collect());
    assert_eq!(reason_of(&observed), (Step::Migration, "Migrating".to_owned()));
    assert!(!applied(&observed).iter().any(|name| name.starts_with("StatefulSet")));
    observed.migration = Some(Run { is_done: true, trouble: None });
    observed.tables = Ok(crate::tables::Found::default());
    assert_eq!(reason_of(&observed).0, Step::Krab);
    assert!(applied(&observed).contains(&"StatefulSet/temporal-temporal-krab".to_owned()));
    assert!(!applied(&observed).iter().any(|name| name.starts_with("Deployment")));
    observed.running.insert("temporal-temporal-krab".to_owned(), None);
    assert_eq!(reason_of(&observed).0, Step::Workers);
    assert!(!applied(&observed).contains(&"Deployment/temporal-temporal-api".to_owned()));
    for role in WORKERS {
        observed.running.insert(names::child(&whole(), role.name()), None);
    }
    assert_eq!(reason_of(&observed).0, Step::Api);
    assert!(applied(&observed).contains(&"Deployment/temporal-temporal-api".to_owned()));
}

#[test]
fn what_runs_goes_on_unchanged_when_a_dependency_is_not_ready_any_more() {
    let object = whole();
    let mut observed = well(&object);
    observed.database.lack = Some(Progress::Waiting { reason: UNREACHABLE, message: "x".to_owned() });
    observed.jobs = vec!["temporal-temporal-migrate-0".to_owned(), "temporal-temporal-account-0".to_owned()];
    let manifests = desire::desire(&object, &observed, &fixture::defaults());
    for name in [
        "Deployment/temporal-temporal-api",
        "StatefulSet/temporal-temporal-krab",
        "Job/temporal-temporal-migrate-0",
        "Job/temporal-temporal-account-0",
    ] {
        assert!(manifests.iter().any(|manifest| manifest.reference() == name), "{name} would be pruned");
        assert!(!applied(&observed).contains(&name.to_owned()), "{name} would be changed");
    }
}

#[test]
fn what_runs_goes_on_unchanged_while_the_tables_of_another_image_are_made() {
    let observed = Observed { image: "temporal:2".to_owned(), migration: None, ..well(&whole()) };
    assert_eq!(reason_of(&observed), (Step::Migration, "Migrating".to_owned()));
    assert!(!applied(&observed).iter().any(|name| name.starts_with("Deployment")), "{:?}", applied(&observed));
}

#[test]
fn a_migration_that_ended_well_and_made_no_tables_is_told() {
    let mut observed = well(&whole());
    observed.tables = Ok(crate::tables::Found { missing: vec!["uploads"], ..Default::default() });
    let (step, lack) = first_open(&whole(), &observed);
    let Some(Progress::Waiting { reason, message }) = lack else { panic!("{lack:?}") };
    assert_eq!((step, reason), (Step::Migration, MIGRATION_FAILED));
    assert!(message.contains("uploads do not exist; see kubectl -n "), "{message}");
}

#[test]
fn a_queue_without_its_consumers_is_found() {
    let mut observed = well(&whole());
    assert_eq!(unserved(&whole(), &observed), None);
    observed.queues.as_mut().unwrap().iter_mut().for_each(|queue| queue.consumers = 0);
    assert_eq!(unserved(&whole(), &observed), Some((Role::Cluster, 0)));
}

#[test]
fn another_database_is_migrated_too() {
    let (object, observed) = (whole(), unmade());
    let name = |database| desire::migration_name(&object, "temporal:1", database, None);
    let here = observed.database.access.as_ref().unwrap();
    let there = crate::access::Database { host: "other".to_owned(), ..here.clone() };
    assert_ne!(name(Some(here)), name(Some(&there)));
}

#[test]
fn only_an_account_that_was_made_here_gets_all_rights_and_only_once() {
    use crate::{actions::actions, observe::Admin};
    let mut observed = well(&whole());
    let admin = |run| Admin { secret: "first".to_owned(), username: Ok("admin".to_owned()), run };
    let found = |admins: &[&str]| crate::tables::Found {
        accounts: ["admin".to_owned()].into(),
        admins: admins.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    observed.tables = Ok(found(&[]));
    // Somebody has registered under the name, or the right was taken away.
    observed.admins = vec![admin(None)];
    assert_eq!(actions(&whole(), &observed), []);
    // It is not whole before its run has ended.
    observed.admins = vec![admin(Some(Run { is_done: false, trouble: None }))];
    assert_eq!(actions(&whole(), &observed), []);
    observed.admins = vec![admin(Some(Run { is_done: true, trouble: None }))];
    assert_eq!(actions(&whole(), &observed).len(), 1);
    observed.tables = Ok(found(&["admin"]));
    assert_eq!(actions(&whole(), &observed), []);
}

#[test]
fn each_condition_speaks_of_its_own_matter() {
    use temporal_stack_common::condition::Statement;
    let says = |observed: &Observed, kind, reason, message: &str| {
        crate::progress::statements(&whole(), observed).contains(&Statement::fails(kind, reason, message))
    };
    let mut observed = well(&whole());
    observed.queues = Err("nobody there".to_owned());
    let away = "the queues cannot be looked at: nobody there; it is tried again";
    assert!(says(&observed, "QueuesServed", UNREACHABLE, away));
    assert!(!says(&observed, "Migrated", UNREACHABLE, away));

    let wrong = (reason::SECRET_MISSING, "there is no Secret/first".to_owned());
    let username = Err(wrong.clone());
    observed.admins = vec![crate::observe::Admin { secret: "first".to_owned(), username, run: None }];
    observed.tables = Err("nobody there".to_owned());
    let away = "the tables cannot be looked at: nobody there; it is tried again";
    assert!(says(&observed, "Migrated", UNREACHABLE, away));
    assert!(says(&observed, "AdminsMade", wrong.0, &wrong.1));
}

fn condition(object: &temporal_stack_common::api::Temporal, observed: &Observed, kind: &str) -> serde_json::Value {
    use temporal_stack_common::condition::dated;
    let statements = crate::progress::statements(object, observed);
    let all = dated(statements, &[], None, k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    serde_json::to_value(all.iter().find(|condition| condition.type_ == kind)).unwrap()
}

#[test]
fn a_queue_whose_workers_are_scaled_to_zero_is_not_served() {
    let named = serde_json::json!({"name": "temporal"});
    let workers = serde_json::json!({"pin": {"replicas": 0}});
    let spec = serde_json::json!({"database": named, "queue": named, "ipfs": named, "workers": workers});
    let object = crate::fixture::object(&spec);
    let served = condition(&object, &well(&object), "QueuesServed");
    assert_eq!((&served["status"], &served["reason"]), (&"False".into(), &"NoWorkers".into()));
    assert!(served["message"].as_str().unwrap().contains("spec.workers.pin.replicas"), "{served}");
    assert_eq!(condition(&whole(), &well(&whole()), "QueuesServed")["status"], "True");
}

#[test]
fn ready_is_claimed_of_what_has_a_controller_only() {
    let named = condition(&whole(), &well(&whole()), "DependenciesReady");
    assert!(named["message"].as_str().unwrap().contains("PostgresDatabase/temporal is Ready"), "{named}");
    let object = crate::fixture::object(&serde_json::json!({}));
    let mut observed = well(&object);
    let free = condition(&object, &observed, "DependenciesReady");
    assert!(!free["message"].as_str().unwrap().contains("Ready"), "{free}");
    observed.tables = Err("nobody there".to_owned());
    let away = condition(&object, &observed, "DependenciesReady");
    assert_eq!((&away["status"], &away["reason"]), (&"False".into(), &"Unreachable".into()));
}
