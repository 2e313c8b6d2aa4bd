//! The Job of a move: one pod, which tries whether it can read and write, copies when the source has no clients, and compares. Its
//! last container analyses the tables, when the target serves already.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, EnvVar, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::Resources,
    login::{PASSWORD, USERNAME},
    workload::{self, DefaultResources, Pods, container, env, helper_resources, mount, of_secret, resources, scratch},
};

use crate::{
    Defaults,
    decide::{
        moving::view::View as MoveView,
        view::{Runner, View},
    },
    desire::stateful_set::POSTGRES,
    moving::ProviderName,
    names::{
        ADMINISTRATOR, ANALYZE, COMPARE, COPY, PORT, REHEARSE, SCRATCH, SUPERUSER, administrator,
        cluster_administrator, mesh, move_name, move_selector, owner_role, primary_service,
    },
    postgres::{IS_EMPTY, JOB_SESSIONS, Reach},
};

/// User and group of the servers in the images of CloudNativePG.
const OF_CLOUD_NATIVE_PG: i64 = 26;
/// How long the pod may take to end, in seconds.
const GRACE: i64 = 10;
/// Its programs stream, and keep a list of all objects.
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "100m", memory: "64Mi", memory_limit: "512Mi" };

/// A side of the move, in the names of its variables.
struct Side<'a> {
    prefix: &'static str,
    host: String,
    port: u16,
    username: EnvVar,
    password: EnvVar,
    database: &'a str,
}

/// The script of a container.
pub(in crate::desire) fn script(container: &str) -> String {
    let program = match container {
        REHEARSE => include_str!("rehearse.sh"),
        COPY => include_str!("copy.sh"),
        COMPARE => include_str!("compare.sh"),
        _ => include_str!("analyze.sh"),
    };
    format!("{}\n{program}", include_str!("servers.sh"))
}

/// The Job. It is not repeated: a second pod would find the work of the first.
pub(super) fn job(view: &View<'_>, moving: &MoveView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> Job {
    let (image, user) = image(view, defaults);
    let variables = variables(view, moving);
    let step = |name| step(name, &image, &variables, &main_resources(view));
    Job {
        metadata: ObjectMeta { name: Some(move_name(&view.names)), ..ObjectMeta::default() },
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            pod_replacement_policy: Some("Failed".to_owned()),
            template: PodTemplateSpec {
                metadata: Some(pods.meta(move_selector(&view.names), mesh())),
                spec: Some(PodSpec {
                    restart_policy: Some("Never".to_owned()),
                    init_containers: Some(vec![step(REHEARSE), step(COPY), step(COMPARE)]),
                    containers: vec![step(ANALYZE)],
                    volumes: Some(vec![scratch("tmp")]),
                    ..pods.spec(user, GRACE)
                }),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// The image of the target, because what one version of `pg_dump` writes, an older server may not read; and as whom it runs.
fn image(view: &View<'_>, defaults: &Defaults) -> (String, i64) {
    match view.provider.administered().map(|server| &server.runner) {
        Some(Runner::Embedded(embedded)) => {
            (embedded.provider.image.clone().unwrap_or_else(|| defaults.postgres_image.clone()), POSTGRES)
        }
        Some(Runner::CloudNativePg(cluster)) => {
            let image = cluster.image().unwrap_or_else(|| defaults.postgres_image.clone());
            (image, cluster.provider.run_as_user.unwrap_or(OF_CLOUD_NATIVE_PG))
        }
        None => (defaults.postgres_image.clone(), POSTGRES),
    }
}

/// The resources of the servers, whose limits a quota may require of the Job, too.
fn main_resources(view: &View<'_>) -> Resources {
    match view.provider.administered().map(|server| &server.runner) {
        Some(Runner::Embedded(embedded)) => embedded.provider.resources.clone(),
        Some(Runner::CloudNativePg(cluster)) => cluster.provider.resources.clone(),
        None => Resources::default(),
    }
}

fn step(name: &str, image: &str, variables: &[EnvVar], main: &Resources) -> Container {
    Container {
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script(name)]),
        env: Some(variables.to_vec()),
        volume_mounts: Some(vec![mount("tmp", "/tmp")]),
        ..container(name, image, resources(&helper_resources(main), DEFAULT_RESOURCES))
    }
}

fn variables(view: &View<'_>, moving: &MoveView<'_>) -> Vec<EnvVar> {
    let target = moving.record.as_ref().map_or(&view.settings.database, |record| &record.database);
    let theirs = moving.record.as_ref().and_then(|record| record.theirs.as_ref());
    let bound = view.bound.map_or(target, |bound| &bound.scope);
    let source = theirs.map_or(bound, |theirs| &theirs.scope);
    let sides = [
        side("SOURCE", view, moving, (moving.way.from, source)),
        side("TARGET", view, moving, (moving.way.to, target)),
    ];
    let mut variables: Vec<EnvVar> = sides.into_iter().flat_map(Side::variables).collect();
    variables.extend(login(view));
    variables.extend(statements(moving.way.from).into_iter().map(|(name, text)| literal(name, &text)));
    variables.extend([
        literal("OWNER", &owner_role(target)),
        literal("TARGET_CONNECTION", &connection(target)),
        literal("SCRATCH", SCRATCH),
    ]);
    variables
}

/// The application's login, which restores: what it runs may no more than the application.
fn login(view: &View<'_>) -> Vec<EnvVar> {
    let server = view.provider.administered();
    let secret = server.and_then(|server| Some(server.rotation.secret(server.rotation.active()?.number)));
    let of_login = |secret: String| {
        vec![of_secret("LOGIN_USERNAME", &secret, USERNAME), of_secret("LOGIN_PASSWORD", &secret, PASSWORD)]
    };
    secret.map(of_login).unwrap_or_default()
}

/// The name of a database as an option of `pg_restore`, which would read a name with `=` as a connection string.
fn connection(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// What the scripts send to the servers.
fn statements(from: ProviderName) -> BTreeMap<&'static str, String> {
    let (reach, source_options) = match from {
        ProviderName::Postgres | ProviderName::CloudNativePg => (Reach::Administrator, "-c search_path=pg_catalog"),
        // A pooler before a server elsewhere may refuse options.
        ProviderName::External => (Reach::Application, ""),
    };
    let texts = [
        ("PGAPPNAME", JOB_SESSIONS),
        ("PGCONNECT_TIMEOUT", "10"),
        ("SOURCE_OPTIONS", source_options),
        ("IS_EMPTY", IS_EMPTY),
        ("NEEDS", include_str!("needs.sql")),
        ("PROVIDE", include_str!("provide.sql")),
        ("MADE_BEFORE", include_str!("made_before.sql")),
        ("NOT_COPIED", include_str!("not_copied.sql")),
        ("MAKE_SCRATCH", include_str!("make_scratch.sql")),
        ("DROP_SCRATCH", "DROP DATABASE temporal_stack_rehearsal;"),
        ("INVENTORY", include_str!("inventory.sql")),
        ("OF_OTHERS", include_str!("of_others.sql")),
    ];
    let texts = texts.into_iter().map(|(name, text)| (name, text.to_owned()));
    texts.chain([("IS_STILL", reach.is_still()), ("CLOSED_AS", reach.closed_as())]).collect()
}

fn side<'a>(
    prefix: &'static str,
    view: &View<'_>,
    moving: &MoveView<'_>,
    (provider, database): (ProviderName, &'a str),
) -> Side<'a> {
    let names = &view.names;
    let (username, password) = (format!("{prefix}_USERNAME"), format!("{prefix}_PASSWORD"));
    let administered = |host, user, secret: String| Side {
        prefix,
        host: names.host(host),
        port: PORT,
        username: env(&username, user),
        password: of_secret(&password, &secret, PASSWORD),
        database,
    };
    match provider {
        ProviderName::Postgres => administered(&names.base, ADMINISTRATOR, administrator(names)),
        ProviderName::CloudNativePg => administered(&primary_service(names), SUPERUSER, cluster_administrator(names)),
        ProviderName::External => {
            let record = move_name(names);
            let theirs = moving.record.as_ref().and_then(|record| record.theirs.as_ref());
            let endpoint = theirs.map(|theirs| theirs.endpoint.clone());
            Side {
                prefix,
                host: endpoint.as_ref().map(|endpoint| endpoint.host.clone()).unwrap_or_default(),
                port: endpoint.map_or(PORT, |endpoint| endpoint.port),
                username: of_secret(&username, &record, USERNAME),
                password: of_secret(&password, &record, PASSWORD),
                database,
            }
        }
    }
}

impl Side<'_> {
    fn variables(self) -> Vec<EnvVar> {
        let variable = |part: &str, value: &str| literal(&format!("{}_{part}", self.prefix), value);
        vec![
            variable("HOST", &self.host),
            variable("PORT", &self.port.to_string()),
            variable("DATABASE", self.database),
            self.username,
            self.password,
        ]
    }
}

/// A variable with exactly this value: Kubernetes would replace a reference in it.
fn literal(name: &str, value: &str) -> EnvVar {
    workload::env(name, &value.replace("$(", "$$("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_database_is_no_connection_string() {
        assert_eq!(connection("temporal"), "dbname='temporal'");
        assert_eq!(connection(r"host=evil user='a\'"), r"dbname='host=evil user=\'a\\\''");
    }
}
