//! Fields of the status, and conditions beside those of the driver.

use temporal_stack_common::{
    api::{BindingReference, MessageQueueStatus, annotation::FULL_RESTART},
    condition::Statement,
    message::listed,
    published::{self, Credential},
};

use crate::{
    decide::view::{EmbeddedView, View},
    names::{CONFIG, LISTED, Names},
    observed::Known,
    rabbit::Queue,
    reason,
    settings::COOKIE,
};

/// Queues are replicated: those that exist, and those that are declared without a type.
const QUEUES_REPLICATED: &str = "QueuesReplicated";

/// The fields.
pub(crate) fn status(view: &View<'_>) -> MessageQueueStatus {
    let bound = view.bound;
    let mut status = MessageQueueStatus {
        binding: bound.map(|_| BindingReference { name: view.names.binding.clone() }),
        virtual_host: bound.map(|bound| bound.scope.clone()),
        username: bound.map(|bound| bound.username.clone()),
        ..MessageQueueStatus::default()
    };
    if let Some(embedded) = view.provider.embedded() {
        // Values that cannot be read are kept.
        let before = view.object.status.clone().unwrap_or_default();
        (status.nodes, status.server_version) = match embedded.observed.broker.known() {
            Some(known) => (i32::try_from(known.nodes.len()).ok(), Some(known.version.clone())),
            None => (before.nodes, before.server_version),
        };
        status.rotation = embedded.rotation.active().and_then(|login| login.rotation.clone());
    }
    status
}

/// The conditions.
pub(crate) fn conditions(view: &View<'_>) -> Vec<Statement> {
    let mut conditions = vec![view.settings.honoured.clone()];
    if let Some(embedded) = view.provider.embedded() {
        conditions.push(embedded.quorum.statement());
        conditions.push(published::statement(cookie(&view.names, embedded)));
        conditions.extend(embedded.rotation.statement());
        let known = embedded.observed.broker.known();
        conditions.extend(known.and_then(|known| queues_replicated(known, &view.settings.virtual_host)));
    }
    conditions
}

/// The cookie in use, with the commands that replace it.
fn cookie<'a>(names: &Names, embedded: &'a EmbeddedView<'_>) -> Option<Credential<'a>> {
    let value = embedded.cookies.shared.current()?.text(COOKIE)?;
    let (name, namespace) = (&names.object, &names.namespace);
    let remedy = format!(
        "kubectl create secret generic {CONFIG} -n {namespace} --from-literal={COOKIE}=\"$(openssl rand -hex 20)\" --dry-run=client -o yaml | kubectl apply -f - && kubectl annotate messagequeue {name} -n {namespace} {FULL_RESTART}=\"$(date +%s)\" --overwrite"
    );
    Some(Credential { name: format!("the Erlang cookie, key {COOKIE} of Secret/{CONFIG},"), value, remedy })
}

/// Set if queues are not replicated, and the controller cannot change that.
fn queues_replicated(known: &Known, virtual_host: &str) -> Option<Statement> {
    let unsupported = known.queues.iter().filter(|queue| queue.kind == "quorum" && !queue.has_url());
    let unsupported: Vec<String> = unsupported.map(Queue::title).collect();
    if !unsupported.is_empty() {
        let message = format!(
            "queues not managed: the management API cannot address {}; declare them under other names",
            listed(&unsupported, LISTED)
        );
        return Some(Statement::fails(QUEUES_REPLICATED, reason::UNSUPPORTED_QUEUE_NAME, message));
    }
    let kind = known.default_queue_type.as_deref()?;
    let message = || {
        format!(
            "default queue type not quorum: virtual host {virtual_host} was not created by this controller; set spec.virtualHost to a new name"
        )
    };
    (kind != "quorum").then(|| Statement::fails(QUEUES_REPLICATED, reason::DEFAULT_TYPE_NOT_QUORUM, message()))
}
