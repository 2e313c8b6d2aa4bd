//! The access to a product: its address, a login and a place in it; and its binding.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::Secret;

use crate::{
    address::Endpoint,
    binding::{Binding, uri_part},
    component::Stalled,
    manifest::Manifest,
};

/// The access to a product. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The address.
    pub endpoint: Endpoint,
    /// The name of the login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The place within the product: a database, a virtual host.
    pub scope: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} at {}", self.username, self.scope, self.endpoint)
    }
}

/// The form of bindings to a kind of product.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The type, by the Service Binding specification.
    pub type_: &'static str,
    /// The scheme of the URI.
    pub scheme: &'static str,
    /// The key of the place.
    pub scope: &'static str,
}

impl Form {
    /// All desired objects of a product that runs elsewhere: the binding of that name, once the user's Secret can be used.
    pub fn external(&self, name: &str, access: &Result<Access, Stalled>) -> Vec<Manifest> {
        access.iter().map(|access| Manifest::new(&self.bind(name, "external", access))).collect()
    }

    /// The binding of that name, to a product of this provider.
    pub fn bind(&self, name: &str, provider: &str, access: &Access) -> Secret {
        let Access { endpoint, username, password, scope } = access;
        let [user, word, path] = [username, password, scope].map(|part| uri_part(part));
        let binding = Binding {
            type_: self.type_.to_owned(),
            provider: provider.to_owned(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            username: username.clone(),
            password: password.clone(),
            uri: format!("{}://{user}:{word}@{endpoint}/{path}", self.scheme),
            more: BTreeMap::from([(self.scope, scope.clone())]),
        };
        binding.secret(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::text;

    #[test]
    fn ipv6_host_has_brackets_in_the_uri() {
        let database = Form { type_: "postgresql", scheme: "postgresql", scope: "database" };
        let queue = Form { type_: "rabbitmq", scheme: "amqp", scope: "virtual-host" };
        for host in ["fd00::1", "[fd00::1]"] {
            let access = Access {
                endpoint: Endpoint { host: host.to_owned(), port: 5432 },
                username: "app".to_owned(),
                password: "a/b".to_owned(),
                scope: "temporal".to_owned(),
            };
            for form in [database, queue] {
                let secret = form.bind("b", "external", &access);
                let uri = format!("{}://app:a%2Fb@[fd00::1]:5432/temporal", form.scheme);
                assert_eq!(text(&secret, "uri"), Some(uri.as_str()));
                assert_eq!(text(&secret, form.scope), Some("temporal"));
            }
        }
    }
}
