//! What is asked of the database: which of Temporal's tables there are, and who its administrators are.

use std::{collections::BTreeSet, time::Duration};

use temporal_stack_common::failure::deepest;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use crate::{
    access::Database,
    names::{DATABASE, TABLES},
};

/// How long a database may take for everything that it is asked at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It opens no session.
    #[error("PostgreSQL at {host} opens no session: {cause}")]
    Session {
        /// Its host.
        host: String,
        /// What it said.
        cause: String,
    },
    /// A statement failed.
    #[error("PostgreSQL refused a statement: {0}")]
    Statement(String),
    /// It took too long.
    #[error("PostgreSQL did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Tables of Temporal that are not there.
    pub(crate) missing: Vec<&'static str>,
    /// Accounts that there are.
    pub(crate) accounts: BTreeSet<String>,
    /// Those of them that have all rights.
    pub(crate) admins: BTreeSet<String>,
}

/// Looks at the tables, and at the accounts of these names.
pub(crate) async fn look(database: &Database, names: &[String]) -> Result<Found, Failure> {
    in_session(database, async |client| {
        let known: Vec<&str> = TABLES.to_vec();
        let of_tables = "SELECT c.relname FROM pg_catalog.pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relname = ANY($1) AND pg_catalog.pg_table_is_visible(c.oid)";
        let there: BTreeSet<String> = client
            .query(of_tables, &[&known])
            .await
            .map_err(|error| statement(&error))?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let mut found =
            Found { missing: TABLES.into_iter().filter(|table| !there.contains(*table)).collect(), ..Found::default() };
        if !names.is_empty() && there.contains("users") {
            let of_accounts = "SELECT user_name, coalesce(admin_access, false) FROM users WHERE user_name = ANY($1) AND deleted_at IS NULL";
            for row in client.query(of_accounts, &[&names]).await.map_err(|error| statement(&error))? {
                let name: String = row.get(0);
                if row.get(1) {
                    found.admins.insert(name.clone());
                }
                found.accounts.insert(name);
            }
        }
        Ok(found)
    })
    .await
}

/// Gives an account all rights. The program's own `admin` turns them over, so a second one would take them away.
pub(crate) async fn make_admin(database: &Database, name: &str) -> Result<(), Failure> {
    in_session(database, async |client| {
        let grant = "UPDATE users SET admin_access = true WHERE user_name = $1 AND deleted_at IS NULL";
        client.execute(grant, &[&name]).await.map_err(|error| statement(&error))?;
        Ok(())
    })
    .await
}

async fn in_session<T>(
    database: &Database,
    ask: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut config = Config::new();
    config
        .host(&database.host)
        .port(database.port)
        .user(&database.username)
        .password(&database.password)
        .dbname(DATABASE)
        .application_name("temporal-stack")
        .connect_timeout(PATIENCE);
    let asking = async {
        let opened = config.connect(NoTls).await;
        let (client, connection) =
            opened.map_err(|error| Failure::Session { host: database.host.clone(), cause: deepest(&error) })?;
        let serving = tokio::spawn(connection);
        let answer = ask(&client).await;
        drop(client);
        // Ends with its last client, with a word to the server.
        let _ = serving.await;
        answer
    };
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn statement(error: &tokio_postgres::Error) -> Failure {
    Failure::Statement(error.as_db_error().map_or_else(|| deepest(error), |error| error.message().to_owned()))
}
