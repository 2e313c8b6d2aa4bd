//! Addresses of controllers' pods that have gone, which are admitted for a while longer.
//!
//! A pod makes its last calls while it ends, and a watch may be behind. How long an address is admitted must not depend on this
//! process: the next one would cut the address at once, or keep it for ever. So the addresses are recorded with the policy that
//! admits them, in one annotation of the same write:
//!
//! ```text
//!   {"10.244.0.4": null, "10.244.0.9": "2026-11-30T12:01:00Z"}
//!      a pod has it        its pod has gone: admitted until then
//! ```
//!
//! An address that is admitted and not recorded was added by somebody else, and is removed at once.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::Controller;

/// How long the address of a pod is admitted after the pod has gone.
pub(crate) const LINGERING: SignedDuration = SignedDuration::from_secs(60);
/// A time that is further ahead than the clocks of two processes differ was not recorded by one of them.
const FURTHEST: SignedDuration = SignedDuration::from_secs(120);

/// The record of a controller's addresses.
pub(crate) fn recorded(controller: &Controller) -> String {
    let present = controller.addresses.iter().map(|address| (*address, None));
    let leaving = controller.leaving.iter().map(|(address, until)| (*address, Some(*until)));
    let all: BTreeMap<IpAddr, Option<Timestamp>> = leaving.chain(present).collect();
    serde_json::json!(all).to_string()
}

/// The addresses of a record that no pod has any more, and until when they are admitted.
pub(crate) fn leaving(record: &str, controller: &Controller, now: Timestamp) -> BTreeMap<IpAddr, Timestamp> {
    let recorded: BTreeMap<IpAddr, Option<Timestamp>> = serde_json::from_str(record).unwrap_or_default();
    let gone = recorded.into_iter().filter(|(address, _)| !controller.addresses.contains(address));
    let admitted = gone.map(|(address, until)| (address, until.unwrap_or_else(|| whole(now + LINGERING))));
    admitted.filter(|(_, until)| now < *until && *until <= now + FURTHEST).collect()
}

/// The same time without a part of a second.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use temporal_stack_common::api::ComponentKind;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 244, 0, last])
    }

    fn controller(addresses: &[u8]) -> Controller {
        let addresses: BTreeSet<IpAddr> = addresses.iter().map(|last| address(*last)).collect();
        let kind = ComponentKind::PostgresDatabase;
        Controller { kind, addresses, leaving: BTreeMap::new(), accounts: BTreeSet::new() }
    }

    #[test]
    fn address_of_a_gone_pod_is_admitted_for_a_minute() {
        let (before, after) = (controller(&[4]), controller(&[9]));
        let gone = leaving(&recorded(&before), &after, at("2026-11-30T12:00:00.7Z"));
        assert_eq!(gone, BTreeMap::from([(address(4), at("2026-11-30T12:01:00Z"))]));
        let record = recorded(&Controller { leaving: gone.clone(), ..after.clone() });
        assert_eq!(record, r#"{"10.244.0.4":"2026-11-30T12:01:00Z","10.244.0.9":null}"#);
        // Whoever reads it later, of whatever process, comes to the same.
        assert_eq!(leaving(&record, &after, at("2026-11-30T12:00:30Z")), gone);
        assert_eq!(leaving(&record, &after, at("2026-11-30T12:01:00Z")), BTreeMap::new());
        assert_eq!(leaving(&record, &controller(&[4, 9]), at("2026-11-30T12:00:30Z")), BTreeMap::new());
    }

    #[test]
    fn record_of_somebody_else_admits_nobody_for_long() {
        let now = at("2026-11-30T12:00:00Z");
        for record in ["", "[]", r#"{"x":null}"#, r#"{"10.244.0.4":"2026-12-30T12:00:00Z"}"#, r#"{"10.244.0.4":1}"#] {
            assert_eq!(leaving(record, &controller(&[]), now), BTreeMap::new(), "{record}");
        }
    }
}
