//! What a planner is given and what it returns.

use crate::Timestamp;

/// A life cycle: how a wish and an observation become a plan.
///
/// `plan` must be pure and total. It reads no clock, performs no I/O, and leaves no choice to whoever executes the plan.
pub trait Reconciler {
    /// What should be.
    type Wish;
    /// What is, as one comparable value.
    type Observed;
    /// One idempotent effect.
    type Step;

    /// Decides what to do next.
    fn plan(wish: &Self::Wish, observed: &Self::Observed, now: Timestamp) -> Plan<Self::Step>;
}

/// What to do now, what is waited for, what to tell, and when to look again.
///
/// Steps are in order: each may rely on those before it being done, and on nothing else.
/// An empty plan without waits means that the world is as wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    /// Effects to perform, in order.
    pub steps: Vec<S>,
    /// Why more is not being done now.
    pub waits: Vec<Wait>,
    /// Facts for status and events.
    pub findings: Vec<Finding>,
    /// The time by which to observe again even if nothing is heard; `None` is "when something changes".
    pub again: Option<Timestamp>,
}

impl<S> Plan<S> {
    /// Nothing to do and nothing to wait for.
    #[must_use]
    pub fn settled() -> Self {
        Self { steps: Vec::new(), waits: Vec::new(), findings: Vec::new(), again: None }
    }

    /// Adds a step after those already there.
    #[must_use]
    pub fn then(mut self, step: S) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds something that is waited for.
    #[must_use]
    pub fn waiting(mut self, on: impl Into<String>, why: impl Into<String>) -> Self {
        self.waits.push(Wait { on: on.into(), why: why.into() });
        self
    }

    /// Adds a fact for status.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Asks for a look at `at` or earlier. The earliest of several calls wins.
    #[must_use]
    pub fn look_at(mut self, at: Timestamp) -> Self {
        self.again = Some(self.again.map_or(at, |earlier| earlier.min(at)));
        self
    }

    /// Whether the world is as wished, as far as this planner can see.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.waits.is_empty()
    }
}

/// Something the plan waits for, and why, in words for a person: the two read as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What must change: a component, an object, a time ("the API server").
    pub on: String,
    /// Why nothing can be done before ("has no endpoint yet").
    pub why: String,
}

/// A fact for status. It has the shape of a Kubernetes condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type, CamelCase.
    pub about: String,
    /// Whether it holds.
    pub truth: Truth,
    /// CamelCase, never empty.
    pub reason: String,
    /// Words for a person; may be empty when `truth` is [`Truth::True`].
    pub message: String,
}

/// Three-valued truth, as in Kubernetes conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}
