//! Every history of preparing and restoring a small machine: crashes at each step, torn writes, lost replies, and a restore at any time.

use std::collections::BTreeMap;

use capstead_reconcile::Outcome;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::explore::Broken;
use capstead_reconcile::explore::Limits;
use capstead_reconcile::explore::World;
use capstead_reconcile::explore::explore;

use super::*;

/// A mistake that the explorer must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mistake {
    None,
    /// A change is written down after it was made.
    RecordsLate,
    /// A unit runs on while its files change.
    StopsNothing,
    /// The journal goes before all is as it was.
    ForgetsFirst,
    /// What a torn write left is taken for what was there.
    TrustsTorn,
}

/// A machine with a unit of somebody else's that runs already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Small {
    mistake: Mistake,
    may_restore: bool,
    restoring: bool,
    first: BTreeMap<Key, State>,
    states: BTreeMap<Key, State>,
    journal: Vec<Entry>,
    /// What units that run read when they started.
    read: BTreeMap<Key, Vec<State>>,
    /// How often the power went: it ends our process, too.
    outages: u8,
}

#[derive(Clone, Debug)]
enum Event {
    /// The user gives it up.
    Restore,
    /// The power went while this was written.
    Torn(Key),
}

fn folder() -> Key {
    Key::Folder("/x".into())
}

fn goals() -> Vec<Goal> {
    vec![
        goal(user(), State::Present, &[]),
        goal(folder(), State::Present, &[]),
        goal(file("/x/conf"), State::text("own"), &[]),
        goal(file("/drop-in"), State::text("own"), &[]),
        goal(Key::Sysctl("s".into()), State::Value("1".into()), &[]),
        goal(unit("own"), RUNS, &[file("/x/conf"), user()]),
        goal(unit("child"), RUNS, &[unit("own")]),
        goal(unit("theirs"), RUNS, &[file("/drop-in")]),
    ]
}

impl Small {
    fn new(mistake: Mistake, may_restore: bool) -> Self {
        let first: BTreeMap<Key, State> = [
            (user(), State::Absent),
            (folder(), State::Absent),
            (file("/x/conf"), State::Absent),
            (file("/drop-in"), State::text("theirs")),
            (Key::Sysctl("s".into()), State::Value("0".into())),
            (unit("own"), IDLE),
            (unit("child"), IDLE),
            (unit("theirs"), RUNS),
        ]
        .into();
        let read = [(unit("theirs"), vec![State::text("theirs")])].into();
        Self { mistake, may_restore, restoring: false, states: first.clone(), first, journal: Vec::new(), read, outages: 0 }
    }

    fn grounds(&self, key: &Key) -> Vec<State> {
        let rests = goals().into_iter().find(|goal| goal.key == *key).map(|goal| goal.rests).unwrap_or_default();
        rests.iter().filter(|key| matches!(key, Key::File(_) | Key::User(_))).map(|key| self.states[key].clone()).collect()
    }

    fn active(&self, key: &Key) -> bool {
        matches!(self.states[key], State::Unit { active: true, .. })
    }

    fn set(&mut self, key: &Key, state: &State) -> Outcome {
        match (key, state) {
            // As userdel does.
            (Key::User(_), State::Absent) if self.active(&unit("own")) => return Outcome::terminal("it is used"),
            (Key::Folder(_), State::Absent) if self.states[&file("/x/conf")] != State::Absent => return Outcome::Done,
            (Key::File(path), state) if path.starts_with("/x/") && self.states[&folder()] == State::Absent && *state != State::Absent => {
                return Outcome::terminal("no such folder");
            }
            (Key::Unit(name), State::Unit { active: true, .. }) => {
                if name == "child" && !self.active(&unit("own")) {
                    return Outcome::terminal("what it needs does not run");
                }
                if !self.active(key) {
                    self.read.insert(key.clone(), self.grounds(key));
                }
            }
            (Key::Unit(name), State::Unit { active: false, .. }) => {
                self.read.remove(key);
                // As systemd does with Requires=.
                if name == "own"
                    && let Some(State::Unit { active, .. }) = self.states.get_mut(&unit("child"))
                {
                    *active = false;
                    self.read.remove(&unit("child"));
                }
            }
            _ => (),
        }
        self.states.insert(key.clone(), state.clone());
        Outcome::Done
    }

    fn mistaken(&self, mut steps: Vec<Step>) -> Vec<Step> {
        match self.mistake {
            Mistake::None | Mistake::TrustsTorn => (),
            Mistake::RecordsLate => {
                for n in 1..steps.len() {
                    if matches!(steps[n - 1], Step::Record(_)) {
                        steps.swap(n - 1, n);
                    }
                }
            }
            Mistake::StopsNothing => steps.retain(|step| !matches!(step, Step::Set(Key::Unit(_), state) if *state == STOPPED)),
            Mistake::ForgetsFirst => {
                if self.restoring && !steps.is_empty() {
                    steps.insert(0, Step::Forget);
                }
            }
        }
        steps
    }
}

impl World for Small {
    type Actor = ();
    /// What the running process was started for, and since when it runs.
    type Memory = (bool, u8);
    type Step = Step;
    type Event = Event;

    fn actors(&self) -> Vec<()> {
        vec![()]
    }

    fn plan(&self, (): (), memory: &mut (bool, u8), _: usize) -> Plan<Step> {
        *memory = (self.restoring, self.outages);
        let mut now = Situation { states: self.states.clone(), journal: self.journal.clone(), guard: Guard::Idle };
        if self.mistake == Mistake::TrustsTorn {
            now.states.values_mut().for_each(|state| *state = state.whole().clone());
        }
        let plan = if self.restoring {
            Restore::plan(&(), &now, Timestamp::UNIX_EPOCH)
        } else {
            Prepare::plan(&goals(), &now, Timestamp::UNIX_EPOCH)
        };
        Plan { steps: self.mistaken(plan.steps), ..plan }
    }

    fn apply(&mut self, (): (), memory: &mut (bool, u8), step: &Step) -> Outcome {
        if *memory != (self.restoring, self.outages) {
            return Outcome::Gone;
        }
        match step {
            Step::Record(entry) => {
                if !self.journal.contains(entry) {
                    self.journal.push(entry.clone());
                }
                Outcome::Done
            }
            Step::Set(key, state) => self.set(key, state),
            Step::Forget => {
                self.journal.clear();
                Outcome::Done
            }
            Step::Try(_) | Step::Confirm => Outcome::terminal("there is no uplink here"),
        }
    }

    fn events(&self) -> Vec<Event> {
        if self.may_restore && !self.restoring { vec![Event::Restore] } else { Vec::new() }
    }

    fn faults(&self) -> Vec<Event> {
        let recorded = self.journal.iter().filter(|entry| matches!(entry.key, Key::File(_)));
        recorded.filter(|entry| !matches!(self.states[&entry.key], State::Torn(_))).map(|entry| Event::Torn(entry.key.clone())).collect()
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Restore => self.restoring = true,
            Event::Torn(key) => {
                self.outages += 1;
                let below = self.states[key].clone();
                self.states.insert(key.clone(), State::Torn(Box::new(below)));
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        for (key, state) in &self.states {
            let recorded = self.journal.iter().find(|entry| entry.key == *key);
            match recorded {
                None if *state != self.first[key] => return Err(format!("{key:?} is changed, and not recorded")),
                Some(entry) if entry.before != self.first[key] => return Err(format!("{key:?} was never {:?}", entry.before)),
                _ => (),
            }
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        if self.restoring {
            if self.states != self.first || !self.journal.is_empty() {
                return Err(format!("it was {:?}, and is {:?}", self.first, self.states));
            }
        } else if let Some(goal) = goals().into_iter().find(|goal| self.states[&goal.key] != goal.state) {
            return Err(format!("{:?} is {:?}", goal.key, self.states[&goal.key]));
        }
        for (key, read) in &self.read {
            if *read != self.grounds(key) {
                return Err(format!("{key:?} runs with what it read before it changed"));
            }
        }
        Ok(())
    }
}

const LIMITS: Limits = Limits { faults: 2, states: 400_000, rounds: 20 };

#[test]
fn prepare_ends_prepared_and_a_second_run_changes_nothing_whatever_happens() {
    explore(Small::new(Mistake::None, false), LIMITS).unwrap();
}

#[test]
fn restore_leads_back_from_wherever_prepare_got_to() {
    explore(Small::new(Mistake::None, true), LIMITS).unwrap();
}

#[test]
fn each_mistake_is_found() {
    let found = |mistake, may_restore| explore(Small::new(mistake, may_restore), LIMITS).unwrap_err().broken;
    assert_eq!(found(Mistake::RecordsLate, true), Broken::Check);
    assert_eq!(found(Mistake::StopsNothing, false), Broken::Goal);
    assert!(matches!(found(Mistake::ForgetsFirst, true), Broken::Check | Broken::Goal));
    assert!(matches!(found(Mistake::TrustsTorn, true), Broken::Goal | Broken::Check));
}
