//! The environment of Temporal: the user's variables, the bindings, generated keys, and required defaults.
//! `docs/kinds/temporal.md` has a table of the defaults, with the reason for each.

use std::collections::BTreeMap;

use temporal_stack_common::{
    address::Endpoint,
    api::Bridge,
    binding::{authority, uri_host},
};

use crate::{
    access::{Database, Ipfs},
    decide::view::{Keys, View},
    names::{KEYSTORE, KRAB, LOGS, REST, RPC, RTNS},
    settings::key,
};

/// The request limit below which HTTP probes would use it up.
const ENOUGH_FOR_PROBES: u32 = 2000;

/// The directory for logs.
pub(super) fn log_directory<'a>(view: &'a View<'_>) -> &'a str {
    view.settings.get(key::LOG_DIR).unwrap_or(LOGS)
}

/// Whether probes may use HTTP: each counts against the limit of requests.
pub(super) fn can_probe(view: &View<'_>) -> bool {
    let limit = view.settings.get(key::LIMIT).and_then(|limit| limit.parse::<u32>().ok());
    limit.is_none_or(|limit| limit >= ENOUGH_FOR_PROBES)
}

/// The addresses of Kubo and IPFS Cluster for pods: those of the bridge in the pod, or their own.
pub(super) fn ipfs(view: &View<'_>) -> Option<Ipfs> {
    let access = view.dependencies.ipfs.access.as_ref()?;
    Some(match view.spec.bridge {
        Bridge::Off => access.clone(),
        Bridge::On => {
            let local = |port| Endpoint { host: "127.0.0.1".to_owned(), port };
            Ipfs { kubo: local(RPC), cluster: local(REST) }
        }
    })
}

/// The environment of the API and the workers; `None` until all of it is known.
pub(super) fn clients(view: &View<'_>) -> Option<BTreeMap<&'static str, String>> {
    let keys = view.keys?;
    let Database { endpoint, username, password } = view.dependencies.database.access.as_ref()?;
    let broker = view.dependencies.queue.access.as_ref()?;
    let Ipfs { kubo, cluster } = ipfs(view)?;
    let mut variables = BTreeMap::from([
        (key::LIMIT, "1000000".to_owned()),
        (key::REALM, "temporal-realm".to_owned()),
        (key::JWT_KEY, keys.jwt.to_owned()),
        (key::SIZE_LIMIT, "1".to_owned()),
        (key::LOG_DIR, LOGS.to_owned()),
        (key::GIN_MODE, "release".to_owned()),
    ]);
    variables.extend(view.settings.variables.iter().map(|(name, value)| (*name, value.clone())));
    variables.extend([
        (key::DATABASE_URL, endpoint.host.clone()),
        // An empty port would consume the next word of the program's connection string.
        (key::DATABASE_PORT, endpoint.port.to_string()),
        (key::DATABASE_USERNAME, username.clone()),
        (key::DATABASE_PASSWORD, password.clone()),
        (key::RABBITMQ_URL, broker.uri.clone()),
        // The program appends a colon and the port; the client of IPFS Cluster recognises an IPv6 address itself.
        (key::IPFS_HOST, uri_host(&kubo.host)),
        (key::IPFS_PORT, kubo.port.to_string()),
        (key::CLUSTER_HOST, cluster.host),
        (key::CLUSTER_PORT, cluster.port.to_string()),
        (key::KRAB_URL, authority(&view.names.host(&view.names.krab), KRAB)),
        (key::KRAB_KEY, keys.krab_auth.to_owned()),
        (key::RTNS, RTNS.to_owned()),
    ]);
    Some(variables)
}

/// The environment of the key server.
pub(super) fn krab(view: &View<'_>) -> Option<BTreeMap<&'static str, String>> {
    let Keys { krab_auth, krab_password, .. } = view.keys?;
    Some(BTreeMap::from([
        // Without a host, so that the program listens on the addresses of both families.
        (key::KRAB_URL, format!(":{KRAB}")),
        (key::KRAB_KEY, krab_auth.to_owned()),
        (key::KRAB_PASSWORD, krab_password.to_owned()),
        (key::KEYSTORE, KEYSTORE.to_owned()),
        (key::LOG_DIR, log_directory(view).to_owned()),
    ]))
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::binding::text;

    use super::*;
    use crate::fixture::{manifests, names, referring, running};

    #[test]
    fn key_server_listens_without_a_host_and_clients_name_one() {
        let object = referring();
        let manifests = manifests(&object, &running(&object));
        let address = |name: &str| {
            let manifest = manifests.iter().find(|manifest| manifest.name() == name).unwrap();
            let secret = serde_json::from_value(manifest.object.clone()).unwrap();
            text(&secret, key::KRAB_URL).unwrap().to_owned()
        };
        assert_eq!(address(&names().krab_environment), format!(":{KRAB}"));
        assert_eq!(address(&names().environment), format!("{}:{KRAB}", names().host(&names().krab)));
    }
}
