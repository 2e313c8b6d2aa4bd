//! Whether a pod may be restarted now.

use temporal_stack_common::component::Gate;

use super::view::EmbeddedView;

/// How long each server must have been ready, in seconds. The servers look for the drives of a server that came back every 15 s, and
/// until then refuse writes that need them (`SlowDownWrite`), although they say already that another one may stop.
const SETTLES_WITHIN: u64 = 20;

/// One server may restart when it says itself that the others can do without it, and they have had time to find each other again. A
/// single server has no better moment: its restart is always an outage.
pub(super) fn gate(embedded: &EmbeddedView<'_>) -> Gate {
    if embedded.kind.servers() == 1 {
        return Gate::Open;
    }
    let settling = embedded.observed.pods.iter().find(|pod| pod.ready_seconds.is_some_and(|age| age < SETTLES_WITHIN));
    if let Some(pod) = settling {
        return Gate::Closed(format!("waiting until {} has been ready for {SETTLES_WITHIN} s", pod.name));
    }
    match embedded.observed.may_stop {
        Some(true) => Gate::Open,
        Some(false) => {
            let why = "the other servers would have too few drives to write, or drives are being healed; see the condition DrivesHealthy";
            Gate::Closed(why.to_owned())
        }
        None => Gate::Closed("the server has not reported whether it can stop".to_owned()),
    }
}
