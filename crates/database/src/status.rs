//! Fields of the status, and conditions beside those of the driver.

use serde_json::json;
use temporal_stack_common::{
    api::{BindingReference, ClusterReference, PostgresDatabaseStatus},
    condition::Statement,
    login::Login,
    published::{self, Credential},
};

use crate::{
    decide::{
        cloud_native_pg::View as ClusterView,
        moving::statements::kept_data,
        view::{ServerView, View},
    },
    observed::Server,
};

/// The fields.
pub(crate) fn status(view: &View<'_>) -> PostgresDatabaseStatus {
    let bound = view.bound;
    let before = view.object.status.as_ref();
    let (server_version, rotation) = match view.provider.administered() {
        None => (None, None),
        Some(server) => {
            let version = match server.server {
                Server::Known(known) => Some(known.version.clone()),
                Server::Absent | Server::Silent(_) => before.and_then(|status| status.server_version.clone()),
            };
            (version, server.rotation.active().and_then(|login| login.rotation.clone()))
        }
    };
    PostgresDatabaseStatus {
        binding: bound.map(|_| BindingReference { name: view.names.binding.clone() }),
        database: bound.map(|bound| bound.scope.clone()),
        username: bound.map(|bound| bound.username.clone()),
        server_version,
        rotation,
        cluster: cluster(view),
        ..PostgresDatabaseStatus::default()
    }
}

/// The cluster of CloudNativePG that has the data, also while the spec names another provider, which is refused.
fn cluster(view: &View<'_>) -> Option<ClusterReference> {
    match view.provider.administered().and_then(ServerView::cluster) {
        Some(cluster) => cluster.reference(view.own_bound()),
        None => view.object.status.as_ref()?.cluster.clone().filter(|_| view.traces.cluster.is_some()),
    }
}

/// The conditions.
pub(crate) fn conditions(view: &View<'_>) -> Vec<Statement> {
    let mut conditions = vec![view.settings.honoured.clone()];
    if let Some(server) = view.provider.administered() {
        conditions.push(published::statement(password(view, server.rotation.newest())));
        conditions.extend(server.rotation.statement());
        conditions.extend(server.cluster().into_iter().flat_map(ClusterView::statements));
    }
    conditions.extend(view.moving.as_ref().map(|moving| moving.statement()));
    conditions.extend(kept_data(view));
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
