//! The access to a database: on the servers that the controller creates, and on those that a user's Secret describes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    address::Endpoint,
    given::{self, Outcome},
    login::{Access, PASSWORD, USERNAME},
};
use tokio_postgres::{Config, config::Host};

use crate::names::{DATABASE, MAINTENANCE, PORT};

/// The access of the administrator, of this name.
pub(crate) fn administrator(endpoint: &Endpoint, username: &str, password: &str) -> Access {
    Access {
        endpoint: endpoint.clone(),
        username: username.to_owned(),
        password: password.to_owned(),
        scope: MAINTENANCE.to_owned(),
    }
}

/// Reads the user's Secret; its errors are for the user to correct.
pub(crate) fn read(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the keys host, port, username, password and database, or the key uri";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        let uri = given.uri(parts);
        let host = given.host("host");
        let access = (given.required(USERNAME), given.required(PASSWORD), given.required(DATABASE));
        let port = given.port("port", PORT);
        if let Err(wrong) = uri {
            // The other keys suffice if they are complete.
            match (&host, &access) {
                (Some(_), (Some(_), Some(_), Some(_))) => given.remark(format!("the key uri {wrong}; it is ignored")),
                _ => given.wrong("uri", &wrong),
            }
        }
        let (Some(username), Some(password), Some(scope)) = access else { return None };
        Some(Access { endpoint: Endpoint { host: host?, port }, username, password, scope })
    })
}

/// The parts of a URI. The parser's own message is not passed on: it may quote a part of the URI.
fn parts(uri: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let form = "write it as postgresql://user:password@host:5432/database, with reserved characters percent-encoded";
    if !["postgresql://", "postgres://"].iter().any(|scheme| uri.starts_with(scheme)) {
        return Err(format!("is not a PostgreSQL URI; {form}"));
    }
    // Parameters are for the driver of the URI's author, and this driver may not know them.
    let (uri, parameters) = uri.split_once('?').unwrap_or((uri, ""));
    let tls = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"];
    if parameters.split('&').any(|parameter| tls.contains(&parameter)) {
        return Err("asks for TLS, which the controller does not support for databases; remove sslmode".to_owned());
    }
    let config: Config = uri.parse().map_err(|_| format!("is not a PostgreSQL URI; {form}"))?;
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
        (DATABASE, config.get_dbname().map(str::to_owned)),
    ];
    Ok(parts.into_iter().filter_map(|(key, part)| Some((key, part?))).collect())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use temporal_stack_common::component::Stalled;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn access_of(keys: &[(&str, &str)]) -> Outcome<Access> {
        read("s", Some(&secret(keys)))
    }

    fn message(outcome: &Outcome<Access>) -> &str {
        match &outcome.read {
            Err(Stalled { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn complete_secret_needs_no_port() {
        let access = access_of(&[("host", "h"), ("username", "u"), ("password", "p"), ("database", "d")]).read.unwrap();
        assert_eq!(access.endpoint, Endpoint { host: "h".to_owned(), port: 5432 });
    }

    #[test]
    fn ipv6_host_is_accepted_with_and_without_brackets() {
        for host in ["fd00::1", "[fd00::1]"] {
            let keys = [("host", host), ("username", "u"), ("password", "p"), ("database", "d")];
            let address = read("s", Some(&secret(&keys))).read.unwrap().endpoint;
            assert_eq!((address.host.as_str(), address.to_string().as_str()), ("fd00::1", "[fd00::1]:5432"));
        }
    }

    #[test]
    fn missing_keys_are_named() {
        assert!(message(&read("s", None)).contains("Secret/s does not exist"));
        let without_password = access_of(&[("host", "h"), ("username", "u"), ("database", "d")]);
        assert!(message(&without_password).contains("the key password is absent"));
        let odd_port = access_of(&[("host", "h"), ("port", "99999")]);
        assert!(message(&odd_port).contains("the key port is not a port number"));
    }

    #[test]
    fn secrets_of_other_operators_are_accepted() {
        let uri = "postgresql://app:s3cr3t@db.default.svc:5432/temporal";
        let all = access_of(&[
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
        let of_uri = access_of(&[("uri", &format!("{uri}?application_name=x"))]);
        assert_eq!(all.read, of_uri.read);
        assert_eq!(all.read.unwrap().scope, "temporal");
    }

    #[test]
    fn unreadable_uri_is_named_without_the_password() {
        for uri in
            ["mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port/d", "postgresql://u:s3cret@h/d?sslmode=require"]
        {
            let alone = access_of(&[("uri", uri)]);
            let message = message(&alone);
            assert!(message.contains("the key uri") && !message.contains("s3cret"), "{message}");
            let beside =
                access_of(&[("uri", uri), ("host", "h"), ("username", "u"), ("password", "p"), ("database", "d")]);
            assert!(beside.read.is_ok() && beside.remarks[0].contains("ignored"), "{beside:?}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let keys = [("host", "h"), ("username", "u"), ("password", "s3cret"), ("database", "d")];
        assert!(!format!("{:?}", access_of(&keys)).contains("s3cret"));
    }
}
