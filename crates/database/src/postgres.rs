//! What is said to a PostgreSQL server: as few functions as are used.
//!
//! # Security
//!
//! Passwords go out as SCRAM verifiers only, so a server that logs every statement logs no password. Sessions of the
//! administrator look at `pg_catalog` alone, so nobody else's objects can pass for the catalogue's.

use std::{pin::pin, time::Duration};

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::scram_sha_256,
};
use temporal_stack_common::{address::host, binding::authority, failure::words, sql};
use tokio::sync::oneshot;
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use crate::names::{ADMINISTRATOR, owner_role};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The database that every server has.
pub(crate) const MAINTENANCE: &str = "postgres";

/// Why a server did not do what it was asked.
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
    /// The server answers, and opens no session.
    #[error("{address} opens no session: {cause}")]
    Answered {
        /// Host and port.
        address: String,
        /// What it says.
        cause: String,
        /// The SQL state, as a code.
        code: String,
    },
    /// The server is starting or stopping.
    #[error("{address} is starting or stopping")]
    NotReady {
        /// Host and port.
        address: String,
    },
    /// The server knows no such login, or the password is wrong.
    #[error("{address} refuses the login {username}")]
    Refused {
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
    /// A statement failed.
    #[error("a statement failed")]
    Statement(#[source] tokio_postgres::Error),
    /// A statement took too long.
    #[error("a statement took longer than {PATIENCE:?}")]
    Slow,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host name or IP address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

/// A session that ends when it is dropped: with a word to the server, so that its log has no complaint.
pub(crate) struct Session {
    client: Client,
    /// Dropped with the session, and tells the connection so.
    _open: oneshot::Sender<()>,
}

/// Opens a session.
pub(crate) async fn connect(
    address: &Address,
    username: &str,
    password: &str,
    database: &str,
) -> Result<Session, Failure> {
    let mut config = Config::new();
    config.user(username).password(password).dbname(database).application_name("temporal-stack");
    if username == ADMINISTRATOR {
        config.options("-c search_path=pg_catalog -c statement_timeout=30s");
    }
    let refused = |source: tokio_postgres::Error| match source.code() {
        Some(&SqlState::INVALID_PASSWORD) => {
            Failure::Refused { address: address.to_string(), username: username.to_owned() }
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            Failure::NoDatabase { address: address.to_string(), database: database.to_owned() }
        }
        Some(&SqlState::CANNOT_CONNECT_NOW) => Failure::NotReady { address: address.to_string() },
        Some(code) => {
            let code = code.code().to_owned();
            Failure::Answered { address: address.to_string(), cause: told(&source), code }
        }
        None => Failure::Unreachable { address: address.to_string(), cause: told(&source) },
    };
    let unreachable = |cause: String| Failure::Unreachable { address: address.to_string(), cause: words(&cause) };
    let connecting = async {
        let host = host(&address.host).map_err(|wrong| unreachable(format!("the host {wrong}")))?;
        let stream = sql::connect(host, address.port, PATIENCE).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        config.connect_raw(stream, NoTls).await.map_err(refused)
    };
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    let (client, connection) = connected.map_err(|_| unreachable(format!("nothing within {PATIENCE:?}")))??;
    let (open, dropped) = oneshot::channel();
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            // It takes leave once the client has gone; a server that hangs is not waited for.
            _ = dropped => tokio::time::timeout(PATIENCE, connection).await.unwrap_or(Ok(())),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a session ended");
        }
    });
    Ok(Session { client, _open: open })
}

/// What a server or the network said, without the anatomy of the error.
fn told(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    words(&error.as_db_error().map(|answer| answer.message().to_owned()).or(cause).unwrap_or_else(|| error.to_string()))
}

/// Whether a login is accepted.
pub(crate) async fn accepts(address: &Address, username: &str, password: &str) -> Result<bool, Failure> {
    match connect(address, username, password, MAINTENANCE).await {
        Ok(_) => Ok(true),
        Err(Failure::Refused { .. }) => Ok(false),
        // The password was right: what the login may not is to use this database.
        Err(Failure::Answered { code, .. }) if code == SqlState::INSUFFICIENT_PRIVILEGE.code() => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// A role as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: String,
    /// May log in, and has no power of its own.
    pub(crate) plain_login: bool,
    /// Is a member of the role that owns the database.
    pub(crate) member: bool,
    /// Acts as that role in the database.
    pub(crate) acts_as_owner: bool,
    /// How many sessions it has.
    pub(crate) sessions: i64,
}

impl Session {
    /// Runs `select 1`.
    pub(crate) async fn answers(&self) -> Result<(), Failure> {
        in_time(self.client.query_one("SELECT 1", &[])).await.map(drop)
    }

    /// The version, for instance `17.11`.
    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let row = in_time(self.client.query_one("SHOW server_version", &[])).await?;
        let full: String = row.try_get(0).map_err(Failure::Statement)?;
        Ok(full.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// The owner of a database; `None` if there is no such database.
    pub(crate) async fn owner_of(&self, database: &str) -> Result<Option<String>, Failure> {
        const OWNER: &str =
            "SELECT rolname::text FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = $1";
        let row = in_time(self.client.query_opt(OWNER, &[&database])).await?;
        row.map(|row| row.try_get(0).map_err(Failure::Statement)).transpose()
    }

    /// Those of the named roles that there are.
    pub(crate) async fn roles(&self, names: &[&str], database: &str) -> Result<Vec<Role>, Failure> {
        const ROLES: &str = "SELECT r.rolname::text,
                r.rolcanlogin AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls),
                EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid
                        WHERE m.member = r.oid AND o.rolname = $2),
                EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
                        WHERE s.setrole = r.oid AND d.datname = $3 AND 'role=' || $2 = ANY (s.setconfig)),
                (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname)
            FROM pg_roles r WHERE r.rolname = ANY ($1)";
        let rows = in_time(self.client.query(ROLES, &[&names, &owner_role(database), &database])).await?;
        rows.iter()
            .map(|row| {
                Ok(Role {
                    name: row.try_get(0)?,
                    plain_login: row.try_get(1)?,
                    member: row.try_get(2)?,
                    acts_as_owner: row.try_get(3)?,
                    sessions: row.try_get(4)?,
                })
            })
            .collect::<Result<_, _>>()
            .map_err(Failure::Statement)
    }

    /// Makes the role that owns a database; it cannot log in.
    pub(crate) async fn create_owner(&self, database: &str) -> Result<(), Failure> {
        self.execute(&format!("CREATE ROLE {} NOLOGIN", escape_identifier(&owner_role(database)))).await
    }

    /// Makes a database that belongs to its owner's role.
    pub(crate) async fn create_database(&self, database: &str) -> Result<(), Failure> {
        let (name, owner) = (escape_identifier(database), escape_identifier(&owner_role(database)));
        self.execute(&format!("CREATE DATABASE {name} OWNER {owner}")).await
    }

    /// Gives a database to its owner's role.
    pub(crate) async fn give_database(&self, database: &str) -> Result<(), Failure> {
        let (name, owner) = (escape_identifier(database), escape_identifier(&owner_role(database)));
        self.execute(&format!("ALTER DATABASE {name} OWNER TO {owner}")).await
    }

    /// Makes or corrects a login: no power of its own, a member of the owner's role, acting as it, with this password. All of
    /// it or nothing.
    pub(crate) async fn set_login(
        &self,
        username: &str,
        password: &str,
        database: &str,
        is_there: bool,
    ) -> Result<(), Failure> {
        let role = escape_identifier(username);
        let owner = escape_identifier(&owner_role(database));
        let verifier = escape_literal(&scram_sha_256(password.as_bytes()));
        let create = if is_there { String::new() } else { format!("CREATE ROLE {role};") };
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
    let done = tokio::time::timeout(PATIENCE * 6, work).await.map_err(|_| Failure::Slow)?;
    done.map_err(Failure::Statement)
}
