//! The MinIO family: MinIO itself and its compatible forks, which differ by their image alone. One server, or several that spread each
//! object over their drives.

mod iam;
mod info;
mod zip;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Probe, ResourceRequirements};
use serde::Deserialize;
use serde_json::json;
use temporal_stack_common::{
    api::MinioProvider,
    http::{self, Method},
    manifest,
    port::S3,
    s3::{Call, Client, Code, Failure},
    workload::{
        self, DefaultResources, container_port, env, http_probe, lingering, mount, of_secret, probed, resources,
        scratch,
    },
};

use super::{Engine, Fact, Grant, Health, Setting, Workload};
use crate::{
    access::Store,
    names::{self, KEY_ID, KEY_SECRET, MOST_DRIVES, Names, PORT, drive},
};

/// User and group of the server.
const MINIO: i64 = 1000;
/// How long a server may take to end, in seconds: it finishes open requests.
const GRACE: i64 = 60;
/// How long it takes new connections after its pod was taken out of its Service, in seconds.
const LINGERS: i64 = 5;
/// After how many answers, 5 s apart, one of several servers is ready. A server that has just started says that it is before it has
/// connections to all others: until then it does not find objects that were written while it was away.
const CONNECTED_AFTER: i32 = 3;
/// The default resources of a server.
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "512Mi" };
/// The path that answers when the server has its drives, its users, and enough peers to read.
const READY: &str = "/minio/health/cluster/read";
/// The code of an answer about a user that does not exist.
const NO_USER: &str = "XMinioAdminNoSuchUser";
/// How long a server may take to ask the others, one of which may hang.
const PATIENCE: Duration = Duration::from_secs(15);
/// The status of an answer that a server may not stop now.
const NOT_NOW: u16 = 412;
/// The status of an answer that there are too few drives.
const TOO_FEW: u16 = 503;

/// The engine.
pub(super) struct Minio<'a>(pub(super) &'a MinioProvider);

/// The volumes of each server, within bounds even if the spec bypassed the schema.
pub(super) fn volumes(provider: &MinioProvider) -> Vec<String> {
    (1..=drives(provider)).map(drive).collect()
}

fn drives(provider: &MinioProvider) -> i32 {
    provider.drives_per_server.clamp(1, MOST_DRIVES)
}

impl Engine for Minio<'_> {
    fn workload(&self, setting: &Setting<'_>) -> Workload {
        let Self(provider) = self;
        Workload {
            wanted: json!([provider.image, provider.resources]),
            pod: PodSpec {
                containers: vec![self.server(setting)],
                volumes: Some(vec![scratch("tmp")]),
                ..setting.pods.spec(MINIO, GRACE)
            },
        }
    }

    async fn ensure_login(&self, store: &Store, grant: &Grant) -> Result<(), Failure> {
        let call = administration(Method::PUT, "import-iam-v2").with_content("application/zip", iam::archive(grant));
        let answer = Client::new(&store.administration, &store.key)?.call(call).await?;
        iam::check(&answer, &store.administration)
    }

    async fn remove_login(&self, store: &Store, Grant { bucket, key, others }: &Grant) -> Result<(), Failure> {
        let client = Client::new(&store.administration, &store.key)?;
        let remove = administration(Method::DELETE, "remove-user").with("accessKey", &key.id);
        match client.call(remove).await {
            Err(failure) if !is(&failure, NO_USER) => return Err(failure),
            _ => {}
        }
        if others.is_empty() {
            let policy = administration(Method::DELETE, "remove-canned-policy").with("name", &names::policy(bucket));
            match client.call(policy).await {
                Err(failure) if failure.status().is_none_or(|status| status >= 500) => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    async fn health(&self, store: &Store) -> Result<Health, Failure> {
        let client = Client::new(&store.administration, &store.key)?;
        let question = |action| {
            let call = administration(Method::GET, action).with_limit(info::LIMIT).with_values(info::VALUES);
            client.call(call.within(PATIENCE))
        };
        let mut health = match question("info").await {
            Ok(answer) => info::health(&answer.json().map_err(Failure::Http)?),
            // For this answer each server first waits up to 5 s for each one that is lost, one after the other. The drives alone are
            // known at once.
            Err(failure) if is_late(&failure) => {
                info::health_of_drives(&question("storageinfo").await?.json().map_err(Failure::Http)?)
            }
            Err(failure) => return Err(failure),
        };
        let cluster = client.call(Call::path(Method::GET, &["minio", "health", "cluster"]).within(PATIENCE)).await;
        // The drives are known even if this is not.
        health.can_write = answered(cluster, TOO_FEW).ok();
        Ok(health)
    }

    /// It counts the drives without those of this server, and says no while drives are being healed. It is asked only before a
    /// restart, because it logs each no with a stack trace.
    async fn may_stop(&self, store: &Store) -> Result<bool, Failure> {
        if self.0.servers == 1 {
            // Always no: its own drives are all that it has.
            return Ok(true);
        }
        let call =
            Call::path(Method::GET, &["minio", "health", "cluster"]).with("maintenance", "true").within(PATIENCE);
        answered(Client::new(&store.administration, &store.key)?.call(call).await, NOT_NOW)
    }

    async fn quota(&self, store: &Store, bucket: &str) -> Result<Fact<Option<u64>>, Failure> {
        let call = administration(Method::GET, "get-bucket-quota").with("bucket", bucket);
        match Client::new(&store.administration, &store.key)?.call(call).await {
            Ok(answer) => {
                let Quota { quota, size } = answer.json().map_err(Failure::Http)?;
                Ok(Fact::Is(Some(quota.max(size)).filter(|bytes| *bytes > 0)))
            }
            Err(failure) if failure.is(&Code::NotImplemented) => Ok(Fact::Unsupported),
            Err(failure) => Err(failure),
        }
    }

    async fn set_quota(&self, store: &Store, bucket: &str, bytes: Option<u64>) -> Result<(), Failure> {
        let bytes = bytes.unwrap_or_default();
        let quota = json!({"quota": bytes, "size": bytes, "quotatype": "hard"}).to_string();
        let call = administration(Method::PUT, "set-bucket-quota").with("bucket", bucket);
        let call = call.with_content("application/json", quota.into_bytes());
        Client::new(&store.administration, &store.key)?.call(call).await.map(|_| ())
    }
}

/// The limit of a bucket, as the server writes it: older ones know only `quota`.
#[derive(Deserialize)]
struct Quota {
    #[serde(default)]
    quota: u64,
    #[serde(default)]
    size: u64,
}

fn administration(method: Method, action: &str) -> Call {
    Call::path(method, &["minio", "admin", "v3", action])
}

/// Whether a server could not answer in time.
fn is_late(failure: &Failure) -> bool {
    matches!(failure, Failure::Http(http::Failure::Slow { .. })) || failure.status().is_some_and(|status| status >= 500)
}

fn is(failure: &Failure, code: &str) -> bool {
    failure.code().is_some_and(|found| found.as_str() == code)
}

/// A question that is answered by a status: yes, or this one for no.
fn answered<T>(answer: Result<T, Failure>, no: u16) -> Result<bool, Failure> {
    match answer {
        Ok(_) => Ok(true),
        Err(failure) if failure.status() == Some(no) => Ok(false),
        Err(failure) => Err(failure),
    }
}

impl Minio<'_> {
    fn server(&self, setting: &Setting<'_>) -> Container {
        let Self(provider) = self;
        let mut mounts: Vec<_> = volumes(provider).iter().map(|volume| mount(volume, &format!("/{volume}"))).collect();
        mounts.push(mount("tmp", "/tmp"));
        let resources = resources(&provider.resources, DEFAULT_RESOURCES);
        let words = ["server", "--address", &format!(":{PORT}"), &self.drives_of_all(setting.names)];
        let container = Container {
            // The image's entry point is the program, whatever it is called there.
            args: Some(words.map(str::to_owned).to_vec()),
            env: Some(variables(setting.root, &resources)),
            // With others beside it, no request is lost by its restart.
            lifecycle: (provider.servers > 1).then(|| lingering(LINGERS)),
            ports: Some(vec![container_port(S3)]),
            volume_mounts: Some(mounts),
            ..workload::container("minio", setting.image, resources)
        };
        // A server waits minutes for the others after a full stop.
        let mut container = probed(container, &Probe { timeout_seconds: Some(5), ..http_probe("s3", READY) });
        if provider.servers > 1
            && let Some(ready) = &mut container.readiness_probe
        {
            ready.success_threshold = Some(CONNECTED_AFTER);
        }
        container
    }

    /// All drives, as the server expects them: the same text for each server.
    fn drives_of_all(&self, names: &Names) -> String {
        let Self(provider) = self;
        let path = match drives(provider) {
            1 => format!("/{}", drive(1)),
            several => format!("/data{{1...{several}}}"),
        };
        if provider.servers == 1 {
            return path;
        }
        let pods = format!("{}-{{0...{}}}", names.base, provider.servers.clamp(1, names::MOST_SERVERS) - 1);
        format!("http://{pods}.{}:{PORT}{path}", names.host(&names.pod_service()))
    }
}

/// The environment of a server.
fn variables(root: &str, resources: &ResourceRequirements) -> Vec<EnvVar> {
    let limit = resources.limits.as_ref().and_then(|limits| manifest::bytes(&limits.get("memory")?.0));
    let mut variables = vec![
        of_secret("MINIO_ROOT_USER", root, KEY_ID),
        of_secret("MINIO_ROOT_PASSWORD", root, KEY_SECRET),
        // Metrics have no secrets, and the port has a NetworkPolicy.
        env("MINIO_PROMETHEUS_AUTH_TYPE", "public"),
        env("MINIO_BROWSER", "off"),
        env("MINIO_UPDATE", "off"),
        // It keeps certificates there, and the root is read-only.
        env("HOME", "/tmp"),
    ];
    // The heap grows until the kernel ends the server, unless it knows the limit.
    variables.extend(limit.map(|bytes| env("GOMEMLIMIT", &(bytes / 10 * 8).to_string())));
    variables
}

#[cfg(test)]
mod tests;
