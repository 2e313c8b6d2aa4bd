//! The access to object storages: as administrator of one, and as the application that uses a bucket; the Secret that describes one
//! that runs elsewhere, and the binding.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{
    api::label,
    binding::{authority, uri_part},
    given::{self, Given, Outcome},
    http::Server,
    login::Login,
    s3::{Address, Client, Failure, Key, Style},
};

use crate::names::{ADMINISTRATION, BUCKET, KEY_ID, KEY_SECRET, PORT, REGION};

/// The key of the endpoint in bindings.
pub(crate) const ENDPOINT: &str = "endpoint";
/// The longest certificate authority, in bytes.
const LONGEST_AUTHORITY: usize = 64 << 10;

/// An object storage as its administrator, or as the owner of its buckets. `Debug` shows no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    /// Where it speaks S3.
    pub(crate) address: Address,
    /// Where its API for administration is.
    pub(crate) administration: Address,
    /// The key.
    pub(crate) key: Key,
    /// The account that all buckets must belong to, where the object storage has accounts.
    pub(crate) account: Option<String>,
}

impl Store {
    /// A client of it.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.address, &self.key)?.of_account(self.account.as_deref()))
    }
}

/// How an application uses a bucket. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Where the object storage is.
    pub(crate) address: Address,
    /// The key.
    pub(crate) key: Key,
    /// The name of the bucket in the object storage.
    pub(crate) bucket: String,
    /// Whether the key is refused in other buckets.
    pub(crate) is_restricted: bool,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {} at {}", self.bucket, self.address.endpoint)
    }
}

/// The key that a login is.
pub(crate) fn key(login: &Login) -> Key {
    Key { id: login.username.clone(), secret: login.password.clone() }
}

/// The address of an engine that the controller runs, by the host of a pod or Service.
pub(crate) fn address(host: &str, port: u16) -> Address {
    Address {
        endpoint: format!("http://{}", authority(host, port)),
        region: REGION.to_owned(),
        style: Style::Path,
        authority: None,
    }
}

/// The engine at this host, as root.
pub(crate) fn root(host: &str, key: Key, has_port_for_administration: bool) -> Store {
    let port = if has_port_for_administration { ADMINISTRATION } else { PORT };
    Store { address: address(host, PORT), administration: address(host, port), key, account: None }
}

/// Reads the user's Secret; its errors are for the user to correct.
pub(crate) fn read(name: &str, secret: Option<&Secret>) -> Outcome<Store> {
    read_from("spec.provider.external.secretName", name, secret)
}

/// Reads a Secret that the user named in this field or argument.
pub(crate) fn read_from(field: &str, name: &str, secret: Option<&Secret>) -> Outcome<Store> {
    let keys = "the keys endpoint, access-key-id and secret-access-key";
    given::read(field, name, secret, keys, |given| {
        let endpoint = endpoint(given);
        let (id, secret) = (given.required(KEY_ID), given.required(KEY_SECRET));
        let region = given.optional("region").unwrap_or_else(|| REGION.to_owned());
        let style = style(given);
        let authority = given.document("ca.crt", LONGEST_AUTHORITY);
        let account = account(given);
        let address = Address { endpoint: endpoint?, region, style, authority };
        Some(Store { administration: address.clone(), address, key: Key { id: id?, secret: secret? }, account })
    })
}

/// The endpoint, without the slash that users append.
fn endpoint(given: &mut Given<'_>) -> Option<String> {
    let written = given.required("endpoint")?;
    let endpoint = written.trim().trim_end_matches('/');
    let form = "write it as https://host:port";
    match Server::of_url(endpoint) {
        Some(server) if server.login().is_none() => Some(endpoint.to_owned()),
        Some(_) => {
            given.wrong("endpoint", &format!("contains a login; {form}, and give the key in keys of its own"));
            None
        }
        None => {
            given.wrong("endpoint", &format!("is not the URL of a server; {form}, without a path"));
            None
        }
    }
}

/// The account of Amazon that the buckets belong to.
fn account(given: &mut Given<'_>) -> Option<String> {
    let written = given.optional("account-id")?;
    let account = written.trim();
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(account.to_owned());
    }
    given.wrong("account-id", "is not the ID of an account of AWS; write its 12 digits, or remove the key");
    None
}

fn style(given: &mut Given<'_>) -> Style {
    let Some(written) = given.optional("addressing-style") else { return Style::Path };
    match written.trim().to_ascii_lowercase().as_str() {
        "path" => Style::Path,
        "virtual-host" | "virtual-hosted" | "virtual" | "virtualhost" => Style::VirtualHost,
        _ => {
            given.wrong("addressing-style", "is neither path nor virtual-host; write one of them");
            Style::Path
        }
    }
}

/// The binding of that name. `provider` is the provider in the spec.
pub(crate) fn bind(name: &str, provider: &str, access: &Access) -> Secret {
    let Access { address, key, bucket, is_restricted } = access;
    let scheme_and_place = address.endpoint.split_once("://");
    let place = scheme_and_place.map_or(address.endpoint.as_str(), |(_, place)| place);
    let [id, secret] = [&key.id, &key.secret].map(|part| uri_part(part));
    let values = [
        ("type", "s3".to_owned()),
        ("provider", provider.to_owned()),
        (BUCKET, bucket.clone()),
        (ENDPOINT, address.endpoint.clone()),
        ("region", address.region.clone()),
        ("addressing-style", address.style.as_str().to_owned()),
        (KEY_ID, key.id.clone()),
        (KEY_SECRET, key.secret.clone()),
        ("ca.crt", address.authority.clone().unwrap_or_default()),
        ("restricted", is_restricted.to_string()),
        ("uri", format!("s3://{id}:{secret}@{place}/{bucket}")),
    ];
    let data = values.into_iter().filter(|(_, value)| !value.is_empty());
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect();
    let labels = BTreeMap::from([(label::BINDING.to_owned(), "true".to_owned())]);
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        type_: Some("servicebinding.io/s3".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 3] = [("endpoint", "https://s3.example.com/"), (KEY_ID, "AKID"), (KEY_SECRET, "s3cret")];

    fn outcome(keys: &[(&str, &str)]) -> Outcome<Store> {
        read("theirs", Some(&temporal_stack_common::manifest::secret("theirs".to_owned(), keys)))
    }

    fn message(keys: &[(&str, &str)]) -> String {
        outcome(keys).read.unwrap_err().message
    }

    #[test]
    fn three_keys_are_enough() {
        let store = outcome(&KEYS).read.unwrap();
        assert_eq!(store.address.endpoint, "https://s3.example.com");
        assert_eq!((store.address.region.as_str(), store.address.style), ("us-east-1", Style::Path));
        assert_eq!(store.address.authority, None);
    }

    #[test]
    fn spellings_of_other_programs_are_read() {
        let keys = [
            ("AWS_ENDPOINT_URL", "http://minio:9000"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let store = outcome(&keys).read.unwrap();
        assert_eq!(
            (store.address.endpoint.as_str(), store.address.region.as_str()),
            ("http://minio:9000", "eu-west-1")
        );
        assert_eq!((store.key.id.as_str(), store.key.secret.as_str()), ("AKID", "s3cret"));
    }

    #[test]
    fn missing_keys_are_named() {
        assert!(message(&[("endpoint", "http://h")]).contains("the keys access-key-id, secret-access-key are absent"));
    }

    #[test]
    fn wrong_values_are_named_without_the_key() {
        for (wrong, part) in [
            (("endpoint", "minio:9000"), "the key endpoint is not the URL of a server"),
            (("endpoint", "https://h/path"), "the key endpoint is not the URL of a server"),
            (("endpoint", "https://AKID:s3cret@h"), "the key endpoint contains a login"),
            (("account-id", "12345"), "the key account-id is not the ID of an account"),
            (("addressing-style", "dns"), "the key addressing-style is neither path nor virtual-host"),
            (("ca.crt", "no certificate"), "the key ca.crt"),
        ] {
            let rest = KEYS.iter().filter(|(key, _)| *key != wrong.0).copied();
            let message = message(&rest.chain([wrong]).collect::<Vec<_>>());
            assert!(message.contains(part) && !message.contains("AKID") && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let store = outcome(&KEYS).read.unwrap();
        let access = Access {
            address: store.address.clone(),
            key: store.key.clone(),
            bucket: "photos".to_owned(),
            is_restricted: true,
        };
        for text in [format!("{store:?}"), format!("{access:?}")] {
            assert!(!text.contains("AKID") && !text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn binding_has_all_that_a_client_needs() {
        let key = Key { id: "A/K".to_owned(), secret: "s+t".to_owned() };
        let access =
            Access { address: address("fd00::1", 9000), key, bucket: "photos".to_owned(), is_restricted: false };
        let data = bind("b", "minio", &access).data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        assert_eq!(text("endpoint"), "http://[fd00::1]:9000");
        assert_eq!(text("uri"), "s3://A%2FK:s%2Bt@[fd00::1]:9000/photos");
        assert_eq!(text("restricted"), "false");
        assert!(!data.contains_key("ca.crt"));
    }
}
