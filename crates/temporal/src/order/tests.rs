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
    let manifests = desire::desire(&object, &observed, &fixture::defaults());
    for name in ["Deployment/temporal-temporal-api", "StatefulSet/temporal-temporal-krab"] {
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
    assert!(message.contains("uploads are not there; see kubectl logs job/"), "{message}");
}

#[test]
fn a_queue_without_its_consumers_is_found() {
    let mut observed = well(&whole());
    assert_eq!(unserved(&whole(), &observed), None);
    observed.queues.as_mut().unwrap().iter_mut().for_each(|queue| queue.consumers = 0);
    assert_eq!(unserved(&whole(), &observed), Some((Role::Cluster, 0)));
}
