//! Certificates that expire.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    linkerd::certificate::Expiry,
    names::{INJECTOR, VALIDATORS},
    traffic::{Leaf, Report},
};

const LATE: &str = "2027-11-30T00:00:00Z";
const SOON: &str = "2026-12-29T00:00:00Z";
const OVER: &str = "2026-11-30T11:00:00Z";

fn identity(observed: &Observed) -> (String, String) {
    says(&json!({}), observed, IDENTITY_VALID)
}

#[test]
fn expiring_certificates_are_reported_early() {
    let says = |anchor: &str, issuer: Option<&str>| {
        let observed = with_linkerd(|linkerd| {
            linkerd.anchors = Elsewhere::There(anchors(anchor));
            linkerd.issuer = issuer.map_or(Elsewhere::Unknown, |time| Elsewhere::There(Some(expires(time))));
        });
        says(&json!({}), &observed, IDENTITY_VALID)
    };
    assert_eq!(says(LATE, None), reported("True", reason::AS_EXPECTED));
    assert_eq!(says(SOON, None), reported("False", reason::CERTIFICATE_EXPIRING));
    assert_eq!(says(LATE, Some(SOON)), reported("False", reason::CERTIFICATE_EXPIRING));
    assert_eq!(says(LATE, Some(OVER)), reported("False", reason::CERTIFICATE_EXPIRED));
    let unknown = with_linkerd(|linkerd| linkerd.anchors = Elsewhere::Missing);
    assert_eq!(super::says(&json!({}), &unknown, IDENTITY_VALID), reported("Unknown", reason::NOT_PERMITTED));
}

#[test]
fn expired_anchor_beside_a_valid_one_is_no_outage() {
    let end = |text: &str| text.parse::<Timestamp>().unwrap();
    let both = Expiry { last: end(LATE), count: 2, ..expires(OVER) };
    let observed = with_linkerd(|linkerd| {
        linkerd.anchors = Elsewhere::There(crate::linkerd::installation::Anchors {
            expiry: Some(both),
            hashes: vec![fixture::ANCHORS.to_owned()],
        });
    });
    assert_eq!(identity(&observed), reported("False", reason::CERTIFICATE_EXPIRING));
}

#[test]
fn bundles_of_webhooks_are_reported_like_certificates() {
    for name in [INJECTOR, VALIDATORS[0], VALIDATORS[1]] {
        let with = |end: &str| with_linkerd(|linkerd| linkerd.webhooks = vec![(name, expires(end))]);
        assert_eq!(identity(&with(LATE)), reported("True", reason::AS_EXPECTED));
        assert_eq!(identity(&with(SOON)), reported("False", reason::CERTIFICATE_EXPIRING));
        assert_eq!(identity(&with(OVER)), reported("False", reason::CERTIFICATE_EXPIRED));
        let certificates = decision(&json!({}), &with(SOON)).status.certificates.unwrap();
        assert_eq!(certificates.webhooks.map(|time| time.0.to_string()).as_deref(), Some(SOON));
    }
}

/// Proxies whose certificates of a day were issued so many hours ago.
fn issued(hours: &[(&str, i64)]) -> Observed {
    let now = observed().now;
    let leaf = |hours: i64| {
        let issued = now - SignedDuration::from_hours(hours);
        Leaf::new(Some(issued), issued + SignedDuration::from_hours(24))
    };
    let leaves = hours.iter().map(|(pod, hours)| ((*pod).to_owned(), leaf(*hours))).collect();
    let report = Report { leaves, is_first: false, read: hours.len(), targets: hours.len(), ..Report::default() };
    Observed { traffic: Some(Arc::new(report)), ..observed() }
}

#[test]
fn certificate_of_a_proxy_that_is_not_renewed_is_reported() {
    assert_eq!(identity(&issued(&[("a", 0), ("b", 17)])), reported("True", reason::AS_EXPECTED));
    let late = issued(&[("a", 0), ("b", 22)]);
    assert_eq!(identity(&late), reported("False", reason::CERTIFICATE_NOT_RENEWED));
    let expired = issued(&[("a", 0), ("b", 22), ("c", 25)]);
    assert_eq!(identity(&expired), reported("False", reason::CERTIFICATE_EXPIRED));
    let said = format!("{:?}", decision(&json!({}), &expired).conditions);
    assert!(said.contains("Pod/c expired") && !said.contains("Pod/b"), "{said}");
}
