//! Errors that the user must correct before anything is applied.

use temporal_stack_common::{component::Stalled, dns, network, provider::wrong_with_common, volume};

use super::view::{EmbeddedView, View};
use crate::{
    names::{self, MOST_PEERS, STORAGE},
    reason,
    settings::wrong_with_replication,
};

/// The errors in the spec or the objects that the peers depend on.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    Stalled::if_invalid(wrong_with_spec(view))?;
    let Some(embedded) = view.provider.usable()? else { return Ok(()) };
    Stalled::if_invalid(wrong_with_peers(embedded))?;
    let lost = embedded.secrets.lost.clone().or_else(|| unreadable_key(embedded)).or_else(|| lost_identity(embedded));
    let volume = || {
        let EmbeddedView { observed, provider, wanted, .. } = embedded;
        let claims = observed.objects.wanted_volumes(*wanted);
        volume::obstacle_to_any(STORAGE, &provider.storage, claims, &observed.offer)
    };
    lost.or_else(volume).map_or(Ok(()), Err)
}

/// The error in the spec for any provider: the rules of the CRD, and those that it cannot express.
fn wrong_with_spec(view: &View<'_>) -> Option<String> {
    let spec = &view.object.spec;
    let provider = &spec.provider;
    let providers = [("kubo", provider.kubo.is_some()), ("external", provider.external.is_some())];
    let clients = provider.kubo.as_ref().map(|kubo| ("spec.provider.kubo.clients", &kubo.clients[..]));
    wrong_with_common(&view.names.object, &providers, &spec.access, &spec.pods)
        .or_else(|| network::wrong_with_peers(clients))
}

fn wrong_with_peers(view: &EmbeddedView<'_>) -> Option<String> {
    let (object, wanted) = (view.object, view.wanted);
    if let Some(wrong) = dns::wrong_with_host(object, &view.names.pod_host(MOST_PEERS - 1)) {
        return Some(wrong);
    }
    if !(1..=MOST_PEERS).contains(&wanted) {
        return Some(format!("spec.replicas is {wanted}; set it to a number from 1 to {MOST_PEERS}"));
    }
    let wrong = object.spec.replication.and_then(|replication| wrong_with_replication(replication, wanted));
    wrong.map(|wrong| format!("spec.replication.min and max {wrong}")).or_else(|| view.kubo_config.fatal.clone())
}

fn unreadable_key(view: &EmbeddedView<'_>) -> Option<Stalled> {
    let (secret, key) = view.observed.objects.unreadable.first()?;
    let message = format!(
        "Secret/{secret} is unusable: its key {key} is not a libp2p private key; restore the Secret. To give the peer a new identity, delete the Secret and the peer's volume claim"
    );
    Some(Stalled::new(reason::SECRET_INCOMPLETE, message))
}

/// A peer whose volume was created with another identity does not match its own state, and is unknown to all others.
fn lost_identity(view: &EmbeddedView<'_>) -> Option<Stalled> {
    let (objects, set) = (&view.observed.objects, &view.names.base);
    let last = objects.existing(view.wanted).last().map_or(0, |pod| pod.ordinal + 1);
    let startable = objects.replicas.unwrap_or_default().max(last).min(objects.startable_peers(view.wanted));
    let peers = view.wanted.max(objects.listed).max(startable).min(MOST_PEERS);
    let has_volume = |ordinal| objects.claim(ordinal).is_some_and(|claim| claim.metadata.deletion_timestamp.is_none());
    let lost = (0..peers).find(|ordinal| has_volume(*ordinal) && objects.identity(*ordinal).is_none())?;
    let message = format!(
        "Secret/{} is missing: PersistentVolumeClaim/{} was created with its keys; restore the Secret. To give the peer a new identity and an empty volume, delete StatefulSet/{set} with --cascade=orphan, the pod and the claim",
        names::identity(&view.names, lost),
        view.names.volume(lost)
    );
    Some(Stalled::new(reason::SECRET_MISSING, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use temporal_stack_common::api::IpfsCluster;

    use super::*;
    use crate::fixture::{self, healthy, of_size};

    fn stalled(object: &IpfsCluster) -> Option<Stalled> {
        let observed = fixture::observed(healthy(object, 3));
        validate(&View::new(object, &observed)).err()
    }

    #[test]
    fn impossible_replication_factors_are_invalid() {
        for (min, max) in [(3, 2), (4, 4), (-1, 2)] {
            let object = fixture::object(&json!({"replicas": 3, "replication": {"min": min, "max": max}}));
            let stalled = stalled(&object).unwrap();
            assert_eq!(stalled.reason, reason::INVALID_SPEC);
            assert!(stalled.message.starts_with("spec.replication"), "{stalled:?}");
        }
    }

    #[test]
    fn longest_name_has_hosts_that_dns_can_hold() {
        let mut object = of_size(3);
        object.metadata.name = Some("a".repeat(35));
        object.metadata.namespace = Some("n".repeat(63));
        assert_eq!(stalled(&object), None);
    }
}
