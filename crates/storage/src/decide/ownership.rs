//! Whose a bucket is. An engine that the controller runs belongs to its object with all buckets, like its volumes; a claim of Rook is
//! an object of the cluster, and leads to a bucket of its own. An object storage elsewhere has buckets of others: of strangers, of
//! another `ObjectStorage` with the same key, or that an administrator made.
//!
//! There a bucket is used only if something shows that it may be, and deleted only if something shows that it is this object's:
//!
//! * **The tag** `temporal-stack.dev/owner` names the object's UID. It is set after the bucket was created or taken over.
//! * **The record** in the status says that this object creates it, before it does; so an interruption loses no bucket. It is also the
//!   evidence where a storage has no tags, or the key may not set them.
//! * **The list** of the account's own buckets has it: a bucket of a stranger that is open to the public can have any tag.
//! * **The user** confirms that the object takes it over.
//!
//! That a bucket can be used proves nothing. One that has a binding since before there were tags is used on, and not deleted.

use temporal_stack_common::api::{BucketOrigin, ObjectStorage, annotation::ADOPT_BUCKET};

use super::confirmation;
use crate::{
    engine::Fact,
    observed::{Evidence, Facts, Found},
};

/// Whose a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// It belongs to the object.
    Ours,
    /// The object has used it for long, and nothing shows that it may delete it.
    Used,
    /// It may belong to another owner. The text says why.
    Strange(&'static str),
}

/// What the object knows of a bucket by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// What its status says.
    pub(super) origin: Option<BucketOrigin>,
    /// Whether its binding leads to the bucket.
    pub(super) is_bound: bool,
}

/// Whose the bucket of this name is, if it can be used.
pub(super) fn of(object: &ObjectStorage, name: &str, found: Option<&Found>, record: Record) -> Option<Ownership> {
    let Found::Usable(Facts { evidence, .. }) = found? else { return None };
    let Some(evidence) = evidence else { return Some(Ownership::Ours) };
    Some(if confirmation::is_confirmed(object, ADOPT_BUCKET, name) {
        Ownership::Ours
    } else {
        by_evidence(object.metadata.uid.as_deref(), evidence, record)
    })
}

fn by_evidence(uid: Option<&str>, evidence: &Evidence, Record { origin, is_bound }: Record) -> Ownership {
    let is_known = origin == Some(BucketOrigin::Adopted) || (origin.is_none() && is_bound);
    if evidence.is_of_account == Some(false) && !is_known {
        return Ownership::Strange("the list of the key's own buckets does not have it");
    }
    match &evidence.owner {
        Fact::Is(Some(owner)) if Some(owner.as_str()) != uid => {
            Ownership::Strange("its tag temporal-stack.dev/owner names another ObjectStorage")
        }
        Fact::Is(Some(_)) if evidence.is_of_account == Some(true) || origin.is_some() => Ownership::Ours,
        Fact::Is(None) if origin == Some(BucketOrigin::Creating) => Ownership::Ours,
        Fact::Unsupported | Fact::Refused if origin.is_some() => Ownership::Ours,
        _ if origin.is_some() || is_bound => Ownership::Used,
        Fact::Is(Some(_)) => Ownership::Strange("the key may not list its buckets, and anyone can write the tag"),
        _ => Ownership::Strange("nothing shows that this object created it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::OWNER_TAG;

    const UID: &str = "0";

    fn evidence(is_of_account: Option<bool>, owner: Fact<Option<&str>>) -> Evidence {
        let owner = match owner {
            Fact::Is(owner) => Fact::Is(owner.map(str::to_owned)),
            Fact::Unsupported => Fact::Unsupported,
            Fact::Refused => Fact::Refused,
        };
        Evidence { is_of_account, owner }
    }

    fn by(evidence: &Evidence, origin: Option<BucketOrigin>, is_bound: bool) -> char {
        match by_evidence(Some(UID), evidence, Record { origin, is_bound }) {
            Ownership::Ours => 'o',
            Ownership::Used => 'u',
            Ownership::Strange(_) => 's',
        }
    }

    /// Without a record: unbound, bound; then with the records Creating, Created, Adopted.
    fn all(evidence: &Evidence) -> String {
        let unrecorded = [false, true].map(|is_bound| by(evidence, None, is_bound));
        let recorded = [BucketOrigin::Creating, BucketOrigin::Created, BucketOrigin::Adopted]
            .map(|origin| by(evidence, Some(origin), true));
        unrecorded.into_iter().chain(recorded).collect()
    }

    #[test]
    fn bucket_is_ours_by_positive_evidence_only() {
        for (is_of_account, owner, expected) in [
            (Some(true), Fact::Is(Some(UID)), "ooooo"),
            (Some(true), Fact::Is(Some("1")), "sssss"),
            (Some(true), Fact::Is(None), "suouu"),
            (Some(true), Fact::Unsupported, "suooo"),
            (None, Fact::Is(Some(UID)), "suooo"),
            (None, Fact::Is(Some("1")), "sssss"),
            (None, Fact::Is(None), "suouu"),
            (None, Fact::Refused, "suooo"),
            (Some(false), Fact::Is(Some(UID)), "susso"),
            (Some(false), Fact::Is(Some("1")), "sssss"),
            (Some(false), Fact::Is(None), "sussu"),
            (Some(false), Fact::Refused, "susso"),
        ] {
            let evidence = evidence(is_of_account, owner);
            assert_eq!(all(&evidence), expected, "{evidence:?}");
        }
    }

    #[test]
    fn tag_in_messages_is_the_tag() {
        let strange = by_evidence(
            Some(UID),
            &evidence(Some(true), Fact::Is(Some("1"))),
            Record { origin: None, is_bound: false },
        );
        assert!(matches!(strange, Ownership::Strange(why) if why.contains(OWNER_TAG)), "{strange:?}");
    }
}
