use serde_json::json;

use super::*;
use crate::testkit::cached;

#[test]
fn copy_of_a_login_secret_is_ignored() {
    let secrets = [("a-login-1", "1"), ("copy", "2"), ("a-login-4294967295", "4294967295")].map(|(name, number)| {
        let metadata = json!({"name": name, "labels": {NUMBER: number}, "annotations": {NAMED: "false"}});
        ("Secret", json!({"metadata": metadata, "data": {USERNAME: "eA==", PASSWORD: "eA=="}}))
    });
    assert_eq!(numbers(&secrets, None), [1]);
}

/// A login Secret of the object with this UID.
fn login(number: u32, owner: Option<&str>) -> (&'static str, serde_json::Value) {
    let mut metadata = json!({"name": format!("a-login-{number}"), "annotations": {NAMED: "false"}});
    if let Some(owner) = owner {
        metadata["annotations"][annotation::OWNER] = json!(owner);
    }
    ("Secret", json!({"metadata": metadata, "data": {USERNAME: "eA==", PASSWORD: "eA=="}}))
}

/// The numbers of the logins that count for the object `ours`, whose binding has this one.
fn numbers(secrets: &[(&str, serde_json::Value)], held: Option<u32>) -> Vec<u32> {
    let object = ObjectMeta { uid: Some("ours".to_owned()), ..ObjectMeta::default() };
    let bound = held.map(|number| Bound { number: Some(number), username: String::new(), scope: String::new() });
    let logins = read_all(&cached(secrets), &object, "a", bound.as_ref());
    logins.iter().map(|login| login.number).collect()
}

#[test]
fn flood_of_login_secrets_leaves_the_true_logins() {
    let mut secrets: Vec<_> = (1000..3000).map(|number| login(number, None)).collect();
    secrets.extend([login(1_000_000, Some("theirs")), login(7, None), login(8, Some("ours")), login(9, Some("ours"))]);
    let counted = numbers(&secrets, Some(7));
    assert_eq!(counted.len(), MOST);
    assert_eq!(counted[..3], [7, 8, 9]);
}

#[test]
fn logins_of_an_earlier_object_count() {
    assert_eq!(numbers(&[login(3, Some("earlier")), login(4, None)], None), [3, 4]);
}

#[test]
fn newest_logins_count_where_none_is_marked() {
    let secrets: Vec<_> = (1..=20).map(|number| login(number, Some("earlier"))).collect();
    assert_eq!(numbers(&secrets, None), (13..=20).collect::<Vec<_>>());
}

#[test]
fn series_of_logins_are_found_by_their_secrets() {
    let secret = |name: &'static str| ("Secret", json!({"metadata": {"name": name}}));
    let secrets =
        ["x-albums-login-1", "x-albums-login-2", "x-a.b-login-1", "x-login-1", "x-albums-binding", "x-a-login-0"];
    let found: Vec<String> = series(&cached(&secrets.map(secret)), "x").into_iter().collect();
    assert_eq!(found, ["a.b", "albums"]);
}
