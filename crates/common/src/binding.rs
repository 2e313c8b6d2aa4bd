//! Bindings: Secrets that tell an application how to use a component, with the keys of the [Service Binding specification].
//!
//! A component writes one and names it in `status.binding.name`; any other reads it by that name. The keys are the whole
//! contract between components, which is why each can be replaced by something that runs elsewhere.
//!
//! [Service Binding specification]: https://servicebinding.io/spec/core/1.1.0/

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::label;

/// What a binding says. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// What it is: `postgresql`, `rabbitmq`, …
    pub type_: String,
    /// Who runs it: the provider of the spec.
    pub provider: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login of the application.
    pub username: String,
    /// Password of the login.
    pub password: String,
    /// All of it as one URI, percent-encoded where needed.
    pub uri: String,
    /// What else the kind has to say, for instance `database`.
    pub more: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("type", &self.type_)
            .field("provider", &self.provider)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Binding {
    /// The Secret of that name which holds the binding. What is empty has no key: to those who read it, both are the same.
    pub fn secret(&self, name: &str) -> Secret {
        let port = self.port.to_string();
        let common = [
            ("type", &self.type_),
            ("provider", &self.provider),
            ("host", &self.host),
            ("port", &port),
            ("username", &self.username),
            ("password", &self.password),
            ("uri", &self.uri),
        ];
        let data = common
            .into_iter()
            .chain(self.more.iter().map(|(key, value)| (*key, value)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), ByteString(value.clone().into_bytes())))
            .collect();
        let labels = BTreeMap::from([(label::BINDING.to_owned(), "true".to_owned())]);
        Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
            type_: Some(format!("servicebinding.io/{}", self.type_)),
            data: Some(data),
            ..Secret::default()
        }
    }
}

/// A value of a Secret of the controllers' own as text ([`given`](crate::given) reads those of users); `None` if the key is absent, empty, or not UTF-8.
pub fn text<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    let value = secret.data.as_ref()?.get(key)?;
    std::str::from_utf8(&value.0).ok().filter(|text| !text.is_empty())
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes what may not stand in the user, password or path part of a URI.
pub fn uri_part(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A host as programs connect to it: an address of IPv6 without the brackets that it has in a URI.
pub fn bare_host(host: &str) -> &str {
    let host = host.trim();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The address of IPv6 that a URI has as its host, without brackets; `None` where the host is anything else.
///
/// The parser of AMQP URIs takes such an address for an absent host, and puts `localhost` in its place.
pub fn ipv6_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, _) = host.strip_prefix('[')?.split_once(']')?;
    Some(host)
}

/// Host and port as a URI has them: an address of IPv6 in brackets, whether it has them already or not.
pub fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", uri_host(host))
}

/// A host as a URI has it.
pub fn uri_host(host: &str) -> String {
    let host = bare_host(host);
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let binding = Binding { password: "s3cret".to_owned(), uri: "x://u:s3cret@h".to_owned(), ..Binding::default() };
        assert!(!format!("{binding:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_empty_has_no_key() {
        let binding = Binding { type_: "ipfs".to_owned(), host: "h".to_owned(), port: 80, ..Binding::default() };
        let keys: Vec<String> = binding.secret("b").data.unwrap().into_keys().collect();
        assert_eq!(keys, ["host", "port", "type"]);
    }

    #[test]
    fn an_address_of_ipv6_has_brackets() {
        assert_eq!(authority("fd00::1", 9094), "[fd00::1]:9094");
        assert_eq!(authority("[fd00::1]", 9094), "[fd00::1]:9094");
        assert_eq!(bare_host("[fd00::1]"), "fd00::1");
        assert_eq!(ipv6_host("amqp://u:p@[fd00::1]:5672/a@[::1]"), Some("fd00::1"));
        assert_eq!(ipv6_host("amqp://[::1]"), Some("::1"));
        assert_eq!(ipv6_host("amqp://u:p@broker:5672/[::1]"), None);
        assert_eq!(authority("kubo", 5001), "kubo:5001");
    }

    #[test]
    fn a_password_with_reserved_characters_is_encoded_in_the_uri() {
        assert_eq!(uri_part("a b'c\\d/@ü"), "a%20b%27c%5Cd%2F%40%C3%BC");
    }
}
