//! Refusals of the API server, its admission plugins and webhooks, with the remedy. Their messages are quoted; the remedy names
//! the field of the spec or the object that decides.

use std::{cmp::Ordering, collections::BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};

use super::{Program, field};
use crate::{
    manifest::compare_quantities,
    message::{kubectl, shortened},
};

/// How many characters of a quoted message are kept.
pub(crate) const LONGEST: usize = 400;

/// Why a pod, or the claim of its volume, was not created, with the remedy.
pub(crate) fn of_pod(words: &str, template: Option<&PodTemplateSpec>, namespace: &str, programs: &[Program]) -> String {
    let what = if words.contains("persistentvolumeclaims \"") { "the volume claim" } else { "the pod" };
    let refusal = Refusal { words: plain(words), template, namespace, programs };
    refusal.describe(&format!("{what} is refused"))
}

/// Why an object was not created or changed, with the remedy.
pub(crate) fn of_child(
    reference: &str,
    words: &str,
    template: Option<&PodTemplateSpec>,
    namespace: &str,
    programs: &[Program],
) -> String {
    Refusal { words: plain(words), template, namespace, programs }.describe(&format!("{reference} is refused"))
}

/// The remedy for words of a volume driver, or of a quota, about the size of a volume.
pub(super) fn storage_remedy(words: &str) -> Option<String> {
    let words = words.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&["exceeded quota", "quota exceeded", "quotaexceeded"]) {
        return Some("raise the quota, or lower the size of the storage in the spec".to_owned());
    }
    if has(&["not enough", "no space", "insufficient", "resourceexhausted", "exhausted", "no capacity"]) {
        return Some("make room in the storage system, or lower the size of the storage in the spec".to_owned());
    }
    if has(&["topology", "zone"]) {
        return Some("give the class topologies that the nodes have, or add nodes there".to_owned());
    }
    None
}

/// The message without its prefix: the attempted request, and the name of a pod, which changes each time.
fn plain(words: &str) -> &str {
    let rest = words.split_once(" failed error: ").map_or(words, |(_, rest)| rest);
    let rest = rest.trim_start_matches("Error creating: ");
    rest.split_once(" is forbidden: ").map_or(rest, |(_, rest)| rest)
}

struct Refusal<'a> {
    words: &'a str,
    template: Option<&'a PodTemplateSpec>,
    namespace: &'a str,
    programs: &'a [Program],
}

impl Refusal<'_> {
    fn describe(&self, what: &str) -> String {
        let words = shortened(self.words, LONGEST);
        match self.remedy() {
            Some(remedy) => format!("{what}: {words}; {remedy}"),
            None => format!("{what}: {words}"),
        }
    }

    /// The remedy. The order matters: one message may match several.
    fn remedy(&self) -> Option<String> {
        let has = |part: &str| self.words.contains(part);
        if let Some((_, missing)) = self.words.split_once("must specify ") {
            return Some(self.specify(missing));
        }
        if let Some((_, rest)) = self.words.split_once("exceeded quota: ") {
            let quota = rest.split(',').next().unwrap_or_default();
            return Some(match self.lowered(rest) {
                Some(fields) => {
                    format!("raise ResourceQuota/{quota}, delete objects that it counts, or lower {fields}")
                }
                None => format!("raise ResourceQuota/{quota}, or delete objects that it counts"),
            });
        }
        if has(" usage per ") || has("limit to request ratio per ") {
            return Some(self.keep_the_range());
        }
        if has("violates PodSecurity") {
            let label = "pod-security.kubernetes.io/enforce";
            return Some(format!(
                "set the label {label} of Namespace/{} to a level that permits the pod",
                self.namespace
            ));
        }
        if has("failed calling webhook") || has("failed calling admission webhook") {
            return Some("restore that webhook, or exempt the namespace from it".to_owned());
        }
        if has("admission webhook") || has("ValidatingAdmissionPolicy") || has("denied request") {
            return Some("comply with that policy, or exempt the namespace from it".to_owned());
        }
        if has("error looking up service account") || has("serviceaccount \"") {
            return Some("restore the ServiceAccount, or correct spec.pods.serviceAccountName".to_owned());
        }
        if has("cannot create resource") || has("cannot patch resource") || has("cannot delete resource") {
            return Some("grant that permission to the ServiceAccount of the controller".to_owned());
        }
        if has("Invalid value") || has("is invalid") || has("Required value") || has("Unsupported value") {
            return Some("correct the field of the spec that sets it".to_owned());
        }
        None
    }

    /// A `LimitRange` limits a resource of a container without naming the container: it is the one that has that value.
    fn keep_the_range(&self) -> String {
        const OF_CONTAINER: &str = " usage per Container is ";
        let (mut fields, mut without) = (BTreeSet::new(), BTreeSet::new());
        for (at, _) in self.words.match_indices(OF_CONTAINER) {
            let resource = self.words[..at].rsplit([' ', '[']).next().unwrap_or_default();
            // `48Mi, but request is 8Mi`, or `48Mi.  No request is specified`.
            let Some((bound, value)) = self.words[at + OF_CONTAINER.len()..].split_once(" is ") else { continue };
            let kind = bound.rsplit(' ').next().unwrap_or_default();
            let value = value.split([',', ']']).next().unwrap_or_default();
            for container in self.containers().filter(|container| has(container, kind, resource, value)) {
                match field(self.programs, &container.name) {
                    Some(field) => _ = fields.insert(format!("{field}.{kind}s.{resource}")),
                    None => _ = without.insert(container.name.clone()),
                }
            }
        }
        let see = kubectl(self.namespace, "describe limitrange");
        let mut remedies = Vec::new();
        if !fields.is_empty() {
            remedies.push(format!("set {}", joined(&fields)));
        }
        if !without.is_empty() {
            remedies.push(format!(
                "change the LimitRange: no field of the spec sets the resources of container {}",
                joined(&without)
            ));
        }
        if remedies.is_empty() {
            remedies.push("stay within the range, or change it".to_owned());
        }
        format!("see the LimitRange ({see}): {}", remedies.join("; "))
    }

    /// A quota counts a resource that containers do not specify: `limits.cpu for: a,b; limits.memory for: c`.
    fn specify(&self, missing: &str) -> String {
        let (mut fields, mut without) = (BTreeSet::new(), BTreeSet::new());
        for part in missing.split("; ") {
            let Some((resource, containers)) = part.split_once(" for: ") else { continue };
            for container in containers.split(',').map(str::trim) {
                match field(self.programs, container) {
                    Some(field) => _ = fields.insert(format!("{field}.{resource}")),
                    None => _ = without.insert(container.to_owned()),
                }
            }
        }
        let mut remedies = Vec::new();
        if !fields.is_empty() {
            // Helper containers get the same resources.
            remedies.push(format!("set {}", joined(&fields)));
        }
        if fields.is_empty() {
            let which = if without.is_empty() { "them".to_owned() } else { format!("container {}", joined(&without)) };
            remedies.push(format!("create a LimitRange with defaults for {which}"));
        }
        remedies.join("; ")
    }

    /// The fields that count against a quota that is exceeded, if the spec sets any.
    fn lowered(&self, rest: &str) -> Option<String> {
        let requested = rest.split_once("requested: ").map_or("", |(_, requested)| requested);
        let requested = requested.split(", used:").next().unwrap_or_default();
        if requested
            .split(',')
            .any(|part| part.split('=').next().is_some_and(|part| part.ends_with("requests.storage")))
        {
            return Some("the size of the storage in the spec".to_owned());
        }
        let of_containers = ["cpu", "memory", "ephemeral-storage"];
        let counts = requested.split(',').filter_map(|part| part.split('=').next());
        let is_of_containers =
            counts.into_iter().any(|counted| of_containers.iter().any(|part| counted.ends_with(part)));
        let fields: BTreeSet<String> = self
            .containers()
            .filter(|_| is_of_containers)
            .filter_map(|container| field(self.programs, &container.name).map(str::to_owned))
            .collect();
        (!fields.is_empty()).then(|| joined(&fields))
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        let spec = self.template.and_then(|template| template.spec.as_ref());
        spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
    }
}

/// Whether a container has that value of a resource; `specified`: whether it has none.
fn has(container: &Container, kind: &str, resource: &str, value: &str) -> bool {
    let resources = container.resources.as_ref();
    let all = resources.and_then(|resources| match kind {
        "request" => resources.requests.as_ref(),
        _ => resources.limits.as_ref(),
    });
    match all.and_then(|all| all.get(resource)) {
        Some(has) => compare_quantities(&has.0, value) == Some(Ordering::Equal),
        None => value == "specified",
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
