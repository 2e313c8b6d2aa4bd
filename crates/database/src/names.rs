//! All names: in the cluster after the object, on the server after the database.

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::PostgresDatabase, login::Form, names::Names, port::POSTGRESQL, readiness::Program, workload,
};

/// The component's name: label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "database";
/// The containers, with the field that sets their resources.
pub(crate) const PROGRAMS: &[Program] =
    &[Program::new("initialise", RESOURCES, "64Mi"), Program::new("postgres", RESOURCES, "64Mi")];
/// The ConfigMap that is read unless the object names another one.
pub(crate) const CONFIG: &str = "postgres-config";
/// The field of the spec with the resources of the containers.
pub(crate) const RESOURCES: &str = "spec.provider.postgres.resources";
/// The field of the spec with the volume.
pub(crate) const STORAGE: &str = "spec.provider.postgres.storage";
/// The controller's own administrator on the servers that it creates.
pub(crate) const ADMINISTRATOR: &str = "temporal_stack_administrator";
/// The database that every server has.
pub(crate) const MAINTENANCE: &str = "postgres";
/// The key of the database, in the user's Secret and in bindings.
pub(crate) const DATABASE: &str = "database";
/// The form of bindings.
pub(crate) const BINDING: Form = Form { type_: "postgresql", scheme: "postgresql", scope: DATABASE };
/// The port of the servers that the controller creates.
pub(crate) const PORT: u16 = POSTGRESQL.number;

/// The ConfigMap that an object reads.
pub(crate) fn config_map(object: &PostgresDatabase) -> &str {
    object.spec.config.config_map.as_deref().unwrap_or(CONFIG)
}

/// The Secret of the administrator.
pub(crate) fn administrator(names: &Names) -> String {
    names.child("administrator")
}

/// The role that owns a database.
pub(crate) fn owner_role(database: &str) -> String {
    format!("{database}_owner")
}

/// The labels by which pods are found.
pub(crate) fn selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector("postgresql", COMPONENT, &names.object)
}

/// Annotations for meshes.
pub(crate) fn mesh() -> BTreeMap<String, String> {
    workload::opaque(&[POSTGRESQL])
}
