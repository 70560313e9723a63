//! The uplink joins a bridge: nobody is locked out, whatever happens.

use capstead_reconcile::Outcome;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::explore::Broken;
use capstead_reconcile::explore::Limits;
use capstead_reconcile::explore::World;
use capstead_reconcile::explore::explore;

use super::super::super::state::Uplink;
use super::*;

fn key() -> Key {
    Key::Uplink(Uplink { link: "eth0".into(), bridge: "br0".into(), files: Vec::new() })
}

fn goals() -> Vec<Goal> {
    vec![goal(key(), State::Present, &[]), goal(file("/etc/join"), State::text("join"), &[])]
}

/// A machine at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Far {
    /// Joining the bridge cuts it.
    cuts: bool,
    /// The plan leaves the guard out.
    unguarded: bool,
    restoring: bool,
    joined: bool,
    stored: bool,
    guard: Guard,
    journal: Vec<Entry>,
}

#[derive(Clone, Debug)]
enum Event {
    /// A minute passed.
    Timer,
    /// Somebody switches the machine off and on: what was not stored is gone, the timer too.
    Reboot,
    Restore,
}

impl Far {
    fn new(cuts: bool) -> Self {
        Self { cuts, unguarded: false, restoring: false, joined: false, stored: false, guard: Guard::Idle, journal: Vec::new() }
    }

    fn reached(&self) -> bool {
        !(self.cuts && self.joined)
    }

    fn situation(&self) -> Situation {
        let joined = if self.joined { State::Present } else { State::Absent };
        let stored = if self.stored { State::text("join") } else { State::Absent };
        Situation { states: [(key(), joined), (file("/etc/join"), stored)].into(), journal: self.journal.clone(), guard: self.guard }
    }
}

impl World for Far {
    type Actor = ();
    type Memory = bool;
    type Step = Step;
    type Event = Event;

    fn actors(&self) -> Vec<()> {
        vec![()]
    }

    fn plan(&self, (): (), memory: &mut bool, _: usize) -> Plan<Step> {
        *memory = self.restoring;
        if !self.reached() {
            return Plan::settled();
        }
        let mut plan = if self.restoring {
            Restore::plan(&(), &self.situation(), Timestamp::UNIX_EPOCH)
        } else {
            Prepare::plan(&goals(), &self.situation(), Timestamp::UNIX_EPOCH)
        };
        if self.unguarded {
            plan.steps.retain(|step| *step != Step::Confirm);
            plan.steps.iter_mut().filter(|step| matches!(step, Step::Try(_))).for_each(|step| *step = Step::Set(key(), State::Present));
        }
        plan
    }

    fn apply(&mut self, (): (), memory: &mut bool, step: &Step) -> Outcome {
        if !self.reached() {
            return Outcome::transient("no answer");
        }
        if *memory != self.restoring {
            return Outcome::Gone;
        }
        match step {
            Step::Record(entry) => self.journal.push(entry.clone()),
            Step::Set(Key::Uplink(_), state) => self.joined = *state == State::Present,
            Step::Set(_, state) => self.stored = *state != State::Absent,
            Step::Try(_) => (self.joined, self.guard) = (true, Guard::Armed),
            Step::Confirm if self.guard != Guard::Armed => return Outcome::transient("too late"),
            Step::Confirm => self.guard = Guard::Idle,
            Step::Forget => {
                self.journal.clear();
                self.guard = Guard::Idle;
            }
        }
        Outcome::Done
    }

    fn events(&self) -> Vec<Event> {
        let timer = (self.guard == Guard::Armed).then_some(Event::Timer);
        // Nobody restores what cannot be reached.
        let restore = (!self.restoring && self.reached()).then_some(Event::Restore);
        timer.into_iter().chain(restore).collect()
    }

    fn faults(&self) -> Vec<Event> {
        vec![Event::Reboot]
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Timer => (self.joined, self.guard) = (false, Guard::Fired),
            Event::Reboot => (self.joined, self.guard) = (self.stored, Guard::Idle),
            Event::Restore => self.restoring = true,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.cuts && self.stored { Err("what cuts the connection was made to stay".into()) } else { Ok(()) }
    }

    fn goal(&self) -> Result<(), String> {
        match (self.reached(), self.joined || self.stored || !self.journal.is_empty()) {
            (false, _) => Err("locked out".into()),
            (_, true) => Err("it was not restored".into()),
            _ => Ok(()),
        }
    }
}

const LIMITS: Limits = Limits { faults: 2, states: 200_000, rounds: 20 };

#[test]
fn a_change_that_cuts_the_connection_is_undone() {
    explore(Far::new(true), LIMITS).unwrap();
}

#[test]
fn a_change_that_works_stays_until_it_is_restored() {
    explore(Far::new(false), LIMITS).unwrap();
}

#[test]
fn without_the_guard_somebody_is_locked_out() {
    let found = explore(Far { unguarded: true, ..Far::new(true) }, LIMITS).unwrap_err();
    assert!(matches!(found.broken, Broken::Check | Broken::Goal), "{found}");
}

#[test]
fn it_is_confirmed_before_it_is_stored_and_not_tried_again_once_it_was_undone() {
    let steps = prepare(&goals(), &Far::new(false).situation());
    let at = |wanted: &Step| steps.iter().position(|step| step == wanted).unwrap();
    let (attempt, confirm, store) = (at(&Step::Try(key())), at(&Step::Confirm), at(&Step::Set(file("/etc/join"), State::text("join"))));
    assert!(attempt < confirm && confirm < store, "{steps:?}");

    let fired = Far { guard: Guard::Fired, ..Far::new(false) }.situation();
    let plan = Prepare::plan(&goals(), &fired, Timestamp::UNIX_EPOCH);
    assert!(plan.steps.is_empty());
    assert_eq!(plan.findings[0].reason, "RolledBack");
}
