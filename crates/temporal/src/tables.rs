//! What is asked of the database: which of Temporal's tables there are, and who its administrators are.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use temporal_stack_common::{
    address::host,
    failure::{deepest, words},
    sql,
};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use crate::{
    access::Database,
    names::{DATABASE, TABLES},
};

/// How long a database may take for everything that it is asked at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a database may take to end a session.
const FAREWELL: Duration = Duration::from_secs(1);

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
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .map_err(|error| statement(&error))?;
        let mut found =
            Found { missing: TABLES.into_iter().filter(|table| !there.contains(*table)).collect(), ..Found::default() };
        if !names.is_empty() && there.contains("users") {
            let of_accounts = "SELECT user_name, coalesce(admin_access, false) FROM users WHERE user_name = ANY($1) AND deleted_at IS NULL";
            for row in client.query(of_accounts, &[&names]).await.map_err(|error| statement(&error))? {
                let (name, is_admin): (String, bool) = row
                    .try_get(0)
                    .and_then(|name| Ok((name, row.try_get(1)?)))
                    .map_err(|error| statement(&error))?;
                if is_admin {
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
    config.user(&database.username).password(&database.password).dbname(DATABASE).application_name("temporal-stack");
    let session = |cause: String| Failure::Session { host: database.host.clone(), cause: words(&cause) };
    let asking = async {
        let host = host(&database.host).map_err(|wrong| session(format!("the host {wrong}")))?;
        let stream = sql::connect(host, database.port, PATIENCE).await.map_err(|error| session(error.to_string()))?;
        let opened = config.connect_raw(stream, NoTls).await;
        let (client, connection) = opened.map_err(|error| session(deepest(&error)))?;
        // In this task, so that it ends with the question: a server that never ends a session must not keep one.
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
        // Ends with its last client, with a word to the server.
        let _ = timeout(FAREWELL, connection).await;
        answer
    };
    timeout(PATIENCE, asking).await.map_err(|_| Failure::Slow)?
}

fn statement(error: &tokio_postgres::Error) -> Failure {
    Failure::Statement(words(&error.as_db_error().map_or_else(|| deepest(error), |error| error.message().to_owned())))
}
