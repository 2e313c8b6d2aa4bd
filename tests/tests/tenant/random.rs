//! Random specs, annotations and configuration, on an API server in memory: no input makes a pass panic, and each is answered.

use clap::{Args, Command};
use e2e::{full, schema::Random};
use kube::{
    Api, CustomResourceExt as _, Resource,
    api::{ApiResource, DynamicObject, PostParams},
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
use temporal_stack_temporal::Application;

use crate::seed;

/// Where the objects are.
const NAMESPACE: &str = "a";
/// How many there are of each kind.
const COUNT: u64 = 60;

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
    let keys = json!({"host": host, "port": port, "username": port, "password": port, "database": port, "cluster-host": host, "cluster-port": port});
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

async fn no_spec_makes_a_pass_panic<C: Component>(component: C)
where
    C::Kind: kube::CustomResourceExt,
{
    install_crypto();
    let (seed, count) = (seed(), if full() { COUNT * 20 } else { COUNT });
    let mut random = Random::of(seed);
    let api = FakeApi::new();
    surroundings(&api, &mut random).await;
    let mut specs = Vec::new();
    for number in 0..count {
        let spec = random.spec::<C::Kind>();
        let annotations = random.value(&json!({"type": "object", "properties": {
            "temporal-stack.dev/rotate": {"type": "string"}, "temporal-stack.dev/restart": {"type": "string"},
            "temporal-stack.dev/full-restart": {"type": "string"}, "temporal-stack.dev/paused": {"type": "string"},
        }}));
        let object = json!({"metadata": {"name": format!("r{number}"), "annotations": annotations}, "spec": spec});
        create(&api, &C::Kind::api_resource(), Some(NAMESPACE), object).await;
        specs.push(spec);
    }
    let (process, control) = Process::new(C::NAME, api.client(), Scope::Cluster, Requests::default());
    let driver = tokio::spawn(driver::run(component, process));
    control.lead();
    let resource = <C::Kind as Resource>::plural(&()).into_owned();
    for (number, spec) in specs.iter().enumerate() {
        let name = format!("r{number}");
        let what = format!("{name} is answered: {spec}");
        let reasons = api.until(&what, |api| {
            // A driver that has ended answers nobody.
            driver.is_finished().then(Vec::new).or_else(|| answered(&api.get(&resource, NAMESPACE, &name)?))
        });
        let reasons = reasons.await;
        assert!(!driver.is_finished(), "seed {seed}: the driver ended before it answered {name}: {spec}");
        assert!(!reasons.contains(&"InternalError".to_owned()), "seed {seed}: a pass over {name} panicked: {spec}");
    }
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn no_spec_of_a_database_makes_a_pass_panic() {
    no_spec_makes_a_pass_panic(Database::new(defaults())).await;
}

#[tokio::test(start_paused = true)]
async fn no_spec_of_a_queue_makes_a_pass_panic() {
    no_spec_makes_a_pass_panic(Queue::new(defaults())).await;
}

#[tokio::test(start_paused = true)]
async fn no_spec_of_an_ipfs_cluster_makes_a_pass_panic() {
    no_spec_makes_a_pass_panic(Ipfs::new(defaults())).await;
}

#[tokio::test(start_paused = true)]
async fn no_spec_of_temporal_makes_a_pass_panic() {
    no_spec_makes_a_pass_panic(Application::new(defaults())).await;
}
