//! Observe, plan, apply: the one way every part of Capstead makes the world match a wish.
//!
//! ```text
//! observe  ->  plan  ->  apply  ->  observe again
//! ```
//!
//! - *observe* reads the world into one comparable value and decides nothing. It belongs to the caller.
//! - [`Reconciler::plan`] is pure: from wish, observation and time it makes a [`Plan`], plain data that also says why it waits.
//! - [`execute()`] carries a plan out through the narrow [`Effects`] trait and decides nothing: what follows from each
//!   [`Outcome`] is written once, in [`Pass`].
//! - [`explore`](mod@explore) drives the *shipped* planner and the *shipped* [`Pass`] through every interleaving of a small model world
//!   with crashes, lost replies and stale views, and shows the shortest history that breaks a promise.
//!
//! No I/O and no Kubernetes live here.
//!
//! # What makes a plan safe
//!
//! 1. Identity is stored before the first effect outside, and travels with what is created.
//! 2. Nothing is released on the word of a view that may be older than the last effect.
//! 3. Doing a step twice is the same as doing it once, or the plan can see that it was done.
//! 4. Two planners never want opposite things of one object.
//!
//! The explorer finds a breach of each; its own tests plant one of each kind.

mod again;
mod backoff;
mod execute;
pub mod explore;
mod pass;
mod plan;

pub use again::Again;
pub use backoff::Backoff;
pub use execute::Effects;
pub use execute::execute;
pub use pass::Ended;
pub use pass::Look;
pub use pass::Outcome;
pub use pass::Pass;
pub use pass::Report;
pub use plan::Finding;
pub use plan::Plan;
pub use plan::Reconciler;
pub use plan::Truth;
pub use plan::Wait;

/// A point in time, as planners receive it. Planners never read a clock.
pub type Timestamp = jiff::Timestamp;

/// `time + wait`, or the end of time.
#[must_use]
pub fn later(time: Timestamp, wait: std::time::Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
