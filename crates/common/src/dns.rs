//! How long names may be in DNS.

use kube::ResourceExt;

/// The longest part of a host name: the name of a Service or a pod.
pub const LABEL: usize = 63;
/// The longest host name.
pub const HOST: usize = 253;
/// What resolvers put behind the namespace of a pod, for a host name without the cluster's domain.
const SEARCHED: &str = ".svc.cluster.local";

/// What is wrong with the name of an object in its namespace, if anything. `host` is the longest host name that its pods have for each
/// other, `<pod>.<service>.<namespace>.svc`, in which both the pod and the Service are named after the object.
///
/// A resolver tries such a name within the namespace first, `<host>.<namespace>.svc.cluster.local`, and when that is longer than
/// DNS allows it gives up and tries no other. Only here is the namespace known, so the CRD cannot say it.
pub fn wrong_with_host(object: &impl ResourceExt, host: &str) -> Option<String> {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let excess = (host.len() + 1 + namespace.len() + SEARCHED.len()).checked_sub(HOST).filter(|excess| *excess > 0)?;
    let most = name.len().saturating_sub(excess.div_ceil(2));
    Some(format!(
        "metadata.name has {} characters in a namespace of {}: host names of pods are made of both and are too long for DNS; create the object again with a name of at most {most} characters",
        name.len(),
        namespace.len()
    ))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn wrong(name: usize, namespace: usize) -> Option<String> {
        let (name, namespace) = ("a".repeat(name), "n".repeat(namespace));
        let mut object = Pod::default();
        object.metadata.name = Some(name.clone());
        object.metadata.namespace = Some(namespace.clone());
        wrong_with_host(&object, &format!("{name}-messagequeue-0.{name}-messagequeue-pods.{namespace}.svc"))
    }

    #[test]
    fn a_host_that_no_resolver_can_ask_for_names_the_longest_name() {
        assert_eq!(wrong(35, 62), None);
        assert_eq!(wrong(34, 63), None);
        assert!(wrong(35, 63).unwrap().contains("at most 34 characters"));
        assert!(wrong(40, 63).unwrap().contains("at most 34 characters"));
    }
}
