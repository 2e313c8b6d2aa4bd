//! Which component may be restarted now, so that its pods get a current proxy.
//!
//! Components are restarted one after the other, in the order of their dependencies, each by its own controller: the request is the
//! annotation that users set, too. The next one waits until all before it are Ready. A request names the settings and its number, so
//! each component is restarted three times at most for the same settings, however often its pods come back without a proxy.

use serde_json::json;
use temporal_stack_common::{
    api::{Rollout, annotation},
    component::Gate,
    manifest::hash,
};

use super::{
    annotations, installation,
    view::{Member, View, title},
};
use crate::{
    names::{COMPONENT, SETTINGS},
    observed::Observed,
};

/// How often a component is restarted for the same settings.
const ATTEMPTS: u32 = 3;

/// The state of the rollout.
pub(crate) enum Rolling<'a> {
    /// All pods have current proxies.
    Settled,
    /// Users restart the components.
    WhenAsked,
    /// The control plane is awaited: new pods would get no proxy.
    Blocked,
    /// A component is awaited.
    Waits(String),
    /// This component must be restarted, with this request.
    Restart(&'a Member<'a>, String),
    /// This component was restarted as often as it may be.
    Failed(&'a Member<'a>),
}

/// The gate for pods of this object: it has none.
pub(super) fn gate() -> Gate {
    Gate::Open
}

/// The state of the rollout.
pub(super) fn rolling<'a>(view: &'a View<'a>) -> Rolling<'a> {
    let stale = |member: &&Member<'_>| member.pods.iter().any(|(_, state)| state.is_stale());
    let Some(first) = view.members.iter().position(|member| stale(&member)) else { return after(view) };
    if view.object.spec.rollout == Rollout::WhenAsked {
        return Rolling::WhenAsked;
    }
    if !is_injecting(view) {
        return Rolling::Blocked;
    }
    if let Some(unready) = view.members[..first].iter().find(|member| is_awaited(member)) {
        return Rolling::Waits(format!("the rollout waits until {} is Ready", title(&unready.component.reference)));
    }
    let member = &view.members[first];
    let settings = settings(view.observed, member);
    let is_same = |(hash, _): &(&str, u32)| *hash == settings;
    let Some((_, attempt)) = member.component.restart.as_deref().and_then(request).filter(is_same) else {
        return Rolling::Restart(member, format!("{COMPONENT}-{settings}-1"));
    };
    let asked = member.component.restart.as_deref();
    let is_pending =
        member.pods.iter().any(|(pod, state)| state.is_stale() && pod.annotation(annotation::RESTART) != asked);
    if is_pending {
        return Rolling::Waits(format!("{} is restarted", title(&member.component.reference)));
    }
    if attempt >= ATTEMPTS {
        return Rolling::Failed(member);
    }
    Rolling::Restart(member, format!("{COMPONENT}-{settings}-{}", attempt + 1))
}

/// A component that was restarted is awaited, also when it was the last one.
fn after<'a>(view: &'a View<'a>) -> Rolling<'a> {
    let is_ours =
        |member: &&Member<'_>| member.component.restart.as_deref().is_some_and(|asked| request(asked).is_some());
    let restarted = view.members.iter().filter(is_ours);
    let awaited =
        restarted.filter(|_| view.object.spec.rollout == Rollout::Automatic).find(|member| is_awaited(member));
    awaited.map_or(Rolling::Settled, |member| {
        Rolling::Waits(format!("the rollout waits until {} is Ready", title(&member.component.reference)))
    })
}

fn is_awaited(member: &Member<'_>) -> bool {
    member.is_chosen && !member.component.is_ready
}

/// Whether a new pod would get a proxy: the annotations are set, and the control plane runs.
fn is_injecting(view: &View<'_>) -> bool {
    installation::waiting(view).is_none() && annotations::actions(view).is_empty()
}

/// The settings of the proxies of a component.
fn settings(observed: &Observed, member: &Member<'_>) -> String {
    let namespace = observed.namespace.there();
    let of_component = &member.component.annotations;
    let setting = |key: &str| of_component.get(key).or_else(|| namespace?.annotations.get(key)).cloned();
    let anchors = observed.linkerd.anchors.there().and_then(|anchors| anchors.hashes.first());
    let version = installation::version_of(&observed.linkerd);
    hash(&json!([SETTINGS.map(setting), anchors, version]))[..10].to_owned()
}

/// The settings and the number of a request of this controller.
fn request(restart: &str) -> Option<(&str, u32)> {
    let (settings, attempt) = restart.strip_prefix(COMPONENT)?.strip_prefix('-')?.rsplit_once('-')?;
    Some((settings, attempt.parse().ok()?))
}
