//! How the state of Rook's claims is gathered. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    storage::v1::StorageClass,
};
use kube::{ResourceExt, api::ApiResource};
use temporal_stack_common::{
    api::{Bucket, ObjectStorage, RookProvider, label},
    manifest::bytes,
    s3::{Code, Failure, Locking},
    watches::Child,
    world::{Elsewhere, ReadError, World},
};

use super::survey::{Asking, found};
use crate::{
    access::Store,
    engine::Fact,
    names::{BUCKET_LABEL, MOST_BUCKETS},
    observed::{Found, Known, Survey},
    rook::{
        ALLOWED_FIELDS, Around, CephObjectStore, Certificate, Claimed, Class, Granted, MAX_SIZE, OPERATOR_SETTINGS,
        ObjectBucketClaim, Observed, PROVISIONER, granted,
    },
};

/// How many buckets are asked about at the same time.
const AT_ONCE: usize = 4;

/// The children of this provider. The cluster need not have the kind.
pub(super) fn children() -> Vec<Child> {
    vec![Child::owned::<ObjectBucketClaim>()]
}

/// The administrators' objects that are read.
pub(super) fn elsewhere() -> Vec<ApiResource> {
    vec![ApiResource::erase::<CephObjectStore>(&())]
}

/// Gathers the claims of an object, and what their provisioner depends on. `buckets` are the ones to look at, and whether each is
/// wanted.
pub(super) async fn observe(
    object: &ObjectStorage,
    provider: &RookProvider,
    buckets: &BTreeMap<String, bool>,
    world: &World<'_>,
) -> Result<Observed, ReadError> {
    if !world.children.has_kind::<ObjectBucketClaim>() {
        return Ok(Observed::default());
    }
    let claims = claims(world);
    let is_bound = |bucket: &str| claims.iter().any(|(name, claim)| name == bucket && claim.is_bound());
    let is_pending = buckets.iter().any(|(bucket, is_wanted)| *is_wanted && !is_bound(bucket));
    let around = around(&provider.storage_class_name, is_pending, world).await?;
    let mut claimed = Vec::new();
    for (bucket, claim) in claims {
        claimed.push(read(bucket, claim, &around, world).await?);
    }
    let survey = survey(object, &claimed, buckets).await;
    Ok(Observed { is_installed: true, around, claims: claimed, survey })
}

/// The claims by their bucket. Of several for one bucket, the oldest counts. Ours are data; another claim with our labels is none.
fn claims(world: &World<'_>) -> Vec<(String, ObjectBucketClaim)> {
    let mut all: Vec<ObjectBucketClaim> = world.children.all();
    all.retain(|claim| claim.labels().get(label::DATA).is_some_and(|value| value == "true"));
    all.sort_by_key(|claim| (claim.creation_timestamp(), claim.name_any()));
    let mut seen = BTreeSet::new();
    let named = all.into_iter().filter_map(|claim| Some((claim.labels().get(BUCKET_LABEL)?.clone(), claim)));
    named.filter(|(bucket, _)| seen.insert(bucket.clone())).take(MOST_BUCKETS).collect()
}

async fn read(
    bucket: String,
    claim: ObjectBucketClaim,
    around: &Around,
    world: &World<'_>,
) -> Result<Claimed, ReadError> {
    if !claim.is_bound() {
        return Ok(Claimed { bucket, claim, granted: None });
    }
    let name = claim.name_any();
    let map: Option<ConfigMap> = world.get(&name).await.map_err(reading("ConfigMap", &name))?;
    let secret: Option<Secret> = world.get(&name).await.map_err(reading("Secret", &name))?;
    let (port, authority) = (around.secure_port(), around.authority.as_deref());
    let granted = granted(&claim, map.as_ref(), secret.as_ref(), port, authority);
    Ok(Claimed { bucket, claim, granted: Some(granted) })
}

/// Asks about the buckets that exist, each with its owner's key. If none answers, the object store is silent.
async fn survey(object: &ObjectStorage, claims: &[Claimed], buckets: &BTreeMap<String, bool>) -> Survey {
    let mut known = Known::default();
    let has_claim = |name: &str| claims.iter().any(|claimed| claimed.bucket == name);
    // With its claim the bucket went, too.
    let gone = buckets.iter().filter(|(name, is_wanted)| !**is_wanted && !has_claim(name));
    known.buckets.extend(gone.map(|(name, _)| (name.clone(), Found::Absent)));
    let mut asked: Vec<BoxFuture<'_, (String, Result<Found, Failure>)>> = Vec::new();
    for claimed in claims.iter().filter(|claimed| buckets.contains_key(&claimed.bucket)) {
        if let Some(Ok(granted)) = &claimed.granted {
            asked.push(ask(object, claimed, granted).boxed());
        }
    }
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    if answers.is_empty() && !object.spec.buckets.is_empty() {
        return Survey::Unasked;
    }
    let is_silent = answers.iter().all(|(_, answer)| answer.is_err());
    for (bucket, answer) in answers {
        match answer {
            Ok(found) => drop(known.buckets.insert(bucket, found)),
            Err(failure) if is_silent => return Survey::Silent(failure),
            Err(failure) => drop(known.buckets.insert(bucket, Found::Failed(failure))),
        }
    }
    Survey::Known(known)
}

async fn ask(object: &ObjectStorage, claimed: &Claimed, granted: &Granted) -> (String, Result<Found, Failure>) {
    let wanted = object.spec.buckets.iter().find(|bucket| bucket.name == claimed.bucket);
    (claimed.bucket.clone(), inspect(granted, &claimed.claim, wanted).await)
}

/// The state of a bucket, by its owner's key. Its quota is that of its owner, who owns nothing else.
async fn inspect(granted: &Granted, claim: &ObjectBucketClaim, wanted: Option<&Bucket>) -> Result<Found, Failure> {
    let Granted { address, key, .. } = granted.clone();
    let store = Store { administration: address.clone(), address, key, account: None };
    let client = store.client()?;
    let asking = Asking { client: &client, store: &store, kind: None, account: None, lasting: None };
    let mut found = found(asking, &granted.bucket, wanted.is_none()).await?;
    match &mut found {
        Found::Usable(facts) => {
            let quota = claim.spec.additional_config.get(MAX_SIZE);
            facts.quota = Fact::Is(quota.and_then(|quota| bytes(quota)));
            // The provisioner creates buckets without object lock. Ceph accepts it later, from version 19 on.
            let wants_lock = wanted.is_some_and(|wanted| wanted.object_lock.is_some());
            if wants_lock && facts.lock == Fact::Is(Locking::Off) {
                facts.lock = Fact::Is(Locking::On(None));
            }
        }
        // One that is gone under a bound claim is lost: nothing may create an empty one in its place.
        Found::Absent if wanted.is_some() => {
            let (address, code) = (granted.address.endpoint.clone(), Code::NoSuchBucket);
            let (request, message) = (format!("GET /{}", granted.bucket), "the bucket does not exist".to_owned());
            found = Found::Failed(Failure::Refused { address, request, status: 404, code, message });
        }
        Found::Foreign => {
            let (address, code) = (granted.address.endpoint.clone(), Code::AccessDenied);
            let (request, message) = (format!("GET /{}", granted.bucket), "the bucket is not its owner's".to_owned());
            found = Found::Failed(Failure::Refused { address, request, status: 403, code, message });
        }
        Found::Absent | Found::Failed(_) => {}
    }
    Ok(found)
}

async fn around(named: &str, is_pending: bool, world: &World<'_>) -> Result<Around, ReadError> {
    let classes: Option<Vec<StorageClass>> = world.list_cluster().await.map_err(reading("StorageClass", named))?;
    let mut around = Around { class: class(named, classes.as_deref()), ..Around::default() };
    if let Some((namespace, name)) =
        around.store_name().map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
    {
        let store: Elsewhere<CephObjectStore> =
            world.get_elsewhere(&namespace, &name).await.map_err(reading("CephObjectStore", &name))?;
        if let Elsewhere::There(store) = &store
            && let Some(secret) = &store.spec.gateway.ssl_certificate_ref
        {
            let found = world.get_elsewhere::<Certificate>(&namespace, secret).await;
            if let Elsewhere::There(certificate) = found.map_err(reading("Secret", secret))? {
                around.authority = certificate.authority();
            }
        }
        around.store = store;
    }
    // Only claims that are not bound need an explanation.
    if let (true, Class::Found { provisioner, .. }) = (is_pending, &around.class)
        && let Some(operator) = provisioner.strip_suffix(PROVISIONER)
    {
        let settings = world.get_elsewhere::<ConfigMap>(operator, OPERATOR_SETTINGS).await;
        if let Elsewhere::There(settings) = settings.map_err(reading("ConfigMap", OPERATOR_SETTINGS))? {
            let fields = settings.data.as_ref().and_then(|data| data.get(ALLOWED_FIELDS));
            around.allowed = fields.map(|fields| fields.split(',').map(|field| field.trim().to_owned()).collect());
        }
    }
    Ok(around)
}

fn class(named: &str, classes: Option<&[StorageClass]>) -> Class {
    let Some(classes) = classes else { return Class::Unknown };
    let is_for_buckets = |class: &&StorageClass| class.provisioner.ends_with(PROVISIONER);
    let suitable = classes.iter().filter(is_for_buckets).map(ResourceExt::name_any).collect();
    match classes.iter().find(|class| class.name_any() == named) {
        None => Class::Missing { suitable },
        Some(class) => Class::Found {
            provisioner: class.provisioner.clone(),
            parameters: class.parameters.clone().unwrap_or_default(),
            suitable,
        },
    }
}

fn reading(kind: &str, name: &str) -> impl FnOnce(kube::Error) -> ReadError {
    let what = format!("{kind}/{name}");
    |source| ReadError { what, source }
}

#[cfg(test)]
mod tests;
