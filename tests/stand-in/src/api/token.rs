//! Tokens: JWT with HS256.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// How long a token is good for, in seconds.
pub(super) const LIFETIME: i64 = 24 * 3600;

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: i64,
    id: String,
    orig_iat: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// A token for a user. Any key will do, an empty one too.
pub(super) fn sign(key: &str, user: &str, now: i64) -> String {
    let header = Header { alg: "HS256".to_owned(), typ: "JWT".to_owned() };
    let claims = Claims { exp: now + LIFETIME, id: user.to_owned(), orig_iat: now };
    let text = |json: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(json.unwrap_or_default());
    let signed = format!("{}.{}", text(serde_json::to_vec(&header)), text(serde_json::to_vec(&claims)));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The user whom a token is for, or what is wrong with it.
pub(super) fn verify(key: &str, token: &str, now: i64) -> Result<String, &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("token contains an invalid number of segments")?;
    let (header, claims) = signed.split_once('.').ok_or("token contains an invalid number of segments")?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "illegal base64 data");
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| "invalid token header")?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| "invalid token claims")?;
    if header.alg != "HS256" {
        return Err("invalid signing algorithm");
    }
    let signature = decode(signature)?;
    let verified = hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes(), &signature);
    verified.map_err(|_| "signature is invalid")?;
    if now > claims.exp {
        return Err("Token is expired");
    }
    Ok(claims.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_good_for_a_day() {
        let token = sign("key", "ann", 1000);
        assert_eq!(verify("key", &token, 1000 + LIFETIME), Ok("ann".to_owned()));
        assert_eq!(verify("key", &token, 1001 + LIFETIME), Err("Token is expired"));
    }

    #[test]
    fn token_of_another_key_is_refused() {
        assert_eq!(verify("other", &sign("key", "ann", 0), 0), Err("signature is invalid"));
        assert_eq!(verify("", &sign("", "ann", 0), 0), Ok("ann".to_owned()));
    }

    #[test]
    fn malformed_token_is_refused() {
        for token in ["", "a.b", "a.b.c", "bm8.bm8.bm8"] {
            assert!(verify("key", token, 0).is_err(), "{token}");
        }
    }
}
