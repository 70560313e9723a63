//! One pass over a plan, as a pure state machine: the whole of what follows from each outcome.

use std::time::Duration;

use crate::Backoff;
use crate::Plan;
use crate::Timestamp;
use crate::later;

/// How one step went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The effect is there, whether this call or an earlier one made it.
    Done,
    /// It may work later; whether the effect is there is not known.
    Transient {
        /// What went wrong, for a person.
        cause: String,
        /// The least time to wait, if whoever was asked said so.
        after: Option<Duration>,
    },
    /// It cannot work while the wish and the world are as they are.
    Terminal {
        /// What is wrong, for a person.
        cause: String,
    },
    /// What the step addressed is there no more: the observation was old.
    Gone,
}

impl Outcome {
    /// A [`Outcome::Transient`] without a stated waiting time.
    #[must_use]
    pub fn transient(cause: impl Into<String>) -> Self {
        Self::Transient { cause: cause.into(), after: None }
    }

    /// A [`Outcome::Terminal`].
    #[must_use]
    pub fn terminal(cause: impl Into<String>) -> Self {
        Self::Terminal { cause: cause.into() }
    }
}

/// The execution of one plan: which step is next, and whether the pass is over.
///
/// [`crate::execute()`] and the explorer both drive this type, so what is explored is what is shipped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass<S> {
    /// In reverse, so that the next step is the last.
    left: Vec<S>,
    applied: Vec<S>,
    stopped: Option<(S, Outcome)>,
}

impl<S> Pass<S> {
    /// A pass over these steps, in their order.
    #[must_use]
    pub fn new(mut steps: Vec<S>) -> Self {
        steps.reverse();
        Self { left: steps, applied: Vec::new(), stopped: None }
    }

    /// The step to perform now; `None` when the pass is over.
    #[must_use]
    pub fn next(&self) -> Option<&S> {
        if self.stopped.is_some() { None } else { self.left.last() }
    }

    /// Records how the step given by [`Pass::next`] went. Without such a step it does nothing.
    ///
    /// Anything but [`Outcome::Done`] ends the pass: later steps rely on this one, and only a new look can tell what is true now.
    pub fn record(&mut self, outcome: Outcome) {
        if self.stopped.is_some() {
            return;
        }
        if let Some(step) = self.left.pop() {
            match outcome {
                Outcome::Done => self.applied.push(step),
                other => self.stopped = Some((step, other)),
            }
        }
    }

    /// What the pass came to. Steps not reached are dropped: the next plan decides anew.
    #[must_use]
    pub fn report(self) -> Report<S> {
        let ended = match self.stopped {
            None => Ended::Finished,
            Some((_, Outcome::Gone)) => Ended::Gone,
            Some((step, Outcome::Transient { cause, after })) => Ended::Transient { step, cause, after },
            Some((step, Outcome::Terminal { cause })) => Ended::Terminal { step, cause },
            // `record` never stores Done as a stop.
            Some((_, Outcome::Done)) => Ended::Finished,
        };
        Report { applied: self.applied, ended }
    }
}

/// What a pass did and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<S> {
    /// Steps that are done, in order.
    pub applied: Vec<S>,
    /// How the pass ended.
    pub ended: Ended<S>,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<S> {
    /// Every step is done.
    Finished,
    /// A step's object was gone; look again at once.
    Gone,
    /// A step may work later.
    Transient {
        /// The step.
        step: S,
        /// What went wrong.
        cause: String,
        /// The least waiting time, if one was stated.
        after: Option<Duration>,
    },
    /// A step cannot work as things are.
    Terminal {
        /// The step.
        step: S,
        /// What is wrong.
        cause: String,
    },
}

/// When to observe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At once.
    Now,
    /// At this time, or when something changes.
    At(Timestamp),
    /// When something changes.
    OnChange,
}

impl<S> Report<S> {
    /// When to observe again after this pass over `plan`. Failures are counted in `backoff`, success forgets them.
    ///
    /// A terminal failure waits for a change, but not for ever: the world outside may have mended unheard, so the longest backoff bounds it.
    pub fn look<P>(&self, plan: &Plan<P>, now: Timestamp, backoff: &mut Backoff) -> Look {
        match &self.ended {
            Ended::Finished if self.applied.is_empty() => {
                backoff.reset();
                plan.again.map_or(Look::OnChange, Look::At)
            }
            Ended::Finished => {
                backoff.reset();
                Look::Now
            }
            Ended::Gone => Look::Now,
            Ended::Transient { after, .. } => {
                let wait = backoff.failed().max(after.unwrap_or_default());
                Look::At(later(now, wait))
            }
            Ended::Terminal { .. } => Look::At(later(now, backoff.longest())),
        }
    }
}

#[cfg(test)]
mod tests;
