//! The database, and how a connection to it comes to be.

mod encryption;
mod schema;
pub(crate) mod source;
mod uploads;
mod usage;
mod users;

use std::error::Error as _;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

use crate::config::Config;
use encryption::Unchecked;
use source::{Encryption, Source};
pub(crate) use uploads::Pinned;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no connection.
    #[error("failed to establish connection with database: pq: {0}")]
    Connection(String),
    /// A statement failed.
    #[error("pq: {0}")]
    Statement(String),
    /// There is no such row.
    #[error("record not found")]
    NotFound,
    /// The original itself refuses.
    #[error("{0}")]
    Refused(&'static str),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(told(&error))
    }
}

/// The database. A connection that is lost is made again for the next statement.
pub(crate) struct Database {
    source: Source,
    client: Mutex<Arc<Client>>,
}

impl Database {
    /// Connects in one way and no other.
    pub(crate) async fn open(config: &Config, encryption: Encryption) -> Result<Self, Failure> {
        let environment = std::env::var("PGSSLMODE").ok();
        let source = Source::new(config, encryption, environment.as_deref()).map_err(Failure::Connection)?;
        let client = Mutex::new(Arc::new(connect(&source).await?));
        Ok(Self { source, client })
    }

    /// Connects with TLS or, whatever is wrong with that, without: so do the API and the queues.
    pub(crate) async fn open_either(config: &Config) -> Result<Self, Failure> {
        let secure = match Self::open(config, Encryption::AsConfigured).await {
            Ok(database) => return Ok(database),
            Err(failure) => failure,
        };
        eprintln!("WARNING: secure db connection failed, attempting fallback to insecure connection: {secure}");
        Self::open(config, Encryption::Disabled).await
    }

    async fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut client = self.client.lock().await;
        if client.is_closed() {
            *client = Arc::new(connect(&self.source).await?);
        }
        Ok(client.clone())
    }

    async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        Ok(self.client().await?.query(sql, parameters).await?)
    }

    /// The one row, or none.
    async fn row(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Failure> {
        self.rows(sql, parameters).await?.into_iter().next().ok_or(Failure::NotFound)
    }

    /// How many rows are other than before.
    async fn change(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        Ok(self.client().await?.execute(sql, parameters).await?)
    }
}

async fn connect(source: &Source) -> Result<Client, Failure> {
    let failed = |error: tokio_postgres::Error| Failure::Connection(told(&error));
    if source.encrypted {
        let (client, connection) = source.settings.connect(Unchecked::new()).await.map_err(failed)?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let (client, connection) = source.settings.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(connection);
    Ok(client)
}

/// What the server or the network said.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return answer.message().to_owned();
    }
    match error.source().map(ToString::to_string) {
        Some(cause) if cause == "server does not support TLS" => "SSL is not enabled on the server".to_owned(),
        Some(cause) => cause,
        None => error.to_string(),
    }
}
