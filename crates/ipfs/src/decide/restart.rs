//! Whether a pod may be restarted now.

use temporal_stack_common::component::Gate;

use super::{health::Health, view::EmbeddedView};
use crate::{reason, survey::pins_have};

/// A single peer has no better moment: its restart is always an outage, which a condition reports.
pub(super) fn gate(view: &EmbeddedView<'_>, health: &Health) -> Gate {
    if view.wanted == 1 && view.observed.objects.replicas == Some(1) {
        return Gate::Open;
    }
    if let Some(disconnection) = &health.disconnection
        // Peers of two versions do not connect until all have been restarted.
        && disconnection.reason != reason::PROTOCOL_MISMATCH
    {
        return Gate::Closed(disconnection.message.clone());
    }
    match view.current_survey() {
        Ok(survey) if survey.short.count == 0 => Gate::Open,
        Ok(survey) => Gate::Closed(format!(
            "{} fewer copies than the replication minimum, among them {}; if no peer has the data, add it to a peer or unpin",
            pins_have(survey.short.count),
            survey.short.examples.join(", ")
        )),
        Err(cause) => Gate::Closed(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decide::health,
        fixture::{self, healthy, of_size},
        observed::{Embedded, Pinset},
        survey::{ShortPins, Survey},
    };

    fn gate_of(embedded: Embedded) -> Gate {
        let object = of_size(3);
        let observed = fixture::observed(embedded);
        let view = fixture::view(&object, &observed);
        gate(&view, &health::assess(&view))
    }

    #[test]
    fn pod_restarts_when_the_others_have_its_pins() {
        assert_eq!(gate_of(healthy(&of_size(3), 3)), Gate::Open);
        let short = ShortPins { count: 1, examples: vec!["a".to_owned()] };
        let survey = Survey { pins: 10, short, ..Survey::default() };
        assert!(matches!(gate_of(fixture::with_survey(healthy(&of_size(3), 3), survey)), Gate::Closed(_)));
        let mut embedded = healthy(&of_size(3), 3);
        embedded.objects.pods[0].is_ready = false;
        assert!(matches!(gate_of(embedded), Gate::Closed(_)));
    }

    #[test]
    fn half_finished_upgrade_goes_on() {
        let mut embedded = healthy(&of_size(3), 3);
        fixture::report(&mut embedded, 0).rpc_protocol = "/ipfscluster/2.0/rpc".to_owned();
        assert_eq!(gate_of(embedded), Gate::Open);
    }

    #[test]
    fn earlier_survey_permits_no_restart() {
        let mut embedded = healthy(&of_size(3), 3);
        embedded.pinset = Pinset::Earlier(Survey::default());
        assert!(matches!(gate_of(embedded), Gate::Closed(_)));
    }
}
