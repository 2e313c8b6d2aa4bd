//! Secrets: administrator, binding. Those of cookies and logins are the same for all components.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use temporal_stack_common::{
    api::MessageQueue,
    binding::{Binding, authority, uri_part},
    login::{USERNAME, numbered, secret},
};

use crate::{
    amqp::Access,
    external::VIRTUAL_HOST,
    names::{self, ADMINISTRATOR, AMQP},
    observe::Observed,
};

/// The type of the bindings, by the Service Binding specification.
const TYPE: &str = "rabbitmq";

/// The controller's own administrator; the password is drawn when it is made.
pub(super) fn administrator(object: &MessageQueue) -> Secret {
    secret(names::administrator(object), &[(USERNAME, ADMINISTRATOR)])
}

/// What an application needs; absent until there is a login that works.
pub(super) fn binding(object: &MessageQueue, observed: &Observed) -> Option<Secret> {
    let login = observed.active_login()?;
    let access = Access {
        host: format!("{}.{}.svc", names::set(object), object.namespace()?),
        port: AMQP,
        username: login.username.clone(),
        password: login.password.clone(),
        virtual_host: observed.active_virtual_host()?.to_owned(),
    };
    Some(numbered(bind("rabbitmq", &access).secret(&names::binding(object)), login.number))
}

/// The binding before there is anything to say in it.
pub(super) fn reserved_binding(object: &MessageQueue) -> Secret {
    Secret { metadata: ObjectMeta { name: Some(names::binding(object)), ..ObjectMeta::default() }, ..Secret::default() }
}

/// The same for a broker that somebody else runs.
pub(super) fn external_binding(object: &MessageQueue, access: &Access) -> Secret {
    bind("external", access).secret(&names::binding(object))
}

fn bind(provider: &str, access: &Access) -> Binding {
    let [user, word, virtual_host] =
        [&access.username, &access.password, &access.virtual_host].map(|part| uri_part(part));
    Binding {
        type_: TYPE.to_owned(),
        provider: provider.to_owned(),
        host: access.host.clone(),
        port: access.port,
        username: access.username.clone(),
        password: access.password.clone(),
        uri: format!("amqp://{user}:{word}@{}/{virtual_host}", authority(&access.host, access.port)),
        more: BTreeMap::from([(VIRTUAL_HOST, access.virtual_host.clone())]),
    }
}
