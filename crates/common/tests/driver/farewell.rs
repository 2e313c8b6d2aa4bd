//! Objects of which something remains, and objects of others around them.

use std::{
    fmt::Display,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    component::{Component, Decision, Intent, Memos, Verdict},
    driver,
    process::{Control, Process, Requests, Scope},
    surroundings::{Place, Surrounding},
    testkit::FakeApi,
    watches::{Configuration, Watches},
    world::World,
};

use crate::{
    lamp::{Lamp, LampStatus},
    stage::time_passes,
};

const FINALIZER: &str = "temporal-stack.dev/lamps";
/// Annotation of an object that leaves nothing behind.
const CLEAN: &str = "temporal-stack.dev/clean";

/// What the component has seen and done.
#[derive(Debug, Default)]
struct State {
    /// The colours around the object in each pass.
    seen: Vec<Vec<String>>,
    /// How often it has left.
    left: usize,
    /// Whether leaving fails.
    fails: bool,
}

#[derive(Clone, Default)]
struct Guests(Arc<Mutex<State>>);

#[derive(Debug, thiserror::Error)]
#[error("the door is stuck")]
struct Stuck;

struct Nothing;

impl Display for Nothing {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// Keeps the colour alone.
fn colour(object: &mut DynamicObject) {
    object.data = json!({"colour": object.data["data"]["colour"]});
    object.metadata.annotations = None;
}

impl Component for Guests {
    type Kind = Lamp;
    type Observed = ();
    type Action = Nothing;
    type Probe = ();
    type Error = Stuck;
    const NAME: &'static str = "guests";
    const REMAINS: bool = true;
    fn watches() -> Watches<Lamp> {
        Watches {
            configuration: |_| Configuration::Nothing,
            surroundings: vec![Surrounding::new::<ConfigMap>(Place::Served, "room=open", colour)],
            is_configured: false,
            ..Watches::default()
        }
    }
    async fn observe(&self, _: &Lamp, world: &World<'_>) -> Result<(), Stuck> {
        let around = world.around::<ConfigMap>(Place::Served);
        let colours = around.objects().iter().map(|object| object.data["colour"].as_str().unwrap_or("").to_owned());
        self.0.lock().unwrap().seen.push(colours.collect());
        Ok(())
    }
    fn decide(&self, _: &Lamp, (): &()) -> Decision<Self> {
        let intent = Intent { probe: Some(()), ..Intent::default() };
        Decision::new(LampStatus::default(), Vec::new(), Ok(intent))
    }
    async fn act(&self, _: &Nothing, _: &Memos) -> Result<(), Stuck> {
        Ok(())
    }
    async fn verify(&self, (): &(), _: &Memos) -> Verdict {
        Verdict::Verified("it is here".to_owned())
    }
    fn remains(lamp: &Lamp) -> bool {
        !lamp.annotations().contains_key(CLEAN)
    }
    async fn leave(&self, _: &Lamp, _: &World<'_>) -> Result<(), Stuck> {
        let mut state = self.0.lock().unwrap();
        state.left += 1;
        if state.fails { Err(Stuck) } else { Ok(()) }
    }
}

/// A driver that leads, and the handle that ends it.
fn start(guests: &Guests) -> (FakeApi, Control) {
    let api = FakeApi::new();
    let (process, control) = Process::new("guests", api.client(), Scope::Cluster, Requests::default());
    tokio::spawn(driver::run(guests.clone(), process));
    control.lead();
    (api, control)
}

fn lamps(api: &FakeApi) -> Api<DynamicObject> {
    Api::namespaced_with(api.others(), "a", &ApiResource::erase::<Lamp>(&()))
}

async fn make(api: &FakeApi) {
    let lamp = json!({"apiVersion": "test.dev/v1", "kind": "Lamp", "metadata": {"name": "x"}, "spec": {}});
    lamps(api).create(&PostParams::default(), &serde_json::from_value(lamp).unwrap()).await.unwrap();
    let is_held = |api: &FakeApi| {
        let lamp = api.get("lamps", "a", "x")?;
        (lamp["metadata"]["finalizers"] == json!([FINALIZER])).then_some(())
    };
    api.until("the finalizer", is_held).await;
}

async fn until_gone(api: &FakeApi) {
    api.until("its end", |api| api.get("lamps", "a", "x").is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn object_that_leaves_nothing_is_held_no_more() {
    let guests = Guests::default();
    let (api, _control) = start(&guests);
    make(&api).await;
    let clean = Patch::Merge(json!({"metadata": {"annotations": {CLEAN: "true"}}}));
    lamps(&api).patch("x", &PatchParams::default(), &clean).await.unwrap();
    let is_free = |api: &FakeApi| {
        let finalizers = api.get("lamps", "a", "x")?["metadata"]["finalizers"].clone();
        finalizers.as_array().is_none_or(Vec::is_empty).then_some(())
    };
    api.until("no finalizer", is_free).await;
    lamps(&api).delete("x", &DeleteParams::default()).await.unwrap();
    until_gone(&api).await;
    assert_eq!(guests.0.lock().unwrap().left, 0);
}

#[tokio::test(start_paused = true)]
async fn object_leaves_before_it_goes() {
    let guests = Guests::default();
    let (api, _control) = start(&guests);
    make(&api).await;
    time_passes(5).await;
    assert!(!guests.0.lock().unwrap().seen.is_empty(), "the pass after the finalizer");
    lamps(&api).delete("x", &DeleteParams::default()).await.unwrap();
    until_gone(&api).await;
    assert_eq!(guests.0.lock().unwrap().left, 1);
}

#[tokio::test(start_paused = true)]
async fn object_goes_although_it_cannot_leave() {
    let guests = Guests::default();
    guests.0.lock().unwrap().fails = true;
    let (api, _control) = start(&guests);
    make(&api).await;
    lamps(&api).delete("x", &DeleteParams::default()).await.unwrap();
    until_gone(&api).await;
    let left = guests.0.lock().unwrap().left;
    assert!((2..=10).contains(&left), "{left}");
    assert!(api.list("events").iter().any(|event| event["reason"] == "Remains"));
}

#[tokio::test(start_paused = true)]
async fn only_changes_of_what_is_read_around_trigger_a_pass() {
    let guests = Guests::default();
    let (api, _control) = start(&guests);
    make(&api).await;
    let maps = Api::<ConfigMap>::namespaced(api.others(), "a");
    let map = |name: &str, room: &str| -> ConfigMap {
        let metadata = json!({"name": name, "labels": {"room": room}});
        serde_json::from_value(json!({"metadata": metadata, "data": {"colour": "red"}})).unwrap()
    };
    maps.create(&PostParams::default(), &map("open", "open")).await.unwrap();
    maps.create(&PostParams::default(), &map("closed", "closed")).await.unwrap();
    time_passes(20).await;
    let seen = || guests.0.lock().unwrap().seen.clone();
    assert_eq!(seen().last().unwrap(), &["red"]);
    let before = seen().len();
    let edit = async |change: Value| {
        maps.patch("open", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
        time_passes(5).await;
    };
    edit(json!({"metadata": {"annotations": {"scanner": "seen"}}})).await;
    assert_eq!(seen().len(), before);
    edit(json!({"data": {"colour": "blue"}})).await;
    assert_eq!(seen().last().unwrap(), &["blue"]);
    maps.delete("open", &DeleteParams::default()).await.unwrap();
    time_passes(5).await;
    assert_eq!(seen().last().unwrap(), &[] as &[String]);
}
