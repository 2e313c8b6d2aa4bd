//! Snapshots of the policies as YAML, to be reviewed as Kubernetes objects.

use std::collections::BTreeSet;

use serde_json::json;
use temporal_stack_common::{
    api::ComponentKind::{self, IpfsCluster, MessageQueue, PostgresDatabase, Temporal},
    manifest::Manifest,
    testkit::bill,
};

use super::{Mode, derive, retire, routes};
use crate::stack::{
    Account, Allowed, Stack, Who,
    edges::wanted,
    example::{self, component, id, of_kinds, stack, whole},
};

fn policies(stack: &Stack, mode: Mode) -> Vec<Manifest> {
    derive(stack, &wanted(stack), mode)
}

/// The names of the objects that are in one list and not in the other.
fn change(before: &[Manifest], after: &[Manifest]) -> String {
    let names = |manifests: &[Manifest]| manifests.iter().map(Manifest::reference).collect::<Vec<_>>();
    let (old, new) = (names(before), names(after));
    let added = new.iter().filter(|name| !old.contains(name)).map(|name| format!("+ {name}"));
    let existing = before.iter().map(|manifest| (manifest.resource.kind.as_str(), manifest.name()));
    let removed = retire(existing, after);
    let removed = removed.iter().map(|manifest| format!("- {}", manifest.reference()));
    let content = |name: &String| {
        let find =
            |all: &[Manifest]| all.iter().find(|manifest| manifest.reference() == *name).map(|m| m.object.clone());
        find(before) != find(after)
    };
    let changed = new.iter().filter(|name| old.contains(name) && content(name)).map(|name| format!("~ {name}"));
    added.chain(changed).chain(removed).collect::<Vec<_>>().join("\n")
}

#[test]
fn whole_stack_has_exactly_these_policies() {
    insta::assert_snapshot!(bill(&policies(&whole(), Mode::Enforce)));
}

#[test]
fn half_of_the_stack_has_exactly_these_policies() {
    insta::assert_snapshot!(bill(&policies(&of_kinds(&[PostgresDatabase, Temporal]), Mode::Audit)));
}

#[test]
fn user_settings_are_in_the_policies() {
    let kubo = json!({"network": "private", "provider": {"kubo": {"proxy": true, "gateway": {"type": "NodePort"}, "swarm": {"type": "LoadBalancer"}}}, "pods": {"serviceAccountName": "peers"}});
    let api = json!({"api": {"service": {"type": "LoadBalancer"}}});
    let mut stack = stack(vec![component(IpfsCluster, &kubo), component(Temporal, &api)]);
    let allow =
        |kind: ComponentKind, port: &str, from: Who| Allowed { component: id(kind), port: port.to_owned(), from };
    let prometheus = Account { namespace: "monitoring".to_owned(), name: "prometheus".to_owned() };
    let prometheus = Who { accounts: BTreeSet::from([prometheus, example::account("shop")]), ..Who::default() };
    let readers = Who {
        namespaces: BTreeSet::from(["shop".to_owned()]),
        networks: BTreeSet::from(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]),
        ..Who::default()
    };
    stack.allowed = vec![
        allow(IpfsCluster, "metrics", prometheus.clone()),
        allow(Temporal, "bridge-admin", prometheus),
        allow(IpfsCluster, "gateway", readers),
        allow(IpfsCluster, "amqp", Who::default()),
        allow(PostgresDatabase, "postgresql", Who::default()),
    ];
    assert_eq!(
        wanted(&stack).refused,
        [(
            3,
            "IpfsCluster/temporal has no port amqp; name one of rpc, gateway, cluster, metrics, peers, proxy, swarm"
                .to_owned()
        )]
    );
    insta::assert_snapshot!(bill(&policies(&stack, Mode::Enforce)));
}

#[test]
fn added_and_removed_component_changes_its_edges_alone() {
    let without = policies(&of_kinds(&[PostgresDatabase, IpfsCluster, Temporal]), Mode::Enforce);
    let with = policies(&of_kinds(&[PostgresDatabase, IpfsCluster, MessageQueue, Temporal]), Mode::Enforce);
    insta::assert_snapshot!(format!("added:\n{}\n\nremoved:\n{}", change(&without, &with), change(&with, &without)));
}

#[test]
fn rollout_admits_old_and_new_identities_and_keeps_peers_together() {
    let current = policies(&whole(), Mode::Enforce);
    let mut rolling = whole();
    for pod in rolling.pods.iter_mut().filter(|pod| pod.name.ends_with("-0")) {
        "default".clone_into(&mut pod.account);
    }
    let during = policies(&rolling, Mode::Enforce);
    let changed = during.iter().filter(|manifest| {
        current.iter().all(|other| other.reference() != manifest.reference() || other.object != manifest.object)
    });
    let changed: Vec<Manifest> = changed.cloned().collect();
    insta::assert_snapshot!(bill(&changed));
}

#[test]
fn calls_to_peers_have_routes() {
    insta::assert_snapshot!(bill(&routes::routes(&whole())));
}
