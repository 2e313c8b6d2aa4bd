//! The Versity S3 Gateway: one server that keeps objects as plain files. Users are in a file on its volume; what a user may do with
//! a bucket is in the bucket's policy.

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use serde_json::json;
use temporal_stack_common::{
    api::VersityProvider,
    http::Method,
    port::{S3, S3_ADMINISTRATION},
    s3::{Call, Client, Code, Failure, plain_document, policy},
    workload::{self, DefaultResources, container_port, env, http_probe, mount, of_secret, probed, resources, scratch},
};

use super::{Engine, Fact, Grant, Health, Setting, Workload};
use crate::{
    access::Store,
    names::{ADMINISTRATION, KEY_ID, KEY_SECRET, PORT, PREPARE, REGION},
};

/// The name of its volume.
pub(super) const VOLUME: &str = "data";
/// User and group of the server.
const VERSITY: i64 = 1000;
/// How long it may take to end, in seconds.
const GRACE: i64 = 30;
/// The default resources.
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "50m", memory: "64Mi", memory_limit: "256Mi" };
/// The mount path of the volume.
const MOUNT: &str = "/data";
/// The directory of buckets.
const BUCKETS: &str = "/data/buckets";
/// The directory of earlier versions, which must be outside of that of the buckets.
const VERSIONS: &str = "/data/versions";
/// The directory of the file of users.
const USERS: &str = "/data/users";
/// The path that answers while it runs: no bucket can have this name.
const HEALTH: &str = "/_health";
/// The media type of the API for administration.
const XML: &str = "application/xml";
/// The status of an answer about a user that exists, and about one that does not.
const EXISTS: u16 = 409;
const MISSING: u16 = 404;

/// The engine.
pub(super) struct Versity<'a>(pub(super) &'a VersityProvider);

impl Engine for Versity<'_> {
    fn workload(&self, setting: &Setting<'_>) -> Workload {
        let Self(provider) = self;
        let tmp = scratch("tmp");
        Workload {
            wanted: json!([provider.image, provider.resources]),
            pod: PodSpec {
                init_containers: Some(vec![self.prepare(setting)]),
                containers: vec![self.gateway(setting)],
                volumes: Some(vec![tmp]),
                ..setting.pods.spec(VERSITY, GRACE)
            },
        }
    }

    async fn ensure_login(&self, store: &Store, Grant { bucket, key, others }: &Grant) -> Result<(), Failure> {
        let administration = Client::new(&store.administration, &store.key)?;
        let user = [("Access", &*key.id), ("Secret", &*key.secret), ("Role", "user")];
        let user = plain_document("Account", &user);
        let create = Call::path(Method::PATCH, &["create-user"]).with_content(XML, user.into_bytes());
        match administration.call(create).await {
            Err(failure) if failure.status() == Some(EXISTS) => {
                let secret = plain_document("MutableProps", &[("Secret", &key.secret)]);
                let update = Call::path(Method::PATCH, &["update-user"]).with("access", &key.id);
                administration.call(update.with_content(XML, secret.into_bytes())).await?;
            }
            Err(failure) => return Err(failure),
            Ok(_) => {}
        }
        let users: Vec<&str> = others.iter().chain([key]).map(|key| key.id.as_str()).collect();
        Client::new(&store.address, &store.key)?.set_policy(bucket, Some(&policy::grant(bucket, &users))).await
    }

    async fn remove_login(&self, store: &Store, Grant { bucket, key, others }: &Grant) -> Result<(), Failure> {
        // First the policy: it may name only users that exist.
        let users: Vec<&str> = others.iter().map(|key| key.id.as_str()).collect();
        let granted = (!users.is_empty()).then(|| policy::grant(bucket, &users));
        match Client::new(&store.address, &store.key)?.set_policy(bucket, granted.as_deref()).await {
            Err(failure) if !failure.is(&Code::NoSuchBucket) => return Err(failure),
            _ => {}
        }
        let administration = Client::new(&store.administration, &store.key)?;
        match administration.call(Call::path(Method::PATCH, &["delete-user"]).with("access", &key.id)).await {
            Err(failure) if failure.status() != Some(MISSING) => Err(failure),
            _ => Ok(()),
        }
    }

    /// It reports neither its version nor its drive, only that it runs, which its pod's readiness shows.
    async fn health(&self, _: &Store) -> Result<Health, Failure> {
        Ok(Health::default())
    }

    /// A single server has no better moment.
    async fn may_stop(&self, _: &Store) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn quota(&self, _: &Store, _: &str) -> Result<Fact<Option<u64>>, Failure> {
        Ok(Fact::Unsupported)
    }

    async fn set_quota(&self, _: &Store, _: &str, _: Option<u64>) -> Result<(), Failure> {
        Ok(())
    }
}

impl Versity<'_> {
    /// Creates the directories.
    fn prepare(&self, setting: &Setting<'_>) -> Container {
        let script = format!("umask 027 && mkdir -p {BUCKETS} {VERSIONS} {USERS}");
        Container {
            command: Some(["sh", "-c", &script].map(str::to_owned).to_vec()),
            ..container(PREPARE, setting, resources(&self.0.resources, DEFAULT_RESOURCES))
        }
    }

    fn gateway(&self, setting: &Setting<'_>) -> Container {
        let words = ["versitygw", "posix", "--versioning-dir", VERSIONS, BUCKETS];
        let container = Container {
            command: Some(words.map(str::to_owned).to_vec()),
            env: Some(vec![
                of_secret("ROOT_ACCESS_KEY", setting.root, KEY_ID),
                of_secret("ROOT_SECRET_KEY", setting.root, KEY_SECRET),
                env("VGW_PORT", &format!(":{PORT}")),
                env("VGW_ADMIN_PORT", &format!(":{ADMINISTRATION}")),
                env("VGW_REGION", REGION),
                env("VGW_IAM_DIR", USERS),
                env("VGW_HEALTH", HEALTH),
                env("VGW_QUIET", "true"),
            ]),
            ports: Some(vec![container_port(S3), container_port(S3_ADMINISTRATION)]),
            ..container("versity", setting, resources(&self.0.resources, DEFAULT_RESOURCES))
        };
        probed(container, &http_probe("s3", HEALTH))
    }
}

/// The common parts of both containers.
fn container(name: &str, setting: &Setting<'_>, resources: ResourceRequirements) -> Container {
    Container {
        volume_mounts: Some(vec![mount(VOLUME, MOUNT), mount("tmp", "/tmp")]),
        ..workload::container(name, setting.image, resources)
    }
}
