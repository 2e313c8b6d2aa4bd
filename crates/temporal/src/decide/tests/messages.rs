//! Every message of this crate, as users read it.

use temporal_stack_common::testkit::texts;

use super::*;

/// What an operator reads, except what is as while all is well.
fn case(title: &str, object: &Temporal, observed: &Observed) -> String {
    let (usual, all) = if object.spec.database.is_some() { (referring(), running(&referring())) } else { elsewhere() };
    let usual = texts(&decide(&usual, &all));
    let lines = texts(&decide(object, observed));
    let lines = lines.into_iter().filter(|line| title.starts_with("running") || !usual.contains(line));
    let lines: Vec<String> = lines.map(|line| format!("  {line}\n")).collect();
    format!("{title}\n{}", lines.concat())
}

#[test]
fn messages_are_as_reviewed() {
    let object = referring();
    let run = |observed: &Observed, is_done, trouble: Option<&str>| {
        let run = Run { is_done, trouble: trouble.map(str::to_owned) };
        observed.jobs.keys().map(|name| (name.clone(), run.clone())).collect()
    };
    let whole = running(&object);
    let mut cases = vec![case("running", &object, &whole), case("fresh", &object, &fresh())];
    for (title, found) in [
        ("no kind", Neighbour::NoKind),
        ("missing", Neighbour::Missing),
        ("unparsable", Neighbour::Unparsable("missing field `spec`".to_owned())),
        ("not ready", not_ready()),
        ("suspended", suspended()),
        ("without binding", ready(&[])),
        ("unusable name", ready(&[("host", "h"), ("username", "u"), ("password", "p"), ("database", "other")])),
        ("unusable password", database("a b")),
    ] {
        let references = References { database: Some(found), ..fresh().references };
        cases.push(case(&format!("database: {title}"), &object, &Observed { references, ..running(&object) }));
    }
    cases.extend(messages_of_variables());
    let unreachable = "PostgreSQL at db refused the session: connection refused".to_owned();
    let tables = Tables { missing: vec!["uploads", "zones"], ..Tables::default() };
    for (title, observed) in vec![
        (
            "queues unreachable",
            Observed { queues: Some(Err("RabbitMQ did not answer within 10 s".to_owned())), ..running(&object) },
        ),
        ("queues missing", Observed { queues: Some(Ok(Vec::new())), ..running(&object) }),
        ("tables unreachable", Observed { tables: Some(Err(unreachable)), ..running(&object) }),
        ("tables missing", Observed { tables: Some(Ok(tables)), ..running(&object) }),
        ("migration not started", Observed { jobs: [].into(), ..running(&object) }),
        ("migration running", Observed { jobs: run(&whole, false, None), ..running(&object) }),
        ("migration in trouble", Observed { jobs: run(&whole, false, Some("exit code 1")), ..running(&object) }),
        ("no set", Observed { krab: None, ..running(&object) }),
        ("no deployments", Observed { deployments: [].into(), ..running(&object) }),
        ("no consumers", Observed { queues: queues(0), ..running(&object) }),
        (
            "lost keys",
            Observed { secrets: [].into(), volume: Some(PersistentVolumeClaim::default()), ..running(&object) },
        ),
    ] {
        cases.push(case(title, &object, &observed));
    }
    cases.extend(messages_of_specs());
    insta::assert_snapshot!(cases.join("\n"));
}

fn messages_of_variables() -> Vec<String> {
    let object = object(&json!({}));
    let (_, whole) = elsewhere();
    let mut cases = vec![
        case("running elsewhere", &object, &whole),
        case("elsewhere, unreachable", &object, &Observed { queues: Some(Err("timeout".to_owned())), ..elsewhere().1 }),
    ];
    let uri = |uri: &'static str| ("RABBITMQ_URL", uri);
    for (key, value) in [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "0.0.0.0.0"),
        ("DATABASE_URL", "localhost"),
        ("DATABASE_PORT", "x"),
        ("DATABASE_PASSWORD", "a'b"),
        ("DATABASE_PASSWORD", "password123"),
        ("API_JWT_KEY", "suchStrongKeyMuchProtectVerySafe"),
        ("UNKNOWN", "x"),
        ("KRAB_URL", "x"),
        uri("x"),
        uri("amqps://a:b@c/"),
        uri("amqp://a:b@127.0.0.1/"),
        uri("amqp://c/"),
        ("IPFS_API_CONNECTION_HOST", "::1"),
        ("CONFIG_DAG", "/x"),
        ("DATABASE_NAME", "x"),
        ("LOGDIR", "/tmp"),
        ("LOGDIR", "x"),
        ("LOGDIR", "/x"),
        ("API_CONNECTION_LIMIT", "x"),
        ("SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE", "x"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "x"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "/x"),
        ("API_CONNECTION_LISTENADDRESS", "x"),
        ("SERVICES_KRAB_URL", "x"),
        ("SERVICES_KRAB_AUTHKEY", "x"),
        ("SERVICES_KRAB_TLS_CERTPATH", "x"),
        ("SERVICES_RTNS_DATASTOREPATH", "x"),
        ("IPFS_KEYSTORE_PATH", "x"),
        ("PAY_TLS_CERTPATH", "x"),
        ("STRIPE_SECRETKEY", "x"),
        ("WALLETS_BTC", "x"),
    ] {
        let variables: Vec<_> = ELSEWHERE.into_iter().filter(|(name, _)| *name != key).chain([(key, value)]).collect();
        let observed = Observed { config: config(&variables), ..elsewhere().1 };
        cases.push(case(&format!("{key}: {value:?}"), &object, &observed));
    }
    cases
}

fn messages_of_specs() -> Vec<String> {
    let mut cases = Vec::new();
    for (title, spec) in [
        ("no workers", json!({"workers": {"pin": {"replicas": 0}, "cluster": {"replicas": 0}}})),
        ("a name that no certificate has", json!({"tls": {"names": ["bücher.example.com"]}})),
    ] {
        let object = referring_with(spec);
        cases.push(case(title, &object, &running(&object)));
    }
    let object = referring_with(json!({"admins": [{"secretName": "first"}]}));
    let tables = Tables { accounts: ["admin".to_owned()].into(), ..Tables::default() };
    let created = || {
        let mut jobs = running(&object).jobs;
        jobs.insert(names().account("first"), Run { is_done: true, trouble: None });
        jobs
    };
    for (title, observed) in [
        ("admin without Secret", running(&object)),
        ("admin missing", Observed { named: [admin("first")].into(), ..running(&object) }),
        (
            "admin created",
            Observed {
                tables: Some(Ok(tables.clone())),
                jobs: created(),
                named: [admin("first")].into(),
                ..running(&object)
            },
        ),
        (
            "admin foreign",
            Observed { tables: Some(Ok(tables.clone())), named: [admin("first")].into(), ..running(&object) },
        ),
    ] {
        cases.push(case(title, &object, &observed));
    }
    let (object, observed) = with_tls(&json!({}));
    cases.push(case("certificate not issued", &object, &observed));
    let (object, observed) = with_tls(&json!({"secretName": "theirs"}));
    cases.push(case("certificate missing", &object, &observed));
    let named = [("theirs".to_owned(), Some(Secret::default()))].into();
    cases.push(case("certificate incomplete", &object, &Observed { named, ..observed }));
    cases
}
