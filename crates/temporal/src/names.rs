//! All names: in the cluster after the object, within Temporal as in its source.

use std::{collections::BTreeMap, ops::Deref};

use serde_json::json;
use temporal_stack_common::{
    api::Temporal, manifest::hash, names, part, port, readiness::Program, volume::claim_name, workload,
};

/// The component: its label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "temporal";
/// The first line of the program's help.
pub(crate) const ABOUT: &str = "Runs Temporal, its migrations and its key server, and verifies them";
/// The ConfigMap that is read unless the object names another one.
pub(crate) const CONFIG: &str = "temporal-config";
/// The containers, with the field that sets their resources.
pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("api", "spec.api.resources", "16Mi"),
    Program::new("migrate", "spec.api.resources", "16Mi"),
    Program::new("account", "spec.api.resources", "16Mi"),
    Program::new("cluster", "spec.workers.cluster.resources", "16Mi"),
    Program::new("pin", "spec.workers.pin.resources", "16Mi"),
    Program::new("key-creation", "spec.workers.keyCreation.resources", "16Mi"),
    Program::new("ipns-entry", "spec.workers.ipnsEntry.resources", "16Mi"),
    Program::new("email-send", "spec.workers.emailSend.resources", "16Mi"),
    Program::new("krab", "spec.krab.resources", "16Mi"),
    helper("wait"),
    helper("bridge"),
    helper("probe"),
];

const fn helper(container: &'static str) -> Program {
    Program { container, resources: Some("spec.helperResources"), minimum: None }
}

/// The port of the API: the program's default.
pub(crate) const API: u16 = port::API.number;
/// The port of the key server.
pub(crate) const KRAB: u16 = port::KRAB.number;
// The ports of Kubo's RPC and of IPFS Cluster's REST API, on which the bridge listens, too.
pub(crate) const RPC: u16 = port::RPC.number;
pub(crate) const REST: u16 = port::BRIDGE_REST.number;
/// The port of the bridge's own health and metrics.
pub(crate) const BRIDGE_ADMIN: u16 = port::BRIDGE_ADMIN.number;

/// The field of the spec with the volume.
pub(crate) const STORAGE: &str = "spec.krab.storage";
/// The database that the program has built in.
pub(crate) const DATABASE: &str = "temporal";
/// The directory of the key server's keys.
pub(crate) const KEYSTORE: &str = "/var/lib/temporal/krab";
/// The directory of the IPNS worker's records.
pub(crate) const RTNS: &str = "/var/lib/temporal/rtns";
/// The default directory of logs.
pub(crate) const LOGS: &str = "/var/log/temporal/";

/// Label of pods: the role of Temporal that they run.
pub(crate) const ROLE: &str = part::ROLE;
/// The value of [`ROLE`] on the key server, and the name of its container.
pub(crate) const KRAB_ROLE: &str = "krab";
// The values of [`ROLE`] on the pods of Jobs, and the names of their containers.
pub(crate) const MIGRATION: &str = "migrate";
pub(crate) const ACCOUNT: &str = "account";
/// Annotation of pod templates: how often its pods were replaced because one was stuck, and the name of the last such pod.
pub(crate) const REVIVED: &str = "temporal-stack.dev/revived";
/// Annotation of the certificate: when it is renewed, in seconds since 1970.
pub(crate) const RENEWAL: &str = "temporal-stack.dev/renewal";
/// Annotation of the certificate: a hash of its names and of itself.
pub(crate) const FINGERPRINT: &str = "temporal-stack.dev/names";

// Keys of the Secret with generated keys: for signing tokens, for clients of the key server, and for encrypting its store.
pub(crate) const JWT_KEY: &str = "jwt-key";
pub(crate) const KRAB_AUTH_KEY: &str = "krab-auth-key";
pub(crate) const KRAB_PASSWORD: &str = "krab-keystore-password";
// Keys of Secrets with a certificate, and of the one with the keys of generated certificates.
pub(crate) const CA_KEY: &str = "ca.key";
pub(crate) const CA_CERTIFICATE: &str = "ca.crt";
pub(crate) const TLS_KEY: &str = "tls.key";
pub(crate) const TLS_CERTIFICATE: &str = "tls.crt";

/// The queues that the program publishes to, or consumes from.
pub(crate) const QUEUES: [&str; 9] = [
    "ipfs-cluster-add-queue",
    "ipfs-pin-queue",
    "ipfs-key-creation-queue",
    "ipns-entry-queue",
    "email-send-queue",
    "dash-payment-confirmation-queue",
    "eth-payment-confirmation-queue",
    "bitcoin-cash-payment-confirmation-queue",
    "ens-request-queue",
];

/// The tables that a migration creates: those of the program's ten models.
pub(crate) const TABLES: [&str; 10] = [
    "uploads",
    "encrypted_uploads",
    "users",
    "payments",
    "ip_ns",
    "hosted_networks",
    "zones",
    "records",
    "usages",
    "organizations",
];

/// The names of an object and its children: those that all components have, and these.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    common: names::Names,
    /// The API: Deployment, Service, `NetworkPolicy`, `ServiceAccount` and Ingress.
    pub(crate) api: String,
    /// The key server: `StatefulSet`, Service, `NetworkPolicy` and `ServiceAccount`.
    pub(crate) krab: String,
    /// The volume claim of the key server.
    pub(crate) krab_volume: String,
    /// The Secret with generated keys: data.
    pub(crate) keys: String,
    /// The Secret with the keys of generated certificates: data.
    pub(crate) certificate_keys: String,
    /// The Secret with the generated certificate.
    pub(crate) certificate: String,
    /// The Secret with the environment of the API and the workers.
    pub(crate) environment: String,
    /// The Secret with the environment of the key server.
    pub(crate) krab_environment: String,
}

impl Deref for Names {
    type Target = names::Names;

    fn deref(&self) -> &names::Names {
        &self.common
    }
}

impl Names {
    /// The names of this object.
    pub(crate) fn new(object: &Temporal) -> Self {
        let common = names::Names::new(object);
        Self {
            api: common.child("api"),
            krab: common.child("krab"),
            krab_volume: claim_name(&common.child("krab-0")),
            keys: common.child("keys"),
            certificate_keys: common.child("certificate-keys"),
            certificate: common.child("certificate"),
            environment: common.child("environment"),
            krab_environment: common.child("krab-environment"),
            common,
        }
    }

    /// The labels by which all pods are found.
    pub(crate) fn all_pods(&self) -> BTreeMap<String, String> {
        workload::selector("temporal", COMPONENT, &self.object)
    }

    /// The labels by which the pods of a role are found.
    pub(crate) fn pods(&self, role: &str) -> BTreeMap<String, String> {
        let mut labels = self.all_pods();
        labels.insert(ROLE.to_owned(), role.to_owned());
        labels
    }

    /// The ServiceAccount of a role's pods, by which a mesh tells them from others: only the API is for users, workers use the broker
    /// and IPFS, the key server uses nothing, and Jobs use the database alone.
    pub(crate) fn service_account(&self, role: &str) -> String {
        self.child(part::of_role(role).name)
    }

    /// The Job that creates the tables of an image in the database at this address. A new restart request runs it again.
    pub(crate) fn migration(&self, image: &str, database: Option<(&str, u16)>, restart: Option<&str>) -> String {
        self.child(format_args!("migrate-{}", &hash(&json!([image, database, restart]))[..10]))
    }

    /// The Job that creates the account in a Secret.
    pub(crate) fn account(&self, secret: &str) -> String {
        self.child(format_args!("account-{}", &hash(&json!(secret))[..10]))
    }

    /// Whether a Job creates an account.
    pub(crate) fn is_account(&self, job: &str) -> bool {
        job.starts_with(&self.child("account-"))
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::part;

    use super::{ACCOUNT, KRAB_ROLE, MIGRATION};
    use crate::{fixture, role::ROLES};

    #[test]
    fn every_role_is_listed_in_its_part() {
        let all = ROLES.iter().map(|role| role.name()).chain([KRAB_ROLE, MIGRATION, ACCOUNT]);
        for role in all {
            assert!(part::of_role(role).roles.contains(&role), "{role}");
        }
    }

    #[test]
    fn another_database_has_a_migration_of_its_own() {
        let names = fixture::names();
        let migration = |host| names.migration("temporal:1", Some((host, 5432)), None);
        assert_ne!(migration("here"), migration("elsewhere"));
    }
}
