mod conditions;
mod limits;

use serde_json::{Value, json};
use temporal_stack_common::{
    api::{ClusterReference, PostgresDatabaseStatus},
    component::{Decision, Intent},
    condition::Reason,
    login::Login,
    world::Admission,
};

use super::*;
use crate::{
    Database,
    cloud_native_pg::Observed as Found,
    decide::decide,
    fixture::{applied, cluster, defaults, delegated, delegated_as, external, login, object, observed, with_logins},
    moving::ProviderName,
    names::READ_HOST,
    observed::{Observed, Provider, Server, Traces},
    postgres::Failure,
};

const SILENT: &str = "failed calling webhook: connection refused";

fn spec() -> Value {
    json!({"provider": {"cloudNativePg": {"image": "postgres:17.6"}}})
}

/// The object whose cluster was taken up with this generation.
fn recorded(generation: Option<i64>) -> PostgresDatabase {
    let reference = ClusterReference {
        name: "temporal-postgresdatabase".to_owned(),
        uid: Some("cluster-uid".to_owned()),
        generation,
    };
    let status = PostgresDatabaseStatus { cluster: Some(reference), ..PostgresDatabaseStatus::default() };
    PostgresDatabase { status: Some(status), ..object(&spec()) }
}

fn first() -> Login {
    login(1, "temporal_a")
}

/// What is known of a cluster that has the wanted spec, with this change.
fn found(change: &Value) -> Found {
    let cluster = Some(applied(&object(&spec()), change));
    Found { cluster, known_for: Duration::from_secs(60), ..Found::default() }
}

fn decided(object: &PostgresDatabase, found: Found) -> Decision<Database> {
    let first = first();
    decide(object, &delegated_as(found, &[&first], Some(&first)), &defaults())
}

fn intent_of(decision: Decision<Database>) -> Intent<Database> {
    decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn waits(object: &PostgresDatabase, found: Found) -> Option<Waiting> {
    intent_of(decided(object, found)).waiting
}

fn reason_of(object: &PostgresDatabase, found: Found) -> Option<Reason> {
    waits(object, found).map(|waiting| waiting.reason)
}

fn stalls(object: &PostgresDatabase, observed: &Observed) -> Stalled {
    decide(object, observed, &defaults()).intent.err().unwrap()
}

fn condition(object: &PostgresDatabase, found: Found, kind: &str) -> Option<String> {
    let conditions = decided(object, found).conditions;
    conditions.iter().find(|condition| condition.kind() == kind).map(|condition| format!("{condition:?}"))
}

fn assert_condition(found: Found, kind: &str, parts: &[&str]) {
    let condition = condition(&recorded(Some(1)), found, kind).unwrap_or_default();
    for part in parts {
        assert!(condition.contains(part), "`{part}` is not in: {condition}");
    }
}

#[test]
fn absent_kind_stalls_with_the_versions_that_are_served() {
    let stalled = |versions: &[&str]| {
        let versions = versions.iter().map(|version| (*version).to_owned()).collect();
        let found = Found { is_served: false, versions, ..Found::default() };
        stalls(&object(&spec()), &delegated_as(found, &[], None))
    };
    assert_eq!(stalled(&[]).reason, reason::CLOUD_NATIVE_PG_MISSING);
    assert_eq!(stalled(&["v1"]).reason, reason::CLOUD_NATIVE_PG_MISSING);
    let other = stalled(&["v2"]);
    assert_eq!(other.reason, reason::CLOUD_NATIVE_PG_UNSUPPORTED);
    assert!(other.message.contains("serves v2, not v1"), "{other:?}");
}

#[test]
fn new_cluster_is_waited_for() {
    let observed = delegated(None, &[], None);
    let intent = intent_of(decide(&object(&spec()), &observed, &defaults()));
    assert_eq!(intent.waiting.unwrap().reason, reason::CLUSTER_PENDING);
    assert!(intent.actions.is_empty() && intent.probe.is_none());
}

#[test]
fn generation_is_recorded_when_it_is_taken_up() {
    let recorded_generation = |object: &PostgresDatabase, found: Found| {
        let reference = decided(object, found).status.cluster.unwrap();
        assert_eq!(reference.uid.as_deref(), Some("cluster-uid"));
        reference.generation
    };
    let new = object(&spec());
    assert_eq!(recorded_generation(&new, found(&json!({}))), Some(1));
    assert_eq!(reason_of(&new, found(&json!({}))), None);
    // A moment after a change the status may still be that of before.
    let just = || Found { known_for: Duration::from_secs(1), ..found(&json!({"metadata": {"generation": 2}})) };
    assert_eq!(recorded_generation(&recorded(Some(1)), just()), Some(1));
    let intent = intent_of(decided(&recorded(Some(1)), just()));
    assert_eq!(intent.waiting.unwrap().reason, reason::CLUSTER_PENDING);
    assert!(intent.look_again.is_some_and(|soon| soon <= NOTICED));
}

#[test]
fn each_missing_fact_is_waited_for_until_a_generation_is_taken_up() {
    let facts = [
        (json!({"status": {"phase": "Failing over"}}), reason::PRIMARY_CHANGING),
        (json!({"status": {"phase": "Invalid cluster definition"}}), reason::CLUSTER_REFUSED),
        (json!({"status": {"readyInstances": 2}}), reason::UNDER_REPLICATED),
        (json!({"status": {"instances": 4}}), reason::UNDER_REPLICATED),
        (json!({"status": {"targetPrimary": "temporal-postgresdatabase-2"}}), reason::PRIMARY_CHANGING),
        (json!({"status": {"image": "postgres:17.5"}}), reason::ROLLING_OUT),
        (json!({"status": {"resizingPVC": ["c-1"]}}), reason::CLUSTER_PENDING),
        (json!({"status": {"unusablePVC": ["c-1"]}}), reason::CLUSTER_FAILED),
        (json!({"status": null}), reason::CLUSTER_PENDING),
    ];
    for (change, reason) in facts {
        assert_eq!(reason_of(&object(&spec()), found(&change)), Some(reason), "{change}");
        let decision = decided(&object(&spec()), found(&change));
        assert_eq!(decision.status.cluster.and_then(|cluster| cluster.generation), None, "{change}");
        // A database that runs is ready while its server answers.
        assert_eq!(reason_of(&recorded(Some(1)), found(&change)), None, "{change}");
    }
}

#[test]
fn catalogue_is_taken_up_with_its_major_version() {
    let provider = json!({"imageCatalogRef": {"name": "postgresql", "major": 17}});
    let object = object(&json!({"provider": {"cloudNativePg": provider}}));
    let reason = |major: i32| {
        let change = json!({"status": {"pgDataImageInfo": {"majorVersion": major}}});
        let cluster = Some(applied(&object, &change));
        reason_of(&object, Found { cluster, known_for: NOTICED, ..Found::default() })
    };
    assert_eq!((reason(16), reason(17)), (Some(reason::ROLLING_OUT), None));
}

#[test]
fn field_that_the_cluster_lost_is_named() {
    let provider = json!({"synchronous": {"number": 1}});
    let object = object(&json!({"provider": {"cloudNativePg": provider}}));
    let cluster = Some(applied(&object, &json!({"spec": {"postgresql": {"synchronous": null}}})));
    let waiting = waits(&object, Found { cluster, known_for: NOTICED, ..Found::default() }).unwrap();
    assert_eq!(waiting.reason, reason::CLOUD_NATIVE_PG_UNSUPPORTED);
    assert!(waiting.message.contains("spec.postgresql"), "{waiting:?}");
}

#[test]
fn silent_operator_delays_a_change_and_leaves_a_database_ready() {
    let silent = || Found { admission: Admission::Silent(SILENT.to_owned()), ..found(&json!({})) };
    let waiting = waits(&object(&spec()), silent()).unwrap();
    assert_eq!(waiting.reason, reason::OPERATOR_NOT_READY);
    assert!(waiting.message.contains(SILENT) && waiting.message.contains("kubectl get pods"), "{waiting:?}");
    assert_eq!(reason_of(&recorded(Some(1)), silent()), None);
    for kind in ["Delegated", "FailoverReady"] {
        assert_condition(silent(), kind, &["OperatorNotReady", "is_known: false", "without failover"]);
    }
}

#[test]
fn hibernated_cluster_is_the_users_or_is_woken() {
    let hibernated = |mark: Value| found(&json!({"metadata": {"annotations": {HIBERNATION: "on", HIBERNATED: mark}}}));
    let waiting = waits(&recorded(Some(1)), hibernated(json!(""))).unwrap();
    assert_eq!(waiting.reason, reason::HIBERNATED);
    assert!(waiting.message.contains("cnpg.io/hibernation-"), "{waiting:?}");
    assert_condition(hibernated(json!("")), "Delegated", &["Hibernated"]);
    assert_eq!(reason_of(&object(&spec()), hibernated(json!("an-uid"))), Some(reason::CLUSTER_PENDING));
}

#[test]
fn deleted_cluster_with_data_is_never_replaced_by_an_empty_one() {
    let first = first();
    let other = cluster(&json!({"metadata": {"uid": "another"}}));
    for cluster in [None, Some(other)] {
        let stalled = stalls(&recorded(Some(1)), &delegated(cluster.clone(), &[&first], Some(&first)));
        assert_eq!(stalled.reason, reason::CLUSTER_LOST);
        assert!(stalled.message.contains("delete secret temporal-postgresdatabase-binding"), "{stalled:?}");
        let accepted = decide(&recorded(Some(1)), &delegated(cluster.clone(), &[&first], None), &defaults());
        assert!(accepted.intent.is_ok());
        let uid = cluster.map_or("cluster-uid", |_| "another");
        assert_eq!(accepted.status.cluster.unwrap().uid.as_deref(), Some(uid));
    }
}

#[test]
fn data_that_no_binding_names_are_not_left() {
    let traces = |claim: Option<&str>, cluster: Option<&str>, bound: Option<ProviderName>| Traces {
        claim: claim.map(str::to_owned),
        cluster: cluster.map(str::to_owned),
        bound,
        account: false,
    };
    let to_cluster = |traces| stalls(&object(&spec()), &Observed { traces, ..delegated(None, &[], None) });
    let theirs = json!({"provider": {"external": {"secretName": "theirs"}}});
    let to_theirs = |traces| stalls(&object(&theirs), &Observed { traces, ..external(None) });
    let cases = [
        (to_cluster(traces(Some("data-0"), None, None)), "from postgres to cloudNativePg"),
        (
            stalls(&object(&json!({})), &Observed { traces: traces(None, Some("c"), None), ..observed() }),
            "from cloudNativePg to postgres",
        ),
        (to_theirs(traces(None, Some("c"), None)), "from cloudNativePg to external"),
        (to_theirs(traces(None, Some("c"), Some(ProviderName::CloudNativePg))), "from cloudNativePg to external"),
    ];
    for (stalled, told) in cases {
        assert_eq!(stalled.reason, reason::PROVIDER_CHANGED, "{told}");
        assert!(stalled.message.contains(told) && stalled.message.contains("set spec.provider back"), "{stalled:?}");
    }
    // What an earlier move left behind is no obstacle.
    let kept = traces(Some("data-0"), Some("c"), Some(ProviderName::CloudNativePg));
    let own = Observed { traces: kept, ..delegated(None, &[], None) };
    assert!(decide(&object(&spec()), &own, &defaults()).intent.is_ok());
}

#[test]
fn refused_administrator_is_waited_for() {
    let address = || "10.96.0.7:5432".to_owned();
    let mut observed = delegated_as(found(&json!({})), &[], None);
    let Provider::Administered(server) = &mut observed.provider else { panic!("it is administered") };
    server.server = Server::Silent(Failure::LoginRefused { address: address(), username: "postgres".to_owned() });
    let waiting = intent_of(decide(&object(&spec()), &observed, &defaults())).waiting.unwrap();
    assert_eq!(waiting.reason, reason::ADMINISTRATOR_REFUSED);
    let Provider::Administered(server) = &mut observed.provider else { panic!("it is administered") };
    server.server = Server::Silent(Failure::Unreachable { address: address(), cause: "refused".to_owned() });
    let waiting = intent_of(decide(&recorded(Some(1)), &observed, &defaults())).waiting.unwrap();
    assert_eq!(waiting.reason, reason::SERVER_UNREACHABLE);
}

#[test]
fn database_is_prepared_by_the_superuser() {
    let first = first();
    let mut observed = delegated_as(found(&json!({})), &[&first], None);
    let Provider::Administered(server) = &mut observed.provider else { panic!("it is administered") };
    let Server::Known(known) = &mut server.server else { panic!("it is known") };
    known.roles.clear();
    let intent = intent_of(decide(&object(&spec()), &observed, &defaults()));
    let actions: Vec<String> = intent.actions.iter().map(ToString::to_string).collect();
    assert_eq!(actions, ["set login temporal_a on database temporal"]);
    assert_eq!(intent.actions[0].access.username, "postgres");
    assert_eq!(intent.waiting.unwrap().reason, reason::PREPARING);
}

#[test]
fn binding_has_a_host_for_reads() {
    let first = first();
    let intent = intent_of(decided(&recorded(Some(1)), found(&json!({}))));
    let binding =
        intent.manifests.iter().find(|manifest| manifest.name() == "temporal-postgresdatabase-binding").unwrap();
    let text = |key: &str| binding.object["data"][key].clone();
    let encoded = |text: &str| json!(k8s_openapi::ByteString(text.as_bytes().to_vec()));
    assert_eq!(text("host"), encoded("temporal-postgresdatabase-rw.default.svc"));
    assert_eq!(text(READ_HOST), encoded("temporal-postgresdatabase-r.default.svc"));
    assert_eq!(text("provider"), encoded("cloudNativePg"));
    assert_eq!(intent.probe.unwrap().access.username, first.username);
}

#[test]
fn roles_of_cloud_native_pg_are_no_logins() {
    for user in ["postgres", "streaming_replica", "cnpg_metrics_exporter"] {
        let object = object(&json!({"provider": {"cloudNativePg": {}}, "username": user}));
        let stalled = stalls(&object, &delegated(None, &[], None));
        assert!(stalled.message.contains("role of CloudNativePG"), "{stalled:?}");
    }
    // The ConfigMap may be that of the embedded server, whose login has this name.
    let data = [("POSTGRES_USER", "postgres"), ("POSTGRES_DB", "temporal")];
    let data = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let config = Some(crate::settings::read(&data, true));
    let decision = decide(&object(&spec()), &Observed { config, ..delegated(None, &[], None) }, &defaults());
    let honoured = format!("{:?}", decision.conditions[0]);
    assert!(honoured.contains("Adapted") && honoured.contains("role of CloudNativePG"), "{honoured}");
    let manifests = intent_of(decision).manifests;
    assert!(manifests.iter().any(|manifest| {
        manifest.name() == "temporal-postgresdatabase-login-1"
            && manifest.object["data"]["username"] == json!(k8s_openapi::ByteString(b"temporal_a".to_vec()))
    }));
}

#[test]
fn invalid_cluster_is_refused_with_its_field() {
    let long = "a".repeat(34);
    let cases = [
        ("temporal", json!({"instances": 0}), "instances is 0"),
        ("temporal", json!({"instances": 2, "synchronous": {"number": 2}}), "synchronous.number is 2 with 2 instances"),
        ("temporal", json!({"image": "a:17", "imageCatalogRef": {"name": "c", "major": 17}}), "keep one of them"),
        (&long, json!({}), "longer than 50 characters"),
    ];
    for (name, provider, told) in cases {
        let mut object = object(&json!({"provider": {"cloudNativePg": provider}}));
        object.metadata.name = Some(name.to_owned());
        let stalled = stalls(&object, &delegated(None, &[], None));
        assert_eq!(stalled.reason, reason::INVALID_SPEC);
        assert!(stalled.message.contains(told), "{stalled:?}");
    }
    for pods in [json!({"runtimeClassName": "kata"}), json!({"serviceAccountName": "theirs"})] {
        let object = object(&json!({"provider": {"cloudNativePg": {}}, "pods": pods}));
        assert!(stalls(&object, &delegated(None, &[], None)).message.contains("spec.pods."));
    }
}

#[test]
fn embedded_server_has_no_conditions_of_a_cluster() {
    let first = first();
    let decision = decide(&object(&json!({})), &with_logins(&[&first], None, Server::Absent), &defaults());
    assert!(decision.conditions.iter().all(|condition| condition.kind() != "Delegated"));
    assert_eq!(decision.status.cluster, None);
}
