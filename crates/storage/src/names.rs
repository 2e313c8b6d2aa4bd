//! All names: in the cluster after the object, in the engine after the bucket.

use std::collections::BTreeMap;

pub(crate) use temporal_stack_common::names::Names;
use temporal_stack_common::{api::annotation, port, readiness::Program, workload};

/// The component's name: label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "storage";
/// The init container that creates directories on a volume.
pub(crate) const PREPARE: &str = "prepare";
/// The containers, with the field that sets their resources.
pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("minio", "spec.provider.minio.resources", "128Mi"),
    Program::new(PREPARE, VERSITY_RESOURCES, "32Mi"),
    Program::new("versity", VERSITY_RESOURCES, "32Mi"),
];
const VERSITY_RESOURCES: &str = "spec.provider.versity.resources";
/// The port for S3, and with MinIO for everything else.
pub(crate) const PORT: u16 = port::S3.number;
/// The port of Versity's API for administration.
pub(crate) const ADMINISTRATION: u16 = port::S3_ADMINISTRATION.number;
/// The region of the engines that the controller runs.
pub(crate) const REGION: &str = "us-east-1";
/// The key of an access key's ID, in Secrets and bindings.
pub(crate) const KEY_ID: &str = "access-key-id";
/// The key of its secret.
pub(crate) const KEY_SECRET: &str = "secret-access-key";
/// The key of the bucket in bindings.
pub(crate) const BUCKET: &str = "bucket";
/// Label of the claim of a bucket: the bucket's name in the spec.
pub(crate) const BUCKET_LABEL: &str = "temporal-stack.dev/bucket";
/// The tag of a bucket of an object storage elsewhere: the UID of the object that owns it.
pub(crate) const OWNER_TAG: &str = annotation::OWNER;
/// The most servers, and the most drives of each. Lists that depend on a number are bounded by them.
pub(crate) const MOST_SERVERS: i32 = 16;
/// See [`MOST_SERVERS`].
pub(crate) const MOST_DRIVES: i32 = 16;
/// The most buckets of an object that are managed.
pub(crate) const MOST_BUCKETS: usize = 64;
/// How many names a message lists.
pub(crate) const LISTED: usize = 5;
/// Annotation of the root credential: the engine and the layout of drives that the volumes have.
pub(crate) const LAYOUT: &str = "temporal-stack.dev/layout";
/// The prefix of the keys of objects that verification writes.
pub(crate) const PROBE: &str = ".temporal-stack-probe/";

/// The Secret of the n-th root credential.
pub(crate) fn root(names: &Names, number: u32) -> String {
    names.child(format_args!("root-{number}"))
}

/// The prefix of the Secrets of a bucket's logins.
pub(crate) fn logins(names: &Names, bucket: &str) -> String {
    names.child(bucket)
}

/// The binding of a bucket.
pub(crate) fn bucket_binding(names: &Names, bucket: &str) -> String {
    names.child(format_args!("{bucket}-binding"))
}

/// The claim of a bucket: with an unpredictable part, because Rook overwrites what has its name.
pub(crate) fn bucket_claim(names: &Names, bucket: &str, uid: &str) -> String {
    let part: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    names.child(format_args!("{bucket}-{part}"))
}

/// The claim of a pod's volume.
pub(crate) fn claim(names: &Names, volume: &str, ordinal: i32) -> String {
    format!("{volume}-{}", names.pod(ordinal))
}

/// The volume of a drive, counted from 1.
pub(crate) fn drive(number: i32) -> String {
    format!("data{number}")
}

/// The policy in the engine that restricts a user to a bucket.
pub(crate) fn policy(bucket: &str) -> String {
    format!("temporal-stack-{bucket}")
}

/// A bucket that does not exist, with an unpredictable name.
pub(crate) fn nowhere(uid: &str) -> String {
    format!("no-such-{uid}")
}

/// The labels by which the pods of an engine are found.
pub(crate) fn selector(names: &Names, engine: &str) -> BTreeMap<String, String> {
    workload::selector(engine, COMPONENT, &names.object)
}
