//! What was done with a bucket, in words.

use std::fmt;

use temporal_stack_common::{failure::printable, message::counted};

use super::{check::Difference, content::CopyError, object::Outcome};

/// How many failures are shown.
const SHOWN: usize = 20;
/// How many failures end the copy: the cause is not with the objects.
const MOST: u64 = 100;

/// The result of a bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    outcome: Outcome,
    failed: u64,
    failures: Vec<String>,
    gone: u64,
    difference: Option<Difference>,
}

impl Tally {
    /// Adds what became of an object.
    pub(super) fn add(&mut self, key: &str, result: Result<Outcome, CopyError>) {
        match result {
            Ok(Outcome { copied, bytes, equal, tagged }) => {
                self.outcome.copied += copied;
                self.outcome.bytes += bytes;
                self.outcome.equal += equal;
                self.outcome.tagged += tagged;
            }
            Err(trouble) if trouble.is_gone() => self.gone += 1,
            Err(trouble) => {
                self.failed += 1;
                if self.failures.len() < SHOWN {
                    self.failures.push(format!("{}: {trouble}", printable(key)));
                }
            }
        }
    }

    /// Adds the comparison of both sides.
    pub(super) fn compared(&mut self, difference: Difference) {
        self.difference = Some(difference);
    }

    /// Whether so many objects have failed that the rest is not tried.
    pub(super) fn is_hopeless(&self) -> bool {
        self.failed >= MOST
    }

    /// How many versions were looked at.
    pub(super) fn done(&self) -> u64 {
        self.outcome.copied + self.outcome.equal
    }

    /// Whether the target has all that the source has.
    pub(super) fn is_complete(&self) -> bool {
        self.failed == 0 && self.difference.as_ref().is_some_and(|difference| difference.missing == 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { copied, bytes, equal, tagged } = self.outcome;
        write!(f, "{} copied ({} MiB), {equal} there already", counted(copied, "version"), bytes >> 20)?;
        if tagged > 0 {
            write!(f, ", {tagged} with tags")?;
        }
        if self.gone > 0 {
            write!(f, ", {} removed from the source meanwhile", self.gone)?;
        }
        if let Some(Difference { objects, versions, bytes, missing, first, more }) = &self.difference {
            let (objects, versions) = (counted(*objects, "object"), counted(*versions, "version"));
            write!(f, "; the source has {objects}, {versions}, {bytes} bytes: ")?;
            match (missing, first) {
                (0, _) => f.write_str("the target has all of them, with the same checksums")?,
                (missing, first) => {
                    write!(f, "different or missing at the target: {}", counted(*missing, "object"))?;
                    if let Some(first) = first {
                        write!(f, ", first {}", printable(first))?;
                    }
                }
            }
            if *more > 0 {
                write!(f, "; the target has {more} further objects")?;
            }
        }
        if self.failed > 0 {
            write!(f, "; failed: {}", counted(self.failed, "object"))?;
            for failure in &self.failures {
                write!(f, "\n  {failure}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_complete_after_a_comparison_without_difference() {
        let mut tally = Tally::default();
        tally.add("a", Ok(Outcome { copied: 1, bytes: 3 << 20, equal: 2, tagged: 1 }));
        assert!(!tally.is_complete(), "not compared");
        tally.compared(Difference { objects: 1, versions: 3, bytes: 5, ..Difference::default() });
        assert!(tally.is_complete());
        let text = "1 version copied (3 MiB), 2 there already, 1 with tags; the source has 1 object, 3 versions, 5 bytes: \
            the target has all of them, with the same checksums";
        assert_eq!(tally.to_string(), text);
    }

    #[test]
    fn failures_are_shown_up_to_a_number() {
        let mut tally = Tally::default();
        for number in 0..MOST {
            assert!(!tally.is_hopeless());
            tally.add(&format!("key\u{1b}{number}"), Err(CopyError::TooLarge));
        }
        tally.compared(Difference::default());
        assert!(tally.is_hopeless() && !tally.is_complete());
        let text = tally.to_string();
        assert!(text.contains("failed: 100 objects\n  key 0: it is larger") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(text.lines().count(), 1 + SHOWN);
    }
}
