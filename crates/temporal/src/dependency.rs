//! What Temporal waits for: an object of the stack and its binding, or what the user's variables say.

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::Resource;
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    api::{Reference, Status},
    component::{Kind, Progress},
    condition::{READY, Reason, find, is_ready},
    neighbour::Neighbour,
    world::World,
};

use crate::Error;

/// The cluster does not have the kind that is referred to.
const KIND_MISSING: Reason = Reason::new("KindMissing");
/// There is no object of the name that is referred to.
const REFERENCE_MISSING: Reason = Reason::new("ReferenceMissing");
/// The object that is referred to is not Ready.
const DEPENDENCY_NOT_READY: Reason = Reason::new("DependencyNotReady");

/// One thing that Temporal needs.
#[derive(Debug)]
pub(crate) struct Dependency<T> {
    /// How to use it, as far as that is known.
    pub(crate) access: Option<T>,
    /// Why it cannot be relied on now.
    pub(crate) lack: Option<Progress>,
    /// Since when it is Ready, or is not; unknown of what the user's variables name.
    pub(crate) since: Option<Timestamp>,
}

impl<T> Dependency<T> {
    /// What the user's variables say: it is for its owner to keep well.
    pub(crate) fn of_user(said: Result<T, Progress>) -> Self {
        match said {
            Ok(access) => Self { access: Some(access), lack: None, since: None },
            Err(lack) => Self { access: None, lack: Some(lack), since: None },
        }
    }

    /// What waits for it may begin.
    pub(crate) fn is_ready(&self) -> bool {
        self.lack.is_none() && self.access.is_some()
    }
}

/// Looks at the object that `field` refers to, and reads its binding.
pub(crate) async fn referred<K, T>(
    field: &str,
    reference: &Reference,
    world: &World<'_>,
    binding_of: impl Fn(&K) -> Option<String>,
    read: impl Fn(&str, &Secret) -> Result<Option<T>, Progress>,
) -> Result<Dependency<T>, Error>
where
    K: Kind + Resource<DynamicType = ()> + DeserializeOwned,
{
    let (kind, name) = (K::kind(&()), reference.name.as_str());
    let referred = format!("{kind}/{name}");
    let waiting = |reason, message| Progress::Waiting { reason, message };
    let lacks = |lack| Ok(Dependency { access: None, lack: Some(lack), since: None });
    let object = match world.neighbour::<K>(name) {
        Neighbour::There(object) => object,
        Neighbour::NoKind => {
            let message = format!(
                "{field} refers to {referred}, and the cluster has no such kind; install its controller, or leave the field out and say where it is in the ConfigMap"
            );
            return lacks(waiting(KIND_MISSING, message));
        }
        Neighbour::Missing => {
            let message = format!(
                "{field} refers to {referred}, which is not in the namespace {}; make it there, or name another",
                world.namespace
            );
            return lacks(waiting(REFERENCE_MISSING, message));
        }
        Neighbour::Unparsable(why) => {
            let message = format!("{referred} cannot be read: {why}; update the CustomResourceDefinitions");
            return lacks(waiting(DEPENDENCY_NOT_READY, message));
        }
    };
    let binding = match binding_of(&object) {
        Some(name) => {
            world.secret(&name).await.map_err(|source| Error::Read { what: format!("Secret/{name}"), source })?
        }
        None => None,
    };
    let access = match binding.as_ref().map(|binding| read(&referred, binding)).transpose() {
        Ok(access) => access.flatten(),
        Err(lack) => return lacks(lack),
    };
    let conditions = object.status().map(|status| status.conditions().to_vec()).unwrap_or_default();
    let lack = if is_ready(&conditions, object.meta().generation) {
        let message = || format!("{referred} is Ready and its binding is not to be read yet");
        access.is_none().then(|| waiting(DEPENDENCY_NOT_READY, message()))
    } else {
        let ready = find(&conditions, READY);
        let why = ready.map_or_else(
            || {
                format!(
                    "its controller has said nothing yet; if that lasts, look whether the controller of {kind} runs"
                )
            },
            |ready| match ready.status.as_str() {
                "True" => "its controller has not looked at its newest spec yet".to_owned(),
                _ => format!("{}: {}", ready.reason, ready.message),
            },
        );
        Some(waiting(DEPENDENCY_NOT_READY, format!("{referred} is not Ready: {why}")))
    };
    let since = find(&conditions, READY).map(|ready| ready.last_transition_time.0);
    Ok(Dependency { access, lack, since })
}
