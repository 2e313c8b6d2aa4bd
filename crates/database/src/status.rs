//! Fields of the status, and conditions beside those of the driver.

use serde_json::json;
use temporal_stack_common::{
    api::{BindingReference, PostgresDatabaseStatus},
    condition::Statement,
    login::Login,
    published::{self, Credential},
};

use crate::{decide::view::View, observed::Server};

/// The fields.
pub(crate) fn status(view: &View<'_>) -> PostgresDatabaseStatus {
    let bound = view.bound;
    let before = view.object.status.as_ref();
    let (server_version, rotation) = match view.provider.embedded() {
        None => (None, None),
        Some(embedded) => {
            let version = match embedded.server {
                Server::Known(known) => Some(known.version.clone()),
                Server::Absent | Server::Silent(_) => before.and_then(|status| status.server_version.clone()),
            };
            (version, embedded.rotation.active().and_then(|login| login.rotation.clone()))
        }
    };
    PostgresDatabaseStatus {
        binding: bound.map(|_| BindingReference { name: view.names.binding.clone() }),
        database: bound.map(|bound| bound.scope.clone()),
        username: bound.map(|bound| bound.username.clone()),
        server_version,
        rotation,
        ..PostgresDatabaseStatus::default()
    }
}

/// The conditions.
pub(crate) fn conditions(view: &View<'_>) -> Vec<Statement> {
    let mut conditions = vec![view.settings.honoured.clone()];
    if let Some(embedded) = view.provider.embedded() {
        conditions.push(published::statement(password(view, embedded.rotation.newest())));
        conditions.extend(embedded.rotation.statement());
    }
    conditions
}

/// The password of the application's login, with the commands that replace it.
fn password<'a>(view: &View<'_>, login: Option<&'a Login>) -> Option<Credential<'a>> {
    let login = login?;
    let (name, namespace) = (&view.names.object, &view.names.namespace);
    let (secret, key) = match &view.object.spec.password {
        Some(reference) => (reference.secret_name.clone(), reference.key.clone()),
        None => (format!("{name}-password"), "password".to_owned()),
    };
    let patch = json!({"spec": {"password": {"secretName": secret, "key": key}}});
    let remedy = format!(
        "kubectl create secret generic {secret} -n {namespace} --from-literal={key}=\"$(openssl rand -hex 20)\" --dry-run=client -o yaml | kubectl apply -f - && kubectl patch postgresdatabase {name} -n {namespace} --type merge -p '{patch}'"
    );
    Some(Credential { name: format!("the password of the login {}", login.username), value: &login.password, remedy })
}
