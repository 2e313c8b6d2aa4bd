//! The components by their custom resources: the pods and ports that their controllers make of them. A component that runs elsewhere
//! has no pods, and is none of the mesh.

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::{
        ComponentKind, ComponentReference, Exposure, IpfsCluster, MessageQueue, Network, ObjectStorage, PodSettings,
        PostgresDatabase, Reference, ServiceType, Temporal, label,
    },
    part::{self, PARTS, ROLE},
    port::{self, Port},
};

use super::{Component, Listener, Part, base};

impl Component {
    /// A database.
    pub(crate) fn database(object: &PostgresDatabase) -> Option<Self> {
        object.spec.provider.external.is_none().then_some(())?;
        let component = Self::new(ComponentKind::PostgresDatabase, object.name_any(), &object.spec.pods);
        Some(component.also_used_by(&[ComponentKind::Temporal]).listening(&[port::POSTGRESQL]))
    }

    /// A message queue.
    pub(crate) fn queue(object: &MessageQueue) -> Option<Self> {
        object.spec.provider.external.is_none().then_some(())?;
        let component = Self::new(ComponentKind::MessageQueue, object.name_any(), &object.spec.pods);
        let component = component.also_used_by(&[ComponentKind::Temporal]);
        let component = component.listening(&[port::AMQP, port::MANAGEMENT, port::RABBITMQ_METRICS]);
        Some(component.listening_between(&[port::EPMD, port::CLUSTERING]))
    }

    /// An IPFS cluster. In the public network its swarm port has no proxy, so that no policy applies to it.
    pub(crate) fn ipfs(object: &IpfsCluster) -> Option<Self> {
        let provider = &object.spec.provider;
        provider.external.is_none().then_some(())?;
        let kubo = provider.kubo.as_ref();
        let mut component = Self::new(ComponentKind::IpfsCluster, object.name_any(), &object.spec.pods)
            .listening(&[port::RPC, port::GATEWAY, port::REST, port::CLUSTER_METRICS])
            .listening_between(&[port::PEERS]);
        if kubo.is_some_and(|kubo| kubo.proxy) {
            component = component.listening(&[port::PROXY]);
        }
        if object.spec.network == Network::Private {
            component = component.listening_between(&[port::SWARM]);
        }
        let exposures = [(port::GATEWAY, kubo.and_then(|kubo| kubo.gateway.as_ref()))];
        Some(component.exposing(&exposures).exposing(&[(port::SWARM, kubo.and_then(|kubo| kubo.swarm.as_ref()))]))
    }

    /// An object storage.
    pub(crate) fn storage(object: &ObjectStorage) -> Option<Self> {
        let provider = &object.spec.provider;
        (provider.external.is_none() && provider.rook.is_none()).then_some(())?;
        let component = Self::new(ComponentKind::ObjectStorage, object.name_any(), &object.spec.pods);
        Some(match provider.versity {
            Some(_) => component.listening(&[port::S3, port::S3_ADMINISTRATION]),
            // Servers of MinIO use the port of their clients.
            None => component.listening_between(&[port::S3]),
        })
    }

    /// Temporal. Whether its API has TLS is decided by the user's ConfigMap, so its protocol is not known. The ports of the bridge for
    /// the program in its pod have policies, too, that admit nobody.
    pub(crate) fn temporal(object: &Temporal) -> Self {
        let spec = &object.spec;
        let mut component = Self::new(ComponentKind::Temporal, object.name_any(), &spec.pods);
        let base = base(&component.id);
        component.parts = PARTS
            .into_iter()
            .map(|part| Part {
                name: part.name,
                roles: part.roles,
                account: account(&spec.pods, format!("{base}-{}", part.name)),
            })
            .collect();
        let of_role = |component: Self, port: Port, part: part::Part| {
            let roles = part.roles.iter().map(|role| (ROLE.to_owned(), (*role).to_owned()));
            let selector: BTreeMap<_, _> = component.labels().into_iter().chain(roles).collect();
            component.listening_as(port, |listener| listener.selector = selector)
        };
        component = of_role(component, port::API, part::API);
        component = of_role(component, port::KRAB, part::KRAB);
        component = component.listening(&[port::BRIDGE_ADMIN, port::PROBE, port::RPC, port::BRIDGE_REST]);
        for listener in component.listeners.iter_mut().filter(|listener| listener.port == port::API) {
            listener.protocol = None;
        }
        let referred = [
            (ComponentKind::PostgresDatabase, spec.database.as_ref()),
            (ComponentKind::MessageQueue, spec.queue.as_ref()),
            (ComponentKind::IpfsCluster, spec.ipfs.as_ref()),
        ];
        let id = |(kind, reference): (ComponentKind, Option<&Reference>)| {
            Some(ComponentReference { kind, name: reference?.name.clone() })
        };
        component.refers_to = referred.into_iter().filter_map(id).collect();
        component.exposing(&[(port::API, Some(&spec.api.service))])
    }

    fn new(kind: ComponentKind, name: String, pods: &PodSettings) -> Self {
        let id = ComponentReference { kind, name };
        let part = Part { name: "", roles: &[], account: account(pods, base(&id)) };
        Self { id, parts: vec![part], listeners: Vec::new(), refers_to: Vec::new(), used_by: vec![kind] }
    }

    /// The labels of all its pods, without that of the product: an engine has several.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            (label::MANAGED_BY, label::STACK),
            (label::COMPONENT, self.id.kind.component()),
            (label::INSTANCE, self.id.name.as_str()),
        ];
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn also_used_by(mut self, others: &[ComponentKind]) -> Self {
        self.used_by.extend(others);
        self
    }

    fn listening(self, ports: &[Port]) -> Self {
        ports.iter().fold(self, |component, port| component.listening_as(*port, |_| {}))
    }

    fn listening_between(self, ports: &[Port]) -> Self {
        ports.iter().fold(self, |component, port| component.listening_as(*port, |listener| listener.is_between = true))
    }

    fn listening_as(mut self, port: Port, change: impl FnOnce(&mut Listener)) -> Self {
        let mut listener = Listener {
            port,
            protocol: Some(port.protocol),
            selector: self.labels(),
            is_between: false,
            is_exposed: false,
        };
        change(&mut listener);
        self.listeners.push(listener);
        self
    }

    /// Clients from outside of the cluster arrive from a node's address.
    fn exposing(mut self, exposures: &[(Port, Option<&Exposure>)]) -> Self {
        for (port, exposure) in exposures {
            let is_exposed = exposure.is_some_and(|exposure| exposure.type_ != ServiceType::ClusterIP);
            for listener in self.listeners.iter_mut().filter(|listener| listener.port == *port) {
                listener.is_exposed = is_exposed;
            }
        }
        self
    }
}

/// The ServiceAccount of the user, or else the component's own.
fn account(pods: &PodSettings, own: String) -> String {
    pods.service_account_name.clone().unwrap_or(own)
}
