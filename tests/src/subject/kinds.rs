//! What a test has to know of each kind.

use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

use super::{BUCKET, Subject, external};
use crate::prepare::GROWS;

impl Subject for PostgresDatabase {
    const COMPONENT: &'static str = "database";
    const PROGRAM: &'static str = "database-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/database/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] =
        &[("RELATED_IMAGE_POSTGRES", "registry.invalid/postgres:17")];
    const PROVIDER: &'static str = "postgres";
    const ONE_OF: &'static str = "name one of postgres, cloudNativePg and external, not several";
    const DATA: &'static [&'static str] = &["administrator", "login-1"];
    const THEIRS: &'static [&'static str] = &["host", "username", "password", "database"];

    fn changed() -> Value {
        Self::provider(&json!({"parameters": {"work_mem": "8MB"}, "resources": {"limits": {"memory": "2Gi"}}}))
    }
}

impl Subject for MessageQueue {
    const COMPONENT: &'static str = "queue";
    const PROGRAM: &'static str = "queue-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/queue/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] =
        &[("RELATED_IMAGE_RABBITMQ", "registry.invalid/rabbitmq:4")];
    const PROVIDER: &'static str = "rabbitmq";
    const ONE_OF: &'static str = "name one of rabbitmq and external, not both";
    const DATA: &'static [&'static str] = &["cookie-1", "administrator", "login-1"];
    const THEIRS: &'static [&'static str] = &["host", "username", "password"];

    fn pods(&self) -> u32 {
        let replicas = self.spec.provider.rabbitmq.as_ref().map(|rabbitmq| rabbitmq.replicas);
        replicas.and_then(|replicas| replicas.try_into().ok()).unwrap_or(1)
    }

    fn changed() -> Value {
        let resources = json!({"limits": {"memory": "2Gi"}});
        Self::provider(&json!({"replicas": 3, "additionalConfig": "channel_max = 100", "resources": resources}))
    }
}

impl Subject for IpfsCluster {
    const COMPONENT: &'static str = "ipfs";
    const PROGRAM: &'static str = "ipfs-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/ipfs/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] = &[
        ("RELATED_IMAGE_KUBO", "registry.invalid/kubo:0"),
        ("RELATED_IMAGE_IPFS_CLUSTER", "registry.invalid/ipfs-cluster:1"),
    ];
    const PROVIDER: &'static str = "kubo";
    const ONE_OF: &'static str = "name one of kubo and external, not both";
    const DATA: &'static [&'static str] = &["secret-1", "identity-0"];
    const THEIRS: &'static [&'static str] = &["host", "cluster-host"];

    fn pods(&self) -> u32 {
        self.spec.replicas.try_into().unwrap_or(1)
    }

    fn changed() -> Value {
        let mut spec = Self::provider(&json!({
            "kuboConfig": {"Gateway": {"NoFetch": true}},
            "clusterConfig": {"CLUSTER_IPFSHTTP_PINTIMEOUT": "5m"},
            "pubsub": true,
            "proxy": true,
            "resources": {"limits": {"memory": "2Gi"}},
            "gateway": {},
            "swarm": {},
        }));
        spec["replicas"] = json!(3);
        spec
    }
}

impl Subject for ObjectStorage {
    const COMPONENT: &'static str = "storage";
    const PROGRAM: &'static str = "storage-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/storage/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] =
        &[("RELATED_IMAGE_MINIO", "registry.invalid/minio:0"), ("RELATED_IMAGE_VERSITY", "registry.invalid/versity:1")];
    const PROVIDER: &'static str = "minio";
    const DATA: &'static [&'static str] = &["root-1", "photos-login-1"];
    const THEIRS: &'static [&'static str] = &["endpoint", "access-key-id", "secret-access-key"];
    const SCOPE_KEY: &'static str = "endpoint";
    const WRONG: (&'static str, &'static str, &'static str) =
        ("endpoint", "ftp://127.0.0.1", "endpoint is not the URL of a server");
    const ONE_OF: &'static str = "name one of minio, versity, rook and external, not several";
    const VOLUME: &'static str = "data1";

    fn pods(&self) -> u32 {
        let servers = self.spec.provider.minio.as_ref().map(|minio| minio.servers);
        servers.and_then(|servers| servers.try_into().ok()).unwrap_or(1)
    }

    fn changed() -> Value {
        let mut spec = Self::provider(&json!({"resources": {"limits": {"memory": "2Gi"}}}));
        spec["buckets"] = json!([{"name": BUCKET, "versioning": true}, {"name": "backups", "quota": "1Gi"}]);
        spec["access"] = json!({"metrics": [{"podSelector": {}}]});
        spec
    }

    fn embedded() -> Value {
        let mut spec = Self::provider(&json!({"storage": {"size": "1Gi", "storageClassName": GROWS}}));
        spec["buckets"] = json!([{"name": BUCKET}]);
        spec
    }

    fn external(secret: &str) -> Value {
        let mut spec = external(secret);
        spec["buckets"] = json!([{"name": BUCKET}]);
        spec
    }

    fn binding() -> String {
        Self::child(&format!("{BUCKET}-binding"))
    }
}

impl Subject for Mesh {
    const COMPONENT: &'static str = "mesh";
    const PROGRAM: &'static str = "mesh-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/mesh/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] = &[];
    // It has none: it is about the pods of others.
    const PROVIDER: &'static str = "";
    const ONE_OF: &'static str = "";
    const DATA: &'static [&'static str] = &[];
    const THEIRS: &'static [&'static str] = &[];

    fn changed() -> Value {
        json!({"policy": "Audit", "routes": "On", "defaultInboundPolicy": "deny"})
    }

    fn provider(fields: &Value) -> Value {
        fields.clone()
    }

    fn embedded() -> Value {
        json!({})
    }
}

impl Subject for Temporal {
    const COMPONENT: &'static str = "temporal";
    const PROGRAM: &'static str = "temporal-controller";
    const RBAC: &'static str = include_str!("../../../deploy/rbac/temporal/rbac.yaml");
    const IMAGES: &'static [(&'static str, &'static str)] = &[
        ("RELATED_IMAGE_TEMPORAL", "registry.invalid/temporal:2"),
        ("RELATED_IMAGE_BRIDGE", "registry.invalid/bridge:0"),
    ];
    // It has none: it refers to others.
    const PROVIDER: &'static str = "krab";
    const ONE_OF: &'static str = "";
    const DATA: &'static [&'static str] = &["keys"];
    const THEIRS: &'static [&'static str] = &[];

    fn changed() -> Value {
        json!({"workers": {"cluster": {"replicas": 2}}})
    }

    fn provider(fields: &Value) -> Value {
        json!({Self::PROVIDER: fields})
    }
}
