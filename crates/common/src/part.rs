//! The parts of Temporal: pods that have the same peers, and therefore one ServiceAccount.

/// The label of Temporal's pods with the role that they run.
pub const ROLE: &str = "temporal-stack.dev/role";

/// Pods with the same peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The last part of the name of their ServiceAccount.
    pub name: &'static str,
    /// The values of [`ROLE`] on them.
    pub roles: &'static [&'static str],
}

/// The API, which has clients.
pub const API: Part = Part { name: "api", roles: &["api"] };
/// The queue workers.
pub const WORKERS: Part =
    Part { name: "workers", roles: &["cluster", "pin", "key-creation", "ipns-entry", "email-send"] };
/// The key server, which uses nothing.
pub const KRAB: Part = Part { name: "krab", roles: &["krab"] };
/// The Jobs, which use the database alone.
pub const JOBS: Part = Part { name: "jobs", roles: &["migrate", "account"] };
/// All parts.
pub const PARTS: [Part; 4] = [API, WORKERS, KRAB, JOBS];

/// The part that a role belongs to; an unknown role has the rights of a worker.
pub fn of_role(role: &str) -> Part {
    PARTS.into_iter().find(|part| part.roles.contains(&role)).unwrap_or(WORKERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_belongs_to_one_part() {
        for part in PARTS {
            for role in part.roles {
                let parts = PARTS.into_iter().filter(|part| part.roles.contains(role)).count();
                assert_eq!((parts, of_role(role)), (1, part), "{role}");
            }
        }
    }
}
