//! The view: an object with its settings, its existing children, and the decisions that several files need.

use temporal_stack_common::{
    address::Endpoint,
    api::{MessageQueue, RabbitmqProvider},
    component::Stalled,
    login::{self, Access, Bound, Rotation, Wanted},
    provider::{External, Provider},
    volume,
};

use super::{
    quorum::Quorum,
    rotation::{self, Cookies},
    scale::Scale,
};
use crate::{
    access,
    names::{Names, STORAGE, node_count},
    observed::{self, Observed},
    settings::{self, Settings},
};

/// An object with its settings, and its existing children.
pub(crate) struct View<'a> {
    pub(crate) object: &'a MessageQueue,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    /// The content of the binding.
    pub(crate) bound: Option<&'a Bound>,
    /// The cluster, or how an application uses a broker elsewhere.
    pub(crate) provider: Provider<EmbeddedView<'a>, Result<Access, Stalled>>,
}

/// A cluster that the controller runs.
pub(crate) struct EmbeddedView<'a> {
    pub(crate) provider: RabbitmqProvider,
    pub(crate) observed: &'a observed::Embedded,
    /// The logins, and which one comes next.
    pub(crate) rotation: Rotation<'a>,
    /// The Erlang cookies, and which one comes next.
    pub(crate) cookies: Cookies,
    /// The virtual host that the binding must lead to: the one that is wanted once a login can use it.
    pub(crate) virtual_host: Option<String>,
    /// The number of nodes, and the one that leaves next.
    pub(crate) scale: Scale,
    /// Whether one more node can fail.
    pub(crate) quorum: Quorum,
    /// Why the volumes are not possible.
    pub(super) volume: Option<Stalled>,
    /// Whether a full stop is in progress.
    pub(super) is_stopping: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(object: &'a MessageQueue, observed: &'a Observed) -> Self {
        let names = Names::new(object);
        let bound = observed.bound.as_ref();
        match &observed.provider {
            Provider::External(External { name, secret }) => {
                let unused = object.spec.virtual_host.as_ref().map(|_| "spec.virtualHost".to_owned());
                let (access, honoured) = access::read(name, secret.as_ref()).into_result(name, unused.as_slice());
                let settings = Settings { virtual_host: settings::virtual_host(object), honoured };
                Self { object, names, settings, bound, provider: Provider::External(access) }
            }
            Provider::Embedded(embedded) => {
                let mut reading = settings::read(observed.config.as_ref());
                let virtual_host = settings::virtual_host(object);
                let cookies = rotation::cookies(object, reading.as_ref(), &embedded.cookies, embedded.cookie_in_use);
                if let Some(reading) = &mut reading {
                    reading.refused.extend(cookies.refused.clone());
                }
                let embedded = EmbeddedView::new(object, &names, embedded, &virtual_host, cookies, bound);
                let honoured = settings::honoured(reading.as_ref(), &observed.default_source);
                let settings = Settings { virtual_host, honoured };
                Self { object, names, settings, bound, provider: Provider::Embedded(Box::new(embedded)) }
            }
        }
    }

    /// How an application uses the broker.
    pub(super) fn application(&self) -> Option<Access> {
        self.provider.access(|embedded| embedded.application(embedded.observed.service.clone()?))
    }
}

impl<'a> EmbeddedView<'a> {
    fn new(
        object: &'a MessageQueue,
        names: &Names,
        observed: &'a observed::Embedded,
        virtual_host: &str,
        cookies: Cookies,
        bound: Option<&'a Bound>,
    ) -> Self {
        let provider = object.spec.provider.rabbitmq.clone().unwrap_or_default();
        let volumes = observed.volumes.get(..node_count(provider.replicas)).unwrap_or_default();
        let request = login::rotation_request(&object.metadata);
        let wanted = Wanted { base: Some(virtual_host), user: None, password: None, rotation: request };
        let rotation = rotation::rotation(&names.base, &wanted, observed, bound);
        // The login may have to wait for the previous one, and until then works only for the other virtual host.
        let bound_host =
            if rotation.has_usable() { Some(virtual_host.to_owned()) } else { bound.map(|bound| bound.scope.clone()) };
        let must_stop = cookies.shared.must_stop(observed.pod_cookies());
        let scale = Scale::new(names, provider.replicas, must_stop, observed);
        Self {
            rotation,
            virtual_host: bound_host,
            quorum: Quorum::new(names, &scale, observed),
            scale,
            volume: volume::obstacle_to_any(STORAGE, &provider.storage, volumes, &observed.offer),
            is_stopping: cookies.shared.is_stopping(observed.replicas, observed.pod_cookies()),
            cookies,
            provider,
            observed,
        }
    }

    /// How an application uses the broker at an endpoint; `None` until a login works.
    pub(crate) fn application(&self, endpoint: Endpoint) -> Option<Access> {
        self.rotation.access(endpoint, self.virtual_host.as_ref())
    }
}
