//! The annotations by which pods get proxies: those that this controller sets, and those of others.

use std::collections::BTreeMap;

use temporal_stack_common::{api::DefaultInboundPolicy, component::Stalled, world::Elsewhere};

use super::{
    installation::can_audit,
    view::{View, is_annotated, title},
};
use crate::{
    act::Action,
    names::{CLOSED, ENABLED, INJECT, POD_SECURITY, WEBHOOKS, annotations},
    reason,
};

/// Why the namespace cannot have proxies.
pub(super) fn obstacle(view: &View<'_>) -> Result<(), Stalled> {
    let name = &view.names.namespace;
    let Some(namespace) = view.namespace else {
        return Err(match view.observed.namespace {
            Elsewhere::Unknown => Stalled::new(
                reason::NOT_PERMITTED,
                format!("Namespace/{name} cannot be read; permit the controller to get and patch it"),
            ),
            _ => Stalled::new(reason::NOT_PERMITTED, format!("Namespace/{name} is not known yet")),
        });
    };
    if namespace.is_excluded {
        return Err(Stalled::new(
            reason::NAMESPACE_EXCLUDED,
            format!(
                "no pod of namespace {name} gets a proxy, because of its label {WEBHOOKS}: disabled; remove it with kubectl label namespace {name} {WEBHOOKS}-"
            ),
        ));
    }
    let config = view.observed.linkerd.config.there();
    let has_plugin = config.is_none_or(|config| config.cni_enabled);
    if let Some(level) = namespace.pod_security.as_deref().filter(|level| *level != "privileged" && !has_plugin) {
        return Err(Stalled::new(
            reason::POD_SECURITY,
            format!(
                "pods with a proxy would be refused: namespace {name} has the Pod Security {level}, and Linkerd redirects connections with privileges; install Linkerd's CNI plugin, or set {POD_SECURITY}=privileged"
            ),
        ));
    }
    let kept_out = kept_out(view);
    if kept_out.is_empty() {
        return Ok(());
    }
    Err(Stalled::new(
        reason::FOREIGN_ANNOTATION,
        format!("pods get no proxy: {}; remove it, or delete this object", kept_out.join(", ")),
    ))
}

/// Where another writer has said that pods get no proxy.
fn kept_out(view: &View<'_>) -> Vec<String> {
    if view.object.spec.components.is_none() {
        return foreign(view, |key| key == INJECT);
    }
    let disabled = view.members.iter().filter(|member| {
        member.is_chosen && member.component.annotations.get(INJECT).is_some_and(|value| value != ENABLED)
    });
    disabled
        .map(|member| {
            format!("{INJECT} in spec.pods.annotations of {} is not {ENABLED}", title(&member.component.reference))
        })
        .collect()
}

/// The annotations of the namespace that have another value than this object asks for, and that this controller has not set.
pub(super) fn foreign(view: &View<'_>, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let Some(namespace) = view.namespace else { return Vec::new() };
    let differs = |(key, value): (&str, &str)| {
        let live = namespace.annotations.get(key)?;
        let is_foreign = is_meant(key) && live != value && !namespace.owned.contains(key);
        is_foreign
            .then(|| format!("{key} of Namespace/{} is {live}, set by another, and not {value}", view.names.namespace))
    };
    wanted(view).into_iter().filter_map(differs).collect()
}

/// A default that refuses controllers is only set where there are Servers, which the same pass has applied before. An injector that
/// does not know `audit`, which came with the same release, refuses pods.
fn wanted(view: &View<'_>) -> Vec<(&'static str, &'static str)> {
    let is_recent = can_audit(&view.observed.linkerd);
    let needs_recent =
        |default: &DefaultInboundPolicy| CLOSED.contains(default) || *default == DefaultInboundPolicy::Audit;
    let default = view.object.spec.default_inbound_policy;
    let default = default.filter(|default| is_recent || !needs_recent(default));
    annotations(view.object.spec.components.is_none(), default)
}

/// The annotations of the namespace that this controller must set: not those that others have set to the same value.
fn ours(view: &View<'_>) -> Option<BTreeMap<&'static str, &'static str>> {
    let namespace = view.namespace?;
    let is_ours = |(key, _): &(&str, &str)| !namespace.annotations.contains_key(*key) || namespace.owned.contains(*key);
    Some(wanted(view).into_iter().filter(is_ours).collect())
}

/// The writes that make the annotations those that the object asks for.
pub(super) fn actions(view: &View<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    if let (Some(namespace), Some(ours)) = (view.namespace, ours(view)) {
        let is_set = ours.iter().all(|(key, value)| namespace.annotations.get(*key).is_some_and(|live| live == value));
        if !is_set || namespace.owned.len() != ours.len() {
            actions.push(Action::annotate(&namespace.uid, &view.names.namespace, &ours));
        }
    }
    let is_whole = view.object.spec.components.is_none();
    for member in &view.members {
        let component = member.component;
        let is_asked = !is_whole && member.is_chosen;
        if is_asked && !component.annotations.contains_key(INJECT) {
            actions.push(Action::inject(&component.target));
        } else if !is_asked
            && is_annotated(component)
            && !component.is_leaving
            && !view.observed.released.contains(&component.target.uid)
        {
            // Where it is the user's, this changes nothing.
            actions.push(Action::release(&component.target));
        }
    }
    actions
}
