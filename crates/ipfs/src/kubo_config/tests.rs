use super::*;

/// The whole configuration in this network, and the user's part.
fn read(provider: &KuboProvider, network: Network) -> (Value, UserConfig) {
    let user = UserConfig::read(provider, network);
    (common(provider, network, &user), user)
}

fn provider(config: &Value) -> KuboProvider {
    serde_json::from_value(json!({ "kuboConfig": config })).unwrap()
}

#[test]
fn fields_of_the_user_are_merged() {
    let provider = provider(&json!({"Datastore": {"StorageMax": "50GB"}, "Gateway": {"NoFetch": true}}));
    let (config, user) = read(&provider, Network::Public);
    assert_eq!(config["Datastore"]["StorageMax"], "50GB");
    assert_eq!(config["Datastore"]["GCPeriod"], "1h");
    assert_eq!(config["Gateway"]["NoFetch"], true);
    assert!(user.refused.is_empty());
}

#[test]
fn fields_that_break_a_peer_are_refused() {
    let provider = provider(
        &json!({"Identity": {"PeerID": "x"}, "Addresses": {"API": "/ip4/127.0.0.1/tcp/1", "Announce": ["/ip4/1.2.3.4/tcp/4001"]}}),
    );
    let (config, user) = read(&provider, Network::Public);
    assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
    assert_eq!(config["Addresses"]["Announce"][0], "/ip4/1.2.3.4/tcp/4001");
    assert_eq!(config.get("Identity"), None);
    let refused = user.refused.join("; ");
    assert!(
        refused.contains("Identity is managed by the controller") && refused.contains("Addresses.API"),
        "{refused}"
    );
}

#[test]
fn file_of_2019_is_refused_at_once() {
    let provider = provider(&json!({
        "Identity": {"PeerID": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"},
        "Addresses": {"Swarm": ["/ip4/0.0.0.0/tcp/4001"], "API": "/ip4/0.0.0.0/tcp/5001"},
        "API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["*"]}},
        "Datastore": {"StorageMax": "1GB", "GCPeriod": "1h"},
        "Discovery": {"MDNS": {"Enabled": true, "Interval": 10}},
        "Reprovider": {"Interval": "12h", "Strategy": "all"},
        "Swarm": {"ConnMgr": {"Type": "basic", "LowWater": 600}, "EnableRelayHop": false},
    }));
    let message = UserConfig::read(&provider, Network::Private).fatal.unwrap();
    for about in [
        "Reprovider.Interval was removed: use Provide.DHT.Interval",
        "Reprovider.Strategy was removed",
        "Identity is managed",
        "Addresses.API is managed",
        "Addresses.Swarm is managed",
        "Discovery.MDNS is managed",
        "Access-Control-Allow-Origin has *",
        "Swarm.EnableRelayHop has no effect: use Swarm.RelayService.Enabled",
    ] {
        assert!(message.contains(about), "{about}: {message}");
    }
    assert_eq!(message.matches(WHERE).count(), 1);
}

#[test]
fn rpc_is_not_opened_to_all_web_pages() {
    for (name, origins) in [
        ("Access-Control-Allow-Origin", json!(["*"])),
        ("access-control-allow-origin", json!(["https://app.example.com", "https://*"])),
    ] {
        let provider = provider(&json!({"api": {"httpheaders": {name: origins, "X-Other": ["1"]}}}));
        let (config, user) = read(&provider, Network::Public);
        assert!(user.refused[0].contains("list the origins"));
        assert_eq!(config["api"]["httpheaders"], json!({"X-Other": ["1"]}));
    }
    let named =
        provider(&json!({"API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["https://app.example.com"]}}}));
    let user = UserConfig::read(&named, Network::Public);
    assert!(user.refused.is_empty() && user.fatal.is_none());
}

#[test]
fn spelling_and_empty_sections_bypass_no_check() {
    let provider =
        provider(&json!({"addresses": {"api": "/ip4/127.0.0.1/tcp/1"}, "Addresses": null, "bootstrap": ["x"]}));
    let (config, user) = read(&provider, Network::Private);
    assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
    assert_eq!(config["addresses"], json!({}));
    assert_eq!((config.get("bootstrap"), &config["Bootstrap"]), (None, &json!([])));
    assert_eq!(user.refused.len(), 2);
}

#[test]
fn private_network_contacts_no_outsider() {
    let provider = provider(&json!({"Bootstrap": ["/dnsaddr/bootstrap.libp2p.io/p2p/x"]}));
    let (config, user) = read(&provider, Network::Private);
    assert_eq!(config["Bootstrap"], json!([]));
    assert_eq!(config["Routing"]["Type"], "none");
    assert_eq!(config["Addresses"]["Swarm"], json!(["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]));
    assert!(!config.to_string().contains("auto"), "{config}");
    assert_eq!(user.refused.len(), 1);
    assert_eq!(read(&provider, Network::Public).0["Bootstrap"][0], "/dnsaddr/bootstrap.libp2p.io/p2p/x");
}

#[test]
fn repository_may_fill_nine_tenths_of_the_volume() {
    let provider = KuboProvider::default();
    assert_eq!(read(&provider, Network::Public).0["Datastore"]["StorageMax"], "9663676416B");
}
