//! The explorer's own tests: a sound machine life cycle passes, and each kind of bug, planted in it, is found.

use super::*;
use crate::Reconciler;

/// How the planner under test is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bug {
    None,
    CreateBeforeIdentity,
    ReleaseOnStaleListing,
    NotIdempotent,
}

#[derive(Clone, Debug)]
struct Seen {
    deleting: bool,
    finalizer: bool,
    token: Option<u8>,
    /// Machines of our token in the listing.
    machines: usize,
    /// Whether the listing began after our last write.
    fresh: bool,
    counted: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    StoreToken(u8),
    Create(u8),
    Count(u8),
    Destroy(u8),
    Release,
}

/// A machine's life cycle in miniature.
struct Machine;

impl Reconciler for Machine {
    type Wish = Bug;
    type Observed = Seen;
    type Step = Step;

    fn plan(bug: &Bug, seen: &Seen, _now: Timestamp) -> Plan<Step> {
        let plan = Plan::settled();
        let trusted = seen.fresh || *bug == Bug::ReleaseOnStaleListing;
        match (seen.deleting, seen.token) {
            (true, _) if !seen.finalizer => plan,
            (true, None) => plan.then(Step::Release),
            (true, Some(token)) if seen.machines > 0 => plan.then(Step::Destroy(token)),
            (true, Some(_)) if trusted => plan.then(Step::Release),
            (false, None) if *bug == Bug::CreateBeforeIdentity => plan.then(Step::Create(7)).then(Step::StoreToken(7)),
            (false, None) => plan.then(Step::StoreToken(7)).then(Step::Create(7)),
            (false, Some(token)) if seen.machines == 0 && seen.fresh => plan.then(Step::Create(token)),
            (false, Some(_)) if seen.machines > 0 && seen.counted == 0 => plan.then(Step::Count(1)),
            (_, Some(_)) if seen.machines > 0 => plan,
            _ => plan.waiting("a listing", "the one at hand is older than our last write"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cloud {
    bug: Bug,
    deleting: bool,
    finalizer: bool,
    token: Option<u8>,
    /// Machines by token; the provider makes a twin when asked twice, as many do.
    machines: Vec<u8>,
    counted: u8,
}

/// The listing an actor remembers.
type Listing = Option<usize>;

impl World for Cloud {
    type Actor = &'static str;
    type Memory = Listing;
    type Step = Step;
    type Event = &'static str;

    fn actors(&self) -> Vec<&'static str> {
        vec!["machine"]
    }

    fn plan(&self, _: &'static str, listing: &mut Listing, stale: usize) -> Plan<Step> {
        let mine = self.machines.iter().filter(|token| Some(**token) == self.token).count();
        let seen = Seen {
            deleting: self.deleting,
            finalizer: self.finalizer,
            token: self.token,
            machines: if stale == 1 { listing.unwrap_or(0) } else { mine },
            fresh: stale == 0,
            counted: self.counted,
        };
        *listing = Some(seen.machines);
        Machine::plan(&self.bug, &seen, Timestamp::UNIX_EPOCH)
    }

    fn stale_views(&self, _: &'static str, _: &Listing) -> usize {
        1
    }

    fn apply(&mut self, _: &'static str, _: &mut Listing, step: &Step) -> Outcome {
        match step {
            Step::StoreToken(token) => self.token = Some(*token),
            Step::Create(token) => self.machines.push(*token),
            Step::Count(n) if self.bug == Bug::NotIdempotent => self.counted += n,
            Step::Count(n) => self.counted = *n,
            Step::Destroy(token) => self.machines.retain(|other| other != token),
            Step::Release => self.finalizer = false,
        }
        Outcome::Done
    }

    fn events(&self) -> Vec<&'static str> {
        if self.deleting { vec![] } else { vec!["the user deletes it"] }
    }

    fn happen(&mut self, _: &&'static str) {
        self.deleting = true;
    }

    fn check(&self) -> Result<(), String> {
        match (self.machines.len(), self.finalizer, self.counted) {
            (2.., _, _) => Err("two machines for one object".into()),
            (1.., false, _) => Err("a machine is left behind".into()),
            (_, _, 2..) => Err("counted twice".into()),
            _ => Ok(()),
        }
    }

    fn goal(&self) -> Result<(), String> {
        if self.finalizer { Err("deleted, but still held".into()) } else { Ok(()) }
    }
}

fn cloud(bug: Bug) -> Cloud {
    Cloud { bug, deleting: false, finalizer: true, token: None, machines: Vec::new(), counted: 0 }
}

fn found(world: impl World, broken: Broken, why: &str) -> Counterexample {
    let found = explore(world, Limits::default()).expect_err("the planted bug is found");
    assert_eq!((found.broken, found.why.as_str()), (broken, why), "{found}");
    *found
}

#[test]
fn a_sound_life_cycle_passes() {
    let explored = explore(cloud(Bug::None), Limits { faults: 3, ..Limits::default() }).expect("sound");
    println!("machine in miniature, 3 faults: {explored}");
    assert!(explored.states > 50, "{explored}");
}

#[test]
fn finds_a_create_before_its_identity_is_stored() {
    let found = found(cloud(Bug::CreateBeforeIdentity), Broken::Check, "two machines for one object");
    assert!(!found.history.iter().any(|line| line.contains("the call fails")), "the shortest history has no needless fault: {found}");
    assert_eq!(found.history.first().map(String::as_str), Some("\"machine\" looks"));
}

#[test]
fn finds_a_release_on_a_stale_listing() {
    let found = found(cloud(Bug::ReleaseOnStaleListing), Broken::Check, "a machine is left behind");
    assert!(found.history.iter().any(|line| line.contains("stale view 1")), "{found}");
}

/// A step that is not idempotent, under a planner that cannot see whether it was done before a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tally {
    total: u8,
    absolute: bool,
    stored: bool,
}

impl World for Tally {
    type Actor = &'static str;
    type Memory = ();
    type Step = &'static str;
    type Event = ();

    fn actors(&self) -> Vec<&'static str> {
        vec!["tally"]
    }

    fn plan(&self, _: &'static str, (): &mut (), _: usize) -> Plan<&'static str> {
        if self.stored { Plan::settled() } else { Plan::settled().then("add one").then("store that it was added") }
    }

    fn apply(&mut self, _: &'static str, (): &mut (), step: &&'static str) -> Outcome {
        match *step {
            "add one" if self.absolute => self.total = 1,
            "add one" => self.total += 1,
            _ => self.stored = true,
        }
        Outcome::Done
    }

    fn check(&self) -> Result<(), String> {
        if self.total > 1 { Err("added twice".into()) } else { Ok(()) }
    }

    fn goal(&self) -> Result<(), String> {
        if self.total == 1 { Ok(()) } else { Err("not added".into()) }
    }
}

#[test]
fn finds_a_step_that_is_not_idempotent() {
    let sound = Tally { total: 0, absolute: true, stored: false };
    explore(sound.clone(), Limits::default()).expect("the same planner with an idempotent step is sound");
    found(Tally { absolute: false, ..sound }, Broken::Check, "added twice");
    // The same in a life cycle whose planner can see the effect: there the step need not be idempotent.
    explore(cloud(Bug::NotIdempotent), Limits::default()).expect("seen effects are not repeated");
}

/// Two planners with different wishes for one field, or the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shared {
    value: u8,
    wishes: [u8; 2],
}

impl World for Shared {
    type Actor = usize;
    type Memory = ();
    type Step = u8;
    type Event = ();

    fn actors(&self) -> Vec<usize> {
        vec![0, 1]
    }

    fn process(&self, actor: usize) -> usize {
        actor
    }

    fn plan(&self, actor: usize, (): &mut (), _: usize) -> Plan<u8> {
        let wish = self.wishes[actor];
        if self.value == wish { Plan::settled() } else { Plan::settled().then(wish) }
    }

    fn apply(&mut self, _: usize, (): &mut (), step: &u8) -> Outcome {
        self.value = *step;
        Outcome::Done
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn finds_two_planners_that_undo_each_other() {
    explore(Shared { value: 0, wishes: [1, 1] }, Limits::default()).expect("two of one mind are sound");
    let found = found(Shared { value: 0, wishes: [1, 2] }, Broken::Cycle, "the same state comes round again: it never rests");
    let tail: Vec<_> = found.history.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(tail, ["1 does 2", "0 does 1"], "{found}");
}

/// A planner that waits for a time, in a world whose clock moves only when nothing else can.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alarm {
    rings: bool,
    clock: i64,
}

impl World for Alarm {
    type Actor = ();
    type Memory = ();
    type Step = ();
    type Event = ();

    fn actors(&self) -> Vec<()> {
        vec![()]
    }

    fn plan(&self, (): (), (): &mut (), _: usize) -> Plan<()> {
        let due = Timestamp::from_second(60).expect("in range");
        match (self.rings, self.clock >= 60) {
            (true, _) => Plan::settled(),
            (false, true) => Plan::settled().then(()),
            (false, false) => Plan::settled().waiting("the clock", "it is not time").look_at(due),
        }
    }

    fn apply(&mut self, (): (), (): &mut (), (): &()) -> Outcome {
        self.rings = true;
        Outcome::Done
    }

    fn wait_until(&mut self, at: Timestamp) {
        self.clock = at.as_second();
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        if self.rings { Ok(()) } else { Err("never rang".into()) }
    }
}

#[test]
fn time_passes_when_a_plan_waits_for_it() {
    explore(Alarm { rings: false, clock: 0 }, Limits::default()).expect("rings");
}

#[test]
fn giving_up_is_a_failure() {
    let found = explore(cloud(Bug::None), Limits { states: 3, ..Limits::default() }).expect_err("too small");
    assert_eq!(found.broken, Broken::Limit);
}
