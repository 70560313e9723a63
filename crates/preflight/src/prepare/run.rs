//! Look, plan, apply, and look again, until there is nothing left to do.

use std::time::Duration;

use capstead_reconcile::Effects;
use capstead_reconcile::Ended;
use capstead_reconcile::Outcome;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::Wait;
use capstead_reconcile::execute;

use super::converge::Situation;
use super::converge::Step;
use super::diff::describe;
use super::goals::Goal;
use super::host::Host;
use super::host::LookError;
use super::host::name;
use super::state::Key;
use super::state::State;
use crate::machine::Machine;

/// Most looks. Two are enough where nothing comes in between.
const ROUNDS: usize = 5;

/// It did not come to its end. What was done so far is in the journal, and another run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The machine does not tell how it is.
    #[error(transparent)]
    Look(#[from] LookError),
    /// A step failed.
    #[error("cannot {step}: {cause}")]
    Step {
        /// What was to be done.
        step: String,
        /// Why it was not.
        cause: String,
    },
    /// Something waits for a decision.
    #[error("{}", .0.iter().map(|wait| format!("{}: {}", wait.on, wait.why)).collect::<Vec<_>>().join("; "))]
    Waits(Vec<Wait>),
    /// After each run there is something left to do: somebody else changes the same things.
    #[error("{0} changes again and again; does another program look after it?")]
    Restless(String),
}

/// Runs [`Prepare`](super::Prepare) with its goals, or [`Restore`](super::Restore), to its end. `tell` hears of each step before it is done.
/// Returns how many were done.
///
/// # Errors
/// See [`RunError`].
pub async fn run<R, M>(
    host: &mut Host<'_, M>,
    wish: &R::Wish,
    goals: &[Goal],
    tell: &mut (impl FnMut(&Step) + Send),
) -> Result<usize, RunError>
where
    R: Reconciler<Observed = Situation, Step = Step>,
    M: Machine,
{
    let mut done = 0;
    let mut last = String::new();
    for _ in 0..ROUNDS {
        let plan = R::plan(wish, &host.look(goals).await?, Timestamp::UNIX_EPOCH);
        if plan.steps.is_empty() {
            return if plan.waits.is_empty() { Ok(done) } else { Err(RunError::Waits(plan.waits)) };
        }
        let report = execute(plan.steps, &mut Told { host, tell }).await;
        done += report.applied.len();
        last = report.applied.last().map(words).unwrap_or(last);
        match report.ended {
            Ended::Finished | Ended::Gone => (),
            // The connection may have gone with the change; another look, by another connection, tells.
            Ended::Transient { step: step @ (Step::Try(_) | Step::Set(Key::Uplink(_), _)), .. } => last = words(&step),
            Ended::Transient { step, cause, .. } | Ended::Terminal { step, cause } => {
                return Err(RunError::Step { step: words(&step), cause });
            }
        }
    }
    Err(RunError::Restless(last))
}

/// What there is to do, as far as looking tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Each change, in words that follow "to".
    pub changes: Vec<String>,
    /// The same as a diff, with the lines of files. Empty where nothing changes.
    pub diff: String,
}

/// What [`run`] would begin with: all it does, where nothing comes in between. It changes nothing.
///
/// # Errors
/// [`RunError::Look`] and [`RunError::Waits`].
pub async fn ahead<R, M>(host: &Host<'_, M>, wish: &R::Wish, goals: &[Goal]) -> Result<Ahead, RunError>
where
    R: Reconciler<Observed = Situation, Step = Step>,
    M: Machine,
{
    let now = host.look(goals).await?;
    let plan = R::plan(wish, &now, Timestamp::UNIX_EPOCH);
    if plan.steps.is_empty() && !plan.waits.is_empty() {
        return Err(RunError::Waits(plan.waits));
    }
    let changes = plan.steps.iter().filter(|step| changes(step)).map(words).collect();
    Ok(Ahead { changes, diff: describe(&plan.steps, &now) })
}

/// Whether a step changes the machine, beyond what we keep on it for ourselves.
#[must_use]
pub fn changes(step: &Step) -> bool {
    matches!(step, Step::Set(..) | Step::Try(_))
}

/// A step in words that follow "to".
#[must_use]
pub fn words(step: &Step) -> String {
    match step {
        Step::Record(entry) => format!("write down how {} is", name(&entry.key)),
        Step::Set(key @ (Key::Package(_) | Key::Packages(_)), _) => format!("install {}", name(key)),
        Step::Set(key, State::Absent) => format!("remove {}", name(key)),
        Step::Set(key, State::Unit { active: true, .. }) => format!("start {}", name(key)),
        Step::Set(key, State::Unit { active: false, .. }) => format!("stop {}", name(key)),
        Step::Set(key, _) => format!("make {}", name(key)),
        Step::Try(key) => format!("try {}", name(key)),
        Step::Confirm => "reach the machine by a new connection".into(),
        Step::Forget => "remove the journal".into(),
    }
}

struct Told<'a, 'b, M, T> {
    host: &'a mut Host<'b, M>,
    tell: &'a mut T,
}

impl<M: Machine, T: FnMut(&Step) + Send> Effects<Step> for Told<'_, '_, M, T> {
    async fn apply(&mut self, step: &Step) -> Outcome {
        (self.tell)(step);
        self.host.apply(step).await
    }

    fn deadline(&self, step: &Step) -> Duration {
        self.host.deadline(step)
    }
}
