//! A whole controller: for each `Greeting` it keeps a ConfigMap with the text, and says Ready when it has read it back.
//!
//! Everything else is the driver's: applying and repairing, deletion, conditions, events, back-off, the Lease, metrics.
//!
//! ```text
//! cargo run --example greeting -- --crd  | kubectl apply -f -
//! cargo run --example greeting -- --rbac | kubectl apply -f -     # only where it is to run in a pod
//! cargo run --example greeting -- --lease=off &
//! kubectl apply -f - <<< '{"apiVersion": "example.dev/v1", "kind": "Greeting", "metadata": {"name": "hello"},
//!                          "spec": {"text": "Hello, world"}}'
//! kubectl wait --for=condition=Ready greeting/hello
//! ```

use clap::Parser;
use k8s_openapi::{
    api::{core::v1::ConfigMap, rbac::v1::ClusterRole},
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::{Api, Client, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use temporal_stack_common::{
    api::Status,
    component::{Child, Component, Facts, Progress, Verdict},
    condition::reason::VERIFICATION_FAILED,
    driver,
    manifest::Manifest,
    process::{self, Process, install_crypto},
    world::World,
};

/// A text that is to be in a ConfigMap of the same name.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.dev", version = "v1", kind = "Greeting", namespaced, status = "GreetingStatus")]
struct GreetingSpec {
    /// The text.
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

/// The component; the client is for using what it makes.
struct Greetings(Client);

impl Component for Greetings {
    type Kind = Greeting;
    type Observed = ();
    type Action = String;
    type Error = kube::Error;

    const NAME: &'static str = "greetings";

    fn children() -> Vec<Child> {
        vec![Child::kept::<ConfigMap>()]
    }

    async fn observe(&self, _greeting: &Greeting, _world: &World<'_>) -> kube::Result<()> {
        Ok(())
    }

    fn desire(&self, greeting: &Greeting, (): &()) -> Vec<Manifest> {
        let metadata = ObjectMeta { name: greeting.metadata.name.clone(), ..ObjectMeta::default() };
        let data = [("text".to_owned(), greeting.spec.text.clone())].into();
        vec![Manifest::new(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() })]
    }

    fn progress(&self, _greeting: &Greeting, (): &()) -> Progress {
        Progress::Settled
    }

    fn facts(&self, _greeting: &Greeting, (): &()) -> Facts<GreetingStatus> {
        Facts { status: GreetingStatus::default(), statements: Vec::new() }
    }

    async fn verify(&self, greeting: &Greeting, (): &()) -> Verdict {
        let maps = Api::<ConfigMap>::namespaced(self.0.clone(), &greeting.namespace().unwrap_or_default());
        match maps.get(&greeting.name_any()).await {
            Ok(map) if map.data.as_ref().and_then(|data| data.get("text")) == Some(&greeting.spec.text) => {
                Verdict::Verified("the text was read back".to_owned())
            }
            Ok(_) => Verdict::Failed { reason: VERIFICATION_FAILED, message: "another text was read back".to_owned() },
            Err(error) => Verdict::Failed { reason: VERIFICATION_FAILED, message: error.to_string() },
        }
    }
}

#[derive(Parser)]
struct Arguments {
    /// Prints the `CustomResourceDefinition` and ends.
    #[arg(long)]
    crd: bool,
    /// Prints the `ClusterRole` and ends.
    #[arg(long)]
    rbac: bool,
    #[command(flatten)]
    process: process::Args,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    install_crypto();
    let args = Arguments::parse();
    if args.crd {
        println!("{}", serde_json::to_string_pretty(&Greeting::crd())?);
    } else if args.rbac {
        let metadata = ObjectMeta { name: Some(Greetings::NAME.to_owned()), ..ObjectMeta::default() };
        let rules = Some(driver::rules::<Greetings>().into_iter().chain(driver::lease_rules()).collect());
        println!("{}", serde_json::to_string_pretty(&ClusterRole { metadata, rules, ..ClusterRole::default() })?);
    } else {
        let greetings = |process: Process| driver::run(Greetings(process.client.clone()), process);
        process::run(Greetings::NAME, env!("CARGO_PKG_VERSION"), args.process, greetings).await?;
    }
    Ok(())
}
