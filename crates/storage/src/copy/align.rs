//! Which versions of an object are missing at the target.

use super::walk::Version;

/// How two contents compare, by what lists know of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// They are equal.
    Same,
    /// They have the same size, and entity tags that say nothing about each other: one is in parts, or encrypted.
    Perhaps,
    /// They differ.
    Different,
}

/// The beginning that source and target have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Common {
    /// How many versions, from the oldest one on.
    pub(super) count: usize,
    /// Those of them that must be read to be compared.
    pub(super) unsure: Vec<usize>,
}

/// Compares two versions.
pub(super) fn likeness(source: &Version, target: &Version) -> Likeness {
    match (source.is_marker, target.is_marker) {
        (true, true) => Likeness::Same,
        (false, false) if source.size != target.size => Likeness::Different,
        (false, false) if source.etag == target.etag && !source.etag.is_empty() => Likeness::Same,
        (false, false) => Likeness::Perhaps,
        _ => Likeness::Different,
    }
}

/// The versions that the target has already, both lists the oldest first; `None` if it has others: then neither order could be kept.
pub(super) fn common(source: &[Version], target: &[Version]) -> Option<Common> {
    if target.len() > source.len() {
        return None;
    }
    let mut unsure = Vec::new();
    for (number, (source, target)) in source.iter().zip(target).enumerate() {
        match likeness(source, target) {
            Likeness::Same => {}
            Likeness::Perhaps => unsure.push(number),
            Likeness::Different => return None,
        }
    }
    Some(Common { count: target.len(), unsure })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(size: u64, etag: &str) -> Version {
        Version { id: Some("v".to_owned()), is_marker: false, size, etag: etag.to_owned() }
    }

    fn marker() -> Version {
        Version { is_marker: true, ..version(0, "") }
    }

    #[test]
    fn contents_are_compared_by_size_and_tag() {
        for (source, target, expected) in [
            (version(1, "a"), version(1, "a"), Likeness::Same),
            (version(1, "a"), version(2, "a"), Likeness::Different),
            (version(1, "a"), version(1, "b-2"), Likeness::Perhaps),
            (version(1, ""), version(1, ""), Likeness::Perhaps),
            (marker(), marker(), Likeness::Same),
            (marker(), version(0, ""), Likeness::Different),
        ] {
            assert_eq!(likeness(&source, &target), expected, "{source:?} {target:?}");
        }
    }

    #[test]
    fn beginning_that_the_target_has_is_not_copied() {
        let source = [version(1, "a"), marker(), version(2, "b-2")];
        let common = |target: &[Version]| common(&source, target);
        assert_eq!(common(&[]), Some(Common { count: 0, unsure: vec![] }));
        assert_eq!(common(&source[..2]), Some(Common { count: 2, unsure: vec![] }));
        let other_parts = [source[0].clone(), marker(), version(2, "c-1")];
        assert_eq!(common(&other_parts), Some(Common { count: 3, unsure: vec![2] }));
    }

    #[test]
    fn target_with_other_versions_is_refused() {
        let source = [version(1, "a"), version(2, "b")];
        for target in [vec![version(3, "c")], vec![source[0].clone(), marker()], vec![version(1, "a"); 3]] {
            assert_eq!(common(&source, &target), None, "{target:?}");
        }
    }
}
