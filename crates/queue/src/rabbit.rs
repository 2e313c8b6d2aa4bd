//! What is said to RabbitMQ's management API: as few functions as are used.

mod answers;

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use temporal_stack_common::http::{self, Answer, Client, Method, Path, Server};

use answers::{Alarm, Alarms, Connections, Critical, Feature, Overview, Parameter, VirtualHost};
pub(crate) use answers::{Binding, Details, Node, Permission, Queue, QueueName, User};

use crate::names::MANAGEMENT;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to list all queues, and how long that list may be: ten thousand queues have some 6 MB.
const LISTED_WITHIN: Duration = Duration::from_secs(30);
const LIST: usize = 16 << 20;
/// The longest of all other answers: a queue with all its bindings, or the queues at their minimum.
const ANSWER: usize = 4 << 20;
/// The login is refused.
const UNAUTHORIZED: u16 = 401;
/// A health check has something to complain of.
const UNAVAILABLE: u16 = 503;
/// The global parameter that lists the nodes which are to leave the cluster when they stop; `leave.sh` reads it.
const LEAVING: &str = "temporal-stack-leaving";
/// What global parameters begin with that hold a queue which is being moved.
const MOVING: &str = "temporal-stack-moving-";

/// Why a broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no answer that could be used.
    #[error(transparent)]
    Http(#[from] http::Failure),
    /// The broker knows no such login, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    Refused {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
    },
    /// The broker answers something else than was expected.
    #[error("{address} answers {method} {path} with {status}: {cause}")]
    Answered {
        /// Host and port.
        address: String,
        /// What was asked.
        method: String,
        /// The path of the API.
        path: String,
        /// The status of the answer.
        status: u16,
        /// What the answer says.
        cause: String,
    },
    /// A message did not go through.
    #[error(transparent)]
    Message(#[from] crate::amqp::Failure),
}

/// The management API of one node, and as whom it is used.
#[derive(Clone)]
pub(crate) struct Management {
    client: Client,
    server: Server,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.login().0, self.server.address())
    }
}

/// What the controller has noted in the cluster.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The nodes that are to leave the cluster when they stop.
    pub(crate) leaving: Vec<String>,
    /// Queues that are being moved.
    pub(crate) moves: Vec<Value>,
}

type Result<T> = std::result::Result<T, Failure>;

impl Management {
    /// Of the node at this address; nothing is sent yet.
    pub(crate) fn new(client: &Client, host: &str, username: &str, password: &str) -> Self {
        Self { client: client.clone(), server: Server::new(host, MANAGEMENT).with_login(username, password) }
    }

    /// The login.
    pub(crate) fn login(&self) -> (&str, &str) {
        self.server.login().unwrap_or_default()
    }

    /// The broker's version.
    pub(crate) async fn version(&self) -> Result<String> {
        let overview: Overview = self.get(&api(&["overview"])?.with("columns", "rabbitmq_version")).await?;
        Ok(overview.rabbitmq_version)
    }

    /// The members of the cluster, running or not.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>> {
        self.get(&api(&["nodes"])?).await
    }

    /// The queues and streams that would lose their majority without this node.
    pub(crate) async fn queues_at_minimum(&self) -> Result<Vec<QueueName>> {
        let critical: Option<Critical> = self.check("node-is-quorum-critical").await?;
        Ok(critical.map(|critical| critical.queues).unwrap_or_default())
    }

    /// What nodes are short of. The list of nodes says it, too, but some seconds later.
    pub(crate) async fn alarms(&self) -> Result<Vec<Alarm>> {
        let failed: Option<Alarms> = self.check("alarms").await?;
        Ok(failed.map(|failed| failed.alarms).unwrap_or_default())
    }

    /// What a health check complains of; `None` if all is well.
    async fn check<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = api(&["health", "checks", name])?;
        let answer = self.ask(Method::GET, &path, None, PATIENCE, ANSWER).await?;
        if answer.is_success() {
            return Ok(None);
        }
        match answers::read(&answer.body) {
            Ok(complaint) if answer.status == UNAVAILABLE => Ok(Some(complaint)),
            _ => Err(self.answered(&Method::GET, &path, &answer)),
        }
    }

    /// All queues of all virtual hosts, in one answer: pages are of different moments, and a queue that is missed between two of
    /// them could be lost with its node.
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        let path = api(&["queues"])?
            .with("disable_stats", "true")
            .with("enable_queue_totals", "true")
            .with("columns", Queue::COLUMNS);
        let answer = self.ask(Method::GET, &path, None, LISTED_WITHIN, LIST).await?;
        if !answer.is_success() {
            return Err(self.answered(&Method::GET, &path, &answer));
        }
        answers::read_list(&answer.body).map_err(|error| answer.unreadable(&error).into())
    }

    /// What is known of one queue; `None` if it is not there.
    pub(crate) async fn queue(&self, virtual_host: &str, name: &str) -> Result<Option<Details>> {
        self.find(&api(&["queues", virtual_host, name])?).await
    }

    /// What leads to a queue, but for the default exchange.
    pub(crate) async fn bindings(&self, virtual_host: &str, queue: &str) -> Result<Vec<Binding>> {
        let bindings: Vec<Binding> = self.get(&api(&["queues", virtual_host, queue, "bindings"])?).await?;
        Ok(bindings.into_iter().filter(|binding| !binding.source.is_empty()).collect())
    }

    /// Whether there is such a virtual host, and its default queue type.
    pub(crate) async fn default_queue_type(&self, virtual_host: &str) -> Result<Option<String>> {
        let found: Option<VirtualHost> = self.find(&api(&["vhosts", virtual_host])?).await?;
        Ok(found.map(VirtualHost::queue_type))
    }

    /// Makes a virtual host whose queues are quorum queues unless they are declared as others.
    pub(crate) async fn create_virtual_host(&self, name: &str) -> Result<()> {
        self.put(&api(&["vhosts", name])?, &json!({"default_queue_type": "quorum"})).await
    }

    /// A login, and whether it may do all within the virtual host; `None` if it is not there.
    pub(crate) async fn user(&self, name: &str, virtual_host: &str) -> Result<Option<User>> {
        let Some(mut user) = self.find::<User>(&api(&["users", name])?).await? else { return Ok(None) };
        user.permission = self.find(&api(&["permissions", virtual_host, name])?).await?;
        Ok(Some(user))
    }

    /// Makes or corrects a login that may do all within its virtual host, and has no tag. What somebody else permits it in others
    /// is theirs to take back.
    pub(crate) async fn set_user(&self, name: &str, password: &str, virtual_host: &str) -> Result<()> {
        // The salt need not be secret, and one that follows from the login makes the same call twice the same.
        let salt = Sha256::digest(format!("{virtual_host}/{name}"));
        let hash = password_hash(&salt[..4], password);
        let user = json!({"password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""});
        self.put(&api(&["users", name])?, &user).await?;
        self.permit(name, virtual_host).await
    }

    /// Lets a login do all within a virtual host.
    pub(crate) async fn permit(&self, name: &str, virtual_host: &str) -> Result<()> {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put(&api(&["permissions", virtual_host, name])?, &all).await
    }

    /// Takes back what a login may do within a virtual host.
    pub(crate) async fn forbid(&self, name: &str, virtual_host: &str) -> Result<()> {
        self.delete(&api(&["permissions", virtual_host, name])?, None).await
    }

    /// How many connections of a login are open.
    pub(crate) async fn connections(&self, username: &str) -> Result<usize> {
        // Only how many there are is wanted, and there may be thousands.
        let path = api(&["connections", "username", username])?.with("columns", "name");
        let found: Option<Connections> = self.find(&path).await?;
        Ok(found.map_or(0, |connections| connections.0.len()))
    }

    /// What the controller has noted in the cluster.
    pub(crate) async fn notes(&self) -> Result<Notes> {
        let parameters: Vec<Parameter> = self.get(&api(&["global-parameters"])?).await?;
        let mut notes = Notes::default();
        for parameter in parameters {
            if parameter.name == LEAVING {
                notes.leaving = serde_json::from_value(parameter.value).unwrap_or_default();
            } else if parameter.name.starts_with(MOVING) {
                notes.moves.push(parameter.value);
            }
        }
        Ok(notes)
    }

    /// Says which nodes are to leave the cluster when they stop.
    pub(crate) async fn set_leaving(&self, nodes: &[String]) -> Result<()> {
        self.set_parameter(LEAVING, &json!(nodes)).await
    }

    /// Notes that a queue is being moved.
    pub(crate) async fn note_move(&self, id: &str, note: &Value) -> Result<()> {
        self.set_parameter(&format!("{MOVING}{id}"), note).await
    }

    /// Forgets the note about a queue that has been moved.
    pub(crate) async fn forget_move(&self, id: &str) -> Result<()> {
        self.delete(&api(&["global-parameters", &format!("{MOVING}{id}")])?, None).await
    }

    /// Gives a quorum queue a member on a node.
    pub(crate) async fn add_member(&self, queue: &Queue, node: &str) -> Result<()> {
        let path = api(&["queues", "quorum", &queue.vhost, &queue.name, "replicas", "add"])?;
        self.post(&path, &json!({"node": node})).await
    }

    /// Takes a quorum queue's member off a node.
    pub(crate) async fn delete_member(&self, queue: &Queue, node: &str) -> Result<()> {
        let path = api(&["queues", "quorum", &queue.vhost, &queue.name, "replicas", "delete"])?;
        self.delete(&path, Some(&json!({"node": node}))).await
    }

    /// Spreads the leaders of queues over the nodes.
    pub(crate) async fn rebalance(&self) -> Result<()> {
        self.post(&api(&["rebalance", "queues"])?, &json!({})).await
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

    async fn set_parameter(&self, name: &str, value: &Value) -> Result<()> {
        self.put(&api(&["global-parameters", name])?, &json!({"name": name, "value": value})).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let answer = self.ask(Method::GET, path, None, PATIENCE, ANSWER).await?;
        if !answer.is_success() {
            return Err(self.answered(&Method::GET, path, &answer));
        }
        answers::read(&answer.body).map_err(|error| answer.unreadable(&error).into())
    }

    /// `None` if there is no such thing.
    async fn find<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Answered { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn put(&self, path: &Path, body: &Value) -> Result<()> {
        self.tell(Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &Path, body: &Value) -> Result<()> {
        self.tell(Method::POST, path, Some(body)).await
    }

    /// What is not there any more has been deleted.
    async fn delete(&self, path: &Path, body: Option<&Value>) -> Result<()> {
        match self.tell(Method::DELETE, path, body).await {
            Err(Failure::Answered { status: 404, .. }) => Ok(()),
            result => result,
        }
    }

    async fn tell(&self, method: Method, path: &Path, body: Option<&Value>) -> Result<()> {
        let answer = self.ask(method.clone(), path, body, PATIENCE, ANSWER).await?;
        if answer.is_success() { Ok(()) } else { Err(self.answered(&method, path, &answer)) }
    }

    async fn ask(
        &self,
        method: Method,
        path: &Path,
        body: Option<&Value>,
        within: Duration,
        limit: usize,
    ) -> Result<Answer> {
        let request = self.server.request(method, path, within, limit)?;
        let request = match body {
            Some(body) => request.with_json(body),
            None => request,
        };
        let answer = self.client.send(request).await?;
        if answer.status == UNAUTHORIZED {
            return Err(Failure::Refused { address: self.server.address(), username: self.login().0.to_owned() });
        }
        Ok(answer)
    }

    fn answered(&self, method: &Method, path: &Path, answer: &Answer) -> Failure {
        Failure::Answered {
            address: self.server.address(),
            method: method.to_string(),
            path: path.path().to_owned(),
            status: answer.status,
            cause: answer.words(),
        }
    }
}

/// A path of the management API, from the names behind `/api`.
fn api(names: &[&str]) -> Result<Path> {
    Ok(Path::of(&[&["api"], names].concat())?)
}

/// The salted hash of a password, as RabbitMQ keeps it.
pub(crate) fn password_hash(salt: &[u8], password: &str) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
    STANDARD.encode([salt, &digest[..]].concat())
}

/// Whether a hash is of this password.
pub(crate) fn is_hash_of(hash: &str, password: &str) -> bool {
    STANDARD.decode(hash).is_ok_and(|bytes| bytes.len() > 4 && password_hash(&bytes[..4], password) == hash)
}

#[cfg(test)]
mod tests;
