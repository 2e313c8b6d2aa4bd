//! A broker that somebody else runs: what its Secret says, and what is wrong with it.

use k8s_openapi::api::core::v1::Secret;
use lapin::uri::{AMQPScheme, AMQPUri};
use temporal_stack_common::{
    address::host,
    binding::{Given, ipv6_host},
    component::Progress,
    login::{PASSWORD, USERNAME},
};

use crate::{amqp::Access, names::AMQP};

/// The key of the virtual host, in the user's Secret and in bindings.
pub(crate) const VIRTUAL_HOST: &str = "virtual-host";

/// The longest name that AMQP has room for, in bytes.
const LONGEST: usize = 255;

/// Reads the user's Secret; what is wrong with it is for the user to mend.
pub(crate) fn access(name: &str, secret: Option<&Secret>) -> Result<Access, Progress> {
    let keys = "the key uri, or the keys host, port, username, password and virtual-host";
    let secret = Given::find("spec.provider.external.secretName", name, secret, keys)?;
    if let Some(uri) = secret.optional("uri") {
        return of_uri(uri.trim()).map_err(|wrong| secret.wrong("uri", &wrong));
    }
    Ok(Access {
        host: secret.host("host")?.to_owned(),
        port: secret.port(AMQP)?,
        username: secret.required(USERNAME)?.to_owned(),
        password: secret.required(PASSWORD)?.to_owned(),
        virtual_host: match secret.optional(VIRTUAL_HOST).unwrap_or("/") {
            long if long.len() > LONGEST => {
                return Err(secret.wrong(VIRTUAL_HOST, &format!("has more than {LONGEST} bytes; give another name")));
            }
            name => name.to_owned(),
        },
    })
}

/// The parser's own message is not passed on: it may repeat the URI, and with it the password.
fn of_uri(text: &str) -> Result<Access, String> {
    let form = "write it as amqp://user:password@host:5672/vhost, with reserved characters percent-encoded";
    let uri: AMQPUri = text.parse().map_err(|_| format!("is no AMQP URI; {form}"))?;
    if uri.scheme == AMQPScheme::AMQPS {
        return Err("asks for TLS, which the controller does not speak yet; give an amqp:// URI within a network that you trust".to_owned());
    }
    // The parser would put RabbitMQ's own guest in the place of one that is not named.
    if !text.contains('@') {
        return Err(format!("names no login; {form}"));
    }
    if uri.vhost.len() > LONGEST {
        return Err(format!("names a virtual host of more than {LONGEST} bytes; {form}"));
    }
    let userinfo = uri.authority.userinfo;
    Ok(Access {
        host: host(ipv6_host(text).unwrap_or(&uri.authority.host))
            .map_err(|wrong| format!("names a host that {wrong}"))?
            .to_owned(),
        port: uri.authority.port,
        username: userinfo.username,
        password: userinfo.password,
        virtual_host: if uri.vhost.is_empty() { "/".to_owned() } else { uri.vhost },
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn of(keys: &[(&str, &str)]) -> Result<Access, String> {
        access("theirs", Some(&secret(keys))).map_err(|progress| match progress {
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
            assert_eq!(access("theirs", Some(&secret(&keys))).unwrap().host, "fd00::1");
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
        for uri in ["http://u:s3cret@h", "amqps://u:s3cret@h", "amqp://u:s3cret@h:port/", "amqp://h", &long] {
            let message = of(&[("uri", uri)]).unwrap_err();
            assert!(message.contains("the key uri") && !message.contains("s3cret"), "{message}");
        }
        assert!(of(&[("host", "mq"), ("username", "u")]).unwrap_err().contains("the key password is absent"));
    }

    #[test]
    fn debug_shows_no_password() {
        let access = of(&[("uri", "amqp://user:s3cret@h/v")]).unwrap();
        assert_eq!(format!("{access:?}"), "user on v at h:5672");
    }
}
