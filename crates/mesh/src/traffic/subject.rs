//! What series are about: who speaks with whom on which port, and which policy let it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use temporal_stack_common::api::ComponentReference;

/// A component; shared, because every edge names two.
pub(crate) type Component = Arc<ComponentReference>;

/// A pod with a proxy whose metrics are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its UID: a pod of the same name that comes later counts from zero.
    pub(crate) uid: String,
    /// Its name, for messages.
    pub(crate) name: String,
    /// Where its proxy has the metrics: the pod's address, and the port of [`MESH_METRICS`].
    ///
    /// [`MESH_METRICS`]: temporal_stack_common::port::MESH_METRICS
    pub(crate) address: SocketAddr,
    /// The component that it belongs to.
    pub(crate) component: Component,
}

/// How the names in labels lead to components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The namespace.
    pub(crate) namespace: String,
    /// Components by their Services.
    pub(crate) services: BTreeMap<String, Component>,
    /// Components by the names of their workloads: StatefulSets, Deployments and Jobs.
    pub(crate) workloads: BTreeMap<String, Component>,
    /// Components by the ServiceAccount of their pods.
    pub(crate) accounts: BTreeMap<String, Component>,
}

/// One end of an edge. There are as many as components, and two more, whatever metrics say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    /// A component of the stack.
    Component(Component),
    /// Anything else with an identity of the mesh, or an address outside of the stack.
    Other,
    /// A client without a proxy.
    Unmeshed,
}

impl fmt::Display for Party {
    /// As in the status and in metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(component) => write!(f, "{}/{}", component.kind.as_str(), component.name),
            Self::Other => f.write_str("other"),
            Self::Unmeshed => f.write_str("unmeshed"),
        }
    }
}

impl Party {
    /// Whether it is a component of the stack.
    pub(crate) fn is_component(&self) -> bool {
        matches!(self, Self::Component(_))
    }
}

/// Who speaks with whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ends {
    /// The client.
    pub(crate) client: Party,
    /// The server.
    pub(crate) server: Party,
    /// The server's port.
    pub(crate) port: u16,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} port {}", self.client, self.server, self.port)
    }
}

/// The client of an observed connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Client {
    /// It has this identity of the mesh.
    Identity(String),
    /// It has none, for this reason of the proxy.
    Unmeshed(String),
}

/// An object of a policy, by kind and name; `default` is the kind of what Linkerd has by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule {
    /// The kind, in lower case.
    pub(crate) kind: String,
    /// The name.
    pub(crate) name: String,
}

/// A connection or request as the server's proxy judged it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link {
    /// The component that serves.
    pub(crate) component: Component,
    /// Its port.
    pub(crate) port: u16,
    /// The Server that the proxy chose.
    pub(crate) server: Rule,
    /// The client.
    pub(crate) client: Client,
    /// What allowed it; `None` if it was denied.
    pub(crate) authorization: Option<Rule>,
}

impl Names {
    /// The server behind an outbound series, by what its labels say of the pod.
    pub(super) fn server(&self, namespace: &str, service: &str, workload: &str) -> Party {
        if namespace != self.namespace {
            return Party::Other;
        }
        let found = self.services.get(service).or_else(|| self.workloads.get(workload));
        found.map_or(Party::Other, |component| Party::Component(component.clone()))
    }

    /// The component with this identity.
    pub(super) fn client(&self, client: &Client) -> Party {
        let Client::Identity(identity) = client else { return Party::Unmeshed };
        let account = account(identity).filter(|(_, namespace)| *namespace == self.namespace);
        let component = account.and_then(|(account, _)| self.accounts.get(account));
        component.map_or(Party::Other, |component| Party::Component(component.clone()))
    }
}

/// The ServiceAccount of an identity, and its namespace. A ServiceAccount's name may contain anything that looks like the rest of an
/// identity, so the last such part counts.
fn account(identity: &str) -> Option<(&str, &str)> {
    let (subject, _) = identity.rsplit_once(".serviceaccount.identity.")?;
    subject.rsplit_once('.')
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::ComponentKind;

    use super::*;

    #[test]
    fn identity_names_account_and_namespace() {
        let of = |subject: &str| format!("{subject}.serviceaccount.identity.linkerd.cluster.local");
        assert_eq!(account(&of("a.mesh")), Some(("a", "mesh")));
        assert_eq!(account(&of("a.b.mesh")), Some(("a.b", "mesh")));
        assert_eq!(account("x"), None);
        let forged = of(&format!("{}.evil", of("a.mesh")));
        assert_eq!(account(&forged).unwrap().1, "evil");
    }

    #[test]
    fn names_of_another_namespace_are_no_component() {
        let component = Component::new(ComponentReference { kind: ComponentKind::IpfsCluster, name: "t".to_owned() });
        let names = Names {
            namespace: "mesh".to_owned(),
            services: [("s".to_owned(), component.clone())].into(),
            workloads: [("w".to_owned(), component.clone())].into(),
            accounts: [("a".to_owned(), component.clone())].into(),
        };
        let ipfs = Party::Component(component);
        assert_eq!((names.server("mesh", "s", ""), names.server("mesh", "", "w")), (ipfs.clone(), ipfs.clone()));
        assert_eq!((names.server("other", "s", "w"), names.server("mesh", "x", "")), (Party::Other, Party::Other));
        let identity = |ns: &str| Client::Identity(format!("a.{ns}.serviceaccount.identity.linkerd.cluster.local"));
        assert_eq!((names.client(&identity("mesh")), names.client(&identity("x"))), (ipfs, Party::Other));
        assert_eq!(names.client(&Client::Unmeshed("loopback".to_owned())), Party::Unmeshed);
    }
}
