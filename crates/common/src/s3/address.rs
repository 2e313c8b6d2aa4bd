//! Where an object storage is, and the key to it.

use std::fmt;

use super::failure::Failure;
use crate::http::{Server, is_segment};

/// The address of an object storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// The region that requests are signed for; engines of one's own mostly accept `us-east-1`.
    pub region: String,
    /// Where the name of the bucket is in a URL.
    pub style: Style,
    /// The only authorities that are trusted, in PEM; without, those of the system.
    pub authority: Option<String>,
}

/// Where the name of the bucket is in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In the path: `http://host/bucket/key`.
    Path,
    /// In the host: `http://bucket.host/key`.
    VirtualHost,
}

impl Style {
    /// The style as bindings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::VirtualHost => "virtual-host",
        }
    }

    /// The style of a binding; `None` if there is no such style.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Path, Self::VirtualHost].into_iter().find(|style| style.as_str() == name)
    }
}

/// An access key. `Debug` shows neither part.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its ID. As secret as the secret: see the module.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Whether an HTTP header can carry the ID.
    pub(super) fn is_valid(&self) -> bool {
        !self.id.is_empty() && !self.secret.is_empty() && self.id.bytes().all(|byte| is_printable(byte) && byte != b'/')
    }

    /// A text of the server, without the parts of the key that it repeats.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        [&self.secret, &self.id].into_iter().filter(|part| !part.is_empty()).fold(text.to_owned(), |text, part| {
            let encoded = crate::binding::uri_part(part);
            text.replace(part.as_str(), HIDDEN).replace(&encoded, HIDDEN)
        })
    }
}

/// What a message shows instead of a part of a key.
const HIDDEN: &str = "…";

impl Address {
    /// The server of the endpoint.
    pub(super) fn server(&self) -> Result<Server, Failure> {
        let invalid = |cause| Err(Failure::Address { cause });
        let Some(server) = Server::of_url(&self.endpoint) else {
            return invalid("the endpoint is not http(s)://host:port; give it without path and query");
        };
        if server.login().is_some() {
            return invalid("the endpoint contains a login; give the key in its own fields");
        }
        if self.style == Style::VirtualHost && server.is_numeric() {
            return invalid(
                "the endpoint is an IP address, which cannot be preceded by a bucket; use the addressing style path",
            );
        }
        if self.region.is_empty() || !self.region.bytes().all(|byte| is_printable(byte) && byte != b'/') {
            return invalid(
                "the region is empty or contains a character that a signature cannot contain; give its plain name",
            );
        }
        Ok(server)
    }
}

/// The server and the first segment of the path of a bucket's URL.
pub(super) fn of_bucket(server: &Server, style: Style, bucket: &str) -> Result<(Server, Option<String>), Failure> {
    match style {
        Style::Path if is_segment(bucket) => Ok((server.clone(), Some(bucket.to_owned()))),
        Style::VirtualHost if is_bucket(bucket) => Ok((server.below(bucket), None)),
        _ => Err(Failure::Bucket { bucket: crate::failure::printable(bucket) }),
    }
}

/// Whether a name is a bucket's by the rules of S3, and so a part of a host.
fn is_bucket(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(is_inner) && name.bytes().next_back().is_some_and(is_inner);
    let middle = name.bytes().all(|byte| is_inner(byte) || byte == b'-' || byte == b'.');
    (3..=63).contains(&name.len()) && ends && middle && !name.contains("..")
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b','
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(endpoint: &str, style: Style) -> Address {
        Address { endpoint: endpoint.to_owned(), region: "us-east-1".to_owned(), style, authority: None }
    }

    #[test]
    fn malformed_endpoint_is_refused_and_not_shown() {
        for endpoint in ["", "minio:9000", "http://h/path", "http://h?x=1", "ftp://h", "http://me:s3cret@h:9000"] {
            let failure = address(endpoint, Style::Path).server().unwrap_err();
            assert!(matches!(failure, Failure::Address { .. }), "{endpoint}");
            assert!(!failure.to_string().contains("s3cret"));
        }
        assert!(address("http://minio:9000", Style::Path).server().is_ok());
        assert!(address("https://s3.eu-west-1.amazonaws.com", Style::VirtualHost).server().is_ok());
    }

    #[test]
    fn ip_address_has_no_bucket_in_its_host() {
        for endpoint in ["http://10.0.0.1:9000", "http://[fd00::1]:9000"] {
            assert!(address(endpoint, Style::VirtualHost).server().is_err(), "{endpoint}");
            assert!(address(endpoint, Style::Path).server().is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn region_that_breaks_the_signature_is_refused() {
        for region in ["", "a/b", "a b", "a\nb", "é"] {
            let address = Address { region: region.to_owned(), ..address("http://h", Style::Path) };
            assert!(address.server().is_err(), "{region:?}");
        }
    }

    #[test]
    fn bucket_is_in_the_path_or_in_the_host() {
        let server = Server::new("s3.example.com", 9000);
        let (at, segment) = of_bucket(&server, Style::VirtualHost, "photos").unwrap();
        assert_eq!((at.address().as_str(), segment), ("photos.s3.example.com:9000", None));
        let (at, segment) = of_bucket(&server, Style::Path, "photos").unwrap();
        assert_eq!((at.address().as_str(), segment.as_deref()), ("s3.example.com:9000", Some("photos")));
    }

    #[test]
    fn bucket_that_means_another_host_or_path_is_refused() {
        let server = Server::new("h", 80);
        for bucket in ["", ".", ".."] {
            assert!(of_bucket(&server, Style::Path, bucket).is_err(), "{bucket}");
        }
        for bucket in ["a@b", "a/b", "evil.com/", "Abc", "ab", "a..b", ".abc", "abc."] {
            assert!(of_bucket(&server, Style::VirtualHost, bucket).is_err(), "{bucket}");
        }
    }

    #[test]
    fn key_is_hidden_in_debug_and_in_foreign_text() {
        let key = Key { id: "AKID/+".to_owned(), secret: "s3cr3t".to_owned() };
        assert_eq!(format!("{key:?}"), "Key");
        assert_eq!(key.hidden_in("id AKID/+ or AKID%2F%2B, s3cr3t"), "id … or …, …");
    }
}
