//! Texts of peers that are kept longer than their answer, with their longest valid length.
//!
//! A peer is a pod of a tenant, who may replace its program. What is kept of one answer is bounded here, where it is parsed:
//!
//! | kept | at most |
//! |---|---|
//! | a report of each of 32 peers | 5 ids and versions of 128 bytes, 2 × 256 ids of peers, 110 failed copies of 0.6 KB; 160 KB |
//! | while all are asked, the connections of each Kubo | 10,000 ids of 64 bytes, 0.9 MB; afterwards only those of other members |
//! | a survey | three times 4 MiB of pins to write, 1000 unconfirmed CIDs, 0.3 MB, and a table of 100,000 hashes |
//! | between passes | 10,000 retried copies, 3.5 MB; hashes of 10,000 pins that peers differ about, 0.4 MB |

use serde::{Deserialize, Deserializer, de::Error};

/// The longest id, version or name of a protocol, in bytes: ids have 52, and versions a dozen.
const BRIEF: usize = 128;
/// The longest CID, in bytes: one whose hash is the content itself, of at most 128 bytes, has 214.
const CID: usize = 256;
/// The most peers that a peer lists: 32 of ours, and some that a user runs.
pub(crate) const MOST_LISTED: usize = 256;

/// An id or a version.
pub(crate) fn brief<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    within(BRIEF, String::deserialize(deserializer)?, "an id or a version")
}

/// The ids that a peer lists, or `null`.
pub(crate) fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let listed = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    if listed.len() > MOST_LISTED {
        return Err(Error::custom(format!("more than {MOST_LISTED} peers")));
    }
    listed.into_iter().map(|id| within(BRIEF, id, "an id")).collect()
}

/// A CID, which must not be longer than any.
pub(crate) fn cid<E: Error>(text: String) -> Result<String, E> {
    within(CID, text, "a CID")
}

fn within<E: Error>(most: usize, text: String, what: &str) -> Result<String, E> {
    if text.len() > most { Err(E::custom(format!("{what} of more than {most} bytes"))) } else { Ok(text) }
}
