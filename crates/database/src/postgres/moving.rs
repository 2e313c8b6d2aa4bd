//! The statements of a move: what stands against it, and how a source is closed to its clients.
//!
//! A source that is administered gets a limit of no connections, which holds for all roles but superusers. On one that runs elsewhere
//! there is only the application's login, so its transactions become read-only.

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Row;

use super::{Failure, Session, in_time};
use crate::moving::{Locale, Source, Target};

/// The name of the sessions of the Job.
pub(crate) const JOB_SESSIONS: &str = "temporal-stack-move";

/// A login may act as another role, which neither sees its sessions nor may end them; and whoever owns the database chooses its path.
const AS_ITSELF: &str = include_str!("moving/as_itself.sql");

/// Transactions of the database `d` that wait for the second part of their commit.
const PREPARED: &str = "SELECT count(*) FROM pg_prepared_xacts x WHERE x.database = d.datname";

/// Whose login reaches the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The administrator's.
    Administrator,
    /// The application's, on a server elsewhere.
    Application,
}

impl Reach {
    /// Whether new sessions cannot write to the database `d`.
    fn is_closed(self) -> &'static str {
        match self {
            Self::Administrator => "d.datconnlimit = 0",
            Self::Application => "current_setting('default_transaction_read_only')::bool",
        }
    }

    /// The version of the row that closes the database `d`: another one after each change.
    fn closing_row(self) -> &'static str {
        match self {
            Self::Administrator => "SELECT d.xmin::text",
            Self::Application => {
                "SELECT s.xmin::text FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0"
            }
        }
    }

    /// The sessions that may write, as rows `a` of `pg_stat_activity`: all but those of this controller, and of programs that watch. Of
    /// sessions of other roles an application sees no kind and no name.
    fn sessions(self) -> &'static str {
        match self {
            Self::Administrator => {
                "a.datid = d.oid AND a.pid <> pg_backend_pid()
                    AND a.backend_type NOT IN ('autovacuum worker', 'parallel worker', 'walsender')
                    AND NOT (a.application_name ~ '^(temporal-stack|temporal-stack-move|cnpg[-_].*)$'
                        AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid AND (r.rolsuper OR r.rolname ~ '^cnpg_')))"
            }
            Self::Application => {
                "a.datid = d.oid AND a.pid <> pg_backend_pid()
                    AND coalesce(a.backend_type, 'client backend') NOT IN ('autovacuum worker', 'parallel worker', 'walsender')
                    AND NOT (a.usename = session_user
                        AND coalesce(a.application_name, '') IN ('temporal-stack', 'temporal-stack-move'))"
            }
        }
    }

    /// The query why the database of the session may still be written to: `still` if nothing can write.
    pub(crate) fn is_still(self) -> String {
        self.fill(include_str!("moving/still.sql"))
    }

    /// The query for the version of what closes the database of the session: nothing while it is open.
    pub(crate) fn closed_as(self) -> String {
        self.fill(include_str!("moving/closed_as.sql"))
    }

    fn fill(self, query: &str) -> String {
        let parts = [
            ("{closed}", self.is_closed()),
            ("{prepared}", PREPARED),
            ("{row}", self.closing_row()),
            ("{sessions}", self.sessions()),
        ];
        let query = parts.into_iter().fold(query.to_owned(), |query, (part, text)| query.replace(part, text));
        [AS_ITSELF, &query].concat()
    }
}

/// The query whether the database of the session has nothing in it. What belongs to extensions does not count.
pub(crate) const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
            AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'))
    AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'))
    AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)";

/// The encoding and the locale of the database `d`.
const LOCALE: &str = "pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text";

impl Session {
    /// What is known of the source.
    pub(crate) async fn source(&self, reach: Reach) -> Result<Source, Failure> {
        let query = format!(
            "SELECT current_setting('server_version_num')::int, pg_database_size(d.oid)::int8,
                (SELECT coalesce(array_agg(extname::text ORDER BY extname), '{{}}') FROM pg_extension WHERE extname <> 'plpgsql'),
                ({PREPARED}),
                ({closed}) IS TRUE,
                NOT EXISTS (SELECT FROM pg_stat_activity a WHERE {sessions}),
                pg_has_role(session_user, d.datdba, 'USAGE'),
                (SELECT coalesce(array_agg(DISTINCT coalesce(a.usename::text, 'others')), '{{}}') FROM pg_stat_activity a
                    WHERE {sessions} AND (a.usesysid IS NULL OR NOT pg_has_role(session_user, a.usesysid, 'USAGE'))),
                (SELECT count(subdbid) FROM pg_subscription WHERE subdbid = d.oid)
                    + (SELECT count(*) FROM pg_replication_slots s WHERE s.database = d.datname AND s.slot_type = 'logical'),
                {LOCALE}
            FROM pg_database d WHERE d.datname = current_database()",
            closed = reach.is_closed(),
            sessions = reach.sessions()
        );
        self.execute(AS_ITSELF).await?;
        let row = in_time(self.client.query_one(&query, &[])).await?;
        read_source(&row).map_err(Failure::Statement)
    }

    /// What is known of the target. `extensions` are those of the source.
    pub(crate) async fn target(&self, extensions: &[String]) -> Result<Target, Failure> {
        let query = format!(
            "SELECT current_setting('server_version_num')::int,
                (SELECT coalesce(array_agg(name::text), '{{}}') FROM pg_available_extensions WHERE name = ANY ($1)),
                ({IS_EMPTY}),
                {LOCALE}
            FROM pg_database d WHERE d.datname = current_database()"
        );
        let row = in_time(self.client.query_one(&query, &[&extensions])).await?;
        read_target(&row).map_err(Failure::Statement)
    }

    /// Refuses new sessions of all roles but superusers.
    pub(crate) async fn close_database(&self, database: &str) -> Result<(), Failure> {
        self.execute(&format!("ALTER DATABASE {} CONNECTION LIMIT 0", escape_identifier(database))).await
    }

    /// Accepts sessions again.
    pub(crate) async fn open_database(&self, database: &str) -> Result<(), Failure> {
        self.execute(&format!("ALTER DATABASE {} CONNECTION LIMIT -1", escape_identifier(database))).await
    }

    /// Makes transactions of new sessions read-only.
    pub(crate) async fn make_read_only(&self, database: &str) -> Result<(), Failure> {
        let database = escape_identifier(database);
        self.execute(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await
    }

    /// Takes that back: in a session that is read-only itself.
    pub(crate) async fn make_writable(&self, database: &str) -> Result<(), Failure> {
        let database = escape_identifier(database);
        self.execute("SET default_transaction_read_only = off").await?;
        self.execute(&format!("ALTER DATABASE {database} RESET default_transaction_read_only")).await
    }

    /// Ends the sessions that may write to the database of this session, as far as the login may.
    pub(crate) async fn end_sessions(&self, reach: Reach) -> Result<(), Failure> {
        self.execute(AS_ITSELF).await?;
        self.execute(&format!(
            "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a, pg_database d
             WHERE d.datname = current_database() AND {} AND pg_has_role(session_user, coalesce(a.usesysid, 10), 'USAGE')",
            reach.sessions()
        ))
        .await
    }
}

fn read_source(row: &Row) -> Result<Source, tokio_postgres::Error> {
    Ok(Source {
        version: row.try_get(0)?,
        size: row.try_get(1)?,
        extensions: row.try_get(2)?,
        prepared: row.try_get(3)?,
        is_closed: row.try_get(4)?,
        is_quiet: row.try_get(5)?,
        is_owned: row.try_get(6)?,
        strangers: row.try_get(7)?,
        replication: row.try_get(8)?,
        locale: read_locale(row, 9)?,
    })
}

fn read_target(row: &Row) -> Result<Target, tokio_postgres::Error> {
    let extensions: Vec<String> = row.try_get(1)?;
    Ok(Target {
        version: row.try_get(0)?,
        extensions: extensions.into_iter().collect::<BTreeSet<_>>(),
        is_empty: row.try_get(2)?,
        locale: read_locale(row, 3)?,
    })
}

fn read_locale(row: &Row, first: usize) -> Result<Locale, tokio_postgres::Error> {
    Ok(Locale { encoding: row.try_get(first)?, collate: row.try_get(first + 1)?, ctype: row.try_get(first + 2)? })
}
