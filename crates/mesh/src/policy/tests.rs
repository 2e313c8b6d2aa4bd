//! Properties of the policies of every stack, by the evaluator of Linkerd's rules.

use std::collections::BTreeSet;

use temporal_stack_common::{
    api::{ComponentKind, DefaultInboundPolicy},
    manifest::Manifest,
};

use super::{Mode, derive, name, retire, routes::routes};
use crate::{
    evaluate::{
        Client, Connection, Installation, Policies, Target,
        audit::{Audit, audit},
        evaluate,
    },
    stack::{
        Account, Pod, Stack, Who,
        edges::{Edge, Edges, wanted},
        example::{self, NAMESPACE, of_kinds, whole},
    },
};

fn installation() -> Installation {
    Installation {
        namespace: "linkerd".to_owned(),
        trust_domain: "cluster.local".to_owned(),
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        default: DefaultInboundPolicy::AllUnauthenticated,
    }
}

fn read(manifests: &[Manifest]) -> Policies {
    let mut policies = Policies::default();
    for manifest in manifests {
        policies.add(&manifest.resource.kind, &manifest.object, NAMESPACE);
    }
    policies
}

/// Every stack that these components can form, in the order in which they are made.
fn all_stacks() -> impl Iterator<Item = Stack> {
    (0_u32..1 << ComponentKind::ALL.len()).map(|chosen| {
        let kinds = ComponentKind::ALL.into_iter().enumerate();
        let kinds: Vec<_> = kinds.filter(|(index, _)| (chosen >> index) & 1 == 1).map(|(_, kind)| kind).collect();
        of_kinds(&kinds)
    })
}

fn identity(namespace: &str, name: &str) -> Client {
    let account = Account { namespace: namespace.to_owned(), name: name.to_owned() };
    Client { identity: Some(installation().identity(&account)), address: Some(example::address(99)) }
}

/// All clients that are meant by an entry, as proxies see them.
fn clients(who: &Who) -> Vec<Client> {
    let accounts = who.accounts.iter().map(|account| identity(&account.namespace, &account.name));
    let networks = who.networks.iter().map(|network| Client { identity: None, address: Some(network.first()) });
    accounts.chain(networks).collect()
}

/// The pods and ports of a stack that a client reaches.
fn reached(stack: &Stack, policies: &Policies, client: &Client) -> BTreeSet<(String, &'static str)> {
    let mut reached = BTreeSet::new();
    for pod in &stack.pods {
        let component = stack.component(&pod.component).unwrap();
        for listener in component.listeners.iter().filter(|listener| listener.has(pod)) {
            let (name, number) = (listener.port.name, listener.port.number);
            let target = Target { namespace: NAMESPACE, pod, ports: vec![(name, number)], probes: Vec::new() };
            let connection = Connection { client, target: &target, port: number, path: None };
            if evaluate(policies, &installation(), &connection).is_ok() {
                reached.insert((pod.name.clone(), name));
            }
        }
    }
    reached
}

/// The pods and ports that a client needs.
fn needed(stack: &Stack, edges: &Edges, client: &str) -> BTreeSet<(String, &'static str)> {
    let of_client = edges.wanted.iter().filter(|edge| edge.client == client);
    let pods = of_client.flat_map(|Edge { component, port, .. }| {
        let listener = stack.component(component).unwrap().listener(port).unwrap();
        stack.pods_of(component).filter(|pod| listener.has(pod)).map(|pod| (pod.name.clone(), *port))
    });
    pods.collect()
}

#[test]
fn every_client_reaches_exactly_what_it_needs() {
    let mut connections = 0;
    for stack in all_stacks() {
        let edges = wanted(&stack);
        let policies = read(&derive(&stack, &edges, Mode::Enforce));
        for (name, who) in &edges.clients {
            let needed = needed(&stack, &edges, name);
            assert!(!needed.is_empty(), "{name}");
            for client in clients(who) {
                assert_eq!(reached(&stack, &policies, &client), needed, "{name} {client:?}");
                connections += needed.len();
            }
        }
    }
    assert!(connections > 500, "{connections}");
}

#[test]
fn strangers_reach_nothing() {
    let strangers = [
        identity("outside", "default"),
        identity(NAMESPACE, "default"),
        identity("outside", "temporal-temporal-api"),
        Client { identity: None, address: Some(example::address(99)) },
        Client { identity: None, address: Some("fd00::1".parse().unwrap()) },
        Client::default(),
    ];
    for stack in all_stacks() {
        let policies = read(&derive(&stack, &wanted(&stack), Mode::Enforce));
        for stranger in &strangers {
            assert_eq!(reached(&stack, &policies, stranger), BTreeSet::new(), "{stranger:?}");
        }
    }
}

#[test]
fn audit_denies_nothing() {
    for stack in all_stacks() {
        let policies = read(&derive(&stack, &wanted(&stack), Mode::Audit));
        let all = reached(&stack, &policies, &Client { address: Some("fd00::1".parse().unwrap()), identity: None });
        let ports = stack.pods.iter().map(|pod| {
            stack.component(&pod.component).unwrap().listeners.iter().filter(|listener| listener.has(pod)).count()
        });
        assert_eq!(all.len(), ports.sum::<usize>());
    }
}

/// What enforced policies would cut.
fn cut(stack: &Stack) -> Audit {
    let edges = wanted(stack);
    let manifests = derive(stack, &edges, Mode::Enforce);
    let ours = manifests.iter().map(|manifest| manifest.name().to_owned()).collect();
    audit(stack, &edges, (&read(&manifests), &ours), &installation(), &[])
}

#[test]
fn rollout_of_identities_cuts_nothing_at_any_step() {
    let mut stack = whole();
    for pod in &mut stack.pods {
        "default".clone_into(&mut pod.account);
    }
    for index in 0..=stack.pods.len() {
        assert_eq!(cut(&stack).cut, BTreeSet::new(), "{index}");
        let accounts: Vec<String> = whole().pods.into_iter().map(|pod| pod.account).collect();
        if let Some(pod) = stack.pods.get_mut(index) {
            pod.account.clone_from(&accounts[index]);
        }
    }
}

#[test]
fn peers_without_proxies_find_each_other_while_the_set_rolls() {
    let mut stack = of_kinds(&[ComponentKind::IpfsCluster, ComponentKind::MessageQueue]);
    for pod in stack.pods.iter_mut().filter(|pod| pod.name.ends_with("-0")) {
        pod.is_proxied = false;
    }
    assert_eq!(cut(&stack).cut, BTreeSet::new());
    let policies = read(&derive(&stack, &wanted(&stack), Mode::Enforce));
    let client = Client { identity: None, address: Some(example::address(99)) };
    let reached = reached(&stack, &policies, &client);
    let is_proxied = |name: &str| stack.pods.iter().any(|pod: &Pod| pod.name == name && pod.is_proxied);
    let ports: BTreeSet<_> = reached.into_iter().filter(|(name, _)| is_proxied(name)).map(|(_, port)| port).collect();
    assert_eq!(ports, BTreeSet::from(["clustering", "epmd", "peers", "swarm"]));
}

#[test]
fn client_without_a_proxy_is_cut() {
    let mut stack = whole();
    let api = stack.pods.iter_mut().find(|pod| pod.labels.values().any(|value| value == "api")).unwrap();
    api.is_proxied = false;
    let name = api.name.clone();
    let audit = cut(&stack);
    let ports: BTreeSet<_> = audit.cut.iter().map(|cut| cut.port).collect();
    assert_eq!(ports, BTreeSet::from(["amqp", "cluster", "krab", "postgresql", "rpc"]));
    assert!(audit.cut.iter().all(|cut| cut.client.contains(&name)), "{:?}", audit.cut);
    assert!(audit.refusal().unwrap().contains("has no proxy"));
}

#[test]
fn objects_come_and_go_in_the_order_that_denies_nothing() {
    let stack = whole();
    let edges = wanted(&stack);
    let manifests = derive(&stack, &edges, Mode::Enforce);
    // Each prefix of the writes, from nothing to all and back, admits what is needed: a port without a Server is open.
    let steps = (0..=manifests.len()).map(|count| manifests[..count].to_vec());
    let existing = manifests.iter().map(|manifest| (manifest.resource.kind.as_str(), manifest.name()));
    let leaving = retire(existing, &[]);
    assert_eq!(leaving.len(), manifests.len());
    let back = (0..=leaving.len()).map(|count| {
        let gone: BTreeSet<String> = leaving[..count].iter().map(Manifest::reference).collect();
        manifests.iter().filter(|manifest| !gone.contains(&manifest.reference())).cloned().collect::<Vec<_>>()
    });
    for manifests in steps.chain(back) {
        let ours = BTreeSet::new();
        let audit = audit(&stack, &edges, (&read(&manifests), &ours), &installation(), &[]);
        assert_eq!(audit.cut, BTreeSet::new(), "{} objects", manifests.len());
    }
}

#[test]
fn names_are_unique() {
    let stack = whole();
    let mut all = derive(&stack, &wanted(&stack), Mode::Audit);
    all.extend(routes(&stack));
    let names: BTreeSet<String> = all.iter().map(Manifest::reference).collect();
    assert_eq!(names.len(), all.len());
    assert!(names.contains(&format!("Server/{}", name::server(&stack.components[0].id, "postgresql"))));
}
