//! The names of policies: they say what they are about, are bounded, and are no other's.
//!
//! Names of components, kinds and ports have no upper-case letters and no dots, and a kind and a port end the name of a `Server`, so two
//! `Servers` have different names. `<server>-from-<client>` is unambiguous unless the first part has `-from-` in it: then, and where
//! a name would be too long, it ends with a hash of its parts.

use serde_json::json;
use temporal_stack_common::{api::ComponentReference, manifest::hash};

use crate::stack::base;

/// How long names are: as the values of labels, because metrics and logs carry them.
const LONGEST: usize = 63;
/// How many characters of a hash they have.
const HASH: usize = 10;
/// The word between a server and its client.
const FROM: &str = "-from-";

/// The name of the `Server` of a port.
pub(crate) fn server(component: &ComponentReference, port: &str) -> String {
    bounded(&[&base(component), port], "-")
}

/// The name of the policy that admits a client to a `Server`.
pub(crate) fn policy(server: &str, client: &str) -> String {
    bounded(&[server, client], FROM)
}

/// The name of the route of some calls to a port.
pub(crate) fn route(component: &ComponentReference, port: &str, calls: &str) -> String {
    bounded(&[&base(component), port, calls], "-")
}

/// The name of an authentication.
pub(crate) fn authentication(client: &str) -> String {
    bounded(&[client], "-")
}

fn bounded(parts: &[&str], between: &str) -> String {
    let name = parts.join(between);
    let is_ambiguous = between == FROM && parts.first().is_some_and(|server| format!("{server}-").contains(FROM));
    if name.len() <= LONGEST && !is_ambiguous {
        return name;
    }
    let beginning: String = name.chars().take(LONGEST - HASH - 1).collect();
    format!("{}-{}", beginning.trim_end_matches(['-', '.']), &hash(&json!(parts))[..HASH])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use temporal_stack_common::api::ComponentKind;

    use super::*;

    #[test]
    fn names_are_bounded_and_different() {
        let long = "a".repeat(35);
        let objects = ["a", "a-from-b", "x-from", "from", "a-messagequeue-amqp-from-b", "a-temporal", &long];
        let mut all = BTreeSet::new();
        let mut servers = Vec::new();
        for object in objects {
            for kind in ComponentKind::ALL {
                let id = ComponentReference { kind, name: object.to_owned() };
                for port in ["amqp", "admin", "bridge-admin", "api"] {
                    servers.push(server(&id, port));
                }
            }
        }
        let clients: Vec<String> = servers.iter().cloned().chain(["nodes", "b-from-c"].map(str::to_owned)).collect();
        let count = servers.len() * (1 + clients.len());
        all.extend(servers.iter().cloned());
        for server in &servers {
            all.extend(clients.iter().map(|client| policy(server, client)));
        }
        assert_eq!(all.len(), count);
        let is_name = |name: &String| name.len() <= LONGEST && !name.ends_with('-') && !name.starts_with('-');
        assert_eq!(all.iter().find(|name| !is_name(name)), None);
    }
}
