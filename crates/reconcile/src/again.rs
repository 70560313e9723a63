use std::iter;
use std::time::Duration;

use crate::Plan;
use crate::Timestamp;
use crate::later;

/// Another look, as a plan asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Again {
    /// The time by which the plan wanted to look again.
    pub at: Timestamp,
    /// When the look it was made by began.
    pub seen: Option<Timestamp>,
}

impl Again {
    /// What this plan, made by a look that began then, asks for.
    #[must_use]
    pub fn of<S>(plan: &Plan<S>, seen: Option<Timestamp>) -> Option<Self> {
        plan.again.map(|at| Self { at, seen })
    }

    /// A look that began before this time is not good enough; `None` when any is.
    ///
    /// Once the plan's time has come, it takes a look that is as late, or at least newer than the plan's own: what the plan waited for may be seen already,
    /// and when it is not, the next plan asks again.
    #[must_use]
    pub fn not_before(self, now: Timestamp) -> Option<Timestamp> {
        let newer = self.seen.map_or(self.at, |seen| later(seen, Duration::from_millis(1)));
        (self.at <= now).then(|| newer.min(self.at))
    }

    /// Every time in it, for worlds that measure time from now.
    pub fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        iter::once(&mut self.at).chain(&mut self.seen)
    }
}

#[cfg(test)]
mod tests;
