//! The queries to PostgreSQL: which of Temporal's tables exist, and which accounts are administrators.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use temporal_stack_common::{
    failure::{deepest, printable},
    mesh, sql,
};
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use crate::{
    access::Database,
    names::{DATABASE, TABLES},
    observed::Tables,
};

/// How long a session may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a session may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not open a session.
    #[error("PostgreSQL at {host} refused the session: {cause}")]
    Session {
        /// Its host.
        host: String,
        /// Its answer.
        cause: String,
    },
    /// The policy of a mesh refuses the controller, most likely.
    #[error("{}", mesh::closed(&format!("PostgreSQL at {host}")))]
    Closed {
        /// Its host.
        host: String,
    },
    /// A statement failed.
    #[error("PostgreSQL refused a statement: {0}")]
    Statement(String),
    /// It took too long.
    #[error("PostgreSQL did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

/// Reads which tables exist, and the accounts of these names.
pub(crate) async fn read(database: &Database, names: &[String]) -> Result<Tables, Failure> {
    in_session(database, async |client| {
        let query_tables = "SELECT c.relname FROM pg_catalog.pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relname = ANY($1) AND pg_catalog.pg_table_is_visible(c.oid)";
        let existing = client.query(query_tables, &[&TABLES.to_vec()]).await?;
        let existing: BTreeSet<String> = existing.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let missing = TABLES.into_iter().filter(|table| !existing.contains(*table)).collect();
        let mut tables = Tables { missing, ..Tables::default() };
        if !names.is_empty() && existing.contains("users") {
            let query_accounts = "SELECT user_name, coalesce(admin_access, false) FROM users WHERE user_name = ANY($1) AND deleted_at IS NULL";
            for row in client.query(query_accounts, &[&names]).await? {
                let (name, is_admin): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
                if is_admin {
                    tables.admins.insert(name.clone());
                }
                tables.accounts.insert(name);
            }
        }
        Ok(tables)
    })
    .await
}

/// Makes an account an administrator. The program's own `admin` toggles the right, so a second run would revoke it.
pub(crate) async fn grant_admin(database: &Database, name: &str) -> Result<(), Failure> {
    in_session(database, async |client| {
        let grant = "UPDATE users SET admin_access = true WHERE user_name = $1 AND deleted_at IS NULL";
        client.execute(grant, &[&name]).await.map(drop)
    })
    .await
}

async fn in_session<T>(
    database: &Database,
    ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, Failure> {
    let mut config = Config::new();
    config.user(&database.username).password(&database.password).dbname(DATABASE).application_name("temporal-stack");
    let session = |cause: String| Failure::Session { host: database.endpoint.host.clone(), cause: printable(&cause) };
    let asking = async {
        let opened = sql::open(&database.endpoint, config, PATIENCE).await;
        let (client, connection) = opened.map_err(|failure| match failure {
            sql::Failure::Unreachable(error) => session(error.to_string()),
            sql::Failure::Closed => Failure::Closed { host: database.endpoint.host.clone() },
            sql::Failure::Slow => Failure::Slow,
            sql::Failure::Refused(error) => session(deepest(&error)),
        })?;
        // In this task, so that it ends with the query: a server that never closes a session must not keep it open.
        let mut connection = pin!(connection);
        let answer = {
            let mut asked = pin!(ask(&client));
            tokio::select! {
                answer = &mut asked => answer,
                ended = &mut connection => {
                    return Err(session(ended.map_or_else(|error| deepest(&error), |()| "the session ended".to_owned())));
                }
            }
        };
        drop(client);
        // Closes in order with its last client.
        let _ = timeout(FAREWELL, connection).await;
        answer.map_err(|error| refused(&error))
    };
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn refused(error: &tokio_postgres::Error) -> Failure {
    Failure::Statement(printable(
        &error.as_db_error().map_or_else(|| deepest(error), |error| error.message().to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::{address::Endpoint, testkit::refusing_proxy};

    use super::*;

    #[tokio::test]
    async fn connection_that_a_mesh_closes_is_refused_by_policy() {
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: refusing_proxy().await };
        let database = Database { endpoint, username: "u".to_owned(), password: "p".to_owned() };
        let failure = read(&database, &[]).await.map(drop).unwrap_err();
        assert!(matches!(failure, Failure::Closed { .. }), "{failure}");
    }
}
