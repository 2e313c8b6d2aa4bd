//! All names: in the cluster after the object, on the server after the database.

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::PostgresDatabase, login::Form, manifest::Operator, names::Names, port::POSTGRESQL, readiness::Program,
    workload,
};

/// The component's name: label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "database";
/// The containers, with the field that sets their resources.
pub(crate) const PROGRAMS: &[Program] =
    &[Program::new("initialise", RESOURCES, "64Mi"), Program::new("postgres", RESOURCES, "64Mi")];
/// The containers of the Job that moves data, in their order.
pub(crate) const REHEARSE: &str = "rehearse";
/// See [`REHEARSE`].
pub(crate) const COPY: &str = "copy";
/// See [`REHEARSE`].
pub(crate) const COMPARE: &str = "compare";
/// See [`REHEARSE`].
pub(crate) const ANALYZE: &str = "analyze";
/// The container that reports the version of an image.
pub(crate) const VERSION: &str = "version";
/// Condition: whether the data are moving to another provider.
pub(crate) const MOVING: &str = "Moving";
/// Annotation of the object: another value repeats a move that failed.
pub(crate) const REPEAT_MOVE: &str = "temporal-stack.dev/move";
/// The ConfigMap that is read unless the object names another one.
pub(crate) const CONFIG: &str = "postgres-config";
/// The field of the spec with the resources of the containers.
pub(crate) const RESOURCES: &str = "spec.provider.postgres.resources";
/// The field of the spec with the volume.
pub(crate) const STORAGE: &str = "spec.provider.postgres.storage";
/// The provider that CloudNativePG is, in specs and bindings.
pub(crate) const PROVIDER: &str = "cloudNativePg";
/// The controller's own administrator on the servers that it creates.
pub(crate) const ADMINISTRATOR: &str = "temporal_stack_administrator";
/// The superuser of the servers that CloudNativePG runs: the controller's administrator there.
pub(crate) const SUPERUSER: &str = "postgres";
/// The database that every server has.
pub(crate) const MAINTENANCE: &str = "postgres";
/// The database in which a move is tried. SQL of the Job repeats the name.
pub(crate) const SCRATCH: &str = "temporal_stack_rehearsal";
/// The key of the database, in the user's Secret and in bindings.
pub(crate) const DATABASE: &str = "database";
/// The key of bindings with the host for reads.
pub(crate) const READ_HOST: &str = "read-host";
/// The form of bindings.
pub(crate) const BINDING: Form = Form { type_: "postgresql", scheme: "postgresql", scope: DATABASE };
/// The label that CloudNativePG gives to all that belongs to a cluster.
pub(crate) const CLUSTER_LABEL: &str = "cnpg.io/cluster";
/// The label that tells the pods of a cluster apart.
const POD_ROLE_LABEL: &str = "cnpg.io/podRole";
/// The label of Secrets whose changes CloudNativePG must take up.
pub(crate) const RELOAD_LABEL: &str = "cnpg.io/reload";
/// The annotation by which CloudNativePG stops the servers of a cluster, and its values.
pub(crate) const HIBERNATION: &str = "cnpg.io/hibernation";
/// See [`HIBERNATION`].
pub(crate) const HIBERNATION_ON: &str = "on";
/// See [`HIBERNATION`].
pub(crate) const HIBERNATION_OFF: &str = "off";
/// Annotation of a cluster that was hibernated when its object was deleted: the UID of that object. Empty once it runs again.
pub(crate) const HIBERNATED: &str = "temporal-stack.dev/hibernated";
/// The longest name of a `Cluster`.
pub(crate) const LONGEST_CLUSTER: usize = 50;
/// What messages call CloudNativePG's operator, and the command that shows its pods.
pub(crate) const OPERATOR: Operator = Operator {
    name: "CloudNativePG's operator",
    pods: "kubectl get pods -A -l app.kubernetes.io/name=cloudnative-pg",
    webhooks: ".cnpg.io",
};
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

/// The Secret of the administrator of a cluster of CloudNativePG: another one, because CloudNativePG insists on the name in it.
pub(crate) fn cluster_administrator(names: &Names) -> String {
    names.child("cluster-administrator")
}

/// The ServiceAccount of the embedded server where CloudNativePG has taken the usual name, which is that of its `Cluster`.
pub(crate) fn server_account(names: &Names) -> String {
    names.child("server")
}

/// The policy of a cluster of CloudNativePG, and its ServiceAccount where the embedded server has the usual name.
pub(crate) fn cluster_child(names: &Names) -> String {
    names.child("cluster")
}

/// The record of a move, and all that belongs to its Job.
pub(crate) fn move_name(names: &Names) -> String {
    names.child("move")
}

/// The labels of the pod that moves data.
pub(crate) fn move_selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector("postgresql-move", COMPONENT, &names.object)
}

/// The beginning of the names of the Jobs that report the version of an image: short, because labels have the whole name.
pub(crate) fn version_prefix(names: &Names) -> String {
    names.child("v-")
}

/// The labels of their pods.
pub(crate) fn version_selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector("postgresql-version", COMPONENT, &names.object)
}

/// The role that owns a database.
pub(crate) fn owner_role(database: &str) -> String {
    format!("{database}_owner")
}

/// The labels by which pods are found.
pub(crate) fn selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector("postgresql", COMPONENT, &names.object)
}

/// The Service of the primary, which CloudNativePG creates.
pub(crate) fn primary_service(names: &Names) -> String {
    names.child("rw")
}

/// The Service of all ready servers, which CloudNativePG creates.
pub(crate) fn read_service(names: &Names) -> String {
    names.child("r")
}

/// The labels of all pods of a cluster of CloudNativePG, those of Jobs and poolers included.
pub(crate) fn cluster_selector(names: &Names) -> BTreeMap<String, String> {
    BTreeMap::from([(CLUSTER_LABEL.to_owned(), names.base.clone())])
}

/// The labels of its servers.
pub(crate) fn instance_selector(names: &Names) -> BTreeMap<String, String> {
    let role = (POD_ROLE_LABEL.to_owned(), "instance".to_owned());
    cluster_selector(names).into_iter().chain([role]).collect()
}

/// The role that CloudNativePG keeps for itself, if this is one.
pub(crate) fn is_reserved_by_cluster(role: &str) -> bool {
    role == SUPERUSER || role == "streaming_replica" || role.starts_with("cnpg_")
}

/// Annotations for meshes.
pub(crate) fn mesh() -> BTreeMap<String, String> {
    workload::opaque(&[POSTGRESQL])
}
