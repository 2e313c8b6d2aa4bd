//! Random specs, annotations and configuration, on an API server in memory: no input makes a pass panic, each is answered, and an
//! object whose spec was refused ends like any other once its spec is valid.
//!
//! Each test prints its seed; `TEMPORAL_STACK_SEED` runs it with another one.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

use clap::{Args, Command};
use e2e::{full, schema::Random, seed};
use kube::{
    Api, CustomResourceExt as _, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    component::Component,
    driver,
    process::{Process, Requests, Scope, install_crypto},
    testkit::FakeApi,
};
use temporal_stack_database::Database;
use temporal_stack_ipfs::Ipfs;
use temporal_stack_queue::Queue;
use temporal_stack_storage::Storage;
use temporal_stack_temporal::Application;

/// Where the objects are.
const NAMESPACE: &str = "a";
/// How many there are of each kind.
const COUNT: u64 = 60;
/// An object whose spec was never refused.
const MODEL: &str = "model";

/// What the installation decides, as a program without arguments reads it.
fn defaults<D: Args>() -> D {
    let matches = D::augment_args(Command::new("defaults")).get_matches_from(["defaults"]);
    D::from_arg_matches(&matches).expect("defaults are complete")
}

async fn create(api: &FakeApi, resource: &ApiResource, namespace: Option<&str>, mut object: Value) {
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(resource.kind);
    let api = match namespace {
        Some(namespace) => Api::<DynamicObject>::namespaced_with(api.others(), namespace, resource),
        None => Api::all_with(api.others(), resource),
    };
    let object = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("the fake takes everything");
}

/// What the objects refer to: a class of volumes, a Secret that leads nowhere, and configuration that makes no sense.
async fn surroundings(api: &FakeApi, random: &mut Random) {
    use k8s_openapi::api::{
        core::v1::{ConfigMap, Secret},
        storage::v1::StorageClass,
    };
    let class = json!({
        "metadata": {"name": "a", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "temporal-stack.dev/nobody",
    });
    create(api, &ApiResource::erase::<StorageClass>(&()), None, class).await;
    // Base 64 of `127.0.0.1` and `1`.
    let (host, port) = ("MTI3LjAuMC4x", "MQ==");
    let keys = json!({"host": host, "port": port, "username": port, "password": port, "database": port, "cluster-host": host, "cluster-port": port,
        // Base 64 of `http://127.0.0.1:1`.
        "endpoint": "aHR0cDovLzEyNy4wLjAuMTox", "access-key-id": port, "secret-access-key": port});
    create(
        api,
        &ApiResource::erase::<Secret>(&()),
        Some(NAMESPACE),
        json!({"metadata": {"name": "theirs"}, "data": keys}),
    )
    .await;
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    for name in ["postgres-config", "rabbitmq-config", "ipfs-cluster-config", "temporal-config"] {
        let data = random.value(&texts);
        create(
            api,
            &ApiResource::erase::<ConfigMap>(&()),
            Some(NAMESPACE),
            json!({"metadata": {"name": name}, "data": data}),
        )
        .await;
    }
}

/// Whether the controller has said something about the newest spec, and what.
fn answered(object: &Value) -> Option<Vec<String>> {
    let conditions = object["status"]["conditions"].as_array()?;
    let newest = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    newest.then(|| conditions.iter().filter_map(|condition| condition["reason"].as_str().map(str::to_owned)).collect())
}

/// Ready, Reconciling and Stalled of the newest spec, each with its reason.
fn state(object: &Value) -> Option<Vec<[String; 3]>> {
    answered(object)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let main = |condition: &&Value| ["Ready", "Reconciling", "Stalled"].iter().any(|kind| condition["type"] == *kind);
    let conditions = object["status"]["conditions"].as_array()?.iter().filter(main);
    Some(conditions.map(|condition| ["type", "status", "reason"].map(|field| text(&condition[field]))).collect())
}

/// Whether a spec was refused.
fn is_refused(reasons: &[String]) -> bool {
    ["InvalidSpec", "Unparsable"].iter().any(|refusal| reasons.iter().any(|reason| reason == refusal))
}

/// Puts a valid spec in the place of one, and takes the annotations off.
async fn correct(api: &FakeApi, resource: &ApiResource, name: &str, spec: &Value, valid: &Value) {
    let mut next = valid.clone();
    for field in spec.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if valid.get(field).is_none() {
            next[field] = Value::Null;
        }
    }
    let objects = Api::<DynamicObject>::namespaced_with(api.others(), NAMESPACE, resource);
    let patch = Patch::Merge(json!({"metadata": {"annotations": null}, "spec": next}));
    objects.patch(name, &PatchParams::default(), &patch).await.expect("the fake takes everything");
}

/// Makes objects of random specs, and corrects those that were refused to the `valid` one.
async fn random_specs_are_answered_and_corrected<C: Component>(component: C, valid: Value)
where
    C::Kind: kube::CustomResourceExt,
{
    install_crypto();
    let (seed, count) = (seed(), if full() { COUNT * 20 } else { COUNT });
    let mut random = Random::of(seed);
    let api = FakeApi::new();
    surroundings(&api, &mut random).await;
    let resource = C::Kind::api_resource();
    // The first one has the default sources; the second one is like those that are corrected.
    for name in ["first", MODEL] {
        create(&api, &resource, Some(NAMESPACE), json!({"metadata": {"name": name}, "spec": valid})).await;
    }
    let mut specs = Vec::new();
    for number in 0..count {
        let spec = random.spec::<C::Kind>();
        let annotations = random.value(&json!({"type": "object", "properties": {
            "temporal-stack.dev/rotate": {"type": "string"}, "temporal-stack.dev/restart": {"type": "string"},
            "temporal-stack.dev/full-restart": {"type": "string"}, "temporal-stack.dev/paused": {"type": "string"},
            "temporal-stack.dev/delete-bucket": {"type": "string"}, "temporal-stack.dev/adopt-bucket": {"type": "string"},
        }}));
        let object = json!({"metadata": {"name": format!("r{number}"), "annotations": annotations}, "spec": spec});
        create(&api, &resource, Some(NAMESPACE), object).await;
        specs.push(spec);
    }
    let (process, control) = Process::new(C::NAME, api.client(), Scope::Cluster, Requests::default());
    let driver = tokio::spawn(driver::run(component, process));
    control.lead();
    let plural = <C::Kind as Resource>::plural(&()).into_owned();
    let mut refused = Vec::new();
    for (number, spec) in specs.iter().enumerate() {
        let name = format!("r{number}");
        let what = format!("{name} is answered: {spec}");
        let reasons = api.until(&what, |api| {
            // A driver that has ended answers nobody.
            driver.is_finished().then(Vec::new).or_else(|| answered(&api.get(&plural, NAMESPACE, &name)?))
        });
        let reasons = reasons.await;
        assert!(!driver.is_finished(), "seed {seed}: the driver ended before it answered {name}: {spec}");
        assert!(!reasons.contains(&"InternalError".to_owned()), "seed {seed}: a pass over {name} panicked: {spec}");
        refused.extend(is_refused(&reasons).then_some((name, spec)));
    }
    println!("{} of {count} specs were refused", refused.len());
    assert!(!refused.is_empty(), "seed {seed}: no spec was refused");
    for (name, spec) in &refused {
        correct(&api, &resource, name, spec, &valid).await;
    }
    for (name, spec) in &refused {
        let what = format!("{name} is like an object that was valid from the start: {spec}");
        let corrected = api.until(&what, |api| {
            let model = state(&api.get(&plural, NAMESPACE, MODEL)?)?;
            driver
                .is_finished()
                .then(Vec::new)
                .or_else(|| state(&api.get(&plural, NAMESPACE, name)?))
                .filter(|state| state.is_empty() || *state == model)
        });
        let corrected = corrected.await;
        assert!(!driver.is_finished(), "seed {seed}: the driver ended before {name} was corrected: {spec}");
        let reasons: Vec<String> = corrected.into_iter().map(|[_, _, reason]| reason).collect();
        assert!(!is_refused(&reasons), "seed {seed}: the valid spec of {name} is refused: {reasons:?}");
    }
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn random_spec_of_a_database_is_answered_and_corrected() {
    random_specs_are_answered_and_corrected(Database::new(defaults()), json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn random_spec_of_a_queue_is_answered_and_corrected() {
    random_specs_are_answered_and_corrected(Queue::new(defaults()), json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn random_spec_of_an_ipfs_cluster_is_answered_and_corrected() {
    random_specs_are_answered_and_corrected(Ipfs::new(defaults()), json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn random_spec_of_an_object_storage_is_answered_and_corrected() {
    random_specs_are_answered_and_corrected(Storage::new(defaults()), json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn random_spec_of_temporal_is_answered_and_corrected() {
    let nobody = json!({"name": "nobody"});
    let valid = json!({"database": nobody, "queue": nobody, "ipfs": nobody});
    random_specs_are_answered_and_corrected(Application::new(defaults()), valid).await;
}
