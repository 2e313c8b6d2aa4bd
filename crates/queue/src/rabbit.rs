//! What is said to RabbitMQ's management API: as few functions as are used.

mod answers;

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use temporal_stack_common::{
    binding::{authority, uri_part},
    failure::deepest,
};

use answers::{Alarm, Alarms, Connections, Critical, Feature, Overview, Page, Parameter, VirtualHost};
pub(crate) use answers::{Binding, Details, Node, Permission, Queue, QueueName, User};

use crate::names::MANAGEMENT;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many queues are asked for at once.
const PAGE: usize = 500;
/// How often a list is asked for anew that changed meanwhile.
const ATTEMPTS: usize = 5;
/// The global parameter that lists the nodes which are to leave the cluster when they stop; `leave.sh` reads it.
const LEAVING: &str = "temporal-stack-leaving";
/// What global parameters begin with that hold a queue which is being moved.
const MOVING: &str = "temporal-stack-moving-";

/// Why a broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers at the address, or not in time.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
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

/// The management API of one node.
#[derive(Clone)]
pub(crate) struct Management {
    client: reqwest::Client,
    address: String,
    username: String,
    password: String,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.username, self.address)
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
    pub(crate) fn new(client: &reqwest::Client, host: &str, username: &str, password: &str) -> Self {
        Self {
            client: client.clone(),
            address: authority(host, MANAGEMENT),
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    /// The login.
    pub(crate) fn login(&self) -> (&str, &str) {
        (&self.username, &self.password)
    }

    /// The broker's version.
    pub(crate) async fn version(&self) -> Result<String> {
        let overview: Overview = self.get("overview?columns=rabbitmq_version").await?;
        Ok(overview.rabbitmq_version)
    }

    /// The members of the cluster, running or not.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>> {
        self.get("nodes").await
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
        let path = format!("health/checks/{name}");
        let (status, text) = self.ask(Method::GET, &path, None).await?;
        if status.is_success() {
            return Ok(None);
        }
        match answers::read(&text) {
            Ok(complaint) if status == StatusCode::SERVICE_UNAVAILABLE => Ok(Some(complaint)),
            _ => Err(self.answered(&Method::GET, &path, status, text)),
        }
    }

    /// All queues of all virtual hosts. The list is asked for anew when it changed between two of its pages: one that is missed
    /// could be lost with its node.
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        for _ in 0..ATTEMPTS {
            let mut queues = Vec::new();
            let (mut page, mut total) = (1, None);
            loop {
                let path = format!(
                    "queues?page={page}&page_size={PAGE}&pagination=true&disable_stats=true&enable_queue_totals=true&columns={}",
                    Queue::COLUMNS
                );
                let answer: Page = self.get(&path).await?;
                queues.extend(answer.items);
                let is_same = *total.get_or_insert(answer.total_count) == answer.total_count;
                if !is_same || page >= answer.page_count {
                    break;
                }
                page += 1;
            }
            if total == Some(queues.len()) {
                return Ok(queues);
            }
        }
        let cause = "the list of queues changes all the time".to_owned();
        Err(self.answered(&Method::GET, "queues", StatusCode::OK, cause))
    }

    /// What is known of one queue; `None` if it is not there.
    pub(crate) async fn queue(&self, virtual_host: &str, name: &str) -> Result<Option<Details>> {
        self.find(&format!("queues/{}/{}", uri_part(virtual_host), uri_part(name))).await
    }

    /// What leads to a queue, but for the default exchange.
    pub(crate) async fn bindings(&self, virtual_host: &str, queue: &str) -> Result<Vec<Binding>> {
        let path = format!("queues/{}/{}/bindings", uri_part(virtual_host), uri_part(queue));
        let bindings: Vec<Binding> = self.get(&path).await?;
        Ok(bindings.into_iter().filter(|binding| !binding.source.is_empty()).collect())
    }

    /// Whether there is such a virtual host, and its default queue type.
    pub(crate) async fn default_queue_type(&self, virtual_host: &str) -> Result<Option<String>> {
        let found: Option<VirtualHost> = self.find(&format!("vhosts/{}", uri_part(virtual_host))).await?;
        Ok(found.map(VirtualHost::queue_type))
    }

    /// Makes a virtual host whose queues are quorum queues unless they are declared as others.
    pub(crate) async fn create_virtual_host(&self, name: &str) -> Result<()> {
        self.put(&format!("vhosts/{}", uri_part(name)), &json!({"default_queue_type": "quorum"})).await
    }

    /// A login, and whether it may do all within the virtual host; `None` if it is not there.
    pub(crate) async fn user(&self, name: &str, virtual_host: &str) -> Result<Option<User>> {
        let Some(mut user) = self.find::<User>(&format!("users/{}", uri_part(name))).await? else { return Ok(None) };
        let path = format!("permissions/{}/{}", uri_part(virtual_host), uri_part(name));
        user.permission = self.find(&path).await?;
        Ok(Some(user))
    }

    /// Makes or corrects a login that may do all within its virtual host, and has no tag. What somebody else permits it in others
    /// is theirs to take back.
    pub(crate) async fn set_user(&self, name: &str, password: &str, virtual_host: &str) -> Result<()> {
        // The salt need not be secret, and one that follows from the login makes the same call twice the same.
        let salt = Sha256::digest(format!("{virtual_host}/{name}"));
        let hash = password_hash(&salt[..4], password);
        let user = json!({"password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""});
        self.put(&format!("users/{}", uri_part(name)), &user).await?;
        self.permit(name, virtual_host).await
    }

    /// Lets a login do all within a virtual host.
    pub(crate) async fn permit(&self, name: &str, virtual_host: &str) -> Result<()> {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put(&format!("permissions/{}/{}", uri_part(virtual_host), uri_part(name)), &all).await
    }

    /// Takes back what a login may do within a virtual host.
    pub(crate) async fn forbid(&self, name: &str, virtual_host: &str) -> Result<()> {
        self.delete(&format!("permissions/{}/{}", uri_part(virtual_host), uri_part(name)), None).await
    }

    /// How many connections of a login are open.
    pub(crate) async fn connections(&self, username: &str) -> Result<usize> {
        let found: Option<Connections> = self.find(&format!("connections/username/{}", uri_part(username))).await?;
        Ok(found.map_or(0, |connections| connections.0.len()))
    }

    /// What the controller has noted in the cluster.
    pub(crate) async fn notes(&self) -> Result<Notes> {
        let parameters: Vec<Parameter> = self.get("global-parameters").await?;
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
        self.delete(&format!("global-parameters/{MOVING}{id}"), None).await
    }

    /// Gives a quorum queue a member on a node.
    pub(crate) async fn add_member(&self, queue: &Queue, node: &str) -> Result<()> {
        let path = format!("queues/quorum/{}/{}/replicas/add", uri_part(&queue.vhost), uri_part(&queue.name));
        self.post(&path, &json!({"node": node})).await
    }

    /// Takes a quorum queue's member off a node.
    pub(crate) async fn delete_member(&self, queue: &Queue, node: &str) -> Result<()> {
        let path = format!("queues/quorum/{}/{}/replicas/delete", uri_part(&queue.vhost), uri_part(&queue.name));
        self.delete(&path, Some(&json!({"node": node}))).await
    }

    /// Spreads the leaders of queues over the nodes.
    pub(crate) async fn rebalance(&self) -> Result<()> {
        self.post("rebalance/queues", &json!({})).await
    }

    /// Stable features that are not enabled yet, as after an upgrade.
    pub(crate) async fn disabled_features(&self) -> Result<Vec<String>> {
        let features: Vec<Feature> = self.get("feature-flags").await?;
        Ok(features.into_iter().filter(Feature::is_waiting).map(|feature| feature.name).collect())
    }

    /// Enables a feature, for good.
    pub(crate) async fn enable_feature(&self, name: &str) -> Result<()> {
        self.put(&format!("feature-flags/{}/enable", uri_part(name)), &json!({"name": name})).await
    }

    async fn set_parameter(&self, name: &str, value: &Value) -> Result<()> {
        self.put(&format!("global-parameters/{name}"), &json!({"name": name, "value": value})).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let (status, text) = self.ask(Method::GET, path, None).await?;
        if !status.is_success() {
            return Err(self.answered(&Method::GET, path, status, text));
        }
        answers::read(&text).map_err(|error| self.answered(&Method::GET, path, status, error.to_string()))
    }

    /// `None` if there is no such thing.
    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Answered { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.tell(Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        self.tell(Method::POST, path, Some(body)).await
    }

    /// What is not there any more has been deleted.
    async fn delete(&self, path: &str, body: Option<&Value>) -> Result<()> {
        match self.tell(Method::DELETE, path, body).await {
            Err(Failure::Answered { status: 404, .. }) => Ok(()),
            result => result,
        }
    }

    async fn tell(&self, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
        let (status, text) = self.ask(method.clone(), path, body).await?;
        if status.is_success() { Ok(()) } else { Err(self.answered(&method, path, status, text)) }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, String)> {
        let request = self
            .client
            .request(method, format!("http://{}/api/{path}", self.address))
            .basic_auth(&self.username, Some(&self.password))
            .timeout(PATIENCE);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let unreachable =
            |error: reqwest::Error| Failure::Unreachable { address: self.address.clone(), cause: deepest(&error) };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(Failure::Refused { address: self.address.clone(), username: self.username.clone() });
        }
        Ok((status, answer.text().await.map_err(unreachable)?))
    }

    fn answered(&self, method: &Method, path: &str, status: StatusCode, mut cause: String) -> Failure {
        if let Some((end, _)) = cause.char_indices().nth(300) {
            cause.truncate(end);
        }
        Failure::Answered {
            address: self.address.clone(),
            method: method.to_string(),
            path: path.to_owned(),
            status: status.as_u16(),
            cause,
        }
    }
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
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password() {
        // From RabbitMQ's documentation: `rabbitmqctl hash_password test12` with the salt 908DC60A.
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert!(is_hash_of(hash, "test12"));
        assert!(!is_hash_of(hash, "test13"));
        assert!(!is_hash_of("", "test12"));
    }

    #[test]
    fn debug_shows_no_password() {
        let management = Management::new(&temporal_stack_common::http::client(), "10.0.0.1", "admin", "s3cret");
        assert_eq!(format!("{management:?}"), "admin at 10.0.0.1:15672");
    }
}
