//! The writes that make the cluster match the intent: decided here, without a client, and carried out in [`super::write`].

mod step;

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use serde_json::{Value, json};

pub(super) use step::{Target, Write};

use super::{
    hold::Holding,
    intent::{
        Owner, is_data, is_ours, is_predecessors, mark, may_be_deleted, must_be_remade, owns, stamped, was_of_another,
    },
};
use crate::{
    api::{DeletionPolicy, annotation},
    cache::{Children, Packed},
    manifest::{Lifetime, Manifest, Mode, difference, disowned, hash},
    volume::fit_request,
};

/// The answers of the API server to applied intents: the intent, and the resulting version. That version matches the intent, even
/// if the server writes it differently.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<String, (String, Option<String>)>);

impl Answers {
    /// Remembers the answer to a write.
    pub(super) fn note(&mut self, write: &Write, answer: &ObjectMeta) {
        if let Write::Apply { object, .. } | Write::Label { object, .. } = write {
            let key = format!("{}/{}", write.kind(), write.name());
            self.0.insert(key, (whole(object), answer.resource_version.clone()));
        }
    }

    fn is_answer(&self, manifest: &Manifest, object: &Value, live: &ObjectMeta) -> bool {
        let known = self.0.get(&manifest.reference());
        known.is_some_and(|(asked, version)| *asked == whole(object) && *version == live.resource_version)
    }
}

/// A hash of the whole intent, including the values of Secrets: it stays in memory. The UID is a precondition, not part of it.
fn whole(object: &Value) -> String {
    let mut asked = object.clone();
    if let Some(metadata) = asked["metadata"].as_object_mut() {
        metadata.remove("uid");
        metadata.remove("resourceVersion");
    }
    hash(&asked)
}

/// An object with a name that we need belongs to another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameConflict {
    /// `Kind/name`.
    pub(super) reference: String,
}

/// The writes of a pass.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    /// Objects that are being deleted and can be recreated only afterwards.
    pub(super) leaving: Vec<String>,
}

/// Compares the manifests with the existing children. `kept` are the kinds that may be pruned, unless a deferred template still
/// reads the object.
pub(super) fn plan(
    owner: &Owner,
    manifests: &[Manifest],
    holding: &Holding,
    children: &Children,
    kept: &[ApiResource],
    answers: &Answers,
) -> Result<Plan, NameConflict> {
    let mut plan = Plan::default();
    for manifest in manifests {
        match (children.get(&manifest.resource.kind, manifest.name()), &manifest.mode) {
            (None, _) => plan.make(owner, manifest),
            (Some(live), Mode::Labelled) => {
                if is_of_child(owner, &live.metadata(), children, kept) {
                    plan.label(manifest, live, answers);
                }
            }
            (Some(live), _) => plan.keep(owner, manifest, live, answers)?,
        }
    }
    plan.prune(owner, manifests, holding, children, kept);
    Ok(plan)
}

impl Plan {
    fn make(&mut self, owner: &Owner, manifest: &Manifest) {
        let drawn = match &manifest.mode {
            Mode::Applied => Vec::new(),
            Mode::Once { drawn } => drawn.clone(),
            Mode::Existing | Mode::Labelled | Mode::Absent => return,
        };
        self.writes.push(Write::Create {
            resource: manifest.resource.clone(),
            object: stamped(owner, manifest),
            drawn,
        });
    }

    fn keep(
        &mut self,
        owner: &Owner,
        manifest: &Manifest,
        packed: &Packed,
        answers: &Answers,
    ) -> Result<(), NameConflict> {
        let meta = &packed.metadata();
        let mut live = packed.value();
        // Objects of a list lack their kind.
        live["apiVersion"] = json!(manifest.resource.api_version);
        live["kind"] = json!(manifest.resource.kind);
        if is_predecessors(owner, meta) || (is_ours(owner, meta) && meta.deletion_timestamp.is_some()) {
            self.leaving.push(manifest.reference());
            return Ok(());
        }
        if !is_ours(owner, meta) {
            return Err(NameConflict { reference: manifest.reference() });
        }
        let resource = manifest.resource.clone();
        match manifest.mode {
            // Objects that are not known to be ours are not deleted.
            Mode::Absent if !may_be_deleted(owner, manifest.lifetime, meta) => {}
            Mode::Absent => self.writes.push(Write::Delete { resource, target: target(meta), orphan: false }),
            Mode::Once { .. } => {
                self.take_ownership(owner, manifest, meta, &live);
            }
            // Objects of other controllers are not pruned.
            Mode::Labelled => {}
            Mode::Existing => {
                // Ownership comes first, by a separate write; the content follows in the next pass.
                if self.take_ownership(owner, manifest, meta, &live) {
                    return Ok(());
                }
                let mut intent = stamped(owner, manifest);
                fit_request(&mut intent, &live);
                if difference(&intent, &live).is_some() && !answers.is_answer(manifest, &intent, meta) {
                    intent["metadata"]["uid"] = json!(meta.uid);
                    self.writes.push(Write::Apply { resource, object: intent, posted: false, adopted: false });
                }
            }
            Mode::Applied => {
                let mut intent = stamped(owner, manifest);
                if must_be_remade(manifest, &intent, &live) {
                    self.writes.push(Write::Delete { resource, target: target(meta), orphan: true });
                } else if has_drifted(owner, &intent, &live) && !answers.is_answer(manifest, &intent, meta) {
                    // An object that has been replaced meanwhile is not the one that was compared.
                    intent["metadata"]["uid"] = json!(meta.uid);
                    if manifest.is_guarded {
                        intent["metadata"]["resourceVersion"] = json!(meta.resource_version);
                    }
                    let posted = packed.was_posted();
                    let adopted = was_of_another(owner, &live);
                    self.writes.push(Write::Apply { resource, object: intent, posted, adopted });
                }
            }
        }
        Ok(())
    }

    /// Sets labels that are missing or wrong.
    fn label(&mut self, manifest: &Manifest, packed: &Packed, answers: &Answers) {
        let meta = &packed.metadata();
        let mut object = manifest.object.clone();
        object["apiVersion"] = json!(manifest.resource.api_version);
        object["kind"] = json!(manifest.resource.kind);
        let is_right = difference(&manifest.object, &packed.value()).is_none();
        if meta.deletion_timestamp.is_none() && !is_right && !answers.is_answer(manifest, &object, meta) {
            // A new object of that name may have another controller.
            object["metadata"]["uid"] = json!(meta.uid);
            self.writes.push(Write::Label { resource: manifest.resource.clone(), object });
        }
    }

    /// Corrects the ownership of an object: labels, owner reference, owner annotation. Returns whether anything was corrected.
    /// For objects that are created once, labels and annotations are corrected too: a backup tool may have restored them without.
    fn take_ownership(&mut self, owner: &Owner, manifest: &Manifest, meta: &ObjectMeta, live: &Value) -> bool {
        let mut wanted = json!({});
        if matches!(manifest.mode, Mode::Once { .. }) {
            for part in ["labels", "annotations"] {
                if let Some(marks) = manifest.object["metadata"].get(part).filter(|marks| marks.is_object()) {
                    wanted["metadata"][part] = marks.clone();
                }
            }
        }
        mark(&mut wanted, owner, manifest.lifetime);
        if manifest.lifetime == Lifetime::Data(DeletionPolicy::Delete) {
            wanted["metadata"]["annotations"][annotation::RECORDED] = json!(meta.uid);
        }
        // Under Retain our reference must be absent, which containment alone does not detect; and a merge replaces the whole
        // list, so foreign references are repeated.
        let is_wanted = wanted["metadata"].get("ownerReferences").is_some();
        let live_references = meta.owner_references.as_deref().unwrap_or_default();
        let others = live_references.iter().filter(|reference| reference.uid != owner.reference.uid);
        let references: Vec<_> = others.chain(Some(&owner.reference).filter(|_| is_wanted)).collect();
        wanted["metadata"]["ownerReferences"] = json!(references);
        if difference(&wanted, live).is_none() && references.len() == live_references.len() {
            return false;
        }
        wanted["metadata"]["resourceVersion"] = json!(meta.resource_version);
        let adopted = was_of_another(owner, live);
        self.writes.push(Write::Own {
            resource: manifest.resource.clone(),
            name: manifest.name().to_owned(),
            patch: wanted,
            adopted,
        });
        true
    }

    fn prune(
        &mut self,
        owner: &Owner,
        manifests: &[Manifest],
        holding: &Holding,
        children: &Children,
        kept: &[ApiResource],
    ) {
        let wanted: BTreeSet<(&str, &str)> =
            manifests.iter().map(|manifest| (manifest.resource.kind.as_str(), manifest.name())).collect();
        for (kind, name, live) in children.iter() {
            let Some(resource) = kept.iter().find(|resource| resource.kind == kind) else { continue };
            if wanted.contains(&(kind, name)) || holding.reads(resource, name) {
                continue;
            }
            let meta = live.metadata();
            if owns(owner, &meta) && !is_data(&meta) && meta.deletion_timestamp.is_none() {
                self.writes.push(Write::Delete { resource: resource.clone(), target: target(&meta), orphan: false });
            }
        }
    }
}

/// Whether an intended value is missing or changed, or another manager has written to a field that we applied: this detects
/// additions to lists or maps that the API treats as one value.
fn has_drifted(owner: &Owner, intent: &Value, live: &Value) -> bool {
    difference(intent, live).is_some() || disowned(intent, owner.component, live).is_some()
}

/// Whether the controller of an object is one of our children.
fn is_of_child(owner: &Owner, meta: &ObjectMeta, children: &Children, kept: &[ApiResource]) -> bool {
    let controller = meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true));
    controller.is_some_and(|controller| {
        let is_it = |kind: &str, child: &Packed| {
            child.uid() == controller.uid && kept.iter().any(|resource| resource.kind == kind)
        };
        children.iter().any(|(kind, _, child)| is_it(kind, child) && is_ours(owner, &child.metadata()))
    })
}

fn target(meta: &ObjectMeta) -> Target {
    Target {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone(),
        version: meta.resource_version.clone(),
    }
}
