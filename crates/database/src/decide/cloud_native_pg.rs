//! What follows from a cluster that CloudNativePG runs: whether it can be used, what it waits for, and what it must report.
//!
//! # In place of an observed generation
//!
//! A `Cluster` does not say which generation its status describes. A generation counts as taken up when all of this holds: it has been
//! known for some seconds, the phase is the healthy one, as many servers are ready as the spec has, the primary is the one that it
//! should be, the image is that of the spec, and no volume is being resized or cannot be used. It is recorded in the status of the
//! object. From then on the query of the verification alone decides about Ready: a replica that fails, or a failover, is no reason
//! to call a database that answers not ready.

mod phase;
mod statements;

use std::{cmp::Ordering, time::Duration};

use kube::ResourceExt;
use temporal_stack_common::{
    api::{CloudNativePgProvider, ClusterReference, PostgresDatabase, Storage},
    component::{Stalled, Waiting},
    condition::Reason,
    login::Bound,
    manifest::compare_quantities,
    message::{kubectl, listed},
    names::Names,
    world::Admission,
};

use crate::{
    cloud_native_pg::{Cluster, ClusterStatus, ClusterStorage, Observed, VERSION},
    names::{HIBERNATED, HIBERNATION, HIBERNATION_ON, OPERATOR, PROVIDER},
    reason,
};

/// The name of the CRD.
const CRD: &str = "CustomResourceDefinition/clusters.postgresql.cnpg.io";
/// How long CloudNativePG has to notice a change before a healthy status counts for it.
const NOTICED: Duration = Duration::from_secs(5);
/// The user of the server, where neither the spec nor the cluster names one.
const RUN_AS_USER: i64 = 26;
/// How many names a message lists.
const LISTED: usize = 3;

/// A cluster that CloudNativePG runs.
pub(crate) struct View<'a> {
    pub(crate) provider: CloudNativePgProvider,
    observed: &'a Observed,
    names: Names,
    /// What the status of the object says about it.
    recorded: Option<&'a ClusterReference>,
}

impl<'a> View<'a> {
    pub(super) fn new(object: &'a PostgresDatabase, names: &Names, observed: &'a Observed) -> Self {
        Self {
            provider: object.spec.provider.cloud_native_pg.clone().unwrap_or_default(),
            observed,
            names: names.clone(),
            recorded: object.status.as_ref().and_then(|status| status.cluster.as_ref()),
        }
    }

    /// The cluster, if it exists.
    pub(crate) fn cluster(&self) -> Option<&'a Cluster> {
        self.observed.cluster.as_ref()
    }

    /// The image of its servers, once it is known.
    pub(crate) fn image(&self) -> Option<String> {
        let of_status = self.status().map(|status| status.image.clone()).filter(|image| !image.is_empty());
        of_status.or_else(|| self.provider.image.clone())
    }

    /// What the user or an administrator must change before anything is applied.
    pub(super) fn obstacle(&self, bound: Option<&Bound>) -> Option<Stalled> {
        self.missing().or_else(|| self.lost(bound)).or_else(|| self.shrunk()).or_else(|| self.unlike())
    }

    /// What it waits for.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let name = &self.names.base;
        let waiting = |reason, message: String| Some(Waiting::new(reason, message));
        let Some(cluster) = self.cluster() else {
            return waiting(reason::CLUSTER_PENDING, format!("Cluster/{name} is being created"));
        };
        if cluster.metadata.deletion_timestamp.is_some() {
            let message = format!("Cluster/{name} is being deleted; wait until it has gone with its volumes");
            return waiting(reason::CLUSTER_PENDING, message);
        }
        if self.is_hibernated() {
            return Some(self.hibernated());
        }
        if self.is_taken_up() {
            return None;
        }
        if let Admission::Silent(words) = &self.observed.admission {
            return waiting(reason::OPERATOR_NOT_READY, silent(words));
        }
        if let Some((reason, message)) = self.missing_fact() {
            return waiting(reason, message);
        }
        let message = format!("Cluster/{name} was changed: waiting for CloudNativePG to take up the change");
        self.is_settling().then(|| Waiting::new(reason::CLUSTER_PENDING, message))
    }

    /// A field that the spec has and the cluster lost: its definition does not know it.
    pub(super) fn dropped(pointer: &str) -> Waiting {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        let message = format!(
            "Cluster has no spec.{field}: {CRD} does not know it, or CloudNativePG replaces it; update CloudNativePG, or remove the setting"
        );
        Waiting::new(reason::CLOUD_NATIVE_PG_UNSUPPORTED, message)
    }

    /// Whether a change was made a moment ago, and everything looks as if it had been taken up.
    pub(super) fn is_settling(&self) -> bool {
        self.cluster().is_some()
            && !self.is_taken_up()
            && self.missing_fact().is_none()
            && self.observed.known_for < NOTICED
    }

    /// What the status of the object says about the cluster. That of a cluster that was lost is kept.
    pub(crate) fn reference(&self, bound: Option<&Bound>) -> Option<ClusterReference> {
        let Some(cluster) = self.cluster().filter(|_| self.lost(bound).is_none()) else {
            return self.recorded.cloned();
        };
        let is_new =
            !self.is_taken_up() && !self.is_hibernated() && self.missing_fact().is_none() && !self.is_settling();
        let before = self.recorded.filter(|recorded| recorded.uid == cluster.uid());
        Some(ClusterReference {
            name: cluster.name_any(),
            uid: cluster.uid(),
            generation: if is_new { cluster.metadata.generation } else { before.and_then(|before| before.generation) },
        })
    }

    /// Whether the annotation of an earlier object's end must be taken back.
    pub(crate) fn must_wake(&self) -> bool {
        self.cluster().is_some_and(|cluster| cluster.annotations().get(HIBERNATED).is_some_and(|uid| !uid.is_empty()))
    }

    fn status(&self) -> Option<&'a ClusterStatus> {
        self.cluster()?.status.as_ref()
    }

    /// Whether CloudNativePG has taken up the newest generation.
    fn is_taken_up(&self) -> bool {
        let Some(cluster) = self.cluster() else { return false };
        let is_it = |recorded: &ClusterReference| {
            recorded.uid == cluster.uid()
                && recorded.generation.is_some()
                && recorded.generation == cluster.metadata.generation
        };
        self.recorded.is_some_and(is_it)
    }

    fn is_hibernated(&self) -> bool {
        self.cluster().is_some_and(Cluster::is_hibernated)
    }

    fn hibernated(&self) -> Waiting {
        let name = &self.names.base;
        if self.must_wake() {
            let message = format!("Cluster/{name} was hibernated with an earlier object and is being started");
            return Waiting::new(reason::CLUSTER_PENDING, message);
        }
        let words = format!("annotate clusters.postgresql.cnpg.io {name} {HIBERNATION}-");
        let message = format!(
            "Cluster/{name} hibernated: its annotation {HIBERNATION} is {HIBERNATION_ON}; remove it: {}",
            kubectl(&self.names.namespace, &words)
        );
        Waiting::new(reason::HIBERNATED, message)
    }

    /// The API server does not serve the kind.
    fn missing(&self) -> Option<Stalled> {
        let Observed { is_served, versions, .. } = self.observed;
        if *is_served {
            return None;
        }
        if versions.is_empty() || versions.iter().any(|version| version == VERSION) {
            let message = format!("{CRD} missing: CloudNativePG is not installed; install it, or use another provider");
            return Some(Stalled::new(reason::CLOUD_NATIVE_PG_MISSING, message));
        }
        let message = format!(
            "{CRD} unsupported: it serves {}, not {VERSION}; install a release of CloudNativePG that serves {VERSION}",
            listed(versions, LISTED)
        );
        Some(Stalled::new(reason::CLOUD_NATIVE_PG_UNSUPPORTED, message))
    }

    /// The cluster that had the data was deleted: an empty one in its place would hide that from the application.
    fn lost(&self, bound: Option<&Bound>) -> Option<Stalled> {
        let recorded = self.recorded.filter(|recorded| bound.is_some() && recorded.uid.is_some())?;
        if self.cluster().is_some_and(|cluster| cluster.uid() == recorded.uid) {
            return None;
        }
        let message = format!(
            "Cluster/{} lost: it was deleted, and CloudNativePG deletes the volumes with it; recover a backup into a Cluster of your own and name it by provider external, or accept an empty database: {}",
            recorded.name,
            kubectl(&self.names.namespace, &format!("delete secret {}", self.names.binding))
        );
        Some(Stalled::new(reason::CLUSTER_LOST, message))
    }

    /// CloudNativePG refuses smaller volumes.
    fn shrunk(&self) -> Option<Stalled> {
        let spec = &self.cluster()?.spec;
        let volumes = [
            ("storage", Some(&self.provider.storage), &spec.storage),
            ("walStorage", self.provider.wal_storage.as_ref(), &spec.wal_storage),
        ];
        volumes.into_iter().find_map(|(field, wanted, live)| {
            let size = smaller(wanted?, live.as_ref()?)?;
            let message = format!(
                "spec.provider.{PROVIDER}.{field}.size is {}, below {size} of Cluster/{}: volumes cannot shrink; set it to {size} or more",
                wanted?.size.0, self.names.base
            );
            Some(Stalled::new(reason::INVALID_SPEC, message))
        })
    }

    /// What CloudNativePG does not change in a cluster, and an object that adopts one asks for otherwise.
    fn unlike(&self) -> Option<Stalled> {
        let (spec, name) = (&self.cluster()?.spec, &self.names.base);
        let wanted = self.provider.run_as_user.unwrap_or(RUN_AS_USER);
        let live = spec.postgres_uid.unwrap_or(RUN_AS_USER);
        if wanted != live {
            let message = format!(
                "spec.provider.{PROVIDER}.runAsUser is {wanted}, and Cluster/{name} runs as {live}, which cannot change; set it to {live}"
            );
            return Some(Stalled::new(reason::INVALID_SPEC, message));
        }
        let volume = spec.wal_storage.as_ref().filter(|_| self.provider.wal_storage.is_none())?;
        let size = volume.size.as_deref().unwrap_or_default();
        let message = format!(
            "spec.provider.{PROVIDER}.walStorage missing: Cluster/{name} has volumes for the write-ahead log, which cannot be removed; set walStorage.size to {size} or more"
        );
        Some(Stalled::new(reason::INVALID_SPEC, message))
    }

    /// The first of the facts that stand for an observed generation that does not hold.
    fn missing_fact(&self) -> Option<(Reason, String)> {
        let name = &self.names.base;
        let Some(status) = self.status().filter(|status| !status.phase.is_empty()) else {
            let message = format!(
                "Cluster/{name} has no status: {} has not taken it up; check its pods: {}",
                OPERATOR.name, OPERATOR.pods
            );
            return Some((reason::CLUSTER_PENDING, message));
        };
        if let Some(trouble) = phase::trouble(name, status) {
            return Some(trouble);
        }
        let instances = self.provider.instances;
        if status.instances != instances || status.ready_instances != instances {
            let message =
                format!("Cluster/{name}: {} of {instances} servers ready; wait for the others", status.ready_instances);
            return Some((reason::UNDER_REPLICATED, message));
        }
        if !status.has_primary() {
            return Some((
                reason::PRIMARY_CHANGING,
                format!("Cluster/{name}: the primary is changing; wait for the end"),
            ));
        }
        self.missing_image(status).or_else(|| self.missing_volume(status))
    }

    fn missing_image(&self, status: &ClusterStatus) -> Option<(Reason, String)> {
        let CloudNativePgProvider { image, image_catalog_ref, .. } = &self.provider;
        let is_other = image.as_ref().is_some_and(|image| *image != status.image)
            || image_catalog_ref.as_ref().is_some_and(|catalog| catalog.major != status.data_image.major_version);
        is_other.then(|| {
            let message = format!(
                "Cluster/{}: servers do not run the image of the spec yet; wait for the rollout",
                self.names.base
            );
            (reason::ROLLING_OUT, message)
        })
    }

    fn missing_volume(&self, status: &ClusterStatus) -> Option<(Reason, String)> {
        let name = &self.names.base;
        if !status.resizing.is_empty() {
            let message = format!(
                "Cluster/{name}: volumes are growing: {}; if this lasts, check the events of the claims",
                listed(&status.resizing, LISTED)
            );
            return Some((reason::CLUSTER_PENDING, message));
        }
        (!status.unusable.is_empty()).then(|| {
            let message = format!(
                "Cluster/{name}: volumes cannot be used: {}; delete the claims, so that CloudNativePG creates other replicas",
                listed(&status.unusable, LISTED)
            );
            (reason::CLUSTER_FAILED, message)
        })
    }
}

/// The operator's webhook gives no answer.
fn silent(words: &str) -> String {
    format!(
        "{} not ready: its webhook does not answer ({words}); the servers continue without failover; check its pods: {}",
        OPERATOR.name, OPERATOR.pods
    )
}

/// The size of a volume, if a smaller one is wanted.
fn smaller(wanted: &Storage, live: &ClusterStorage) -> Option<String> {
    let size = live.size.clone()?;
    (compare_quantities(&wanted.size.0, &size) == Some(Ordering::Less)).then_some(size)
}

#[cfg(test)]
mod tests;
