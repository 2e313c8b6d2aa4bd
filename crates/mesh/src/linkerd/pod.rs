//! Pods of the stack.

use std::collections::BTreeMap;

use kube::{ResourceExt, api::DynamicObject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporal_stack_common::api::annotation;

use super::{keep, kept};
use crate::names::{INJECT, PROXY, SETTINGS, SKIPPED_PORTS, TRUST_ROOT};

/// The most bytes of a label or annotation that is kept.
const LONGEST: usize = 256;

/// How a pod has a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proxy {
    /// It has none.
    #[default]
    None,
    /// As a native sidecar, which ends after the programs.
    Native,
    /// As a container, which ends with the programs: Jobs do not end.
    Container,
}

/// What is read of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pod {
    /// Its name.
    #[serde(skip)]
    pub(crate) name: String,
    /// Its UID.
    #[serde(skip)]
    pub(crate) uid: String,
    /// Its labels of the stack and of Linkerd.
    pub(crate) labels: BTreeMap<String, String>,
    /// The annotations that are read.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The UID of the workload that created it.
    pub(crate) owner: Option<String>,
    /// Its ServiceAccount.
    pub(crate) account: String,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
    /// Its proxy.
    pub(crate) proxy: Proxy,
    /// Whether all of its containers are ready.
    pub(crate) is_ready: bool,
    /// Whether it is being deleted.
    pub(crate) is_leaving: bool,
    /// Whether its programs have ended for good.
    pub(crate) has_ended: bool,
}

impl Pod {
    /// Reduces a pod.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let read = Self::read(object);
        keep(object, &read);
    }

    /// The reduced pod.
    pub(crate) fn kept(object: &DynamicObject) -> Option<Self> {
        let pod: Self = kept(object)?;
        Some(Self { name: object.name_any(), uid: object.uid().unwrap_or_default(), ..pod })
    }

    fn read(object: &DynamicObject) -> Self {
        let (spec, status) = (&object.data["spec"], &object.data["status"]);
        let is_read = |key: &str| {
            SETTINGS.contains(&key) || [INJECT, TRUST_ROOT, SKIPPED_PORTS, annotation::RESTART].contains(&key)
        };
        let is_label = |key: &str| {
            ["app.kubernetes.io/", "temporal-stack.dev/", "linkerd.io/"].iter().any(|start| key.starts_with(start))
        };
        let addresses = status["podIPs"].as_array().into_iter().flatten();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        Self {
            labels: chosen(object.labels(), is_label),
            annotations: chosen(object.annotations(), is_read),
            owner: controller.map(|owner| owner.uid.clone()),
            account: text(&spec["serviceAccountName"]).unwrap_or("default").to_owned(),
            addresses: addresses.filter_map(|address| text(&address["ip"]).map(str::to_owned)).take(2).collect(),
            proxy: proxy(spec),
            is_ready: conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True"),
            is_leaving: object.metadata.deletion_timestamp.is_some(),
            has_ended: matches!(text(&status["phase"]), Some("Succeeded" | "Failed")),
            ..Self::default()
        }
    }

    /// The value of an annotation that is read.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// Whether a port does not lead to its proxy: by its own annotation, or else by the default of the installation. Both have numbers
    /// and ranges of them.
    pub(crate) fn skips(&self, port: u16, default: &str) -> bool {
        let ports = self.annotation(SKIPPED_PORTS).unwrap_or(default).split(',');
        ports.map(str::trim).any(|ports| {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let number = |text: &str| text.trim().parse::<u16>().ok();
            number(first).zip(number(last)).is_some_and(|(first, last)| (first..=last).contains(&port))
        })
    }
}

fn proxy(spec: &Value) -> Proxy {
    let has = |list: &str| {
        let all = spec[list].as_array().into_iter().flatten();
        all.into_iter().any(|container| container["name"] == PROXY)
    };
    match (has("initContainers"), has("containers")) {
        (true, _) => Proxy::Native,
        (false, true) => Proxy::Container,
        (false, false) => Proxy::None,
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| text.len() <= LONGEST)
}

fn chosen(all: &BTreeMap<String, String>, is_read: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let read = all.iter().filter(|(key, value)| is_read(key) && value.len() <= LONGEST);
    read.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: Value) -> Pod {
        let mut object: DynamicObject = serde_json::from_value(value).unwrap();
        Pod::reduce(&mut object);
        Pod::kept(&object).unwrap()
    }

    #[test]
    fn injected_pod_has_a_native_proxy_and_copied_settings() {
        let pod = pod(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "namespace": "n", "uid": "u",
                "labels": {"app.kubernetes.io/component": "queue", "strange": "x"},
                "annotations": {SETTINGS[0]: "5s", "strange": "x", TRUST_ROOT: "abc"},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "owner", "controller": true},
                ],
            },
            "spec": {
                "serviceAccountName": "a",
                "initContainers": [{"name": "linkerd-init"}, {"name": PROXY, "restartPolicy": "Always"}],
                "containers": [{"name": "rabbitmq"}],
            },
            "status": {
                "phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }));
        assert_eq!((pod.name.as_str(), pod.proxy, pod.is_ready), ("p", Proxy::Native, true));
        assert_eq!(pod.annotation(SETTINGS[0]), Some("5s"));
        assert_eq!((pod.annotations.len(), pod.labels.len()), (2, 1));
        assert_eq!((pod.owner.as_deref(), pod.addresses.len()), (Some("owner"), 2));
    }

    #[test]
    fn ports_are_skipped_by_number_and_by_range() {
        let with = |ports: &str| Pod {
            annotations: BTreeMap::from([(SKIPPED_PORTS.to_owned(), ports.to_owned())]),
            ..Pod::default()
        };
        for (ports, is_skipped) in [
            ("4001", true),
            ("25, 4001 ,9096", true),
            ("4000-4010", true),
            ("25,4001-4001", true),
            ("4002-4010", false),
            ("4010-4000", false),
            ("-4001,4001-,x", false),
            ("", false),
        ] {
            assert_eq!(with(ports).skips(4001, "4001"), is_skipped, "{ports:?}");
        }
        assert!(Pod::default().skips(4567, "4567,4568") && !Pod::default().skips(4001, "4567,4568"));
    }

    #[test]
    fn malformed_pod_has_no_proxy() {
        let pod = pod(json!({"metadata": {"name": "p"}, "spec": [], "status": 3}));
        assert_eq!((pod.proxy, pod.is_ready, pod.has_ended), (Proxy::None, false, false));
    }
}
