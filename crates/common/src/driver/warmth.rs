//! The namespaces that can be served: those that every watch has listed.
//!
//! A namespace that lacks the controller's Role, or a cluster that lacks a `CustomResourceDefinition`, does not affect the
//! others: they are served meanwhile, and the missing part is served as soon as its watches have listed it.

use tokio::sync::watch;

/// The state of one watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has not listed yet.
    Cold,
    /// The API server refuses the list: a Role is missing, or a `CustomResourceDefinition`.
    Refused,
    /// It has listed.
    Warm,
}

#[derive(Debug)]
struct Span {
    /// `None` is all namespaces.
    namespace: Option<String>,
    state: State,
}

/// The state of all watches; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Warmth(watch::Sender<Vec<Span>>);

/// The handle by which one watch reports its state.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    all: Warmth,
    index: usize,
}

impl Warmth {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    /// A gauge for a watch of a namespace, or of all.
    pub(super) fn gauge(&self, namespace: Option<String>) -> Gauge {
        let mut index = 0;
        self.0.send_modify(|spans| {
            index = spans.len();
            spans.push(Span { namespace, state: State::Cold });
        });
        Gauge { all: self.clone(), index }
    }

    /// Whether everything that objects of the namespace need has been listed.
    pub(super) fn serves(&self, namespace: &str) -> bool {
        let covers = |span: &&Span| span.namespace.as_deref().is_none_or(|covered| covered == namespace);
        self.0.borrow().iter().filter(covers).all(|span| span.state == State::Warm)
    }

    /// Resolves when every watch has listed or been refused, and at least one namespace can be served.
    pub(super) async fn ready(&self) {
        // `self` keeps the sender, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|spans| is_ready(spans)).await;
    }
}

fn is_ready(spans: &[Span]) -> bool {
    let is_whole = |one: &Span| {
        let mut same = spans.iter().filter(|span| span.namespace == one.namespace);
        same.all(|span| span.state == State::Warm)
    };
    spans.iter().all(|span| span.state != State::Cold) && (spans.is_empty() || spans.iter().any(is_whole))
}

impl Gauge {
    /// The watch has listed; `true` if it had not before.
    pub(super) fn warm(&self) -> bool {
        self.set(State::Warm)
    }

    /// The watch is refused, unless it has listed before.
    pub(super) fn refused(&self) {
        self.set(State::Refused);
    }

    fn set(&self, state: State) -> bool {
        self.all.0.send_if_modified(|spans| match spans.get_mut(self.index) {
            Some(span) if span.state != state && span.state != State::Warm => {
                span.state = state;
                true
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(names: &[Option<&str>]) -> (Warmth, Vec<Gauge>) {
        let warmth = Warmth::new();
        let gauges = names.iter().map(|name| warmth.gauge(name.map(str::to_owned))).collect();
        (warmth, gauges)
    }

    fn is_ready_now(warmth: &Warmth) -> bool {
        is_ready(&warmth.0.borrow())
    }

    #[test]
    fn refused_namespace_does_not_block_others() {
        let (warmth, gauges) = namespaces(&[Some("a"), Some("b"), Some("a"), Some("b")]);
        gauges[0].warm();
        gauges[1].refused();
        assert!(!is_ready_now(&warmth));
        gauges[2].warm();
        gauges[3].warm();
        assert!(is_ready_now(&warmth));
        assert!(warmth.serves("a"));
        assert!(!warmth.serves("b"));
        assert!(gauges[1].warm());
        assert!(!gauges[1].warm());
        assert!(warmth.serves("b"));
    }

    #[test]
    fn cluster_with_a_refused_watch_is_not_ready() {
        let (warmth, gauges) = namespaces(&[None, None]);
        gauges[0].warm();
        gauges[1].refused();
        assert!(!is_ready_now(&warmth));
        assert!(!warmth.serves("a"));
        gauges[1].warm();
        assert!(is_ready_now(&warmth) && warmth.serves("a"));
    }

    #[test]
    fn watch_that_has_listed_stays_warm() {
        let (warmth, gauges) = namespaces(&[None]);
        gauges[0].warm();
        gauges[0].refused();
        assert!(warmth.serves("a"));
    }
}
