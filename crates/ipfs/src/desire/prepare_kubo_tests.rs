//! `prepare-kubo.sh` as it runs, with a directory in place of the volume and a stand-in for Kubo.

use temporal_stack_common::testkit::Sandbox;

use super::stateful_set::prepare_kubo;

const REPOSITORY: &str = "/data/kubo";

/// An empty volume, and what a pod is given.
fn pod() -> Sandbox {
    let pod = Sandbox::default();
    pod.write("/run/temporal-stack/peers/t-ipfscluster-0.kubo.json", "config");
    pod.program("ipfs", r#"cp "$3" "$IPFS_PATH/config"; echo spec > "$IPFS_PATH/datastore_spec""#);
    pod
}

fn prepare(pod: &Sandbox) -> (bool, String) {
    let variables = [("IPFS_PATH", REPOSITORY), ("POD_NAME", "t-ipfscluster-0"), ("PEERS_SECRET", "t-peers")];
    pod.run("sh", &prepare_kubo(), &["/run/temporal-stack"], &variables)
}

#[test]
fn empty_volume_gets_a_repository() {
    let pod = pod();
    pod.write(&format!("{REPOSITORY}/config"), "half");
    let (succeeded, output) = prepare(&pod);
    assert!(succeeded && output.contains("creating a repository"), "{output}");
    assert_eq!(pod.entries(REPOSITORY), ["config", "datastore_spec"]);
}

#[test]
fn repository_gets_its_configuration_and_nothing_else() {
    for config in [Some("older"), None] {
        let pod = pod();
        pod.write(&format!("{REPOSITORY}/datastore_spec"), "spec of the blocks");
        pod.write(&format!("{REPOSITORY}/blocks/x"), "precious");
        config.inspect(|config| drop(pod.write(&format!("{REPOSITORY}/config"), config)));
        let (succeeded, output) = prepare(&pod);
        assert!(succeeded && !output.contains("creating"), "{output}");
        assert!(pod.has(&format!("{REPOSITORY}/config"), "config"));
        assert!(pod.has(&format!("{REPOSITORY}/datastore_spec"), "spec of the blocks"));
    }
}

#[test]
fn blocks_without_their_specification_are_refused_and_kept() {
    for directory in ["blocks", "datastore"] {
        let pod = pod();
        let block = format!("{REPOSITORY}/{directory}/x");
        pod.write(&block, "precious");
        let (succeeded, output) = prepare(&pod);
        assert!(!succeeded && output.contains("datastore_spec"), "{output}");
        assert!(pod.has(&block, "precious"));
    }
}

#[test]
fn repository_that_answers_with_an_error_is_not_empty() {
    for broken in ["datastore_spec", "blocks"] {
        let pod = pod();
        pod.broken(&format!("{REPOSITORY}/{broken}"));
        let (succeeded, output) = prepare(&pod);
        assert!(!succeeded && output.contains("cannot be read"), "{output}");
    }
}
