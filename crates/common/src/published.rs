//! Credentials that an example publishes. They work, and everybody can look them up: whoever uses one is told, with the
//! commands that replace it.

use crate::condition::{Reason, Statement};

/// Whether the credentials in use are known to nobody else.
pub const CREDENTIALS_PRIVATE: &str = "CredentialsPrivate";
/// A credential in use is a published example.
pub const PUBLISHED_CREDENTIAL: Reason = Reason::new("PublishedCredential");
/// No credential in use is a published example.
pub const AS_EXPECTED: Reason = Reason::new("AsExpected");

/// Values that stand in public places.
const VALUES: &[&str] = &[
    // The example configuration of the stack.
    "c-is-for-cookie-thats-good-enough-for-me",
    "password123",
    // Temporal's own test environment.
    "suchStrongKeyMuchProtectVerySafe",
    // What products are delivered with.
    "guest",
    "minioadmin",
    "minio123",
    "postgres",
    "rabbitmq",
    "password",
    "changeme",
];

/// A credential that is in use. `Debug` shows no value.
pub struct Credential<'a> {
    /// What it is, and where it stands, for instance `the key erlang-cookie of Secret/rabbitmq-config`.
    pub place: String,
    /// Its value.
    pub value: &'a str,
    /// The commands that replace it, with the namespace and names of this object.
    pub remedy: String,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Whether a value stands in a public place.
pub fn is_published(value: &str) -> bool {
    VALUES.contains(&value.trim())
}

/// The condition [`CREDENTIALS_PRIVATE`]; it shows no value.
pub fn statement<'a>(credentials: impl IntoIterator<Item = Credential<'a>>) -> Statement {
    let published = credentials.into_iter().filter(|credential| is_published(credential.value));
    let lines: Vec<String> = published
        .map(|credential| {
            format!(
                "{} is a published example value, which anyone can look up; replace it: {}",
                credential.place, credential.remedy
            )
        })
        .collect();
    if lines.is_empty() {
        return Statement::holds(CREDENTIALS_PRIVATE, AS_EXPECTED, "no credential in use is a published example value");
    }
    Statement::fails(CREDENTIALS_PRIVATE, PUBLISHED_CREDENTIAL, lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_value_is_named_with_its_remedy_and_not_shown() {
        let credential =
            |value| Credential { place: "the key k of Secret/s".to_owned(), value, remedy: "do".to_owned() };
        let told = format!("{:?}", statement([credential("password123\n"), credential("drawn")]));
        assert!(told.contains("the key k of Secret/s is a published example value") && told.contains("replace it: do"));
        assert!(told.contains("PublishedCredential") && !told.contains("password123"), "{told}");
        let told = format!("{:?}", statement([credential("drawn")]));
        assert!(told.contains("holds: true") && told.contains("AsExpected"), "{told}");
    }

    /// What the seed has as secrets, word for word.
    #[test]
    fn every_credential_of_the_seed_is_known() {
        for file in [
            include_str!("../../../deploy/stack/seed/postgres-config.yaml"),
            include_str!("../../../deploy/stack/seed/rabbitmq-config.yaml"),
            include_str!("../../../deploy/stack/seed/temporal-config.yaml"),
            include_str!("../../../deploy/stack/seed/ipfs-cluster-config.yaml"),
        ] {
            let lines = file.lines().filter_map(|line| line.trim().split_once(':'));
            let secret = |key: &str| {
                ["PASSWORD", "SECRET", "COOKIE", "JWT"].iter().any(|word| key.to_uppercase().contains(word))
            };
            for (key, value) in lines.filter(|(key, _)| secret(key)) {
                let value = value.trim().trim_matches('"');
                assert!(value.is_empty() || is_published(value), "{key}");
            }
        }
    }
}
