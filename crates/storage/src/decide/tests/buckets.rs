//! What is decided about buckets and their keys.

use temporal_stack_common::api::DeletionPolicy;

use super::*;

const DELETE: &str = "temporal-stack.dev/delete-bucket";

#[test]
fn new_bucket_is_created_with_its_login() {
    let object = with_bucket(&json!({"versioning": true}));
    let mut observed = healthy(&object);
    observed.bound.clear();
    known(&mut observed).buckets.insert("albums".to_owned(), Found::Absent);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Absent]);
    assert_eq!(actions_of(&object, &observed), ["create bucket albums", "set a login on bucket albums"]);
    assert_eq!(waiting(&object, &observed), Some(reason::PREPARING));
}

#[test]
fn bucket_that_was_bound_is_not_created_empty() {
    let object = with_bucket(&json!({}));
    let mut observed = healthy(&object);
    known(&mut observed).buckets.insert("albums".to_owned(), Found::Absent);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Absent]);
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
    let obstacle = intent_of(&object, &observed).probe.unwrap().obstacle.unwrap();
    assert_eq!(obstacle.reason, reason::BUCKET_REPLACED);
    assert!(obstacle.is_for_user && obstacle.message.contains("delete secret photos-objectstorage-albums-binding"));
    observed.bound.clear();
    assert_eq!(actions_of(&object, &observed), ["create bucket albums", "set a login on bucket albums"]);
}

#[test]
fn bucket_of_another_endpoint_is_not_removed() {
    let spec = json!({"provider": {"external": {"secretName": "theirs"}}});
    let object = with_status(object(&spec), "external", &[("albums", "Delete")]);
    let object = annotated(object, DELETE, "albums@7");
    let at = |endpoint: Option<&str>, found: Found| {
        let buckets = [("albums".to_owned(), found)].into_iter().collect();
        let mut observed = external(Some(&KEYS), Survey::Known(Known { buckets, ..Known::default() }));
        observed.bound.insert("albums".to_owned(), bound(1));
        observed.endpoints.extend(endpoint.map(|endpoint| ("albums".to_owned(), endpoint.to_owned())));
        observed
    };
    for is_empty in [true, false] {
        for endpoint in [Some("https://old.example.com"), None] {
            let observed = at(endpoint, content(is_empty));
            assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
            assert!(condition(&object, &observed, "BucketsReady").contains("BucketFailed"));
        }
    }
    let elsewhere = at(Some("https://old.example.com"), Found::Absent);
    assert_eq!(status_of(&object, &elsewhere).buckets.len(), 1, "it is not forgotten");
    assert_eq!(status_of(&object, &at(None, Found::Absent)).buckets, []);
    assert_eq!(actions_of(&object, &at(Some(KEYS[0].1), content(true))), ["remove bucket albums"]);
}

#[test]
fn settings_that_differ_are_set() {
    let lock = json!({"mode": "Compliance", "days": 7});
    let object = with_bucket(&json!({"versioning": true, "objectLock": lock, "expirationDays": 30, "quota": "5Gi"}));
    let lockable = Facts { lock: Fact::Is(Locking::On(None)), ..facts() };
    assert_eq!(
        actions_of(&object, &with_facts(&object, lockable)),
        [
            "begin versioning of bucket albums",
            "set the object lock of bucket albums",
            "set the expiration of bucket albums",
            "set the quota of bucket albums"
        ]
    );
    let right = Facts {
        versioning: Fact::Is(Versioning::Enabled),
        lock: Fact::Is(Locking::On(Some(temporal_stack_common::s3::Lock {
            mode: temporal_stack_common::s3::Mode::Compliance,
            days: 7,
        }))),
        expiration: Fact::Is(Some(30)),
        quota: Fact::Is(Some(5 << 30)),
        is_empty: None,
        evidence: None,
    };
    assert_eq!(actions_of(&object, &with_facts(&object, right)), [] as [String; 0]);
}

#[test]
fn settings_that_are_no_longer_wanted_are_removed() {
    let object = with_bucket(&json!({}));
    let facts = Facts {
        versioning: Fact::Is(Versioning::Enabled),
        expiration: Fact::Is(Some(30)),
        quota: Fact::Is(Some(1)),
        ..facts()
    };
    assert_eq!(
        actions_of(&object, &with_facts(&object, facts)),
        [
            "suspend versioning of bucket albums",
            "set the expiration of bucket albums",
            "set the quota of bucket albums"
        ]
    );
}

#[test]
fn versions_of_a_bucket_with_object_lock_are_not_suspended() {
    let object = with_bucket(&json!({}));
    let facts = Facts { versioning: Fact::Is(Versioning::Enabled), lock: Fact::Is(Locking::On(None)), ..facts() };
    assert_eq!(actions_of(&object, &with_facts(&object, facts)), [] as [String; 0]);
}

#[test]
fn missing_features_are_adapted_by_name() {
    let object = with_bucket(&json!({"expirationDays": 30, "quota": "5Gi"}));
    let observed = with_facts(&object, Facts { expiration: Fact::Unsupported, quota: Fact::Unsupported, ..facts() });
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
    let said = condition(&object, &observed, "BucketsReady");
    for part in ["holds: true", "Adapted", "expirationDays", "quota"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(waiting(&object, &observed), None);
}

#[test]
fn problems_of_a_bucket_reach_the_verdict_and_the_condition() {
    let lock = json!({"versioning": true, "objectLock": {"mode": "Governance", "days": 1}});
    for (fields, found, reason) in [
        (json!({}), Found::Foreign, reason::BUCKET_TAKEN),
        (lock, Found::Usable(facts()), reason::OBJECT_LOCK_MISSING),
        (json!({}), Found::Failed(refused(Code::MalformedXML)), reason::BUCKET_FAILED),
    ] {
        let object = with_bucket(&fields);
        let mut observed = healthy(&object);
        known(&mut observed).buckets.insert("albums".to_owned(), found);
        let intent = intent_of(&object, &observed);
        assert_eq!(intent.waiting, None);
        assert_eq!(intent.probe.unwrap().obstacle.unwrap().reason, reason);
        assert!(condition(&object, &observed, "BucketsReady").contains(reason.as_str()));
    }
}

#[test]
fn refused_action_is_not_repeated_at_once() {
    let object = with_bucket(&json!({"expirationDays": 30}));
    let action = "set the expiration of bucket albums";
    let refused = |is_due| {
        let mut observed = healthy(&object);
        observed.refused.insert(action.to_owned(), Refusal { cause: "no".to_owned(), is_due });
        observed
    };
    assert_eq!(actions_of(&object, &refused(false)), [] as [String; 0]);
    assert_eq!(actions_of(&object, &refused(true)), [action]);
    for is_due in [false, true] {
        assert!(condition(&object, &refused(is_due), "BucketsReady").contains("BucketFailed"));
    }
    let corrected = with_bucket(&json!({}));
    assert!(condition(&corrected, &refused(true), "BucketsReady").contains("AsExpected"));
}

#[test]
fn setting_that_differs_is_not_as_expected() {
    let object = with_bucket(&json!({"expirationDays": 30}));
    assert!(condition(&object, &healthy(&object), "BucketsReady").contains("Preparing"));
    assert_eq!(waiting(&object, &healthy(&object)), None);
}

#[test]
fn outlived_key_is_removed_from_the_engine() {
    let object = with_bucket(&json!({}));
    let mut observed = healthy(&object);
    engine(&mut observed).logins.insert("albums".to_owned(), vec![login(1), login(2), login(3)]);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Usable; 3]);
    observed.bound.insert("albums".to_owned(), bound(3));
    let actions = intent_of(&object, &observed).actions;
    let [Action { change: Change::RemoveLogin(grant), .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(grant.key.id, "key-id-1");
    assert_eq!(grant.others.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["key-id-2", "key-id-3"]);
}

#[test]
fn next_key_is_set_beside_the_one_in_use() {
    let object = with_bucket(&json!({}));
    let mut observed = healthy(&object);
    engine(&mut observed).logins.insert("albums".to_owned(), vec![login(1), login(2)]);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Usable, LoginState::Absent]);
    let actions = intent_of(&object, &observed).actions;
    let [Action { change: Change::SetLogin(grant), .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((grant.key.id.as_str(), grant.others[0].id.as_str()), ("key-id-2", "key-id-1"));
}

#[test]
fn loose_key_is_restricted_again() {
    let object = with_bucket(&json!({}));
    let mut observed = healthy(&object);
    engine(&mut observed).logins.insert("albums".to_owned(), vec![login(1), login(2)]);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Usable; 2]);
    observed.bound.insert("albums".to_owned(), bound(2));
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
    observed.loose.insert("albums".to_owned());
    let actions = intent_of(&object, &observed).actions;
    let [Action { change: Change::SetLogin(first), .. }, Action { change: Change::SetLogin(second), .. }] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((first.key.id.as_str(), second.key.id.as_str()), ("key-id-1", "key-id-2"));
    assert_eq!(second.others[0].id, "key-id-1", "both may use the bucket");
}

#[test]
fn retained_bucket_loses_its_key_and_stays() {
    let (object, mut observed) = left("Retain", Some(content(false)));
    assert_eq!(actions_of(&object, &observed), ["remove a login from bucket albums"]);
    assert_eq!(status_of(&object, &observed).buckets[0].name, "albums");
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Absent]);
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
    assert_eq!(status_of(&object, &observed).buckets, []);
}

#[test]
fn deleted_bucket_goes_when_it_is_empty() {
    let (object, observed) = left("Delete", Some(content(true)));
    assert_eq!(actions_of(&object, &observed), ["remove bucket albums"]);
    let (object, observed) = left("Delete", Some(Found::Absent));
    assert_eq!(actions_of(&object, &observed), ["remove a login from bucket albums"]);
}

#[test]
fn bucket_that_may_have_hidden_versions_stays() {
    let unknown = Facts { versioning: Fact::Refused, is_empty: None, ..facts() };
    let (object, observed) = left("Delete", Some(Found::Usable(unknown)));
    let confirmed = annotated(object, DELETE, "albums@7");
    assert_eq!(actions_of(&confirmed, &observed), [] as [String; 0]);
    assert!(condition(&confirmed, &observed, "BucketsReady").contains("BucketFailed"));
}

#[test]
fn deleted_bucket_with_objects_needs_a_confirmation() {
    let (object, observed) = left("Delete", Some(content(false)));
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
    let said = condition(&object, &observed, "BucketsReady");
    assert!(said.contains("BucketNotEmpty") && said.contains("temporal-stack.dev/delete-bucket=albums@7"), "{said}");
    assert_eq!(waiting(&object, &observed), None);
    for value in ["other@7", "albums", "albums@6", "albums@8"] {
        let other = annotated(object.clone(), DELETE, value);
        assert_eq!(actions_of(&other, &observed), [] as [String; 0], "{value}");
    }
    let mut confirmed = annotated(object, DELETE, "albums@7");
    assert_eq!(actions_of(&confirmed, &observed), ["delete the objects of bucket albums"]);
    confirmed.metadata.generation = Some(8);
    assert_eq!(actions_of(&confirmed, &observed), [] as [String; 0], "it was edited since");
    assert!(condition(&confirmed, &observed, "BucketsReady").contains("delete-bucket=albums@8"));
}

#[test]
fn logins_without_a_recorded_bucket_leave_the_bucket_alone() {
    let (_, observed) = left("Delete", Some(content(true)));
    assert_eq!(actions_of(&object(&json!({})), &observed), ["remove a login from bucket albums"]);
}

#[test]
fn bucket_that_was_bound_stays_in_the_status() {
    let object = with_bucket(&json!({}));
    for found in [Found::Foreign, Found::Absent] {
        let mut observed = healthy(&object);
        known(&mut observed).buckets.insert("albums".to_owned(), found);
        assert_eq!(status_of(&object, &observed).buckets.len(), 1);
        observed.bound.clear();
        assert_eq!(status_of(&object, &observed).buckets, []);
    }
}

#[test]
fn policy_of_a_stalled_object_follows_the_spec() {
    let spec = json!({"provider": {"versity": {}}, "buckets": [{"name": "albums", "deletionPolicy": "Retain"}]});
    let object = with_status(object(&spec), "external", &[("albums", "Delete"), ("older", "Delete")]);
    assert_eq!(stalled(&object, &embedded()), reason::PROVIDER_CHANGED);
    let policies = status_of(&object, &embedded()).buckets.into_iter().map(|bucket| bucket.deletion_policy);
    let (retain, delete) = (DeletionPolicy::Retain, DeletionPolicy::Delete);
    assert_eq!(policies.collect::<Vec<_>>(), [retain, delete]);
}

#[test]
fn bucket_whose_engine_is_silent_stays_in_the_status() {
    let object = with_status(with_bucket(&json!({})), "minio", &[("albums", "Retain"), ("older", "Delete")]);
    let mut observed = healthy(&object);
    engine(&mut observed).survey = Survey::Unasked;
    let names: Vec<String> = status_of(&object, &observed).buckets.into_iter().map(|bucket| bucket.name).collect();
    assert_eq!(names, ["albums", "older"]);
}
