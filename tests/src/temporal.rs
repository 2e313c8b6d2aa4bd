//! Temporal's HTTP API as a client of it uses it, by what its binding says.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Secret, Service};
use reqwest::{
    Certificate, Client, Method, RequestBuilder, StatusCode,
    multipart::{Form, Part},
    redirect::Policy,
};
use serde_json::{Value, json};
use temporal_stack_common::{api::Temporal, binding::text};

use crate::{One, Subject as _, http};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without it, an API without TLS sends every request elsewhere.
const BEHIND_TLS: (&str, &str) = ("X-Forwarded-Proto", "https");
/// The Secret of the first administrator.
pub const ADMIN: &str = "temporal-admin";

/// Whoever uses the API; clones share connections.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    /// What its URLs begin with.
    pub base: String,
    token: Option<String>,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its JSON; text that is none stands for itself.
    pub body: Value,
}

impl Answer {
    /// What was answered, if all is well.
    pub fn response(&self) -> Result<&Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.body);
        Ok(&self.body["response"])
    }
}

impl Caller {
    /// Asks for a path, with the header that says that TLS ended before.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header(BEHIND_TLS.0, BEHIND_TLS.1)
    }

    /// The same without it.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/v2/{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer to a request.
    pub async fn answer(&self, request: RequestBuilder) -> Result<Answer> {
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) })
    }

    /// Logs in.
    #[must_use = "the one before has no account"]
    pub async fn log_in(&self, username: &str, password: &str) -> Result<Self> {
        let account = json!({"username": username, "password": password});
        let answer = self.answer(self.ask(Method::POST, "auth/login").json(&account)).await?;
        let token = answer.body["token"].as_str().with_context(|| format!("no token: {answer:?}"))?;
        Ok(Self { token: Some(token.to_owned()), ..self.clone() })
    }

    /// Uploads a file, to be kept for a month.
    pub async fn upload(&self, file: Vec<u8>) -> Result<Answer> {
        let form = Form::new().text("hold_time", "1").part("file", Part::bytes(file).file_name("e2e"));
        self.answer(self.ask(Method::POST, "ipfs/public/file/add").multipart(form)).await
    }

    /// Uploads a file, and returns its CID.
    pub async fn add(&self, file: Vec<u8>) -> Result<String> {
        let answer = self.upload(file).await?;
        Ok(answer.response()?.as_str().with_context(|| format!("no CID: {answer:?}"))?.to_owned())
    }
}

impl One<'_, Temporal> {
    /// Whoever calls the API at its Service's address, trusting what the binding says.
    pub async fn caller(&self) -> Result<Caller> {
        let binding = self.api::<Secret>().get(&Temporal::binding()).await?;
        let base = text(&binding, "uri").context("the binding has no uri")?.to_owned();
        let host = text(&binding, "host").context("the binding has no host")?;
        let port: u16 = text(&binding, "port").context("the binding has no port")?.parse()?;
        let service = self.api::<Service>().get(&Temporal::child("api")).await?;
        let ip: IpAddr =
            service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?.parse()?;
        let mut builder = http::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            // A connection that is kept would stay with a pod that is to end.
            .pool_max_idle_per_host(0)
            .resolve(host, SocketAddr::new(ip, port));
        if let Some(ca) = text(&binding, "ca.crt") {
            builder = builder.tls_certs_only([Certificate::from_pem(ca.as_bytes())?]);
        }
        Ok(Caller { client: builder.build()?, base, token: None })
    }

    /// The same, logged in as the first administrator.
    pub async fn admin(&self) -> Result<Caller> {
        let account = self.api::<Secret>().get(ADMIN).await?;
        let part = |key| text(&account, key).with_context(|| format!("Secret/{ADMIN} has no {key}"));
        self.caller().await?.log_in(part("username")?, part("password")?).await
    }
}

impl Caller {
    /// The names of the account's keys that the worker has handed to the key server.
    pub async fn key_names(&self) -> Result<Vec<String>> {
        let answer = self.answer(self.ask(Method::GET, "account/key/ipfs/get")).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let names = answer.response()?["key_names"].as_array().cloned().unwrap_or_default();
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }

    /// Has the key server hand out a key, which it has no longer then.
    pub async fn export_key(&self, username: &str, name: &str) -> Result<String> {
        let answer = self.answer(self.ask(Method::GET, &format!("account/key/export/{username}-{name}"))).await?;
        Ok(answer.response()?.as_str().with_context(|| format!("no key: {answer:?}"))?.to_owned())
    }
}
