use k8s_openapi::ByteString;

use super::*;

fn secret(keys: &[(&str, &[u8])]) -> Secret {
    let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
    Secret { data: Some(data), ..Secret::default() }
}

/// Host, username and password of a Secret.
fn login(keys: &[(&str, &[u8])]) -> Outcome<(String, String, String)> {
    read("spec.secret", "theirs", Some(&secret(keys)), "keys", |given| {
        let (host, username, password) = (given.host("host"), given.required("username"), given.required("password"));
        Some((host?, username?, password?))
    })
}

fn message(outcome: &Outcome<(String, String, String)>) -> &str {
    match &outcome.read {
        Err(Stalled { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn outer_line_breaks_and_marks_are_removed_and_reported() {
    for (written, about) in [
        ("hunter2\n", Some("line break")),
        ("hunter2\r\n", Some("line break")),
        ("hunter2\n\n", Some("line break")),
        ("\u{feff}hunter2", Some("byte order mark")),
        ("\u{feff}hunter2\r\n", Some("byte order mark")),
        ("hunter2", None),
    ] {
        let cleaned = clean(written).unwrap();
        assert_eq!(cleaned.text, "hunter2", "{written:?}");
        assert_eq!(cleaned.remark.is_some(), about.is_some(), "{written:?}");
        assert!(cleaned.remark.unwrap_or_default().contains(about.unwrap_or_default()), "{written:?}");
    }
}

#[test]
fn outer_space_is_kept_and_reported() {
    for written in [" hunter2", "hunter2 ", "hunter2\u{a0}"] {
        let cleaned = clean(written).unwrap();
        assert_eq!(cleaned.text, written);
        assert!(cleaned.remark.unwrap().contains("space"));
    }
}

#[test]
fn control_characters_within_a_value_are_refused() {
    for written in ["a\nb", "a\r\nb\n", "a\0", "\0", "a\tb", "a\u{200b}b", "a\u{feff}b", "\u{fffd}", "a\u{85}b"] {
        assert!(clean(written).is_err(), "{written:?}");
    }
}

#[test]
fn value_made_with_echo_is_read_without_its_line_break() {
    let outcome = login(&[("host", b"db\n"), ("username", b"me\r\n"), ("password", b"s3cret\n")]);
    assert_eq!(outcome.read, Ok(("db".to_owned(), "me".to_owned(), "s3cret".to_owned())));
    assert_eq!(outcome.remarks.len(), 3);
    let (_, statement) = outcome.into_result("theirs", &[]);
    let said = format!("{statement:?}");
    assert!(said.contains("Adapted") && said.contains("the key password ends with a line break"), "{said}");
    assert!(!said.contains("s3cret"));
}

#[test]
fn all_errors_are_reported_with_the_existing_keys() {
    let outcome = login(&[("hots", b"db"), ("username", b"a\nb"), ("password", b"\xff\xfe")]);
    let message = message(&outcome);
    for about in [
        "the key host is absent or empty",
        "found hots, password, username",
        "the key username contains a line break",
        "the key password is not UTF-8 text",
        "spec.secret",
    ] {
        assert!(message.contains(about), "{about}: {message}");
    }
    let (read, statement) = outcome.into_result("theirs", &[]);
    assert!(read.is_err() && format!("{statement:?}").contains("Refused"));
}

#[test]
fn empty_secret_names_every_key_that_is_missing() {
    assert!(message(&login(&[])).contains("the keys host, username, password are absent or empty, found no key"));
}

#[test]
fn other_spellings_are_read_and_the_exact_key_wins() {
    for (host, user, word) in
        [("hostname", "user", "pass"), ("PGHOST", "PGUSER", "PGPASSWORD"), ("Host", "db-username", "db_password")]
    {
        let outcome = login(&[(host, b"db"), (user, b"me"), (word, b"s3cret")]);
        assert_eq!(outcome.read, Ok(("db".to_owned(), "me".to_owned(), "s3cret".to_owned())), "{host}");
        assert!(outcome.remarks.contains(&format!("{user} is read as username")), "{:?}", outcome.remarks);
    }
    let outcome = login(&[("host", b"db"), ("user", b"other"), ("username", b"me"), ("password", b"s3cret")]);
    assert_eq!(outcome.read.unwrap().1, "me");
    assert_eq!(outcome.remarks, ["user differs from username and is ignored"]);
}

#[test]
fn only_the_first_of_many_spellings_are_read() {
    let separated =
        |number: u32| (0..15).map(|bit| if (number >> bit) & 1 == 0 { '_' } else { '.' }).collect::<String>();
    let mut data: BTreeMap<String, ByteString> =
        (0..20_000).map(|number| (format!("{}h{0}ost", separated(number)), ByteString(b"db\n".to_vec()))).collect();
    data.extend(
        [("username", "me"), ("password", "pw")].map(|(key, value)| (key.to_owned(), ByteString(value.into()))),
    );
    let secret = Secret { data: Some(data), ..Secret::default() };
    let outcome = read("f", "s", Some(&secret), "keys", |given| {
        Some((given.host("host")?, given.required("username")?, given.required("password")?))
    });
    assert_eq!(outcome.read.unwrap().0, "db");
    assert!(outcome.remarks.len() <= 2 * MOST_SPELLINGS, "{}", outcome.remarks.len());
}

#[test]
fn spelling_that_repeats_the_value_needs_no_remark() {
    let outcome = login(&[("host", b"db"), ("user", b"me"), ("username", b"me"), ("password", b"s3cret")]);
    assert!(outcome.read.is_ok());
    assert_eq!(outcome.remarks, [] as [&str; 0]);
}

#[test]
fn uri_fills_in_absent_keys_and_reports_contradictions() {
    let parts = BTreeMap::from([("host", "other".to_owned()), ("username", "me".to_owned())]);
    let data = secret(&[("url", b"x://"), ("host", b"db")]);
    let outcome = read("f", "s", Some(&data), "keys", |given| {
        assert_eq!(given.uri(|_| Ok(parts)), Ok(true));
        Some((given.host("host")?, given.required("username")?))
    });
    assert_eq!(outcome.read, Ok(("db".to_owned(), "me".to_owned())));
    assert!(outcome.remarks.iter().any(|remark| remark.contains("differs from the key host")), "{:?}", outcome.remarks);
}

#[test]
fn host_with_scheme_port_or_path_is_refused() {
    for host in ["http://kubo", "db:5432", "db/x", "a b", "u@db", "[db"] {
        let outcome = login(&[("host", host.as_bytes()), ("username", b"u"), ("password", b"p")]);
        assert!(message(&outcome).contains("the key host "), "{host}");
    }
    for (host, read) in [("[fd00::1]", "fd00::1"), ("fd00::1", "fd00::1"), (" db ", "db"), ("10.0.0.1", "10.0.0.1")] {
        let outcome = login(&[("host", host.as_bytes()), ("username", b"u"), ("password", b"p")]);
        assert_eq!(outcome.read.unwrap().0, read);
    }
}

#[test]
fn invalid_port_is_refused() {
    let port = |text: &[u8]| {
        let data = secret(&[("port", text)]);
        read("f", "s", Some(&data), "keys", |given| Some(given.port("port", 1))).read
    };
    assert_eq!(port(b" 5432\n"), Ok(5432));
    for wrong in [&b"0"[..], b"65536", b"-1", b"x"] {
        assert!(format!("{:?}", port(wrong)).contains("is not a port number"), "{wrong:?}");
    }
}

#[test]
fn verbatim_value_that_needs_cleaning_is_refused() {
    for (written, about) in
        [("pw\n", "line break"), ("\u{feff}pw", "byte order mark"), ("a\nb", "line break"), ("", "absent")]
    {
        let data = secret(&[("password", written.as_bytes())]);
        let outcome = read("f", "s", Some(&data), "keys", |given| given.verbatim("password"));
        assert!(format!("{:?}", outcome.read).contains(about), "{written:?}");
    }
    let data = secret(&[("password", b"pw")]);
    assert_eq!(read("f", "s", Some(&data), "keys", |given| given.verbatim("password")).read, Ok("pw".to_owned()));
}

#[test]
fn missing_secret_is_stalled_and_never_as_written() {
    let outcome = read("spec.secret", "theirs", None, "the key a", |given| given.required("a"));
    let (read, statement) = outcome.into_result("theirs", &[]);
    assert!(format!("{read:?}").contains("Secret/theirs does not exist; create it with the key a"));
    assert!(format!("{statement:?}").contains("Refused"));
}

#[test]
fn binary_data_of_a_config_map_is_read_as_text_or_refused() {
    let map = ConfigMap {
        binary_data: Some(BTreeMap::from([("a".to_owned(), ByteString(b"\xff\xfeh\0".to_vec()))])),
        data: Some(BTreeMap::from([("b".to_owned(), "c".to_owned())])),
        ..ConfigMap::default()
    };
    let texts = texts_of_map(map);
    assert_eq!(texts["b"], "c");
    assert!(clean(&texts["a"]).is_err());
}

#[test]
fn certificate_authority_may_have_several_lines() {
    let document = |text: &[u8]| {
        let data = secret(&[("ca.crt", text)]);
        read("f", "s", Some(&data), "keys", |given| Some(given.document("ca.crt", 100))).read
    };
    let authority = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
    assert_eq!(document(format!("{authority}\n").as_bytes()), Ok(Some(authority.to_owned())));
    assert_eq!(document(b""), Ok(None));
    for wrong in [b"no certificate".to_vec(), format!("{authority}{}", "A".repeat(100)).into_bytes()] {
        assert!(format!("{:?}", document(&wrong)).contains("the key ca.crt is not a certificate"));
    }
}
