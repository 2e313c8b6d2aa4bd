//! Bindings: Secrets that applications read to connect to a component, with the keys of the [Service Binding specification].
//!
//! A component writes one and names it in `status.binding.name`; any other reads it by that name. The keys are the whole contract
//! between components, so each component can be replaced by an external one.
//!
//! [Service Binding specification]: https://servicebinding.io/spec/core/1.1.0/

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::label;

/// The content of a binding. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// The type of the product: `postgresql`, `rabbitmq`, …
    pub type_: String,
    /// The provider in the spec.
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
    /// Further keys of the kind, for instance `database`.
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
    /// The Secret of that name with the binding. Empty values get no key: for readers, both are the same.
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

/// The binding before its values are known: it reserves the name.
pub fn reserved(name: &str) -> Secret {
    Secret { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..Secret::default() }
}

/// A value of a Secret that controllers write, as text ([`given`](crate::given) reads those of users); `None` if the key is
/// absent, empty, or not UTF-8.
pub fn text<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    let value = secret.data.as_ref()?.get(key)?;
    std::str::from_utf8(&value.0).ok().filter(|text| !text.is_empty())
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes the user, password or a path segment of a URI.
pub fn uri_part(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A host without the brackets that an IPv6 address has in a URI.
fn bare_host(host: &str) -> &str {
    let host = host.trim();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Host and port as in a URI: an IPv6 address gets brackets unless it has them already.
pub fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", uri_host(host))
}

/// A host as in a URI.
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
    fn empty_value_has_no_key() {
        let binding = Binding { type_: "ipfs".to_owned(), host: "h".to_owned(), port: 80, ..Binding::default() };
        let keys: Vec<String> = binding.secret("b").data.unwrap().into_keys().collect();
        assert_eq!(keys, ["host", "port", "type"]);
    }

    #[test]
    fn ipv6_address_has_brackets_in_a_uri() {
        assert_eq!(authority("fd00::1", 9094), "[fd00::1]:9094");
        assert_eq!(authority("[fd00::1]", 9094), "[fd00::1]:9094");
        assert_eq!(bare_host("[fd00::1]"), "fd00::1");
        assert_eq!(authority("kubo", 5001), "kubo:5001");
    }

    #[test]
    fn password_with_reserved_characters_is_encoded_in_the_uri() {
        assert_eq!(uri_part("a b'c\\d/@ü"), "a%20b%27c%5Cd%2F%40%C3%BC");
    }
}
