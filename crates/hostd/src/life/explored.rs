//! Every history of one microVM in a small world: crashes of the daemon before and after each step, lost replies, failing calls, VMMs that die, guests that are
//! lost in them, and a delete at any time.

use std::collections::BTreeSet;
use std::time::Duration;

use capstead_reconcile::Outcome;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::explore::Broken;
use capstead_reconcile::explore::Limits;
use capstead_reconcile::explore::World;
use capstead_reconcile::explore::explore;

use super::End;
use super::GOOD_BOOT;
use super::GOOD_SPELL;
use super::Life;
use super::Observed;
use super::Part;
use super::Process;
use super::State;
use super::Step;
use super::Trouble;
use super::Wish;
use super::state;

const PARTS: [Part; 2] = [Part::Root, Part::Interface(0)];
const GRACE: Duration = Duration::from_secs(5);
const MOST: u32 = 3;

/// A mistake that the explorer must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mistake {
    None,
    /// A process that was launched is not looked for by its mark after a restart.
    TrustsTheRecord,
    /// The record goes before what it names.
    ForgetsFirst,
    /// A half-made part is taken for whole.
    TakesHalfForWhole,
    /// A process whose guest is lost is left alone.
    KeepsTheLost,
}

/// A host with one microVM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    mistake: Mistake,
    /// On disk; `None` once it is forgotten.
    record: Option<Record>,
    whole: BTreeSet<Part>,
    traces: BTreeSet<Part>,
    processes: u8,
    /// The guest in the process hangs, or its kernel panicked.
    lost: bool,
    /// A process was started before all parts were whole.
    early: bool,
    now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Record {
    gone: bool,
    launched: Option<Timestamp>,
    trouble: Trouble,
}

/// What the daemon knows besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Memory {
    /// How the process ended that it watched.
    heard: Option<End>,
    watches: bool,
    asked: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum Event {
    /// Somebody deletes the microVM.
    Delete,
    /// The guest does as it was asked to.
    ShutsDown,
    /// The VMM dies.
    Dies,
    /// The guest hangs or panics, and its VMM lives on.
    IsLost,
    /// A part was begun when the power went: traces of it are there.
    HalfMade(Part),
}

impl Host {
    fn new(mistake: Mistake) -> Self {
        let record = Some(Record { gone: false, launched: None, trouble: Trouble::default() });
        let (whole, traces) = (BTreeSet::new(), BTreeSet::new());
        Self { mistake, record, whole, traces, processes: 0, lost: false, early: false, now: Timestamp::UNIX_EPOCH }
    }

    fn wish(record: &Record) -> Wish {
        if record.gone { Wish::Gone { grace: GRACE } } else { Wish::Run { parts: PARTS.into(), most: MOST } }
    }

    fn observed(&self, record: &Record, memory: &Memory) -> Observed {
        let seen = if self.mistake == Mistake::TrustsTheRecord && record.launched.is_none() { 0 } else { self.processes };
        let process = match (&memory.heard, seen) {
            (Some(End::Lost(_)), 1..) if self.mistake != Mistake::KeepsTheLost => Process::Lost,
            (_, 1..) => Process::Running,
            (Some(end), 0) => Process::Ended(end.clone()),
            (None, 0) => Process::None,
        };
        let whole = if self.mistake == Mistake::TakesHalfForWhole { self.traces.clone() } else { self.whole.clone() };
        let (traces, trouble) = (self.traces.clone(), record.trouble.clone());
        Observed { whole, traces, process, launched: record.launched, asked: memory.asked, trouble }
    }
}

impl World for Host {
    type Actor = ();
    type Memory = Memory;
    type Step = Step;
    type Event = Event;

    fn actors(&self) -> Vec<()> {
        vec![()]
    }

    fn plan(&self, (): (), memory: &mut Memory, _: usize) -> Plan<Step> {
        // Who watches hears of the end.
        if memory.watches && self.processes == 0 && memory.heard.is_none() {
            memory.heard = Some(End::Died("killed".into()));
        }
        // A lost guest is found out by who comes later, too.
        if self.processes > 0 && self.lost {
            memory.heard = Some(End::Lost("panicked".into()));
        }
        let Some(record) = &self.record else { return Plan::settled() };
        let mut plan = Life::plan(&Self::wish(record), &self.observed(record, memory), self.now);
        if self.mistake == Mistake::ForgetsFirst {
            plan.steps.sort_by_key(|step| *step != Step::Forget);
        }
        plan
    }

    fn apply(&mut self, (): (), memory: &mut Memory, step: &Step) -> Outcome {
        let now = self.now;
        // A step after the record is gone is one of an old plan, and finds its names no more.
        if self.record.is_none() {
            return Outcome::Gone;
        }
        match step {
            Step::Make(part) => {
                self.traces.insert(*part);
                self.whole.insert(*part);
            }
            Step::Unmake(part) => {
                self.traces.remove(part);
                self.whole.remove(part);
            }
            Step::Launch => {
                self.early |= !PARTS.iter().all(|part| self.whole.contains(part));
                // The driver finds a process with this mark and starts no second one; who does not look starts one.
                self.lost &= self.processes > 0;
                self.processes = if self.mistake == Mistake::TrustsTheRecord { self.processes + 1 } else { 1 };
                memory.heard = None;
            }
            Step::Kill => (self.processes, self.lost) = (0, false),
            Step::Shutdown => memory.asked = Some(now),
            Step::Forget => self.record = None,
            Step::Adopt => {
                if let Some(record) = &mut self.record {
                    record.launched = Some(now);
                }
                (memory.watches, memory.heard) = (true, None);
            }
            Step::Bury(end) => {
                if let Some(record) = &mut self.record
                    && let Some(launched) = record.launched.take()
                {
                    record.trouble = record.trouble.buried(end.as_ref(), launched, now);
                }
                (memory.watches, memory.heard) = (false, None);
            }
        }
        Outcome::Done
    }

    fn events(&self) -> Vec<Event> {
        Vec::new()
    }

    fn faults(&self) -> Vec<Event> {
        let mut faults = vec![Event::Delete];
        if self.processes > 0 {
            faults.extend([Event::Dies, Event::ShutsDown]);
        }
        if self.processes > 0 && !self.lost {
            faults.push(Event::IsLost);
        }
        if self.record.as_ref().is_some_and(|record| !record.gone) {
            faults.extend(PARTS.iter().filter(|part| !self.traces.contains(part)).map(|part| Event::HalfMade(*part)));
        }
        faults
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Delete => {
                if let Some(record) = &mut self.record {
                    record.gone = true;
                }
            }
            Event::Dies | Event::ShutsDown => {
                self.processes = self.processes.saturating_sub(1);
                self.lost &= self.processes > 0;
            }
            Event::IsLost => self.lost = true,
            Event::HalfMade(part) => {
                self.traces.insert(*part);
            }
        }
    }

    fn wait_until(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }

    fn check(&self) -> Result<(), String> {
        if self.processes > 1 {
            return Err("two processes of one microVM".into());
        }
        if self.early {
            return Err("launched before all it needs was there".into());
        }
        if self.record.is_none() && (self.processes > 0 || !self.traces.is_empty()) {
            return Err(format!("forgotten, but there are {} processes and {:?}", self.processes, self.traces));
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        let Some(record) = &self.record else { return Ok(()) };
        if record.gone {
            return Err("deleted, but still there".into());
        }
        if self.lost {
            return Err("its guest is lost, and nobody minds".into());
        }
        let told = state(&Self::wish(record), &self.observed(record, &Memory::default()));
        if told == State::Created { Ok(()) } else { Err(format!("wanted, but {told:?}")) }
    }
}

fn limits(faults: u8) -> Limits {
    Limits { faults, states: 500_000, rounds: 40 }
}

#[test]
fn whatever_happens_a_wanted_microvm_runs_once_and_a_deleted_one_leaves_nothing() {
    let explored = explore(Host::new(Mistake::None), limits(3)).unwrap_or_else(|broken| panic!("{broken}"));
    println!("{explored}");
    assert!(explored.states > 200, "{explored}");
}

#[test]
fn planted_mistakes_are_found() {
    for (mistake, found) in [
        (Mistake::TrustsTheRecord, Broken::Check),
        (Mistake::ForgetsFirst, Broken::Check),
        (Mistake::TakesHalfForWhole, Broken::Check),
        (Mistake::KeepsTheLost, Broken::Goal),
    ] {
        let broken = explore(Host::new(mistake), limits(2)).expect_err("a mistake");
        println!("{mistake:?}: {broken}");
        assert_eq!(broken.broken, found, "{mistake:?}: {broken}");
    }
}

#[test]
fn a_good_spell_wipes_the_slate() {
    let start = Timestamp::UNIX_EPOCH;
    let failed = Trouble::default().failed("once", start).failed("twice", start);
    let died = End::Died("killed".into());
    assert_eq!(failed.buried(Some(&died), start, start).failures, 3);
    assert_eq!(failed.buried(Some(&died), start, start + GOOD_SPELL).failures, 1);
    assert_eq!(failed.buried(Some(&End::Rebooted), start, start).failures, 2);
    assert!(failed.buried(Some(&End::PoweredOff), start, start).hopeless);
    // A boot that hangs takes its time.
    let lost = End::Lost("its guest's kernel panicked".into());
    assert_eq!(failed.buried(Some(&lost), start, start + GOOD_SPELL), failed.failed("its guest's kernel panicked", start + GOOD_SPELL));
    assert_eq!(failed.buried(Some(&lost), start, start + GOOD_BOOT).failures, 1);
}
