//! The order of restarts.

use super::*;

/// A database and Temporal without proxies.
fn plain() -> Observed {
    let mut observed = observed();
    for component in &mut observed.components {
        component.pods = vec![plain_pod(component.reference.kind.as_str(), component.restart.as_deref())];
    }
    observed
}

fn request_of(changes: &[Change]) -> String {
    match changes {
        [Change::Restart(value)] => value.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn components_are_restarted_one_after_the_other() {
    let mut observed = plain();
    let intent = intent_of(&automatic(), &observed);
    let actions: Vec<String> = intent.actions.iter().map(ToString::to_string).collect();
    assert_eq!(actions, ["request a restart of PostgresDatabase/temporal"]);
    let value = request_of(&changes(&automatic(), &observed));

    // Its pod is the old one.
    observed.components[0].restart = Some(value.clone());
    assert_eq!(changes(&automatic(), &observed), []);
    assert_eq!(waiting(&automatic(), &observed), Some(reason::ROLLING));

    // Its pod is new, and it is not Ready again.
    observed.components[0].pods = vec![pod("a")];
    observed.components[0].is_ready = false;
    assert_eq!(changes(&automatic(), &observed), []);

    observed.components[0].is_ready = true;
    let intent = intent_of(&automatic(), &observed);
    assert_eq!(intent.actions[0].to_string(), "request a restart of Temporal/temporal");

    observed.components[1].restart = Some(value);
    observed.components[1].pods = vec![pod("b")];
    assert_eq!(waiting(&automatic(), &observed), None);
    observed.components[1].is_ready = false;
    assert_eq!(waiting(&automatic(), &observed), Some(reason::ROLLING), "the last one is awaited, too");
}

#[test]
fn component_is_restarted_a_few_times_at_most() {
    let mut observed = plain();
    let mut seen = Vec::new();
    while let [Change::Restart(value)] = &changes(&automatic(), &observed)[..] {
        observed.components[0].restart = Some(value.clone());
        observed.components[0].pods = vec![plain_pod("a", Some(value))];
        seen.push(value.clone());
        assert!(seen.len() < 10, "{seen:?}");
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(waiting(&automatic(), &observed), Some(reason::INJECTION_FAILED));
}

#[test]
fn nothing_is_restarted_while_no_proxy_would_be_added() {
    let silent = Observed { linkerd: with_linkerd(|linkerd| linkerd.planes = Some(Vec::new())).linkerd, ..plain() };
    assert_eq!(changes(&automatic(), &silent), []);
    let mut namespace = namespace();
    namespace.annotations.remove(INJECT);
    let fresh = Observed { namespace: Elsewhere::There(namespace), ..plain() };
    assert!(matches!(changes(&automatic(), &fresh)[..], [Change::Annotate(_)]));
}

#[test]
fn request_of_the_user_does_not_count_as_ours() {
    let mut observed = plain();
    observed.components[0].restart = Some("1764500000".to_owned());
    let value = request_of(&changes(&automatic(), &observed));
    assert!(value.starts_with("mesh-") && value.ends_with("-1"), "{value}");
}
