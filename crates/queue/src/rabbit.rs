//! The requests to RabbitMQ's management API: only those that are used.

mod answers;
mod notes;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use temporal_stack_common::{
    failure::printable,
    http::{self, Answer, Client, Method, Path, Server},
};

pub(crate) use answers::{Alarm, Binding, Details, Node, Permission, Queue, QueueName, User};
use answers::{Alarms, Critical, Feature, Nodes, Overview, VirtualHost};
pub(crate) use notes::{Move, Notes};

/// The limits of an answer: its time, its size in bytes, and its values.
type Bounds = (Duration, usize, usize);
/// The list of all queues: ten thousand of them have some 6 MB, and 310,000 values. Only one of them is a map at a time.
const LIST: Bounds = (Duration::from_secs(30), 16 << 20, 350_000);
/// All other answers: the longest are those about a queue with all its bindings, and about the queues at their minimum.
const ANSWER: Bounds = (Duration::from_secs(10), 4 << 20, 200_000);
/// The login is refused.
const UNAUTHORIZED: u16 = 401;
/// What is asked for does not exist.
const NOT_FOUND: u16 = 404;
/// A health check failed.
const UNAVAILABLE: u16 = 503;

/// Why a request to a broker failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No usable answer arrived.
    #[error(transparent)]
    Http(#[from] http::Failure),
    /// The login does not exist, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    LoginRefused {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
    },
    /// A message was not delivered.
    #[error(transparent)]
    Message(#[from] crate::amqp::Failure),
}

/// The management API of one node, as one of its users.
pub(crate) struct Management {
    client: Client,
    server: Server,
}

type Result<T> = std::result::Result<T, Failure>;

impl Management {
    /// The management API of this server.
    pub(crate) fn new(client: &Client, server: &Server) -> Self {
        Self { client: client.clone(), server: server.clone() }
    }

    /// The login.
    pub(crate) fn login(&self) -> (&str, &str) {
        self.server.login().unwrap_or_default()
    }

    /// The broker's version.
    pub(crate) async fn version(&self) -> Result<String> {
        let overview: Overview = self.get(&api(&["overview"])?.with("columns", "rabbitmq_version")).await?;
        Ok(printable(&overview.rabbitmq_version))
    }

    /// The members of the cluster, running or not.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>> {
        let Nodes(nodes) = self.get(&api(&["nodes"])?).await?;
        Ok(nodes)
    }

    /// The queues and streams that would lose their majority without this node.
    pub(crate) async fn queues_at_minimum(&self) -> Result<Vec<QueueName>> {
        let critical: Option<Critical> = self.check("node-is-quorum-critical").await?;
        Ok(critical.map(|critical| critical.queues).unwrap_or_default())
    }

    /// The alarms of nodes. The list of nodes has them some seconds later.
    pub(crate) async fn alarms(&self) -> Result<Vec<Alarm>> {
        let failed: Option<Alarms> = self.check("alarms").await?;
        Ok(failed.map(|failed| failed.alarms).unwrap_or_default())
    }

    /// The result of a failed health check; `None` if it passes.
    async fn check<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let answer = self.ask(Method::GET, &api(&["health", "checks", name])?, None, ANSWER).await?;
        match answers::read(&answer.body) {
            _ if answer.is_success() => Ok(None),
            Ok(complaint) if answer.status == UNAVAILABLE => Ok(Some(complaint)),
            _ => Err(answer.refused().into()),
        }
    }

    /// All queues of all virtual hosts, in one answer: pages are not consistent, and a queue that is missed between two of them
    /// could be lost with its node.
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        let path = api(&["queues"])?
            .with("disable_stats", "true")
            .with("enable_queue_totals", "true")
            .with("columns", Queue::COLUMNS);
        let answer = self.accepted(Method::GET, &path, None, LIST).await?;
        answers::read_list(&answer.body).map_err(|error| answer.unreadable(&error).into())
    }

    /// The details of one queue; `None` if it does not exist.
    pub(crate) async fn queue(&self, virtual_host: &str, name: &str) -> Result<Option<Details>> {
        self.find(&api(&["queues", virtual_host, name])?).await
    }

    /// The bindings of a queue, except that of the default exchange.
    pub(crate) async fn bindings(&self, virtual_host: &str, queue: &str) -> Result<Vec<Binding>> {
        let bindings: Vec<Binding> = self.get(&api(&["queues", virtual_host, queue, "bindings"])?).await?;
        Ok(bindings.into_iter().filter(|binding| !binding.source.is_empty()).collect())
    }

    /// The default queue type of a virtual host; `None` if it does not exist.
    pub(crate) async fn default_queue_type(&self, virtual_host: &str) -> Result<Option<String>> {
        let found: Option<VirtualHost> = self.find(&api(&["vhosts", virtual_host])?).await?;
        Ok(found.map(VirtualHost::queue_type))
    }

    /// Creates a virtual host with quorum queues as the default.
    pub(crate) async fn create_virtual_host(&self, name: &str) -> Result<()> {
        self.put(&api(&["vhosts", name])?, &json!({"default_queue_type": "quorum"})).await
    }

    /// A login, with its permissions in the virtual host; `None` if it does not exist.
    pub(crate) async fn user(&self, name: &str, virtual_host: &str) -> Result<Option<User>> {
        let Some(mut user) = self.find::<User>(&api(&["users", name])?).await? else { return Ok(None) };
        user.permission = self.find(&api(&["permissions", virtual_host, name])?).await?;
        Ok(Some(user))
    }

    /// Creates or corrects a login with all permissions in its virtual host, and without tags. Its permissions in other virtual
    /// hosts are not touched.
    pub(crate) async fn set_user(&self, name: &str, password: &str, virtual_host: &str) -> Result<()> {
        // The salt need not be secret, and deriving it from the login makes the call idempotent.
        let salt = Sha256::digest(format!("{virtual_host}/{name}"));
        let hash = password_hash(&salt[..4], password);
        let user = json!({"password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""});
        self.put(&api(&["users", name])?, &user).await?;
        self.permit(name, virtual_host).await
    }

    /// Grants a login all permissions in a virtual host.
    pub(crate) async fn permit(&self, name: &str, virtual_host: &str) -> Result<()> {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put(&api(&["permissions", virtual_host, name])?, &all).await
    }

    /// Revokes a login's permissions in a virtual host.
    pub(crate) async fn forbid(&self, name: &str, virtual_host: &str) -> Result<()> {
        self.delete(&api(&["permissions", virtual_host, name])?, None).await
    }

    /// How many connections of a login are open.
    pub(crate) async fn connections(&self, username: &str) -> Result<usize> {
        // Only their number is needed, and there may be thousands.
        let path = api(&["connections", "username", username])?.with("columns", "name");
        match self.accepted(Method::GET, &path, None, ANSWER).await {
            Ok(answer) => Ok(answer.json::<Vec<IgnoredAny>>()?.len()),
            Err(Failure::Http(http::Failure::Refused { status: NOT_FOUND, .. })) => Ok(0),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a quorum queue a member on a node.
    pub(crate) async fn add_member(&self, queue: &QueueName, node: &str) -> Result<()> {
        let path = api(&["queues", "quorum", &queue.virtual_host, &queue.name, "replicas", "add"])?;
        self.send(Method::POST, &path, Some(&json!({"node": node}))).await
    }

    /// Removes a quorum queue's member from a node.
    pub(crate) async fn delete_member(&self, queue: &QueueName, node: &str) -> Result<()> {
        let path = api(&["queues", "quorum", &queue.virtual_host, &queue.name, "replicas", "delete"])?;
        self.delete(&path, Some(&json!({"node": node}))).await
    }

    /// Spreads the leaders of queues over the nodes.
    pub(crate) async fn rebalance(&self) -> Result<()> {
        self.send(Method::POST, &api(&["rebalance", "queues"])?, Some(&json!({}))).await
    }

    /// Stable features that are not enabled yet, as after an upgrade.
    pub(crate) async fn disabled_features(&self) -> Result<Vec<String>> {
        let features: Vec<Feature> = self.get(&api(&["feature-flags"])?).await?;
        Ok(features.into_iter().filter(Feature::is_waiting).map(|feature| feature.name).collect())
    }

    /// Enables a feature, for good.
    pub(crate) async fn enable_feature(&self, name: &str) -> Result<()> {
        self.put(&api(&["feature-flags", name, "enable"])?, &json!({"name": name})).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let answer = self.accepted(Method::GET, path, None, ANSWER).await?;
        answers::read(&answer.body).map_err(|error| answer.unreadable(&error).into())
    }

    /// `None` if it does not exist.
    async fn find<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Http(http::Failure::Refused { status: NOT_FOUND, .. })) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn put(&self, path: &Path, body: &Value) -> Result<()> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// An absent object counts as deleted.
    async fn delete(&self, path: &Path, body: Option<&Value>) -> Result<()> {
        match self.send(Method::DELETE, path, body).await {
            Err(Failure::Http(http::Failure::Refused { status: NOT_FOUND, .. })) => Ok(()),
            result => result,
        }
    }

    async fn send(&self, method: Method, path: &Path, body: Option<&Value>) -> Result<()> {
        self.accepted(method, path, body, ANSWER).await.map(drop)
    }

    async fn accepted(&self, method: Method, path: &Path, body: Option<&Value>, bounds: Bounds) -> Result<Answer> {
        let answer = self.ask(method, path, body, bounds).await?;
        if answer.is_success() { Ok(answer) } else { Err(answer.refused().into()) }
    }

    async fn ask(
        &self,
        method: Method,
        path: &Path,
        body: Option<&Value>,
        (within, limit, values): Bounds,
    ) -> Result<Answer> {
        let request = self.server.request(method, path, within, limit)?.with_values(values);
        let request = if let Some(body) = body { request.with_json(body) } else { request };
        let answer = self.client.send(request).await?;
        if answer.status == UNAUTHORIZED {
            return Err(Failure::LoginRefused { address: self.server.address(), username: self.login().0.to_owned() });
        }
        Ok(answer)
    }
}

/// A path of the management API, from the segments after `/api`.
fn api(names: &[&str]) -> Result<Path> {
    Ok(Path::from_segments(&[&["api"], names].concat())?)
}

/// The salted hash of a password, as RabbitMQ keeps it.
pub(crate) fn password_hash(salt: &[u8], password: &str) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
    STANDARD.encode([salt, &digest[..]].concat())
}

/// Whether a hash belongs to this password.
pub(crate) fn is_hash_of(hash: &str, password: &str) -> bool {
    STANDARD.decode(hash).is_ok_and(|bytes| bytes.len() > 4 && password_hash(&bytes[..4], password) == hash)
}

#[cfg(test)]
mod tests;
