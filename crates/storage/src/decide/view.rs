//! The view: an object with its provider, its buckets and their logins, and the decisions that several files need.

use std::collections::{BTreeMap, BTreeSet};

use temporal_stack_common::{
    api::{self, BucketOrigin, DeletionPolicy, ObjectStorage},
    component::Stalled,
    condition::{Reason, Statement},
    login::{self, Bound, Login, LoginState, Rotation, Wanted},
    provider,
    shared::Shared,
    volume,
};

use super::{
    ownership::{self, Ownership, Record},
    rook, rotation,
};
use crate::{
    access::{self, Access, Store},
    act::Change,
    engine::{self, Kind},
    names::{self, MOST_BUCKETS, Names, PORT},
    observed::{self, Facts, Found, Observed, Refusal, Survey},
    reason,
};

/// An object with its provider and its buckets.
pub(crate) struct View<'a> {
    pub(crate) object: &'a ObjectStorage,
    pub(crate) names: Names,
    /// The buckets of the spec in its order, then those that are leaving.
    pub(crate) buckets: Vec<Bucket<'a>>,
    pub(crate) provider: Provider<'a>,
    /// The names of the volume claims of this object, of whatever engine.
    pub(super) claims: &'a [String],
    /// The buckets whose keys must be restricted again.
    loose: &'a BTreeSet<String>,
    /// The refused actions.
    refused: &'a BTreeMap<String, Refusal>,
}

/// Where the objects are.
pub(crate) enum Provider<'a> {
    /// In an engine that the controller runs.
    Embedded(Box<EmbeddedView<'a>>),
    /// In buckets that Rook makes.
    Rook(Box<rook::View<'a>>),
    /// In an object storage that runs elsewhere.
    External(Box<External<'a>>),
}

/// An object storage that runs elsewhere.
pub(crate) struct External<'a> {
    /// Its access, or why its Secret cannot be used.
    pub(super) access: Result<Store, Stalled>,
    /// Whether its Secret is used as written.
    pub(super) honoured: Statement,
    survey: &'a Survey,
}

/// An engine that the controller runs.
pub(crate) struct EmbeddedView<'a> {
    pub(crate) kind: Kind,
    pub(crate) observed: &'a observed::Embedded,
    /// The root credentials.
    pub(crate) roots: Shared,
    /// Why no root credential is available.
    pub(super) stalled: Option<Stalled>,
    /// Why the volumes are not possible.
    pub(super) volume: Option<Stalled>,
    /// The engine as rotation, at the server that answered.
    pub(super) store: Option<Store>,
    /// The number of pods that the set must have.
    pub(crate) replicas: i32,
    /// Whether a full stop is in progress.
    pub(super) is_stopping: bool,
}

/// A bucket.
pub(crate) struct Bucket<'a> {
    /// Its name in the spec.
    pub(crate) name: &'a str,
    /// Its entry in the spec; absent: it is leaving.
    pub(crate) wanted: Option<&'a api::Bucket>,
    /// What happens to it when it leaves.
    pub(crate) policy: DeletionPolicy,
    /// Its state; absent: unknown.
    pub(crate) found: Option<&'a Found>,
    /// The content of its binding.
    pub(crate) bound: Option<&'a Bound>,
    /// Whose it is; absent: it cannot be used.
    pub(crate) ownership: Option<Ownership>,
    /// How it came to belong to the object, as the status records it.
    pub(super) origin: Option<BucketOrigin>,
    /// The endpoint in its binding.
    pub(super) endpoint: Option<&'a str>,
    /// How its binding gets a key.
    pub(crate) keys: Keys<'a>,
}

impl Bucket<'_> {
    /// Whether the object storage that is asked may be another one than that of the bucket: a user's Secret can change. Where one
    /// of its name was found, only the binding proves that they are the same.
    pub(super) fn is_elsewhere(&self) -> bool {
        let Keys::Given(Some(Access { address, is_restricted: false, .. })) = &self.keys else { return false };
        match self.endpoint {
            Some(endpoint) => endpoint != address.endpoint,
            None => matches!(self.found, Some(Found::Usable(_))),
        }
    }

    /// Its settings, if it exists and nothing shows that it belongs to another account.
    pub(crate) fn usable(&self) -> Option<&Facts> {
        match (self.found, self.ownership) {
            (Some(Found::Usable(facts)), Some(Ownership::Ours | Ownership::Used)) => Some(facts),
            _ => None,
        }
    }

    /// How an application uses it at this host: by the name of the Service in bindings, by its address for the controller.
    pub(crate) fn access(&self, host: Option<&str>) -> Option<Access> {
        match &self.keys {
            Keys::Given(access) => access.clone(),
            Keys::Own { rotation, .. } => Some(Access {
                key: access::key(rotation.active()?),
                address: access::address(host?, PORT),
                bucket: self.name.to_owned(),
                is_restricted: true,
            }),
        }
    }

    /// Its name in the object storage.
    pub(crate) fn remote_name(&self) -> &str {
        match &self.keys {
            Keys::Given(Some(access)) => &access.bucket,
            Keys::Given(None) | Keys::Own { .. } => self.name,
        }
    }
}

/// How the binding of a bucket gets a key.
pub(crate) enum Keys<'a> {
    /// By logins that the controller makes.
    Own {
        /// The existing logins.
        logins: &'a [Login],
        /// The logins with their state, and which one comes next.
        rotation: Box<Rotation<'a>>,
    },
    /// From elsewhere, once it is there.
    Given(Option<Access>),
}

impl<'a> View<'a> {
    pub(crate) fn new(object: &'a ObjectStorage, observed: &'a Observed) -> Self {
        let names = Names::new(object);
        let (buckets, provider) = match &observed.provider {
            observed::Provider::Embedded(embedded) => {
                let buckets = entries(object, observed, &embedded.survey, |name| {
                    managed_keys(object, &names, name, observed, embedded)
                });
                (buckets, Provider::Embedded(Box::new(EmbeddedView::new(object, &names, embedded))))
            }
            observed::Provider::External(external) => {
                let provider::External { name, secret } = &external.source;
                let (access, honoured) = access::read(name, secret.as_ref()).into_result(name, &[]);
                let given = |name: &str| Keys::Given(access.as_ref().ok().map(|store| unrestricted(store, name)));
                let buckets = entries(object, observed, &external.survey, given);
                (buckets, Provider::External(Box::new(External { access, honoured, survey: &external.survey })))
            }
            observed::Provider::Rook(found) => {
                let view = rook::View::new(object, &observed.bound, found);
                let buckets = entries(object, observed, &found.survey, |name| Keys::Given(view.access(name)));
                (buckets, Provider::Rook(Box::new(view)))
            }
        };
        let Observed { claims, loose, refused, .. } = observed;
        Self { object, names, buckets, provider, claims, loose, refused }
    }

    /// The engine that the controller runs.
    pub(crate) fn embedded(&self) -> Option<&EmbeddedView<'a>> {
        match &self.provider {
            Provider::Embedded(embedded) => Some(embedded),
            Provider::Rook(_) | Provider::External(_) => None,
        }
    }

    /// The provider's name in the spec.
    pub(crate) fn provider_name(&self) -> &'static str {
        match &self.provider {
            Provider::Embedded(embedded) => embedded.kind.name(),
            Provider::Rook(_) => "rook",
            Provider::External(_) => "external",
        }
    }

    /// What the object storage answered.
    pub(crate) fn survey(&self) -> &Survey {
        match &self.provider {
            Provider::Embedded(embedded) => &embedded.observed.survey,
            Provider::Rook(rook) => &rook.observed.survey,
            Provider::External(external) => external.survey,
        }
    }

    /// Whether the object storage may have buckets of others.
    pub(crate) fn has_strangers(&self) -> bool {
        matches!(self.provider, Provider::External(_))
    }

    /// The buckets of the spec.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&Bucket<'a>, &'a api::Bucket)> {
        self.buckets.iter().filter_map(|bucket| Some((bucket, bucket.wanted?)))
    }

    /// Which of these changes of a bucket was refused, and why.
    pub(super) fn refusal(&self, bucket: &Bucket<'_>, changes: &[Change]) -> Option<String> {
        changes.iter().find_map(|change| {
            let action = change.to_bucket(bucket.remote_name());
            self.refused.get(&action).map(|refusal| format!("{action}: {}", refusal.cause))
        })
    }

    /// Whether the keys of a bucket must be restricted again.
    pub(super) fn is_loose(&self, bucket: &Bucket<'_>) -> bool {
        self.loose.contains(bucket.name)
    }

    /// Whether an action was refused, and is not due again.
    pub(super) fn is_held(&self, action: &str) -> bool {
        self.refused.get(action).is_some_and(|refusal| !refusal.is_due)
    }

    /// The reason for which nothing is known of the object storage.
    pub(crate) fn silence(&self) -> Reason {
        match self.provider {
            Provider::Embedded(_) => reason::ENGINE_UNREACHABLE,
            Provider::Rook(_) | Provider::External(_) => reason::STORAGE_UNREACHABLE,
        }
    }

    /// The object storage, as messages name it.
    pub(crate) fn title(&self) -> &'static str {
        match &self.provider {
            Provider::Embedded(embedded) => embedded.kind.title(),
            Provider::Rook(_) => "Ceph",
            Provider::External(_) => "the object storage",
        }
    }

    /// The object storage as administrator of a bucket.
    pub(super) fn store(&self, bucket: &str) -> Option<Store> {
        match &self.provider {
            Provider::Embedded(embedded) => embedded.store.clone(),
            Provider::External(external) => external.access.as_ref().ok().cloned(),
            Provider::Rook(rook) => rook.store(bucket),
        }
    }
}

impl<'a> EmbeddedView<'a> {
    fn new(object: &'a ObjectStorage, names: &Names, observed: &'a observed::Embedded) -> Self {
        let kind = Kind::new(object);
        let (roots, stalled) = rotation::root(object, names, &kind, observed);
        let is_shared = kind.servers() > 1;
        let must_stop = is_shared && roots.must_stop(observed.pod_roots());
        let storage = format!("spec.provider.{}.storage", kind.name());
        Self {
            store: observed.survey.known().and_then(|known| known.store.clone()),
            volume: volume::obstacle_to_any(&storage, kind.storage(), &observed.volumes, &observed.offer),
            replicas: if must_stop { 0 } else { kind.servers() },
            is_stopping: is_shared && roots.is_stopping(observed.replicas, observed.pod_roots()),
            kind,
            observed,
            roots,
            stalled,
        }
    }

    /// The state of the drives, if a server reported it.
    pub(crate) fn health(&self) -> Option<&'a engine::Health> {
        self.observed.health.as_ref()?.as_ref().ok()
    }
}

/// The buckets of the spec, then those that are leaving.
fn entries<'a>(
    object: &'a ObjectStorage,
    observed: &'a Observed,
    survey: &'a Survey,
    keys: impl Fn(&'a str) -> Keys<'a>,
) -> Vec<Bucket<'a>> {
    let wanted = object.spec.buckets.iter().take(MOST_BUCKETS);
    let is_wanted = |name: &str| object.spec.buckets.iter().any(|bucket| bucket.name == name);
    let recorded = object.status.as_ref().map(|status| status.buckets.as_slice()).unwrap_or_default();
    let left = recorded.iter().map(|bucket| (bucket.name.as_str(), bucket.deletion_policy));
    let mut leaving: Vec<(&str, DeletionPolicy)> = left.filter(|(name, _)| !is_wanted(name)).collect();
    let known: BTreeSet<&str> = leaving.iter().map(|(name, _)| *name).collect();
    // Of an earlier object, or of a pass that did not get to report: nothing says that the bucket may go.
    let orphans = observed.series.iter().map(String::as_str).filter(|name| !is_wanted(name) && !known.contains(name));
    leaving.extend(orphans.map(|name| (name, DeletionPolicy::Retain)));
    let entry = |name: &'a str, wanted: Option<&'a api::Bucket>, policy| {
        let found = survey.known().and_then(|known| known.buckets.get(name));
        let bound = observed.bound.get(name);
        let origin = recorded.iter().find(|bucket| bucket.name == name).and_then(|bucket| bucket.origin);
        let ownership = ownership::of(object, name, found, Record { origin, is_bound: bound.is_some() });
        let endpoint = observed.endpoints.get(name).map(String::as_str);
        Bucket { name, wanted, policy, found, bound, ownership, origin, endpoint, keys: keys(name) }
    };
    let wanted = wanted.map(|bucket| entry(&bucket.name, Some(bucket), bucket.deletion_policy));
    let leaving = leaving.into_iter().take(MOST_BUCKETS).map(|(name, policy)| entry(name, None, policy));
    wanted.chain(leaving).collect()
}

/// The logins of a bucket in an engine that the controller runs.
fn managed_keys<'a>(
    object: &ObjectStorage,
    names: &Names,
    bucket: &str,
    observed: &'a Observed,
    embedded: &'a observed::Embedded,
) -> Keys<'a> {
    let logins = embedded.logins.get(bucket).map(Vec::as_slice).unwrap_or_default();
    let login_states = embedded.survey.known().and_then(|known| known.login_states.get(bucket));
    let login_state = login_states.map(|login_states| {
        move |login: &Login| {
            let index = logins.iter().position(|other| other.number == login.number);
            index.and_then(|index| login_states.get(index)).copied().unwrap_or(LoginState::Absent)
        }
    });
    let wanted = Wanted { base: None, user: None, password: None, rotation: login::rotation_request(&object.metadata) };
    let bound = observed.bound.get(bucket);
    Keys::Own {
        logins,
        rotation: Box::new(Rotation::new(names::logins(names, bucket), logins, bound, &wanted, login_state)),
    }
}

/// A bucket of an object storage that runs elsewhere, used with the one key that there is.
fn unrestricted(store: &Store, bucket: &str) -> Access {
    Access { address: store.address.clone(), key: store.key.clone(), bucket: bucket.to_owned(), is_restricted: false }
}
