//! A database that somebody else runs: what its Secret says, and what is wrong with it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    given::{self, Outcome},
    login::{PASSWORD, USERNAME},
};
use tokio_postgres::{Config, config::Host};

use crate::{names::PORT, postgres::Address};

/// How to use a database: address, login, and the database's name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Where the server is.
    pub(crate) address: Address,
    /// The login.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
    /// The database.
    pub(crate) database: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {} at {}", self.username, self.database, self.address)
    }
}

/// Reads the user's Secret; what is wrong with it is for the user to correct.
pub(crate) fn access(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the keys host, port, username, password and database, or the key uri";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        let uri = given.uri(parts);
        let host = given.host("host");
        let access = (given.required(USERNAME), given.required(PASSWORD), given.required("database"));
        let port = given.port("port", PORT);
        if let Err(wrong) = uri {
            // The other keys are enough where they are complete.
            match (&host, &access) {
                (Some(_), (Some(_), Some(_), Some(_))) => given.remark(format!("the key uri {wrong}; it is not used")),
                _ => given.wrong("uri", &wrong),
            }
        }
        let (Some(username), Some(password), Some(database)) = access else { return None };
        Some(Access { address: Address { host: host?, port }, username, password, database })
    })
}

/// The parts of a URI. The parser's own message is not passed on: it may repeat a part of it.
fn parts(uri: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let form = "write it as postgresql://user:password@host:5432/database, with reserved characters percent-encoded";
    if !["postgresql://", "postgres://"].iter().any(|scheme| uri.starts_with(scheme)) {
        return Err(format!("is no URI of PostgreSQL; {form}"));
    }
    // Parameters are the driver's of whoever wrote it, and this one may not know them.
    let (uri, parameters) = uri.split_once('?').unwrap_or((uri, ""));
    let tls = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"];
    if parameters.split('&').any(|parameter| tls.contains(&parameter)) {
        return Err("asks for TLS, which the controller does not speak with a database".to_owned());
    }
    let config: Config = uri.parse().map_err(|_| format!("is no URI of PostgreSQL; {form}"))?;
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let parts = [
        ("host", host),
        ("port", config.get_ports().first().map(u16::to_string)),
        (USERNAME, config.get_user().map(str::to_owned)),
        (PASSWORD, config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())),
        ("database", config.get_dbname().map(str::to_owned)),
    ];
    Ok(parts.into_iter().filter_map(|(key, part)| Some((key, part?))).collect())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use temporal_stack_common::component::Progress;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn of(keys: &[(&str, &str)]) -> Outcome<Access> {
        access("s", Some(&secret(keys)))
    }

    fn message(outcome: &Outcome<Access>) -> &str {
        match &outcome.read {
            Err(Progress::Stalled { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_complete_secret_needs_no_port() {
        let access = of(&[("host", "h"), ("username", "u"), ("password", "p"), ("database", "d")]).read.unwrap();
        assert_eq!(access.address, Address { host: "h".to_owned(), port: 5432 });
    }

    #[test]
    fn an_address_of_ipv6_is_taken_with_and_without_brackets() {
        for host in ["fd00::1", "[fd00::1]"] {
            let keys = [("host", host), ("username", "u"), ("password", "p"), ("database", "d")];
            let address = access("s", Some(&secret(&keys))).read.unwrap().address;
            assert_eq!((address.host.as_str(), address.to_string().as_str()), ("fd00::1", "[fd00::1]:5432"));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(message(&access("s", None)).contains("no Secret/s"));
        let without_password = of(&[("host", "h"), ("username", "u"), ("database", "d")]);
        assert!(message(&without_password).contains("the key password is absent"));
        let odd_port = of(&[("host", "h"), ("port", "99999")]);
        assert!(message(&odd_port).contains("the key port is no port number"));
    }

    #[test]
    fn secrets_of_other_operators_are_read() {
        let uri = "postgresql://app:s3cr3t@db.default.svc:5432/temporal";
        let all = of(&[
            ("dbname", "temporal"),
            ("host", "db.default.svc"),
            ("port", "5432"),
            ("user", "app"),
            ("username", "app"),
            ("password", "s3cr3t"),
            ("uri", uri),
            ("jdbc-uri", "jdbc:postgresql://db.default.svc:5432/temporal?user=app&password=s3cr3t"),
            ("pgpass", "db.default.svc:5432:temporal:app:s3cr3t"),
        ]);
        assert_eq!(all.remarks, ["dbname is read as database"]);
        let of_uri = of(&[("uri", &format!("{uri}?application_name=x"))]);
        assert_eq!(all.read, of_uri.read);
        assert_eq!(all.read.unwrap().database, "temporal");
    }

    #[test]
    fn a_uri_that_cannot_be_read_is_named_without_the_password() {
        for uri in
            ["mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port/d", "postgresql://u:s3cret@h/d?sslmode=require"]
        {
            let alone = of(&[("uri", uri)]);
            let message = message(&alone);
            assert!(message.contains("the key uri") && !message.contains("s3cret"), "{message}");
            let beside = of(&[("uri", uri), ("host", "h"), ("username", "u"), ("password", "p"), ("database", "d")]);
            assert!(beside.read.is_ok() && beside.remarks[0].contains("not used"), "{beside:?}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let keys = [("host", "h"), ("username", "u"), ("password", "s3cret"), ("database", "d")];
        assert!(!format!("{:?}", of(&keys)).contains("s3cret"));
    }
}
