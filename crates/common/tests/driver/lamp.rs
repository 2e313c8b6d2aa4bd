//! A component to test with: a ConfigMap, a Secret made once, a `StatefulSet`, and something that the product must be told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
        policy::v1::PodDisruptionBudget,
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{CustomResource, ResourceExt, api::ApiResource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{DeletionPolicy, Rollout, Status, annotation},
    claim::Configuration,
    component::{Child, Component, Facts, Gate, Progress, Sources, Verdict},
    condition::reason,
    manifest::{Draw, Manifest, hex},
    neighbour::Neighbour,
    readiness::{Program, job_trouble},
    world::World,
};

#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "test.dev", version = "v1", kind = "Lamp", namespaced, status = "LampStatus", derive = "PartialEq")]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of one test")]
pub struct LampSpec {
    /// A value of the ConfigMap.
    pub colour: String,
    /// A value of the ConfigMap that may be absent.
    pub shade: Option<String>,
    /// Whether there is a second ConfigMap.
    pub spare: bool,
    /// Whether no ConfigMap of the user's is read.
    pub plain: bool,
    /// Whether the Secret is not wanted.
    pub keyless: bool,
    /// Whether there must be no ConfigMap of the first version any more.
    pub tidy: bool,
    /// A volume claim that somebody else makes.
    pub claim: Option<String>,
    /// A volume claim that is no longer wanted.
    pub outgrown: Option<String>,
    /// What the label `room` of the first pod is to say.
    pub room: Option<String>,
    /// A `StorageClass` that must be there.
    pub class: Option<String>,
    /// What the product is to be told.
    pub say: Option<String>,
    /// An immutable field of the set.
    pub service: String,
    /// How many pods the set has.
    pub replicas: i32,
    /// What rolls the pods.
    pub roll: String,
    /// Memory of the pods.
    pub memory: Option<String>,
    /// Whether there is a Deployment of the same pods.
    pub deployed: bool,
    /// Whether there is a Service for the pods.
    pub served: bool,
    /// A wish that has an annotation of its own.
    pub part: Option<String>,
    /// Whether there is a Job, which is waited for.
    pub lit: bool,
    /// Whether there is a `PodDisruptionBudget`, the first of all children.
    pub guarded: bool,
    /// The Service of another component that it refers to.
    pub beside: Option<String>,
    /// What becomes of the Secret.
    pub deletion_policy: DeletionPolicy,
    /// When pods are restarted.
    pub rollout: Rollout,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LampStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
}

impl Status for LampStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
        self.observed_generation = generation;
        self.conditions = conditions;
    }

    fn volumes(&self) -> BTreeMap<String, String> {
        self.volumes.clone()
    }

    fn record_volumes(&mut self, volumes: BTreeMap<String, String>) {
        self.volumes = volumes;
    }
}

/// The product, and what the test makes of it.
#[derive(Debug)]
pub struct Product {
    /// What it has been told.
    pub told: Vec<String>,
    /// Whether it forgets at once what it is told.
    pub forgets: bool,
    /// Names of objects for which telling fails.
    pub deaf: Vec<String>,
    /// Names of objects over which the component panics, and where it does.
    pub panics: Vec<(String, &'static str)>,
    /// Names of objects for which using it never ends.
    pub hangs: Vec<String>,
    /// What using it shows.
    pub verdict: Verdict,
    /// How often it was used.
    pub used: usize,
    /// How many passes have begun.
    pub passes: usize,
    /// Whether pods may be restarted.
    pub gate: Gate,
}

#[derive(Clone, Debug)]
pub struct Lamps(pub Arc<Mutex<Product>>);

impl Default for Lamps {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Product {
            told: Vec::new(),
            forgets: false,
            deaf: Vec::new(),
            panics: Vec::new(),
            hangs: Vec::new(),
            verdict: Verdict::Verified("it shines".to_owned()),
            used: 0,
            passes: 0,
            gate: Gate::Open,
        })))
    }
}

pub struct Observed {
    told: Vec<String>,
    /// What the user's ConfigMap says.
    config: Option<String>,
    /// The names of the classes, if it matters.
    classes: Vec<String>,
    /// What there is of the neighbour, if it refers to one.
    beside: Option<String>,
    /// What keeps its Job from its work.
    trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the product is deaf")]
    Deaf,
    #[error("cannot read the configuration")]
    Config(#[source] kube::Error),
    #[error("cannot read the classes")]
    Classes(#[source] kube::Error),
}

impl Lamps {
    /// Panics if the test wants it here.
    fn panic_over(&self, lamp: &Lamp, here: &'static str) {
        let panics = self.0.lock().unwrap().panics.contains(&(lamp.name_any(), here));
        assert!(!panics, "a password");
    }
}

fn from<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Component for Lamps {
    type Kind = Lamp;
    type Observed = Observed;
    type Action = String;
    type Error = Error;

    const NAME: &'static str = "lamps";

    fn children() -> Vec<Child> {
        vec![
            Child::kept::<ConfigMap>(),
            Child::kept::<Service>(),
            Child::kept::<Secret>(),
            Child::kept::<StatefulSet>(),
            Child::kept::<Deployment>(),
            Child::kept::<PodDisruptionBudget>(),
            Child::kept::<Job>(),
            Child::adjusted::<PersistentVolumeClaim>(),
            Child::restarted::<Pod>().and_labelled(),
        ]
    }

    fn sources() -> Sources {
        Sources { config_maps: &["lamp-config"], secrets: &[] }
    }

    fn programs() -> &'static [Program] {
        const { &[Program::new("lamp", "spec.light", "1Mi")] }
    }

    fn configuration(lamp: &Lamp) -> Configuration<'_> {
        if lamp.spec.plain { Configuration::Nothing } else { Configuration::Default }
    }

    fn neighbours() -> Vec<ApiResource> {
        vec![ApiResource::erase::<Service>(&())]
    }

    async fn observe(&self, lamp: &Lamp, world: &World<'_>) -> Result<Observed, Error> {
        self.panic_over(lamp, "observe");
        let config = world.config_map("lamp-config").await.map_err(Error::Config)?;
        let classes = match lamp.spec.class {
            Some(_) => world.list_cluster::<StorageClass>().await.map_err(Error::Classes)?,
            None => None,
        };
        let classes = classes.iter().flatten().map(ResourceExt::name_any).collect();
        let beside = lamp.spec.beside.as_ref().map(|name| match world.neighbour::<Service>(name) {
            Neighbour::There(service) => format!("{} is there", service.name_any()),
            Neighbour::Missing => "missing here".to_owned(),
            Neighbour::NoKind => "no kind".to_owned(),
            Neighbour::Unparsable(why) => why,
        });
        let trouble = match world.children.find::<Job>(&lamp.name_any()) {
            Some(job) => job_trouble(&job, world, Self::programs()).await,
            None => None,
        };
        let mut product = self.0.lock().unwrap();
        product.passes += 1;
        let config = config.and_then(|config| config.data?.get("colour").cloned());
        let told = if product.forgets { Vec::new() } else { product.told.clone() };
        Ok(Observed { told, config, classes, beside, trouble })
    }

    fn desire(&self, lamp: &Lamp, observed: &Observed) -> Vec<Manifest> {
        self.panic_over(lamp, "decide");
        let (name, spec) = (lamp.name_any(), &lamp.spec);
        let secret: Secret = from(json!({"metadata": {"name": format!("{name}-key")}}));
        let mut data = json!({"colour": observed.config.as_ref().unwrap_or(&spec.colour)});
        if let Some(shade) = &spec.shade {
            data["shade"] = json!(shade);
        }
        if let Some(beside) = &observed.beside {
            data["beside"] = json!(beside);
        }
        let config: ConfigMap = from(json!({"metadata": {"name": name}, "data": data}));
        let mut container = json!({"name": "lamp", "image": "lamp"});
        if let Some(memory) = &spec.memory {
            container["resources"] = json!({"limits": {"memory": memory}});
        }
        let mut notes = json!({annotation::ROLL: spec.roll});
        if let Some(part) = &spec.part {
            notes[format!("{}part", annotation::ROLL_PART)] = json!(part);
        }
        let template = json!({
            "metadata": {"labels": {"lamp": name}, "annotations": notes},
            "spec": {"containers": [container]},
        });
        let selector = json!({"matchLabels": {"lamp": name}});
        let set: StatefulSet = from(json!({
            "metadata": {"name": name},
            "spec": {
                "replicas": spec.replicas,
                "serviceName": spec.service,
                "selector": selector,
                "template": template,
            },
        }));
        let mut manifests = vec![
            Manifest::new(&secret)
                .once(&[Draw::Letters("key"), Draw::Bytes("seed", |bytes| hex(bytes))])
                .data(spec.deletion_policy),
            Manifest::new(&config).read_by([format!("StatefulSet/{name}")]),
            Manifest::new(&set).remade_on(&["/spec/serviceName"]),
        ];
        if spec.keyless {
            manifests.remove(0);
        }
        if spec.lit {
            let job: Job = from(json!({"metadata": {"name": name}, "spec": {"template": template}}));
            manifests.push(Manifest::new(&job).once(&[]));
        }
        if spec.guarded {
            let budget: PodDisruptionBudget = from(json!({"metadata": {"name": name}, "spec": {"maxUnavailable": 1}}));
            manifests.insert(0, Manifest::new(&budget));
        }
        if spec.deployed {
            let deployment: Deployment = from(json!({
                "metadata": {"name": name},
                "spec": {"replicas": spec.replicas, "selector": selector, "template": template},
            }));
            manifests.push(Manifest::new(&deployment));
        }
        if spec.served {
            let service: Service = from(json!({"metadata": {"name": name}, "spec": {"selector": {"lamp": name}}}));
            manifests.push(Manifest::new(&service));
        }
        if spec.spare {
            let spare: ConfigMap = from(json!({"metadata": {"name": format!("{name}-spare")}, "data": {}}));
            manifests.push(Manifest::new(&spare));
        }
        if spec.tidy {
            manifests.push(Manifest::absent::<ConfigMap>(&format!("{name}-spare")));
        }
        if let Some(claim) = &spec.claim {
            let claim: PersistentVolumeClaim =
                from(json!({"metadata": {"name": claim, "annotations": {"lamp": "on"}}}));
            manifests.push(Manifest::new(&claim).existing().data(spec.deletion_policy));
        }
        if let Some(claim) = &spec.outgrown {
            manifests.push(Manifest::absent::<PersistentVolumeClaim>(claim).data(spec.deletion_policy));
        }
        if let Some(room) = &spec.room {
            let labels = BTreeMap::from([("room".to_owned(), room.clone())]);
            manifests.push(Manifest::labels::<Pod>(&format!("{name}-0"), labels));
        }
        manifests
    }

    fn actions(&self, lamp: &Lamp, observed: &Observed) -> Vec<String> {
        let said = lamp.spec.say.iter().map(|say| format!("tell {} {say}", lamp.name_any()));
        said.filter(|said| !observed.told.contains(said)).collect()
    }

    fn progress(&self, lamp: &Lamp, observed: &Observed) -> Progress {
        if lamp.spec.class.as_ref().is_some_and(|class| !observed.classes.contains(class)) {
            return Progress::Stalled { reason: reason::STORAGE_CLASS_MISSING, message: "no such class".to_owned() };
        }
        if let Some(trouble) = &observed.trouble {
            return Progress::Waiting { reason: reason::PREPARING, message: trouble.clone() };
        }
        match lamp.spec.colour.as_str() {
            "invisible" => Progress::Stalled { reason: reason::INVALID_SPEC, message: "no such colour".to_owned() },
            "dawn" => Progress::Waiting { reason: reason::SECRET_MISSING, message: "the sun must rise".to_owned() },
            _ => Progress::Settled,
        }
    }

    fn facts(&self, _lamp: &Lamp, _observed: &Observed) -> Facts<LampStatus> {
        Facts { status: LampStatus::default(), statements: Vec::new() }
    }

    fn restart_gate(&self, _lamp: &Lamp, _observed: &Observed) -> Gate {
        self.0.lock().unwrap().gate.clone()
    }

    fn rollout(&self, lamp: &Lamp) -> Rollout {
        lamp.spec.rollout
    }

    fn is_upkeep(&self, action: &String) -> bool {
        action.ends_with("again")
    }

    async fn act(&self, lamp: &Lamp, _observed: &Observed, action: &String) -> Result<(), Error> {
        self.panic_over(lamp, "carry out");
        let mut product = self.0.lock().unwrap();
        if product.deaf.contains(&lamp.name_any()) {
            return Err(Error::Deaf);
        }
        product.told.push(action.clone());
        Ok(())
    }

    async fn verify(&self, lamp: &Lamp, _observed: &Observed) -> Verdict {
        self.panic_over(lamp, "verify");
        let hangs = self.0.lock().unwrap().hangs.contains(&lamp.name_any());
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut product = self.0.lock().unwrap();
        product.used += 1;
        product.verdict.clone()
    }
}
