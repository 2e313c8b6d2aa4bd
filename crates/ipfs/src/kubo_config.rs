//! Kubo's configuration: what the controller decides, with the user's own merged in.

mod check;
mod fields;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use temporal_stack_common::{
    api::{KuboProvider, Network},
    manifest::bytes,
};

use crate::{
    identity::Key,
    names::{GATEWAY, RPC, SWARM},
};

/// Another Kubo of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// Its host name.
    pub(crate) host: String,
    /// Its peer ID.
    pub(crate) id: String,
}

/// Where the user's configuration is in the spec.
const WHERE: &str = "spec.provider.kubo.kuboConfig";
/// How many settings a message lists.
const LISTED: usize = 20;
/// The header with which the RPC says which web pages may use it.
const ORIGIN: &str = "Access-Control-Allow-Origin";

/// What the user may not set, with what breaks.
const DECIDED: &[(&str, &str)] = &[
    ("/Identity", "each peer has an identity of its own"),
    ("/Addresses/API", "IPFS Cluster and the controller use the RPC there"),
    ("/Addresses/Gateway", "probes and the gateway's Service lead there"),
    ("/Addresses/Swarm", "the peers find each other there"),
    ("/API/Authorizations", "neither IPFS Cluster nor Temporal can send credentials"),
    ("/Peering", "the controller tells peers of each other"),
    ("/Discovery/MDNS", "peers know each other by name"),
    ("/Datastore/Spec", "a repository keeps the layout that it was made with"),
    ("/Internal/ShutdownTimeout", "a pod has only so long to stop"),
    ("/Pubsub/Enabled", "spec.provider.kubo.pubsub says it"),
];

/// The same in a private network, which these would open or which they would keep from starting.
const DECIDED_IN_PRIVATE: &[(&str, &str)] = &[
    ("/Bootstrap", "a private network has no others to bootstrap from"),
    ("/AutoConf", "it asks the public network"),
    ("/AutoTLS", "it asks the public network"),
    ("/Routing", "it asks the public network"),
    ("/Swarm/Transports/Network", "only TCP can keep others out by a swarm key"),
];

/// What is configured of every Kubo alike: all but its identity and neighbours.
pub(crate) fn common(provider: &KuboProvider, network: Network) -> Value {
    let mut config = json!({
        "API": {"HTTPHeaders": {}},
        "Addresses": {
            "API": tcp(RPC),
            "Gateway": tcp(GATEWAY),
            "Swarm": swarm(network),
        },
        "Datastore": {
            "BloomFilterSize": 0,
            "GCPeriod": "1h",
            "HashOnRead": false,
            "Spec": {
                "mounts": [
                    {
                        "mountpoint": "/blocks",
                        "path": "blocks",
                        "prefix": "flatfs.datastore",
                        "shardFunc": "/repo/flatfs/shard/v1/next-to-last/2",
                        // A pin that was reported must survive the loss of power.
                        "sync": true,
                        "type": "flatfs",
                    },
                    {
                        "compression": "none",
                        "mountpoint": "/",
                        "path": "datastore",
                        "prefix": "leveldb.datastore",
                        "type": "levelds",
                    },
                ],
                "type": "mount",
            },
            "StorageGCWatermark": 90,
            "StorageMax": storage_max(provider),
        },
        "Discovery": {"MDNS": {"Enabled": false}},
        "Internal": {"ShutdownTimeout": "40s"},
        "Pubsub": {"Enabled": provider.pubsub},
        // Nobody opens ports of a router for a pod.
        "Swarm": {"DisableNatPortMap": true},
    });
    let of_network = match network {
        Network::Public => json!({
            "Bootstrap": ["auto"],
            "DNS": {"Resolvers": {".": "auto"}},
            "Ipns": {"DelegatedPublishers": ["auto"]},
            "Routing": {"DelegatedRouters": ["auto"]},
        }),
        Network::Private => json!({
            "AutoConf": {"Enabled": false},
            "AutoTLS": {"Enabled": false},
            "Bootstrap": [],
            "DNS": {"Resolvers": {}},
            "HTTPRetrieval": {"Enabled": false},
            "Ipns": {"DelegatedPublishers": []},
            "Provide": {"Enabled": false},
            // All peers are connected with each other, so nobody has to be looked for.
            "Routing": {"DelegatedRouters": [], "Type": "none"},
            "Swarm": {
                "EnableHolePunching": false,
                "RelayClient": {"Enabled": false},
                "RelayService": {"Enabled": false},
                "Transports": {"Network": {
                    "QUIC": false, "Relay": false, "WebRTCDirect": false, "WebTransport": false, "Websocket": false,
                }},
            },
        }),
    };
    merge(&mut config, &of_network);
    let mine = config.clone();
    for (key, value) in taken(provider, network).0 {
        merge(&mut config, &json!({ key: value }));
    }
    // A section that the user has emptied must not take with it what is decided.
    for (pointer, _) in decided(network) {
        if let Some(value) = mine.pointer(pointer) {
            put(&mut config, pointer, value);
        }
    }
    config
}

/// The configuration of one Kubo.
pub(crate) fn of_peer(common: &Value, key: &Key, neighbours: &[Neighbour]) -> Value {
    let mut config = common.clone();
    let peers: Vec<_> = neighbours
        .iter()
        .map(|peer| json!({"ID": peer.id, "Addrs": [format!("/dns/{}/tcp/{SWARM}", peer.host)]}))
        .collect();
    config["Identity"] = json!({"PeerID": key.id, "PrivKey": key.private});
    config["Peering"] = json!({ "Peers": peers });
    config
}

/// What the user asked for: a change of it restarts peers.
pub(crate) fn wishes(provider: &KuboProvider) -> Value {
    // How large the repository may become follows the volume at the next start: a volume grows under its running pod.
    json!([provider.pubsub, provider.kubo_config])
}

/// What is refused of the user's configuration, a sentence each.
pub(crate) fn refused(provider: &KuboProvider, network: Network) -> Vec<String> {
    taken(provider, network).1
}

/// What of the user's configuration has no effect, a sentence each.
pub(crate) fn ignored(provider: &KuboProvider, network: Network) -> Vec<String> {
    let given = taken(provider, network).0;
    let ignored = check::check(&given, provider.image.as_deref()).ignored;
    ignored.into_iter().map(|what| format!("{WHERE}: {what}")).collect()
}

/// Why Kubo would not start with the user's configuration: all that is wrong with it, and what is refused and has no effect besides, so
/// that one edit is enough.
pub(crate) fn fatal(provider: &KuboProvider, network: Network) -> Option<String> {
    let (given, refused) = taken(provider, network);
    let checked = check::check(&given, provider.image.as_deref());
    if checked.fatal.is_empty() {
        return None;
    }
    let refused = refused.iter().map(|what| what.trim_start_matches(WHERE).trim_start_matches(": ").to_owned());
    let mut all: Vec<String> = checked.fatal.into_iter().chain(refused).chain(checked.ignored).collect();
    let more = all.len().saturating_sub(LISTED);
    all.truncate(LISTED);
    all.extend((more > 0).then(|| format!("and {more} more")));
    Some(format!("{WHERE}: Kubo does not start with it; correct or remove: {}", all.join("; ")))
}

fn taken(provider: &KuboProvider, network: Network) -> (Map<String, Value>, Vec<String>) {
    let given: BTreeMap<_, _> = provider.kubo_config.clone();
    let mut given = Value::Object(given.into_iter().collect());
    let mut refused = Vec::new();
    for (pointer, why) in decided(network) {
        if remove(&mut given, pointer) {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            refused.push(format!("{WHERE}: {name} is decided by the controller, because {why}; remove it"));
        }
    }
    if remove_open_origins(&mut given) {
        refused.push(format!(
            "{WHERE}: API.HTTPHeaders.{ORIGIN} has *, with which every web page that a user of the RPC opens controls the peer; name the origins"
        ));
    }
    match given {
        Value::Object(fields) => (fields, refused),
        _ => (Map::new(), refused),
    }
}

fn decided(network: Network) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let private = DECIDED_IN_PRIVATE.iter().filter(move |_| network == Network::Private);
    DECIDED.iter().chain(private)
}

/// Takes a field out, however it is spelt: Kubo reads its keys in any case. `true` if it was there.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some(fields) = value.as_object_mut() else { return false };
    let path = pointer.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let spelt: Vec<String> = fields.keys().filter(|key| key.eq_ignore_ascii_case(first)).cloned().collect();
    let mut was_there = false;
    for key in spelt {
        was_there |= match fields.get_mut(&key) {
            Some(field) if !rest.is_empty() => remove(field, rest),
            _ => fields.remove(&key).is_some(),
        };
    }
    was_there
}

/// Takes out origins that stand for all. `true` if there was one.
fn remove_open_origins(given: &mut Value) -> bool {
    let fields = given.as_object_mut().into_iter().flatten().filter(|(key, _)| key.eq_ignore_ascii_case("API"));
    let api = fields.filter_map(|(_, value)| value.as_object_mut()).flatten();
    let headers = api.filter(|(key, _)| key.eq_ignore_ascii_case("HTTPHeaders"));
    let mut was_there = false;
    for headers in headers.filter_map(|(_, value)| value.as_object_mut()) {
        let is_open =
            |value: &Value| value.as_str().is_some_and(|origin| ["*", "http://*", "https://*"].contains(&origin));
        headers.retain(|name, origins| {
            let has_open = name.eq_ignore_ascii_case(ORIGIN)
                && (is_open(origins) || origins.as_array().is_some_and(|list| list.iter().any(is_open)));
            was_there |= has_open;
            !has_open
        });
    }
    was_there
}

/// Sets a field, in sections that are made where they are missing.
fn put(into: &mut Value, pointer: &str, value: &Value) {
    let mut place = into;
    for key in pointer.trim_start_matches('/').split('/') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    place.clone_from(value);
}

/// Puts the fields of one object over those of another.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// All addresses of both families: Kubo takes each for what it says. What a pod without IPv6 cannot listen on is taken out by
/// `prepare-kubo.sh`.
fn tcp(port: u16) -> [String; 2] {
    [format!("/ip4/0.0.0.0/tcp/{port}"), format!("/ip6/::/tcp/{port}")]
}

/// A swarm key works with TCP only.
fn swarm(network: Network) -> Vec<String> {
    let tcp = tcp(SWARM);
    let quic = [format!("/ip4/0.0.0.0/udp/{SWARM}/quic-v1"), format!("/ip6/::/udp/{SWARM}/quic-v1")];
    match network {
        Network::Public => tcp.into_iter().chain(quic).collect(),
        Network::Private => tcp.into(),
    }
}

/// Nine tenths of the volume: the rest is for the state of IPFS Cluster and for what is being fetched.
fn storage_max(provider: &KuboProvider) -> String {
    let size = bytes(&provider.storage.size.0).unwrap_or_default();
    format!("{}B", size / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(config: &Value) -> KuboProvider {
        serde_json::from_value(json!({ "kuboConfig": config })).unwrap()
    }

    #[test]
    fn the_users_fields_are_merged_into_what_the_controller_writes() {
        let provider = provider(&json!({"Datastore": {"StorageMax": "50GB"}, "Gateway": {"NoFetch": true}}));
        let config = common(&provider, Network::Public);
        assert_eq!(config["Datastore"]["StorageMax"], "50GB");
        assert_eq!(config["Datastore"]["GCPeriod"], "1h");
        assert_eq!(config["Gateway"]["NoFetch"], true);
        assert!(refused(&provider, Network::Public).is_empty());
    }

    #[test]
    fn what_would_break_a_peer_is_refused() {
        let provider = provider(
            &json!({"Identity": {"PeerID": "x"}, "Addresses": {"API": "/ip4/127.0.0.1/tcp/1", "Announce": ["/ip4/1.2.3.4/tcp/4001"]}}),
        );
        let config = common(&provider, Network::Public);
        assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
        assert_eq!(config["Addresses"]["Announce"][0], "/ip4/1.2.3.4/tcp/4001");
        assert_eq!(config.get("Identity"), None);
        let refused = refused(&provider, Network::Public).join("; ");
        assert!(
            refused.contains("Identity is decided by the controller") && refused.contains("Addresses.API"),
            "{refused}"
        );
    }

    #[test]
    fn a_whole_file_of_2019_is_refused_at_once() {
        let provider = provider(&json!({
            "Identity": {"PeerID": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"},
            "Addresses": {"Swarm": ["/ip4/0.0.0.0/tcp/4001"], "API": "/ip4/0.0.0.0/tcp/5001"},
            "API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["*"]}},
            "Datastore": {"StorageMax": "1GB", "GCPeriod": "1h"},
            "Discovery": {"MDNS": {"Enabled": true, "Interval": 10}},
            "Reprovider": {"Interval": "12h", "Strategy": "all"},
            "Swarm": {"ConnMgr": {"Type": "basic", "LowWater": 600}, "EnableRelayHop": false},
        }));
        let message = fatal(&provider, Network::Private).unwrap();
        for about in [
            "Reprovider.Interval was removed: use Provide.DHT.Interval",
            "Reprovider.Strategy was removed",
            "Identity is decided",
            "Addresses.API is decided",
            "Addresses.Swarm is decided",
            "Discovery.MDNS is decided",
            "Access-Control-Allow-Origin has *",
            "Swarm.EnableRelayHop has no effect: use Swarm.RelayService.Enabled",
        ] {
            assert!(message.contains(about), "{about}: {message}");
        }
        assert_eq!(message.matches(WHERE).count(), 1);
    }

    #[test]
    fn the_rpc_is_not_opened_to_all_web_pages() {
        for (name, origins) in [
            ("Access-Control-Allow-Origin", json!(["*"])),
            ("access-control-allow-origin", json!(["https://app.example.com", "https://*"])),
        ] {
            let provider = provider(&json!({"api": {"httpheaders": {name: origins, "X-Other": ["1"]}}}));
            assert!(refused(&provider, Network::Public)[0].contains("name the origins"));
            let config = common(&provider, Network::Public);
            assert_eq!(config["api"]["httpheaders"], json!({"X-Other": ["1"]}));
        }
        let named =
            provider(&json!({"API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["https://app.example.com"]}}}));
        assert!(refused(&named, Network::Public).is_empty() && fatal(&named, Network::Public).is_none());
    }

    #[test]
    fn no_spelling_and_no_empty_section_gets_around_that() {
        let provider =
            provider(&json!({"addresses": {"api": "/ip4/127.0.0.1/tcp/1"}, "Addresses": null, "bootstrap": ["x"]}));
        let config = common(&provider, Network::Private);
        assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
        assert_eq!(config["addresses"], json!({}));
        assert_eq!((config.get("bootstrap"), &config["Bootstrap"]), (None, &json!([])));
        assert_eq!(refused(&provider, Network::Private).len(), 2);
    }

    #[test]
    fn a_private_network_asks_nobody_outside() {
        let provider = provider(&json!({"Bootstrap": ["/dnsaddr/bootstrap.libp2p.io/p2p/x"]}));
        let config = common(&provider, Network::Private);
        assert_eq!(config["Bootstrap"], json!([]));
        assert_eq!(config["Routing"]["Type"], "none");
        assert_eq!(config["Addresses"]["Swarm"], json!(["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]));
        assert!(!config.to_string().contains("auto"), "{config}");
        assert_eq!(refused(&provider, Network::Private).len(), 1);
        assert_eq!(common(&provider, Network::Public)["Bootstrap"][0], "/dnsaddr/bootstrap.libp2p.io/p2p/x");
    }

    #[test]
    fn the_repository_may_fill_nine_tenths_of_the_volume() {
        let provider = KuboProvider::default();
        assert_eq!(common(&provider, Network::Public)["Datastore"]["StorageMax"], "9663676416B");
    }
}
