//! What the tests of the traffic start from: a namespace as it was recorded, and samples of text.

#![allow(clippy::float_cmp, reason = "counters count in ones")]

mod bounds;
mod dashboard;
mod proxy;
mod recorded;
mod rounds;
mod shown;
mod windows;

use std::time::Duration;

use temporal_stack_common::api::{ComponentKind, ComponentReference};

use super::{
    Component, Names,
    sample::{Collector, Sample},
    subject::{Ends, Party},
    window::{Sum, Sums},
};

const API: &str = include_str!("../../tests/metrics/temporal-api.txt");
const IPFS: &str = include_str!("../../tests/metrics/ipfs-deny.txt");
const QUEUE: &str = include_str!("../../tests/metrics/queue.txt");
/// The window of tests.
const MINUTE: Duration = Duration::from_secs(60);

fn component(kind: ComponentKind) -> Component {
    Component::new(ComponentReference { kind, name: "temporal".to_owned() })
}

fn database() -> Component {
    component(ComponentKind::PostgresDatabase)
}

fn queue() -> Component {
    component(ComponentKind::MessageQueue)
}

fn ipfs() -> Component {
    component(ComponentKind::IpfsCluster)
}

fn temporal() -> Component {
    component(ComponentKind::Temporal)
}

/// The names of the recorded namespace. Its pods had the account `default`, but for one that was changed by hand.
fn names() -> Names {
    let all = [
        ("temporal-postgresdatabase", database()),
        ("temporal-messagequeue", queue()),
        ("temporal-ipfscluster", ipfs()),
        ("temporal-temporal-krab", temporal()),
    ];
    let all = all.map(|(name, component)| (name.to_owned(), component));
    Names {
        namespace: "mesh".to_owned(),
        services: all.clone().into(),
        workloads: all.into(),
        accounts: [("temporal-temporal".to_owned(), temporal())].into(),
    }
}

/// The sample of a pod of this component.
fn sample(component: &Component, text: &str) -> Sample {
    let names = names();
    let mut collector = Collector::new(component, &names);
    for line in text.lines() {
        assert!(collector.read(line.as_bytes()), "{line}");
    }
    collector.finish()
}

/// A sample in which nothing had happened yet.
fn nothing() -> Sample {
    Sample { is_complete: true, ..Sample::default() }
}

/// What happened within a minute from one text to another.
fn between(component: &Component, before: &str, after: &str) -> Sums {
    let mut sums = Sums::default();
    sums.add(Some((&sample(component, before), MINUTE)), &sample(component, after));
    sums
}

fn ends(client: Party, server: &Component, port: u16) -> Ends {
    Ends { client, server: Party::Component(server.clone()), port }
}

fn sum<'a>(sums: &'a Sums, client: Party, server: &Component, port: u16) -> &'a Sum {
    let ends = ends(client, server, port);
    sums.edges.get(&ends).unwrap_or_else(|| panic!("no edge {ends} in {:?}", sums.edges.keys()))
}
