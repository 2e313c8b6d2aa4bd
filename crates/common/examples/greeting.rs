//! A whole controller: for each `Greeting` it maintains a ConfigMap, and reports Ready when it has read the text back.
//!
//!     cargo run --example greeting -- --crd | kubectl apply -f -
//!     cargo run --example greeting -- --lease=off &
//!     kubectl apply -f - <<< '{"apiVersion": "example.dev/v1", "kind": "Greeting",
//!                              "metadata": {"name": "hello"}, "spec": {"text": "Hello, world"}}'
//!     kubectl wait --for=condition=Ready greeting/hello

use std::convert::Infallible;

use clap::{Args as _, Command, FromArgMatches as _};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Api, Client, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use temporal_stack_common::{
    api::Status,
    component::{Component, Decision, Intent, Memos, Verdict},
    condition::reason::VERIFICATION_FAILED,
    driver,
    manifest::Manifest,
    process::{self, Process, install_crypto},
    watches::{Child, Watches},
    world::World,
};

/// The text of a ConfigMap with the same name.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.dev", version = "v1", kind = "Greeting", namespaced, status = "GreetingStatus")]
struct GreetingSpec {
    text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct GreetingStatus {
    observed_generation: Option<i64>,
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    conditions: Vec<Condition>,
}

impl Status for GreetingStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
        *self = Self { observed_generation: generation, conditions };
    }
}

/// The component; its client reads the ConfigMap back.
struct Greetings(Client);

impl Component for Greetings {
    type Kind = Greeting;
    type Observed = ();
    type Action = Infallible;
    type Probe = Greeting;
    type Error = kube::Error;
    const NAME: &'static str = "greetings";
    fn watches() -> Watches<Greeting> {
        Watches { children: vec![Child::owned::<ConfigMap>()], ..Watches::default() }
    }
    async fn observe(&self, _greeting: &Greeting, _world: &World<'_>) -> kube::Result<()> {
        Ok(())
    }
    fn decide(&self, greeting: &Greeting, (): &()) -> Decision<Self> {
        let data = [("text".to_owned(), greeting.spec.text.clone())].into();
        let mut map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        map.metadata.name = Some(greeting.name_any());
        let (manifests, probe) = (vec![Manifest::new(&map)], Some(greeting.clone()));
        let intent = Intent { manifests, probe, ..Intent::default() };
        Decision::new(GreetingStatus::default(), Vec::new(), Ok(intent))
    }
    async fn act(&self, never: &Infallible, _: &Memos) -> kube::Result<()> {
        match *never {}
    }
    async fn verify(&self, greeting: &Greeting, _: &Memos) -> Verdict {
        let maps = Api::<ConfigMap>::namespaced(self.0.clone(), &greeting.namespace().unwrap_or_default());
        let read = maps.get(&greeting.name_any()).await.map(|map| map.data.unwrap_or_default().remove("text"));
        match read {
            Ok(text) if text.as_ref() == Some(&greeting.spec.text) => Verdict::Verified("read back".to_owned()),
            other => Verdict::Failed { reason: VERIFICATION_FAILED, message: format!("read back: {other:?}") },
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    install_crypto();
    if std::env::args().any(|argument| argument == "--crd") {
        println!("{}", serde_json::to_string_pretty(&Greeting::crd())?);
        return Ok(());
    }
    let greetings = |process: Process| driver::run(Greetings(process.client.clone()), process);
    let arguments = process::Args::augment_args(Command::new("greeting")).get_matches();
    let arguments = process::Args::from_arg_matches(&arguments)?;
    Ok(process::run(Greetings::NAME, env!("CARGO_PKG_VERSION"), arguments, greetings).await?)
}
