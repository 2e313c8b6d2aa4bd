//! Linkerd's rules about who may connect, as they were found out with the real one: an evaluator of the policies that are in a
//! namespace, independent of the controller that wrote them.
//!
//! * A `Server` selects pods by labels, and a port by its number or by the name of a TCP port of any container, init containers
//!   included. Of several for one port the oldest counts, and the others are without effect.
//! * Without a Server the pod's default policy counts, which it got when it was made.
//! * An authorization counts for its Server, or for all of its namespace. All its authentications must fit; one that does not exist
//!   makes it count for nothing, and an empty list fits everybody.
//! * What comes from the pod itself is allowed. So are the kubelet's requests for the paths of HTTP probes, which do not show in a
//!   connection: the nodes' addresses may use ports that have one.
//! * Ports that the proxy does not see are open: those that are skipped. So are its own, as none of the tests has a default that closes
//!   them.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use linkerd_stand_in::POLICY;
use serde_json::{Value, json};

use crate::Space;

/// The default of an installation.
const OPEN: &str = "all-unauthenticated";
/// The ports of the proxy itself.
const OWN: [u16; 2] = [4190, 4191];

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// From where.
    pub address: IpAddr,
    /// The ServiceAccount, with its namespace before it, if the connection comes by a proxy.
    pub account: Option<(String, String)>,
    /// Whether it is the kubelet of a node, as far as its address says.
    pub is_node: bool,
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed by this.
    Allowed(String),
    /// It is denied by this.
    Denied(String),
}

impl Verdict {
    /// Whether the connection is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// The policies of a namespace, as JSON.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    namespace: String,
    servers: Vec<Value>,
    authorizations: Vec<Value>,
    authentications: BTreeMap<(String, String), Value>,
}

impl Policies {
    /// Reads all of them.
    pub async fn read(space: &Space) -> Result<Self> {
        let list = async |version: &str, kind: &str| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(POLICY, version, kind));
            let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
            let all = api.list(&ListParams::default()).await?.items;
            Ok::<_, anyhow::Error>(all.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?)
        };
        let mut authentications = list("v1alpha1", "MeshTLSAuthentication").await?;
        for authentication in &mut authentications {
            authentication["kind"] = json!("MeshTLSAuthentication");
        }
        let mut networks = list("v1alpha1", "NetworkAuthentication").await?;
        for network in &mut networks {
            network["kind"] = json!("NetworkAuthentication");
        }
        authentications.append(&mut networks);
        let servers = list("v1beta3", "Server").await?;
        Ok(Self::new(&space.name, servers, list("v1alpha1", "AuthorizationPolicy").await?, authentications))
    }

    /// The policies of these objects; authentications have their kind.
    pub fn new(
        namespace: &str,
        mut servers: Vec<Value>,
        authorizations: Vec<Value>,
        authentications: Vec<Value>,
    ) -> Self {
        // The oldest first; text of one form is in the order of time.
        servers.sort_by_key(|server| (text(&server["metadata"]["creationTimestamp"]), name(server)));
        let authentications = authentications.into_iter().map(|one| ((text(&one["kind"]), name(&one)), one)).collect();
        Self { namespace: namespace.to_owned(), servers, authorizations, authentications }
    }

    /// How many Servers there are.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The same as if every Server denied what nothing allows.
    #[must_use]
    pub fn enforced(&self) -> Self {
        let mut enforced = self.clone();
        for server in &mut enforced.servers {
            server["spec"]["accessPolicy"] = json!("deny");
        }
        enforced
    }

    /// What becomes of a connection to a port of a pod.
    pub fn verdict(&self, client: &Client, pod: &Pod, port: u16) -> Verdict {
        let pod = serde_json::to_value(pod).unwrap_or_default();
        let is_own = [&pod["status"]["podIP"], &json!("127.0.0.1")].contains(&&json!(client.address));
        if is_own {
            return Verdict::Allowed("localhost".to_owned());
        }
        if OWN.contains(&port) || listed(&pod, "config.linkerd.io/skip-inbound-ports", port) {
            return Verdict::Allowed("the proxy does not see it".to_owned());
        }
        let Some(server) = self.servers.iter().find(|server| selects(server, &pod, port)) else {
            let default = &pod["metadata"]["annotations"]["config.linkerd.io/default-inbound-policy"];
            return by_access(default.as_str().unwrap_or(OPEN), client, "the default");
        };
        if client.is_node && has_probe(&pod, port) {
            return Verdict::Allowed("probe".to_owned());
        }
        let about = |policy: &&Value| self.is_about(policy, &name(server));
        let mut policies = self.authorizations.iter().filter(about);
        if let Some(policy) = policies.find(|policy| self.fits(policy, client)) {
            return Verdict::Allowed(format!("AuthorizationPolicy/{}", name(policy)));
        }
        let access = server["spec"]["accessPolicy"].as_str().unwrap_or("deny");
        by_access(access, client, &format!("Server/{}", name(server)))
    }

    fn is_about(&self, policy: &Value, server: &str) -> bool {
        let target = &policy["spec"]["targetRef"];
        match (target["group"].as_str().unwrap_or_default(), target["kind"].as_str()) {
            (POLICY, Some("Server")) => target["name"] == server,
            ("" | "core", Some("Namespace")) => target["name"] == self.namespace.as_str(),
            _ => false,
        }
    }

    fn fits(&self, policy: &Value, client: &Client) -> bool {
        let references = policy["spec"]["requiredAuthenticationRefs"].as_array();
        references.into_iter().flatten().all(|reference| self.is_authenticated(reference, client))
    }

    fn is_authenticated(&self, reference: &Value, client: &Client) -> bool {
        let kind = text(&reference["kind"]);
        if kind == "ServiceAccount" {
            return self.is_identity(reference, client);
        }
        // One of another namespace is of no use here: the stack makes none.
        let Some(found) = self.authentications.get(&(kind.clone(), name_of(reference))) else { return false };
        if kind == "NetworkAuthentication" {
            let networks = found["spec"]["networks"].as_array();
            return networks.into_iter().flatten().any(|network| is_in_network(network, client.address));
        }
        let references = found["spec"]["identityRefs"].as_array();
        let identities = found["spec"]["identities"].as_array();
        references.into_iter().flatten().any(|reference| self.is_identity(reference, client))
            || identities.into_iter().flatten().any(|wanted| has_identity(&text(wanted), client))
    }

    /// Whether a reference to a ServiceAccount or a Namespace fits.
    fn is_identity(&self, reference: &Value, client: &Client) -> bool {
        let Some((namespace, account)) = &client.account else { return false };
        match reference["kind"].as_str() {
            Some("ServiceAccount") => {
                let of = reference["namespace"].as_str().unwrap_or(&self.namespace);
                of == namespace && reference["name"].as_str().is_none_or(|name| name == account)
            }
            Some("Namespace") => reference["name"].as_str().unwrap_or(&self.namespace) == namespace,
            _ => false,
        }
    }
}

/// What an access policy says to those whom no authorization fits.
fn by_access(access: &str, client: &Client, by: &str) -> Verdict {
    let is_authenticated = client.account.is_some();
    // All clients of a test are in the cluster.
    let is_allowed = match access {
        "all-unauthenticated" | "cluster-unauthenticated" | "audit" => true,
        "all-authenticated" | "cluster-authenticated" => is_authenticated,
        _ => false,
    };
    let why = format!("{by}: {access}");
    if is_allowed { Verdict::Allowed(why) } else { Verdict::Denied(why) }
}

fn selects(server: &Value, pod: &Value, port: u16) -> bool {
    let selector = &server["spec"]["podSelector"];
    let labels = &pod["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    let has_labels = wanted.into_iter().flatten().all(|(key, value)| labels[key] == *value);
    let expressions = selector["matchExpressions"].as_array();
    let fits = expressions.into_iter().flatten().all(|expression| fits_expression(expression, labels));
    has_labels && fits && !selector.is_null() && is_port(&server["spec"]["port"], pod, port)
}

fn fits_expression(expression: &Value, labels: &Value) -> bool {
    let value = &labels[text(&expression["key"])];
    let is_listed = expression["values"].as_array().is_some_and(|values| values.contains(value));
    match expression["operator"].as_str() {
        Some("In") => is_listed,
        Some("NotIn") => !is_listed,
        Some("Exists") => !value.is_null(),
        Some("DoesNotExist") => value.is_null(),
        _ => false,
    }
}

fn is_port(wanted: &Value, pod: &Value, port: u16) -> bool {
    let Some(wanted) = wanted.as_str() else { return *wanted == json!(port) };
    ports(pod).any(|one| one["name"] == wanted && one["containerPort"] == port)
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"].into_iter();
    lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

/// The TCP ports of all containers.
fn ports(pod: &Value) -> impl Iterator<Item = &Value> {
    let all = containers(pod).flat_map(|container| container["ports"].as_array().into_iter().flatten());
    all.filter(|port| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP"))
}

/// Whether the kubelet asks that port over plain HTTP.
pub(super) fn has_probe(pod: &Value, port: u16) -> bool {
    let probes = ["startupProbe", "readinessProbe", "livenessProbe"];
    containers(pod)
        .flat_map(|container| probes.map(|probe| &container[probe]["httpGet"]))
        .any(|get| get["scheme"].as_str().is_none_or(|scheme| scheme == "HTTP") && is_port(&get["port"], pod, port))
}

/// Whether an annotation of a pod lists a port.
pub(super) fn listed(pod: &Value, annotation: &str, port: u16) -> bool {
    let listed = pod["metadata"]["annotations"][annotation].as_str().unwrap_or_default();
    listed.split(',').any(|one| match one.trim().split_once('-') {
        Some((first, last)) => {
            first.parse::<u16>().is_ok_and(|first| port >= first) && last.parse::<u16>().is_ok_and(|last| port <= last)
        }
        None => one.trim().parse() == Ok(port),
    })
}

fn has_identity(wanted: &str, client: &Client) -> bool {
    let Some((namespace, account)) = &client.account else { return false };
    let identity = format!("{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local");
    wanted == "*" || wanted == identity || wanted.strip_prefix('*').is_some_and(|end| identity.ends_with(end))
}

fn is_in_network(network: &Value, address: IpAddr) -> bool {
    let excepted = network["except"].as_array().into_iter().flatten().any(|except| contains(&text(except), address));
    contains(&text(&network["cidr"]), address) && !excepted
}

/// Whether a network has an address; an address alone is a network of itself.
pub(crate) fn contains(cidr: &str, address: IpAddr) -> bool {
    let (network, prefix) =
        cidr.split_once('/').map_or((cidr, None), |(network, prefix)| (network, prefix.parse().ok()));
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let ((network, all), (address, of_address)) = (bits(network), bits(address));
    let prefix: u32 = prefix.unwrap_or(all);
    let kept = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
    all == of_address && network & kept == address & kept
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name(object: &Value) -> String {
    text(&object["metadata"]["name"])
}

fn name_of(reference: &Value) -> String {
    text(&reference["name"])
}

#[cfg(test)]
mod tests;
