//! Which pods have a current proxy.

use temporal_stack_common::{
    api::annotation,
    component::{Stalled, Waiting},
    condition::{Reason, Statement},
    message::{kubectl, listed, logs},
};

use super::{
    annotations::{foreign, obstacle},
    restart::Rolling,
    view::{Member, State, View, title},
};
use crate::{
    names::{DISABLED, INJECT, INJECTED},
    reason,
};

/// How many components, pods or annotations a message names.
const MOST: usize = 3;

/// What the pods wait for.
pub(super) fn waiting(view: &View<'_>, rolling: &Rolling<'_>) -> Option<Waiting> {
    let (reason, message) = trouble(view, rolling)?;
    Some(Waiting::new(reason, message))
}

/// The condition `Injected`.
pub(super) fn statement(view: &View<'_>, rolling: &Rolling<'_>) -> Statement {
    let strangers = strangers(view);
    if let Err(Stalled { reason, message }) = obstacle(view) {
        return match reason {
            reason::NOT_PERMITTED => Statement::unknown(INJECTED, reason, message),
            _ => Statement::fails(INJECTED, reason, message),
        };
    }
    let (pods, current) = view.counts();
    if let Some((reason, message)) = trouble(view, rolling) {
        return Statement::fails(INJECTED, reason, format!("{message}{strangers}"));
    }
    let kept = foreign(view, |_| true);
    let reason = if kept.is_empty() { reason::AS_EXPECTED } else { reason::FOREIGN_ANNOTATION };
    let kept = kept.iter().fold(String::new(), |text, kept| text + ". " + kept);
    Statement::holds(INJECTED, reason, format!("{current} of {pods} pods have a current proxy{kept}{strangers}"))
}

fn trouble(view: &View<'_>, rolling: &Rolling<'_>) -> Option<(Reason, String)> {
    if !view.absent.is_empty() {
        let absent: Vec<String> = view.absent.iter().map(|reference| title(reference)).collect();
        let message = format!(
            "spec.components names {}, which does not exist in this namespace; create it, or remove it from the list",
            listed(&absent, MOST)
        );
        return Some((reason::COMPONENT_MISSING, message));
    }
    let legacy = pods(view, |state| state == State::Container);
    if !legacy.is_empty() {
        let message = format!(
            "proxies of {} are no native sidecars, so Jobs do not end, and brokers lose their network before they have ended; set proxy.nativeSidecar=true in Linkerd's settings, on Kubernetes 1.29 or later",
            listed(&legacy, MOST)
        );
        return Some((reason::NO_NATIVE_SIDECARS, message));
    }
    let stale: Vec<&Member<'_>> = view.members.iter().filter(|member| is_stale(member)).collect();
    if stale.is_empty() {
        return match rolling {
            Rolling::Waits(what) => Some((reason::ROLLING, what.clone())),
            _ => None,
        };
    }
    let names = stale.iter().map(|member| described(member)).collect::<Vec<_>>();
    let names = listed(&names, MOST);
    Some(match rolling {
        Rolling::Waits(what) => (reason::ROLLING, format!("pods without a current proxy: {names}; {what}")),
        Rolling::Blocked => (
            lacking(view),
            format!("pods without a current proxy: {names}; they are restarted when Linkerd adds proxies again"),
        ),
        Rolling::Restart(member, _) => (
            reason::ROLLING,
            format!("pods without a current proxy: {names}; {} is restarted", title(&member.component.reference)),
        ),
        Rolling::Failed(member) => {
            let message = format!(
                "pods of {} have no current proxy after several restarts: {names}; see the log of {}",
                title(&member.component.reference),
                logs(&view.observed.linkerd.namespace, "deploy/linkerd-proxy-injector", "proxy-injector"),
            );
            (reason::INJECTION_FAILED, message)
        }
        Rolling::Settled | Rolling::WhenAsked => {
            let commands: Vec<String> = stale.iter().take(MOST).map(|member| command(view, member)).collect();
            let message = format!(
                "pods without a current proxy: {names}; restart one component after the other, or set spec.rollout to Automatic: {}",
                commands.join("; ")
            );
            (lacking(view), message)
        }
    })
}

/// What pods lack: a proxy, or a current one.
fn lacking(view: &View<'_>) -> Reason {
    let is_missing = !pods(view, |state| state == State::Missing).is_empty();
    if is_missing { reason::PROXIES_MISSING } else { reason::PROXIES_OUTDATED }
}

fn is_stale(member: &Member<'_>) -> bool {
    member.pods.iter().any(|(_, state)| state.is_stale())
}

/// A component with its pods that lack a current proxy.
fn described(member: &Member<'_>) -> String {
    let pods = member.pods.iter().filter_map(|(pod, state)| match state {
        State::Missing => Some(format!("{} has none", pod.name)),
        State::Outdated(key) => Some(format!("{} has another {key}", pod.name)),
        State::Current | State::Container => None,
    });
    format!("{} ({})", title(&member.component.reference), listed(&pods.collect::<Vec<_>>(), MOST))
}

fn command(view: &View<'_>, member: &Member<'_>) -> String {
    let reference = &member.component.reference;
    let words = format!(
        "annotate {} {} {}=\"$(date +%s)\" --overwrite",
        reference.kind.as_str().to_lowercase(),
        reference.name,
        annotation::RESTART
    );
    kubectl(&view.names.namespace, &words)
}

fn pods(view: &View<'_>, wanted: impl Fn(State) -> bool) -> Vec<String> {
    let all = view.members.iter().flat_map(|member| &member.pods);
    all.filter(|(_, state)| wanted(*state)).map(|(pod, _)| pod.name.clone()).collect()
}

/// Pods of others are only named. They concern the mesh where the whole namespace belongs to it.
fn strangers(view: &View<'_>) -> String {
    let strangers = &view.observed.strangers;
    if view.object.spec.components.is_some() || strangers.is_empty() {
        return String::new();
    }
    format!(
        ". Pods of no component without a proxy: {}; restart them, or annotate them with {INJECT}: {DISABLED}",
        listed(strangers, MOST)
    )
}
