//! The verifier that a server stores for a password, and whether a password matches it.
//!
//! The comparison happens here and not by a trial login: no session is opened, the server logs no refused login, and a role that
//! may not log in is distinguished from one with another password.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use sha2::Sha256;

/// The most iterations that are computed, on the thread of a pass: as many as the verifiers that this controller sets have. A
/// verifier with more is not its own, and is replaced.
const MOST_ITERATIONS: u32 = 4_096;

/// A SCRAM-SHA-256 verifier in the form of `pg_authid.rolpassword` (RFC 5803). `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Verifier(String);

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl From<String> for Verifier {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Verifier {
    /// Whether this verifier was made from that password; false for the verifier of another mechanism.
    pub(crate) fn is_of(&self, password: &str) -> bool {
        self.proves(password).is_some()
    }

    /// Lets the client's half of SCRAM check the signature that a server with this verifier would send.
    fn proves(&self, password: &str) -> Option<()> {
        let (parameters, keys) = self.0.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let server_key = STANDARD.decode(keys.split_once(':')?.1).ok()?;
        iterations.parse().ok().filter(|count: &u32| *count <= MOST_ITERATIONS)?;

        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let first = text(client.message())?;
        let first = first.strip_prefix("n,,")?;
        let (_, nonce) = first.split_once("r=")?;
        let answer = format!("r={nonce},s={salt},i={iterations}");
        client.update(answer.as_bytes()).ok()?;
        let last = text(client.message())?;
        let (last, _) = last.rsplit_once(",p=")?;
        let mut signature = Hmac::<Sha256>::new_from_slice(&server_key).ok()?;
        signature.update(format!("{first},{answer},{last}").as_bytes());
        let signature = STANDARD.encode(signature.finalize().into_bytes());
        client.finish(format!("v={signature}").as_bytes()).ok()
    }
}

fn text(message: &[u8]) -> Option<String> {
    String::from_utf8(message.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use postgres_protocol::password::{md5, scram_sha_256};

    use super::*;

    fn verifier(password: &str) -> Verifier {
        scram_sha_256(password.as_bytes()).into()
    }

    #[test]
    fn only_the_password_itself_belongs_to_a_verifier() {
        for password in ["secret", "", "pässwörd ½", "a,b=c"] {
            assert!(verifier(password).is_of(password), "{password:?}");
            assert!(!verifier(password).is_of("another"), "{password:?}");
        }
    }

    #[test]
    fn foreign_and_broken_verifiers_belong_to_no_password() {
        let stored = verifier("secret").0;
        let (head, tail) = stored.split_once(':').unwrap();
        let endless = format!("SCRAM-SHA-256$4000000000:{tail}");
        let cut = stored[..stored.len() - 4].to_owned();
        for text in [String::new(), md5(b"secret", "app"), head.to_owned(), endless, cut, stored.replace(':', "$")] {
            assert!(!Verifier::from(text.clone()).is_of("secret"), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_verifier() {
        assert_eq!(format!("{:?}", verifier("secret")), "Verifier(…)");
    }
}
