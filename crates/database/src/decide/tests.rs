use serde_json::{Value, json};
use temporal_stack_common::{
    condition::{CONFIG_HONOURED, Reason},
    login::Login,
    published::CREDENTIALS_PRIVATE,
};

use super::*;
use crate::{
    fixture::{answers, defaults, external, known, login, object, observed, role, with_logins},
    observed::Known,
    postgres::Role,
};

fn decision(spec: &Value, observed: &Observed) -> Decision<Database> {
    decide(&object(spec), observed, &defaults())
}

fn intent_of(observed: &Observed) -> Intent<Database> {
    decision(&json!({}), observed).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn stalled(spec: &Value, observed: &Observed) -> Reason {
    decision(spec, observed).intent.err().unwrap().reason
}

fn waiting(observed: &Observed) -> Option<Reason> {
    intent_of(observed).waiting.map(|waiting| waiting.reason)
}

fn actions_of(observed: &Observed) -> Vec<String> {
    intent_of(observed).actions.iter().map(ToString::to_string).collect()
}

/// What a server without anything of ours answers.
fn empty_server() -> Server {
    Server::Known(Box::new(Known { has_owner: false, database_owner: None, ..known(&[]) }))
}

#[test]
fn new_server_gets_owner_database_and_login() {
    let first = login(1, "temporal_a");
    let observed = with_logins(&[&first], None, empty_server());
    assert_eq!(
        actions_of(&observed),
        ["create role temporal_owner", "create database temporal", "set login temporal_a on database temporal"]
    );
    assert_eq!(waiting(&observed), Some(reason::PREPARING));
}

#[test]
fn owner_that_can_log_in_is_locked() {
    let first = login(1, "temporal_a");
    let open = Server::Known(Box::new(Known { owner_can_log_in: true, ..known(&[&first]) }));
    let observed = with_logins(&[&first], Some(&first), open);
    assert_eq!(actions_of(&observed), ["take the login from role temporal_owner"]);
}

#[test]
fn healthy_server_needs_no_action() {
    let first = login(1, "temporal_a");
    let observed = with_logins(&[&first], Some(&first), answers(&[&first]));
    let intent = intent_of(&observed);
    assert!(intent.actions.is_empty() && intent.waiting.is_none() && intent.look_again.is_none());
}

#[test]
fn database_of_another_owner_is_given_back() {
    let first = login(1, "temporal_a");
    let server = Known { database_owner: Some("mallory".to_owned()), ..known(&[&first]) };
    let observed = with_logins(&[&first], Some(&first), Server::Known(Box::new(server)));
    assert_eq!(actions_of(&observed), ["set the owner of database temporal"]);
}

#[test]
fn login_with_more_power_than_it_needs_is_corrected() {
    let first = login(1, "temporal_a");
    let mut server = known(&[&first]);
    server.roles[0].plain_login = false;
    let observed = with_logins(&[&first], Some(&first), Server::Known(Box::new(server)));
    assert_eq!(actions_of(&observed), ["set login temporal_a on database temporal"]);
}

#[test]
fn login_with_another_password_is_corrected_under_open_sessions() {
    let first = login(1, "temporal_a");
    let mut server = known(&[&first]);
    server.roles[0] = Role { sessions: 2, ..role("temporal_a") };
    let observed = with_logins(&[&first], Some(&first), Server::Known(Box::new(server)));
    assert_eq!(actions_of(&observed), ["set login temporal_a on database temporal"]);
}

#[test]
fn rotation_waits_for_sessions_of_the_next_login() {
    let (first, second) = (login(1, "temporal_b"), login(2, "temporal_a"));
    let mut server = known(&[&first]);
    server.roles.push(Role { sessions: 2, ..role("temporal_a") });
    let observed = with_logins(&[&first, &second], Some(&first), Server::Known(Box::new(server)));
    assert_eq!(actions_of(&observed), [] as [String; 0]);
    assert_eq!(intent_of(&observed).look_again, Some(LOOK_SOON));
    let conditions = decision(&json!({}), &observed).conditions;
    assert!(conditions.iter().any(|condition| condition.kind() == "RotationPending"), "{conditions:?}");
}

#[test]
fn named_login_changes_its_password_under_open_sessions() {
    let (first, second) = (Login { named: true, ..login(1, "app") }, Login { named: true, ..login(2, "app") });
    let mut server = known(&[&first]);
    server.roles[0].sessions = 5;
    let observed = with_logins(&[&first, &second], Some(&first), Server::Known(Box::new(server)));
    assert_eq!(actions_of(&observed), ["set login app on database temporal"]);
}

#[test]
fn unready_pod_is_waited_for() {
    assert_eq!(waiting(&observed()), Some(reason::CHILDREN_NOT_READY));
}

#[test]
fn silent_server_is_waited_for_and_its_refusal_stalls() {
    let address = || "10.0.0.1:5432".to_owned();
    let silent = |failure| with_logins(&[], None, Server::Silent(failure));
    assert_eq!(waiting(&silent(Failure::NotReady { address: address() })), Some(reason::SERVER_UNREACHABLE));
    assert_eq!(waiting(&silent(Failure::Closed { address: address() })), Some(reason::REFUSED_BY_MESH));
    let refused = silent(Failure::LoginRefused { address: address(), username: ADMINISTRATOR.to_owned() });
    assert_eq!(stalled(&json!({}), &refused), reason::ADMINISTRATOR_REFUSED);
}

#[test]
fn external_secret_is_probed_and_a_missing_one_stalls() {
    let spec = json!({"provider": {"external": {"secretName": "theirs"}}});
    assert_eq!(stalled(&spec, &external(None)), reason::SECRET_MISSING);
    let keys = [("host", "db"), ("username", "u"), ("password", "p"), ("database", "d")];
    let intent = decision(&spec, &external(Some(&keys))).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
    assert!(intent.probe.is_some_and(|probe| probe.is_external) && intent.waiting.is_none());
}

#[test]
fn missing_password_secret_stalls() {
    let spec = json!({"password": {"secretName": "mine", "key": "password"}});
    assert_eq!(stalled(&spec, &observed()), reason::SECRET_MISSING);
}

#[test]
fn published_password_is_reported_without_its_value() {
    let condition = |password: &str| {
        let login = Login { password: password.to_owned(), ..login(1, "postgres") };
        let observed = with_logins(&[&login], Some(&login), answers(&[&login]));
        let conditions = decision(&json!({}), &observed).conditions;
        let condition = conditions.iter().find(|condition| condition.kind() == CREDENTIALS_PRIVATE);
        format!("{:?}", condition.unwrap())
    };
    let published = condition("password123");
    assert!(published.contains("holds: false") && published.contains("PublishedCredential"), "{published}");
    assert!(published.contains("kubectl patch postgresdatabase temporal -n default --type merge"), "{published}");
    assert!(!published.contains("password123") && condition("drawn").contains("holds: true"), "{published}");
}

#[test]
fn preloaded_library_is_remarked_with_the_administrator() {
    let honoured = |spec: &Value| {
        let conditions = decision(spec, &observed()).conditions;
        format!("{:?}", conditions.iter().find(|condition| condition.kind() == CONFIG_HONOURED).unwrap())
    };
    let parameters = |key: &str| json!({"provider": {"postgres": {"parameters": {key: "pg_stat_statements"}}}});
    for key in ["shared_preload_libraries", "Shared-Preload-Libraries"] {
        let honoured = honoured(&parameters(key));
        assert!(honoured.contains("holds: true") && honoured.contains("Adapted"), "{honoured}");
        let command =
            "exec temporal-postgresdatabase-0 -c postgres -- psql -U temporal_stack_administrator -d temporal";
        for part in [key, "CREATE EXTENSION", "Secret/temporal-postgresdatabase-administrator", command] {
            assert!(honoured.contains(part), "`{part}` is not in: {honoured}");
        }
    }
    assert!(honoured(&parameters("application_name")).contains("AsWritten"));
    assert!(!honoured(&json!({})).contains("CREATE EXTENSION"));
}

#[test]
fn debug_and_display_of_actions_show_no_password() {
    let first = login(1, "temporal_a");
    for action in intent_of(&with_logins(&[&first], None, empty_server())).actions {
        assert!(!format!("{action} {action:?}").contains("password"), "{action:?}");
    }
}
