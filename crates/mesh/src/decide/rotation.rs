//! The certificates of Linkerd and of proxies, and when they must be rotated.

use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{
    condition::{Reason, Statement},
    message::{listed, logs},
};

use super::view::View;
use crate::{
    linkerd::certificate::Expiry,
    names::{IDENTITY_VALID, INJECTOR},
    reason,
    traffic::Trouble,
};

/// Where the steps are.
const STEPS: &str = "follow `Before certificates expire` in docs/kinds/mesh.md";
/// How many pods a message names.
const MOST: usize = 3;

/// Certificates with the same use.
struct Certificates {
    what: String,
    expiry: Expiry,
    /// What happens when all of them have expired.
    effect: &'static str,
}

/// The condition `IdentityValid`.
pub(super) fn statement(view: &View<'_>) -> Statement {
    let (now, all) = (view.observed.now, certificates(view));
    if let Some((reason, message)) = expired(&all, now).or_else(|| of_proxies(view)).or_else(|| expiring(&all, now)) {
        return Statement::fails(IDENTITY_VALID, reason, message);
    }
    let Some((trusted, anchors)) = anchors(view) else {
        let message = format!(
            "trust anchors unknown: ConfigMap/linkerd-identity-trust-roots in namespace {} cannot be read, or holds no certificate; see `linkerd check`",
            view.observed.linkerd.namespace
        );
        return Statement::unknown(IDENTITY_VALID, reason::NOT_PERMITTED, message);
    };
    let issuer = view.observed.linkerd.issuer.there().copied().flatten();
    let issuer = issuer.map_or_else(
        || "the issuer is not known, because the controller may not read it".to_owned(),
        |issuer| format!("the issuer is valid until {}", day(issuer.first)),
    );
    let message = format!("{trusted} is valid until {}; {issuer}", day(anchors.first));
    Statement::holds(IDENTITY_VALID, reason::AS_EXPECTED, message)
}

fn anchors(view: &View<'_>) -> Option<(&'static str, Expiry)> {
    let expiry = view.observed.linkerd.anchors.there()?.expiry?;
    Some((if expiry.count > 1 { "the first of the trust anchors" } else { "the trust anchor" }, expiry))
}

fn certificates(view: &View<'_>) -> Vec<Certificates> {
    let linkerd = &view.observed.linkerd;
    let effect = "pods with a proxy lose their connections";
    let anchors =
        anchors(view).map(|(what, expiry)| Certificates { what: format!("{what} of Linkerd"), expiry, effect });
    let issuer = linkerd.issuer.there().copied().flatten();
    let issuer = issuer.map(|expiry| Certificates { what: "the issuer of Linkerd".to_owned(), expiry, effect });
    let webhooks = linkerd.webhooks.iter().map(|(name, expiry)| Certificates {
        what: format!("the CA bundle of {name}"),
        expiry: *expiry,
        effect: if *name == INJECTOR { "new pods get no proxy" } else { "Linkerd does not check what is written" },
    });
    anchors.into_iter().chain(issuer).chain(webhooks).collect()
}

/// Certificates of which none is valid any more.
fn expired(all: &[Certificates], now: Timestamp) -> Option<(Reason, String)> {
    let Certificates { what, expiry, effect } = all.iter().find(|one| one.expiry.last <= now)?;
    let message = format!("{what} expired on {}: {effect}; {STEPS}", day(expiry.last));
    Some((reason::CERTIFICATE_EXPIRED, message))
}

/// Certificates of which one expires soon, or has expired beside valid ones.
fn expiring(all: &[Certificates], now: Timestamp) -> Option<(Reason, String)> {
    let Certificates { what, expiry, .. } = all.iter().find(|one| one.expiry.due < now)?;
    let expires = if expiry.first <= now { "expired" } else { "expires" };
    Some((reason::CERTIFICATE_EXPIRING, format!("{what} {expires} on {}; {STEPS}", day(expiry.first))))
}

/// Proxies whose own certificate was not renewed, although its issuer may be valid.
fn of_proxies(view: &View<'_>) -> Option<(Reason, String)> {
    let leaves = &view.observed.traffic.as_ref()?.leaves;
    let troubled = leaves.iter().filter_map(|(pod, leaf)| Some((leaf.trouble(view.observed.now)?, pod)));
    let troubled: Vec<_> = troubled.collect();
    let worst = troubled.iter().map(|(trouble, _)| *trouble).max()?;
    let pods = troubled.iter().filter(|(trouble, _)| *trouble == worst).map(|(_, pod)| format!("Pod/{pod}"));
    let pods = listed(&pods.collect::<Vec<_>>(), MOST);
    let log = logs(&view.observed.linkerd.namespace, "deploy/linkerd-identity", "identity");
    let cause = "Linkerd's identity service does not sign, or the proxy does not reach it";
    Some(match worst {
        Trouble::Expired => (
            reason::CERTIFICATE_EXPIRED,
            format!("certificate of the proxy of {pods} expired: {cause}; see {log}, then restart the pods"),
        ),
        Trouble::Late => (
            reason::CERTIFICATE_NOT_RENEWED,
            format!("certificate of the proxy of {pods} not renewed in time: {cause}; see {log}"),
        ),
    })
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take_while(|c| *c != 'T').collect()
}
