//! What has happened.

use std::{collections::BTreeMap, fmt};

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
