use std::collections::BTreeMap;

use kube::runtime::watcher::Event;
use serde_json::json;

use super::{
    held::{MOST_BEYOND, MOST_OF_INSTANCE, MOST_OF_NAMESPACE},
    *,
};
use crate::api::label;

fn secret(version: &str, uid: &str) -> Arrived {
    Arrived::new(json!({
        "metadata": {
            "name": "a", "namespace": "n", "uid": uid, "resourceVersion": version,
            "labels": {label::INSTANCE: "i"},
        },
    }))
    .unwrap()
}

fn instance() -> Instance {
    Instance { namespace: "n".to_owned(), name: "i".to_owned() }
}

#[test]
fn echo_of_a_write_is_no_news() {
    let cache = Cache::default();
    assert!(cache.put("Secret", secret("5", "u")));
    assert!(cache.take("Secret", Event::Apply(secret("5", "u")), &mut Listed::default()).is_empty());
    assert!(cache.take("Secret", Event::Apply(secret("4", "u")), &mut Listed::default()).is_empty());
    assert_eq!(cache.take("Secret", Event::Apply(secret("6", "u")), &mut Listed::default()), [instance()]);
}

#[test]
fn absent_kind_is_news_once_until_it_appears() {
    let cache = Cache::default();
    let has_it = || cache.children(&instance(), "u").has_kind::<k8s_openapi::api::core::v1::Secret>();
    assert!(has_it());
    assert!(cache.note_kind("Secret", true) && !cache.note_kind("Secret", true));
    assert!(!has_it());
    assert!(cache.note_kind("Secret", false) && !cache.note_kind("Secret", false));
    assert!(has_it());
}

#[test]
fn relabelled_object_is_news_for_both_owners() {
    let cache = Cache::default();
    cache.put("Secret", secret("5", "u"));
    let mut moved = secret("6", "u");
    moved.meta_mut().labels = Some(BTreeMap::from([(label::INSTANCE.to_owned(), "j".to_owned())]));
    let other = Instance { namespace: "n".to_owned(), name: "j".to_owned() };
    assert_eq!(cache.take("Secret", Event::Apply(moved), &mut Listed::default()), [instance(), other]);
    assert!(cache.labelled(&instance()).get("Secret", "a").is_none());
}

#[test]
fn object_that_is_labelled_back_is_nowhere_else() {
    let cache = Cache::default();
    let labelled = |version: &str, name: Option<&str>| {
        let mut secret = secret(version, "u");
        secret.meta_mut().labels = name.map(|name| BTreeMap::from([(label::INSTANCE.to_owned(), name.to_owned())]));
        secret
    };
    let take = |secret| cache.take("Secret", Event::Apply(secret), &mut Listed::default());
    take(labelled("5", Some("j")));
    // The driver labels it; the event of the edit before comes late.
    assert!(cache.put("Secret", labelled("6", Some("i"))));
    assert!(take(labelled("5", Some("j"))).is_empty());
    assert_eq!(cache.read().iter().map(|(instance, _)| instance.clone()).collect::<Vec<_>>(), [instance()]);
    assert_eq!(take(labelled("7", None)), [instance()]);
    assert!(cache.labelled(&instance()).is_empty());
}

/// A Secret of a stranger's, with our labels and whatever owner it likes, whose value does not compress.
fn large(name: &str, namespace: &str, length: usize) -> Arrived {
    let mut state = name.bytes().fold(1_u32, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + state.to_be_bytes()[0] % 94)
    });
    let value: String = random.filter(|c| !"\"\\".contains(*c)).take(length).collect();
    Arrived::new(json!({
        "metadata": {
            "name": name, "namespace": namespace, "uid": name, "resourceVersion": "1",
            "labels": {label::INSTANCE: name, label::DATA: "true"},
            "ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": "any", "controller": true}],
        },
        "data": {"value": value},
    }))
    .unwrap()
}

/// How many bytes are kept of all objects.
fn kept(cache: &Cache) -> usize {
    let held = cache.read();
    held.iter().flat_map(|(_, children)| children.all.values()).map(|packed| packed.kept()).sum()
}

#[test]
fn large_foreign_objects_do_not_grow_the_cache() {
    let cache = Cache::default();
    for number in 0..100 {
        cache.put("Secret", large(&format!("s{number}"), "hostile", 900_000));
    }
    assert!(kept(&cache) < LARGE + MOST_BEYOND + 100 * 1000, "{}", kept(&cache));
    // Another namespace has room, and so have small ones.
    cache.put("Secret", large("victim", "other", 900_000));
    cache.put("Secret", large("small", "hostile", 10_000));
    for (name, namespace, length) in [("victim", "other", 900_000), ("small", "hostile", 10_000)] {
        let instance = Instance { namespace: namespace.to_owned(), name: name.to_owned() };
        let value = cache.labelled(&instance).get("Secret", name).unwrap().value();
        assert_eq!(value["data"]["value"].as_str().map(str::len), Some(length));
    }
    // One for which there was no room is known, and nothing of it is held.
    let instance = Instance { namespace: "hostile".to_owned(), name: "s99".to_owned() };
    let known = cache.labelled(&instance).get("Secret", "s99").unwrap().value();
    assert!(known["data"].is_null() && known["metadata"]["uid"] == "s99", "{known}");
}

/// A Secret of one letter, with the labels of the custom resource `i`.
fn monotonous(name: &str, length: usize) -> Arrived {
    Arrived::new(json!({
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "resourceVersion": "1",
            "labels": {label::INSTANCE: "i"},
        },
        "data": {"value": "a".repeat(length)},
    }))
    .unwrap()
}

#[test]
fn objects_of_one_letter_do_not_fill_a_pass() {
    for (count, length) in [(150, 900_000), (1000, 31_000)] {
        let cache = Cache::default();
        for number in 0..count {
            cache.put("Secret", monotonous(&format!("s{number}"), length));
        }
        let children = cache.labelled(&instance());
        let unpacked: usize = children.iter().map(|(_, _, secret)| secret.length()).sum();
        assert!(unpacked == children.length && unpacked < MOST_OF_INSTANCE + count * 200, "{length}: {unpacked}");
        // Room returns with each object that goes.
        assert!(children.get("Secret", "s0").unwrap().value()["data"].is_object());
        for number in 0..10 {
            assert!(cache.forget(&instance(), "Secret", &format!("s{number}")));
        }
        cache.put("Secret", monotonous("late", length));
        assert!(cache.labelled(&instance()).get("Secret", "late").unwrap().value()["data"].is_object());
        for number in 0..count {
            cache.forget(&instance(), "Secret", &format!("s{number}"));
        }
        assert_eq!(cache.labelled(&instance()).iter().count(), 1);
    }
}

#[test]
fn many_small_foreign_objects_do_not_grow_the_cache() {
    let cache = Cache::default();
    for number in 0..3000 {
        cache.put("Secret", large(&format!("s{number}"), "hostile", 31_000));
    }
    assert!(kept(&cache) <= MOST_OF_NAMESPACE + (2 << 20), "{}", kept(&cache));
    let instance = |namespace: &str, name: &str| Instance { namespace: namespace.to_owned(), name: name.to_owned() };
    let known = |namespace: &str, name: &str| cache.labelled(&instance(namespace, name)).get("Secret", name).cloned();
    assert!(known("hostile", "s0").unwrap().value()["data"].is_object());
    assert!(known("hostile", "s2999").unwrap().value()["data"].is_null(), "only its identity");
    cache.put("Secret", large("victim", "other", 31_000));
    assert!(known("other", "victim").unwrap().value()["data"].is_object());
    // Room returns with each object that goes.
    for number in 0..100 {
        let name = format!("s{number}");
        assert!(cache.forget(&instance("hostile", &name), "Secret", &name));
    }
    cache.put("Secret", large("late", "hostile", 31_000));
    assert!(known("hostile", "late").unwrap().value()["data"].is_object());
}

#[test]
fn object_missing_from_a_new_list_is_removed() {
    let cache = Cache::default();
    cache.put("Secret", secret("5", "u"));
    let mut listed = Listed::default();
    assert!(cache.take("Secret", Event::Init, &mut listed).is_empty());
    assert_eq!(cache.take("Secret", Event::InitDone, &mut listed), [instance()]);
    assert!(cache.labelled(&instance()).get("Secret", "a").is_none());
}

#[test]
fn new_list_with_lower_versions_replaces_the_cache() {
    let cache = Cache::default();
    cache.put("Secret", secret("50", "u"));
    let mut listed = Listed::default();
    cache.take("Secret", Event::Init, &mut listed);
    assert_eq!(cache.take("Secret", Event::InitApply(secret("5", "u")), &mut listed), [instance()]);
    cache.take("Secret", Event::InitDone, &mut listed);
    assert_eq!(cache.labelled(&instance()).get("Secret", "a").unwrap().version(), "5");
    assert_eq!(cache.take("Secret", Event::Apply(secret("6", "u")), &mut listed), [instance()]);
}

#[test]
fn write_during_a_list_request_is_kept() {
    let cache = Cache::default();
    cache.put("Secret", secret("5", "u"));
    let mut listed = Listed::default();
    cache.take("Secret", Event::Init, &mut listed);
    cache.put("Secret", secret("7", "u"));
    assert!(cache.take("Secret", Event::InitApply(secret("5", "u")), &mut listed).is_empty());
    cache.take("Secret", Event::InitDone, &mut listed);
    assert_eq!(cache.labelled(&instance()).get("Secret", "a").unwrap().version(), "7");

    // The same of one that is not in the list, because it was made after it.
    cache.take("Secret", Event::Init, &mut listed);
    cache.put("Secret", secret("8", "u"));
    assert!(cache.take("Secret", Event::InitDone, &mut listed).is_empty());
    assert!(cache.labelled(&instance()).get("Secret", "a").is_some());
}

#[test]
fn late_deletion_does_not_remove_a_successor() {
    let cache = Cache::default();
    cache.put("Secret", secret("7", "new"));
    assert!(cache.take("Secret", Event::Delete(secret("6", "old")), &mut Listed::default()).is_empty());
    assert!(cache.labelled(&instance()).get("Secret", "a").is_some());
}
