//! What happens to a fleet's workers, drawn beforehand: the same seed makes the same churn.

use std::time::Duration;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::cli::Churn;

/// Something that happens to the workers of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The cluster of that number, from 1, gets so many workers.
    Scale {
        /// The cluster.
        cluster: usize,
        /// How many.
        workers: u32,
    },
    /// One of the workers there are then is deleted.
    Delete {
        /// Which one: the remainder by their number.
        draw: u64,
    },
}

/// What happens when, from the churn's beginning, in order of time.
pub fn plan(churn: Churn, long: Duration, clusters: usize, workers: u32, seed: u64) -> Vec<(Duration, Action)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut actions = Vec::new();
    for at in times(churn.scale, long) {
        // Up to twice as many, but never as many as there are asked for to begin with.
        let drawn = random.random_range(0..(2 * workers).max(1));
        let scale = Action::Scale { cluster: random.random_range(1..=clusters.max(1)), workers: drawn + u32::from(drawn >= workers) };
        actions.push((at, scale));
    }
    for at in times(churn.delete, long) {
        actions.push((at, Action::Delete { draw: random.random() }));
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

/// Evenly spread, none at the very beginning or end.
fn times(rate: f64, long: Duration) -> impl Iterator<Item = Duration> {
    let count = (long.as_secs_f64() * rate).floor();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and times are bounded")]
    let count = count as u32;
    (1..=count).map(move |n| long.mul_f64(f64::from(n) / f64::from(count + 1)))
}

#[cfg(test)]
mod tests;
