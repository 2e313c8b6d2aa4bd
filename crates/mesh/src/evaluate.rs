//! Linkerd's rules: whether a proxy accepts a connection, given all policies, ours and those of others.
//!
//! 1. Where no proxy is (a pod without one, a port that it leaves out) and from the pod itself, everything is accepted.
//! 2. Of several `Servers` for a port of a pod the oldest counts, by creation and then by name; the others have no effect.
//! 3. The paths of the pod's `httpGet` probes are open to everyone, until an `HTTPRoute` has the `Server` as its parent.
//! 4. A connection is accepted if an `AuthorizationPolicy` for the `Server` or its namespace admits it: the client must have all of the
//!    authentications. One that does not exist, or a policy with two of the same sort, makes Linkerd ignore the policy.
//! 5. Otherwise the `accessPolicy` of the `Server` decides; without a `Server` the default of the pod does.
//!
//! # Caveats
//!
//! Policies for single routes and `ServerAuthorizations` of earlier versions are not evaluated. Both only admit more.

pub(crate) mod audit;
mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, net::IpAddr};

use temporal_stack_common::api::DefaultInboundPolicy;

pub(crate) use read::{Access, Authorization, Policies, Server};

use crate::stack::{Account, Network, Pod};

use read::{Authentication, Identities, Port};

/// The parts of a Linkerd installation on which evaluation depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The namespace of the control plane.
    pub(crate) namespace: String,
    /// The domain of identities.
    pub(crate) trust_domain: String,
    /// The networks of the cluster.
    pub(crate) networks: Vec<Network>,
    /// What is done with connections to ports without a `Server`, unless the pod has its own setting.
    pub(crate) default: DefaultInboundPolicy,
}

impl Installation {
    /// The identity of a ServiceAccount.
    pub(crate) fn identity(&self, account: &Account) -> String {
        let Account { namespace, name } = account;
        format!("{name}.{}", self.identities_of(namespace))
    }

    fn identities_of(&self, namespace: &str) -> String {
        format!("{namespace}.serviceaccount.identity.{}.{}", self.namespace, self.trust_domain)
    }
}

/// A pod that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// The ports of its containers, by name.
    pub(crate) ports: Vec<(&'a str, u16)>,
    /// The paths of its `httpGet` probes, with their ports.
    pub(crate) probes: Vec<(u16, &'a str)>,
}

/// A client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its identity, if it is meshed.
    pub(crate) identity: Option<String>,
    /// Its address, if it is known.
    pub(crate) address: Option<IpAddr>,
}

/// A connection, or a request on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection<'a> {
    pub(crate) client: &'a Client,
    pub(crate) target: &'a Target<'a>,
    /// The port.
    pub(crate) port: u16,
    /// The path of a GET request.
    pub(crate) path: Option<&'a str>,
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    /// The `Server` of the port; `None`: there is none, and the default refuses the client.
    pub(crate) server: Option<String>,
    /// Policies for that `Server` that Linkerd ignores, with the reason.
    pub(crate) ignored: Vec<String>,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "no policy of Server/{server} admits the client")?,
            None => f.write_str("the port has no Server, and the default policy refuses the client")?,
        }
        self.ignored.iter().try_for_each(|ignored| write!(f, "; {ignored}"))
    }
}

/// Whether the proxy of a pod accepts a connection, or why it refuses it.
pub(crate) fn evaluate(
    policies: &Policies,
    installation: &Installation,
    connection: &Connection<'_>,
) -> Result<(), Why> {
    let Connection { client, target, port, path } = connection;
    if !target.pod.is_proxied || target.pod.unproxied.contains(port) {
        return Ok(());
    }
    if client.address.is_some_and(|address| address.to_canonical().is_loopback()) {
        return Ok(());
    }
    let server = server(policies, target, *port);
    let is_probe = target.probes.iter().any(|(probed, probe)| probed == port && *path == Some(*probe));
    let has_routes = server.is_some_and(|server| policies.has_routes(&server.namespace, &server.name));
    if is_probe && !has_routes {
        return Ok(());
    }
    let Some(server) = server else {
        let access = Access::from(target.pod.default.unwrap_or(installation.default));
        let is_accepted = accepts(access, installation, client);
        return if is_accepted { Ok(()) } else { Err(Why { server: None, ignored: Vec::new() }) };
    };
    let mut ignored = Vec::new();
    for policy in policies.for_server(server) {
        match admits(policies, installation, policy, client) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(why) => ignored.push(format!("AuthorizationPolicy/{} is ignored: {why}", policy.name)),
        }
    }
    if accepts(server.access, installation, client) {
        return Ok(());
    }
    Err(Why { server: Some(server.name.clone()), ignored })
}

/// The `Server` that counts for a port of a pod.
pub(crate) fn server<'a>(policies: &'a Policies, target: &Target<'_>, port: u16) -> Option<&'a Server> {
    servers(policies, target, port).into_iter().next()
}

/// All `Servers` for a port of a pod, the one that counts first. One that does not exist yet is the youngest.
pub(crate) fn servers<'a>(policies: &'a Policies, target: &Target<'_>, port: u16) -> Vec<&'a Server> {
    let names: BTreeSet<&str> =
        target.ports.iter().filter(|(_, number)| *number == port).map(|(name, _)| *name).collect();
    let is_selected = |server: &&Server| {
        server.namespace == target.namespace
            && server.selector.matches(&target.pod.labels)
            && match &server.port {
                Port::Number(number) => *number == u64::from(port),
                Port::Name(name) => names.contains(name.as_str()),
            }
    };
    let mut servers: Vec<&Server> = policies.servers.iter().filter(is_selected).collect();
    servers.sort_by_key(|server| (server.created.is_none(), server.created.as_deref(), server.name.as_str()));
    servers
}

/// Whether the fallback of a `Server` or a pod accepts a client.
fn accepts(access: Access, installation: &Installation, client: &Client) -> bool {
    let is_authenticated = client.identity.is_some();
    // Proxies count meshed clients without their address; these are pods.
    let is_of_cluster = || match client.address {
        Some(address) => installation.networks.iter().any(|network| network.contains(address)),
        None => is_authenticated,
    };
    match access {
        Access::Deny => false,
        Access::Audit | Access::AllUnauthenticated => true,
        Access::AllAuthenticated => is_authenticated,
        Access::ClusterUnauthenticated => is_of_cluster(),
        Access::ClusterAuthenticated => is_authenticated && is_of_cluster(),
    }
}

/// Whether a policy admits a client, or why Linkerd ignores it.
fn admits(
    policies: &Policies,
    installation: &Installation,
    policy: &Authorization,
    client: &Client,
) -> Result<bool, String> {
    let sorts =
        |is_network: bool| policy.required.iter().filter(|required| required.is_network() == is_network).count();
    if sorts(true) > 1 || sorts(false) > 1 {
        return Err("it requires two authentications of the same sort".to_owned());
    }
    let mut has_all = true;
    for required in &policy.required {
        has_all &= match required {
            Authentication::Mesh { namespace, name } => {
                let found =
                    policies.identities_of(namespace, name).ok_or_else(|| missing("MeshTLSAuthentication", name))?;
                found.iter().any(|identities| has(installation, identities, client))
            }
            Authentication::Network { namespace, name } => {
                let found =
                    policies.ranges_of(namespace, name).ok_or_else(|| missing("NetworkAuthentication", name))?;
                client.address.is_some_and(|address| found.iter().any(|range| range.contains(address)))
            }
            Authentication::Identity(identities) => has(installation, identities, client),
            Authentication::Unknown(kind) => return Err(format!("{kind} is no kind of authentication")),
        };
    }
    Ok(has_all)
}

fn missing(kind: &str, name: &str) -> String {
    format!("{kind}/{name} does not exist")
}

/// Whether a client has one of these identities.
fn has(installation: &Installation, identities: &Identities, client: &Client) -> bool {
    let Some(identity) = &client.identity else { return false };
    match identities {
        Identities::Any => true,
        Identities::Exactly(text) => identity == text,
        Identities::Below(suffix) => identity.ends_with(suffix.as_str()),
        Identities::Account(account) => *identity == installation.identity(account),
        Identities::Namespace(namespace) => identity.ends_with(&format!(".{}", installation.identities_of(namespace))),
    }
}
