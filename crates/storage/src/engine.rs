//! The engines that the controller runs, by what differs between them; everything else is plain S3.

mod minio;
mod versity;

use std::future::Future;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use temporal_stack_common::{
    api::{MinioProvider, ObjectStorage, Storage, VersityProvider},
    s3::{Code, Failure, Key},
    workload::Pods,
};

use crate::{
    access::Store,
    names::{self, Names},
};

/// What differs between engines.
pub(crate) trait Engine {
    /// The pods: pure.
    fn workload(&self, setting: &Setting<'_>) -> Workload;
    /// Lets a key use one bucket and no other.
    fn ensure_login(&self, store: &Store, grant: &Grant) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Removes a key.
    fn remove_login(&self, store: &Store, grant: &Grant) -> impl Future<Output = Result<(), Failure>> + Send;
    /// The state of the drives.
    fn health(&self, store: &Store) -> impl Future<Output = Result<Health, Failure>> + Send;
    /// Whether the server may stop without an interruption.
    fn may_stop(&self, store: &Store) -> impl Future<Output = Result<bool, Failure>> + Send;
    /// The most bytes of a bucket.
    fn quota(&self, store: &Store, bucket: &str) -> impl Future<Output = Result<Fact<Option<u64>>, Failure>> + Send;
    /// Sets it.
    fn set_quota(
        &self,
        store: &Store,
        bucket: &str,
        bytes: Option<u64>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// An engine with its settings in the spec.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Servers of the MinIO family.
    Minio(MinioProvider),
    /// A Versity S3 Gateway.
    Versity(VersityProvider),
}

/// What the pods of an engine depend on.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// The names of the children.
    pub(crate) names: &'a Names,
    /// The image.
    pub(crate) image: &'a str,
    /// The Secret of the root credential.
    pub(crate) root: &'a str,
    /// What all pods have in common.
    pub(crate) pods: &'a Pods<'a>,
}

/// The pods of an engine.
pub(crate) struct Workload {
    /// The pod.
    pub(crate) pod: PodSpec,
    /// The user's settings in it, whose change restarts it.
    pub(crate) wanted: Value,
}

/// A key, and the bucket that it may use. `Debug` shows no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key.
    pub(crate) key: Key,
    /// The other keys that may use the bucket.
    pub(crate) others: Vec<Key>,
}

/// A setting, if the object storage has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact<T> {
    /// Its value.
    Is(T),
    /// The object storage does not support it.
    Unsupported,
    /// The key may not read it.
    Refused,
}

/// The state of an engine and its drives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// The engine's version, if it reports one.
    pub(crate) version: Option<String>,
    /// The drives, if it reports them.
    pub(crate) drives: Option<Vec<Drive>>,
    /// Whether enough drives are online to write; absent: not reported.
    pub(crate) can_write: Option<bool>,
}

/// A drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drive {
    /// The server that has it, by its host.
    pub(crate) server: String,
    /// Its path there.
    pub(crate) path: String,
    /// Whether it is in use.
    pub(crate) is_online: bool,
    /// How far its healing is; absent: no objects are being restored to it.
    pub(crate) healing: Option<Healing>,
    /// Its size in bytes; 0 if unknown.
    pub(crate) total: u64,
    /// Its free space in bytes.
    pub(crate) available: u64,
}

/// How far the healing of a drive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Healing {
    /// The number of objects restored so far.
    pub(crate) restored: u64,
    /// The number of objects in the storage when healing began; 0 if unknown.
    pub(crate) total: u64,
}

impl Kind {
    /// The engine in a spec whose provider is neither external nor Rook.
    pub(crate) fn new(object: &ObjectStorage) -> Self {
        let provider = &object.spec.provider;
        match &provider.versity {
            Some(versity) => Self::Versity(versity.clone()),
            None => Self::Minio(provider.minio.clone().unwrap_or_default()),
        }
    }

    /// The provider's name in the spec, and the product in labels.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Minio(_) => "minio",
            Self::Versity(_) => "versity",
        }
    }

    /// The name for people.
    pub(crate) const fn title(&self) -> &'static str {
        match self {
            Self::Minio(_) => "MinIO",
            Self::Versity(_) => "Versity S3 Gateway",
        }
    }

    /// The number of servers, within bounds even if the spec bypassed the schema.
    pub(crate) fn servers(&self) -> i32 {
        match self {
            Self::Minio(provider) => provider.servers.clamp(1, crate::names::MOST_SERVERS),
            Self::Versity(_) => 1,
        }
    }

    /// The volumes of each server.
    pub(crate) fn volumes(&self) -> Vec<String> {
        match self {
            Self::Minio(provider) => minio::volumes(provider),
            Self::Versity(_) => vec![versity::VOLUME.to_owned()],
        }
    }

    /// The claims of all volumes, server by server.
    pub(crate) fn claims(&self, names: &Names) -> Vec<String> {
        let volumes = self.volumes();
        let of_server = |ordinal| volumes.iter().map(move |volume| (volume, ordinal));
        (0..self.servers()).flat_map(of_server).map(|(volume, ordinal)| names::claim(names, volume, ordinal)).collect()
    }

    /// The engine and the layout of its drives, as they are noted beside the root credential.
    pub(crate) fn layout(&self) -> String {
        format!("{}-{}x{}", self.name(), self.servers(), self.volumes().len())
    }

    /// The volume of each drive.
    pub(crate) fn storage(&self) -> &Storage {
        match self {
            Self::Minio(provider) => &provider.storage,
            Self::Versity(provider) => &provider.storage,
        }
    }

    /// The image in the spec.
    pub(crate) fn image(&self) -> Option<&str> {
        match self {
            Self::Minio(provider) => provider.image.as_deref(),
            Self::Versity(provider) => provider.image.as_deref(),
        }
    }

    /// Whether administration has a port of its own.
    pub(crate) const fn has_port_for_administration(&self) -> bool {
        matches!(self, Self::Versity(_))
    }

    /// Whether a claim of this object belongs to another engine.
    pub(crate) fn is_of_another(&self, claim: &str, names: &Names) -> bool {
        volume_of(claim, names).is_some_and(|volume| match self {
            Self::Minio(_) => volume == versity::VOLUME,
            Self::Versity(_) => volume != versity::VOLUME,
        })
    }

    /// Whether a claim of this object belongs to an engine.
    pub(crate) fn is_of_any(claim: &str, names: &Names) -> bool {
        volume_of(claim, names).is_some()
    }
}

/// The volume whose claim this is, if it is one of an engine's.
fn volume_of<'a>(claim: &'a str, names: &Names) -> Option<&'a str> {
    let stem = claim.trim_end_matches(|c: char| c.is_ascii_digit());
    let volume = stem.strip_suffix(&format!("-{}-", names.base))?;
    let number = volume.strip_prefix(versity::VOLUME)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(volume)
}

impl Engine for Kind {
    fn workload(&self, setting: &Setting<'_>) -> Workload {
        match self {
            Self::Minio(provider) => minio::Minio(provider).workload(setting),
            Self::Versity(provider) => versity::Versity(provider).workload(setting),
        }
    }

    async fn ensure_login(&self, store: &Store, grant: &Grant) -> Result<(), Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).ensure_login(store, grant).await,
            Self::Versity(provider) => versity::Versity(provider).ensure_login(store, grant).await,
        }
    }

    async fn remove_login(&self, store: &Store, grant: &Grant) -> Result<(), Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).remove_login(store, grant).await,
            Self::Versity(provider) => versity::Versity(provider).remove_login(store, grant).await,
        }
    }

    async fn health(&self, store: &Store) -> Result<Health, Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).health(store).await,
            Self::Versity(provider) => versity::Versity(provider).health(store).await,
        }
    }

    async fn may_stop(&self, store: &Store) -> Result<bool, Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).may_stop(store).await,
            Self::Versity(provider) => versity::Versity(provider).may_stop(store).await,
        }
    }

    async fn quota(&self, store: &Store, bucket: &str) -> Result<Fact<Option<u64>>, Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).quota(store, bucket).await,
            Self::Versity(provider) => versity::Versity(provider).quota(store, bucket).await,
        }
    }

    async fn set_quota(&self, store: &Store, bucket: &str, bytes: Option<u64>) -> Result<(), Failure> {
        match self {
            Self::Minio(provider) => minio::Minio(provider).set_quota(store, bucket, bytes).await,
            Self::Versity(provider) => versity::Versity(provider).set_quota(store, bucket, bytes).await,
        }
    }
}

/// Whether a failure means that the server is not there, or not as it should be, rather than that one question is refused.
pub(crate) fn is_silence(failure: &Failure) -> bool {
    matches!(failure, Failure::Http(_) | Failure::Unreadable { .. } | Failure::Address { .. } | Failure::Key)
        || failure.status().is_some_and(|status| status >= 500 && status != 501)
        || failure.code().is_some_and(Code::is_unnamed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{names, object};

    fn kind(provider: &Value) -> Kind {
        Kind::new(&object(&json!({ "provider": provider })))
    }

    #[test]
    fn absent_provider_is_minio_with_one_drive() {
        let kind = kind(&json!({}));
        assert_eq!((kind.name(), kind.layout().as_str()), ("minio", "minio-1x1"));
        assert_eq!(kind.claims(&names()), ["data1-photos-objectstorage-0"]);
    }

    #[test]
    fn each_drive_of_each_server_has_a_claim() {
        let kind = kind(&json!({"minio": {"servers": 4, "drivesPerServer": 2}}));
        let claims = kind.claims(&names());
        assert_eq!(claims.len(), 8);
        assert_eq!(
            (claims[1].as_str(), claims[7].as_str()),
            ("data2-photos-objectstorage-0", "data2-photos-objectstorage-3")
        );
    }

    #[test]
    fn numbers_beyond_the_schema_are_bounded() {
        let kind = kind(&json!({"minio": {"servers": 2_000_000_000, "drivesPerServer": -1}}));
        assert_eq!((kind.servers(), kind.volumes().len()), (16, 1));
    }

    #[test]
    fn claims_of_engines_are_told_apart() {
        let [minio, versity] = [json!({"minio": {}}), json!({"versity": {}})].map(|provider| kind(&provider));
        let is_of_another =
            |claim: &str| (minio.is_of_another(claim, &names()), versity.is_of_another(claim, &names()));
        assert_eq!(is_of_another("data1-photos-objectstorage-0"), (false, true));
        assert_eq!(is_of_another("data-photos-objectstorage-0"), (true, false));
        for other in ["data1-photos-objectstorage", "mine-photos-objectstorage-0", "data1-other-objectstorage-0", "0"] {
            assert_eq!(is_of_another(other), (false, false), "{other}");
            assert!(!Kind::is_of_any(other, &names()), "{other}");
        }
    }

    #[test]
    fn silence_is_not_the_refusal_of_one_question() {
        let refused = |status| {
            let (address, request) = ("h:80".to_owned(), "GET /".to_owned());
            let code = temporal_stack_common::s3::Code::Other(String::new());
            Failure::Refused { address, request, status, code, message: String::new() }
        };
        for (status, expected) in [(400, false), (403, false), (404, false), (501, false), (500, true), (503, true)] {
            assert_eq!(is_silence(&refused(status)), expected, "{status}");
        }
        assert!(is_silence(&Failure::Key));
    }
}
