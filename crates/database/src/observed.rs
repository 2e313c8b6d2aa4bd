//! The observed state of a pass: plain data.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use temporal_stack_common::{
    address::Endpoint,
    config::Reading,
    default_source::DefaultSource,
    login::{Bound, Login},
    provider::{Answer, External, Provider},
    volume::Offer,
};

use crate::postgres::{Failure, Role};

/// The observed state of a pass.
pub struct Observed {
    /// What the user's ConfigMap says, if it exists and counts for this object.
    pub(crate) config: Option<Reading>,
    /// Whether the ConfigMap with the default name counts for this object.
    pub(crate) default_source: DefaultSource,
    /// The content of the binding.
    pub(crate) bound: Option<Bound>,
    /// The part that belongs to the provider.
    pub(crate) provider: Provider<Embedded, External>,
}

/// A server that the controller runs.
#[derive(Default)]
pub(crate) struct Embedded {
    /// The Secret that `spec.password` names, if it exists.
    pub(crate) password: Option<Secret>,
    /// The claim of the volume, if it exists.
    pub(crate) volume: Option<PersistentVolumeClaim>,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The password of the administrator, once it is drawn.
    pub(crate) administrator: Option<String>,
    /// The existing logins, oldest first.
    pub(crate) logins: Vec<Login>,
    /// The newest restart request.
    pub(crate) restart: Option<String>,
    /// The address of the Service for clients: it works while a name server does not.
    pub(crate) service: Option<Endpoint>,
    /// The server itself.
    pub(crate) server: Server,
}

/// The answer of the server.
pub(crate) type Server = Answer<Known, Failure>;

/// A server that answered the administrator.
pub(crate) struct Known {
    /// The address of its pod.
    pub(crate) endpoint: Endpoint,
    /// Its version.
    pub(crate) version: String,
    /// Whether the role exists that owns the database.
    pub(crate) has_owner: bool,
    /// Who owns the database, if it exists.
    pub(crate) database_owner: Option<String>,
    /// The roles of the existing logins.
    pub(crate) roles: Vec<Role>,
}
