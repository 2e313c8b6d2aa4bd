//! A broker that somebody else runs: what its Secret says, and what is wrong with it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use lapin::uri::{AMQPScheme, AMQPUri};
use temporal_stack_common::{
    address,
    binding::ipv6_host,
    given::{self, Outcome},
    login::{PASSWORD, USERNAME},
};

use crate::{amqp::Access, names::AMQP};

/// The key of the virtual host, in the user's Secret and in bindings.
pub(crate) const VIRTUAL_HOST: &str = "virtual-host";

/// The longest name that AMQP has room for, in bytes.
const LONGEST: usize = 255;

/// Reads the user's Secret; what is wrong with it is for the user to correct.
pub(crate) fn access(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the key uri, or the keys host, port, username, password and virtual-host";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        if let Err(wrong) = given.uri(parts) {
            given.wrong("uri", &wrong);
            return None;
        }
        let (host, username, password) = (given.host("host"), given.required(USERNAME), given.required(PASSWORD));
        let port = given.port("port", AMQP);
        let virtual_host = given.optional(VIRTUAL_HOST).unwrap_or_else(|| "/".to_owned());
        if virtual_host.len() > LONGEST {
            given.wrong(VIRTUAL_HOST, &format!("has more than {LONGEST} bytes; give another name"));
        }
        Some(Access { host: host?, port, username: username?, password: password?, virtual_host })
    })
}

/// The parser's own message is not passed on: it may repeat the URI, and with it the password.
fn parts(text: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let form = "write it as amqp://user:password@host:5672/vhost, with reserved characters percent-encoded";
    let uri: AMQPUri = text.parse().map_err(|_| format!("is no AMQP URI; {form}"))?;
    if uri.scheme == AMQPScheme::AMQPS {
        return Err("asks for TLS, which the controller does not speak yet; give an amqp:// URI within a network that you trust".to_owned());
    }
    if uri.vhost.len() > LONGEST {
        return Err(format!("names a virtual host of more than {LONGEST} bytes; {form}"));
    }
    let authority = uri.authority;
    let host = address::host(ipv6_host(text).unwrap_or(&authority.host));
    let host = host.map_err(|wrong| format!("names a host that {wrong}"))?.to_owned();
    let mut parts = BTreeMap::from([("host", host), (VIRTUAL_HOST, uri.vhost)]);
    // The parser puts the usual port in the place of one that is not named, and the broker's own guest in the place of a login.
    let (before, rest) = text.split_once('@').map_or((false, text), |(_, rest)| (true, rest));
    if before {
        parts.extend([(USERNAME, authority.userinfo.username), (PASSWORD, authority.userinfo.password)]);
    }
    let place = rest.trim_start_matches("amqp://").split(['/', '?']).next().unwrap_or_default();
    if place.rsplit_once(':').is_some_and(|(_, port)| port.parse() == Ok(authority.port)) {
        parts.insert("port", authority.port.to_string());
    }
    Ok(parts)
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

    fn of(keys: &[(&str, &str)]) -> Result<Access, String> {
        access("theirs", Some(&secret(keys))).read.map_err(|progress| match progress {
            Progress::Stalled { message, .. } => message,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_broker_at_an_address_of_ipv6_is_no_localhost() {
        for keys in [
            vec![("uri", "amqp://u:p@[fd00::1]:5672/v")],
            vec![("host", "[fd00::1]"), ("username", "u"), ("password", "p")],
            vec![("host", "fd00::1"), ("username", "u"), ("password", "p")],
        ] {
            assert_eq!(access("theirs", Some(&secret(&keys))).read.unwrap().host, "fd00::1");
        }
    }

    #[test]
    fn a_uri_says_it_all() {
        let access = of(&[("uri", "amqp://user:a%20b@mq.example.com/app%2Fone")]).unwrap();
        assert_eq!((access.username.as_str(), access.password.as_str()), ("user", "a b"));
        assert_eq!((access.address().as_str(), access.virtual_host.as_str()), ("mq.example.com:5672", "app/one"));
    }

    #[test]
    fn keys_do_too() {
        let access = of(&[("host", "mq"), ("username", "u"), ("password", "p")]).unwrap();
        assert_eq!((access.port, access.virtual_host.as_str()), (5672, "/"));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let long = format!("amqp://u:s3cret@h/{}", "v".repeat(256));
        for uri in ["http://u:s3cret@h", "amqps://u:s3cret@h", "amqp://u:s3cret@h:port/", &long] {
            let message = of(&[("uri", uri)]).unwrap_err();
            assert!(message.contains("the key uri") && !message.contains("s3cret"), "{message}");
        }
        assert!(of(&[("host", "mq"), ("username", "u")]).unwrap_err().contains("the key password is absent"));
    }

    #[test]
    fn a_uri_without_a_login_lacks_one() {
        assert!(of(&[("uri", "amqp://h")]).unwrap_err().contains("the keys username, password are absent"));
        let access = of(&[("uri", "amqp://h/v"), ("user", "u"), ("pass", "p")]).unwrap();
        assert_eq!((access.username.as_str(), access.virtual_host.as_str()), ("u", "v"));
    }

    #[test]
    fn secrets_of_other_operators_are_read() {
        let keys = [
            ("default_user.conf", "default_user = someone\ndefault_pass = s3cr3t\n"),
            ("host", "mq.default.svc"),
            ("port", "5672"),
            ("provider", "rabbitmq"),
            ("type", "rabbitmq"),
            ("username", "someone"),
            ("password", "s3cr3t"),
        ];
        let access = of(&keys).unwrap();
        assert_eq!((access.username.as_str(), access.virtual_host.as_str()), ("someone", "/"));
        let with = [&keys[..], &[("connection_string", "amqp://someone:s3cr3t@mq.default.svc:5672/")]].concat();
        assert_eq!(of(&with).unwrap(), access);
        assert_eq!(of(&[&keys[..], &[("vhost", "app")]].concat()).unwrap().virtual_host, "app");
    }

    #[test]
    fn a_uri_that_contradicts_the_keys_is_reported() {
        let keys = [
            ("uri", "amqp://u:p@other:5673/v"),
            ("host", "mq"),
            ("port", "5672"),
            ("username", "u"),
            ("password", "q"),
        ];
        let outcome = access("theirs", Some(&secret(&keys)));
        let remarks = outcome.remarks.join("; ");
        assert_eq!(outcome.read.unwrap().host, "mq");
        for key in ["host", "port", "password"] {
            assert!(remarks.contains(&format!("another {key}")), "{remarks}");
        }
        assert!(!remarks.contains("another username"), "{remarks}");
    }

    #[test]
    fn debug_shows_no_password() {
        let access = of(&[("uri", "amqp://user:s3cret@h/v")]).unwrap();
        assert_eq!(format!("{access:?}"), "user on v at h:5672");
    }
}
