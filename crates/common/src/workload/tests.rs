use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::*;
use crate::api::Resources;

#[test]
fn invalid_name_of_a_service_is_refused() {
    assert_eq!(wrong_with_name("temporal-2"), None);
    assert!(wrong_with_name("2temporal").unwrap().contains("start with a letter"));
    assert!(wrong_with_name("a.b").unwrap().contains("lower-case letters"));
    assert!(wrong_with_name(&"a".repeat(36)).unwrap().contains("36 characters"));
}

#[test]
fn defaults_stay_within_the_users_resources() {
    let memory = |text: &str| BTreeMap::from([("memory".to_owned(), Quantity(text.to_owned()))]);
    let defaults = DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
    let small = resources(&Resources { limits: memory("200Mi"), ..Resources::default() }, defaults);
    assert_eq!(small.requests.unwrap()["memory"].0, "200Mi");
    let large = resources(&Resources { requests: memory("2Gi"), ..Resources::default() }, defaults);
    assert_eq!(large.limits.unwrap()["memory"].0, "2Gi");
}

#[test]
fn helper_has_the_resources_that_quotas_count() {
    let limits = [("cpu", "500m"), ("memory", "2Gi"), ("example.com/gpu", "1")];
    let limits = limits.map(|(name, limit)| (name.to_owned(), Quantity(limit.to_owned())));
    let main = Resources { limits: limits.into(), ..Resources::default() };
    let got = resources(&helper_resources(&main), DefaultResources { cpu: "1m", memory: "8Mi", memory_limit: "32Mi" });
    let limits: Vec<_> = got.limits.unwrap().into_iter().map(|(name, limit)| (name, limit.0)).collect();
    assert_eq!(limits, [("cpu", "500m"), ("memory", "32Mi")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn users_resources_replace_the_defaults() {
    let wanted = Resources {
        limits: BTreeMap::from([("memory".to_owned(), Quantity("2Gi".to_owned()))]),
        ..Resources::default()
    };
    let got = resources(&wanted, DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" });
    assert_eq!(got.limits.unwrap()["memory"].0, "2Gi");
    assert_eq!(got.requests.unwrap()["memory"].0, "256Mi");
}
