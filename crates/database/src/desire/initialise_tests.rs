//! `initialise.sh` as it runs, with a directory in place of the volume and stand-ins for the programs that it calls.

use temporal_stack_common::testkit::Sandbox;

use super::stateful_set::initialise_script;

const VOLUME: &str = "/var/lib/postgresql/data";
const PGDATA: &str = "/var/lib/postgresql/data/pgdata";

/// An empty volume.
fn pod() -> Sandbox {
    let pod = Sandbox::default();
    pod.directory(VOLUME);
    pod.program("postgres", "echo 'postgres (PostgreSQL) 17.6'");
    pod.program("hostname", "echo t-postgresdatabase-0");
    pod.program(
        "initdb",
        r#"directory=${1#--pgdata=}; mkdir "$directory"; echo 17 > "$directory/PG_VERSION"; touch "$directory/pg_hba.conf""#,
    );
    pod
}

fn initialise(pod: &Sandbox) -> (bool, String) {
    let variables = [("PGDATA", PGDATA), ("ADMINISTRATOR", "administrator")];
    pod.run("sh", &initialise_script(false), &["/etc/administrator"], &variables)
}

#[test]
fn user_without_a_name_gets_one_for_initdb() {
    let pod = pod();
    pod.directory("/scratch");
    pod.program("getent", "exit 2");
    let initialise = |pod: &Sandbox| {
        let variables = [("PGDATA", PGDATA), ("ADMINISTRATOR", "administrator"), ("TMPDIR", "/scratch")];
        pod.run("sh", &initialise_script(true), &["/etc/administrator", "/usr/lib/"], &variables)
    };
    pod.program("initdb", "exit 1");
    let (succeeded, output) = initialise(&pod);
    assert!(!succeeded && output.contains("has no name, and the image has no libnss_wrapper"), "{output}");
    pod.write("/usr/lib/arch/libnss_wrapper.so", "x");
    pod.program("initdb", r#"mkdir "${1#--pgdata=}"; cat "$NSS_WRAPPER_PASSWD" > "${1#--pgdata=}/PG_VERSION""#);
    let (succeeded, output) = initialise(&pod);
    assert!(succeeded, "{output}");
    let id = |flag: &str| {
        let output = std::process::Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let named = format!("postgres:x:{}:{}:PostgreSQL:/tmp:/bin/false\n", id("-u"), id("-g"));
    assert!(pod.has(&format!("{PGDATA}/PG_VERSION"), &named));
}

#[test]
fn empty_volume_gets_a_data_directory() {
    let pod = pod();
    pod.write(&format!("{PGDATA}.new/PG_VERSION"), "half");
    pod.directory(&format!("{VOLUME}/lost+found"));
    let (succeeded, output) = initialise(&pod);
    assert!(succeeded, "{output}");
    assert!(pod.has(&format!("{PGDATA}/PG_VERSION"), "17\n"));
}

#[test]
fn data_of_this_version_start() {
    let pod = pod();
    pod.write(&format!("{PGDATA}/PG_VERSION"), "17\n");
    pod.write(&format!("{PGDATA}/base/1"), "precious");
    assert!(initialise(&pod).0);
    assert!(pod.has(&format!("{PGDATA}/base/1"), "precious"));
}

#[test]
fn damaged_data_are_refused_and_kept() {
    for version in [None, Some("")] {
        let pod = pod();
        pod.write(&format!("{PGDATA}/base/1"), "precious");
        version.inspect(|version| drop(pod.write(&format!("{PGDATA}/PG_VERSION"), version)));
        let (succeeded, output) = initialise(&pod);
        assert!(!succeeded && output.contains("damaged") && output.contains("data-t-postgresdatabase-0"), "{output}");
        assert!(pod.has(&format!("{PGDATA}/base/1"), "precious"));
    }
}

#[test]
fn data_directory_elsewhere_on_the_volume_is_refused() {
    for directory in [VOLUME.to_owned(), format!("{VOLUME}/data"), format!("{VOLUME}/18/docker")] {
        let pod = pod();
        pod.write(&format!("{directory}/PG_VERSION"), "17\n");
        let (succeeded, output) = initialise(&pod);
        assert!(!succeeded && output.contains("refusing to start empty"), "{output}");
        assert!(pod.has(&format!("{directory}/PG_VERSION"), "17\n"));
    }
}

#[test]
fn server_that_ran_beside_the_data_directory_is_kept() {
    let pod = pod();
    pod.write(&format!("{PGDATA}.new/PG_VERSION"), "17\n");
    pod.write(&format!("{PGDATA}.new/postmaster.opts"), "");
    assert!(!initialise(&pod).0);
    assert!(pod.has(&format!("{PGDATA}.new/PG_VERSION"), "17\n"));
}

#[test]
fn volume_that_answers_with_an_error_is_not_empty() {
    for broken in [format!("{PGDATA}/PG_VERSION"), PGDATA.to_owned()] {
        let pod = pod();
        pod.broken(&broken);
        let (succeeded, output) = initialise(&pod);
        assert!(!succeeded && output.contains("cannot be read"), "{output}");
    }
}
