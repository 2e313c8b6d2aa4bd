//! `prepare.sh` as it runs, with a directory in place of the volume and stand-ins for the programs that it calls.

use temporal_stack_common::testkit::Sandbox;

use super::stateful_set::prepare_script;

const NODE: &str = "rabbit@t-messagequeue-0.t-messagequeue-pods.a.svc";
const OTHER: &str = "rabbit@old-messagequeue-0.old-messagequeue-pods.b.svc";
const BASE: &str = "/var/lib/rabbitmq/mnesia";
const MEMBERS: &str = "/run/temporal-stack/members/members";

/// An empty volume, and what a pod is given.
fn pod() -> Sandbox {
    let pod = Sandbox::default();
    for (path, text) in [
        ("cookie/erlang-cookie", "cookie"),
        ("config/rabbitmq.conf", ""),
        ("config/enabled_plugins", ""),
        ("administrator/username", "administrator"),
        ("administrator/password", "secret"),
    ] {
        pod.write(&format!("/run/temporal-stack/{path}"), text);
    }
    for directory in ["/dev", "/etc/rabbitmq", "/tmp", "/var/lib/rabbitmq"] {
        pod.directory(directory);
    }
    for (program, lines) in
        [("erl", "exit 0"), ("getent", "exit 0"), ("rabbitmq-server", "exit 0"), ("rabbitmqctl", "exit 1")]
    {
        pod.program(program, lines);
    }
    pod
}

/// Runs the script in the pod with this ordinal.
fn prepare(pod: &Sandbox, ordinal: u32) -> (bool, String) {
    let name = format!("t-messagequeue-{ordinal}");
    let variables = [
        ("HOME", "/var/lib/rabbitmq"),
        ("RABBITMQ_MNESIA_BASE", BASE),
        ("RABBITMQ_NODENAME", &NODE.replace("t-messagequeue-0", &name)),
        ("POD_NAME", &name),
        ("POD_IP", "10.0.0.1"),
        ("ERL_INETRC", "/etc/rabbitmq/inetrc"),
        ("RABBITMQ_CONF_ENV_FILE", "/etc/rabbitmq/rabbitmq-env.conf"),
    ];
    pod.run(
        "bash",
        &prepare_script(),
        &["/run/temporal-stack", "/etc/rabbitmq", "/tmp/configuration", "/dev/termination-log"],
        &variables,
    )
}

/// What a finished start of a node leaves.
fn write_data(pod: &Sandbox, node: &str) {
    pod.write(&format!("{BASE}/{node}/rabbit_serial"), "1");
    pod.write(&format!("{BASE}/{node}/msg_stores/vhosts/x/message"), "precious");
}

fn has_message(pod: &Sandbox, base: &str, node: &str) -> bool {
    pod.has(&format!("{base}/{node}/msg_stores/vhosts/x/message"), "precious")
}

#[test]
fn first_node_with_an_empty_volume_founds_a_cluster() {
    let (succeeded, output) = prepare(&pod(), 0);
    assert!(succeeded && output.contains("founding a cluster"), "{output}");
}

#[test]
fn remains_of_a_start_that_was_cut_short_are_removed() {
    let pod = pod();
    pod.write(&format!("{BASE}/{NODE}/schema.DAT"), "half");
    pod.write(&format!("{BASE}/{NODE}-feature_flags"), "half");
    let (succeeded, output) = prepare(&pod, 0);
    assert!(succeeded && output.contains("founding a cluster"), "{output}");
    assert_eq!(pod.entries(BASE), [] as [&str; 0]);
}

#[test]
fn node_with_its_data_starts() {
    let pod = pod();
    write_data(&pod, NODE);
    let (succeeded, output) = prepare(&pod, 0);
    assert!(succeeded && output.contains("found the data of"), "{output}");
    assert!(has_message(&pod, BASE, NODE));
}

#[test]
fn data_of_another_node_are_refused_and_kept() {
    for has_left in [false, true] {
        let pod = pod();
        write_data(&pod, OTHER);
        if has_left {
            pod.write(&format!("{BASE}/left"), "");
        }
        let (succeeded, output) = prepare(&pod, 0);
        assert!(
            !succeeded && output.contains(OTHER) && output.contains("PersistentVolumeClaim/data-t-messagequeue-0"),
            "{output}"
        );
        assert!(has_message(&pod, BASE, OTHER));
    }
}

#[test]
fn data_of_another_node_beside_the_base_are_refused_and_kept() {
    let pod = pod();
    let path = format!("/var/lib/rabbitmq/{OTHER}/msg_stores/vhosts/x/message");
    pod.write(&path, "precious");
    assert!(!prepare(&pod, 0).0);
    assert!(pod.has(&path, "precious"));
}

#[test]
fn volume_that_answers_with_an_error_is_not_empty() {
    for broken in ["rabbit_serial", "msg_stores/vhosts"] {
        let pod = pod();
        let precious = format!("{BASE}/{NODE}/quorum/log");
        pod.write(&precious, "precious");
        pod.broken(&format!("{BASE}/{NODE}/{broken}"));
        let (succeeded, output) = prepare(&pod, 0);
        assert!(!succeeded && output.contains("cannot be read") && output.contains("symbolic links"), "{output}");
        assert!(pod.has(&precious, "precious"));
    }
}

#[test]
fn data_after_a_leave_are_set_aside() {
    let pod = pod();
    write_data(&pod, NODE);
    pod.write(&format!("{BASE}/left"), "");
    let (succeeded, output) = prepare(&pod, 0);
    assert!(succeeded && output.contains("set aside") && output.contains("founding"), "{output}");
    let entries = pod.entries("/var/lib/rabbitmq");
    let aside = entries.iter().find(|name| name.starts_with("mnesia.set-aside-")).unwrap();
    assert!(has_message(&pod, &format!("/var/lib/rabbitmq/{aside}"), NODE));
    // What the status of the pod has of it.
    let told = std::fs::read_to_string(pod.path("/dev/termination-log")).unwrap();
    assert!(told.contains(NODE) && told.trim_end().ends_with(aside.as_str()), "{told}");
}

#[test]
fn node_with_its_data_writes_no_termination_message() {
    let pod = pod();
    write_data(&pod, NODE);
    assert!(prepare(&pod, 0).0);
    assert!(!pod.path("/dev/termination-log").exists());
}

#[test]
fn first_node_founds_nothing_beside_known_members() {
    let pod = pod();
    pod.write(MEMBERS, &format!("{NODE}\n{}\n", NODE.replace("t-messagequeue-0", "t-messagequeue-1")));
    let (succeeded, output) = prepare(&pod, 0);
    assert!(!succeeded && output.contains("waiting for one of") && output.contains("paused"), "{output}");
}

#[test]
fn unreadable_members_are_not_absent() {
    let pod = pod();
    pod.broken(MEMBERS);
    let (succeeded, output) = prepare(&pod, 0);
    assert!(!succeeded && output.contains("cannot be read") && !output.contains("founding"), "{output}");
}

#[test]
fn other_blank_node_waits_for_a_member() {
    let (succeeded, output) = prepare(&pod(), 1);
    assert!(!succeeded && output.contains("waiting for one of") && output.contains("paused"), "{output}");
}
