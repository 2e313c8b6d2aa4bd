//! A component for tests: a ConfigMap, a Secret that is created once, a `StatefulSet`, and an operation in the product.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    policy::v1::PodDisruptionBudget,
    storage::v1::StorageClass,
};
use kube::{ResourceExt, api::ApiResource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::annotation,
    component::{Component, Decision, Gate, Intent, Memos, Stalled, Verdict, Waiting},
    condition::reason,
    manifest::{Draw, Manifest, hex},
    neighbour::Neighbour,
    quota::Quota,
    readiness::{Program, job_trouble},
    watches::{Child, Configuration, Relation, Sources, Watches},
    world::{ReadError, World},
};
use tokio::time::Instant;

mod kind;

pub use kind::{Lamp, LampStatus};

/// The fake product, and how it behaves.
#[derive(Debug)]
pub struct Product {
    /// The operations that it has carried out.
    pub told: Vec<String>,
    /// Whether it forgets each operation at once.
    pub forgets: bool,
    /// Whether each pass finds a new operation to do.
    pub restless: bool,
    /// Names of objects whose operations fail.
    pub deaf: Vec<String>,
    /// Names of objects at which the component panics, and where.
    pub panics: Vec<(String, &'static str)>,
    /// Names of objects whose verification never ends.
    pub hangs: Vec<String>,
    /// The result of a verification.
    pub verdict: Verdict,
    /// The number of verifications.
    pub used: usize,
    /// The number of passes begun.
    pub passes: usize,
    /// Whether pods may be restarted.
    pub gate: Gate,
    /// What each verification takes one of while it lasts.
    pub quota: Option<&'static Quota>,
}

#[derive(Clone, Debug)]
pub struct Lamps(pub Arc<Mutex<Product>>);

impl Default for Lamps {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Product {
            told: Vec::new(),
            forgets: false,
            restless: false,
            deaf: Vec::new(),
            panics: Vec::new(),
            hangs: Vec::new(),
            verdict: Verdict::Verified("it shines".to_owned()),
            used: 0,
            passes: 0,
            gate: Gate::Open,
            quota: None,
        })))
    }
}

pub struct Observed {
    told: Vec<String>,
    /// The content of the user's ConfigMap.
    config: Option<String>,
    /// The names of the classes, if the lamp needs one.
    classes: Vec<String>,
    /// The neighbour's state, if the lamp refers to one.
    beside: Option<String>,
    /// The failure of its Job.
    trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the product is deaf")]
    Deaf,
    #[error(transparent)]
    Config(#[from] ReadError),
    #[error("cannot read the classes")]
    Classes(#[source] kube::Error),
}

impl Lamps {
    /// Panics if the test wants it here.
    fn panic_over(&self, lamp: &str, here: &'static str) {
        let panics = self.0.lock().unwrap().panics.contains(&(lamp.to_owned(), here));
        assert!(!panics, "a password");
    }
}

fn from<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Component for Lamps {
    type Kind = Lamp;
    type Observed = Observed;
    type Action = Tell;
    type Probe = String;
    type Error = Error;

    const NAME: &'static str = "lamps";

    const PROGRAMS: &'static [Program] = const { &[Program::new("lamp", "spec.light", "1Mi")] };

    fn watches() -> Watches<Lamp> {
        Watches {
            children: vec![
                Child::owned::<ConfigMap>(),
                Child::owned::<Service>(),
                Child::owned::<Secret>(),
                Child::owned::<StatefulSet>(),
                Child::owned::<Deployment>(),
                Child::owned::<PodDisruptionBudget>(),
                Child::owned::<Job>(),
                Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: false }),
                Child::new::<Pod>(Relation::Restarted { labelled: true }),
            ],
            sources: Sources { config_maps: &["lamp-config"], secrets: &[] },
            configuration: |lamp| if lamp.spec.plain { Configuration::Nothing } else { Configuration::Default },
            neighbours: vec![ApiResource::erase::<Service>(&())],
            ..Watches::default()
        }
    }

    async fn observe(&self, lamp: &Lamp, world: &World<'_>) -> Result<Observed, Error> {
        self.panic_over(&lamp.name_any(), "observe");
        let config = world.config_map("lamp-config").await?;
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
            Some(job) => job_trouble(&job, world, Self::PROGRAMS).await,
            None => None,
        };
        let mut product = self.0.lock().unwrap();
        product.passes += 1;
        let config = config.and_then(|config| config.data?.get("colour").cloned());
        let told = if product.forgets { Vec::new() } else { product.told.clone() };
        Ok(Observed { told, config, classes, beside, trouble })
    }

    fn decide(&self, lamp: &Lamp, observed: &Observed) -> Decision<Self> {
        self.panic_over(&lamp.name_any(), "decide");
        let serving = lamp.spec.relieved.then(|| lamp.name_any());
        let decision = Decision::new(LampStatus::default(), Vec::new(), self.intent(lamp, observed));
        Decision { serving, ..decision.suspended(lamp.spec.suspend, None) }
    }

    async fn act(&self, tell: &Tell, _: &Memos) -> Result<(), Error> {
        self.panic_over(&tell.lamp, "carry out");
        let mut product = self.0.lock().unwrap();
        if product.deaf.contains(&tell.lamp) {
            return Err(Error::Deaf);
        }
        product.told.push(tell.to_string());
        Ok(())
    }

    async fn verify(&self, lamp: &String, _: &Memos) -> Verdict {
        self.panic_over(lamp, "verify");
        let (hangs, quota) = {
            let product = self.0.lock().unwrap();
            (product.hangs.contains(lamp), product.quota)
        };
        let mut share = quota.map(Quota::share);
        if let Some(share) = &mut share
            && !share.extend_until(1, Instant::now()).await
        {
            return Verdict::Failed { reason: reason::PREPARING, message: "others have all".to_owned() };
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut product = self.0.lock().unwrap();
        product.used += 1;
        product.verdict.clone()
    }
}

/// An operation that the product must carry out.
#[derive(Clone, Debug)]
pub struct Tell {
    lamp: String,
    say: String,
}

impl Display for Tell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tell {} {}", self.lamp, self.say)
    }
}

impl Lamps {
    fn desire(lamp: &Lamp, observed: &Observed) -> Vec<Manifest> {
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

    fn intent(&self, lamp: &Lamp, observed: &Observed) -> Result<Intent<Self>, Stalled> {
        let waiting = Self::waiting(lamp, observed)?;
        let (restless, passes) = {
            let product = self.0.lock().unwrap();
            (product.restless, product.passes)
        };
        let new = restless.then(|| format!("number {passes}"));
        let say = lamp.spec.say.iter().cloned().chain(new).map(|say| Tell { lamp: lamp.name_any(), say });
        let say = say.filter(|tell| !observed.told.contains(&tell.to_string()));
        let (upkeep, actions) = say.partition(|tell| tell.say.ends_with("again"));
        Ok(Intent {
            manifests: Self::desire(lamp, observed),
            actions,
            upkeep,
            waiting,
            restart: self.0.lock().unwrap().gate.clone(),
            rollout: lamp.spec.rollout,
            keeps_templates: lamp.spec.steadied,
            probe: Some(lamp.name_any()),
            ..Intent::default()
        })
    }

    fn waiting(lamp: &Lamp, observed: &Observed) -> Result<Option<Waiting>, Stalled> {
        if lamp.spec.class.as_ref().is_some_and(|class| !observed.classes.contains(class)) {
            return Err(Stalled::new(reason::STORAGE_CLASS_MISSING, "no such class"));
        }
        if let Some(trouble) = &observed.trouble {
            return Ok(Some(Waiting::new(reason::PREPARING, trouble)));
        }
        match lamp.spec.colour.as_str() {
            "invisible" => Err(Stalled::new(reason::INVALID_SPEC, "no such colour")),
            "dawn" => Ok(Some(Waiting::new(reason::SECRET_MISSING, "the sun must rise"))),
            _ => Ok(None),
        }
    }
}
