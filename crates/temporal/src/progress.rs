//! How far Temporal has come, and what is said of it.

use kube::ResourceExt;
use temporal_stack_common::{
    api::{BindingReference, Temporal, TemporalStatus},
    binding::authority,
    component::Progress,
    condition::{Reason, Statement},
    message::{counted, logs},
    published::{self, Credential},
};

use crate::{
    names::{self, API},
    observe::{Admin, Observed, Tls},
    order::{self, Step, first_open},
    settings::{CONFIG, key},
};

/// Whether what Temporal refers to is Ready.
const DEPENDENCIES_READY: &str = "DependenciesReady";
/// Whether the tables are those of the image.
const MIGRATED: &str = "Migrated";
/// Whether every queue has its consumers.
const QUEUES_SERVED: &str = "QueuesServed";
/// Whether the accounts of the spec are there.
const ADMINS_MADE: &str = "AdminsMade";
/// All is as the condition says.
const AS_WANTED: Reason = Reason::new("AsWanted");
/// A queue has fewer consumers than there are workers for it.
const CONSUMERS_MISSING: Reason = Reason::new("ConsumersMissing");
/// A queue has no consumer because the user wants none.
const NO_WORKERS: Reason = Reason::new("NoWorkers");
/// An account is not made yet.
const ADMIN_MISSING: Reason = Reason::new("AdminMissing");
/// An account that the controller has not made has not all rights.
const NOT_ADMIN: Reason = Reason::new("NotAdmin");

/// Where the API answers within the cluster.
pub(crate) fn url(object: &Temporal, observed: &Observed) -> String {
    let scheme = if matches!(observed.tls, Tls::Off) { "http" } else { "https" };
    format!("{scheme}://{}", authority(&names::host(object, &names::api(object)), API))
}

/// Whether there is anything to wait for, or to ask of the user.
pub(crate) fn progress(object: &Temporal, observed: &Observed) -> Progress {
    if let Some(obstacle) = &observed.obstacle {
        return obstacle.clone();
    }
    if let Tls::Unusable(obstacle) = &observed.tls {
        return obstacle.clone();
    }
    if let (_, Some(lack)) = first_open(object, observed) {
        return lack;
    }
    if let Some((reason, message)) = unserved(object, observed).or_else(|| admins(observed)) {
        return Progress::Waiting { reason, message };
    }
    Progress::Settled
}

/// Whether something is awaited that only products tell of, so that no watch shows when it has come.
pub(crate) fn is_for_products(progress: &Progress) -> bool {
    let of_products = [order::DECLARING_QUEUES, order::UNREACHABLE, CONSUMERS_MISSING, ADMIN_MISSING];
    matches!(progress, Progress::Waiting { reason, .. } if of_products.contains(reason))
}

fn unserved(object: &Temporal, observed: &Observed) -> Option<(Reason, String)> {
    let (role, consumers) = order::unserved(object, observed)?;
    let deployment = format!("deployment/{}", names::child(object, role.name()));
    let message = format!(
        "{} has {consumers} of {}; see {}",
        role.queue().unwrap_or_default(),
        counted(usize::try_from(role.replicas(object)).unwrap_or_default(), "consumer"),
        logs(&object.namespace().unwrap_or_default(), &deployment, role.name())
    );
    Some((CONSUMERS_MISSING, message))
}

/// Queues that have no worker because the user wants none.
fn idle(object: &Temporal) -> Option<(Reason, String)> {
    let without = order::without_workers(object);
    let role = without.first()?;
    let message = format!(
        "{} has no consumer: {} has 0 replicas; raise it, or messages wait in the queue{}",
        role.queue().unwrap_or_default(),
        role.field(),
        if without.len() > 1 { format!(" (and so in {} more)", without.len() - 1) } else { String::new() }
    );
    Some((NO_WORKERS, message))
}

/// What the user's variables name and no controller reports on, and which does not answer.
fn silent(object: &Temporal, observed: &Observed) -> Option<(Reason, String)> {
    let database = observed.tables.as_ref().err().filter(|_| object.spec.database.is_none());
    let queue = observed.queues.as_ref().err().filter(|_| object.spec.queue.is_none());
    let database = database.map(|why| (key::DATABASE_URL, "the database", why));
    let (key, what, why) = database.or(queue.map(|why| (key::RABBITMQ_URL, "the message queue", why)))?;
    Some((
        order::UNREACHABLE,
        format!("{what} that {key} names does not answer: {why}; correct it, or set a reference"),
    ))
}

/// What Temporal depends on, and who vouches for it.
fn depended_on(object: &Temporal) -> String {
    let spec = &object.spec;
    let parts = [
        (&spec.database, "PostgresDatabase", format!("the database that {} names answers", key::DATABASE_URL)),
        (&spec.queue, "MessageQueue", format!("the message queue that {} names answers", key::RABBITMQ_URL)),
        (&spec.ipfs, "IpfsCluster", format!("what {} names is not checked", key::IPFS_HOST)),
    ];
    let parts = parts.map(|(reference, kind, otherwise)| match reference {
        Some(reference) => format!("{kind}/{} is Ready", reference.name),
        None => otherwise,
    });
    parts.join(", ")
}

/// The first account that is being made.
fn admins(observed: &Observed) -> Option<(Reason, String)> {
    let found = observed.tables.as_ref().ok()?;
    observed.admins.iter().find_map(|Admin { secret, username, run }| {
        let name = username.as_ref().ok()?;
        if !found.accounts.contains(name) {
            let trouble = run.as_ref().and_then(|run| run.trouble.as_deref());
            let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
            return Some((ADMIN_MISSING, format!("the account of Secret/{secret} is being made{trouble}")));
        }
        let is_ours = run.is_some() && !found.admins.contains(name);
        is_ours.then(|| (ADMIN_MISSING, format!("the account {name} is being given all rights")))
    })
}

/// The first Secret that describes no account.
fn described_wrongly(observed: &Observed) -> Option<(Reason, String)> {
    observed.admins.iter().find_map(|admin| admin.username.as_ref().err().cloned())
}

/// The first account without all rights that the controller is not to give them.
fn admins_of_others(observed: &Observed) -> Option<(Reason, String)> {
    let found = observed.tables.as_ref().ok()?;
    let names = observed.admins.iter().filter_map(|admin| admin.username.as_ref().ok());
    let mut without = names.filter(|name| found.accounts.contains(*name) && !found.admins.contains(*name));
    without.next().map(|name| {
        let message = format!(
            "the account {name} was there before, or its rights were taken away; to give them, run the program's own command: temporal admin {name}"
        );
        (NOT_ADMIN, message)
    })
}

/// What is in use of the credentials that the user has set.
fn credentials<'a>(object: &Temporal, observed: &'a Observed) -> Vec<Credential<'a>> {
    let namespace = object.namespace().unwrap_or_default();
    let config = object.spec.config.config_map.as_deref().unwrap_or(CONFIG);
    let credential = |key: &'static str, remedy: String| {
        let value = observed.settings.get(key)?;
        Some(Credential { place: observed.settings.written(key), value, remedy })
    };
    let jwt = format!(
        "kubectl patch configmap {config} -n {namespace} --type json -p '[{{\"op\": \"remove\", \"path\": \"/data/{}\"}}]', and a key is generated",
        key::JWT_KEY
    );
    let database =
        "change it on the server, then in the ConfigMap; or name a PostgresDatabase in spec.database".to_owned();
    let is_users = object.spec.database.is_none();
    let database = is_users.then(|| credential(key::DATABASE_PASSWORD, database)).flatten();
    credential(key::JWT_KEY, jwt).into_iter().chain(database).collect()
}

/// The conditions beside Ready.
pub(crate) fn statements(object: &Temporal, observed: &Observed) -> Vec<Statement> {
    let credentials = credentials(object, observed);
    let mut statements = vec![observed.settings.statement(), published::statement(credentials)];
    let of = |lack: Progress| match lack {
        Progress::Waiting { reason, message } | Progress::Stalled { reason, message } => (reason, message),
        Progress::Settled => (AS_WANTED, String::new()),
    };
    let state = |kind, lack: Option<(Reason, String)>, well: &str| match lack {
        None => Statement::holds(kind, AS_WANTED, well),
        Some((reason, message)) => Statement::fails(kind, reason, message),
    };
    let wrong = described_wrongly(observed);
    let is_admin_wrong = wrong.is_some();
    // Known whatever else is missing.
    statements.extend(wrong.map(|(reason, message)| Statement::fails(ADMINS_MADE, reason, message)));
    let lack = order::dependencies(observed).map(of);
    let is_lacking = lack.is_some();
    let lack = lack.or_else(|| silent(object, observed));
    statements.push(state(DEPENDENCIES_READY, lack, &depended_on(object)));
    if is_lacking {
        return statements;
    }
    let migration = order::migration(object, observed).map(of);
    statements.push(state(MIGRATED, migration, &format!("the tables of {} are there", observed.image)));
    let queues = order::queues(observed).map(of).or_else(|| unserved(object, observed)).or_else(|| idle(object));
    statements.push(state(QUEUES_SERVED, queues, "every queue has its consumers"));
    if observed.tables.is_ok() && !observed.admins.is_empty() && !is_admin_wrong {
        let lack = admins(observed).or_else(|| admins_of_others(observed));
        statements.push(state(ADMINS_MADE, lack, "the accounts of spec.admins are there"));
    }
    statements
}

/// The fields of the status.
pub(crate) fn status(object: &Temporal, observed: &Observed) -> TemporalStatus {
    let (step, _) = first_open(object, observed);
    let before = object.status.as_ref().and_then(|status| status.image.clone());
    let has_binding = observed.secrets.contains(&names::binding(object));
    TemporalStatus {
        binding: has_binding.then(|| BindingReference { name: names::binding(object) }),
        url: Some(url(object, observed)),
        image: if step > Step::Migration { Some(observed.image.clone()) } else { before },
        ..TemporalStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{settings, well, whole};

    fn stated(object: &Temporal, variables: &[(&str, &str)]) -> String {
        let observed = Observed { settings: settings(variables), ..well(object) };
        let statements = statements(object, &observed);
        let statement = statements.iter().find(|statement| statement.kind() == published::CREDENTIALS_PRIVATE);
        format!("{:?}", statement.unwrap())
    }

    #[test]
    fn a_published_key_in_use_is_told_with_the_commands() {
        let told = stated(&whole(), &[("API_JWT_KEY", "suchStrongKeyMuchProtectVerySafe")]);
        assert!(told.contains("PublishedCredential") && told.contains("temporal-config: API_JWT_KEY"), "{told}");
        assert!(told.contains("kubectl patch configmap temporal-config -n default"), "{told}");
        assert!(stated(&whole(), &[("API_JWT_KEY", "mine")]).contains("holds: true"));
        let mut alone = whole();
        alone.spec.database = None;
        assert!(stated(&alone, &[("DATABASE_PASSWORD", "password123")]).contains("holds: false"));
    }
}
