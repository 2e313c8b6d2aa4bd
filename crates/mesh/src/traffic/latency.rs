//! Percentiles of latency from the buckets of a histogram.

use super::sample::BOUNDS;

/// How many answers came within each bound, and in total.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Buckets([f64; BOUNDS.len() + 1]);

/// Percentiles in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percentiles {
    /// Half of the answers came within this time.
    pub(crate) p50: f64,
    /// 95 of 100.
    pub(crate) p95: f64,
    /// 99 of 100.
    pub(crate) p99: f64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self([0.0; BOUNDS.len() + 1])
    }
}

impl Buckets {
    /// Adds answers within the bound of this number.
    pub(super) fn add(&mut self, bucket: u8, answers: f64) {
        if let Some(count) = self.0.get_mut(usize::from(bucket)) {
            *count += answers;
        }
    }

    /// The percentiles; `None` without answers.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let at = |share| self.quantile(share).map(|milliseconds| milliseconds / 1000.0);
        Some(Percentiles { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }

    /// The time in milliseconds within which this share of the answers came, by linear interpolation inside a bucket. Beyond the
    /// largest bound nothing is known, so that bound is returned.
    fn quantile(&self, share: f64) -> Option<f64> {
        // A bucket that was missing in an answer counts as the one before it.
        let cumulative: Vec<f64> = self
            .0
            .iter()
            .scan(0.0, |most: &mut f64, count| {
                *most = most.max(*count);
                Some(*most)
            })
            .collect();
        let total = *cumulative.last()?;
        if total <= 0.0 {
            return None;
        }
        let rank = share * total;
        let place = cumulative.iter().position(|count| *count >= rank)?;
        let Some(upper) = BOUNDS.get(place) else { return BOUNDS.last().copied() };
        let (lower, before) = match place.checked_sub(1) {
            Some(previous) => (BOUNDS[previous], cumulative[previous]),
            None => (0.0, 0.0),
        };
        let within = cumulative[place] - before;
        Some(if within > 0.0 { lower + (upper - lower) * (rank - before) / within } else { *upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets with this many answers in each, by the upper bound.
    fn buckets(answers: &[(f64, f64)]) -> Buckets {
        let mut buckets = Buckets::default();
        for (bound, count) in answers {
            let first = BOUNDS.iter().position(|known| known.to_bits() == bound.to_bits()).unwrap_or(BOUNDS.len());
            (first..=BOUNDS.len()).for_each(|place| buckets.add(u8::try_from(place).unwrap(), *count));
        }
        buckets
    }

    #[test]
    fn percentile_is_interpolated_inside_its_bucket() {
        // All in (10 ms, 20 ms]: half of them within 15 ms.
        let found = buckets(&[(20.0, 100.0)]).percentiles().unwrap();
        assert!((found.p50 - 0.015).abs() < 1e-9 && (found.p99 - 0.0199).abs() < 1e-9, "{found:?}");
        // 90 in (0, 1 ms], 10 in (100 ms, 200 ms]: the 95th is in the middle of those.
        let found = buckets(&[(1.0, 90.0), (200.0, 10.0)]).percentiles().unwrap();
        assert!((found.p95 - 0.15).abs() < 1e-9 && found.p50 < 0.001, "{found:?}");
    }

    #[test]
    fn answers_beyond_the_largest_bound_have_that_bound() {
        let found = buckets(&[(f64::INFINITY, 3.0)]).percentiles().unwrap();
        assert_eq!((found.p50, found.p99), (50.0, 50.0));
    }

    #[test]
    fn histogram_without_answers_has_no_percentiles() {
        assert_eq!(Buckets::default().percentiles(), None);
    }

    #[test]
    fn missing_buckets_lower_no_percentile() {
        let mut buckets = Buckets::default();
        buckets.add(5, 10.0);
        buckets.add(u8::try_from(BOUNDS.len()).unwrap(), 10.0);
        buckets.add(u8::MAX, 1e9);
        assert!((buckets.percentiles().unwrap().p50 - 0.0075).abs() < 1e-9);
    }
}
