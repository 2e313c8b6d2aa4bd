mod forged;
mod refusals;
mod scene;
mod suspended;

use serde_json::json;
use temporal_stack_common::{manifest::Mode, provider::Answer};

use self::scene::{
    CloudNativePg, External, OWN, Postgres, Scene, actions, condition, is_deleted, is_unchanged, manifest, phase,
    source, target,
};
use crate::{
    moving::{EmbeddedParts, Mark, Part, Phase, ProviderName, Record, Run, Source, Step},
    names::{HIBERNATED, HIBERNATION, REPEAT_MOVE},
    reason,
};

const SET: &str = "StatefulSet/temporal-postgresdatabase";
const CLUSTER: &str = "Cluster/temporal-postgresdatabase";
const CLAIM: &str = "PersistentVolumeClaim/data-temporal-postgresdatabase-0";
const BINDING: &str = "Secret/temporal-postgresdatabase-binding";
const JOB: &str = "Job/temporal-postgresdatabase-move";

/// The provider that the binding gets, if it is written.
fn written(intent: &super::Intent<super::Database>) -> Option<String> {
    let binding = manifest(intent, BINDING).filter(|manifest| matches!(manifest.mode, Mode::Applied))?;
    let secret = serde_json::from_value(binding.object.clone()).ok()?;
    temporal_stack_common::binding::text(&secret, "provider").map(str::to_owned)
}

#[test]
fn move_begins_with_its_record_and_the_target() {
    let intent = Scene::new(Postgres, CloudNativePg, None).intent();
    assert_eq!(intent.manifests[0].reference(), "Secret/temporal-postgresdatabase-move");
    assert_eq!(phase(&intent), Some(Phase::Preparing));
    assert!(manifest(&intent, CLUSTER).is_some_and(|cluster| matches!(cluster.mode, Mode::Applied)));
    for kept in [SET, "Service/temporal-postgresdatabase", "NetworkPolicy/temporal-postgresdatabase", BINDING] {
        assert!(is_unchanged(&intent, kept), "{kept}");
    }
    assert!(manifest(&intent, JOB).is_none());
}

#[test]
fn account_of_the_cluster_leaves_that_of_the_embedded_server() {
    let intent = Scene::new(Postgres, CloudNativePg, None).intent();
    let cluster = manifest(&intent, CLUSTER).unwrap();
    assert_eq!(cluster.object["spec"]["serviceAccountName"], "temporal-postgresdatabase-cluster");
    let account = manifest(&intent, "ServiceAccount/temporal-postgresdatabase-cluster").unwrap();
    assert_eq!(account.object.get("automountServiceAccountToken"), None);

    let intent = Scene::new(CloudNativePg, Postgres, Some(Phase::Preparing)).intent();
    let set = manifest(&intent, SET).unwrap();
    assert_eq!(set.object["spec"]["template"]["spec"]["serviceAccountName"], "temporal-postgresdatabase-server");
}

#[test]
fn ready_is_about_the_source_until_it_is_closed() {
    let serving = |scene: Scene| scene.decide().serving.map(|probe| probe.access.endpoint.host);
    let source = Some("temporal-postgresdatabase.default.svc".to_owned());
    assert_eq!(serving(Scene::new(Postgres, CloudNativePg, None)), source);
    assert_eq!(serving(Scene::in_phase(Phase::Preparing)), source);
    assert_eq!(serving(Scene::in_phase(Phase::Copying).at(Step::Copying)), None);
    assert_eq!(serving(Scene::in_phase(Phase::Returning)), source);
    let switched = Scene { bound: Some(CloudNativePg), ..Scene::in_phase(Phase::Switched) };
    assert_eq!(serving(switched), Some("10.96.0.7".to_owned()));
}

#[test]
fn ready_target_gets_a_job_that_rehearses() {
    let decision = Scene::in_phase(Phase::Preparing).decide();
    assert!(condition(&decision, "Moving").unwrap().contains("Rehearsing"));
    let intent = decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
    assert!(manifest(&intent, JOB).is_some() && phase(&intent) == Some(Phase::Preparing));
    assert_eq!(actions(&intent), [] as [&str; 0]);
}

#[test]
fn target_that_is_not_ready_is_waited_for() {
    let mut scene = Scene::in_phase(Phase::Preparing);
    scene.found.target = Answer::Absent;
    let intent = scene.intent();
    assert!(manifest(&intent, JOB).is_none());
    assert_eq!(intent.waiting.unwrap().reason, reason::MOVING);
    let scene = Scene { has_cluster: false, ..Scene::in_phase(Phase::Preparing) };
    let decision = scene.decide();
    assert!(condition(&decision, "Moving").unwrap().contains("Preparing"));
    assert_eq!(decision.intent.ok().unwrap().waiting.unwrap().reason, reason::CLUSTER_PENDING);
}

#[test]
fn source_is_closed_after_the_record_says_so() {
    let intent = Scene::in_phase(Phase::Preparing).at(Step::Copying).intent();
    assert_eq!(phase(&intent), Some(Phase::Copying));
    assert_eq!(actions(&intent), [] as [&str; 0]);
    let intent = Scene::in_phase(Phase::Copying).at(Step::Copying).intent();
    assert_eq!(
        actions(&intent),
        ["close database temporal to clients", "end the sessions of clients of database temporal"]
    );
    let closed = Source { is_closed: true, is_quiet: false, ..source() };
    let intent = Scene::in_phase(Phase::Copying).at(Step::Copying).with_source(closed.clone()).intent();
    assert_eq!(actions(&intent), ["end the sessions of clients of database temporal"]);
    let quiet = Source { is_quiet: true, ..closed };
    let intent = Scene::in_phase(Phase::Copying).at(Step::Copying).with_source(quiet).intent();
    assert!(intent.actions.is_empty() && is_unchanged(&intent, BINDING) && is_unchanged(&intent, SET));
}

#[test]
fn copy_without_a_difference_is_recorded_before_the_binding() {
    let scene = || Scene::in_phase(Phase::Copying).with_source(Source { is_closed: true, ..source() });
    assert!(condition(&scene().at(Step::Comparing).decide(), "Moving").unwrap().contains("Comparing"));
    let intent = scene().at(Step::Done).intent();
    assert_eq!(phase(&intent), Some(Phase::Switched));
    assert!(is_unchanged(&intent, BINDING));
    let intent = Scene::in_phase(Phase::Switched).at(Step::Done).intent();
    assert_eq!(written(&intent).as_deref(), Some("cloudNativePg"));
    assert!(is_unchanged(&intent, SET));
}

#[test]
fn source_stops_after_the_binding_has_changed() {
    let switched = |policy| Scene { bound: Some(CloudNativePg), policy, ..Scene::in_phase(Phase::Switched) };
    for policy in ["Retain", "Delete"] {
        let intent = switched(policy).intent();
        assert!(manifest(&intent, SET).is_none() && manifest(&intent, JOB).is_none(), "{policy}");
        assert_eq!((phase(&intent), written(&intent).as_deref()), (Some(Phase::Switched), Some("cloudNativePg")));
        assert!(!is_deleted(&intent, CLAIM), "a pod still uses it");
    }
    let stopped = |policy| {
        let mut scene = switched(policy);
        scene.found.embedded = EmbeddedParts { set: false, pod: false, ..scene::parts() };
        scene.intent()
    };
    assert_eq!((phase(&stopped("Retain")), is_deleted(&stopped("Retain"), CLAIM)), (None, false));
    assert_eq!(phase(&stopped("Delete")), Some(Phase::Switched));
    for gone in [CLAIM, "Secret/temporal-postgresdatabase-administrator"] {
        assert!(is_deleted(&stopped("Delete"), gone), "{gone}");
    }
    let mut last = switched("Delete");
    last.found.embedded = EmbeddedParts::default();
    assert_eq!(phase(&last.intent()), None);
}

#[test]
fn tables_are_analysed_while_the_target_serves() {
    let scene = |has_ended| {
        let mut scene = Scene { bound: Some(CloudNativePg), ..Scene::in_phase(Phase::Switched).at(Step::Done) };
        scene.found.embedded = EmbeddedParts { set: false, pod: false, ..scene::parts() };
        scene.found.job = scene.found.job.map(|job| Run { has_ended, ..job });
        scene.intent()
    };
    assert!(manifest(&scene(false), JOB).is_some() && phase(&scene(false)) == Some(Phase::Switched));
    assert!(manifest(&scene(true), JOB).is_none() && phase(&scene(true)).is_none());
}

#[test]
fn cluster_that_was_left_is_hibernated_or_deleted() {
    let switched =
        |policy| Scene { bound: Some(Postgres), policy, ..Scene::new(CloudNativePg, Postgres, Some(Phase::Switched)) };
    let intent = switched("Retain").intent();
    let cluster = manifest(&intent, CLUSTER).unwrap();
    assert_eq!(cluster.object["metadata"]["annotations"][HIBERNATION], "on");
    assert_eq!(cluster.object["spec"]["instances"], 3, "the spec stays");
    assert_eq!(phase(&intent), Some(Phase::Switched));
    let mut hibernated = switched("Retain");
    let annotations = json!({"metadata": {"annotations": {HIBERNATION: "on", HIBERNATED: "u"}}});
    hibernated.found.cluster = Some(crate::fixture::cluster(&annotations));
    assert_eq!(phase(&hibernated.intent()), None);
    assert!(is_deleted(&switched("Delete").intent(), CLUSTER));
    let gone = Scene { has_cluster: false, ..switched("Delete") };
    assert_eq!(phase(&gone.intent()), None);
}

#[test]
fn change_back_removes_the_target_and_keeps_the_source() {
    for before in [Phase::Preparing, Phase::Copying] {
        let intent = Scene::in_phase(before).at(Step::Copying).taken_back().intent();
        assert_eq!(phase(&intent), Some(Phase::Returning));
        assert!(is_deleted(&intent, CLUSTER) && manifest(&intent, JOB).is_none());
        assert!(manifest(&intent, SET).is_some_and(|set| matches!(set.mode, Mode::Applied)));
        assert_eq!(written(&intent).as_deref(), Some("postgres"));
    }
    let ended = Scene { has_cluster: false, ..Scene::in_phase(Phase::Returning).taken_back() };
    assert_eq!(phase(&ended.intent()), None);
}

#[test]
fn embedded_target_goes_after_its_pod() {
    let scene = |parts| {
        let mut scene = Scene::new(CloudNativePg, Postgres, Some(Phase::Copying)).taken_back();
        scene.found.embedded = parts;
        scene.intent()
    };
    let intent = scene(scene::parts());
    assert!(manifest(&intent, SET).is_none() && !is_deleted(&intent, CLAIM));
    let stopped = EmbeddedParts { set: false, pod: false, ..scene::parts() };
    assert!(is_deleted(&scene(stopped.clone()), CLAIM));
    // Data without the mark of this object get it first.
    let unmarked = EmbeddedParts { claim: Some(Part { mark: Mark::Other, ..OWN }), ..stopped };
    assert!(is_unchanged(&scene(unmarked), CLAIM));
    assert_eq!(phase(&scene(EmbeddedParts::default())), None);
}

#[test]
fn source_is_opened_when_the_move_returns() {
    let closed = || Source { is_closed: true, ..source() };
    let intent = Scene::in_phase(Phase::Returning).with_source(closed()).intent();
    assert_eq!(actions(&intent), ["open database temporal to clients"]);
    assert!(is_deleted(&intent, CLUSTER) && is_unchanged(&intent, SET) && is_unchanged(&intent, BINDING));
    // It is open before the record goes.
    let scene = || Scene { has_cluster: false, ..Scene::in_phase(Phase::Returning) };
    assert_eq!(phase(&scene().with_source(closed()).intent()), Some(Phase::Returning));
    assert_eq!(phase(&scene().intent()), None);
    // A source that was never closed need not answer.
    let mut silent = Scene { has_cluster: false, ..Scene::in_phase(Phase::Preparing) };
    silent.found.source = Answer::Absent;
    silent.found.record = Some(Record { phase: Phase::Returning, ..scene::record(silent.way, Phase::Preparing) });
    assert_eq!(phase(&silent.intent()), None);
    let intent = Scene::new(External, Postgres, Some(Phase::Returning)).taken_back().with_source(closed()).intent();
    assert_eq!(actions(&intent), ["open database temporal to clients"]);
}

#[test]
fn failed_copy_goes_back_and_is_quoted() {
    let decision = Scene::in_phase(Phase::Copying).at(Step::Failed).decide();
    assert!(condition(&decision, "Moving").unwrap().contains("ERROR: disk full"));
    let intent = decision.intent.ok().unwrap();
    assert_eq!(phase(&intent), Some(Phase::Returning));
    let record = manifest(&intent, "Secret/temporal-postgresdatabase-move").unwrap();
    let record = Record::read(&serde_json::from_value(record.object.clone()).unwrap()).unwrap();
    assert!(record.failure.unwrap().contains("disk full"));
    assert!(record.attempt.is_some_and(|attempt| attempt.ends_with('/')));
    for before in [Phase::Preparing, Phase::Copying] {
        let intent = Scene::in_phase(before).at(Step::Failed).intent();
        assert_eq!(phase(&intent), Some(Phase::Returning));
    }
    let intent = Scene::in_phase(Phase::Copying).intent();
    assert_eq!(phase(&intent), Some(Phase::Returning), "the Job was deleted");
    for step in [Step::Comparing, Step::Done] {
        let intent = Scene::in_phase(Phase::Copying).at(step).intent();
        assert_eq!(phase(&intent), Some(Phase::Returning), "the source was opened");
    }
    let replaced = Scene::in_phase(Phase::Copying).at(Step::Rehearsing).intent();
    assert_eq!(phase(&replaced), Some(Phase::Returning), "another pod would find the work of the first");
}

/// A move that failed, of which nothing is left but the record.
fn failed() -> Scene {
    let mut scene = Scene { has_cluster: false, ..Scene::in_phase(Phase::Failed) };
    let record = scene.found.record.take().unwrap();
    // What the decision records when it fails.
    let intent = Scene::in_phase(Phase::Copying).at(Step::Failed).intent();
    let attempt = recorded(&intent).attempt;
    scene.found.record = Some(Record { failure: Some("disk full".to_owned()), attempt, ..record });
    scene
}

/// The record that is written.
fn recorded(intent: &super::Intent<super::Database>) -> Record {
    let record = manifest(intent, "Secret/temporal-postgresdatabase-move").unwrap();
    Record::read(&serde_json::from_value(record.object.clone()).unwrap()).unwrap()
}

#[test]
fn record_of_an_earlier_object_is_taken_over_before_it_goes() {
    let mut scene = failed().taken_back();
    scene.found.record_mark = Some(Mark::Other);
    let intent = scene.intent();
    assert!(is_unchanged(&intent, "Secret/temporal-postgresdatabase-move"));
}

#[test]
fn failed_move_rests_until_the_user_acts() {
    let stalled = failed().stalled();
    assert_eq!(stalled.reason, reason::MOVE_FAILED);
    for part in ["disk full", "annotate postgresdatabase temporal temporal-stack.dev/move", "back to postgres"] {
        assert!(stalled.message.contains(part), "`{part}` is not in: {}", stalled.message);
    }
    assert!(failed().decide().serving.is_some());
    let again = Scene { annotations: json!({REPEAT_MOVE: "again"}), ..failed() };
    assert_eq!(phase(&again.intent()), None);
    let other = Scene { spec: json!({"cloudNativePg": {"storage": {"size": "20Gi"}}}), ..failed() };
    assert_eq!(phase(&other.intent()), None, "another spec is another attempt");
    assert_eq!(phase(&failed().taken_back().intent()), None);
    // Its record says so before it rests.
    let mut returned = failed();
    let record = returned.found.record.take().unwrap();
    returned.found.record = Some(Record { phase: Phase::Returning, ..record });
    assert_eq!(phase(&returned.intent()), Some(Phase::Failed));
}

#[test]
fn switch_is_taken_back_only_while_the_binding_has_not_changed() {
    let before = Scene::in_phase(Phase::Switched).taken_back();
    assert_eq!(phase(&before.intent()), Some(Phase::Returning));
    let after = Scene { bound: Some(CloudNativePg), ..Scene::in_phase(Phase::Switched).taken_back() };
    let intent = after.intent();
    assert_eq!(phase(&intent), None);
    assert!(is_unchanged(&intent, SET) && is_unchanged(&intent, BINDING) && !is_deleted(&intent, CLUSTER));
    let without = Scene { bound: None, ..Scene::in_phase(Phase::Switched).taken_back() };
    let stalled = without.stalled();
    assert_eq!(stalled.reason, reason::MOVE_BLOCKED);
    assert!(stalled.message.contains("set spec.provider to cloudNativePg"), "{}", stalled.message);
}

#[test]
fn spec_of_a_third_provider_returns_to_the_source() {
    let mut scene = Scene::in_phase(Phase::Copying).at(Step::Copying);
    scene.wanted = ProviderName::External;
    scene.spec = json!({"external": {"secretName": "theirs"}});
    let intent = scene.intent();
    assert_eq!(phase(&intent), Some(Phase::Returning));
    assert!(is_unchanged(&intent, BINDING) && is_unchanged(&intent, SET));
}

#[test]
fn external_source_is_recorded_with_its_login() {
    for to in [Postgres, CloudNativePg] {
        let intent = Scene::new(External, to, None).intent();
        let record = manifest(&intent, "Secret/temporal-postgresdatabase-move").unwrap();
        let record = Record::read(&serde_json::from_value(record.object.clone()).unwrap()).unwrap();
        assert_eq!(record.theirs.map(|theirs| theirs.password), Some("s3cret".to_owned()));
        let intent = Scene::new(External, to, Some(Phase::Copying)).at(Step::Copying).intent();
        assert_eq!(actions(&intent).len(), 2, "{to:?}");
    }
}

#[test]
fn data_of_the_earlier_provider_are_named() {
    let settled = Scene { bound: Some(CloudNativePg), has_claim: true, ..Scene::new(Postgres, CloudNativePg, None) };
    let kept = Scene { has_cluster: true, ..settled }.decide();
    let told = condition(&kept, "PreviousDataKept").unwrap();
    assert!(told.contains("delete pvc data-temporal-postgresdatabase-0") && told.contains("Retained"), "{told}");
    assert_eq!(condition(&kept, "Moving"), None);
}

#[test]
fn password_is_in_no_message() {
    let decision = Scene::new(External, CloudNativePg, Some(Phase::Copying)).at(Step::Copying).decide();
    let shown = format!("{:?}", decision.conditions);
    let actions = decision.intent.ok().unwrap().actions;
    assert!(!format!("{shown}{actions:?}").contains("s3cret"));
    assert!(target().is_empty);
}
