mod messages;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Secret},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    manifest::{Manifest, Mode},
    neighbour::Neighbour,
    published::CREDENTIALS_PRIVATE,
};

use super::*;
use crate::{
    fixture::{
        admin, condition, config, database, decide, fresh, keys, manifests, migrated, names, not_ready, object,
        outstanding, ready, referring, referring_with, running, suspended, workload,
    },
    names::{JWT_KEY, Names},
    observed::{References, Run, Tables},
    reason,
    role::WORKERS,
};

fn intent_of(object: &Temporal, observed: &Observed) -> Intent<Application> {
    decide(object, observed).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

/// What is reported as the reason of the object not being Ready; empty where nothing is awaited.
fn reason_of(object: &Temporal, observed: &Observed) -> String {
    match decide(object, observed).intent {
        Ok(intent) => intent.waiting.map(|waiting| waiting.reason.to_string()).unwrap_or_default(),
        Err(Stalled { reason, .. }) => reason.to_string(),
    }
}

fn condition_of(object: &Temporal, observed: &Observed, kind: &str) -> [String; 3] {
    condition(&decide(object, observed).conditions, kind)
}

/// Which kinds and names a pass would create or change: what is only kept is not among them.
fn applied(object: &Temporal, observed: &Observed) -> Vec<String> {
    let manifests = manifests(object, observed);
    let is_applied = |mode: &Mode| matches!(mode, Mode::Applied);
    manifests.iter().filter(|manifest| is_applied(&manifest.mode)).map(Manifest::reference).collect()
}

fn actions_of(object: &Temporal, observed: &Observed) -> Vec<String> {
    intent_of(object, observed).actions.iter().map(ToString::to_string).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "as the field has it")]
fn queues(consumers: u32) -> Option<Asked<Vec<Queue>>> {
    Some(Ok(QUEUES.map(|name| Queue { name, consumers }).to_vec()))
}

#[test]
fn each_step_waits_for_the_one_before() {
    let (object, names) = (referring(), names());
    let mut observed = fresh();
    let at = |observed: &Observed| (outstanding(&object, observed).step, reason_of(&object, observed));
    let is_applied = |observed: &Observed, kind: &str| applied(&object, observed).iter().any(|it| it.starts_with(kind));
    assert_eq!(at(&observed), (Step::Dependencies, "Preparing".to_owned()));
    observed.secrets.extend([keys(&names)]);
    assert_eq!(at(&observed), (Step::Queues, "DeclaringQueues".to_owned()));
    observed.queues = queues(0);
    assert_eq!(at(&observed), (Step::Migration, "Migrating".to_owned()));
    assert!(!is_applied(&observed, "StatefulSet"));
    observed.tables = Some(Ok(Tables::default()));
    observed = migrated(&object, observed);
    assert_eq!(at(&observed).0, Step::Krab);
    assert!(is_applied(&observed, "StatefulSet/temporal-temporal-krab") && !is_applied(&observed, "Deployment"));
    observed.krab = Some(workload::<StatefulSet>(&names.krab, 1));
    assert_eq!(at(&observed).0, Step::Workers);
    assert!(!is_applied(&observed, "Deployment/temporal-temporal-api"));
    for role in WORKERS {
        let name = names.child(role.name());
        observed.deployments.insert(name.clone(), workload::<Deployment>(&name, 1));
    }
    assert_eq!(at(&observed).0, Step::Api);
    assert!(is_applied(&observed, "Deployment/temporal-temporal-api"));
}

#[test]
fn unready_dependency_leaves_running_parts_unchanged() {
    let object = referring();
    let mut observed = running(&object);
    observed.references.database = Some(not_ready());
    let jobs = ["temporal-temporal-migrate-0", "temporal-temporal-account-0"];
    observed.jobs = jobs.map(|name| (name.to_owned(), Run::default())).into();
    let manifests = manifests(&object, &observed);
    for name in [
        "Deployment/temporal-temporal-api",
        "StatefulSet/temporal-temporal-krab",
        "Job/temporal-temporal-migrate-0",
        "Job/temporal-temporal-account-0",
    ] {
        assert!(manifests.iter().any(|manifest| manifest.reference() == name), "{name} would be pruned");
        assert!(!applied(&object, &observed).contains(&name.to_owned()), "{name} would be changed");
    }
}

#[test]
fn migration_for_another_image_leaves_running_parts_unchanged() {
    let observed = running(&referring());
    let object = referring_with(json!({"image": "temporal:2"}));
    assert_eq!(outstanding(&object, &observed).step, Step::Migration);
    assert_eq!(reason_of(&object, &observed), "Migrating");
    let applied = applied(&object, &observed);
    assert!(!applied.iter().any(|name| name.starts_with("Deployment")), "{applied:?}");
}

#[test]
fn migration_that_created_no_tables_has_failed() {
    let object = referring();
    let tables = Some(Ok(Tables { missing: vec!["uploads"], ..Tables::default() }));
    let observed = Observed { tables, ..running(&object) };
    assert_eq!(outstanding(&object, &observed).step, Step::Migration);
    assert_eq!(reason_of(&object, &observed), "MigrationFailed");
    let [_, _, message] = condition_of(&object, &observed, "Migrated");
    assert!(message.contains("uploads") && message.contains("kubectl -n default logs job/"), "{message}");
}

#[test]
fn refused_migration_pod_is_reported_while_tables_exist() {
    let object = referring();
    let mut observed = running(&object);
    let refusal = "the pod is refused: minimum memory usage per Container is 48Mi, but request is 8Mi";
    observed.jobs.values_mut().for_each(|run| *run = Run { is_done: false, trouble: Some(refusal.to_owned()) });
    assert!(!observed.jobs.is_empty() && observed.tables == Some(Ok(Tables::default())), "the tables exist");
    assert_eq!(outstanding(&object, &observed).step, Step::Migration);
    assert_eq!(reason_of(&object, &observed), "Migrating");
    let [status, reason, message] = condition_of(&object, &observed, "Migrated");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Migrating"));
    assert!(message.contains("cannot run") && message.contains(refusal), "{message}");
    let applied = applied(&object, &observed);
    assert!(!applied.iter().any(|name| name.starts_with("Deployment")), "{applied:?}");
}

#[test]
fn queue_without_consumers_is_observed_again_soon() {
    let object = referring();
    let intent = intent_of(&object, &running(&object));
    assert!(intent.waiting.is_none() && intent.look_again == Some(LOOK_EVERY) && intent.probe.is_some());
    let observed = Observed { queues: queues(0), ..running(&object) };
    let intent = intent_of(&object, &observed);
    assert_eq!(intent.waiting.unwrap().reason.to_string(), "ConsumersMissing");
    assert_eq!(intent.look_again, Some(LOOK_SOON));
}

#[test]
fn rights_are_granted_to_a_complete_account_only() {
    let object = referring_with(json!({"admins": [{"secretName": "first"}]}));
    let job = names().account("first");
    let with = |run: Option<bool>, admins: &[&str]| {
        let mut observed = Observed { named: [admin("first")].into(), ..running(&object) };
        observed.tables = Some(Ok(Tables {
            accounts: ["admin".to_owned()].into(),
            admins: admins.iter().map(|name| (*name).to_owned()).collect(),
            ..Tables::default()
        }));
        observed.jobs.extend(run.map(|is_done| (job.clone(), Run { is_done, trouble: None })));
        observed
    };
    assert_eq!(actions_of(&object, &with(None, &[])), [] as [&str; 0]);
    assert_eq!(actions_of(&object, &with(Some(false), &[])), [] as [&str; 0]);
    assert_eq!(actions_of(&object, &with(Some(true), &[])), ["make account admin an administrator"]);
    assert_eq!(actions_of(&object, &with(Some(true), &["admin"])), [] as [&str; 0]);
    // Not before the tables are those of the image.
    let another = referring_with(json!({"admins": [{"secretName": "first"}], "image": "temporal:2"}));
    assert_eq!(actions_of(&another, &with(Some(true), &[])), [] as [&str; 0]);
}

#[test]
fn missing_queues_are_declared_with_the_bindings_credentials() {
    let observed = Observed { queues: Some(Ok(Vec::new())), ..running(&referring()) };
    let actions = intent_of(&referring(), &observed).actions;
    let [Action::DeclareQueues { broker, queues }] = &actions[..] else { panic!("{actions:?}") };
    assert!(broker.uri.contains("queue-password") && queues.len() == QUEUES.len());
    assert!(!format!("{actions:?} {}", actions[0]).contains("password"), "{actions:?}");
}

#[test]
fn unreachable_server_is_reported_by_its_own_condition() {
    let object = referring_with(json!({"admins": [{"secretName": "first"}]}));
    let mut observed = running(&object);
    observed.named.insert("first".to_owned(), None);
    observed.queues = Some(Err("no route".to_owned()));
    let [status, reason, _] = condition_of(&object, &observed, "QueuesServed");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "BrokerUnreachable"));
    assert_eq!(condition_of(&object, &observed, "Migrated")[0], "True");
    observed.tables = Some(Err("no route".to_owned()));
    assert_eq!(condition_of(&object, &observed, "Migrated")[1], "DatabaseUnreachable");
    // Known whatever else is missing.
    assert_eq!(condition_of(&object, &observed, "AdminsReady")[1], "SecretMissing");
}

#[test]
fn queue_whose_workers_are_scaled_to_zero_is_not_served() {
    let object = referring_with(json!({"workers": {"pin": {"replicas": 0}}}));
    let [status, reason, message] = condition_of(&object, &running(&object), "QueuesServed");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NoWorkers"));
    assert!(message.contains("spec.workers.pin.replicas"), "{message}");
    assert_eq!(condition_of(&referring(), &running(&referring()), "QueuesServed")[0], "True");
}

/// Variables that name servers elsewhere.
const ELSEWHERE: [(&str, &str); 5] = [
    ("DATABASE_URL", "db.example.com"),
    ("DATABASE_PASSWORD", "x"),
    ("RABBITMQ_URL", "amqp://app:x@broker.example.com:5672/"),
    ("IPFS_API_CONNECTION_HOST", "kubo.example.com"),
    ("IPFS_CLUSTER_API_CONNECTION_HOST", "cluster.example.com"),
];

/// An object that refers to nothing, and everything runs.
fn elsewhere() -> (Temporal, Observed) {
    let object = object(&json!({}));
    let observed = Observed { config: config(&ELSEWHERE), references: References::default(), ..running(&object) };
    let observed = migrated(&object, observed);
    (object, observed)
}

#[test]
fn external_servers_are_not_reported_as_ready() {
    let [_, _, message] = condition_of(&referring(), &running(&referring()), "DependenciesReady");
    assert!(message.contains("PostgresDatabase/temporal is Ready"), "{message}");
    let (object, mut observed) = elsewhere();
    let [status, _, message] = condition_of(&object, &observed, "DependenciesReady");
    assert!(status == "True" && !message.contains("Ready"), "{message}");
    observed.tables = Some(Err("no route".to_owned()));
    let [status, reason, _] = condition_of(&object, &observed, "DependenciesReady");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "DatabaseUnreachable"));
}

#[test]
fn published_credential_is_reported_without_its_value() {
    let stated = |variables: &[(&str, &str)]| {
        let observed = Observed { config: config(variables), ..running(&referring()) };
        condition_of(&referring(), &observed, CREDENTIALS_PRIVATE)
    };
    let [status, reason, message] = stated(&[("API_JWT_KEY", "suchStrongKeyMuchProtectVerySafe")]);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "PublishedCredential"));
    assert!(message.contains("temporal-config: API_JWT_KEY") && !message.contains("suchStrong"), "{message}");
    assert!(message.contains("kubectl patch configmap temporal-config -n default"), "{message}");
    assert_eq!(stated(&[("API_JWT_KEY", "mine")])[0], "True");
    let (object, observed) = elsewhere();
    assert_eq!(condition_of(&object, &observed, CREDENTIALS_PRIVATE)[0], "True");
    let variables = ELSEWHERE.map(|(key, value)| (key, if value == "x" { "password123" } else { value }));
    let observed = Observed { config: config(&variables), ..observed };
    assert_eq!(condition_of(&object, &observed, CREDENTIALS_PRIVATE)[0], "False");
}

#[test]
#[expect(clippy::useless_vec, reason = "an array would be too large for the stack")]
fn stalled_object_gets_no_manifests() {
    let named = |secret: Secret| Observed { secrets: [(names().keys, secret)].into(), ..running(&referring()) };
    let (_, incomplete) = keys(&names());
    let incomplete = Secret {
        data: incomplete.data.map(|mut data| {
            data.remove(JWT_KEY);
            data
        }),
        ..incomplete
    };
    let volume = Some(PersistentVolumeClaim::default());
    for (object, observed, reason) in vec![
        (referring(), Observed { volume, secrets: [].into(), ..fresh() }, reason::SECRET_MISSING),
        (referring(), named(incomplete), reason::SECRET_INCOMPLETE),
        (referring_with(json!({"tls": {"names": ["bücher.example.com"]}})), fresh(), reason::INVALID_SPEC),
        (referring_with(json!({"ingress": {"host": "0.0.0.0"}})), fresh(), reason::INVALID_SPEC),
    ] {
        assert_eq!(reason_of(&object, &observed), reason.to_string());
    }
}

/// An object whose API serves TLS with this field.
fn with_tls(tls: &Value) -> (Temporal, Observed) {
    let object = referring_with(json!({ "tls": tls }));
    let paths = [("API_CONNECTION_CERTIFICATES_CERTPATH", "/a.crt"), ("API_CONNECTION_CERTIFICATES_KEYPATH", "/a.key")];
    let observed = Observed { config: config(&paths), ..running(&object) };
    (object, observed)
}

#[test]
fn invalid_keys_stall_the_certificate() {
    let (object, mut observed) = with_tls(&json!({}));
    assert_eq!(reason_of(&object, &observed), "Preparing");
    let names = Names::new(&object);
    let broken = temporal_stack_common::manifest::secret(String::new(), &[("ca.key", "x"), ("tls.key", "x")]);
    observed.secrets.insert(names.certificate_keys, broken);
    assert_eq!(reason_of(&object, &observed), "SecretIncomplete");
}
