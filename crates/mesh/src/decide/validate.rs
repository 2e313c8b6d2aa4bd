//! Validation: the rules of the CRD's schema, and those that it cannot express.

use temporal_stack_common::{
    api::{Allowed, MeshSpec, Policy},
    component::Stalled,
    workload::wrong_with_name,
};

use super::view::{View, title};
use crate::{linkerd::installation::Config, names::CLOSED, reason, stack::Network};

/// Refuses an object that does not count, or whose spec cannot work; an object may have bypassed the schema.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    if let Some(elder) = &view.observed.siblings.elder {
        let message = format!(
            "Mesh/{elder} in namespace {} is older, and only one Mesh counts for a namespace; delete one of them",
            view.names.namespace
        );
        return Err(Stalled::new(reason::NOT_OLDEST, message));
    }
    let wrong = wrong_with_name(&view.names.object).or_else(|| wrong_with_spec(&view.object.spec));
    Stalled::if_invalid(wrong.or_else(|| wrong_with_installation(view)))
}

/// A default of the installation refuses the controllers just as one of the spec.
fn wrong_with_installation(view: &View<'_>) -> Option<String> {
    let spec = &view.object.spec;
    let installed = view.observed.linkerd.config.there().and_then(Config::default_policy);
    let closed = installed.filter(|default| {
        spec.policy == Policy::Off && spec.default_inbound_policy.is_none() && CLOSED.contains(default)
    })?;
    Some(format!(
        "spec.policy is Off while Linkerd's proxy.defaultInboundPolicy is {}: pods would refuse the controllers; set spec.policy to Audit or Enforce, or spec.defaultInboundPolicy to all-unauthenticated",
        closed.as_str()
    ))
}

fn wrong_with_spec(spec: &MeshSpec) -> Option<String> {
    let chosen = spec.components.as_deref().unwrap_or_default();
    let twice = chosen.iter().enumerate().find(|(index, one)| chosen[..*index].contains(one));
    if let Some((index, twice)) = twice {
        return Some(format!("spec.components[{index}] names {} again; remove it", title(twice)));
    }
    let closed = spec.default_inbound_policy.filter(|default| spec.policy == Policy::Off && CLOSED.contains(default));
    if let Some(default) = closed {
        return Some(format!(
            "spec.defaultInboundPolicy is {} while spec.policy is Off: pods would refuse the controllers; set spec.policy to Audit or Enforce, or choose another default",
            default.as_str()
        ));
    }
    spec.allow.iter().enumerate().find_map(|(index, allowed)| {
        let wrong = wrong_with_allowed(allowed)?;
        Some(format!("spec.allow[{index}].from.{wrong}"))
    })
}

fn wrong_with_allowed(Allowed { from, .. }: &Allowed) -> Option<String> {
    let (index, network) = from.networks.iter().enumerate().find(|(_, network)| !is_network(network))?;
    Some(format!("networks[{index}] is {network:?}, which is not an address range; write it as 10.0.0.0/8 or fd00::/8"))
}

/// Whether it is a range: a single address has no prefix, and is none.
fn is_network(text: &str) -> bool {
    text.contains('/') && text.parse::<Network>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_network_and_repeated_component_are_named() {
        let wrong = |spec| wrong_with_spec(&serde_json::from_value(spec).unwrap()).unwrap_or_default();
        let component = json!({"kind": "MessageQueue", "name": "q"});
        let repeated = wrong(json!({"components": [component, component]}));
        assert!(repeated.contains("spec.components[1] names MessageQueue/q"), "{repeated}");
        let allow = |network: &str| {
            wrong(json!({"allow": [
                {"component": component, "port": "amqp", "from": {"networks": ["10.0.0.0/8", network]}},
            ]}))
        };
        assert!(allow("10.0.0.0/33").contains("spec.allow[0].from.networks[1]"), "{}", allow("10.0.0.0/33"));
        assert_eq!(allow("fd00::/8"), "");
    }

    #[test]
    fn closed_default_without_policies_is_refused() {
        let wrong = |spec| wrong_with_spec(&serde_json::from_value(spec).unwrap());
        for (default, is_closed) in [("deny", true), ("all-authenticated", true), ("cluster-unauthenticated", false)] {
            let off = wrong(json!({"defaultInboundPolicy": default}));
            assert_eq!(off.is_some_and(|wrong| wrong.starts_with("spec.defaultInboundPolicy")), is_closed, "{default}");
            assert_eq!(wrong(json!({"defaultInboundPolicy": default, "policy": "Audit"})), None);
        }
    }
}
