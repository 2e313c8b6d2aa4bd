//! Validation: the rules of the CRD's schema, and those that it cannot express.

use temporal_stack_common::{component::Stalled, dns, provider::wrong_with_common};

use super::view::View;
use crate::{names::MOST_NODES, settings::additional};

/// Refuses a spec that cannot work; an object may have bypassed the schema.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    Stalled::if_invalid(wrong_with_spec(view))
}

fn wrong_with_spec(view: &View<'_>) -> Option<String> {
    let (object, names) = (view.object, &view.names);
    let spec = &object.spec;
    let provider = &spec.provider;
    let providers = [("rabbitmq", provider.rabbitmq.is_some()), ("external", provider.external.is_some())];
    if let Some(wrong) = wrong_with_common(&names.object, &providers, &spec.access, &spec.pods) {
        return Some(wrong);
    }
    if let Some(name) = spec.virtual_host.as_ref().filter(|name| !is_virtual_host(name)) {
        return Some(format!(
            "spec.virtualHost {name:?} must have 1 to 100 ASCII characters without spaces, and must not be /, . or ..; give another name"
        ));
    }
    if provider.external.is_none()
        && let Some(wrong) = dns::wrong_with_host(object, &names.pod_host(MOST_NODES - 1))
    {
        return Some(wrong);
    }
    let rabbitmq = provider.rabbitmq.as_ref()?;
    if ![1, 3, 5].contains(&rabbitmq.replicas) {
        return Some(format!(
            "spec.provider.rabbitmq.replicas is {}: a cluster needs a majority; set it to 1, 3 or 5",
            rabbitmq.replicas
        ));
    }
    additional::wrong(&rabbitmq.additional_config, names)
        .map(|wrong| format!("spec.provider.rabbitmq.additionalConfig: {wrong}"))
}

fn is_virtual_host(name: &str) -> bool {
    !["/", ".", ".."].contains(&name) && (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporal_stack_common::api::MessageQueue;

    use super::*;
    use crate::{
        fixture::{object, observed, sized},
        reason,
    };

    fn message(object: &MessageQueue) -> Option<String> {
        let observed = observed();
        let stalled = validate(&View::new(object, &observed)).err()?;
        assert_eq!(stalled.reason, reason::INVALID_SPEC);
        Some(stalled.message)
    }

    #[test]
    fn name_that_dns_cannot_hold_is_refused() {
        let mut object = sized(1);
        object.metadata.name = Some("a".repeat(35));
        object.metadata.namespace = Some("n".repeat(63));
        assert!(message(&object).unwrap().contains("at most 34 characters"));
        object.metadata.name = Some("a".repeat(34));
        assert_eq!(message(&object), None);
        object.metadata.name = Some("a".repeat(35));
        object.metadata.namespace = Some("n".repeat(62));
        assert_eq!(message(&object), None);
    }

    #[test]
    fn spec_that_the_schema_refuses_is_invalid() {
        for (spec, part) in [
            (json!({"provider": {"rabbitmq": {"replicas": 2}}}), "replicas is 2"),
            (json!({"provider": {"rabbitmq": {}, "external": {"secretName": "s"}}}), "both rabbitmq and external"),
            (json!({"virtualHost": "/"}), "spec.virtualHost"),
            (json!({"virtualHost": "."}), "spec.virtualHost"),
            (json!({"virtualHost": ".."}), "spec.virtualHost"),
            (json!({"provider": {"rabbitmq": {"additionalConfig": "a b"}}}), "line 1: has no ="),
        ] {
            let message = message(&object(&spec)).unwrap();
            assert!(message.contains(part), "{message}");
        }
    }
}
