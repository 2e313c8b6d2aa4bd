//! Whether connections are restricted, and what that would deny.
//!
//! The order is: proxies beside all pods, calculation, enforcement. Policies that are in force stay so: a pod that comes up without a
//! proxy later must not open the doors of all others.
//!
//! # Half of the policies
//!
//! Writes may be refused: a lost permission, a webhook, a kind that has been removed. A Server that denies without the policies that
//! admit its clients is an outage. So no Server begins to deny before all of these exist as they should, one that denies already
//! admits again when they are gone and the API server refuses to create them, and all do when one of the kinds is gone.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use temporal_stack_common::{
    api::{Audit, DeniedEdge, Policy},
    condition::{Reason, STALLED, Statement, find},
    manifest::Manifest,
    message::counted,
};

use super::{
    calculation::{Calculation, is_server},
    installation::can_audit,
    view::{View, closed},
};
use crate::{
    evaluate::audit::{Audit as Calculated, Cut, Denial, Foreign, Peer},
    names::{POLICY_ENFORCED, SKIPPED_PORTS},
    policy::{self, Mode, name, routes},
    reason,
    stack::{Stack, edges, reference},
};

/// The most connections in the status.
const SHOWN: usize = 32;

/// How many Servers of others a message names.
const NAMED: usize = 3;

/// What is applied, and what is said of it.
#[derive(Default)]
pub(crate) struct Enforcement {
    /// The policies and routes, in the order of applying, and what leaves.
    pub(crate) manifests: Vec<Manifest>,
    /// The condition `PolicyEnforced`; none if the object asks for no policy.
    pub(crate) statement: Option<Statement>,
    /// Why the policy that the object asks for is not in force.
    pub(crate) obstacle: Option<(Reason, String)>,
    /// What would be denied.
    pub(crate) audit: Option<Audit>,
}

/// Derives the policies of an object.
pub(crate) fn enforcement(view: &View<'_>) -> Enforcement {
    let (stack, linkerd) = (view.stack(), &view.observed.linkerd);
    let mut enforcement = match view.object.spec.policy {
        Policy::Off if is_needed(view) => Enforcement { manifests: audited(view, &stack), ..Enforcement::default() },
        Policy::Off => Enforcement::default(),
        Policy::Audit | Policy::Enforce if !linkerd.missing_kinds.is_empty() => incomplete(view, &stack),
        Policy::Audit | Policy::Enforce if can_audit(linkerd) => asked(view, &stack),
        Policy::Audit | Policy::Enforce => unsupported(),
    };
    // Timeouts and retries of routes are of the same release as this version of Server.
    if view.object.spec.routes.is_on() && linkerd.has_routes && can_audit(linkerd) {
        enforcement.manifests.extend(routes::routes(&stack));
    }
    let existing = view.observed.policies.own.iter().map(|own| (own.kind.as_str(), own.name()));
    let leaving = policy::retire(existing, &enforcement.manifests);
    enforcement.manifests.extend(leaving);
    enforcement
}

/// Whether pods would deny everything without the Servers that exist.
fn is_needed(view: &View<'_>) -> bool {
    let has_servers = view.observed.policies.own.iter().any(|own| is_server(&own.kind));
    has_servers && can_audit(&view.observed.linkerd) && !closed(&view.observed.components).is_empty()
}

/// The policies with Servers that deny nothing, of the kinds that the cluster has.
fn audited(view: &View<'_>, stack: &Stack) -> Vec<Manifest> {
    let is_served = |manifest: &Manifest| {
        let definition = format!("{}.{}", manifest.resource.plural, manifest.resource.group);
        !view.observed.linkerd.missing_kinds.contains(&definition.as_str())
    };
    policy::derive(stack, &edges::wanted(stack), Mode::Audit).into_iter().filter(is_served).collect()
}

fn unsupported() -> Enforcement {
    let message = "this Linkerd has no Server v1beta3, with which a policy can be tried before it is enforced; upgrade Linkerd to 2.16 or later, or set spec.policy to Off";
    refused(Vec::new(), reason::UNSUPPORTED_VERSION, message)
}

/// A part of Linkerd's kinds is gone, and with it what admits clients: Servers must not deny on.
fn incomplete(view: &View<'_>, stack: &Stack) -> Enforcement {
    let linkerd = &view.observed.linkerd;
    let message = format!(
        "policies are not enforced: the cluster does not serve {}; install all of Linkerd's kinds with `linkerd install --crds | kubectl apply -f -`",
        linkerd.missing_kinds.join(", ")
    );
    let manifests = if can_audit(linkerd) { audited(view, stack) } else { Vec::new() };
    refused(manifests, reason::KINDS_MISSING, &message)
}

fn refused(manifests: Vec<Manifest>, reason: Reason, message: &str) -> Enforcement {
    let statement = Some(Statement::fails(POLICY_ENFORCED, reason, message));
    Enforcement { manifests, statement, obstacle: Some((reason, message.to_owned())), audit: None }
}

fn asked(view: &View<'_>, stack: &Stack) -> Enforcement {
    let edges = edges::wanted(stack);
    let enforced = policy::derive(stack, &edges, Mode::Enforce);
    let calculation = Calculation { view, stack, edges: &edges, enforced: &enforced };
    let calculated = calculation.whole();
    let is_enforce = view.object.spec.policy == Policy::Enforce;
    let is_begun = view.observed.policies.is_enforced;
    let hidden = hidden(view);
    // Policies in force would deny those whose addresses can no longer be seen.
    let may_stay = is_begun && hidden.is_none();
    let obstacle = hidden.or_else(|| cutting(&calculated));
    let unready = (!is_begun && view.has_stale_pods()).then(|| {
        let message = "policies are enforced when every pod has a current proxy; see the condition Injected";
        (reason::PROXIES_MISSING, message.to_owned())
    });
    let enforces = is_enforce && (may_stay || (obstacle.is_none() && unready.is_none()));
    let lacking = if enforces { calculation.lacking() } else { BTreeSet::new() };
    let pending = if enforces { pending(view, &enforced, &lacking) } else { None };
    let progress = match (enforces, &pending) {
        (false, _) => Progress::Audited,
        (true, Some(_)) => Progress::Pending,
        (true, None) => Progress::InForce,
    };
    let obstacle = obstacle.or(unready.filter(|_| is_enforce)).or(pending);
    let audit = shown(view, &calculated);
    let statement = statement(obstacle.as_ref(), progress, &audit, &notes(stack, &edges, &calculated), &calculated);
    let audited = audited(view, stack);
    let manifests = if enforces { partly(view, enforced, audited, &lacking) } else { audited };
    Enforcement {
        manifests,
        statement: Some(statement),
        obstacle: obstacle.filter(|_| is_enforce),
        audit: Some(audit).filter(|_| progress != Progress::InForce),
    }
}

/// What else the user should know: entries of the spec without effect, younger Servers of others, and ports that no policy guards.
fn notes(stack: &Stack, edges: &edges::Edges, calculated: &Calculated) -> String {
    let refused = edges.refused.iter().map(|(index, wrong)| format!(". spec.allow[{index}]: {wrong}"));
    let younger = calculated.foreign.iter().filter(|foreign| !foreign.wins).take(NAMED);
    let younger = younger.map(|Foreign { server, component, port, .. }| {
        format!(". Server/{server} has no effect on port {port} of {}: ours is older; delete it", reference(component))
    });
    let open = stack.unguarded().into_iter().take(NAMED).map(|(component, port)| {
        format!(
            ". Port {port} of {} is open, because its connections bypass the proxy ({SKIPPED_PORTS}, or proxyInit.ignoreInboundPorts of Linkerd)",
            reference(component)
        )
    });
    let routed = calculated.routed.iter().take(NAMED).map(|server| {
        format!(
            ". Server/{server} is the parent of an HTTPRoute, so probes and calls that the route does not match get 404; delete the route"
        )
    });
    refused.chain(younger).chain(open).chain(routed).collect()
}

/// How far enforcement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing is denied.
    Audited,
    /// Some Servers deny, or will in the next passes.
    Pending,
    /// All Servers deny.
    InForce,
}

/// The enforced policies, where Servers that must not deny are `audited`. Both lists have the same objects in the same order.
fn partly(view: &View<'_>, enforced: Vec<Manifest>, audited: Vec<Manifest>, lacking: &BTreeSet<Cut>) -> Vec<Manifest> {
    let status = view.object.status.as_ref();
    let stalled = status.and_then(|status| find(&status.conditions, STALLED));
    let was_refused = stalled.is_some_and(|stalled| stalled.reason == reason::CHILD_REFUSED.as_str());
    let cuts = |server: &str| lacking.iter().any(|cut| name::server(&cut.component, cut.port) == server);
    let must_admit = |server: &str| {
        // A new client waits for a moment; the door is not opened for it unless its policy is refused.
        if is_denying(view, server) { was_refused && cuts(server) } else { !lacking.is_empty() }
    };
    let chosen = enforced.into_iter().zip(audited);
    chosen
        .map(
            |(denies, admits)| {
                if is_server(&denies.resource.kind) && must_admit(denies.name()) { admits } else { denies }
            },
        )
        .collect()
}

/// Whether a Server of ours denies now.
fn is_denying(view: &View<'_>, server: &str) -> bool {
    let mut own = view.observed.policies.own.iter();
    own.any(|own| is_server(&own.kind) && own.name() == server && own.object["spec"]["accessPolicy"] == "deny")
}

/// What is left to do until all Servers deny.
fn pending(view: &View<'_>, enforced: &[Manifest], lacking: &BTreeSet<Cut>) -> Option<(Reason, String)> {
    if let Some(Cut { client, component, port, .. }) = lacking.first() {
        let others = lacking.len() - 1;
        let others = if others > 0 { format!(" ({others} more)") } else { String::new() };
        let message = format!(
            "the policy that admits {client} to port {port} of {} is missing or outdated{others}; if this lasts, apply the controller's ClusterRole and ClusterRoleBinding",
            reference(component)
        );
        return Some((reason::POLICIES_MISSING, message));
    }
    let denies =
        |manifest: &&Manifest| is_server(&manifest.resource.kind) && manifest.object["spec"]["accessPolicy"] == "deny";
    let late = enforced.iter().filter(denies).find(|server| !is_denying(view, server.name()))?;
    Some((reason::APPLYING, format!("{} does not deny yet; wait for the next pass", late.reference())))
}

/// What cannot be seen: without their addresses controllers, and clients of node ports, would be denied.
fn hidden(view: &View<'_>) -> Option<(Reason, String)> {
    let observed = view.observed;
    if observed.policies.is_hidden {
        let message = "policies unknown: the controller may not list the kinds of policy.linkerd.io; apply its ClusterRole and ClusterRoleBinding, or set spec.policy to Off";
        return Some((reason::NOT_PERMITTED, message.to_owned()));
    }
    let unseen = [("nodes", observed.nodes.is_none()), ("pods of the controllers", observed.controllers.is_none())];
    let unseen: Vec<&str> = unseen.into_iter().filter(|(_, is_hidden)| *is_hidden).map(|(what, _)| what).collect();
    (!unseen.is_empty()).then(|| {
        let message = format!(
            "addresses unknown: the controller may not list {}; apply its ClusterRole and ClusterRoleBinding, or set spec.policy to Off",
            unseen.join(" and ")
        );
        (reason::NOT_PERMITTED, message)
    })
}

/// What would be denied although the stack needs it, whatever was observed.
fn cutting(calculated: &Calculated) -> Option<(Reason, String)> {
    let foreign = calculated.foreign.iter().find(|foreign| foreign.wins).map(|foreign| {
        let message = format!(
            "Server/{} is older than ours and counts instead for port {} of {}; delete it",
            foreign.server,
            foreign.port,
            reference(&foreign.component)
        );
        (reason::FOREIGN_SERVER, message)
    });
    foreign.or_else(|| Some((reason::NEEDED_CONNECTION_DENIED, calculated.refusal()?)))
}

/// What the status shows. The time since which nothing was denied is that of the former status, unless something is.
fn shown(view: &View<'_>, calculated: &Calculated) -> Audit {
    let mut denied: Vec<DeniedEdge> = calculated.denied.iter().map(edge).collect();
    denied.sort_unstable();
    denied.dedup();
    let more = denied.len().saturating_sub(SHOWN);
    denied.truncate(SHOWN);
    let before = view.object.status.as_ref().and_then(|status| status.audit.as_ref());
    let since = before.and_then(|audit| audit.quiet_since.clone());
    // Nothing is known before the first metrics.
    let is_known = view.observed.traffic.as_ref().is_some_and(|report| report.read > 0);
    let quiet_since = (denied.is_empty() && is_known).then(|| since.unwrap_or(Time(view.observed.now)));
    Audit { would_deny: denied, more: i32::try_from(more).unwrap_or(i32::MAX), quiet_since }
}

fn edge(denial: &Denial) -> DeniedEdge {
    let client = match &denial.client {
        Peer::Identity(identity) => identity.chars().take(256).collect(),
        Peer::Unmeshed => "unmeshed".to_owned(),
    };
    DeniedEdge { client, component: denial.component.clone(), port: denial.port.clone() }
}

fn statement(
    obstacle: Option<&(Reason, String)>,
    progress: Progress,
    audit: &Audit,
    notes: &str,
    calculated: &Calculated,
) -> Statement {
    if let Some((reason, message)) = obstacle {
        let state = match progress {
            Progress::Audited => "policies are not enforced yet",
            Progress::Pending => "not all policies are enforced yet",
            Progress::InForce => "policies are enforced",
        };
        return Statement::fails(POLICY_ENFORCED, *reason, format!("{state}: {message}{notes}"));
    }
    if progress == Progress::InForce {
        let message = format!("connections that no component needs and spec.allow does not list are denied{notes}");
        return Statement::holds(POLICY_ENFORCED, reason::AS_EXPECTED, message);
    }
    let count = audit.would_deny.len();
    let observed = if count == 0 {
        "no observed connection would be denied".to_owned()
    } else {
        format!("observed connections of {} would be denied, see status.audit", counted(count, "client"))
    };
    let unclear = calculated.unclear.first().map(|unclear| {
        format!(
            ". Clients without a proxy connect to port {} of {}, and whether they are permitted by their address is not known",
            unclear.port,
            reference(&unclear.component)
        )
    });
    let unclear = unclear.unwrap_or_default();
    let message =
        format!("nothing is denied: {observed}; set spec.policy to Enforce to enforce policies{unclear}{notes}");
    Statement::fails(POLICY_ENFORCED, reason::AUDITING, message)
}
