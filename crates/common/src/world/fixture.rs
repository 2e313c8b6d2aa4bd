//! A world for tests: one object without children, whose reads go to an API server in memory.

use std::time::Duration;

use kube::Client;

use super::{ClusterReads, Reads, WatchedSources, World};
use crate::{
    cache::Children, default_source::DefaultSource, memo::Memos, neighbour::Neighbours, surroundings, testkit::FakeApi,
    watches::Sources,
};

/// What a world refers to.
pub(crate) struct Surroundings {
    client: Client,
    children: Children,
    watched: WatchedSources,
    neighbours: Neighbours,
    around: surroundings::Surroundings,
    reads: Reads,
    memos: Memos,
    cluster: ClusterReads,
}

impl Surroundings {
    /// Those of an object that has read nothing yet.
    pub(crate) fn new(api: &FakeApi) -> Self {
        Self {
            client: api.client(),
            children: Children::default(),
            watched: WatchedSources { sources: Sources::default(), config_maps: Vec::new(), secrets: Vec::new() },
            neighbours: Neighbours::default(),
            around: surroundings::Surroundings::default(),
            reads: Reads::default(),
            memos: Memos::default(),
            cluster: ClusterReads::default(),
        }
    }

    /// The world of the object, which is in the namespace `a`. Named reads are not remembered.
    pub(crate) fn world(&self) -> World<'_> {
        World {
            client: &self.client,
            namespace: "a",
            children: &self.children,
            watched: &self.watched,
            neighbours: &self.neighbours,
            surroundings: &self.around,
            siblings: surroundings::Siblings::default(),
            default_source: DefaultSource::Ours,
            reads: &self.reads,
            memos: &self.memos,
            cluster: &self.cluster,
            max_age: Duration::ZERO,
        }
    }
}
