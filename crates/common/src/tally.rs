//! Amounts by namespace, for limits that one namespace must not use up for the others.

use std::collections::BTreeMap;

/// Amounts by namespace; only those that are not zero take memory.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, usize>);

impl Tally {
    /// No amounts.
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The amount of a namespace.
    pub(crate) fn amount(&self, namespace: &str) -> usize {
        self.0.get(namespace).copied().unwrap_or_default()
    }

    /// The amount of all namespaces together.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Adds to the amount of a namespace.
    pub(crate) fn add(&mut self, namespace: &str, amount: usize) {
        *self.0.entry(namespace.to_owned()).or_default() += amount;
    }

    /// Subtracts from the amount of a namespace.
    pub(crate) fn subtract(&mut self, namespace: &str, amount: usize) {
        let Some(known) = self.0.get_mut(namespace) else { return };
        *known = known.saturating_sub(amount);
        if *known == 0 {
            self.0.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_of_zero_is_not_kept() {
        let mut tally = Tally::default();
        tally.add("a", 2);
        tally.add("a", 1);
        tally.add("b", 5);
        assert_eq!((tally.amount("a"), tally.amount("c"), tally.total()), (3, 0, 8));
        tally.subtract("a", 3);
        tally.subtract("c", 1);
        assert_eq!(tally.0.keys().collect::<Vec<_>>(), ["b"]);
    }
}
