//! The result of a claim: where the bucket is, and its owner's key, by the ConfigMap and the Secret of the provisioner.

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt as _;
use temporal_stack_common::{
    binding,
    s3::{Address, Key, Style},
};

use super::kinds::ObjectBucketClaim;

/// The region of a store that names none.
const REGION: &str = "us-east-1";
/// The port of HTTPS.
const HTTPS: u16 = 443;
/// The longest host that is used.
const LONGEST_HOST: usize = 253;

/// A bucket that a provisioner has created: where it is, and its owner's key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Granted {
    /// The server.
    pub(crate) address: Address,
    /// The name that the bucket has there.
    pub(crate) bucket: String,
    /// The key of the bucket's owner.
    pub(crate) key: Key,
}

/// What is wrong with a claim's ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) String);

/// The result of a claim, by its ConfigMap and Secret. Users can edit both, so each value is checked.
pub(crate) fn granted(
    claim: &ObjectBucketClaim,
    map: Option<&ConfigMap>,
    secret: Option<&Secret>,
    secure_port: Option<u16>,
    authority: Option<&str>,
) -> Result<Granted, Unusable> {
    let name = claim.name_any();
    let missing =
        |kind: &str| Unusable(format!("{kind}/{name} does not exist; restart Rook's operator, which creates it again"));
    let map = map.ok_or_else(|| missing("ConfigMap"))?;
    let secret = secret.ok_or_else(|| missing("Secret"))?;
    for (kind, metadata) in [("ConfigMap", &map.metadata), ("Secret", &secret.metadata)] {
        if !is_of(&claim.metadata, metadata) {
            return Err(Unusable(format!(
                "{kind}/{name} has no owner reference to the claim; delete it, and restart Rook's operator, which creates it again"
            )));
        }
    }
    let text = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).map(|text| text.trim()).unwrap_or_default();
    let invalid = |key: &str, problem: &str| Unusable(format!("ConfigMap/{name}: {key} {problem}; restore it"));
    let (host, bucket) = (text("BUCKET_HOST"), text("BUCKET_NAME"));
    if !is_host(host) {
        return Err(invalid("BUCKET_HOST", "is not a host"));
    }
    let port: u16 = text("BUCKET_PORT").parse().map_err(|_| invalid("BUCKET_PORT", "is not a port number"))?;
    if !is_bucket(bucket) {
        return Err(invalid("BUCKET_NAME", "is not a bucket name"));
    }
    if claim.spec.bucket_name.as_deref() != Some(bucket) {
        return Err(invalid("BUCKET_NAME", "is not the bucket in the spec of the claim"));
    }
    let value = |key: &str| binding::text(secret, key).map(str::to_owned).filter(|value| !value.is_empty());
    let without = |key: &str| Unusable(format!("Secret/{name}: key {key} is missing; restore it"));
    let key = Key {
        id: value("AWS_ACCESS_KEY_ID").ok_or_else(|| without("AWS_ACCESS_KEY_ID"))?,
        secret: value("AWS_SECRET_ACCESS_KEY").ok_or_else(|| without("AWS_SECRET_ACCESS_KEY"))?,
    };
    // Nothing says whether the server speaks TLS.
    let scheme = if port == HTTPS || Some(port) == secure_port { "https" } else { "http" };
    let region = Some(text("BUCKET_REGION")).filter(|region| !region.is_empty()).unwrap_or(REGION);
    let authority = authority.filter(|_| scheme == "https").map(str::to_owned);
    let address = Address {
        endpoint: format!("{scheme}://{host}:{port}"),
        region: region.to_owned(),
        style: Style::Path,
        authority,
    };
    Ok(Granted { address, bucket: bucket.to_owned(), key })
}

fn is_of(claim: &ObjectMeta, object: &ObjectMeta) -> bool {
    claim.uid.is_some() && object.owner_references.iter().flatten().any(|owner| Some(&owner.uid) == claim.uid.as_ref())
}

fn is_host(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty()
        && text.len() <= LONGEST_HOST
        && text.bytes().all(is_good)
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
}

fn is_bucket(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (3..=63).contains(&text.len()) && text.bytes().all(is_good) && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim() -> ObjectBucketClaim {
        serde_json::from_value(json!({
            "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim",
            "metadata": {"name": "c", "uid": "u"}, "spec": {"bucketName": "photos-1"},
        }))
        .unwrap()
    }

    fn owned(uid: &str, data: &Value) -> Value {
        let owner =
            json!({"apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim", "name": "c", "uid": uid});
        json!({"metadata": {"name": "c", "ownerReferences": [owner]}, "data": data})
    }

    fn map(change: &Value) -> ConfigMap {
        let mut data =
            json!({"BUCKET_NAME": "photos-1", "BUCKET_HOST": "rgw.rook", "BUCKET_PORT": "80", "BUCKET_REGION": ""});
        for (key, value) in change.as_object().into_iter().flatten() {
            data[key] = value.clone();
        }
        serde_json::from_value(owned("u", &data)).unwrap()
    }

    fn secret(uid: &str) -> Secret {
        serde_json::from_value(owned(uid, &json!({"AWS_ACCESS_KEY_ID": "aWQ=", "AWS_SECRET_ACCESS_KEY": "c2VjcmV0"})))
            .unwrap()
    }

    fn read(change: &Value, secure_port: Option<u16>) -> Result<Granted, Unusable> {
        granted(&claim(), Some(&map(change)), Some(&secret("u")), secure_port, Some("PEM"))
    }

    #[test]
    fn bound_claim_gives_address_bucket_and_key() {
        let granted = read(&json!({}), None).unwrap();
        assert_eq!(granted.address.endpoint, "http://rgw.rook:80");
        assert_eq!((granted.address.region.as_str(), granted.address.authority), ("us-east-1", None));
        assert_eq!((granted.bucket.as_str(), granted.key.id.as_str()), ("photos-1", "id"));
        assert!(!format!("{:?}", read(&json!({}), None)).contains("secret"));
    }

    #[test]
    fn secure_port_means_tls_with_the_stores_authority() {
        for (port, secure) in [("443", None), ("8443", Some(8443))] {
            let granted = read(&json!({"BUCKET_PORT": port, "BUCKET_REGION": "eu"}), secure).unwrap();
            assert_eq!(granted.address.endpoint, format!("https://rgw.rook:{port}"));
            assert_eq!((granted.address.region.as_str(), granted.address.authority.as_deref()), ("eu", Some("PEM")));
        }
    }

    #[test]
    fn edited_place_is_refused_by_its_key() {
        for (key, value) in [
            ("BUCKET_HOST", "rgw/../x"),
            ("BUCKET_HOST", "me@rgw"),
            ("BUCKET_HOST", ""),
            ("BUCKET_PORT", "80/x"),
            ("BUCKET_PORT", "70000"),
            ("BUCKET_NAME", "../other"),
            ("BUCKET_NAME", "a"),
            ("BUCKET_NAME", "photos-2"),
        ] {
            let Err(Unusable(told)) = read(&json!({key: value}), None) else { panic!("{key}={value}") };
            assert!(told.contains(key) && told.contains("ConfigMap/c"), "{told}");
        }
    }

    #[test]
    fn foreign_secret_of_the_name_is_not_used() {
        let Err(Unusable(told)) = granted(&claim(), Some(&map(&json!({}))), Some(&secret("other")), None, None) else {
            panic!("used")
        };
        assert!(told.contains("Secret/c has no owner reference"), "{told}");
        let Err(Unusable(told)) = granted(&claim(), None, Some(&secret("u")), None, None) else { panic!("used") };
        assert!(told.contains("ConfigMap/c does not exist"), "{told}");
    }
}
