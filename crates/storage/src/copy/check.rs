//! Compares the lists of both sides when all is copied.

use std::cmp::Ordering;

use temporal_stack_common::s3::Failure;

use super::{
    align::{Likeness, likeness},
    walk::{Entry, Walk},
};

/// How two buckets compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The objects of the source.
    pub(super) objects: u64,
    /// Their versions, with delete markers.
    pub(super) versions: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Objects that the target lacks, or has otherwise.
    pub(super) missing: u64,
    /// The first of them.
    pub(super) first: Option<String>,
    /// Objects that only the target has.
    pub(super) more: u64,
}

/// Which side of a comparison failed.
pub(super) type Failed = (&'static str, Failure);

/// Compares two buckets, object by object.
pub(super) async fn compare(mut source: Walk, mut target: Walk) -> Result<Difference, Failed> {
    let mut difference = Difference::default();
    let (mut ours, mut theirs) = (read("source", &mut source).await?, read("target", &mut target).await?);
    loop {
        let order = match (&ours, &theirs) {
            (None, None) => return Ok(difference),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(ours), Some(theirs)) => ours.key.cmp(&theirs.key),
        };
        difference.add(ours.as_ref().filter(|_| order.is_le()), theirs.as_ref().filter(|_| order.is_ge()));
        if order.is_le() {
            ours = read("source", &mut source).await?;
        }
        if order.is_ge() {
            theirs = read("target", &mut target).await?;
        }
    }
}

async fn read(side: &'static str, walk: &mut Walk) -> Result<Option<Entry>, Failed> {
    walk.next().await.map_err(|failure| (side, failure))
}

impl Difference {
    /// Adds an object that both sides have, or one of them.
    fn add(&mut self, source: Option<&Entry>, target: Option<&Entry>) {
        let Some(source) = source else {
            self.more += 1;
            return;
        };
        self.objects += 1;
        self.versions += source.versions.len() as u64;
        self.bytes += source.versions.iter().map(|version| version.size).sum::<u64>();
        if !target.is_some_and(|target| is_like(source, target)) {
            self.missing += 1;
            self.first.get_or_insert_with(|| source.key.clone());
        }
    }
}

/// Contents were compared when they were copied; here, their sizes and order are.
fn is_like(source: &Entry, target: &Entry) -> bool {
    let pairs = || source.versions.iter().zip(&target.versions);
    source.versions.len() == target.versions.len()
        && pairs().all(|(source, target)| likeness(source, target) != Likeness::Different)
}

#[cfg(test)]
mod tests {
    use super::{super::walk::Version, *};

    fn entry(key: &str, sizes: &[u64]) -> Entry {
        let version = |size: &u64| Version { id: None, is_marker: false, size: *size, etag: size.to_string() };
        Entry { key: key.to_owned(), versions: sizes.iter().map(version).collect(), has_more: false }
    }

    #[test]
    fn objects_are_counted_and_compared() {
        let mut difference = Difference::default();
        difference.add(Some(&entry("a", &[1, 2])), Some(&entry("a", &[1, 2])));
        difference.add(Some(&entry("b", &[3])), None);
        difference.add(Some(&entry("c", &[4])), Some(&entry("c", &[5])));
        difference.add(Some(&entry("d", &[6])), Some(&entry("d", &[6, 6])));
        difference.add(None, Some(&entry("e", &[7])));
        assert_eq!((difference.objects, difference.versions, difference.bytes), (4, 5, 16));
        assert_eq!((difference.missing, difference.first.as_deref(), difference.more), (3, Some("b"), 1));
    }
}
