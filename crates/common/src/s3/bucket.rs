//! Buckets, and whether they keep versions; their policy.

use super::{call::Call, client::Client, code::Code, failure::Failure, xml::Element};
use crate::http::Method;

/// The region whose buckets are created without its name.
const USUAL_REGION: &str = "us-east-1";
/// The most bytes of a policy: engines accept 20 KiB.
const POLICY: usize = 128 << 10;
/// The most bytes of the list of all buckets: ten thousand of them.
const BUCKETS: usize = 4 << 20;

/// Whether a bucket exists. It does not show whose it is: a bucket of a stranger that is open to the public is usable, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It exists, and the key may use it.
    Usable,
    /// It exists, or may exist, and the key may not use it.
    Foreign,
    /// It does not exist.
    Absent,
}

/// Whether a bucket keeps the versions of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Off,
    /// It does.
    Enabled,
    /// It did, and keeps those of then.
    Suspended,
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// The names of the buckets of the key's account that the key may see, of the first page where there are several. Buckets of
    /// others are not among them, even if they are open to the key.
    pub async fn buckets(&self) -> Result<Vec<String>> {
        let answer = self.call(Call::service(Method::GET).with_limit(BUCKETS)).await?;
        let document = self.document(&answer)?;
        let buckets = document.child("Buckets").map(|buckets| buckets.children_named("Bucket")).into_iter().flatten();
        Ok(buckets.filter_map(|bucket| bucket.text("Name")).map(str::to_owned).collect())
    }

    /// Whether the bucket exists. A wrong key is a failure, not a foreign bucket; and so is a 404 that does not say that the bucket
    /// is missing, such as that of a proxy before an address that nobody has. An answer to HEAD could not say it.
    pub async fn exists(&self, bucket: &str) -> Result<Existence> {
        match self.list(bucket, "", None, 1).await {
            Ok(_) => Ok(Existence::Usable),
            Err(failure) if failure.is(&Code::AccessDenied) => Ok(Existence::Foreign),
            Err(failure) if failure.is(&Code::NoSuchBucket) => Ok(Existence::Absent),
            Err(failure) => Err(failure),
        }
    }

    /// Creates a bucket; one that the key's owner has already is left as it is. Object lock cannot be added later.
    pub async fn create(&self, bucket: &str, has_object_lock: bool) -> Result<()> {
        let mut call = Call::bucket(Method::PUT, bucket);
        if has_object_lock {
            call = call.with_header("x-amz-bucket-object-lock-enabled", "true");
        }
        let created = if self.region() == USUAL_REGION {
            self.call(call).await
        } else {
            let region = Element::leaf("LocationConstraint", self.region());
            self.send_xml(call, &Element::new("CreateBucketConfiguration", [region])).await
        };
        match created {
            Err(failure) if !failure.is(&Code::BucketAlreadyOwnedByYou) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Removes an empty bucket; one that is absent already is a success.
    pub async fn remove(&self, bucket: &str) -> Result<()> {
        match self.call(Call::bucket(Method::DELETE, bucket)).await {
            Err(failure) if !failure.is(&Code::NoSuchBucket) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Whether the bucket keeps versions.
    pub async fn versioning(&self, bucket: &str) -> Result<Versioning> {
        let answer = self.call(Self::on_bucket(Method::GET, bucket, "versioning")).await?;
        let document = self.document(&answer)?;
        match document.text("Status") {
            None => Ok(Versioning::Off),
            Some("Enabled") => Ok(Versioning::Enabled),
            Some("Suspended") => Ok(Versioning::Suspended),
            Some(_) => Err(self.unreadable(&answer, "the status of versioning is neither Enabled nor Suspended")),
        }
    }

    /// Begins or suspends versioning.
    pub async fn set_versioning(&self, bucket: &str, is_enabled: bool) -> Result<()> {
        let status = Element::leaf("Status", if is_enabled { "Enabled" } else { "Suspended" });
        let document = Element::new("VersioningConfiguration", [status]);
        self.send_xml(Self::on_bucket(Method::PUT, bucket, "versioning"), &document).await?;
        Ok(())
    }

    /// The bucket's policy, in JSON.
    pub async fn policy(&self, bucket: &str) -> Result<Option<String>> {
        let call = Self::on_bucket(Method::GET, bucket, "policy").with_limit(POLICY);
        match self.call(call).await {
            Ok(answer) => match std::str::from_utf8(&answer.body) {
                Ok(policy) => Ok(Some(policy.trim().to_owned()).filter(|policy| !policy.is_empty())),
                Err(_) => Err(self.unreadable(&answer, "the policy is not UTF-8")),
            },
            Err(failure) if failure.is(&Code::NoSuchBucketPolicy) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sets or removes the bucket's policy.
    pub async fn set_policy(&self, bucket: &str, policy: Option<&str>) -> Result<()> {
        let on_bucket = |method| Self::on_bucket(method, bucket, "policy");
        let call = match policy {
            Some(policy) => on_bucket(Method::PUT).with_content("application/json", policy.as_bytes().to_vec()),
            None => on_bucket(Method::DELETE),
        };
        match self.call(call).await {
            Err(failure) if policy.is_none() && failure.is(&Code::NoSuchBucketPolicy) => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => Ok(()),
        }
    }
}
