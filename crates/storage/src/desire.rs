//! The bill of materials, in the order of applying.

mod network_policy;
mod rook;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    binding,
    manifest::Manifest,
    volume,
    workload::{self, Pods, one_at_a_time},
};

use crate::{
    Defaults,
    access::bind,
    decide::{
        leaving,
        view::{Bucket, EmbeddedView, Keys, Provider, View},
    },
    names::{self, selector},
};

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let mut manifests = match &view.provider {
        Provider::Embedded(embedded) => engine(view, embedded, defaults),
        Provider::Rook(rook) => rook::claims(view, rook),
        Provider::External(_) => Vec::new(),
    };
    manifests.extend(view.buckets.iter().flat_map(|bucket| keys(view, bucket)));
    manifests
}

fn engine(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy, kind) = (&view.names, view.object.spec.deletion_policy, &embedded.kind);
    let mut manifests =
        embedded.roots.manifests(|number| names::root(names, number), embedded.observed.pod_roots(), policy);
    let claim = |name: String| Manifest::new(&volume::claim(&name, kind.storage())).existing().data(policy);
    let pods = Pods::new(names.base.clone(), selector(names, kind.name()), &view.object.spec.pods);
    manifests.extend(pods.account());
    manifests.extend(kind.claims(names).into_iter().map(claim));
    manifests.push(Manifest::new(&service::pods(names, kind)));
    manifests.push(Manifest::new(&service::clients(names, kind)));
    manifests.push(Manifest::new(&network_policy::policy(view, embedded, defaults)));
    if kind.servers() > 1 {
        manifests.push(Manifest::new(&one_at_a_time(names.base.clone(), selector(names, kind.name()))));
    }
    let set = stateful_set::servers(view, embedded, &pods, defaults);
    manifests.push(Manifest::new(&set).remade_on(workload::IMMUTABLE));
    manifests
}

/// The logins and the binding of a bucket.
fn keys(view: &View<'_>, bucket: &Bucket<'_>) -> Vec<Manifest> {
    let policy = view.object.spec.deletion_policy;
    if bucket.wanted.is_none() && leaving::is_released(bucket) {
        return remains(bucket);
    }
    let (name, provider) = (names::bucket_binding(&view.names, bucket.name), view.provider_name());
    let host = view.names.host(&view.names.base);
    let access = bucket.access(Some(&host));
    match &bucket.keys {
        Keys::Own { rotation, .. } => {
            let mut manifests = rotation.manifests(policy);
            manifests.push(rotation.bind(&name, access.map(|access| bind(&name, provider, &access))));
            manifests
        }
        Keys::Given(_) => {
            // An application must not be led to a bucket that belongs to another account.
            let is_usable = bucket.usable().is_some();
            // The binding of a bucket that is leaving says where it is.
            match access.filter(|_| is_usable && bucket.wanted.is_some()) {
                Some(access) => vec![Manifest::new(&bind(&name, provider, &access))],
                // The access may come back, and applications use what they have until then.
                None => vec![Manifest::new(&binding::reserved(&name)).existing()],
            }
        }
    }
}

/// The logins of a bucket that has left the spec: each Secret stays until the engine has removed its login, because the name of the
/// login is in no other place.
fn remains(bucket: &Bucket<'_>) -> Vec<Manifest> {
    let Keys::Own { logins, rotation } = &bucket.keys else { return Vec::new() };
    let gone = logins.iter().filter(|login| rotation.is_known() && !rotation.is_present(login));
    gone.map(|login| Manifest::absent::<Secret>(&rotation.secret(login.number))).collect()
}
