//! The world: an API server, hosts of microVMs, and one process of ours with its queue, its memory and a cache per host.
//!
//! Passes are begun by the queue only, as in `capstead_provider`'s keeper, and a watch of a host sleeps until its time or a notice. The nets below them
//! (a look every minute for one that is under way, the periodic resync) are left out: a wake-up that is forgotten shows as a world that rests wrongly.
//!
//! It is always [`NOW`]: when time passes, every time known moves into the past. See [`clock`](super::clock).

mod process;

use std::collections::BTreeSet;
use std::time::Duration;

use capstead_capi::lifecycle::{Failure, Object, Referred, Step as Life};
use capstead_capi::machine::{Bootstrap, Cluster, Lifecycle, MachineProvider, Observed as Whole, Owner, Status, Subject};
use capstead_capi::ownership::{Claim, Grounds};
use capstead_capi::types::ProviderId;
use capstead_engine::Name;
use capstead_reconcile::explore::World;
use capstead_reconcile::{Again, Backoff, Ended, Look, Outcome, Pass, Plan, Reconciler, Report, Timestamp};

use super::clock::{FAR, NOW, after};
use crate::hosts::cache::{Cache, Errand, Got, Held, Own};
use crate::machine::{self, Microvm, Microvms, Observed, State, provider_id};
use crate::spec;

pub(super) type Step = Life<machine::Step, ProviderId, Status>;

/// Another management cluster's.
const FOREIGN: u8 = 99;
/// The keeper's waits: after a conflict, and (its first) after a failure.
const CONFLICT: Duration = Duration::from_millis(500);
const TRY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bug {
    None,
    /// A listing counts from when it ended.
    ListingDatedByItsEnd,
    /// Whoever a listing concerns is not woken.
    ListingWakesNobody,
    /// Whoever a look at one microVM concerns is not woken.
    GetWakesNobody,
    /// A watch that sleeps hears of nobody who waits.
    NoNotice,
    /// The keeper takes any look, although it waits for a newer one.
    AnyLook,
    /// Any look is grounds enough.
    NoGrounds,
    /// Makes before the claim is stored.
    MakeBeforeClaim,
    /// Forgets that what an earlier process sent may still land.
    ForgetsThePast,
}

/// What a world has beyond crashes, calls that fail and replies that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Has {
    pub bug: Bug,
    pub objects: usize,
    pub hosts: usize,
    /// Another management cluster's microVM of the first object's name, on its host.
    pub foreign: bool,
    /// Creates and deletes take time on the host.
    pub gradual: bool,
    /// The first object is deleted, at any point.
    pub deleted: bool,
    /// And made again under its name.
    pub again: bool,
    /// A create may land late, or never.
    pub late: bool,
    /// Somebody else writes an object once.
    pub conflict: bool,
    /// The first host goes down, and comes back.
    pub down: bool,
    /// The first host is down for good, from any point on, and a person then forces.
    pub lost: bool,
    /// MicroVMs vanish.
    pub vanish: bool,
}

pub(super) const PLAIN: Has = Has {
    bug: Bug::None,
    objects: 1,
    hosts: 1,
    foreign: false,
    gradual: false,
    deleted: false,
    again: false,
    late: false,
    conflict: false,
    down: false,
    lost: false,
    vanish: false,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Vm {
    uid: u8,
    token: u8,
    n: usize,
    state: State,
}

/// A create on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    n: usize,
    token: u8,
    pub deadline: Timestamp,
}

/// A call of the host's watch; `shown` is what the host answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    List { namespaces: BTreeSet<String>, began: Timestamp, shown: Option<Result<Vec<(Name, Held)>, String>> },
    Get(Vec<Get>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Get {
    name: Name,
    /// All of that name, when `None`.
    uid: Option<String>,
    pub began: Timestamp,
    shown: Option<Shown>,
}

/// What a host answered to a look at one machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shown {
    Got(String, Got),
    Found(Option<Vec<Held>>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host {
    up: bool,
    vms: Vec<Vm>,
    pub flying: Vec<Flight>,
    pub cache: Cache,
    /// The watch sleeps until then.
    pub sleep: Option<Option<Timestamp>>,
    pub call: Option<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Api {
    uid: u8,
    deleting: bool,
    finalizer: bool,
    forced: bool,
    touched: bool,
    /// Token and host.
    claim: Option<(u8, usize)>,
    provider_id: Option<ProviderId>,
    status: Status,
    current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Known {
    uid: u8,
    pub grounds: Grounds,
    failure: Option<Failure>,
    pub again: Option<Again>,
}

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Running {
    /// The object as the pass last knew it.
    base: Api,
    pub known: Known,
    pass: Pass<Step>,
    pub again: Option<Again>,
    /// What a host answered, while it is on its way here.
    pub reply: Option<Reply>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reply {
    host: usize,
    pub began: Timestamp,
    says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Says {
    Created(Held),
    Deleting(String),
    NotFound(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    api: Option<Api>,
    /// What the process's watch has seen, and its own writes.
    store: Option<Api>,
    pub known: Option<Known>,
    /// When the next pass is due.
    pub queue: Option<Timestamp>,
    pub running: Option<Running>,
    incarnation: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lab {
    pub has: Has,
    pub slots: Vec<Slot>,
    pub hosts: Vec<Host>,
    /// When this process began.
    pub since: Timestamp,
    next: u8,
    let_go: bool,
    renamed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    PassBegins(usize),
    /// The next step: a write is answered at once, a host's answer is on its way.
    Step(usize),
    Answer(usize),
    WatchTells(usize),
    CallBegins(usize),
    HostShows(usize, usize),
    CallEnds(usize, usize),
    HostWorks(usize, u8),
    CreateLands(usize),
    CreateIsLost(usize),
    HostReturns(usize),
    UserDeletes(usize),
    UserMakesAgain(usize),
    UserForces(usize),
    TimePasses,
    // Faults.
    StepFails(usize),
    ReplyIsLost(usize),
    CrashAfterStep(usize),
    CreateIsSlow(usize),
    Crash,
    CallFails(usize),
    HostGoesDown(usize),
    Vanishes(usize, u8),
    SomebodyWrites(usize),
}

pub(super) fn lab(has: Has) -> Lab {
    let api = Api {
        uid: 1,
        deleting: false,
        finalizer: false,
        forced: false,
        touched: false,
        claim: None,
        provider_id: None,
        status: Status::default(),
        current: true,
    };
    let slot = |n: u8| {
        let api = Some(Api { uid: 10 * n + 1, ..api.clone() });
        Slot { store: api.clone(), api, known: None, queue: Some(NOW), running: None, incarnation: 0 }
    };
    let slots = (0..).take(has.objects).map(slot).collect();
    let host = Host { up: true, vms: Vec::new(), flying: Vec::new(), cache: Cache::default(), sleep: None, call: None };
    let mut lab = Lab { has, slots, hosts: vec![host; has.hosts], since: FAR, next: 1, let_go: false, renamed: false };
    if has.foreign {
        let home = lab.home(0);
        lab.hosts[home].vms.push(Vm { uid: FOREIGN, token: FOREIGN, n: 0, state: State::Created });
    }
    lab.crash();
    lab.since = FAR;
    lab.settled()
}

fn name(n: usize) -> Name {
    // Two namespaces, for a listing covers some only; and names that are placed on two hosts, if there are two.
    let [namespace, name] = [["team-a", "m0"], ["team-b", "w1"]][n];
    Name::new(namespace, name)
}

fn index(name: &Name) -> usize {
    name.name[1..].parse().expect("a number")
}

fn address(host: usize) -> String {
    format!("h{host}:1")
}

fn number(text: &str) -> u8 {
    text.trim_start_matches(|c: char| !c.is_ascii_digit()).split(':').next().and_then(|text| text.parse().ok()).expect("a number")
}

fn uid(number: u8) -> String {
    format!("v{number}")
}

fn microvm(vm: &Vm) -> Microvm {
    Microvm { uid: uid(vm.uid), state: vm.state, addresses: Vec::new(), cause: String::new() }
}

fn held(vm: &Vm) -> Held {
    Held { token: spec::token(&format!("u{}", vm.token)), microvm: microvm(vm) }
}

impl World for Lab {
    /// Nobody: passes are moves of the world, for only the queue begins them.
    type Actor = usize;
    type Memory = ();
    type Step = ();
    type Event = Event;

    fn actors(&self) -> Vec<usize> {
        Vec::new()
    }

    fn plan(&self, _: usize, (): &mut (), _: usize) -> Plan<()> {
        Plan::settled()
    }

    fn apply(&mut self, _: usize, (): &mut (), (): &()) -> Outcome {
        Outcome::Done
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (n, slot) in self.slots.iter().enumerate() {
            match &slot.running {
                Some(Running { reply: Some(_), .. }) => events.push(Event::Answer(n)),
                Some(_) => events.push(Event::Step(n)),
                None if slot.queue.is_some_and(|at| at <= NOW) => events.push(Event::PassBegins(n)),
                None => (),
            }
            if slot.store != slot.api {
                events.push(Event::WatchTells(n));
            }
            match &slot.api {
                Some(api) if self.has.deleted && n == 0 && !api.deleting && slot.incarnation == 0 => events.push(Event::UserDeletes(n)),
                Some(api) if self.has.lost && api.deleting && !api.forced => events.push(Event::UserForces(n)),
                None if self.has.again && n == 0 && slot.incarnation == 0 => events.push(Event::UserMakesAgain(n)),
                _ => (),
            }
        }
        for (h, host) in self.hosts.iter().enumerate() {
            match &host.call {
                None if self.awake(h) && !matches!(self.errand(h, NOW), Errand::Rest(_)) => events.push(Event::CallBegins(h)),
                None => (),
                Some(Call::List { shown: None, .. }) => events.push(Event::HostShows(h, 0)),
                Some(Call::List { .. }) => events.push(Event::CallEnds(h, 0)),
                Some(Call::Get(gets)) => events.extend(gets.iter().enumerate().map(|(i, get)| match get.shown {
                    None => Event::HostShows(h, i),
                    Some(_) => Event::CallEnds(h, i),
                })),
            }
            let works = |vm: &&Vm| host.up && matches!(vm.state, State::Pending | State::Deleting);
            events.extend(host.vms.iter().filter(works).map(|vm| Event::HostWorks(h, vm.uid)));
            if !host.flying.is_empty() {
                events.extend([Event::CreateLands(h), Event::CreateIsLost(h)]);
            }
            if !host.up && !self.has.lost {
                events.push(Event::HostReturns(h));
            }
        }
        if self.due().is_some() {
            events.push(Event::TimePasses);
        }
        events
    }

    fn faults(&self) -> Vec<Event> {
        let mut faults = vec![Event::Crash];
        for (n, slot) in self.slots.iter().enumerate() {
            if slot.running.as_ref().is_some_and(|running| running.reply.is_some()) {
                faults.push(Event::ReplyIsLost(n));
            }
            match self.next_step(n) {
                None => (),
                Some(Step::Make(_)) if self.has.late => faults.extend([Event::StepFails(n), Event::CreateIsSlow(n)]),
                Some(Step::Make(_) | Step::Change(_)) => faults.push(Event::StepFails(n)),
                Some(_) => faults.extend([Event::StepFails(n), Event::ReplyIsLost(n), Event::CrashAfterStep(n)]),
            }
            if self.has.conflict && slot.api.as_ref().is_some_and(|api| !api.touched) {
                faults.push(Event::SomebodyWrites(n));
            }
        }
        for (h, host) in self.hosts.iter().enumerate() {
            if host.call.is_some() {
                faults.push(Event::CallFails(h));
            }
            if h == 0 && host.up && (self.has.down || self.has.lost) {
                faults.push(Event::HostGoesDown(h));
            }
            if self.has.vanish {
                faults.extend(host.vms.iter().filter(|vm| vm.token != FOREIGN).map(|vm| Event::Vanishes(h, vm.uid)));
            }
        }
        faults
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::PassBegins(n) => {
                if self.slots[n].running.is_none() && self.slots[n].queue.is_some_and(|at| at <= NOW) {
                    self.begin(n);
                }
            }
            Event::Step(n) => self.step(n, true),
            Event::Answer(n) => self.answer(n),
            Event::StepFails(n) => self.misses(n, false),
            Event::CreateIsSlow(n) => self.misses(n, true),
            Event::ReplyIsLost(n) if self.slots[n].running.as_ref().is_some_and(|running| running.reply.is_some()) => self.unheard(n),
            Event::ReplyIsLost(n) => self.step(n, false),
            Event::CrashAfterStep(n) => {
                self.step(n, true);
                self.crash();
            }
            Event::Crash => self.crash(),
            Event::WatchTells(n) => {
                let slot = &mut self.slots[n];
                if slot.store != slot.api {
                    slot.store.clone_from(&slot.api);
                    self.wake(n, NOW);
                }
            }
            Event::CallBegins(h) => self.call(h),
            Event::HostShows(h, i) => self.show(h, i, false),
            Event::CallFails(h) => self.show(h, 0, true),
            Event::CallEnds(h, i) => self.end(h, i),
            Event::HostWorks(h, uid) => self.hosts[h].vms.retain_mut(|vm| match vm.state {
                State::Pending if vm.uid == uid => {
                    vm.state = State::Created;
                    true
                }
                State::Deleting => vm.uid != uid,
                _ => true,
            }),
            Event::CreateLands(h) => {
                if let Some(Flight { n, token, .. }) = self.hosts[h].flying.pop() {
                    self.create(h, n, token);
                }
            }
            Event::CreateIsLost(h) => drop(self.hosts[h].flying.pop()),
            Event::HostReturns(h) => self.hosts[h].up = true,
            Event::HostGoesDown(h) => self.hosts[h].up = false,
            Event::Vanishes(h, uid) => self.hosts[h].vms.retain(|vm| vm.uid != uid),
            Event::TimePasses => {
                if let Some(due) = self.due() {
                    self.pass_to(due);
                }
            }
            Event::UserDeletes(n) => {
                let slot = &mut self.slots[n];
                if let Some(api) = &mut slot.api {
                    api.deleting = true;
                    api.current = api.status.conditions.is_empty();
                    slot.api = slot.api.take().filter(|api| api.finalizer);
                }
            }
            Event::UserMakesAgain(n) => {
                let slot = &mut self.slots[n];
                if slot.api.is_none() && slot.incarnation == 0 {
                    slot.api.clone_from(&lab(Has { objects: 1, ..self.has }).slots[0].api);
                    slot.api.iter_mut().for_each(|api| api.uid += 1);
                    slot.incarnation = 1;
                }
            }
            Event::UserForces(n) => self.slots[n].api.iter_mut().for_each(|api| api.forced = true),
            Event::SomebodyWrites(n) => self.slots[n].api.iter_mut().for_each(|api| api.touched = true),
        }
        self.settle();
    }

    fn check(&self) -> Result<(), String> {
        let all: Vec<&Vm> = self.hosts.iter().flat_map(|host| &host.vms).collect();
        if self.has.foreign && !all.iter().any(|vm| vm.token == FOREIGN && vm.state == State::Created) {
            return Err("another's machine was touched".into());
        }
        if self.renamed {
            return Err("a providerID changed".into());
        }
        for vm in all.iter().filter(|vm| vm.token != FOREIGN) {
            if all.iter().filter(|other| other.token == vm.token).count() > 1 {
                return Err("two machines for one object".into());
            }
            match self.slots[vm.n].api.as_ref().filter(|api| api.uid == vm.token) {
                None if !self.let_go => return Err("a machine is left behind".into()),
                Some(Api { provider_id: Some(id), claim: Some((_, host)), .. })
                    if provider_id(&address(*host), &uid(vm.uid)).as_ref() != Some(id) =>
                {
                    return Err("a machine that vanished was made again".into());
                }
                _ => (),
            }
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        // What changes nothing looks like rest.
        if let Some(event) = self.events().first() {
            return Err(format!("{event:?} happens for ever"));
        }
        for (n, slot) in self.slots.iter().enumerate() {
            let Some(api) = &slot.api else {
                if slot.known.is_some() {
                    return Err(format!("object {n} is gone, and not forgotten"));
                }
                if self.has.deleted { continue } else { return Err("an object is gone that nobody deleted".into()) }
            };
            let ready = api.status.conditions.iter().find(|report| report.type_ == "Ready");
            let (reason, message) = ready.map(|report| (report.reason.as_str(), report.message.as_str())).unwrap_or_default();
            let there = self.hosts.iter().flat_map(|host| &host.vms).any(|vm| vm.token == api.uid && vm.state == State::Created);
            let home = api.claim.map_or_else(|| self.home(n), |(_, host)| host);
            let down = !self.hosts[home].up && reason == machine::HOST_UNREACHABLE;
            let whole = there && api.provider_id.is_some() && api.status.provisioned && reason == "Ready" && self.hosts[home].up;
            let told = self.has.vanish && !there && reason == "MachineVanished" && message.contains("not made again");
            if api.deleting || !api.current || !(whole || told || down) {
                return Err(format!("object {n} rests with Ready {reason} {message:?}"));
            }
        }
        let gone = self.slots.iter().all(|slot| slot.api.is_none());
        if gone && self.hosts.iter().any(|host| host.cache.errand(NOW) != Errand::Rest(None)) {
            return Err("a host is asked for objects that are gone".into());
        }
        Ok(())
    }
}
