//! What things are called: in the cluster after the object, on the server after the database.

use kube::ResourceExt;
use temporal_stack_common::{api::PostgresDatabase, volume::claim_name};

/// The field of the spec with the resources of the containers.
pub(crate) const RESOURCES: &str = "spec.provider.postgres.resources";
/// The controller's own administrator on the servers that it makes.
pub(crate) const ADMINISTRATOR: &str = "temporal_stack_administrator";
/// The port of the servers that the controller makes.
pub(crate) const PORT: u16 = 5432;

/// The StatefulSet and the Service for clients.
pub(crate) fn server(object: &PostgresDatabase) -> String {
    format!("{}-postgresdatabase", object.name_any())
}

/// The headless Service that gives the pod its name.
pub(crate) fn pods(object: &PostgresDatabase) -> String {
    format!("{}-pods", server(object))
}

/// The volume claim of the one pod.
pub(crate) fn volume(object: &PostgresDatabase) -> String {
    claim_name(&format!("{}-0", server(object)))
}

/// The Secret of the administrator.
pub(crate) fn administrator(object: &PostgresDatabase) -> String {
    format!("{}-administrator", server(object))
}

/// The Secret that applications read.
pub(crate) fn binding(object: &PostgresDatabase) -> String {
    format!("{}-binding", server(object))
}

/// The command that copies all data of the server out of its pod.
pub(crate) fn dump(object: &PostgresDatabase, pod: &str) -> String {
    format!(
        "kubectl exec -n {} {pod} -c postgres -- pg_dumpall -h /var/run/postgresql -U {ADMINISTRATOR} > {}.sql",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// The role that owns a database.
pub(crate) fn owner_role(database: &str) -> String {
    format!("{database}_owner")
}
