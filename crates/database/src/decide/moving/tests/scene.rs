//! Moves in every state, from which tests start: by default from `postgres` to `cloudNativePg`, with everything in order.

use std::time::Duration;

use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    api::{ClusterReference, PostgresDatabase, PostgresDatabaseStatus},
    component::{Decision, Intent, Stalled},
    login::Access,
    manifest::{Manifest, Mode},
    provider::Answer,
};

use crate::{
    Database, cloud_native_pg,
    decide::decide,
    fixture::{answers, applied, defaults, delegated_as, login, object, with_logins},
    moving::{EmbeddedParts, Mark, Move, Observed, Part, Phase, ProviderName, Record, Run, Source, Step, Target},
    observed::{self, Provider, Traces},
};

pub(super) use ProviderName::{CloudNativePg, External, Postgres};

/// Data of this object, which are of its move.
pub(super) const OWN: Part = Part { mark: Mark::Own, is_older: false };
/// Data of this object from before its move.
pub(super) const OLDER: Part = Part { mark: Mark::Own, is_older: true };

/// A move that is going on, or about to begin.
pub(super) struct Scene {
    /// The provider of the spec.
    pub(super) spec: Value,
    pub(super) way: Move,
    pub(super) wanted: ProviderName,
    /// The provider of the binding.
    pub(super) bound: Option<ProviderName>,
    pub(super) found: Observed,
    pub(super) policy: &'static str,
    /// Whether the user has suspended the database.
    pub(super) suspend: bool,
    /// Whether the cluster exists.
    pub(super) has_cluster: bool,
    /// Whether the embedded server's claim exists.
    pub(super) has_claim: bool,
    pub(super) annotations: Value,
}

/// A record of this way.
pub(super) fn record(way: Move, phase: Phase) -> Record {
    let theirs = (way.from == External).then(|| access("db.example.com"));
    Record {
        way,
        phase,
        is_closed: phase != Phase::Preparing,
        failure: None,
        attempt: None,
        database: "temporal".to_owned(),
        theirs,
    }
}

pub(super) fn access(host: &str) -> Access {
    let part = |text: &str| text.to_owned();
    let endpoint = Endpoint { host: part(host), port: 5432 };
    Access { endpoint, username: part("temporal_a"), password: part("s3cret"), scope: part("temporal") }
}

impl Scene {
    /// Everything in order for this way, in this phase; `None`: it has not begun.
    pub(super) fn new(from: ProviderName, to: ProviderName, phase: Option<Phase>) -> Self {
        let way = Move { from, to };
        let has_begun = phase.is_some();
        let is = |provider| from == provider || (has_begun && to == provider);
        let found = Observed {
            record: phase.map(|phase| record(way, phase)),
            record_mark: has_begun.then_some(Mark::Own),
            binding: Some(access(if from == External {
                "db.example.com"
            } else {
                "temporal-postgresdatabase.default.svc"
            })),
            access: Some(access("10.0.0.9")),
            source: Answer::Known(Box::new(source())),
            target: Answer::Known(Box::new(target())),
            embedded: if is(Postgres) { parts() } else { EmbeddedParts::default() },
            existing: ["StatefulSet", "Service", "ServiceAccount", "NetworkPolicy"]
                .into_iter()
                .filter(|_| is(Postgres))
                .map(|kind| format!("{kind}/temporal-postgresdatabase"))
                .collect(),
            ..Observed::default()
        };
        Self {
            spec: json!({to.as_str(): {}}),
            way,
            wanted: to,
            bound: Some(from),
            found,
            policy: "Retain",
            suspend: false,
            has_cluster: is(CloudNativePg),
            has_claim: is(Postgres),
            annotations: json!({}),
        }
    }

    pub(super) fn in_phase(phase: Phase) -> Self {
        Self::new(Postgres, CloudNativePg, Some(phase))
    }

    /// The same with the Job at this step.
    pub(super) fn at(mut self, step: Step) -> Self {
        let trouble = (step == Step::Failed).then(|| "Pod/m: container copy: ERROR: disk full".to_owned());
        self.found.job = Some(Run { step, trouble, has_ended: step == Step::Failed });
        self
    }

    /// The same with what the source answers.
    pub(super) fn with_source(mut self, source: Source) -> Self {
        self.found.source = Answer::Known(Box::new(source));
        self
    }

    /// The same with what the target answers.
    pub(super) fn with_target(mut self, target: Target) -> Self {
        self.found.target = Answer::Known(Box::new(target));
        self
    }

    /// The same after the spec names the source again.
    pub(super) fn taken_back(mut self) -> Self {
        self.wanted = self.way.from;
        self.spec = match self.wanted {
            External => json!({"external": {"secretName": "theirs"}}),
            provider => json!({provider.as_str(): {}}),
        };
        self
    }

    pub(super) fn object(&self) -> PostgresDatabase {
        let mut object =
            object(&json!({"provider": self.spec, "deletionPolicy": self.policy, "suspend": self.suspend}));
        object.metadata.generation = Some(2);
        object.metadata.annotations = serde_json::from_value(self.annotations.clone()).ok();
        let reference = ClusterReference {
            name: "temporal-postgresdatabase".to_owned(),
            uid: Some("cluster-uid".to_owned()),
            generation: Some(1),
        };
        let cluster = self.has_cluster.then_some(reference);
        PostgresDatabase {
            status: Some(PostgresDatabaseStatus { cluster, ..PostgresDatabaseStatus::default() }),
            ..object
        }
    }

    pub(super) fn observed(self) -> observed::Observed {
        let (first, object) = (login(1, "temporal_a"), self.object());
        let live = || applied(&crate::fixture::object(&json!({"provider": self.spec})), &json!({}));
        let mut observed = match self.wanted {
            CloudNativePg => {
                let cluster = self.has_cluster.then(live);
                let found = cloud_native_pg::Observed {
                    cluster,
                    known_for: Duration::from_secs(60),
                    ..cloud_native_pg::Observed::default()
                };
                delegated_as(found, &[&first], Some(&first))
            }
            Postgres => with_logins(&[&first], Some(&first), answers(&[&first])),
            External => crate::fixture::external(Some(&[
                ("host", "db.example.com"),
                ("username", "u"),
                ("password", "p"),
                ("database", "temporal"),
            ])),
        };
        if let Provider::Administered(server) = &mut observed.provider {
            server.service = Some(Endpoint { host: "10.96.0.7".to_owned(), port: 5432 });
        }
        if self.way.from == External {
            observed.bound = observed.bound.map(|bound| temporal_stack_common::login::Bound { number: None, ..bound });
        }
        observed.traces = Traces {
            claim: self.has_claim.then(|| "data-temporal-postgresdatabase-0".to_owned()),
            cluster: self.has_cluster.then(|| "temporal-postgresdatabase".to_owned()),
            bound: self.bound,
            account: self.found.existing.contains("ServiceAccount/temporal-postgresdatabase"),
        };
        let cluster = self.has_cluster.then(|| {
            let given = crate::fixture::cluster(&json!({"spec": {"instances": 3, "imageName": "postgres:17.6"}}));
            self.found.cluster.clone().unwrap_or(given)
        });
        let cluster_part = cluster.as_ref().map(|_| self.found.cluster_part.unwrap_or(OWN));
        let found = Observed { cluster, cluster_part, ..self.found };
        let is_move = Move::find(found.record.as_ref(), self.bound, ProviderName::of_spec(&object)).is_some();
        observed.moving = is_move.then(|| Box::new(found));
        observed
    }

    pub(super) fn decide(self) -> Decision<Database> {
        let object = self.object();
        decide(&object, &self.observed(), &defaults())
    }

    pub(super) fn intent(self) -> Intent<Database> {
        self.decide().intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
    }

    pub(super) fn stalled(self) -> Stalled {
        self.decide().intent.err().unwrap()
    }
}

/// A server whose data can move.
pub(super) fn source() -> Source {
    Source { version: 170_006, size: 1 << 20, is_quiet: true, is_owned: true, ..Source::default() }
}

/// A server that can take them.
pub(super) fn target() -> Target {
    Target { version: 170_006, is_empty: true, ..Target::default() }
}

pub(super) fn parts() -> EmbeddedParts {
    EmbeddedParts { set: true, pod: true, claim: Some(OWN), administrator: Some(OWN) }
}

/// The phase in the record that is written; `None`: it is deleted.
pub(super) fn phase(intent: &Intent<Database>) -> Option<Phase> {
    let record = manifest(intent, "Secret/temporal-postgresdatabase-move").unwrap();
    if matches!(record.mode, Mode::Absent) {
        return None;
    }
    let secret = serde_json::from_value(record.object.clone()).unwrap();
    Record::read(&secret).map(|record| record.phase)
}

pub(super) fn manifest<'a>(intent: &'a Intent<Database>, reference: &str) -> Option<&'a Manifest> {
    intent.manifests.iter().find(|manifest| manifest.reference() == reference)
}

/// Whether an object stays exactly as it is.
pub(super) fn is_unchanged(intent: &Intent<Database>, reference: &str) -> bool {
    manifest(intent, reference).is_some_and(|manifest| matches!(manifest.mode, Mode::Once { .. }))
}

/// Whether an object is deleted.
pub(super) fn is_deleted(intent: &Intent<Database>, reference: &str) -> bool {
    manifest(intent, reference).is_some_and(|manifest| matches!(manifest.mode, Mode::Absent))
}

pub(super) fn actions(intent: &Intent<Database>) -> Vec<String> {
    intent.actions.iter().map(ToString::to_string).collect()
}

/// The reason of the condition, and whether it holds.
pub(super) fn condition(decision: &Decision<Database>, kind: &str) -> Option<String> {
    decision.conditions.iter().find(|condition| condition.kind() == kind).map(|condition| format!("{condition:?}"))
}
