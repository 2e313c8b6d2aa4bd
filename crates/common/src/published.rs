//! Credentials that are published in examples. They work, but everyone can look them up, so a condition reports them, with the
//! commands that replace them.

use crate::condition::{Statement, reason};

/// Whether the credentials in use are private.
pub const CREDENTIALS_PRIVATE: &str = "CredentialsPrivate";

/// Published values.
const VALUES: &[&str] = &[
    // The example configuration of the stack.
    "c-is-for-cookie-thats-good-enough-for-me",
    "password123",
    // Temporal's own test environment.
    "suchStrongKeyMuchProtectVerySafe",
    // Default credentials of products.
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
    /// Its name and place, for instance `the key erlang-cookie of Secret/rabbitmq-config`.
    pub name: String,
    /// Its value.
    pub value: &'a str,
    /// The commands that replace it, with the namespace and names of this object.
    pub remedy: String,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a value is published.
fn is_published(value: &str) -> bool {
    VALUES.contains(&value.trim())
}

/// The condition [`CREDENTIALS_PRIVATE`]; it shows no value.
pub fn statement<'a>(credentials: impl IntoIterator<Item = Credential<'a>>) -> Statement {
    let published = credentials.into_iter().filter(|credential| is_published(credential.value));
    let lines: Vec<String> = published
        .map(|credential| {
            format!(
                "{} is a published example value, which anyone can look up; replace it: {}",
                credential.name, credential.remedy
            )
        })
        .collect();
    if lines.is_empty() {
        return Statement::holds(
            CREDENTIALS_PRIVATE,
            reason::AS_EXPECTED,
            "no credential in use is a published example value",
        );
    }
    Statement::fails(CREDENTIALS_PRIVATE, reason::PUBLISHED_CREDENTIAL, lines.join("; ")).lasting()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_value_is_named_with_its_remedy_and_not_shown() {
        let credential =
            |value| Credential { name: "the key k of Secret/s".to_owned(), value, remedy: "do".to_owned() };
        let message = format!("{:?}", statement([credential("password123\n"), credential("drawn")]));
        assert!(
            message.contains("the key k of Secret/s is a published example value")
                && message.contains("replace it: do")
        );
        assert!(message.contains("PublishedCredential") && !message.contains("password123"), "{message}");
        let message = format!("{:?}", statement([credential("drawn")]));
        assert!(message.contains("holds: true") && message.contains("AsExpected"), "{message}");
    }

    /// The secrets in `deploy/stack/configuration`, word for word.
    #[test]
    fn every_credential_of_the_example_is_known() {
        for file in [
            include_str!("../../../deploy/stack/configuration/postgres-config.yaml"),
            include_str!("../../../deploy/stack/configuration/rabbitmq-config.yaml"),
            include_str!("../../../deploy/stack/configuration/temporal-config.yaml"),
            include_str!("../../../deploy/stack/configuration/ipfs-cluster-config.yaml"),
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
