//! Every message of this crate that a condition can have, in one snapshot: reviewing them is reading them as an operator would.

use temporal_stack_common::{
    http,
    testkit::{distinct, texts},
};

use super::*;
use crate::{engine::Healing, fixture::owned_by, observed::Evidence, verify::Diagnosis};

#[test]
fn messages_are_as_reviewed() {
    let decisions = [specs(), engines(), drives(), bucket_states(), owners_of_buckets()].into_iter().flatten();
    let failures = failures().into_iter().map(|(failure, managed_by)| {
        let Diagnosis { reason, message, needs_user } = diagnose(&failure, managed_by);
        format!("{} {reason}: {message}", if needs_user { "Stalled" } else { "Reconciling" })
    });
    insta::assert_snapshot!(distinct(decisions.flat_map(|decision| texts(&decision)).chain(failures)));
}

/// Specs that cannot work, and Secrets of object storages elsewhere.
fn specs() -> Vec<Decision<Storage>> {
    let of_spec = |spec, observed| decision(&object(&spec), &observed);
    let elsewhere = |keys: &[(&str, &str)]| {
        of_spec(json!({"provider": {"external": {"secretName": "s"}}}), external(Some(keys), Survey::Unasked))
    };
    let bucket = |fields| decision(&with_bucket(&fields), &embedded());
    let versity = object(&json!({"provider": {"versity": {}}}));
    vec![
        of_spec(json!({"provider": {"minio": {"servers": 2}}}), embedded()),
        of_spec(json!({"provider": {"minio": {"drivesPerServer": 2}}}), embedded()),
        of_spec(json!({"provider": {"minio": {}, "versity": {}}}), embedded()),
        of_spec(json!({"buckets": [{"name": "A"}]}), embedded()),
        bucket(json!({"objectLock": {"mode": "Governance", "days": 1}})),
        bucket(json!({"expirationDays": 0})),
        bucket(json!({"quota": "much"})),
        of_spec(json!({"provider": {"external": {"secretName": "s"}}}), external(None, Survey::Unasked)),
        elsewhere(&[("endpoint", "minio:9000")]),
        elsewhere(&KEYS),
        decision(&versity, &healthy(&sized(1))),
        decision(&with_status(versity, "external", &[("albums", "Retain")]), &embedded()),
        decision(&sized(4), &healthy(&sized(1))),
    ]
}

/// Engines that are starting, silent, or stopping.
fn engines() -> Vec<Decision<Storage>> {
    let with = |servers: i32, change: &dyn Fn(&mut crate::observed::Embedded)| {
        let object = sized(servers);
        let mut observed = healthy(&object);
        change(engine(&mut observed));
        decision(&object, &observed)
    };
    let stopping = annotated(sized(4), "temporal-stack.dev/full-restart", "now");
    let mut stopped = healthy(&stopping);
    engine(&mut stopped).roots.push(crate::fixture::root(2, Some("now"), "minio-4x1"));
    vec![
        decision(&sized(1), &embedded()),
        with(1, &|engine| engine.survey = Survey::Silent(refused(Code::InvalidAccessKeyId))),
        with(1, &|engine| engine.survey = Survey::Silent(unreachable())),
        with(4, &|engine| engine.roots.clear()),
        with(4, &|engine| engine.may_stop = Some(false)),
        decision(&stopping, &stopped),
    ]
}

/// Drives in trouble, and versions.
fn drives() -> Vec<Decision<Storage>> {
    let with = |change: &dyn Fn(&mut crate::engine::Health)| {
        let object = sized(4);
        let mut observed = healthy(&object);
        let mut health = crate::fixture::health(4);
        change(&mut health);
        engine(&mut observed).health = Some(Ok(health));
        decision(&object, &observed)
    };
    let drive = |health: &mut crate::engine::Health, change: &dyn Fn(&mut crate::engine::Drive)| {
        health.drives.iter_mut().flatten().take(1).for_each(change);
    };
    let versity = object(&json!({"provider": {"versity": {}}}));
    let mut plain = healthy(&versity);
    engine(&mut plain).health = Some(Ok(crate::engine::Health::default()));
    let mut silent = healthy(&sized(1));
    engine(&mut silent).health = Some(Err(unreachable()));
    let mut starting = healthy(&sized(4));
    engine(&mut starting).survey = Survey::Unasked;
    let mut lost = crate::fixture::health(4);
    lost.drives.iter_mut().flatten().skip(1).for_each(|drive| drive.is_online = false);
    engine(&mut starting).health = Some(Ok(lost));
    vec![
        with(&|_| ()),
        with(&|health| drive(health, &|drive| drive.is_online = false)),
        with(&|health| drive(health, &|drive| drive.healing = Some(Healing { restored: 120, total: 1000 }))),
        with(&|health| drive(health, &|drive| drive.healing = Some(Healing::default()))),
        with(&|health| drive(health, &|drive| drive.available = 1)),
        with(&|health| health.can_write = Some(false)),
        with(&|health| health.drives.iter_mut().flatten().for_each(|drive| drive.total = 0)),
        with(&|health| health.drives.as_mut().unwrap().truncate(2)),
        with(&|health| health.version = Some("DEVELOPMENT.GOGET".to_owned())),
        with(&|health| health.version = None),
        decision(&versity, &plain),
        decision(&sized(1), &silent),
        decision(&sized(4), &starting),
    ]
}

/// Buckets that are not as they should be, and those that leave.
fn bucket_states() -> Vec<Decision<Storage>> {
    let of = |fields, found| {
        let object = with_bucket(&fields);
        let mut observed = healthy(&object);
        known(&mut observed).buckets.insert("albums".to_owned(), found);
        decision(&object, &observed)
    };
    let limited = Facts { expiration: Fact::Unsupported, quota: Fact::Refused, ..facts() };
    let limit = with_bucket(&json!({"quota": "1Gi"}));
    let mut refusing = healthy(&limit);
    let refusal = |cause: &str| Refusal { cause: cause.to_owned(), is_due: false };
    refusing.refused.insert("set the quota of bucket albums".to_owned(), refusal("no"));
    let leaving = |found| {
        let (object, observed) = left("Delete", Some(found));
        decision(&object, &observed)
    };
    let (object, mut locked) = left("Delete", Some(content(false)));
    let object = annotated(object, "temporal-stack.dev/delete-bucket", "albums@7");
    locked.refused.insert("delete the objects of bucket albums".to_owned(), refusal("objects remain"));
    let new = with_bucket(&json!({}));
    let mut unbound = healthy(&new);
    known(&mut unbound).buckets.insert("albums".to_owned(), Found::Absent);
    unbound.bound.clear();
    let hidden = Facts { versioning: Fact::Refused, ..facts() };
    vec![
        decision(&new, &unbound),
        of(json!({}), Found::Absent),
        of(json!({}), Found::Foreign),
        of(json!({}), Found::Failed(refused(Code::MalformedXML))),
        of(json!({"versioning": true, "objectLock": {"mode": "Governance", "days": 1}}), Found::Usable(facts())),
        of(json!({"expirationDays": 1, "quota": "1Gi"}), Found::Usable(limited)),
        decision(&limit, &refusing),
        leaving(content(false)),
        leaving(Found::Usable(hidden)),
        leaving(Found::Failed(refused(Code::SlowDown))),
        decision(&object, &locked),
    ]
}

/// Buckets of an object storage elsewhere that are not the object's.
fn owners_of_buckets() -> Vec<Decision<Storage>> {
    let new = owners::with_origin("Delete", None);
    let strange = Facts { evidence: Some(Evidence { is_of_account: Some(false), owner: Fact::Refused }), ..facts() };
    let hidden =
        Facts { evidence: Some(Evidence { is_of_account: None, owner: Fact::Is(Some("0".to_owned())) }), ..facts() };
    let used = Facts { versioning: Fact::Is(Versioning::Enabled), ..owned_by(None) };
    vec![
        decision(&new, &owners::owned(None, false)),
        decision(&new, &owners::owned(Some("another"), false)),
        decision(&new, &owners::found(Found::Usable(strange), false)),
        decision(&new, &owners::found(Found::Usable(hidden), false)),
        decision(&new, &owners::found(Found::Usable(used), true)),
        decision(&owners::leaving(None), &owners::owned(None, true)),
    ]
}

fn unreachable() -> Failure {
    without_connection("no route to host")
}

fn without_connection(cause: &str) -> Failure {
    let (address, cause) = ("10.0.0.1:9000".to_owned(), cause.to_owned());
    Failure::Http(http::Failure::Unreachable { address, cause })
}

/// Each kind of failure of an object storage elsewhere; and one of the controller's own.
fn failures() -> Vec<(Failure, ManagedBy)> {
    let (address, request) = ("s3.example.com:443".to_owned(), "GET /albums".to_owned());
    let causes = || {
        let redirect = http::Failure::Redirect { address: address.clone(), request: request.clone(), status: 301 };
        let refused =
            [Code::InvalidAccessKeyId, Code::AccessDenied, Code::RequestTimeTooSkewed, Code::SlowDown].map(refused);
        let untrusted = without_connection("invalid peer certificate: UnknownIssuer");
        refused.into_iter().chain([Failure::Key, Failure::Http(redirect), unreachable(), untrusted])
    };
    let of = |managed_by| causes().map(move |failure| (failure, managed_by));
    of(ManagedBy::User).chain(of(ManagedBy::Rook)).chain([(unreachable(), ManagedBy::Controller)]).collect()
}
