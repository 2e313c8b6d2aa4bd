//! An object storage that speaks as much of S3 as a controller does: buckets and objects in memory, for one key. It refuses when
//! it is told to. Everything that is asked is noted.

mod answer;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{Router, extract::State, http::Method, response::Response};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use self::answer::{Asked, Page, body, created, document, empty, refusal};
use super::FOREIGN;

/// The ID of the key that is accepted.
pub const ID: &str = "fake-access-key-id";
/// Its secret, which is not checked.
pub const SECRET: &str = "fake-secret-access-key";

/// The running fake; it ends when this is dropped.
pub struct S3 {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    serving: JoinHandle<()>,
}

/// How everything is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The clocks differ.
    Skewed,
    /// The secret is wrong.
    WrongSecret,
    /// The buckets belong to somebody else.
    Foreign,
    /// The answer is elsewhere.
    Redirect,
    /// It is too busy.
    Busy,
}

#[derive(Default)]
struct Memory {
    buckets: BTreeMap<String, Bucket>,
    refusal: Option<Refusal>,
    asked: Vec<String>,
    foreign: Vec<String>,
    /// Buckets of another account that are open to everybody.
    strange: BTreeSet<String>,
    /// Whether buckets have no tags.
    is_untagged: bool,
    /// The keys of the owners of single buckets, by their IDs.
    owners: BTreeMap<String, String>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    /// The documents of its settings, by the name of the parameter.
    settings: BTreeMap<String, Vec<u8>>,
}

impl S3 {
    /// Starts it on a free port of this machine.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let router = Router::new().fallback(serve).with_state(memory.clone());
        let serving = tokio::spawn(async move {
            // It ends only with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, memory, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a Secret says that leads here.
    pub fn keys(&self) -> Value {
        json!({"endpoint": format!("http://{}", self.address), "access-key-id": ID, "secret-access-key": SECRET})
    }

    /// Everything is refused so from now on, or no longer.
    pub fn refuses(&self, refusal: Option<Refusal>) {
        lock(&self.memory).refusal = refusal;
    }

    /// The names of the buckets.
    pub fn buckets(&self) -> Vec<String> {
        lock(&self.memory).buckets.keys().cloned().collect()
    }

    /// The keys of the objects of a bucket.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let memory = lock(&self.memory);
        memory.buckets.get(bucket).map(|bucket| bucket.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Puts an object into a bucket, which need not exist.
    pub fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        let mut memory = lock(&self.memory);
        let bucket = memory.buckets.entry(bucket.to_owned()).or_default();
        bucket.objects.insert(key.to_owned(), content.to_vec());
    }

    /// Makes a bucket of another account, open to everybody.
    pub fn put_strange(&self, bucket: &str) {
        let mut memory = lock(&self.memory);
        memory.buckets.entry(bucket.to_owned()).or_default();
        memory.strange.insert(bucket.to_owned());
    }

    /// Sets a document of a bucket's settings.
    pub fn set(&self, bucket: &str, name: &str, document: &str) {
        let mut memory = lock(&self.memory);
        let bucket = memory.buckets.entry(bucket.to_owned()).or_default();
        bucket.settings.insert(name.to_owned(), document.as_bytes().to_vec());
    }

    /// Buckets have no tags from now on.
    pub fn has_no_tags(&self) {
        lock(&self.memory).is_untagged = true;
    }

    /// Makes a bucket with an owner of its own, whose key is refused in every other; returns the key's ID.
    pub fn grant(&self, bucket: &str) -> String {
        let mut memory = lock(&self.memory);
        memory.buckets.entry(bucket.to_owned()).or_default();
        let id = format!("fake-owner-of-{bucket}");
        memory.owners.insert(id.clone(), bucket.to_owned());
        id
    }

    /// Loses a bucket with its objects, under its owner.
    pub fn lose(&self, bucket: &str) {
        lock(&self.memory).buckets.remove(bucket);
    }

    /// Removes a bucket with its objects and its owner.
    pub fn purge(&self, bucket: &str) {
        let mut memory = lock(&self.memory);
        memory.buckets.remove(bucket);
        memory.owners.retain(|_, owned| owned != bucket);
    }

    /// A document of a bucket's settings: `versioning`, `lifecycle`, `object-lock`, `policy`.
    pub fn setting(&self, bucket: &str, name: &str) -> Option<String> {
        let memory = lock(&self.memory);
        let document = memory.buckets.get(bucket)?.settings.get(name)?;
        Some(String::from_utf8_lossy(document).into_owned())
    }

    /// Methods and paths of all requests.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.memory).asked.clone()
    }

    /// Requests with another key, and those that an enemy has sent this way.
    pub fn foreign(&self) -> Vec<String> {
        lock(&self.memory).foreign.clone()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(State(memory): State<Arc<Mutex<Memory>>>, request: axum::extract::Request) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    lock(&memory).answer(&asked)
}

impl Memory {
    fn answer(&mut self, asked: &Asked) -> Response {
        self.asked.push(asked.line.clone());
        let owned = asked.key_id.as_ref().and_then(|id| self.owners.get(id));
        if owned.is_some_and(|owned| !["", owned].contains(&asked.bucket.as_str())) {
            return refusal(403, "AccessDenied");
        }
        if asked.line.contains(FOREIGN) || (owned.is_none() && asked.key_id.as_deref() != Some(ID)) {
            self.foreign.push(asked.line.clone());
            return refusal(403, "InvalidAccessKeyId");
        }
        match self.refusal {
            Some(Refusal::Skewed) => return refusal(403, "RequestTimeTooSkewed"),
            Some(Refusal::WrongSecret) => return refusal(403, "SignatureDoesNotMatch"),
            Some(Refusal::Busy) => return refusal(503, "SlowDown"),
            Some(Refusal::Redirect) => return answer::redirect(),
            Some(Refusal::Foreign) if asked.method == Method::PUT && asked.key.is_empty() => {
                return refusal(409, "BucketAlreadyExists");
            }
            Some(Refusal::Foreign) => return refusal(403, "AccessDenied"),
            None => {}
        }
        match (asked.bucket.as_str(), asked.key.as_str()) {
            ("", _) => self.list(asked),
            (_, "") => self.about_bucket(asked),
            _ => self.about_object(asked),
        }
    }

    /// The buckets of the account, which those of strangers are not.
    fn list(&self, asked: &Asked) -> Response {
        let owned = asked.key_id.as_ref().and_then(|id| self.owners.get(id));
        let is_listed = |name: &&String| owned.is_none_or(|owned| owned == *name) && !self.strange.contains(*name);
        let entries: String = self.buckets.keys().filter(is_listed).map(|name| answer::bucket(name)).collect();
        document(&format!("<ListAllMyBucketsResult><Buckets>{entries}</Buckets></ListAllMyBucketsResult>"))
    }

    fn about_bucket(&mut self, asked: &Asked) -> Response {
        let name = &asked.bucket;
        let setting = asked.setting();
        if asked.method == Method::PUT && setting.is_none() {
            self.buckets.entry(name.clone()).or_default();
            return empty(200);
        }
        let Some(bucket) = self.buckets.get_mut(name) else { return refusal(404, "NoSuchBucket") };
        if self.is_untagged && setting == Some("tagging") {
            return refusal(501, "NotImplemented");
        }
        match (asked.method.as_str(), setting) {
            ("HEAD", _) => empty(200),
            ("DELETE", None) if !bucket.objects.is_empty() => refusal(409, "BucketNotEmpty"),
            ("DELETE", None) => {
                self.buckets.remove(name);
                empty(204)
            }
            ("GET", None) => Page::of(&bucket.objects, asked).answer(),
            ("GET", Some("versions")) => Page::of(&bucket.objects, asked).versions(),
            ("GET", Some("uploads")) => document("<ListMultipartUploadsResult/>"),
            ("GET", Some(setting)) => match bucket.settings.get(setting) {
                Some(document) => body(document.clone()),
                None => answer::unset(setting),
            },
            ("PUT", Some(setting)) => {
                bucket.settings.insert(setting.to_owned(), asked.body.clone());
                empty(200)
            }
            ("DELETE", Some(setting)) => {
                bucket.settings.remove(setting);
                empty(204)
            }
            ("POST", Some("delete")) => {
                let body = String::from_utf8_lossy(&asked.body).into_owned();
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
                keys.for_each(|(key, _)| drop(bucket.objects.remove(key)));
                document("<DeleteResult/>")
            }
            _ => refusal(501, "NotImplemented"),
        }
    }

    fn about_object(&mut self, asked: &Asked) -> Response {
        let Some(bucket) = self.buckets.get_mut(&asked.bucket) else { return refusal(404, "NoSuchBucket") };
        match asked.method.as_str() {
            "PUT" => {
                bucket.objects.insert(asked.key.clone(), asked.body.clone());
                created(&asked.body)
            }
            "DELETE" => {
                bucket.objects.remove(&asked.key);
                empty(204)
            }
            "GET" | "HEAD" => match bucket.objects.get(&asked.key) {
                Some(content) => body(content.clone()),
                None => refusal(404, "NoSuchKey"),
            },
            _ => refusal(501, "NotImplemented"),
        }
    }
}

#[cfg(test)]
mod tests;
