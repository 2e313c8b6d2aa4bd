//! Content identifiers and peers' names, as far as their decoders of 2020 refuse some.

/// Whether a text is a CID: `Qm…`, or version 1 in base 32, base 58, base 16 or base 64.
pub(crate) fn decode(text: &str) -> Result<(), &'static str> {
    if text.len() == 46 && text.starts_with("Qm") {
        return multihash(&base58(text)?);
    }
    let mut letters = text.chars();
    let (Some(base), encoded) = (letters.next(), letters.as_str()) else { return Err("cid too short") };
    if encoded.is_empty() {
        return Err("cid too short");
    }
    let bytes = match base {
        'b' => data_encoding::BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).ok(),
        'B' => data_encoding::BASE32_NOPAD.decode(encoded.as_bytes()).ok(),
        'f' | 'F' => data_encoding::HEXLOWER_PERMISSIVE.decode(encoded.as_bytes()).ok(),
        'm' => data_encoding::BASE64_NOPAD.decode(encoded.as_bytes()).ok(),
        'u' => data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes()).ok(),
        'z' => Some(base58(encoded)?),
        _ => return Err("selected encoding not supported"),
    };
    let bytes = bytes.ok_or("illegal multibase data")?;
    let (version, rest) = number(&bytes)?;
    if version != 1 {
        return Err("expected 1 as the cid version number");
    }
    let (_codec, rest) = number(rest)?;
    multihash(rest)
}

/// Whether a text is a peer's name: `Qm…`, `12D3Koo…`, or a CID.
pub(crate) fn decode_peer(text: &str) -> Result<(), &'static str> {
    if text.starts_with("Qm") || text.starts_with('1') {
        return multihash(&base58(text)?);
    }
    decode(text)
}

fn base58(text: &str) -> Result<Vec<u8>, &'static str> {
    bs58::decode(text).into_vec().map_err(|_| "invalid base58 digit")
}

fn multihash(bytes: &[u8]) -> Result<(), &'static str> {
    let (_code, rest) = number(bytes)?;
    let (length, digest) = number(rest)?;
    if u64::try_from(digest.len()) == Ok(length) { Ok(()) } else { Err("multihash length inconsistent") }
}

/// An unsigned number of variable length, and what follows it.
fn number(bytes: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err("cid too short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_both_versions_are_accepted() {
        for text in [
            "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            "zb2rhiVd5G2DSpnbYtty8NhYHeDvNkPxjSqA7YbDPuhdihj9L",
        ] {
            assert_eq!(decode(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn other_identifiers_are_refused() {
        for text in ["", "Q", "hello", "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR10", "bafkreihdwdcefgh4dqk"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_kinds_of_peer_names_are_accepted() {
        assert_eq!(decode_peer("12D3KooWP5NMh7GHgNLdYMSRYQ77nDQRvMewcnKqhibWWHGzjgaK"), Ok(()));
        assert_eq!(decode_peer("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"), Ok(()));
        assert!(decode_peer("").is_err());
    }
}
