//! SQL as an application runs it, from this machine: node and pods of the tests are reachable from here.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Secret, Service};
use temporal_stack_common::binding::text;
use tokio::time::{interval, timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::{Binding, HANG, Space, database::NAME, until};

/// The database that every server has.
const MAINTENANCE: &str = "postgres";
/// A server has no watch: how often it is asked again.
const TURN: Duration = Duration::from_millis(100);

/// A session; it ends when it is dropped.
pub struct Session {
    client: Client,
}

impl Session {
    /// Opens one.
    pub async fn open(config: &Config) -> Result<Self> {
        let (client, connection) = config.connect(NoTls).await?;
        // It takes leave of the server when the client is dropped; what ends it before is told to whoever uses it next.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client })
    }

    /// Runs statements, and returns the first column of all rows.
    pub async fn run(&self, sql: &str) -> Result<Vec<String>> {
        let answers = timeout(HANG, self.client.simple_query(sql)).await.with_context(|| format!("{sql} hangs"))?;
        let row = |answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        };
        Ok(answers.with_context(|| format!("{sql} failed"))?.into_iter().filter_map(row).collect())
    }

    /// Runs a query that has one value.
    pub async fn one(&self, sql: &str) -> Result<String> {
        self.run(sql).await?.pop().with_context(|| format!("{sql} has no rows"))
    }
}

/// How to reach a server with a binding from this machine, where the names of the cluster are not known.
pub fn config(binding: &Binding, address: IpAddr) -> Result<Config> {
    let mut config: Config = binding.uri.parse().context("the binding's uri is none of PostgreSQL")?;
    config.hostaddr(address).connect_timeout(HANG).application_name("e2e");
    Ok(config)
}

impl Space {
    /// The address of the Service that the binding names.
    pub async fn address(&self) -> Result<IpAddr> {
        self.address_of(&format!("{NAME}-postgresdatabase")).await
    }

    /// The address of a Service.
    async fn address_of(&self, service: &str) -> Result<IpAddr> {
        let service = self.api::<Service>().get(service).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?;
        Ok(address.parse()?)
    }

    /// The binding as it is now.
    pub async fn binding(&self) -> Result<Binding> {
        let secret = self.api::<Secret>().get(&format!("{NAME}-postgresdatabase-binding")).await?;
        Binding::of(&secret).context("the binding lacks a key")
    }

    /// Waits until the binding is as `wanted` says.
    pub async fn until_binding(&self, what: &str, wanted: impl Fn(&Binding) -> bool) -> Result<Binding> {
        let name = format!("{NAME}-postgresdatabase-binding");
        let is_wanted = |secret: &Secret| Binding::of(secret).is_some_and(|binding| wanted(&binding));
        let secret = until(&self.api::<Secret>(), &name, what, is_wanted).await?;
        Binding::of(&secret).context("the binding was there")
    }

    /// Opens a session with a binding.
    pub async fn connect(&self, binding: &Binding) -> Result<Session> {
        Session::open(&config(binding, self.address().await?)?).await
    }

    /// The address of the Service that the host of a binding names.
    pub async fn address_by(&self, binding: &Binding) -> Result<IpAddr> {
        self.address_of(binding.host.split('.').next().unwrap_or_default()).await
    }

    /// Opens a session with a binding by the Service that its host names.
    pub async fn connect_by_host(&self, binding: &Binding) -> Result<Session> {
        Session::open(&config(binding, self.address_by(binding).await?)?).await
    }

    /// Waits until the binding leads to a server that takes its login, and opens a session.
    pub async fn until_connects(&self) -> Result<Session> {
        let mut turns = interval(TURN);
        let connected = timeout(HANG, async {
            loop {
                turns.tick().await;
                if let Ok(binding) = self.binding().await
                    && let Ok(session) = self.connect(&binding).await
                {
                    return session;
                }
            }
        });
        connected.await.with_context(|| format!("waited {HANG:?} for a session with the binding"))
    }

    /// Opens a session with a login of the test's own choice.
    pub async fn connect_as(&self, username: &str, password: &str, database: &str) -> Result<Session> {
        let mut config = Config::new();
        config.hostaddr(self.address().await?).user(username).password(password).dbname(database);
        Session::open(config.connect_timeout(HANG)).await
    }

    /// Opens a session of the controller's administrator.
    pub async fn administrator(&self) -> Result<Session> {
        let secret = self.api::<Secret>().get(&format!("{NAME}-postgresdatabase-administrator")).await?;
        let key = |key| text(&secret, key).with_context(|| format!("the administrator's Secret lacks {key}"));
        self.connect_as(key("username")?, key("password")?, MAINTENANCE).await
    }
}

/// Waits until a query has this answer.
pub async fn until_answer(session: &Session, sql: &str, wanted: &str) -> Result<()> {
    let mut turns = interval(TURN);
    let asked = timeout(HANG, async {
        while session.one(sql).await? != wanted {
            turns.tick().await;
        }
        anyhow::Ok(())
    });
    asked.await.with_context(|| format!("waited {HANG:?} for {sql} to say {wanted}"))?
}
