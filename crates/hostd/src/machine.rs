//! The task of one microVM: observe, plan, apply, and wait for what comes next.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use capstead_reconcile::Backoff;
use capstead_reconcile::Ended;
use capstead_reconcile::Look;
use capstead_reconcile::Outcome;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::execute;
use tracing::Instrument;

use crate::effects::Effects;
use crate::effects::Seen;
use crate::host::Host;
use crate::life;
use crate::life::End;
use crate::life::Life;
use crate::life::Observed;
use crate::life::Process;
use crate::life::Step;
use crate::life::Wish;
use crate::record::Record;
use crate::trace;
use crate::view::Shown;
use crate::world::expanded;
use crate::world::parts;

/// How long a step that is no part may take.
const STEP: Duration = Duration::from_secs(60);
/// Between looks at what cannot be looked at.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// What the task knows besides the record, and loses with the daemon.
#[derive(Debug, Default)]
struct Memory {
    asked: Option<Timestamp>,
    heard: Option<End>,
}

/// Looks after a microVM until it is forgotten.
pub(crate) async fn keep<E: Effects>(host: Arc<Host<E>>, uid: String) {
    let mut memory = Memory::default();
    let mut backoff = Backoff::new(FIRST_BACKOFF, life::LONGEST_BACKOFF, rand::random());
    while let Some(record) = host.record(&uid) {
        let seen = match host.effects().observe(&record).await {
            Ok(seen) => seen,
            Err(cause) => {
                tracing::warn!(uid, cause, "cannot look at a microVM");
                tokio::time::sleep(backoff.failed()).await;
                continue;
            }
        };
        let now = Timestamp::now();
        let wish = wish(&record, host.most_failures(), host.grace());
        let plan = plan(&wish, &record, &seen, &memory, now);
        host.show(&uid, shown(&wish, &record, &seen, &memory, &plan));
        if plan.steps.is_empty() {
            backoff.reset();
            if plan.again.is_none() {
                host.settled(&uid);
            }
            wait(&host, &record, &seen, plan.again, &mut memory).await;
            continue;
        }
        let steps = plan.steps.clone();
        let mut hands = Hands { host: &host, record: &record, memory: &mut memory };
        let report = tokio::select! {
            report = execute(steps, &mut hands).instrument(trace::reconcile(&uid, &host.trace(&uid))) => report,
            // What is being made is not wanted any more; whatever is dropped halfway is found again.
            () = host.turned(&uid, record.deleted) => continue,
        };
        let look = report.look(&plan, now, &mut backoff);
        if let Ended::Transient { step, cause, .. } | Ended::Terminal { step, cause } = &report.ended {
            tracing::warn!(uid, ?step, cause, "a step failed");
            let hopeless = matches!(report.ended, Ended::Terminal { .. });
            if let (Wish::Run { .. }, Some(record)) = (&wish, host.record(&uid)) {
                // The plan itself puts the next try off.
                host.keep_record(record.failed(cause, hopeless, Timestamp::now()));
            } else if let Look::At(at) = look {
                host.rest(&uid, Some(at)).await;
            }
        }
    }
}

/// What should become of a microVM.
fn wish(record: &Record, most: u32, grace: Duration) -> Wish {
    if record.deleted { Wish::Gone { grace } } else { Wish::Run { parts: parts(&expanded(record)), most } }
}

fn observed(record: &Record, seen: &Seen, memory: &Memory) -> Observed {
    let process = match &memory.heard {
        Some(End::Lost(_)) if seen.running => Process::Lost,
        _ if seen.running => Process::Running,
        Some(end) => Process::Ended(end.clone()),
        None => Process::None,
    };
    let (whole, traces, trouble) = (seen.whole.clone(), seen.traces.clone(), record.trouble.clone());
    Observed { whole, traces, process, launched: record.launched, asked: memory.asked, trouble }
}

fn plan(wish: &Wish, record: &Record, seen: &Seen, memory: &Memory, now: Timestamp) -> Plan<Step> {
    Life::plan(wish, &observed(record, seen, memory), now)
}

fn shown(wish: &Wish, record: &Record, seen: &Seen, memory: &Memory, plan: &Plan<Step>) -> Shown {
    let state = life::state(wish, &observed(record, seen, memory));
    let found = plan.findings.iter().map(|finding| finding.message.clone());
    let waits = plan.waits.iter().map(|wait| format!("{} {}", wait.on, wait.why));
    let cause = found.chain(waits).collect::<Vec<_>>().join("; ");
    // While a next try is under way, the last failure is still what there is to tell.
    let cause = if cause.is_empty() && state == life::State::Pending { record.trouble.cause.clone() } else { cause };
    Shown { state, cause, facts: seen.facts.clone() }
}

/// Waits until there is something to do: somebody asks for it, the process ends or its guest is lost, or it is time.
async fn wait<E: Effects>(host: &Host<E>, record: &Record, seen: &Seen, again: Option<Timestamp>, memory: &mut Memory) {
    let heard = matches!(memory.heard, Some(End::Lost(_)));
    tokio::select! {
        () = host.rest(&record.uid, again) => (),
        end = host.effects().ended(record), if seen.running && !heard => memory.heard = Some(end),
    }
}

/// Carries out steps.
struct Hands<'a, E: Effects> {
    host: &'a Host<E>,
    record: &'a Record,
    memory: &'a mut Memory,
}

impl<E: Effects> capstead_reconcile::Effects<Step> for Hands<'_, E> {
    async fn apply(&mut self, step: &Step) -> Outcome {
        let start = Instant::now();
        let outcome = self.carry_out(step).instrument(trace::apply(step)).await;
        self.host.metrics().stepped(step, start.elapsed(), matches!(outcome, Outcome::Transient { .. } | Outcome::Terminal { .. }));
        outcome
    }

    fn deadline(&self, step: &Step) -> Duration {
        match step {
            Step::Make(part) => self.host.effects().patience(*part),
            _ => STEP,
        }
    }
}

impl<E: Effects> Hands<'_, E> {
    async fn carry_out(&mut self, step: &Step) -> Outcome {
        let (effects, record) = (self.host.effects(), self.record);
        match step {
            Step::Make(part) => effects.make(record, *part).await,
            Step::Unmake(part) => effects.unmake(record, *part).await,
            Step::Launch => {
                self.memory.heard = None;
                effects.launch(record).await
            }
            Step::Shutdown => {
                self.memory.asked = Some(Timestamp::now());
                effects.shutdown(record).await
            }
            Step::Kill => effects.kill(record).await,
            Step::Adopt => self.note(|record| record.adopted(Timestamp::now())),
            Step::Bury(end) => {
                let noted = self.note(|record| record.buried(end.as_ref(), Timestamp::now()));
                self.memory.heard = None;
                noted
            }
            Step::Forget => match effects.clear(record).await {
                Outcome::Done => match self.host.forget(&record.uid) {
                    Ok(()) => Outcome::Done,
                    Err(cause) => Outcome::transient(cause),
                },
                other => other,
            },
        }
    }

    /// Changes the record as it is now, which a delete may have changed meanwhile.
    fn note(&self, change: impl FnOnce(&Record) -> Record) -> Outcome {
        match self.host.record(&self.record.uid) {
            Some(record) => {
                self.host.keep_record(change(&record));
                Outcome::Done
            }
            None => Outcome::Gone,
        }
    }
}
