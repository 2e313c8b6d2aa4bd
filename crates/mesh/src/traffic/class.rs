//! Classes of traffic, which change only when the traffic has changed for a while.
//!
//! Two things keep a class: the bound at which it is left is beyond the one at which it was entered, and the traffic must be on the
//! other side in several windows in a row.

use temporal_stack_common::api::TrafficClass;

use super::edge::Figures;

/// The share of failures from which calls are failing, and below which they no longer are.
const FAILING: (f64, f64) = (0.05, 0.02);
/// The 95th percentile from which calls are slow, and below which they no longer are, in seconds: reading from IPFS takes a while.
const SLOW: (f64, f64) = (5.0, 3.0);
/// Fewer answers than this show nothing about failures or latency.
const EVIDENCE: f64 = 10.0;

/// How many windows in a row differ from a class before it changes.
fn patience(to: TrafficClass) -> u32 {
    match to {
        TrafficClass::Denied | TrafficClass::Failing => 2,
        TrafficClass::Healthy | TrafficClass::Slow => 3,
        // A client that works in bursts is not idle between them.
        TrafficClass::Idle => 10,
    }
}

/// The class of an edge over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    shown: TrafficClass,
    /// How many windows in a row differ from it.
    differing: u32,
}

impl Class {
    /// The class of a first window.
    pub(super) fn first(figures: &Figures) -> Self {
        Self { shown: class(figures, TrafficClass::Healthy), differing: 0 }
    }

    /// Takes note of the next window.
    pub(super) fn follow(&mut self, figures: &Figures) {
        let now = class(figures, self.shown);
        self.differing = if now == self.shown { 0 } else { self.differing.saturating_add(1) };
        // What is quiet from now on was idle before its first call, too.
        let needed = if self.shown == TrafficClass::Idle && now == TrafficClass::Healthy { 1 } else { patience(now) };
        if self.differing >= needed {
            *self = Self { shown: now, differing: 0 };
        }
    }

    /// The class to show.
    pub(super) fn shown(self) -> TrafficClass {
        self.shown
    }
}

/// The class of a window of traffic that had another class before.
fn class(figures: &Figures, before: TrafficClass) -> TrafficClass {
    let bound = |(enter, leave): (f64, f64), class| if before == class { leave } else { enter };
    let has_evidence = figures.evidence >= EVIDENCE;
    let has_no_endpoint = figures.endpoints.is_some_and(|(ready, pending)| ready < 1.0 && pending >= 1.0);
    let fails = |share| has_evidence && share >= bound(FAILING, TrafficClass::Failing);
    let is_slow = |p95| has_evidence && p95 >= bound(SLOW, TrafficClass::Slow);
    if figures.denials > 0.0 {
        TrafficClass::Denied
    } else if has_no_endpoint || figures.failures.is_some_and(fails) {
        TrafficClass::Failing
    } else if figures.latency.is_some_and(|latency| is_slow(latency.p95)) {
        TrafficClass::Slow
    } else if figures.requests > 0.0 || figures.sent > 0.0 || figures.received > 0.0 {
        TrafficClass::Healthy
    } else {
        TrafficClass::Idle
    }
}

#[cfg(test)]
mod tests {
    use TrafficClass::{Denied, Failing, Healthy, Idle, Slow};

    use super::*;
    use crate::traffic::{edge::Protocol, latency::Percentiles};

    fn idle() -> Figures {
        Figures {
            protocol: Protocol::Http,
            requests: 0.0,
            successes: None,
            latency: None,
            sent: 0.0,
            received: 0.0,
            secure: None,
            denials: 0.0,
            connections: 0.0,
            endpoints: None,
            failures: None,
            evidence: 0.0,
        }
    }

    fn failing(share: f64) -> Figures {
        Figures { requests: 1.0, failures: Some(share), evidence: 60.0, ..idle() }
    }

    fn slow(p95: f64) -> Figures {
        Figures { latency: Some(Percentiles { p50: 0.1, p95, p99: p95 }), ..failing(0.0) }
    }

    /// The class after each of these windows.
    fn shown(windows: &[Figures]) -> Vec<TrafficClass> {
        let mut class = Class::first(&windows[0]);
        let rest = windows[1..].iter().map(|figures| {
            class.follow(figures);
            class.shown()
        });
        [Class::first(&windows[0]).shown()].into_iter().chain(rest).collect()
    }

    #[test]
    fn single_bad_window_changes_no_class() {
        let windows = [failing(0.0), failing(0.5), failing(0.0), slow(9.0), slow(9.0), failing(0.0)];
        assert_eq!(shown(&windows), [Healthy; 6]);
    }

    #[test]
    fn failures_change_the_class_and_fewer_change_it_back() {
        let windows = [0.0, 0.06, 0.06, 0.03, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01].map(failing);
        let expected = [Healthy, Healthy, Failing, Failing, Failing, Failing, Failing, Failing, Failing, Healthy];
        assert_eq!(shown(&windows), expected);
    }

    #[test]
    fn share_at_the_bound_does_not_flap() {
        let windows: Vec<Figures> = (0..60).map(|window| failing(0.045 + 0.01 * f64::from(window % 2))).collect();
        let mut classes = shown(&windows);
        classes.dedup();
        assert!(classes.len() <= 2, "{classes:?}");
    }

    #[test]
    fn slow_answers_need_evidence() {
        assert_eq!(shown(&[slow(9.0), slow(4.0), slow(4.0), slow(4.0)]), [Slow; 4]);
        assert_eq!(shown(&[Figures { evidence: 9.0, ..slow(9.0) }]), [Healthy]);
        assert_eq!(shown(&[Figures { evidence: 9.0, ..failing(1.0) }]), [Healthy]);
    }

    #[test]
    fn pause_between_bursts_is_not_idle() {
        let mut windows = vec![failing(0.0)];
        windows.extend(std::iter::repeat_n(idle(), 10));
        windows.push(failing(0.0));
        let classes = shown(&windows);
        assert_eq!((classes[9], classes[10], classes[11]), (Healthy, Idle, Healthy));
    }

    #[test]
    fn denials_and_missing_endpoints_count_before_the_rest() {
        assert_eq!(shown(&[Figures { denials: 0.1, ..failing(1.0) }]), [Denied]);
        assert_eq!(shown(&[Figures { endpoints: Some((0.0, 2.0)), ..idle() }]), [Failing]);
        assert_eq!(shown(&[Figures { endpoints: Some((0.0, 0.0)), ..idle() }]), [Idle]);
    }
}
