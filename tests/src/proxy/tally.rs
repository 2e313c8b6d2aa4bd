//! What has happened.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, ensure};

/// The classes of faults, each with the names of its faults: requests that are refused, that lose their connection, or that are
/// answered late, and watches that are disturbed.
const CLASSES: [(&str, &[&str]); 4] = [
    ("refused", &["409", "410", "429", "500", "503"]),
    ("closed", &["closed before", "closed after"]),
    ("delayed", &["delayed"]),
    ("of watches", &["event delayed", "event repeated", "watch closed", "watch expired"]),
];

/// How often each fault has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Notes one more of them.
    pub(super) fn add(&mut self, fault: &'static str) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds what another one has.
    pub fn add_all(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(fault).or_default() += count;
        }
    }

    /// Fails unless so many faults happened, and some of each class.
    pub fn ensure_disturbed(&self, least: u64) -> Result<()> {
        ensure!(self.total() >= least, "there were {} faults, fewer than {least}: {self}", self.total());
        for (class, faults) in CLASSES {
            ensure!(faults.iter().any(|fault| self.of(fault) > 0), "no fault was {class}: {self}");
        }
        Ok(())
    }

    /// How often this one happened.
    pub fn of(&self, fault: &str) -> u64 {
        self.0.get(fault).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(faults: &[&'static str]) -> Tally {
        let mut tally = Tally::default();
        for fault in faults {
            tally.add(fault);
        }
        tally
    }

    #[test]
    fn faults_of_each_class_are_enough() {
        let mut all = tally(&["503", "closed after", "delayed"]);
        assert!(all.ensure_disturbed(3).is_err(), "no watch was disturbed");
        all.add_all(&tally(&["watch expired", "503"]));
        assert_eq!((all.of("503"), all.total()), (2, 5));
        assert!(all.ensure_disturbed(5).is_ok() && all.ensure_disturbed(6).is_err());
    }

    #[test]
    fn nothing_is_no_disturbance() {
        assert!(Tally::default().ensure_disturbed(0).is_err());
    }
}
