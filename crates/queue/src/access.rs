//! The access to a broker: on brokers that the controller runs, and on those that a user's Secret describes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use lapin::uri::AMQPScheme;
use temporal_stack_common::{
    address::{self, Endpoint},
    amqp,
    given::{self, Outcome},
    http::Server,
    login::{Access, PASSWORD, USERNAME},
};

use crate::names::{ADMINISTRATOR, AMQP, MANAGEMENT, VIRTUAL_HOST};

/// The longest name in AMQP, in bytes.
const LONGEST: usize = 255;

/// The management API of the node at this address, as the controller's own administrator.
pub(crate) fn administrator(host: &str, password: &str) -> Server {
    Server::new(host, MANAGEMENT).with_login(ADMINISTRATOR, password)
}

/// Reads the user's Secret; its errors are for the user to correct.
pub(crate) fn read(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the key uri, or the keys host, port, username, password and virtual-host";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        if let Err(wrong) = given.uri(parts) {
            given.wrong("uri", &wrong);
            return None;
        }
        let (host, username, password) = (given.host("host"), given.required(USERNAME), given.required(PASSWORD));
        let port = given.port("port", AMQP);
        let scope = given.optional(VIRTUAL_HOST).unwrap_or_else(|| "/".to_owned());
        if scope.len() > LONGEST {
            given.wrong(VIRTUAL_HOST, &format!("has more than {LONGEST} bytes; give another name"));
        }
        let endpoint = Endpoint { host: host?, port };
        Some(Access { endpoint, username: username?, password: password?, scope })
    })
}

/// The parts of a URI.
fn parts(uri: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let form = "write it as amqp://user:password@host:5672/vhost, with reserved characters percent-encoded";
    let parsed = amqp::parse(uri).ok_or_else(|| format!("is not an AMQP URI; {form}"))?;
    if parsed.scheme == AMQPScheme::AMQPS {
        return Err("asks for TLS, which the controller does not support; use an amqp:// URI within a trusted network"
            .to_owned());
    }
    if parsed.vhost.len() > LONGEST {
        return Err(format!("names a virtual host of more than {LONGEST} bytes; {form}"));
    }
    let authority = parsed.authority;
    let host = address::host(&authority.host);
    let host = host.map_err(|wrong| format!("names a host that {wrong}"))?.to_owned();
    let mut parts = BTreeMap::from([("host", host), (VIRTUAL_HOST, parsed.vhost)]);
    // The parser substitutes the default port, and the login guest.
    let (has_login, rest) = uri.split_once('@').map_or((false, uri), |(_, rest)| (true, rest));
    if has_login {
        parts.extend([(USERNAME, authority.userinfo.username), (PASSWORD, authority.userinfo.password)]);
    }
    let authority_text = rest.trim_start_matches("amqp://").split(['/', '?']).next().unwrap_or_default();
    if authority_text.rsplit_once(':').is_some_and(|(_, port)| port.parse() == Ok(authority.port)) {
        parts.insert("port", authority.port.to_string());
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keys: &[(&str, &str)]) -> Outcome<Access> {
        super::read("theirs", Some(&temporal_stack_common::manifest::secret("theirs".to_owned(), keys)))
    }

    fn access_of(keys: &[(&str, &str)]) -> Result<Access, String> {
        read(keys).read.map_err(|stalled| stalled.message)
    }

    #[test]
    fn ipv6_host_is_read_and_is_not_localhost() {
        for keys in [
            vec![("uri", "amqp://u:p@[fd00::1]:5672/v")],
            vec![("host", "[fd00::1]"), ("username", "u"), ("password", "p")],
            vec![("host", "fd00::1"), ("username", "u"), ("password", "p")],
        ] {
            assert_eq!(access_of(&keys).unwrap().endpoint.host, "fd00::1");
        }
    }

    #[test]
    fn uri_alone_is_enough() {
        let access = access_of(&[("uri", "amqp://user:a%20b@mq.example.com/app%2Fone")]).unwrap();
        assert_eq!((access.username.as_str(), access.password.as_str()), ("user", "a b"));
        assert_eq!((access.endpoint.to_string().as_str(), access.scope.as_str()), ("mq.example.com:5672", "app/one"));
    }

    #[test]
    fn keys_alone_are_enough() {
        let access = access_of(&[("host", "mq"), ("username", "u"), ("password", "p")]).unwrap();
        assert_eq!((access.endpoint.port, access.scope.as_str()), (5672, "/"));
    }

    #[test]
    fn unreadable_uri_is_named_without_the_password() {
        let long = format!("amqp://u:s3cret@h/{}", "v".repeat(256));
        for uri in ["http://u:s3cret@h", "amqps://u:s3cret@h", "amqp://u:s3cret@h:port/", &long] {
            let message = access_of(&[("uri", uri)]).unwrap_err();
            assert!(message.contains("the key uri") && !message.contains("s3cret"), "{message}");
        }
        assert!(access_of(&[("host", "mq"), ("username", "u")]).unwrap_err().contains("the key password is absent"));
    }

    #[test]
    fn uri_without_a_login_lacks_one() {
        assert!(access_of(&[("uri", "amqp://h")]).unwrap_err().contains("the keys username, password are absent"));
        let access = access_of(&[("uri", "amqp://h/v"), ("user", "u"), ("pass", "p")]).unwrap();
        assert_eq!((access.username.as_str(), access.scope.as_str()), ("u", "v"));
    }

    #[test]
    fn secrets_of_other_operators_are_accepted() {
        let keys = [
            ("default_user.conf", "default_user = someone\ndefault_pass = s3cr3t\n"),
            ("host", "mq.default.svc"),
            ("port", "5672"),
            ("provider", "rabbitmq"),
            ("type", "rabbitmq"),
            ("username", "someone"),
            ("password", "s3cr3t"),
        ];
        let access = access_of(&keys).unwrap();
        assert_eq!((access.username.as_str(), access.scope.as_str()), ("someone", "/"));
        let with = [&keys[..], &[("connection_string", "amqp://someone:s3cr3t@mq.default.svc:5672/")]].concat();
        assert_eq!(access_of(&with).unwrap(), access);
        assert_eq!(access_of(&[&keys[..], &[("vhost", "app")]].concat()).unwrap().scope, "app");
    }

    #[test]
    fn uri_that_contradicts_the_keys_is_reported() {
        let keys = [
            ("uri", "amqp://u:p@other:5673/v"),
            ("host", "mq"),
            ("port", "5672"),
            ("username", "u"),
            ("password", "q"),
        ];
        let outcome = read(&keys);
        let remarks = outcome.remarks.join("; ");
        assert_eq!(outcome.read.unwrap().endpoint.host, "mq");
        for key in ["host", "port", "password"] {
            assert!(remarks.contains(&format!("differs from the key {key}")), "{remarks}");
        }
        assert!(!remarks.contains("the key username"), "{remarks}");
    }

    #[test]
    fn debug_shows_no_password() {
        let access = access_of(&[("uri", "amqp://user:s3cret@h/v")]).unwrap();
        assert_eq!(format!("{access:?}"), "user on v at h:5672");
    }
}
