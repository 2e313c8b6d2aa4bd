//! The children of a controller, without a cluster: for tests that run the containers of its pods.

use std::time::Duration;

use clap::{Arg, Args, Command};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::FakeApi;
use crate::{
    api::label,
    component::Component,
    condition::{self, reason},
    driver,
    process::{Process, Requests, Scope},
};

/// The namespace and the name of the object.
const PLACE: (&str, &str) = ("stack", "temporal");

/// The time for passes that have nothing left to create, on the test's clock.
const CALM: Duration = Duration::from_secs(120);

/// All children that a component creates for an object with this spec in an empty cluster, before any pod runs.
pub async fn children<C: Component>(component: C, spec: Value) -> Vec<Value> {
    let api = reconciled(component, spec, Duration::ZERO).await;
    let all = C::watches().children.into_iter().flat_map(|child| api.list(&child.resource.plural));
    all.filter(|child| child["metadata"]["labels"][label::INSTANCE] == PLACE.1).collect()
}

/// The requests that a component makes for a new object with this spec in an empty cluster, in order, apart from lists and watches:
/// `create secrets/a`. Nobody creates pods. The test's clock must be paused.
pub async fn requests<C: Component>(component: C, spec: Value) -> Vec<String> {
    let calls = reconciled(component, spec, CALM).await.calls();
    // Shown if the test fails.
    for call in &calls {
        println!("{}", call.with_conditions());
    }
    calls.iter().map(ToString::to_string).collect()
}

async fn reconciled<C: Component>(component: C, spec: Value, calm: Duration) -> FakeApi {
    let (namespace, name) = PLACE;
    let api = FakeApi::new();
    let class = json!({
        "metadata": {"name": "default", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "example.com/none",
    });
    let class: StorageClass = serde_json::from_value(class).unwrap();
    Api::all(api.others()).create(&PostParams::default(), &class).await.unwrap();
    let resource = ApiResource::erase::<C::Kind>(&());
    let mut object = DynamicObject::new(name, &resource);
    object.data = json!({ "spec": spec });
    let objects = Api::<DynamicObject>::namespaced_with(api.others(), namespace, &resource);
    objects.create(&PostParams::default(), &object).await.unwrap();

    let (process, control) = Process::new(C::NAME, api.client(), Scope::Cluster, Requests::default());
    control.lead();
    let driver = tokio::spawn(driver::run(component, process));
    // A pass that changes something, or whose cache is behind, may report that; the pass that has nothing left to create reports
    // what it waits for.
    api.until("a report with nothing left to create", |api| {
        let object = api.get(&C::Kind::plural(&()), namespace, name)?;
        let conditions = object["status"]["conditions"].as_array()?;
        let ready = conditions.iter().find(|condition| condition["type"] == condition::READY)?;
        (ready["reason"] != reason::APPLYING.as_str()).then_some(())
    })
    .await;
    tokio::time::sleep(calm).await;
    control.end();
    driver.await.unwrap().unwrap();
    api
}

/// Prints those of the spec in `--spec` as a JSON list: the body of a program that a test runs. The component is created from its
/// defaults `D`, which are read from the command line and the environment.
pub async fn print_children<C: Component, D: Args>(component: fn(D) -> C) {
    let spec = Arg::new("spec").long("spec").default_value("{}");
    let matches = D::augment_args(Command::new(C::NAME)).arg(spec).get_matches();
    let defaults = D::from_arg_matches(&matches).unwrap();
    let spec = serde_json::from_str(matches.get_one::<String>("spec").unwrap()).unwrap();
    let children = children(component(defaults), spec).await;
    assert!(children.iter().any(|child| child["kind"] == "StatefulSet"), "no pods come of {children:#?}");
    println!("{}", Value::from(children));
}
