//! The environment of Temporal: the user's variables, the bindings, keys that are drawn, and defaults that make it usable.
//!
//! | variable | default | why |
//! |---|---|---|
//! | `API_CONNECTION_LIMIT` | 1000000 | requests an hour and client; the program's own is 50, and probes count |
//! | `API_JWT_REALM` | temporal-realm | without one, no route with a login works |
//! | `API_JWT_KEY` | drawn | the program takes an empty one, with which everybody can forge tokens |
//! | `API_SIZELIMITINGIGABYTES` | 1 | without one, every upload fails; an upload is in memory as a whole |
//! | `LOGDIR` | `/var/log/temporal/` | without one, files are written to the image's own directory; the slash is needed |
//! | `GIN_MODE` | release | the web framework says less |
//! | `SERVICES_KRAB_URL`, `…_AUTHKEY`, `…_KEYSTOREPASSWORD` | the key server, drawn, drawn | |
//! | `SERVICES_RTNS_DATASTOREPATH` | a directory of the pod | |

use std::collections::BTreeMap;

use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Bridge, Temporal},
    binding::{authority, uri_host},
};

use crate::{
    access::{Address, Ipfs},
    names::{self, KEYSTORE, KRAB, REST, RPC, RTNS},
    observe::Observed,
    settings::key,
};

/// The limit below which probes over HTTP would use it up.
pub(crate) const ENOUGH_FOR_PROBES: u32 = 2000;
/// Where logs are, unless the user says otherwise.
const LOGS: &str = "/var/log/temporal/";

/// Where logs are written.
pub(crate) fn log_dir(observed: &Observed) -> &str {
    observed.settings.get(key::LOG_DIR).unwrap_or(LOGS)
}

/// Whether probes may ask over HTTP: each counts against the limit of requests.
pub(crate) fn can_probe(observed: &Observed) -> bool {
    let limit = observed.settings.get(key::LIMIT).and_then(|limit| limit.parse::<u32>().ok());
    limit.is_none_or(|limit| limit >= ENOUGH_FOR_PROBES)
}

/// Where pods find Kubo and IPFS Cluster: at the bridge beside them, or where they are.
pub(crate) fn ipfs(object: &Temporal, access: &Ipfs) -> Ipfs {
    match object.spec.bridge {
        Bridge::Off => access.clone(),
        Bridge::On => {
            let here = |port| Address { host: "127.0.0.1".to_owned(), port };
            Ipfs { kubo: here(RPC), cluster: here(REST) }
        }
    }
}

/// What the API and the workers read; absent until all of it is known.
pub(crate) fn of_clients(object: &Temporal, observed: &Observed) -> Option<BTreeMap<&'static str, String>> {
    let keys = observed.keys.as_ref()?;
    let database = observed.database.access.as_ref()?;
    let broker = observed.queue.access.as_ref()?;
    let ipfs = ipfs(object, observed.ipfs.access.as_ref()?);
    let krab = authority(&names::host(object, &names::krab(object)), KRAB);
    let mut variables = BTreeMap::from([
        (key::LIMIT, "1000000".to_owned()),
        (key::REALM, "temporal-realm".to_owned()),
        (key::JWT_KEY, keys.jwt.clone()),
        (key::SIZE_LIMIT, "1".to_owned()),
        (key::LOG_DIR, LOGS.to_owned()),
        (key::GIN_MODE, "release".to_owned()),
    ]);
    variables.extend(observed.settings.variables.iter().map(|(name, value)| (*name, value.clone())));
    variables.extend([
        (key::DATABASE_URL, database.host.clone()),
        // An empty port would swallow the next word of the program's connection string.
        (key::DATABASE_PORT, database.port.to_string()),
        (key::DATABASE_USERNAME, database.username.clone()),
        (key::DATABASE_PASSWORD, database.password.clone()),
        (key::RABBITMQ_URL, broker.uri.clone()),
        // The program puts a colon and the port behind it; the client of IPFS Cluster knows an address of IPv6 by itself.
        (key::IPFS_HOST, uri_host(&ipfs.kubo.host)),
        (key::IPFS_PORT, ipfs.kubo.port.to_string()),
        (key::CLUSTER_HOST, ipfs.cluster.host),
        (key::CLUSTER_PORT, ipfs.cluster.port.to_string()),
        (key::KRAB_URL, krab),
        (key::KRAB_KEY, keys.krab.clone()),
        (key::RTNS, RTNS.to_owned()),
    ]);
    Some(variables)
}

/// What the key server reads.
pub(crate) fn of_krab(observed: &Observed) -> Option<BTreeMap<&'static str, String>> {
    let keys = observed.keys.as_ref()?;
    Some(BTreeMap::from([
        (key::KRAB_URL, format!("0.0.0.0:{KRAB}")),
        (key::KRAB_KEY, keys.krab.clone()),
        (key::KRAB_PASSWORD, keys.keystore.clone()),
        (key::KEYSTORE, KEYSTORE.to_owned()),
        (key::LOG_DIR, log_dir(observed).to_owned()),
    ]))
}

/// What restarts the API and the workers when it changes: what the user set and what the dependencies said, not what a newer
/// controller adds. A key of 190 bits is in it, so no weak password can be guessed from its hash.
pub(crate) fn wanted(observed: &Observed) -> Value {
    let keys = observed.keys.as_ref().map(|keys| [&keys.jwt, &keys.krab]);
    let database = observed.database.access.as_ref();
    let database = database.map(|access| json!([access.host, access.port, access.username, access.password]));
    let broker = observed.queue.access.as_ref().map(|access| &access.uri);
    json!([observed.settings.variables, keys, database, broker])
}
