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
fn a_kubo_without_ipv6_listens_on_ipv4_alone() {
    let object = fixture::of_size(1);
    let provider = fixture::well(&object, 1).provider;
    let config = kubo_config::common(&provider, Network::Private);
    let edited = edited(PREPARE_KUBO, "sed -i", &[], &config.to_string());
    let addresses = serde_json::from_str::<serde_json::Value>(&edited).unwrap()["Addresses"].clone();
    assert_eq!(
        addresses,
        json!({"API": ["/ip4/0.0.0.0/tcp/5001"], "Gateway": ["/ip4/0.0.0.0/tcp/8080"], "Swarm": ["/ip4/0.0.0.0/tcp/4001"]})
    );
}

#[test]
fn an_ipfs_cluster_without_ipv6_listens_on_ipv4_alone() {
    let object = fixture::of_size(1);
    let variables = cluster_env(&fixture::well(&object, 1));
    let lines: Vec<String> =
        variables.into_iter().map(|variable| format!("{}={}\n", variable.name, variable.value.unwrap())).collect();
    assert!(lines.iter().any(|line| line == "CLUSTER_LISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9096,/ip6/::/tcp/9096\n"));
    let edited = edited(PREPARE_CLUSTER, "env | sed", &["-n"], &lines.concat());
    assert_eq!(
        edited,
        "export CLUSTER_LISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9096\n\
         export CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS=/ip4/0.0.0.0/tcp/9094\n"
    );
}

#[test]
fn peers_are_found_by_names_of_either_family() {
    let object = fixture::of_size(2);
    let secret = super::super::secret::peers(&object, &fixture::well(&object, 2), 2);
    for (key, value) in secret.data.unwrap() {
        let text = String::from_utf8(value.0).unwrap();
        assert!(
            text.contains("/dns/temporal-ipfscluster-1.") || text.contains("/dns/temporal-ipfscluster-0."),
            "{key}"
        );
        assert!(!text.contains("/dns4/") && !text.contains("/dns6/"), "{key}");
    }
}
