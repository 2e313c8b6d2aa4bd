//! A database that somebody else runs: what its Secret says, and what is wrong with it.

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    binding::Given,
    component::Progress,
    login::{PASSWORD, USERNAME},
};

use crate::{names::PORT, postgres::Address};

/// How to use a database: address, login, and the database's name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Where the server is.
    pub(crate) address: Address,
    /// The login.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
    /// The database.
    pub(crate) database: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {} at {}", self.username, self.database, self.address)
    }
}

/// Reads the user's Secret; what is wrong with it is for the user to mend.
pub(crate) fn access(name: &str, secret: Option<&Secret>) -> Result<Access, Progress> {
    let keys = "the keys host, port, username, password and database";
    let secret = Given::find("spec.provider.external.secretName", name, secret, keys)?;
    Ok(Access {
        address: Address { host: secret.host("host")?.to_owned(), port: secret.port(PORT)? },
        username: secret.required(USERNAME)?.to_owned(),
        password: secret.required(PASSWORD)?.to_owned(),
        database: secret.required("database")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn message(result: Result<Access, Progress>) -> String {
        match result {
            Err(Progress::Stalled { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_complete_secret_needs_no_port() {
        let access =
            access("s", Some(&secret(&[("host", "h"), ("username", "u"), ("password", "p"), ("database", "d")])))
                .unwrap();
        assert_eq!(access.address, Address { host: "h".to_owned(), port: 5432 });
    }

    #[test]
    fn an_address_of_ipv6_is_taken_with_and_without_brackets() {
        for host in ["fd00::1", "[fd00::1]"] {
            let keys = [("host", host), ("username", "u"), ("password", "p"), ("database", "d")];
            let address = access("s", Some(&secret(&keys))).unwrap().address;
            assert_eq!((address.host.as_str(), address.to_string().as_str()), ("fd00::1", "[fd00::1]:5432"));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(message(access("s", None)).contains("no Secret/s"));
        let without_password = secret(&[("host", "h"), ("username", "u"), ("database", "d")]);
        assert!(message(access("s", Some(&without_password))).contains("the key password is absent"));
        let odd_port = secret(&[("host", "h"), ("port", "99999")]);
        assert!(message(access("s", Some(&odd_port))).contains("the key port is no port number"));
    }

    #[test]
    fn debug_shows_no_password() {
        let keys = [("host", "h"), ("username", "u"), ("password", "s3cret"), ("database", "d")];
        assert!(!format!("{:?}", access("s", Some(&secret(&keys)))).contains("s3cret"));
    }
}
