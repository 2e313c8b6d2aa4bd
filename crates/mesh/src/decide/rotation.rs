//! The certificates of Linkerd, and when they must be rotated.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use temporal_stack_common::{condition::Statement, world::Elsewhere};

use super::view::View;
use crate::{linkerd::certificate::Expiry, names::IDENTITY_VALID, reason};

/// How long before its end a certificate is reported.
const EARLY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Where the steps are.
const STEPS: &str = "follow `Before certificates expire` in docs/kinds/mesh.md";

/// The condition `IdentityValid`.
pub(super) fn statement(view: &View<'_>) -> Statement {
    let linkerd = &view.observed.linkerd;
    let anchors = match &linkerd.anchors {
        Elsewhere::There(anchors) => anchors.expiry,
        Elsewhere::Missing | Elsewhere::Unknown => None,
    };
    let Some(anchors) = anchors else {
        let message = format!(
            "trust anchors unknown: ConfigMap/linkerd-identity-trust-roots in namespace {} cannot be read, or holds no certificate; see `linkerd check`",
            linkerd.namespace
        );
        return Statement::unknown(IDENTITY_VALID, reason::NOT_PERMITTED, message);
    };
    let issuer = linkerd.issuer.there().copied().flatten();
    let trusted = if anchors.count > 1 { "the first of the trust anchors" } else { "the trust anchor" };
    let all = [Some((trusted, anchors)), issuer.map(|issuer| ("the issuer", issuer))];
    let now = view.observed.now;
    if let Some((what, Expiry { first, .. })) = all.iter().flatten().find(|(_, expiry)| expiry.first <= now) {
        let message =
            format!("{what} of Linkerd expired on {}: pods with a proxy lose their connections; {STEPS}", day(*first));
        return Statement::fails(IDENTITY_VALID, reason::CERTIFICATE_EXPIRED, message);
    }
    if let Some((what, Expiry { first, .. })) = all.iter().flatten().find(|(_, expiry)| first_within(expiry.first, now))
    {
        let message = format!("{what} of Linkerd expires on {}; {STEPS}", day(*first));
        return Statement::fails(IDENTITY_VALID, reason::CERTIFICATE_EXPIRING, message);
    }
    let issuer = issuer.map_or_else(
        || "the issuer is not known, because the controller may not read it".to_owned(),
        |issuer| format!("the issuer is valid until {}", day(issuer.first)),
    );
    let message = format!("{trusted} is valid until {}; {issuer}", day(anchors.first));
    Statement::holds(IDENTITY_VALID, reason::AS_EXPECTED, message)
}

fn first_within(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) < EARLY
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take_while(|c| *c != 'T').collect()
}
