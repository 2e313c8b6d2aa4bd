//! How long names may be in DNS.

use kube::ResourceExt;

/// The longest host name.
pub const HOST: usize = 253;
/// The suffix that resolvers append to the namespace of a pod, for a host name without the cluster's domain.
const SEARCHED: &str = ".svc.cluster.local";

/// The error in the name of an object in its namespace, if any. `host` is the longest host name that its pods have for each
/// other, `<pod>.<service>.<namespace>.svc`, in which both the pod and the Service are named after the object.
///
/// A resolver tries such a name within the namespace first, `<host>.<namespace>.svc.cluster.local`, and if that is longer than
/// DNS allows, it gives up without trying another. The CRD cannot validate it, because it does not know the namespace.
pub fn wrong_with_host(object: &impl ResourceExt, host: &str) -> Option<String> {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let excess = (host.len() + 1 + namespace.len() + SEARCHED.len()).checked_sub(HOST).filter(|excess| *excess > 0)?;
    let most = name.len().saturating_sub(excess.div_ceil(2));
    Some(format!(
        "metadata.name has {} characters, and its namespace {}: the host names of pods would be too long for DNS; recreate the object with a name of at most {most} characters",
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
    fn too_long_host_names_the_longest_allowed_name() {
        assert_eq!(wrong(35, 62), None);
        assert_eq!(wrong(34, 63), None);
        assert!(wrong(35, 63).unwrap().contains("at most 34 characters"));
        assert!(wrong(40, 63).unwrap().contains("at most 34 characters"));
    }
}
