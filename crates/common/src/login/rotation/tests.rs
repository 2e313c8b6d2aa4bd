use super::{super::parse, *};

fn wanted<'a>(user: Option<&'a str>, password: Option<&'a str>, rotation: Option<&'a str>) -> Wanted<'a> {
    Wanted { base: Some("temporal"), user, password, rotation }
}

fn login(number: u32, username: &str, password: &str, named: bool) -> Login {
    Login { number, username: username.to_owned(), password: password.to_owned(), named, rotation: None }
}

fn bound(number: u32) -> Bound {
    Bound { number: Some(number), username: "temporal_a".to_owned(), scope: "temporal".to_owned() }
}

#[test]
fn generated_logins_take_turns() {
    let first = next(&wanted(None, None, None), None, None).unwrap();
    assert_eq!((first.number, first.username.as_deref().unwrap(), first.password), (1, "temporal_a", None));
    let newest = login(1, "temporal_a", "x", false);
    assert!(next(&wanted(None, None, None), Some(&newest), None).is_none());
    let second = next(&wanted(None, None, Some("may")), Some(&newest), None).unwrap();
    assert_eq!(
        (second.number, second.username.as_deref().unwrap(), second.rotation.as_deref()),
        (2, "temporal_b", Some("may"))
    );
}

#[test]
fn lost_login_secrets_leave_the_login_in_use() {
    let next = next(&wanted(None, None, None), None, Some(&bound(3))).unwrap();
    assert_eq!((next.number, next.username.as_deref().unwrap()), (4, "temporal_b"));
}

#[test]
fn one_request_rotates_once() {
    let newest = Login { rotation: Some("may".to_owned()), ..login(2, "temporal_b", "x", false) };
    assert!(next(&wanted(None, None, Some("may")), Some(&newest), None).is_none());
    assert!(next(&wanted(None, None, None), Some(&newest), None).is_none());
}

#[test]
fn changed_password_makes_the_next_login_of_the_same_name() {
    let newest = login(1, "postgres", "old", true);
    let changed = next(&wanted(Some("postgres"), Some("new"), None), Some(&newest), None).unwrap();
    assert_eq!((changed.username.as_deref().unwrap(), changed.password.as_deref()), ("postgres", Some("new")));
}

#[test]
fn removed_password_keeps_the_last_one() {
    let newest = login(1, "postgres", "old", true);
    assert!(next(&wanted(Some("postgres"), None, None), Some(&newest), None).is_none());
}

#[test]
fn changed_name_makes_another_login() {
    let newest = login(3, "postgres", "old", true);
    let changed = next(&wanted(Some("app"), None, None), Some(&newest), None).unwrap();
    assert_eq!((changed.number, changed.username.as_deref().unwrap(), changed.password), (4, "app", None));
}

fn numbers(login_state: Option<fn(&Login) -> LoginState>, held: u32) -> (Option<u32>, Option<u32>, Option<u32>) {
    let logins = [login(1, "temporal_a", "x", false), login(2, "temporal_b", "y", false)];
    let bound = bound(held);
    let rotation = Rotation::new("a", &logins, Some(&bound), &wanted(None, None, None), login_state);
    let number = |login: Option<&Login>| login.map(|login| login.number);
    (number(rotation.active()), number(rotation.pending()), number(rotation.to_set()))
}

#[test]
fn newest_usable_login_is_active_else_the_bound_one() {
    assert_eq!(numbers(Some(|_| LoginState::Usable), 1), (Some(2), None, None));
    assert_eq!(numbers(Some(|_| LoginState::Absent), 1), (Some(1), None, Some(2)));
    assert_eq!(numbers(None, 1), (Some(1), None, None));
}

#[test]
fn login_in_use_waits_only_during_a_rotation() {
    assert_eq!(numbers(Some(|_| LoginState::Blocked), 1), (Some(1), Some(2), None));
    let logins = [login(1, "temporal_a", "x", false)];
    let bound = bound(1);
    let login_state = Some(|_: &Login| LoginState::Blocked);
    let rotation = Rotation::new("a", &logins, Some(&bound), &wanted(None, None, None), login_state);
    assert_eq!((rotation.pending(), rotation.to_set()), (None, Some(&logins[0])));
}

#[test]
fn bound_login_stays_until_the_binding_holds_a_newer_one() {
    let absent = |held| {
        let logins = [login(1, "temporal_a", "x", false), login(2, "temporal_b", "y", false)];
        let bound = bound(held);
        let login_state = Some(|_: &Login| LoginState::Usable);
        let rotation = Rotation::new("a", &logins, Some(&bound), &wanted(None, None, None), login_state);
        let manifests = rotation.manifests(DeletionPolicy::Retain);
        manifests.iter().filter(|one| matches!(one.mode, crate::manifest::Mode::Absent)).count()
    };
    assert_eq!((absent(1), absent(2)), (0, 1));
}

#[test]
fn login_restored_without_annotations_rotates_nothing() {
    let drawn = "0123456789abcdefABCDEF0123456789";
    for (username, named) in [("temporal_a", false), ("temporal_b", false), (drawn, false), ("app", true)] {
        let mut bare = secret("x-database-login-3".to_owned(), &[(USERNAME, username), (PASSWORD, "p")]);
        let login = parse(&bare, "x-database", Some("may")).unwrap();
        assert_eq!((login.number, login.named, login.rotation.as_deref()), (3, named, Some("may")), "{username}");
        let user = named.then_some("app");
        assert!(next(&wanted(user, None, Some("may")), Some(&login), None).is_none());
        let bound = Bound { number: Some(3), username: username.to_owned(), scope: String::new() };
        let logins = [login];
        let asked = wanted(user, None, Some("may"));
        let rotation = Rotation::new("x-database", &logins, Some(&bound), &asked, None::<fn(&Login) -> LoginState>);
        let again = rotation.manifests(DeletionPolicy::Retain);
        let again: Secret = serde_json::from_value(again[0].object.clone()).unwrap();
        bare.metadata = again.metadata;
        let login = parse(&bare, "x-database", None).unwrap();
        assert_eq!((login.number, login.named, login.rotation.as_deref()), (3, named, Some("may")), "{username}");
    }
    let binding = secret("x-login-2-database-binding".to_owned(), &[(USERNAME, "app"), (PASSWORD, "p")]);
    assert_eq!(parse(&numbered(binding, 1), "x", None), None);
}

/// A rotation between drawn names, with the state of each login.
fn drawn<'a>(logins: &'a [Login], bound: &'a Bound, login_states: &[LoginState]) -> Rotation<'a> {
    let login_states = login_states.to_vec();
    let login_state = move |login: &Login| login_states[login.number as usize - 1];
    Rotation::new("a", logins, Some(bound), &Wanted { base: None, ..wanted(None, None, None) }, Some(login_state))
}

#[test]
fn drawn_name_and_password_are_random() {
    let wanted = Wanted { base: None, ..wanted(None, None, None) };
    let rotation = Rotation::new("a", &[], None, &wanted, None::<fn(&Login) -> LoginState>);
    let [manifest] = &rotation.manifests(DeletionPolicy::Retain)[..] else { panic!() };
    let crate::manifest::Mode::Once { drawn } = &manifest.mode else { panic!() };
    assert_eq!(drawn.iter().map(Draw::key).collect::<Vec<_>>(), [USERNAME, PASSWORD]);
    assert!(manifest.object.get("data").is_none(), "{:?}", manifest.object);
}

#[test]
fn previous_drawn_login_works_until_the_next_rotation() {
    let logins = [1, 2, 3].map(|number| login(number, "x", "y", false));
    let held = bound(3);
    let absent = |rotation: &Rotation<'_>| {
        let manifests = rotation.manifests(DeletionPolicy::Retain);
        let absent = manifests.iter().filter(|one| matches!(one.mode, crate::manifest::Mode::Absent));
        absent.map(|one| one.name().to_owned()).collect::<Vec<_>>()
    };
    let outlived = |rotation: &Rotation<'_>| rotation.outlived().map(|login| login.number).collect::<Vec<_>>();
    let works = drawn(&logins, &held, &[LoginState::Usable; 3]);
    assert_eq!((outlived(&works), absent(&works)), (vec![1], Vec::new()), "its name is in no other place");
    let removed = drawn(&logins, &held, &[LoginState::Absent, LoginState::Usable, LoginState::Usable]);
    assert_eq!((outlived(&removed), absent(&removed)), (Vec::new(), vec!["a-login-1".to_owned()]));
    let before = bound(2);
    let unbound = drawn(&logins, &before, &[LoginState::Usable; 3]);
    assert_eq!(outlived(&unbound), Vec::<u32>::new(), "the binding does not have the newest yet");
}

#[test]
fn debug_shows_no_drawn_name() {
    let logins = [login(1, "AKID", "s3cret", false)];
    let held = Bound { username: "AKID".to_owned(), ..bound(1) };
    let shown = format!("{:?}", drawn(&logins, &held, &[LoginState::Usable]));
    assert!(!shown.contains("AKID") && !shown.contains("s3cret"), "{shown}");
}
