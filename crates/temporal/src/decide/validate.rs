//! Validation: the rules of the CRD's schema, those that it cannot express, and data that would become unreadable.

use temporal_stack_common::{binding::text, component::Stalled, provider::wrong_with_common, volume};

use super::view::View;
use crate::{
    access::is_host,
    names::{JWT_KEY, KRAB_AUTH_KEY, KRAB_PASSWORD, STORAGE},
    reason,
};

/// Refuses objects that cannot work until the user acts; nothing is applied meanwhile.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    Stalled::if_invalid(wrong_with_common(&view.names.object, &[], &view.spec.access, &view.spec.pods))?;
    if let Some(stalled) = find_lost_keys(view) {
        return Err(stalled);
    }
    Stalled::if_invalid(find_invalid_host(view))?;
    let (storage, claims) = (&view.spec.krab.storage, [view.observed.volume.clone()]);
    if let Some(stalled) = volume::obstacle_to_any(STORAGE, storage, &claims, &view.observed.offer) {
        return Err(stalled);
    }
    view.tls.as_ref().map(drop).map_err(Clone::clone)
}

/// The volume is unreadable with any other keys than those with which it was written.
fn find_lost_keys(view: &View<'_>) -> Option<Stalled> {
    let names = &view.names;
    let (reason, what) = match view.observed.secrets.get(&names.keys) {
        None if view.observed.volume.is_some() => (reason::SECRET_MISSING, "does not exist".to_owned()),
        None => return None,
        Some(secret) => {
            let keys = [JWT_KEY, KRAB_AUTH_KEY, KRAB_PASSWORD];
            let lost = keys.into_iter().find(|key| text(secret, key).is_none())?;
            (reason::SECRET_INCOMPLETE, format!("lacks the key {lost}"))
        }
    };
    let message = format!(
        "Secret/{} {what}: PersistentVolumeClaim/{} cannot be read without it; restore the Secret, or delete both and the pod of the key server to start without the users' keys",
        names.keys, names.krab_volume
    );
    Some(Stalled::new(reason, message))
}

/// Names that no certificate can have.
fn find_invalid_host(view: &View<'_>) -> Option<String> {
    let of_tls = view.spec.tls.iter().flat_map(|tls| tls.names.iter().map(|name| ("spec.tls.names", name)));
    let of_ingress = view.spec.ingress.iter().map(|ingress| ("spec.ingress.host", &ingress.host));
    let is_name = |name: &str| is_host(name.strip_prefix("*.").unwrap_or(name));
    let (field, name) = of_tls.chain(of_ingress).find(|(_, name)| !is_name(name))?;
    Some(format!("{field}: {name:?} is not a host name or address; correct it"))
}
