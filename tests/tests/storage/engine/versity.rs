//! The Versity S3 Gateway: one process over a folder.

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use e2e::{process::Process, turns};
use reqwest::Client as Http;
use temporal_stack_common::{
    http::Method,
    s3::{Address, Call, Client, Key, policy},
};

use super::{Folder, address, addresses, logs, program, random_key};

const PORT: u16 = 7070;

/// A gateway; it ends when this is dropped.
pub(crate) struct Versity {
    process: Option<Process>,
    ip: Ipv4Addr,
    root: Key,
    program: PathBuf,
    http: Http,
    started: u32,
    /// The users of each bucket.
    users: Mutex<Vec<(String, String)>>,
    /// After the process that uses it.
    folder: Folder,
}

impl Versity {
    /// Starts it; returns when it answers.
    pub(crate) async fn start() -> Result<Self> {
        let mut versity = Self {
            process: None,
            ip: addresses(1)[0],
            root: random_key(),
            program: program("versitygw")?,
            http: e2e::http::builder().build()?,
            started: 0,
            users: Mutex::default(),
            folder: Folder::new()?,
        };
        versity.start_process().await?;
        Ok(versity)
    }

    async fn start_process(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs([("ROOT_ACCESS_KEY_ID", &self.root.id), ("ROOT_SECRET_ACCESS_KEY", &self.root.secret)]);
        let folder = |name: &str| {
            let folder = self.folder.0.join(name);
            fs::create_dir_all(&folder).map(|()| folder)
        };
        // Its log of requests has the IDs of keys: they are in the paths of its API for administration.
        command.args(["--quiet", "--port", &format!("{}:{PORT}", self.ip), "--health", "/health", "--iam-dir"]);
        command.arg(folder("iam")?).args(["posix", "--versioning-dir"]).arg(folder("versions")?).arg(folder("data")?);
        self.started += 1;
        self.process = Some(Process::start(command, &self.folder.0.join(format!("{}.log", self.started)))?);
        let url = format!("http://{}:{PORT}/health", self.ip);
        turns("the gateway is healthy", async || {
            Ok(self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        address(self.ip, PORT)
    }

    /// The key that may do everything.
    pub(crate) fn root(&self) -> &Key {
        &self.root
    }

    /// Kills it without a warning, and starts it again with its data.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        self.process = None;
        self.start_process().await
    }

    /// Makes a key that may use one bucket, which exists.
    pub(crate) async fn login(&self, bucket: &str) -> Result<Key> {
        let key = random_key();
        let user =
            format!("<Account><Access>{}</Access><Secret>{}</Secret><Role>user</Role></Account>", key.id, key.secret);
        let call = Call::path(Method::PATCH, &["create-user"]).with_content("application/xml", user.into_bytes());
        self.client()?.call(call).await?;
        let users = self.change_users(|users| users.push((bucket.to_owned(), key.id.clone())));
        self.set_policy(bucket, &users).await?;
        Ok(key)
    }

    /// Takes a key away.
    pub(crate) async fn remove(&self, bucket: &str, key: &Key) -> Result<()> {
        let users = self.change_users(|users| users.retain(|(_, id)| *id != key.id));
        self.set_policy(bucket, &users).await?;
        let call = Call::path(Method::PATCH, &["delete-user"]).with("access", &key.id);
        self.client()?.call(call).await?;
        Ok(())
    }

    fn change_users(&self, change: impl FnOnce(&mut Vec<(String, String)>)) -> Vec<(String, String)> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut users);
        users.clone()
    }

    /// The policy of a bucket names its users.
    async fn set_policy(&self, bucket: &str, users: &[(String, String)]) -> Result<()> {
        let users: Vec<&str> = users.iter().filter(|(of, _)| of == bucket).map(|(_, id)| id.as_str()).collect();
        let policy = policy::grant(bucket, &users);
        Ok(self.client()?.set_policy(bucket, (!users.is_empty()).then_some(&*policy)).await?)
    }

    fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.address(), &self.root)?)
    }

    /// All that it has logged.
    pub(crate) fn said(&self) -> Result<String> {
        logs(&self.folder.0)
    }

    /// The id of the process.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.process.iter().map(Process::id).collect()
    }
}
