use super::*;
use crate::manifest::{self, Mode};
use crate::testkit::cached;

const KEY: &str = "key";

fn made(number: u32, permission: Option<&str>) -> Made {
    let mut secret = numbered(manifest::secret(format!("x-{number}"), &[(KEY, "old")]), number);
    let annotations = permission.map(|permission| (FULL_RESTART.to_owned(), permission.to_owned()));
    secret.metadata.annotations = Some(annotations.into_iter().collect());
    Made::parse(secret).unwrap()
}

/// What is decided where the user wants this value.
fn outcome(made: &[Made], in_use: Option<u32>, permission: Option<&str>, wish: &str) -> String {
    match decide(made, in_use, permission, |newest| newest.text(KEY) != Some(wish)) {
        Decision::Make(next) => format!("make {} {}", next.number, next.permission.unwrap_or_default()),
        decision => format!("{decision:?}").to_lowercase(),
    }
}

#[test]
fn first_secret_is_made_and_kept() {
    assert_eq!(outcome(&[], None, None, "old"), "make 1 ");
    assert_eq!(outcome(&[made(1, None)], Some(1), None, "old"), "keep");
    assert_eq!(outcome(&[made(1, None)], None, Some("may"), "old"), "keep");
}

#[test]
fn secret_restored_without_labels_keeps_its_number() {
    let notes = BTreeMap::from([(FULL_RESTART.to_owned(), "may".to_owned())]);
    let bare = manifest::secret("x-cookie-2".to_owned(), &[(KEY, "old")]);
    let restored = Made::restored(bare.clone(), &notes).unwrap();
    assert_eq!(restored.number, 2);
    assert_eq!(outcome(std::slice::from_ref(&restored), Some(2), Some("may"), "new"), "refused");
    let shared = Shared { made: vec![restored], next: None };
    let manifests = shared.manifests(|number| format!("x-cookie-{number}"), [], DeletionPolicy::Retain);
    let again: Secret = serde_json::from_value(manifests[0].object.clone()).unwrap();
    assert_eq!(again.annotations().get(FULL_RESTART).map(String::as_str), Some("may"));
    assert_eq!(Made::parse(Secret { data: bare.data, ..again }).map(|made| made.number), Some(2));
    // One that has its annotations keeps them; its name decides which one it is.
    let whole = manifest::secret("x-cookie-3".to_owned(), &[(KEY, "old")]);
    let mut whole = numbered(whole, 4);
    whole.metadata.annotations = Some(BTreeMap::from([(OWNER.to_owned(), "uid".to_owned())]));
    let whole = Made::restored(whole, &notes).unwrap();
    assert_eq!((whole.number, whole.annotation(FULL_RESTART)), (3, None));
}

#[test]
fn edit_is_refused_until_each_full_stop_is_permitted() {
    assert_eq!(outcome(&[made(1, None)], Some(1), None, "new"), "refused");
    assert_eq!(outcome(&[made(1, None)], Some(1), Some("may"), "new"), "make 2 may");
    assert_eq!(outcome(&[made(2, Some("may"))], Some(2), Some("may"), "new"), "refused");
    assert_eq!(outcome(&[made(2, Some("may"))], Some(2), Some("june"), "new"), "make 3 june");
}

#[test]
fn lost_secret_in_use_is_replaced_only_if_permitted() {
    assert_eq!(outcome(&[], Some(2), None, "old"), "lost(2)");
    assert_eq!(outcome(&[], Some(2), Some("may"), "old"), "make 3 may");
    assert_eq!(outcome(&[made(1, None)], Some(2), None, "new"), "lost(2)");
    assert_eq!(outcome(&[made(1, None)], Some(2), Some("may"), "old"), "make 3 may");
}

#[test]
fn secret_of_stopping_pods_may_be_lost() {
    assert_eq!(outcome(&[made(2, None)], Some(1), None, "old"), "keep");
}

#[test]
fn members_stop_when_one_has_another_number() {
    let shared = Shared { made: vec![made(1, None), made(2, Some("may"))], next: None };
    assert_eq!(shared.number(), 2);
    assert!(shared.must_stop([Some(2), Some(1)]));
    assert!(!shared.must_stop([Some(2), Some(2)]) && !shared.must_stop([]));
    assert!(shared.is_stopping(Some(0), [Some(2)]) && !shared.is_stopping(Some(0), []));
    assert!(!shared.is_stopping(Some(1), [Some(2)]));
}

#[test]
fn member_without_a_number_stops_nothing() {
    let shared = Shared { made: vec![made(2, Some("may"))], next: None };
    assert!(!shared.must_stop([None, Some(2)]) && !shared.must_stop([None]));
}

#[test]
fn member_with_a_later_number_stops_nothing() {
    let shared = Shared { made: vec![made(2, Some("may"))], next: None };
    assert!(!shared.must_stop([Some(7), Some(2)]));
}

#[test]
fn permission_ends_with_the_restart_that_it_permitted() {
    let mut shared = Shared { made: vec![made(1, None), made(2, Some("may"))], next: None };
    let again = |shared: &Shared, members: &[Option<u32>]| {
        let manifests =
            shared.manifests(|number| format!("x-{number}"), members.iter().copied(), DeletionPolicy::Retain);
        let newest = manifests.iter().find(|one| one.name() == "x-2").unwrap();
        newest.object["metadata"]["annotations"].clone()
    };
    for under_way in [&[][..], &[Some(1), Some(1)], &[Some(1), Some(2)], &[None]] {
        assert!(again(&shared, under_way).is_null(), "{under_way:?}");
    }
    assert!(shared.must_stop([Some(1)]));
    let marks = again(&shared, &[Some(2)]);
    assert_eq!(marks, serde_json::json!({COMPLETED: "true"}));
    shared.made[1].secret.annotations_mut().insert(COMPLETED.to_owned(), "true".to_owned());
    assert!(!shared.must_stop([Some(1), Some(2)]));
    assert!(!shared.is_stopping(Some(2), [Some(1), Some(2)]));
}

#[test]
fn first_secret_needs_no_mark() {
    let shared = Shared { made: vec![made(1, None)], next: None };
    let manifests = shared.manifests(|number| format!("x-{number}"), [Some(1)], DeletionPolicy::Retain);
    assert!(manifests[0].object["metadata"]["annotations"].is_null());
}

#[test]
fn nothing_stops_without_a_permission() {
    let shared = Shared { made: vec![made(2, None)], next: None };
    assert!(!shared.must_stop([Some(1), None]));
}

fn secret(name: &str, number: &str, permission: Option<&str>) -> (&'static str, serde_json::Value) {
    let annotations = permission.map(|permission| serde_json::json!({FULL_RESTART: permission}));
    let metadata = serde_json::json!({"name": name, "labels": {NUMBER: number}, "annotations": annotations});
    ("Secret", serde_json::json!({"metadata": metadata, "data": {KEY: "eA=="}}))
}

fn pod(name: &str, number: &str, controller: Option<&str>) -> (&'static str, serde_json::Value) {
    let owner = |uid| serde_json::json!([{"apiVersion": "", "kind": "", "name": "", "uid": uid, "controller": true}]);
    let metadata = serde_json::json!({
        "name": name, "annotations": {NUMBER: number}, "ownerReferences": controller.map(owner),
    });
    ("Pod", serde_json::json!({ "metadata": metadata }))
}

#[test]
fn copies_and_unpermitted_successors_are_ignored() {
    let children = cached(&[
        secret("x-1", "1", None),
        secret("copy", "3", Some("may")),
        secret("x-2", "2", None),
        secret("x-4294967295", "4294967295", Some("may")),
    ]);
    let numbers: Vec<_> =
        series(&children, |number| format!("x-{number}"), &[KEY], None, &[]).iter().map(|made| made.number).collect();
    assert_eq!(numbers, [1]);
}

#[test]
fn secret_of_orphaned_pods_counts_as_in_use() {
    let left = cached(&[pod("set-0", "2", None), pod("dbg", "9", None)]);
    assert_eq!(in_use(&left, "set"), Some(2));
    let set = (
        "StatefulSet",
        serde_json::json!({
            "metadata": {"name": "set", "ownerReferences": pod("", "", Some("ours")).1["metadata"]["ownerReferences"]},
            "spec": {"template": {"metadata": {"annotations": {NUMBER: "3"}}}, "selector": {}},
        }),
    );
    assert_eq!(in_use(&cached(&[pod("set-0", "2", None), set.clone()]), "set"), Some(3));
    assert_eq!(in_use(&cached(&[pod("set-0", "2", Some("set")), set.clone()]), "set"), Some(2));
    let adopted = pod("set-1", "7", Some("set"));
    assert_eq!(in_use(&cached(&[pod("set-0", "2", Some("set")), adopted.clone(), set.clone()]), "set"), Some(2));
    assert_eq!(in_use(&cached(&[adopted, set]), "set"), Some(3));
    assert_eq!(in_use(&cached(&[]), "set"), None);
}

#[test]
fn pods_stop_for_the_new_secret_when_all_are_lost() {
    let next = NextSecret { number: 3, permission: Some("may".to_owned()), ..NextSecret::default() };
    let shared = Shared { made: Vec::new(), next: Some(next) };
    assert_eq!(shared.number(), 3);
    assert!(shared.must_stop([Some(2)]));
    let stalled = Shared::default();
    assert_eq!((stalled.number(), stalled.must_stop([Some(2)])), (1, false));
}

#[test]
fn secret_stays_until_all_members_have_the_next() {
    let shared = Shared { made: vec![made(1, None), made(2, Some("may"))], next: None };
    let absent = |members: &[Option<u32>]| {
        let members = members.iter().copied();
        let manifests = shared.manifests(|number| format!("x-{number}"), members, DeletionPolicy::Retain);
        let absent = manifests.iter().filter(|one| matches!(one.mode, Mode::Absent));
        absent.map(|one| one.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(absent(&[Some(2), Some(1)]), [] as [&str; 0]);
    assert_eq!(absent(&[]), [] as [&str; 0], "nobody has been seen with the next");
    assert_eq!(absent(&[Some(2)]), ["x-1"]);
}

#[test]
fn next_secret_has_its_values_and_its_permission() {
    let next = NextSecret {
        number: 2,
        permission: Some("may".to_owned()),
        given: BTreeMap::from([(KEY, "new".to_owned())]),
        drawn: vec![Draw::Letters("other")],
        annotations: BTreeMap::from([("mode".to_owned(), "private".to_owned())]),
    };
    assert!(!format!("{next:?}").contains("new"));
    let shared = Shared { made: vec![made(1, None)], next: Some(next) };
    let manifests = shared.manifests(|number| format!("x-{number}"), [Some(1)], DeletionPolicy::Retain);
    let [kept, next] = &manifests[..] else { panic!("{manifests:?}") };
    assert_eq!((kept.name(), kept.object.get("data")), ("x-1", None));
    let read = Made::parse(serde_json::from_value(next.object.clone()).unwrap()).unwrap();
    assert_eq!((read.number, read.text(KEY)), (2, Some("new")));
    assert_eq!((read.annotation(FULL_RESTART), read.annotation("mode")), (Some("may"), Some("private")));
    assert!(matches!(&next.mode, Mode::Once { drawn } if drawn[0].key() == "other"));
}
