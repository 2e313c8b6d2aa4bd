//! The scripts of the Job that moves data as they run, with stand-ins for the programs of PostgreSQL.

use temporal_stack_common::testkit::Sandbox;

use super::moving::job::script;
use crate::names::{ANALYZE, COMPARE, COPY, REHEARSE};

const VARIABLES: [(&str, &str); 27] = [
    ("SOURCE_HOST", "old"),
    ("SOURCE_PORT", "5432"),
    ("SOURCE_USERNAME", "reader"),
    ("SOURCE_PASSWORD", "s3cret-old"),
    ("SOURCE_DATABASE", "a"),
    ("SOURCE_OPTIONS", "-c search_path=pg_catalog"),
    ("TARGET_HOST", "new"),
    ("TARGET_PORT", "5432"),
    ("TARGET_USERNAME", "administrator"),
    ("TARGET_PASSWORD", "s3cret-new"),
    ("TARGET_DATABASE", "b"),
    ("TARGET_CONNECTION", "dbname='b'"),
    ("LOGIN_USERNAME", "login"),
    ("LOGIN_PASSWORD", "s3cret-login"),
    ("OWNER", "b_owner"),
    ("SCRATCH", "scratch"),
    ("IS_EMPTY", "is empty"),
    ("IS_STILL", "is still"),
    ("CLOSED_AS", "closed as"),
    ("NEEDS", "needs"),
    ("PROVIDE", "provide"),
    ("MADE_BEFORE", "made before"),
    ("NOT_COPIED", "not copied"),
    ("MAKE_SCRATCH", "make scratch"),
    ("DROP_SCRATCH", "drop scratch"),
    ("INVENTORY", "inventory"),
    ("OF_OTHERS", "of others"),
];
/// What the list of a dump has.
const LIST: &str = "1; 2615 77 SCHEMA - made reader
2; 3079 5 EXTENSION - hstore
3; 0 0 COMMENT - EXTENSION hstore
4; 1259 9 TABLE public EXTENSION reader";

/// Servers that agree: each program shows where, as whom and with which arguments it was called, and what it was sent.
fn servers() -> Sandbox {
    let pod = Sandbox::default();
    pod.directory("/tmp");
    pod.program("sleep", "");
    answer(&pod, "", "");
    pod.program("pg_dump", r#"echo "pg_dump $PGHOST as $PGUSER $*" >&2; echo "the data of $PGDATABASE""#);
    restores(&pod, "");
    pod
}

/// Both servers answer this statement with these words, and the others as they do when everything is in order.
fn answer(pod: &Sandbox, statement: &str, words: &str) {
    let lines = format!(
        r#"sent=$(cat); echo "psql $PGHOST as $PGUSER [$PGOPTIONS] $PGDATABASE $* <- $sent" >&2
           case $sent in
             "{statement}") echo "{words}";; "is empty") echo t;; "is still") echo still;; "closed as") echo 7;;
             needs) echo "\\! sh";; "made before") echo "; 2615 77 SCHEMA ";; "not copied") echo '"x"."y z"';;
           esac"#
    );
    pod.program("psql", &lines);
}

/// A restore that ends with these lines.
fn restores(pod: &Sandbox, lines: &str) {
    let program = format!(
        "if [ $1 = --list ]; then echo '{LIST}'; exit; fi
         echo \"pg_restore $PGHOST as $PGUSER $*\" >> /tmp/restored
         case $* in *--use-list*) echo \"list $(cat /tmp/list)\" >> /tmp/restored;; *) cat >> /tmp/restored;; esac
         {lines}"
    );
    pod.program("pg_restore", &program.replace("/tmp/", &format!("{}/", pod.path("/tmp").display())));
}

fn run(pod: &Sandbox, container: &str) -> (bool, String) {
    let (succeeded, output) = pod.run("sh", &script(container), &["/tmp"], &VARIABLES);
    let restored = std::fs::read_to_string(pod.path("/tmp/restored")).unwrap_or_default();
    (succeeded, output + &restored)
}

#[track_caller]
fn assert_fails(pod: &Sandbox, container: &str, words: &str) {
    let (succeeded, output) = run(pod, container);
    assert!(!succeeded && output.contains(words), "`{words}` is not in: {output}");
}

#[test]
fn rehearsal_restores_the_definitions_into_another_database() {
    let (succeeded, output) = run(&servers(), REHEARSE);
    assert!(succeeded, "{output}");
    for part in [
        "pg_dump old as reader --format=custom --compress=0 --section=pre-data --section=post-data --no-owner",
        "[-c search_path=pg_catalog] scratch",
        "pg_restore new as login --exit-on-error --role=b_owner --dbname=dbname=scratch --enable-row-security --no-owner",
        "<- drop scratch",
    ] {
        // What the dump reports goes to a file.
        let reported = part.starts_with("pg_dump");
        assert!(reported || output.contains(part), "`{part}` is not in: {output}");
    }
    assert!(!output.contains("the data of"), "{output}");
}

#[test]
fn rehearsal_refuses_what_the_copy_would_meet() {
    let pod = servers();
    answer(&pod, "is empty", "f");
    assert_fails(&pod, REHEARSE, "the database on the new server is not empty");
    let pod = servers();
    pod.program("pg_dump", "echo 'pg_dump: error: denied' >&2; echo 'DETAIL: a row' >&2; exit 1");
    assert_fails(&pod, REHEARSE, "the old server cannot be read: pg_dump: error: denied");
    let pod = servers();
    restores(&pod, "echo 'pg_restore: error: refused' >&2; echo 'DETAIL: a row' >&2; exit 1");
    assert_fails(&pod, REHEARSE, "refused a part of the copy: pg_restore: error: refused");
    assert!(!run(&pod, REHEARSE).1.contains("DETAIL"));
}

#[test]
fn copy_gives_up_while_the_source_is_not_still() {
    let pod = servers();
    answer(&pod, "is still", "it has sessions of analyst");
    // Ten seconds pass from one look at the clock to the next.
    let clock = pod.path("/tmp/clock");
    let clock = clock.display();
    pod.program("date", &format!("now=$(cat {clock} 2> /dev/null || echo 0); echo $((now + 10)) | tee {clock}"));
    assert_fails(&pod, COPY, "the old server does not become still: it has sessions of analyst");
    let (_, output) = run(&pod, COPY);
    assert!(!output.contains("pg_dump") && output.matches("<- is still").count() < 10, "{output}");
}

#[test]
fn copy_runs_as_the_login_and_in_parts() {
    let (succeeded, output) = run(&servers(), COPY);
    assert!(succeeded, "{output}");
    for part in [
        "--section=pre-data --use-list",
        "--section=data\nthe data of a",
        "--section=post-data --use-list",
        "list 4; 1259 9 TABLE public EXTENSION reader\n",
    ] {
        assert!(output.contains(part), "`{part}` is not in: {output}");
    }
    assert!(!output.contains("pg_restore new as administrator") && !output.contains("hstore"), "{output}");
    assert!(!output.contains("s3cret"), "a password is in an argument: {output}");
}

#[test]
fn answer_of_the_source_is_a_value_on_the_target() {
    let (_, output) = run(&servers(), COPY);
    assert!(output.contains("--set=needs=\\! sh --set=owner=b_owner --file=- <- provide"), "{output}");
}

#[test]
fn administrator_has_a_search_path_of_its_own() {
    for container in [REHEARSE, COPY, COMPARE, ANALYZE] {
        let (_, output) = run(&servers(), container);
        let sessions: Vec<&str> = output.lines().filter(|line| line.starts_with("psql")).collect();
        let is_safe = |line: &&str| line.contains("[-c search_path=pg_catalog]");
        assert!(!sessions.is_empty() && sessions.iter().all(is_safe), "{output}");
        assert!(sessions.iter().all(|line| line.contains("VERBOSITY=terse")), "{output}");
    }
}

#[test]
fn copy_that_is_cut_off_fails() {
    let pod = servers();
    pod.program("pg_dump", "case $* in *--section=data*) echo half; exit 1;; esac");
    assert_fails(&pod, COPY, "could not be read to the end");
}

#[test]
fn copy_that_the_target_refuses_fails() {
    let pod = servers();
    restores(&pod, "case $* in *--section=data*) exit 1;; esac");
    assert_fails(&pod, COPY, "the new server refused a part of the copy");
}

/// A pod in which the copy has ended while the source was closed in this version.
fn copied(version: &str) -> Sandbox {
    let pod = servers();
    pod.write("/tmp/closed_as", &format!("{version}\n"));
    pod
}

#[test]
fn difference_fails_and_is_shown() {
    let (succeeded, output) = run(&copied("7"), COMPARE);
    assert!(succeeded && output.contains("no difference"), "{output}");
    let pod = copied("7");
    pod.program("psql", r#"cat > /dev/null; echo "rows of public.a|$PGHOST""#);
    for part in ["the copy differs", "< rows of public.a|old", "> rows of public.a|new"] {
        assert_fails(&pod, COMPARE, part);
    }
}

#[test]
fn source_that_was_opened_meanwhile_fails() {
    assert_fails(&copied("6"), COMPARE, "the old server was opened to its clients before the copy was complete");
}

#[test]
fn object_of_another_owner_fails() {
    let pod = copied("7");
    answer(&pod, "of others", "public.a");
    assert_fails(&pod, COMPARE, "belongs to the owner's role: public.a");
}

#[test]
fn server_that_cannot_be_counted_fails() {
    let pod = copied("7");
    pod.program("psql", "exit 3");
    assert_fails(&pod, COMPARE, "the old server cannot be counted");
    pod.program("psql", "cat > /dev/null; [ $PGHOST = old ] || exit 3");
    assert_fails(&pod, COMPARE, "the new server cannot be counted");
}
