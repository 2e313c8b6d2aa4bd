use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::*;
use crate::fixture;

/// What a program of `sed`, as it stands in a script behind `before`, makes of a text.
fn edited(script: &str, before: &str, arguments: &[&str], text: &str) -> String {
    let (_, rest) = script.split_once(before).unwrap();
    let program = rest.split('\'').nth(1).unwrap();
    let sed = Command::new("sed").args(arguments).arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut sed = sed.unwrap();
    sed.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(sed.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn kubo_without_ipv6_listens_on_ipv4_alone() {
    let object = fixture::of_size(1);
    let observed = fixture::observed(fixture::healthy(&object, 1));
    let view = fixture::view(&object, &observed);
    let config = kubo_config::common(&view.provider, Network::Private, &view.kubo_config);
    let edited = edited(&prepare_kubo(), "sed -i", &[], &config.to_string());
    let addresses = serde_json::from_str::<serde_json::Value>(&edited).unwrap()["Addresses"].clone();
    assert_eq!(
        addresses,
        json!({"API": ["/ip4/0.0.0.0/tcp/5001"], "Gateway": ["/ip4/0.0.0.0/tcp/8080"], "Swarm": ["/ip4/0.0.0.0/tcp/4001"]})
    );
}

#[test]
fn ipfs_cluster_listens_on_the_family_that_exists() {
    let object = fixture::of_size(1);
    let observed = fixture::observed(fixture::healthy(&object, 1));
    let variables = cluster_env(&fixture::view(&object, &observed));
    let lines: Vec<String> =
        variables.into_iter().map(|variable| format!("{}={}\n", variable.name, variable.value.unwrap())).collect();
    assert!(lines.iter().any(|line| line == "CLUSTER_LISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9096,/ip6/::/tcp/9096\n"));
    let without_ipv6 = edited(PREPARE_CLUSTER, "env | sed", &["-n"], &lines.concat());
    assert_eq!(
        without_ipv6,
        "export CLUSTER_LISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9096\n\
         export CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9094\n"
    );
    let (_, without_ipv4) = PREPARE_CLUSTER.split_once("elif").unwrap();
    let without_ipv4 = edited(without_ipv4, "env | sed", &["-n"], &lines.concat());
    assert_eq!(
        without_ipv4,
        "export CLUSTER_IPFSHTTP_NODEMULTIADDRESS=/ip6/::1/tcp/5001\n\
         export CLUSTER_IPFSPROXY_LISTENMULTIADDRESS=/ip6/::1/tcp/9095\n\
         export CLUSTER_IPFSPROXY_NODEMULTIADDRESS=/ip6/::1/tcp/5001\n\
         export CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS=/ip6/::1/tcp/9097\n"
    );
}

#[test]
fn peers_are_found_by_names_of_either_family() {
    let object = fixture::of_size(2);
    let observed = fixture::observed(fixture::healthy(&object, 2));
    let secret = super::super::secret::peers(&fixture::view(&object, &observed), 2);
    for (key, value) in secret.data.unwrap() {
        let text = String::from_utf8(value.0).unwrap();
        assert!(
            text.contains("/dns/temporal-ipfscluster-1.") || text.contains("/dns/temporal-ipfscluster-0."),
            "{key}"
        );
        assert!(!text.contains("/dns4/") && !text.contains("/dns6/"), "{key}");
    }
}
