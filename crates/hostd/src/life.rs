//! The life of one microVM on its host: pure.
//!
//! ```text
//!            make every part            launch             adopt
//!  nothing ───────────────────► parts ──────────► process ───────► running
//!     ▲                           ▲                                   │ the process ends, or is killed since its guest is lost
//!     │ unmake every part         └────────────── bury ◄──────────────┤
//!     │                                                               │ delete
//!     └────────── gone ◄──────────── kill ◄── (grace is over) ◄── shut down
//! ```
//!
//! Whatever is made has a name that follows from the microVM's uid, so each step finds what an earlier try left. The record, with the uid, is on disk
//! before the first step, and is the last that goes. A process is known by a mark it carries; the record says only that one was launched, so that one that
//! ended while nobody watched is told.

use std::collections::BTreeSet;
use std::time::Duration;

use capstead_reconcile::Finding;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::Truth;
use capstead_reconcile::later;
use serde::Deserialize;
use serde::Serialize;

/// A process that ran so long ended for a reason of its own: failures before it count no more.
pub const GOOD_SPELL: Duration = Duration::from_secs(60);
/// As [`GOOD_SPELL`] where the guest was lost: a boot that hangs or panics takes its time, and was none.
pub const GOOD_BOOT: Duration = Duration::from_secs(600);
/// The wait after the first failure; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between tries.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(120);

/// Something a microVM needs before it can be launched, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The kernel, out of its image.
    Kernel,
    /// The initrd, out of its image.
    Initrd,
    /// The disk of the root file system.
    Root,
    /// The disk of this additional volume, counted from 0.
    Volume(usize),
    /// The disk with cloud-init's documents.
    Seed,
    /// The host's side of this network interface, counted from 0.
    Interface(usize),
}

/// What a microVM should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// It runs.
    Run {
        /// What it needs.
        parts: BTreeSet<Part>,
        /// After how many failures in a row it is given up.
        most: u32,
    },
    /// It is not there, and nothing of it.
    Gone {
        /// How long its guest may take to shut down.
        grace: Duration,
    },
}

/// What a microVM is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Parts that are there, and whole.
    pub whole: BTreeSet<Part>,
    /// Parts of which anything is there, whole or not.
    pub traces: BTreeSet<Part>,
    /// The process with its mark.
    pub process: Process,
    /// Since when the record says that a process was launched and has not been buried.
    pub launched: Option<Timestamp>,
    /// When the guest was asked to shut down, if it was.
    pub asked: Option<Timestamp>,
    /// What went wrong lately.
    pub trouble: Trouble,
}

/// The VMM's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// There is none.
    None,
    /// There is one.
    Running,
    /// There is one, and its guest is no use any more.
    Lost,
    /// It was heard to end.
    Ended(End),
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The guest wanted to start anew, and its VMM leaves that to whoever launched it.
    Rebooted,
    /// The guest switched itself off.
    PoweredOff,
    /// Otherwise; what is known of it, for a person.
    Died(String),
    /// Its guest hung or panicked, whether the process itself has ended or not; what is known of it, for a person.
    Lost(String),
}

/// Failures of a microVM, as far as remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// Failures in a row.
    pub failures: u32,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// What the last one was, for a person; empty if there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// Trying again cannot help.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hopeless: bool,
}

impl Trouble {
    /// One failure more.
    #[must_use]
    pub fn failed(&self, cause: impl Into<String>, now: Timestamp) -> Self {
        Self { failures: self.failures.saturating_add(1), last: Some(now), cause: cause.into(), hopeless: self.hopeless }
    }

    /// A failure that no further try can mend.
    #[must_use]
    pub fn hopeless(&self, cause: impl Into<String>, now: Timestamp) -> Self {
        Self { hopeless: true, ..self.failed(cause, now) }
    }

    /// What is remembered once a process that was launched at `launched` has ended.
    #[must_use]
    pub fn buried(&self, end: Option<&End>, launched: Timestamp, now: Timestamp) -> Self {
        let good = if matches!(end, Some(End::Lost(_))) { GOOD_BOOT } else { GOOD_SPELL };
        let before = if now >= later(launched, good) { Self::default() } else { self.clone() };
        match end {
            // A guest that starts anew for ever is still one that starts anew.
            Some(End::Rebooted) => before,
            Some(End::PoweredOff) => before.hopeless("the guest switched itself off", now),
            Some(End::Died(cause)) => before.failed(format!("the VMM's process ended: {cause}"), now),
            Some(End::Lost(cause)) => before.failed(cause, now),
            None => before.failed("the VMM's process ended while nobody watched", now),
        }
    }

    /// When to try again.
    fn next(&self) -> Option<Timestamp> {
        let doubled = FIRST_BACKOFF.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        self.last.filter(|_| self.failures > 0).map(|last| later(last, doubled.min(LONGEST_BACKOFF)))
    }

    fn is_given_up(&self, most: u32) -> bool {
        self.hopeless || self.failures > most
    }
}

/// An effect on one microVM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make a part, with all that it needs.
    Make(Part),
    /// Start the VMM's process.
    Launch,
    /// Note that a process was launched, and watch it.
    Adopt,
    /// Note how the process ended, if that is known.
    Bury(Option<End>),
    /// Ask the guest to shut down.
    Shutdown,
    /// End the process.
    Kill,
    /// Take a part away, and what an unfinished try left of it.
    Unmake(Part),
    /// Remove the record.
    Forget,
}

/// What clients are told: flintlock's states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It does not run yet, or not at the moment.
    Pending,
    /// Its VMM runs.
    Created,
    /// It was given up.
    Failed,
    /// It goes.
    Deleting,
}

/// What clients are told of a microVM.
#[must_use]
pub fn state(wish: &Wish, seen: &Observed) -> State {
    match wish {
        Wish::Gone { .. } => State::Deleting,
        Wish::Run { .. } if seen.process == Process::Running => State::Created,
        Wish::Run { most, .. } if seen.trouble.is_given_up(*most) => State::Failed,
        Wish::Run { .. } => State::Pending,
    }
}

/// The life cycle.
#[derive(Debug)]
pub enum Life {}

impl Reconciler for Life {
    type Wish = Wish;
    type Observed = Observed;
    type Step = Step;

    fn plan(wish: &Wish, seen: &Observed, now: Timestamp) -> Plan<Step> {
        // What the record says of the process comes first: all else goes by it.
        match (&seen.process, seen.launched) {
            (Process::Running | Process::Lost, None) => return Plan::settled().then(Step::Adopt),
            (Process::Ended(end), Some(_)) => return Plan::settled().then(Step::Bury(Some(end.clone()))),
            (Process::None, Some(_)) => return Plan::settled().then(Step::Bury(None)),
            _ => (),
        }
        match wish {
            Wish::Run { parts, most } => run(parts, *most, seen, now),
            Wish::Gone { grace } => gone(*grace, seen, now),
        }
    }
}

fn run(parts: &BTreeSet<Part>, most: u32, seen: &Observed, now: Timestamp) -> Plan<Step> {
    let plan = Plan::settled();
    if seen.process == Process::Running {
        return plan;
    }
    let Trouble { failures, cause, hopeless, .. } = &seen.trouble;
    if seen.trouble.is_given_up(most) {
        let (reason, message) = if *hopeless {
            ("Hopeless", cause.clone())
        } else {
            ("GivenUp", format!("failed {failures} times in a row, at last: {cause}"))
        };
        return plan.finding(Finding { about: "Failed".into(), truth: Truth::True, reason: reason.into(), message });
    }
    if let Some(at) = seen.trouble.next().filter(|at| *at > now) {
        return plan.waiting("its next try", format!("is put off, since the last one failed: {cause}")).look_at(at);
    }
    if seen.process == Process::Lost {
        return plan.then(Step::Kill);
    }
    let missing = parts.difference(&seen.whole);
    missing.fold(plan, |plan, part| plan.then(Step::Make(*part))).then(Step::Launch)
}

fn gone(grace: Duration, seen: &Observed, now: Timestamp) -> Plan<Step> {
    let plan = Plan::settled();
    if seen.process == Process::Lost {
        return plan.then(Step::Kill);
    }
    if seen.process == Process::Running {
        return match seen.asked.map(|asked| later(asked, grace)) {
            None => plan.then(Step::Shutdown),
            Some(over) if now < over => plan.waiting("the guest", "was asked to shut down").look_at(over),
            Some(_) => plan.then(Step::Kill),
        };
    }
    // Interfaces first and the kernel last: as it was made, backwards.
    seen.traces.iter().rev().fold(plan, |plan, part| plan.then(Step::Unmake(*part))).then(Step::Forget)
}

#[cfg(test)]
mod explored;
#[cfg(test)]
mod tests;
