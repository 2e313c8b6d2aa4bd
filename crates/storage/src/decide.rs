//! What follows from the observed state. Pure: no client, no clock, no randomness.

mod buckets;
mod confirmation;
mod health;
pub(crate) mod leaving;
pub(crate) mod origin;
mod ownership;
mod ready;
mod restart;
pub(crate) mod rook;
mod rotation;
mod validate;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use kube::ResourceExt;
use temporal_stack_common::{
    api::{BucketOrigin, ObjectStorage},
    component::{Decision, Gate, Intent, Stalled, Waiting},
    condition::Statement,
    message::listed,
    s3::{Code, Failure},
};

use self::view::{EmbeddedView, Provider, View};
use crate::{
    Defaults, Storage,
    act::{Action, Change},
    desire,
    names::{self, LISTED, PROBE, nowhere},
    observed::{Observed, Survey},
    reason, status,
    verify::{ManagedBy, Obstacle, Probe, Target, diagnose},
};

/// The interval of passes while a bucket waits for its record in the status.
const RECORDED_WITHIN: Duration = Duration::from_millis(100);

/// Decides about an object.
pub(crate) fn decide(object: &ObjectStorage, observed: &Observed, defaults: &Defaults) -> Decision<Storage> {
    let view = View::new(object, observed);
    let waited = find_waiting(&view);
    let is_stalled = waited.is_err();
    let intent = waited.map(|waiting| intent(&view, waiting, defaults));
    let copy_commands = view.embedded().map(|embedded| copy_commands(&view, embedded)).unwrap_or_default();
    let elsewhere = match view.provider {
        Provider::Embedded(_) => None,
        Provider::Rook(_) => Some("rook"),
        Provider::External(_) => Some("external"),
    };
    let decision = Decision::new(status::status(&view, is_stalled), conditions(&view), intent);
    Decision { copy_commands, ..decision.suspended(object.spec.suspend, elsewhere) }
}

fn conditions(view: &View<'_>) -> Vec<Statement> {
    let mut conditions = vec![ready::statement(view)];
    conditions.extend(health::statements(view));
    if let Provider::External(external) = &view.provider {
        conditions.push(external.honoured.clone());
    }
    conditions
}

/// The command that copies the data of a single server out of its pod. Of several servers, none has the whole.
fn copy_commands(view: &View<'_>, embedded: &EmbeddedView<'_>) -> BTreeMap<String, String> {
    let (names, engine) = (&view.names, embedded.kind.name());
    let volumes = embedded.kind.volumes();
    if embedded.kind.servers() > 1 || volumes.len() > 1 {
        return BTreeMap::new();
    }
    let pod = names.pod(0);
    let tar = format!(
        "kubectl exec -n {} {pod} -c {engine} -- tar -C /{} -cf - . > {}.tar",
        names.namespace,
        volumes.concat(),
        names.object
    );
    BTreeMap::from([(pod, tar)])
}

/// What the object waits for, or why it cannot continue.
fn find_waiting(view: &View<'_>) -> Result<Option<Waiting>, Stalled> {
    validate::validate(view)?;
    let before = match &view.provider {
        Provider::Embedded(embedded) => engine_waiting(view, embedded)?,
        Provider::Rook(rook) => rook.find_waiting()?,
        Provider::External(external) => external.access.as_ref().map(|_| None).map_err(Clone::clone)?,
    };
    if before.is_some() {
        return Ok(before);
    }
    if let Survey::Silent(failure) = view.survey() {
        return silent(view, failure).map(Some);
    }
    let pending = view
        .wanted()
        .filter(|(bucket, wanted)| buckets::problem(view, bucket, wanted).is_none() && !buckets::is_prepared(bucket));
    let pending: Vec<String> = pending.map(|(bucket, _)| bucket.name.to_owned()).collect();
    let message = || format!("buckets and their keys are being created: {}", listed(&pending, LISTED));
    Ok((!pending.is_empty()).then(|| Waiting::new(reason::PREPARING, message())))
}

fn engine_waiting(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Result<Option<Waiting>, Stalled> {
    if let Some(stalled) = embedded.stalled.as_ref().or(embedded.volume.as_ref()) {
        return Err(stalled.clone());
    }
    if embedded.is_stopping {
        let message = "full restart in progress: all servers stop, then start with the new root credential";
        return Ok(Some(Waiting::new(reason::FULL_RESTART, message)));
    }
    match &embedded.observed.survey {
        Survey::Unasked => Ok(Some(health::starting(embedded))),
        Survey::Silent(failure) if is_refusal_of_key(failure) => {
            let message = format!(
                "administrator login refused: Secret/{} does not have the root credential that the servers run with; restore the Secret, or delete the pods so that they read it",
                names::root(&view.names, embedded.roots.number())
            );
            Err(Stalled::new(reason::ADMINISTRATOR_REFUSED, message))
        }
        Survey::Silent(_) | Survey::Known(_) => Ok(None),
    }
}

fn is_refusal_of_key(failure: &Failure) -> bool {
    failure.is(&Code::InvalidAccessKeyId) || failure.is(&Code::SignatureDoesNotMatch)
}

/// The object storage does not answer, or refuses the key.
fn silent(view: &View<'_>, failure: &Failure) -> Result<Waiting, Stalled> {
    let managed_by = managed_by(view);
    let trouble = diagnose(failure, managed_by);
    if trouble.needs_user {
        return Err(Stalled::new(trouble.reason, trouble.message));
    }
    let is_ours = managed_by == ManagedBy::Controller;
    Ok(Waiting::new(if is_ours { reason::ENGINE_UNREACHABLE } else { trouble.reason }, trouble.message))
}

fn managed_by(view: &View<'_>) -> ManagedBy {
    match view.provider {
        Provider::Embedded(_) => ManagedBy::Controller,
        Provider::Rook(_) => ManagedBy::Rook,
        Provider::External(_) => ManagedBy::User,
    }
}

fn intent(view: &View<'_>, waiting: Option<Waiting>, defaults: &Defaults) -> Intent<Storage> {
    let is_restarting = waiting.as_ref().is_some_and(|waiting| waiting.reason == reason::FULL_RESTART);
    let common = Intent {
        manifests: desire::desire(view, defaults),
        actions: if is_restarting { Vec::new() } else { actions(view) },
        upkeep: of_buckets(view, |bucket| origin::mark(view, bucket).into_iter().collect()),
        waiting,
        look_again: is_recording(view).then_some(RECORDED_WITHIN),
        rollout: view.object.spec.rollout,
        probe: probe(view, false),
        inspection: probe(view, true),
        ..Intent::default()
    };
    let Some(embedded) = view.embedded() else { return common };
    let gate = restart::gate(embedded);
    let is_waiting = gate != Gate::Open && embedded.observed.pods.iter().any(|pod| pod.is_outdated);
    let look_again = if is_waiting { health::LOOK_SOON } else { health::look_again(embedded) };
    Intent { restart: gate, look_again: Some(look_again), ..common }
}

/// Whether a bucket is created as soon as the status says so.
fn is_recording(view: &View<'_>) -> bool {
    let is_recording = |bucket: &view::Bucket<'_>| {
        origin::origin(view, bucket) == Some(BucketOrigin::Creating) && !origin::may_create(view, bucket)
    };
    view.buckets.iter().any(is_recording)
}

/// What must change in the object storage, in order.
fn actions(view: &View<'_>) -> Vec<Action> {
    of_buckets(view, |bucket| match bucket.wanted {
        Some(wanted) => buckets::changes(view, bucket, wanted),
        None => leaving::changes(view, bucket),
    })
}

/// These changes of each bucket, as far as they are due.
fn of_buckets(view: &View<'_>, changes: impl Fn(&view::Bucket<'_>) -> Vec<Change>) -> Vec<Action> {
    let kind = view.embedded().map(|embedded| &embedded.kind);
    let of_bucket = |bucket: &view::Bucket<'_>| -> Vec<Action> {
        let Some(store) = view.store(bucket.name) else { return Vec::new() };
        let action = |change: Change| Action {
            store: store.clone(),
            kind: kind.cloned(),
            bucket: bucket.remote_name().to_owned(),
            change,
            owner: origin::marked(bucket),
        };
        changes(bucket).into_iter().map(action).collect()
    };
    let actions = view.buckets.iter().flat_map(of_bucket);
    actions.filter(|action| !view.is_held(&action.to_string())).collect()
}

/// How the buckets are verified; `None` until each can be reached.
fn probe(view: &View<'_>, is_inspection: bool) -> Option<Probe> {
    let host = view.embedded().and_then(|embedded| embedded.observed.service.as_ref());
    let host = host.map(|endpoint| endpoint.host.as_str());
    let uid = view.object.uid().unwrap_or_default();
    let prefix = format!("{PROBE}{uid}/");
    let mut targets = Vec::new();
    let mut obstacle = None;
    for (bucket, wanted) in view.wanted() {
        if let Some(problem) = buckets::problem(view, bucket, wanted) {
            let is_for_user = problem.reason != reason::BUCKET_FAILED;
            obstacle = obstacle.or(Some(Obstacle { reason: problem.reason, message: problem.message, is_for_user }));
            continue;
        }
        let facts = bucket.usable()?;
        let access = bucket.access(host)?;
        targets.push(Target::new(bucket.name, access, facts, &prefix));
    }
    Some(Probe { targets, obstacle, managed_by: managed_by(view), nowhere: nowhere(&uid), is_inspection })
}
