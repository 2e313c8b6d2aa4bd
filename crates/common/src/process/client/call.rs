//! The kind of a request to the API server, read from its method and URL.

use std::fmt;

use http::{Method, Uri};

/// One kind of request, without names and namespaces, so a controller has only a limited number of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The verb.
    pub verb: Verb,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural resource, with the subresource where there is one (`pods`, `pods/status`); `other` for requests that are not
    /// about a resource, such as discovery.
    pub resource: String,
}

/// The verbs of Kubernetes' authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Creates an object, or requests one from a subresource.
    Create,
    /// Replaces an object.
    Update,
    /// Changes or applies an object.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

impl Verb {
    const ALL: [Self; 8] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];

    /// The verb of that name in a Role.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }

    /// Its name in a Role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it may change the cluster.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

impl Call {
    /// Reads the kind of a request, by the rules of the API server's own `RequestInfo`.
    pub fn parse(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|s| !s.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let rest = match rest {
            // The subresources of a namespace itself: no resource has such a name.
            ["namespaces", _, "status" | "finalize"] => rest,
            ["namespaces", _namespace, resource @ ..] if !resource.is_empty() => resource,
            _ => rest,
        };
        let (resource, named) = match rest {
            [] => ("other".to_owned(), true),
            [resource] => ((*resource).to_owned(), false),
            [resource, _name] => ((*resource).to_owned(), true),
            // Further segments belong to the proxied server.
            [resource, _name, subresource, ..] => (format!("{resource}/{subresource}"), true),
        };
        Self { verb: verb(method, uri, named), group: group.to_owned(), resource }
    }
}

fn verb(method: &Method, uri: &Uri, named: bool) -> Verb {
    let watch = || uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    match *method {
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ if watch() => Verb::Watch,
        _ if named => Verb::Get,
        _ => Verb::List,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_determines_the_call() {
        let stack = "/apis/temporal-stack.dev/v1alpha1";
        let own = "temporal-stack.dev";
        for (method, address, verb, group, resource) in [
            ("GET", "/api/v1/pods", "list", "", "pods"),
            ("GET", "/api/v1/pods?&watch=true&timeoutSeconds=290", "watch", "", "pods"),
            ("GET", "/api/v1/namespaces/a/secrets/b", "get", "", "secrets"),
            ("POST", "/api/v1/namespaces/a/secrets?", "create", "", "secrets"),
            ("POST", "/api/v1/namespaces/a/pods/b/eviction", "create", "", "pods/eviction"),
            ("GET", "/api/v1/namespaces/a/pods/b/proxy/x/y", "get", "", "pods/proxy"),
            ("GET", "/api/v1/namespaces", "list", "", "namespaces"),
            ("GET", "/api/v1/namespaces/a", "get", "", "namespaces"),
            ("PUT", "/api/v1/namespaces/a/finalize", "update", "", "namespaces/finalize"),
            ("PATCH", "/apis/apps/v1/namespaces/a/statefulsets/b?&force=true", "patch", "apps", "statefulsets"),
            ("DELETE", "/apis/apps/v1/namespaces/a/statefulsets/b?", "delete", "apps", "statefulsets"),
            ("DELETE", "/apis/apps/v1/namespaces/a/statefulsets?", "deletecollection", "apps", "statefulsets"),
            (
                "PATCH",
                &format!("{stack}/namespaces/a/postgresdatabases/b/status?"),
                "patch",
                own,
                "postgresdatabases/status",
            ),
            ("GET", &format!("{stack}/postgresdatabases?"), "list", own, "postgresdatabases"),
            (
                "GET",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x.y.z",
                "get",
                "apiextensions.k8s.io",
                "customresourcedefinitions",
            ),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "update", "coordination.k8s.io", "leases"),
            ("GET", "/apis", "get", "", "other"),
            ("GET", "/apis/apps/v1", "get", "apps", "other"),
            ("GET", "/version", "get", "", "other"),
        ] {
            let call = Call::parse(&method.parse().unwrap(), &address.parse().unwrap());
            let told = (call.verb.as_str(), &*call.group, &*call.resource);
            assert_eq!(told, (verb, group, resource), "{method} {address}");
        }
    }

    #[test]
    fn read_verbs_are_no_writes() {
        assert!(!Verb::Watch.is_write());
        assert!(Verb::DeleteCollection.is_write());
    }
}
