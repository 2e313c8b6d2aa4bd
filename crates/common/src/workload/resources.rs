//! The resources of containers.

use std::cmp::Ordering;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use crate::{api::Resources, manifest::compare_quantities};

/// The default resources of a container.
#[derive(Clone, Copy, Debug)]
pub struct DefaultResources {
    /// CPU request.
    pub cpu: &'static str,
    /// Memory request.
    pub memory: &'static str,
    /// Memory limit.
    pub memory_limit: &'static str,
}

/// The user's resources, with the default for each that is absent. Memory has a limit, CPU has none: a throttled server is slow.
pub fn resources(wanted: &Resources, defaults: DefaultResources) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    let mut requests = wanted.requests.clone();
    let mut limits = wanted.limits.clone();
    // A limit of the user may be below the default request, and a request above the default limit.
    let within = |defaults: &str, bound: Option<&Quantity>, outside: Ordering| match bound {
        Some(bound) if compare_quantities(defaults, &bound.0) == Some(outside) => bound.clone(),
        _ => quantity(defaults),
    };
    let limit = within(defaults.memory_limit, requests.get("memory"), Ordering::Less);
    limits.entry("memory".to_owned()).or_insert(limit);
    for (name, defaults) in [("cpu", defaults.cpu), ("memory", defaults.memory)] {
        let request = within(defaults, limits.get(name), Ordering::Greater);
        requests.entry(name.to_owned()).or_insert(request);
    }
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

/// The resources of a helper container: the limits of CPU and local storage of the main container, because a quota that counts
/// these requires them of every container.
pub fn helper_resources(main: &Resources) -> Resources {
    let counted = |name: &String| ["cpu", "ephemeral-storage"].contains(&name.as_str());
    let limits = main.limits.iter().filter(|(name, _)| counted(name));
    Resources { limits: limits.map(|(name, limit)| (name.clone(), limit.clone())).collect(), ..Resources::default() }
}
