//! The statements for PostgreSQL servers: only those that are used.
//!
//! # Security
//!
//! Passwords go out as SCRAM verifiers only, so a server that logs every statement logs no password. Sessions of the
//! administrator have `pg_catalog` alone in their search path, so no other object can shadow those of the catalogue.

mod moving;
mod verifier;

use std::{pin::pin, time::Duration};

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::scram_sha_256,
};
use temporal_stack_common::{failure::printable, login::Access, mesh, sql};
use tokio::sync::oneshot;
use tokio_postgres::{Client, Config, error::SqlState};

use crate::names::owner_role;

pub(crate) use self::{
    moving::{IS_EMPTY, JOB_SESSIONS, Reach},
    verifier::Verifier,
};

/// How long a server may take to open a session.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a statement may take.
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);

/// Why a request to a server failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No server answers at the address, or not in time.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The error.
        cause: String,
    },
    /// The policy of a mesh refuses the controller, most likely.
    #[error("{}", mesh::closed(address))]
    Closed {
        /// Host and port.
        address: String,
    },
    /// The server answers, but opens no session.
    #[error("{address} opens no session: {cause}")]
    SessionRefused {
        /// Host and port.
        address: String,
        /// What it answers.
        cause: String,
    },
    /// The server is starting or stopping.
    #[error("{address} is starting or stopping")]
    NotReady {
        /// Host and port.
        address: String,
    },
    /// The login does not exist, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    LoginRefused {
        /// Host and port.
        address: String,
        /// The login.
        username: String,
    },
    /// The server has no such database.
    #[error("{address} has no database {database}")]
    NoDatabase {
        /// Host and port.
        address: String,
        /// The database.
        database: String,
    },
    /// A statement failed: with the words of the server.
    #[error("statement failed: {}", words_of(.0))]
    Statement(tokio_postgres::Error),
    /// A statement took too long.
    #[error("statement cancelled after {} s without a result", LONGEST_STATEMENT.as_secs())]
    Slow,
}

/// A session that ends when it is dropped, in order, so that the server logs no warning.
pub(crate) struct Session {
    client: Client,
    /// Dropped with the session, which closes the connection.
    _open: oneshot::Sender<()>,
}

/// Opens a session of the administrator.
pub(crate) async fn administer(access: &Access) -> Result<Session, Failure> {
    let limit = LONGEST_STATEMENT.as_secs();
    let mut config = config(access);
    config.options(format!("-c search_path=pg_catalog -c statement_timeout={limit}s"));
    open(access, config).await
}

/// Opens a session of an application.
pub(crate) async fn connect(access: &Access) -> Result<Session, Failure> {
    open(access, config(access)).await
}

/// Opens a session to the source of a move.
pub(crate) async fn reach(access: &Access, reach: Reach) -> Result<Session, Failure> {
    match reach {
        Reach::Administrator => administer(access).await,
        Reach::Application => connect(access).await,
    }
}

async fn open(access: &Access, config: Config) -> Result<Session, Failure> {
    let opened = sql::open(&access.endpoint, config, PATIENCE).await;
    let (client, connection) = opened.map_err(|failure| refusal(access, failure))?;
    let (open, dropped) = oneshot::channel();
    tokio::spawn(run(connection, dropped));
    Ok(Session { client, _open: open })
}

fn config(access: &Access) -> Config {
    let Access { username, password, scope: database, .. } = access;
    let mut config = Config::new();
    config.user(username).password(password).dbname(database).application_name("temporal-stack");
    config
}

/// Why no session was opened.
fn refusal(access: &Access, failure: sql::Failure) -> Failure {
    let address = access.endpoint.to_string();
    let error = match failure {
        sql::Failure::Closed => return Failure::Closed { address },
        sql::Failure::Slow => return Failure::Unreachable { address, cause: format!("nothing within {PATIENCE:?}") },
        sql::Failure::Unreachable(error) => {
            return Failure::Unreachable { address, cause: printable(&error.to_string()) };
        }
        sql::Failure::Refused(error) => error,
    };
    match error.code() {
        Some(&SqlState::INVALID_PASSWORD) => Failure::LoginRefused { address, username: access.username.clone() },
        Some(&SqlState::INVALID_CATALOG_NAME) => Failure::NoDatabase { address, database: access.scope.clone() },
        Some(&SqlState::CANNOT_CONNECT_NOW) => Failure::NotReady { address },
        Some(_) => Failure::SessionRefused { address, cause: words_of(&error) },
        None => Failure::Unreachable { address, cause: words_of(&error) },
    }
}

/// Runs a connection until its session is dropped, then closes it in order.
async fn run(connection: impl Future<Output = Result<(), tokio_postgres::Error>>, dropped: oneshot::Receiver<()>) {
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        // The connection closes in order once the client is dropped; a server that hangs is not waited for.
        _ = dropped => tokio::time::timeout(PATIENCE, connection).await.unwrap_or(Ok(())),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a session ended");
    }
}

/// The message of the server or the network, without the structure of the error.
fn words_of(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    printable(
        &error.as_db_error().map(|answer| answer.message().to_owned()).or(cause).unwrap_or_else(|| error.to_string()),
    )
}

/// A role as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are attributes of a role")]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: String,
    /// May log in, at any time and as often as wanted, and has no power of its own.
    pub(crate) plain_login: bool,
    /// What the server keeps of its password, if it has one.
    pub(crate) verifier: Option<Verifier>,
    /// Whether it may log in at all.
    pub(crate) can_log_in: bool,
    /// Whether it is a member of the role that owns the database.
    pub(crate) member: bool,
    /// Whether it acts as that role in the database.
    pub(crate) acts_as_owner: bool,
    /// How many sessions it has.
    pub(crate) sessions: i64,
}

impl Session {
    /// Runs `select 1`.
    pub(crate) async fn select_one(&self) -> Result<(), Failure> {
        in_time(self.client.query_one("SELECT 1", &[])).await.map(drop)
    }

    /// The version, for instance `17.11`.
    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let row = in_time(self.client.query_one("SHOW server_version", &[])).await?;
        let full: String = row.try_get(0).map_err(Failure::Statement)?;
        Ok(printable(full.split_whitespace().next().unwrap_or_default()))
    }

    /// The owner of a database, and whether applications may connect to it; `None` if the database does not exist.
    pub(crate) async fn database(&self, database: &str) -> Result<Option<(String, bool)>, Failure> {
        const DATABASE: &str = "SELECT rolname::text, datconnlimit <> 0
            FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = $1";
        let row = in_time(self.client.query_opt(DATABASE, &[&database])).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose().map_err(Failure::Statement)
    }

    /// Those of the named roles that exist.
    pub(crate) async fn roles(&self, names: &[&str], database: &str) -> Result<Vec<Role>, Failure> {
        const ROLES: &str = "SELECT r.rolname::text,
                r.rolcanlogin AND r.rolconnlimit < 0 AND coalesce(r.rolvaliduntil = 'infinity', true)
                    AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls),
                r.rolpassword, r.rolcanlogin,
                EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid
                        WHERE m.member = r.oid AND o.rolname = $2),
                EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
                        WHERE s.setrole = r.oid AND d.datname = $3 AND 'role=' || $2 = ANY (s.setconfig)),
                (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname)
            FROM pg_authid r WHERE r.rolname = ANY ($1)";
        let rows = in_time(self.client.query(ROLES, &[&names, &owner_role(database), &database])).await?;
        rows.iter()
            .map(|row| {
                Ok(Role {
                    name: row.try_get(0)?,
                    plain_login: row.try_get(1)?,
                    verifier: row.try_get::<_, Option<String>>(2)?.map(Verifier::from),
                    can_log_in: row.try_get(3)?,
                    member: row.try_get(4)?,
                    acts_as_owner: row.try_get(5)?,
                    sessions: row.try_get(6)?,
                })
            })
            .collect::<Result<_, _>>()
            .map_err(Failure::Statement)
    }

    /// Creates the role that owns a database; it cannot log in.
    pub(crate) async fn create_owner(&self, database: &str) -> Result<(), Failure> {
        self.execute(&format!("CREATE ROLE {} NOLOGIN", escape_identifier(&owner_role(database)))).await
    }

    /// Has the role that owns a database no longer log in. A login acts as it, and could set its password.
    pub(crate) async fn lock_owner(&self, database: &str) -> Result<(), Failure> {
        self.execute(&format!("ALTER ROLE {} NOLOGIN", escape_identifier(&owner_role(database)))).await
    }

    /// Creates a database that belongs to its owner's role.
    pub(crate) async fn create_database(&self, database: &str) -> Result<(), Failure> {
        let (name, owner) = (escape_identifier(database), escape_identifier(&owner_role(database)));
        self.execute(&format!("CREATE DATABASE {name} OWNER {owner}")).await
    }

    /// Makes the owner's role the owner of a database.
    pub(crate) async fn give_database(&self, database: &str) -> Result<(), Failure> {
        let (name, owner) = (escape_identifier(database), escape_identifier(&owner_role(database)));
        self.execute(&format!("ALTER DATABASE {name} OWNER TO {owner}")).await
    }

    /// Creates or corrects a login, in one transaction: without privileges, a member of the owner's role, acting as it, with this
    /// password.
    pub(crate) async fn set_login(
        &self,
        username: &str,
        password: &str,
        database: &str,
        exists: bool,
    ) -> Result<(), Failure> {
        let role = escape_identifier(username);
        let owner = escape_identifier(&owner_role(database));
        let verifier = escape_literal(&scram_sha_256(password.as_bytes()));
        let create = if exists { String::new() } else { format!("CREATE ROLE {role};") };
        self.execute(&format!(
            "BEGIN; {create}
             ALTER ROLE {role} WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
               CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD {verifier};
             GRANT {owner} TO {role};
             ALTER ROLE {role} IN DATABASE {} SET role = {};
             COMMIT",
            escape_identifier(database),
            escape_literal(&owner_role(database)),
        ))
        .await
    }

    async fn execute(&self, statements: &str) -> Result<(), Failure> {
        in_time(self.client.batch_execute(statements)).await
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(LONGEST_STATEMENT, work).await.map_err(|_| Failure::Slow)?;
    done.map_err(Failure::Statement)
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::{address::Endpoint, testkit::refusing_proxy};

    use super::*;

    #[tokio::test]
    async fn connection_that_a_mesh_closes_is_refused_by_policy() {
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: refusing_proxy().await };
        let part = |text: &str| text.to_owned();
        let access = Access { endpoint, username: part("u"), password: part("p"), scope: part("d") };
        let failure = connect(&access).await.map(drop).unwrap_err();
        assert!(matches!(failure, Failure::Closed { .. }), "{failure}");
        assert!(failure.to_string().contains("AuthorizationPolicy"), "{failure}");
    }
}
