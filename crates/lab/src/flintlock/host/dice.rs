//! Everything that is random about one call, drawn at once.

use std::time::Duration;

use rand::Rng;
use rand::RngExt;
use tonic::Code;

use super::LATEST;
use crate::flintlock::FaultKind;
use crate::flintlock::Faults;

/// A microVM that vanishes does so within this of being created.
const VANISHES: Duration = Duration::from_secs(30);

/// Numbers are 0 to 1, 1 excluded.
#[derive(Debug)]
pub(super) struct Dice {
    pub(super) uid: u128,
    pub(super) part: f64,
    other: f64,
    coin: bool,
    hits: [f64; FaultKind::ALL.len()],
}

impl Dice {
    pub(super) fn roll(random: &mut impl Rng) -> Self {
        let (uid, part, other, coin) = (random.random(), random.random(), random.random(), random.random());
        Self { uid, part, other, coin, hits: std::array::from_fn(|_| random.random()) }
    }

    pub(super) fn hits(&self, kind: FaultKind, faults: &Faults) -> bool {
        FaultKind::ALL.into_iter().zip(self.hits).any(|(of, number)| of == kind && number < faults.rate(kind))
    }

    pub(super) fn late_code(&self) -> Code {
        if self.coin { Code::Unavailable } else { Code::DeadlineExceeded }
    }

    /// Well before the caller may take it that nothing lands any more.
    pub(super) fn lands_after(&self, deadline: Option<Duration>) -> Duration {
        let latest = deadline.map_or(LATEST, |deadline| deadline.mul_f64(0.8).min(LATEST));
        latest.mul_f64(0.25 + 0.75 * self.other)
    }

    pub(super) fn vanishes_after(&self) -> Duration {
        VANISHES.mul_f64(self.other)
    }

    /// A whole number below `end`, 0 if there is none.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a place in a listing")]
    pub(super) fn below(&self, end: usize) -> usize {
        (self.other * end as f64) as usize
    }
}
