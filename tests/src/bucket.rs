//! A bucket of an `ObjectStorage`, as an application uses it that has its binding.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Secret, Service};
use reqwest::Url;
use temporal_stack_common::{
    api::ObjectStorage,
    binding::text,
    s3::{Address, Client, Key, Style},
};

use crate::{One, Subject as _, until};

/// What a binding says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where the object storage is, as this machine reaches it.
    pub address: Address,
    /// The key.
    pub key: Key,
    /// The bucket there.
    pub bucket: String,
    /// Whether the key is refused in other buckets.
    pub is_restricted: bool,
}

impl Bound {
    /// A client with the key of the binding.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.address, &self.key)?)
    }
}

impl One<'_, ObjectStorage> {
    /// The name of the binding of a bucket.
    pub fn binding_of(bucket: &str) -> String {
        ObjectStorage::child(&format!("{bucket}-binding"))
    }

    /// What the binding of a bucket says.
    pub async fn bound(&self, bucket: &str) -> Result<Bound> {
        let secret = self.api::<Secret>().get(&Self::binding_of(bucket)).await?;
        self.read(&secret).await
    }

    /// Waits until the binding of a bucket has another key than this one.
    pub async fn until_rotated(&self, bucket: &str, before: &Bound) -> Result<Bound> {
        let is_other = |secret: &Secret| text(secret, "access-key-id").is_some_and(|id| id != before.key.id);
        let secret = until(&self.api::<Secret>(), &Self::binding_of(bucket), "another key", is_other).await?;
        self.read(&secret).await
    }

    async fn read(&self, secret: &Secret) -> Result<Bound> {
        let part =
            |key: &str| text(secret, key).map(str::to_owned).with_context(|| format!("the binding has no {key}"));
        let style = Style::from_name(&part("addressing-style")?).context("a strange style")?;
        let address = Address {
            endpoint: self.reachable(&part("endpoint")?).await?,
            region: part("region")?,
            style,
            authority: text(secret, "ca.crt").map(str::to_owned),
        };
        let key = Key { id: part("access-key-id")?, secret: part("secret-access-key")? };
        Ok(Bound { address, key, bucket: part("bucket")?, is_restricted: part("restricted")? == "true" })
    }

    /// The endpoint with the address of the Service, whose name this machine cannot look up.
    async fn reachable(&self, endpoint: &str) -> Result<String> {
        let mut url = Url::parse(endpoint)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let [name, namespace, "svc", ..] = host.split('.').collect::<Vec<_>>()[..] else {
            return Ok(endpoint.to_owned());
        };
        let services = kube::Api::<Service>::namespaced(self.client.clone(), namespace);
        let ip = services.get(name).await?.spec.and_then(|spec| spec.cluster_ip).context("a Service without an IP")?;
        url.set_host(Some(&ip))?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}
