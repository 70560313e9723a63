//! How long to wait after repeated failures.

use std::time::Duration;

/// Exponential backoff with jitter: the n-th wait lies in `[d/2, d]` with `d = first * 2^n`, never above the longest.
///
/// Jitter comes from a seed given once, so a run can be repeated exactly and many objects failing together do not retry together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Waits from about `first` up to `longest`. `seed` should differ between objects.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        // xorshift must not start at zero.
        Self { first, longest, failures: 0, random: seed | 1 }
    }

    /// Counts one more failure and returns how long to wait.
    pub fn failed(&mut self) -> Duration {
        let full = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(self.fraction())
    }

    /// Forgets all failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last [`Backoff::reset`].
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The upper bound of any wait.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// A number in [0, 1) by xorshift64: spread is all that is asked of it.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        f64::from((self.random >> 32) as u32) / f64::from(u32::MAX).next_up()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Backoff;
    use std::time::Duration;

    proptest! {
        #[test]
        fn waits_grow_within_their_bounds(seed: u64, failures in 0_u32..80) {
            let (first, longest) = (Duration::from_millis(100), Duration::from_secs(30));
            let mut backoff = Backoff::new(first, longest, seed);
            for n in 0..failures {
                let full = first.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(longest);
                let wait = backoff.failed();
                prop_assert!(wait >= full / 2 && wait <= full, "failure {n}: {wait:?} not in {:?}..={full:?}", full / 2);
            }
            prop_assert_eq!(backoff.failures(), failures);
            backoff.reset();
            prop_assert!(backoff.failed() <= first);
        }
    }
}
