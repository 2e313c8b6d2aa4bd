//! The stack at one moment: its controllers and its custom resources.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::component::{Component, Id};
use crate::controllers::{self, NAMESPACE};
use crate::kubectl::Kubectl;
use crate::step::Step;

/// The stack at one moment.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    /// The controllers that the workspace has, in its order.
    pub controllers: Vec<Deployed>,
    /// The custom resources.
    pub components: Vec<Component>,
}

/// A controller, deployed or not.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The name of its Deployment.
    pub program: &'static str,
    /// The kind that it owns.
    pub kind: String,
    /// Its Deployment, if it exists.
    pub deployment: Option<Deployment>,
}

/// A controller's Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The tag of its image.
    pub version: String,
    /// How many of its pods are available.
    pub available: i64,
    /// How many pods it should have.
    pub wanted: i64,
}

impl Snapshot {
    /// Reads the lists of Deployments and custom resources, as kubectl prints them.
    pub fn parse(deployments: &Value, objects: &Value) -> Self {
        let controllers = controllers::ALL.iter().map(|controller| {
            let is_its = |object: &&Value| object["metadata"]["name"] == controller.program;
            Deployed {
                program: controller.program,
                kind: (controller.crd)().spec.names.kind,
                deployment: items(deployments).find(is_its).map(deployment),
            }
        });
        let mut components: Vec<Component> = items(objects).map(Component::parse).collect();
        components.sort_by(|one, other| one.id.cmp(&other.id));
        Self { controllers: controllers.collect(), components }
    }

    /// Reads the stack from the cluster. `kinds` are plural names with their group, and must exist.
    pub fn take(step: &Step, kubectl: &Kubectl, kinds: &[String], namespace: Option<&str>) -> Result<Self> {
        let get = |arguments: &[&str]| -> Result<Value> {
            let text = kubectl.command(step).args(["get", "--output=json", "--request-timeout=10s"]).args(arguments);
            serde_json::from_str(&text.routine().read()?).context("kubectl output is not JSON")
        };
        let ours = "--selector=app.kubernetes.io/part-of=temporal-stack";
        let deployments = get(&["deployments", ours, "--namespace", NAMESPACE])?;
        let everywhere = vec!["--all-namespaces"];
        let place = namespace.map_or(everywhere, |namespace| vec!["--namespace", namespace]);
        let objects =
            if kinds.is_empty() { Value::Null } else { get(&[&[kinds.join(",").as_str()], &place[..]].concat())? };
        Ok(Self::parse(&deployments, &objects))
    }

    /// The component of that name.
    pub fn component(&self, id: &Id) -> Option<&Component> {
        self.components.iter().find(|component| component.id == *id)
    }

    /// The controller of a kind.
    pub fn controller(&self, kind: &str) -> Option<&Deployed> {
        self.controllers.iter().find(|controller| controller.kind == kind)
    }

    /// Whether neither a controller nor a custom resource exists.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.controllers.iter().all(|controller| controller.deployment.is_none())
    }
}

impl Deployed {
    /// Whether it runs, so that conditions are current.
    pub fn is_available(&self) -> bool {
        self.deployment.as_ref().is_some_and(|deployment| deployment.available > 0)
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn deployment(object: &Value) -> Deployment {
    let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    Deployment {
        version: image.rsplit(':').next().unwrap_or_default().to_owned(),
        available: object["status"]["availableReplicas"].as_i64().unwrap_or_default(),
        wanted: object["spec"]["replicas"].as_i64().unwrap_or(1),
    }
}
