//! Carrying out a plan.

use std::future::Future;
use std::time::Duration;

use crate::Outcome;
use crate::Pass;
use crate::Report;

/// The outside world, as far as a reconciler's steps reach it. Implementations decide nothing.
pub trait Effects<S> {
    /// Performs one step. Doing it again must change nothing more.
    fn apply(&mut self, step: &S) -> impl Future<Output = Outcome> + Send;

    /// How long this step may take before its reply counts as lost.
    fn deadline(&self, step: &S) -> Duration;
}

/// Runs `steps` in order until one is not [`Outcome::Done`] or all are.
///
/// A step that misses its deadline is dropped and counts as [`Outcome::Transient`]: its effect may or may not be there.
/// Dropping the returned future is a crash, which every reconciler must survive anyway.
pub async fn execute<S, E: Effects<S>>(steps: Vec<S>, effects: &mut E) -> Report<S> {
    let mut pass = Pass::new(steps);
    while let Some(step) = pass.next() {
        let deadline = effects.deadline(step);
        let outcome = match tokio::time::timeout(deadline, effects.apply(step)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::transient(format!("no reply within {deadline:?}")),
        };
        pass.record(outcome);
    }
    pass.report()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::Effects;
    use super::execute;
    use crate::Ended;
    use crate::Outcome;

    /// Replies from a script; `None` is no reply at all.
    struct Script(VecDeque<Option<Outcome>>);

    impl Effects<u8> for Script {
        async fn apply(&mut self, _: &u8) -> Outcome {
            match self.0.pop_front() {
                Some(Some(outcome)) => outcome,
                _ => std::future::pending().await,
            }
        }

        fn deadline(&self, _: &u8) -> Duration {
            Duration::from_secs(3)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_is_a_lost_reply_and_ends_the_pass() {
        let mut script = Script(VecDeque::from([Some(Outcome::Done), None, Some(Outcome::Done)]));
        let report = execute(vec![1, 2, 3], &mut script).await;
        assert_eq!(report.applied, [1]);
        assert_eq!(report.ended, Ended::Transient { step: 2, cause: "no reply within 3s".into(), after: None });
        assert_eq!(script.0.len(), 1, "the third step is not tried");
    }
}
