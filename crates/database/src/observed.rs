//! The observed state of a pass: plain data.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use temporal_stack_common::{
    address::Endpoint,
    config::Reading,
    default_source::DefaultSource,
    login::{Bound, Login},
    provider::{Answer, External},
    volume::Offer,
};

use crate::{
    cloud_native_pg, moving,
    moving::ProviderName,
    postgres::{Failure, Role},
};

/// The observed state of a pass.
pub struct Observed {
    /// What the user's ConfigMap says, if it exists and counts for this object.
    pub(crate) config: Option<Reading>,
    /// Whether the ConfigMap with the default name counts for this object.
    pub(crate) default_source: DefaultSource,
    /// The content of the binding.
    pub(crate) bound: Option<Bound>,
    /// What shows which provider has data.
    pub(crate) traces: Traces,
    /// What is known of a change of the provider, if one is recorded or asked for.
    pub(crate) moving: Option<Box<moving::Observed>>,
    /// The part that belongs to the provider.
    pub(crate) provider: Provider<Administered, External>,
}

/// Where the server runs.
pub(crate) enum Provider<S, X> {
    /// Where the controller administers it: it runs the server itself, or CloudNativePG does.
    Administered(Box<S>),
    /// Elsewhere.
    External(X),
}

impl<S, X> Provider<S, X> {
    /// The server that the controller administers.
    pub(crate) fn administered(&self) -> Option<&S> {
        match self {
            Self::Administered(server) => Some(server),
            Self::External(_) => None,
        }
    }

    /// Whether the server runs elsewhere, so that only the user can correct it.
    pub(crate) fn is_external(&self) -> bool {
        self.administered().is_none()
    }
}

/// What a provider leaves behind, whichever the spec names now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// The volume claim of a server that the controller ran.
    pub(crate) claim: Option<String>,
    /// The `Cluster` of CloudNativePG.
    pub(crate) cluster: Option<String>,
    /// The provider that the binding leads to.
    pub(crate) bound: Option<ProviderName>,
    /// Whether the usual ServiceAccount of the embedded server exists, whose name a `Cluster` would take otherwise.
    pub(crate) account: bool,
}

/// A server that the controller administers.
#[derive(Default)]
pub(crate) struct Administered {
    /// The Secret that `spec.password` names, if it exists.
    pub(crate) password: Option<Secret>,
    /// The password of the administrator, once it is drawn.
    pub(crate) administrator: Option<String>,
    /// The existing logins, oldest first.
    pub(crate) logins: Vec<Login>,
    /// The address of the Service for clients: it works while a name server does not.
    pub(crate) service: Option<Endpoint>,
    /// The server itself.
    pub(crate) server: Server,
    /// Who runs it.
    pub(crate) runner: Runner,
}

/// Who runs a server.
pub(crate) enum Runner {
    /// The controller.
    Embedded(Box<Embedded>),
    /// CloudNativePG.
    CloudNativePg(Box<cloud_native_pg::Observed>),
}

impl Default for Runner {
    fn default() -> Self {
        Self::Embedded(Box::default())
    }
}

/// A server that the controller runs.
#[derive(Default)]
pub(crate) struct Embedded {
    /// The claim of the volume, if it exists.
    pub(crate) volume: Option<PersistentVolumeClaim>,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The newest restart request.
    pub(crate) restart: Option<String>,
    /// The ServiceAccount of the server that exists.
    pub(crate) account: Option<String>,
    /// The pod template that the server has, or without a set, that of its pod.
    pub(crate) live: Option<Template>,
    /// Whether there is a set.
    pub(crate) has_set: bool,
    /// Whether its pod cannot start.
    pub(crate) has_failed: bool,
    /// The Jobs that report the version of an image.
    pub(crate) reports: Vec<Report>,
}

/// What a pod template says about restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    /// The image of the server.
    pub(crate) image: String,
    /// The hash of the settings whose change restarts the server.
    pub(crate) roll: Option<String>,
    /// The newest restart request that it follows.
    pub(crate) restart: Option<String>,
}

/// A Job that reports the version of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The name of the Job.
    pub(crate) job: String,
    /// What it has reported, which may be nothing.
    pub(crate) version: Option<String>,
    /// Why it has not.
    pub(crate) trouble: Option<String>,
    /// Whether it has ended and its pod has gone, with the report.
    pub(crate) is_lost: bool,
}

/// The answer of the server.
pub(crate) type Server = Answer<Known, Failure>;

/// A server that answered the administrator.
pub(crate) struct Known {
    /// Its address.
    pub(crate) endpoint: Endpoint,
    /// Its version.
    pub(crate) version: String,
    /// Whether the role exists that owns the database.
    pub(crate) has_owner: bool,
    /// Whether it can log in itself.
    pub(crate) owner_can_log_in: bool,
    /// Who owns the database, if it exists.
    pub(crate) database_owner: Option<String>,
    /// Whether applications may connect to the database.
    pub(crate) is_open: bool,
    /// The roles of the existing logins.
    pub(crate) roles: Vec<Role>,
}
