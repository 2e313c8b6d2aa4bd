//! How far the database has come, and whether it does what it is for.

use kube::ResourceExt;
use serde_json::json;
use temporal_stack_common::{
    api::{PostgresDatabase, PostgresProvider},
    component::{Progress, Verdict},
    condition::{Reason, Statement, reason},
    login,
    message::kubectl,
    network,
    published::{self, Credential},
    workload::wrong_with_name,
};

use crate::{
    actions::still_used,
    names::{self, ADMINISTRATOR},
    observe::{Embedded, Observed, Server, Source},
    postgres::{self, Address, Failure},
    settings,
};

/// The server runs and cannot be asked.
const SERVER_SILENT: Reason = Reason::new("ServerSilent");
/// The database of the binding is not there.
const DATABASE_MISSING: Reason = Reason::new("DatabaseMissing");

/// Settings that the controller decides.
const OWN_PARAMETERS: [&str; 10] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "password_encryption",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
];

/// Whether there is anything to wait for, or to ask of the user.
pub(crate) fn progress(object: &PostgresDatabase, observed: &Observed) -> Progress {
    if let Some(message) = invalid(object, observed) {
        return Progress::Stalled { reason: reason::INVALID_SPEC, message };
    }
    if let Some(obstacle) = &observed.obstacle {
        return obstacle.clone();
    }
    let Source::Embedded(embedded) = &observed.source else { return Progress::Settled };
    let waiting = |reason, message: &str| Progress::Waiting { reason, message: message.to_owned() };
    match &embedded.server {
        Server::Absent => waiting(reason::CHILDREN_NOT_READY, "the server is starting"),
        Server::Silent(Failure::Refused { .. }) => Progress::Stalled {
            reason: reason::ADMINISTRATOR_REFUSED,
            message: format!(
                "the server refuses the controller's administrator: the volume was initialised with another password than Secret/{} has; restore that Secret, or set the server's to the Secret's: {}",
                names::administrator(object),
                kubectl(
                    &object.namespace().unwrap_or_default(),
                    &format!(
                        "exec {}-0 -c postgres -- psql -U {ADMINISTRATOR} -d postgres -c \"ALTER ROLE {ADMINISTRATOR} PASSWORD '…'\"",
                        names::server(object)
                    )
                )
            ),
        },
        Server::Silent(failure) => {
            waiting(SERVER_SILENT, &format!("the pod is ready and the server cannot be asked: {failure}"))
        }
        Server::Known(_) if observed.active_login().is_none() || observed.bound.is_none() => {
            waiting(reason::PREPARING, "the database and its login are being made")
        }
        Server::Known(_) => Progress::Settled,
    }
}

/// What the CRD's validation refuses too; an object can have got past it.
fn invalid(object: &PostgresDatabase, observed: &Observed) -> Option<String> {
    if let Some(wrong) = wrong_with_name(&object.name_any(), 35) {
        return Some(wrong);
    }
    let provider = &object.spec.provider;
    if provider.postgres.is_some() && provider.external.is_some() {
        return Some("spec.provider has both postgres and external: name one of them".to_owned());
    }
    if let Some(wrong) = network::wrong_with_access(&object.spec.access) {
        return Some(wrong);
    }
    if let Source::External(_) = observed.source {
        return None;
    }
    let settings = &observed.settings;
    if let Some(wrong) = settings::wrong_with_database(&settings.database) {
        return Some(format!("spec.database {:?} {wrong}; give another name", settings.database));
    }
    if let Some((user, wrong)) = settings.user.as_ref().and_then(|user| Some((user, settings::wrong_with_user(user)?)))
    {
        return Some(format!("spec.username {user:?} {wrong}; give another name"));
    }
    if let Some(wrong) = provider.postgres.as_ref().and_then(huge_pages) {
        return Some(wrong);
    }
    let parameters = provider.postgres.iter().flat_map(|postgres| postgres.parameters.keys());
    let is_own = |key: &&String| OWN_PARAMETERS.contains(&key.to_ascii_lowercase().replace('-', "_").as_str());
    let own: Vec<&str> = parameters.filter(is_own).map(String::as_str).collect();
    (!own.is_empty()).then(|| {
        format!(
            "spec.provider.postgres.parameters: the controller decides {}; remove what is named here",
            own.join(", ")
        )
    })
}

/// A server that must have huge pages and gets none does not start, and the one that runs would have ended for it.
fn huge_pages(postgres: &PostgresProvider) -> Option<String> {
    let (key, value) = postgres.parameters.iter().find(|(key, _)| is_parameter(key, "huge_pages"))?;
    let is_on = ["on", "true", "yes", "1"].contains(&value.trim().to_ascii_lowercase().as_str());
    let has_some = postgres.resources.limits.keys().any(|name| name.starts_with("hugepages-"));
    (is_on && !has_some).then(|| {
        format!(
            "spec.provider.postgres.parameters.{key} is {value}, and the container has no huge pages, so the server cannot start; set it to try, or set {}.limits.hugepages-2Mi",
            names::RESOURCES
        )
    })
}

/// Whether a key is that parameter: their names have no case.
fn is_parameter(key: &str, name: &str) -> bool {
    key.trim().eq_ignore_ascii_case(name)
}

/// Whether a rotation waits for applications to leave the login whose turn it is.
pub(crate) fn rotation_waits(observed: &Observed) -> bool {
    let Source::Embedded(embedded) = &observed.source else { return false };
    embedded.newest().is_some_and(|newest| still_used(observed, newest).is_some())
}

/// Conditions beside those of the driver.
pub(crate) fn statements(object: &PostgresDatabase, observed: &Observed) -> Vec<Statement> {
    let mut statements = vec![observed.settings.honoured.clone()];
    let Source::Embedded(embedded) = &observed.source else { return statements };
    statements.push(published::statement(password(object, embedded)));
    let waiting = embedded.newest().filter(|_| rotation_waits(observed));
    statements.extend(waiting.map(login::rotation_pending));
    statements
}

/// The password of the application's login, with the commands that replace it.
fn password<'a>(object: &PostgresDatabase, embedded: &'a Embedded) -> Option<Credential<'a>> {
    let login = embedded.newest()?;
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let (secret, key) = match &object.spec.password {
        Some(of) => (of.secret_name.clone(), of.key.clone()),
        None => (format!("{name}-password"), "password".to_owned()),
    };
    let patch = json!({"spec": {"password": {"secretName": secret, "key": key}}});
    let remedy = format!(
        "kubectl create secret generic {secret} -n {namespace} --from-literal={key}=\"$(openssl rand -hex 20)\" --dry-run=client -o yaml | kubectl apply -f - && kubectl patch postgresdatabase {name} -n {namespace} --type merge -p '{patch}'"
    );
    Some(Credential { place: format!("the password of the login {}", login.username), value: &login.password, remedy })
}

/// Runs SQL as an application would: the binding's login, the binding's database, the binding's address.
pub(crate) async fn verify(observed: &Observed) -> Verdict {
    let failed = |reason, message: &str| Verdict::Failed { reason, message: message.to_owned() };
    let (address, username, password, database) = match &observed.source {
        Source::External(Some(access)) => {
            (&access.address, &access.username, &access.password, access.database.as_str())
        }
        Source::Embedded(embedded) => match (&embedded.service, observed.active_login(), observed.active_database()) {
            (Some(service), Some(login), Some(database)) => (service, &login.username, &login.password, database),
            _ => return failed(reason::PREPARING, "the database and its login are being made"),
        },
        Source::External(None) => return failed(reason::PREPARING, "the Secret of the database is not usable"),
    };
    let is_external = matches!(observed.source, Source::External(_));
    match answer(address, username, password, database).await {
        Ok(()) => Verdict::Verified(format!("answers as {username} on {database}")),
        Err(failure) => judge(&failure, is_external),
    }
}

async fn answer(address: &Address, username: &str, password: &str, database: &str) -> Result<(), Failure> {
    postgres::connect(address, username, password, database).await?.answers().await
}

/// What the user of a somebody else's database must mend is theirs to mend; on a server of our own it is on its way.
fn judge(failure: &Failure, is_external: bool) -> Verdict {
    let (reason, remedy) = match failure {
        Failure::Refused { .. } => {
            (reason::LOGIN_REFUSED, "correct username and password in the Secret that spec.provider.external names")
        }
        Failure::NoDatabase { .. } => {
            (DATABASE_MISSING, "make the database, or correct the key database of the Secret")
        }
        _ => (reason::VERIFICATION_FAILED, "look at the server, and at what is between it and the controller"),
    };
    if is_external {
        let message = format!("{failure}; {remedy}");
        if matches!(failure, Failure::Refused { .. } | Failure::NoDatabase { .. }) {
            return Verdict::Stalled { reason, message };
        }
        return Verdict::Failed { reason, message };
    }
    Verdict::Failed { reason, message: format!("{failure}; it is tried again") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporal_stack_common::{claim::Claim, given::Outcome};

    use super::*;
    use crate::settings::{InUse, settings};

    #[test]
    fn all_parameters_of_the_controllers_are_named_at_once() {
        let object: PostgresDatabase = serde_json::from_value(json!({
            "apiVersion": "temporal-stack.dev/v1alpha1",
            "kind": "PostgresDatabase",
            "metadata": {"name": "temporal", "namespace": "default"},
            "spec": {"provider": {"postgres": {"parameters": {
                "port": "1", "Listen-Addresses": "*", "max_connections": "200", "hba_file": "/x",
            }}}},
        }))
        .unwrap();
        let mut settings = settings(&object, None, None, InUse::default(), &Claim::Ours);
        settings.take_password(Outcome { read: Ok("x".to_owned()), remarks: Vec::new() });
        let source = Source::External(None);
        let mut observed = Observed { settings, obstacle: None, source, bound: None };
        assert_eq!(invalid(&object, &observed), None);
        observed.source = Source::Embedded(Box::new(crate::observe::Embedded {
            provider: object.spec.provider.postgres.clone().unwrap(),
            logins: Vec::new(),
            rotation: None,
            restart: None,
            service: None,
            server: Server::Absent,
        }));
        let message = invalid(&object, &observed).unwrap();
        for key in ["port", "Listen-Addresses", "hba_file"] {
            assert!(message.contains(key), "{message}");
        }
        assert!(!message.contains("max_connections"), "{message}");
    }

    #[test]
    fn huge_pages_without_any_are_refused_before_the_server() {
        let wrong = |parameters, limits| {
            let provider = json!({"parameters": parameters, "resources": {"limits": limits}});
            huge_pages(&serde_json::from_value(provider).unwrap())
        };
        for on in [json!({"huge_pages": "on"}), json!({"Huge_Pages": "TRUE"})] {
            let wrong = wrong(on, json!({})).unwrap();
            assert!(wrong.contains("set it to try") && wrong.contains("limits.hugepages-2Mi"), "{wrong}");
        }
        assert_eq!(wrong(json!({"huge_pages": "try"}), json!({})), None);
        assert_eq!(wrong(json!({"huge_pages": "on"}), json!({"hugepages-2Mi": "64Mi"})), None);
    }
}
