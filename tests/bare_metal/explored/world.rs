//! The world: an API server, the pool, and one process of ours.

use std::rc::Rc;

use capstead_capi::lifecycle::{Failure, Object, Referred};
use capstead_capi::machine::{Bootstrap, Cluster, Lifecycle, MachineProvider, Observed, Owner, Status, Step};
use capstead_capi::ownership::{Claim, Grounds};
use capstead_capi::types::ProviderId;
use capstead_reconcile::explore::World;
use capstead_reconcile::{Outcome, Plan, Reconciler, Timestamp};

use crate::pool::Pool;
use crate::provider::{Metal, Step as Request};

const NOW: Timestamp = Timestamp::constant(1_000, 0);
/// What was heard is as good as heard then.
const PAST: Timestamp = Timestamp::constant(900, 0);
/// When a look began: after that, or before.
const FRESH: Timestamp = Timestamp::constant(950, 0);
const STALE: Timestamp = Timestamp::constant(850, 0);

const HOSTS: [&str; 2] = ["one", "two"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    None,
    /// The pool does what it is asked, whatever the asker has seen.
    PoolDoesNotCompare,
    /// Any look is good enough, although a request may still land.
    ForgetsWhatMayLand,
}

/// What a world has beyond crashes, failures, lost replies and old looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Has {
    pub bug: Bug,
    pub machines: usize,
    pub hosts: usize,
    /// How many of the machines are deleted, each at any point.
    pub deleted: usize,
    /// The first machine is given another image, at any point.
    pub update: bool,
    /// A host that is asked for may be taken late, or never.
    pub late: bool,
}

pub const PLAIN: Has = Has { bug: Bug::None, machines: 1, hosts: 2, deleted: 0, update: false, late: false };

/// A MetalMachine, as the API server holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Api {
    image: &'static str,
    deleting: bool,
    finalizer: bool,
    claim: Option<Claim>,
    provider_id: Option<ProviderId>,
    status: Rc<Status>,
    current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    api: Option<Api>,
    /// The process's memory.
    grounds: Option<Grounds>,
    failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lab {
    has: Has,
    slots: Vec<Slot>,
    pool: Pool,
    /// The pool before its last change; per machine, whether a look at it may have begun after the last thing heard of.
    before: Option<(Pool, [bool; 2])>,
    slow: bool,
    /// What is on its way to the pool.
    flying: Option<Request>,
    /// What an earlier process sent has landed by now.
    started: bool,
    renamed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    HostFinishes,
    RequestLands,
    RequestIsLost,
    LandingTimePasses,
    UserDeletes(usize),
    UserChangesImage,
    PoolIsSlow,
}

pub fn lab(has: Has) -> Lab {
    let api = Api { image: "v1", deleting: false, finalizer: false, claim: None, provider_id: None, status: Rc::default(), current: true };
    let slot = Slot { api: Some(api), grounds: None, failure: None };
    Lab {
        has,
        slots: vec![slot; has.machines],
        pool: Pool::new(&HOSTS[..has.hosts]),
        before: None,
        slow: false,
        flying: None,
        started: true,
        renamed: false,
    }
}

fn uid(n: usize) -> String {
    format!("uid-{n}")
}

impl Lab {
    fn grounds(&self, n: usize) -> Grounds {
        match self.slots[n].grounds {
            _ if self.has.bug == Bug::ForgetsWhatMayLand => Grounds::After(Timestamp::UNIX_EPOCH),
            Some(grounds) => grounds,
            None if self.started => Grounds::After(PAST),
            None => Grounds::unknown(NOW, Metal::LANDING),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Pool)) {
        let before = self.pool.clone();
        change(&mut self.pool);
        if self.pool != before {
            self.before = Some((before, [true; 2]));
        }
    }

    fn send(&mut self, request: &Request) -> Outcome {
        let mut answer = Ok(());
        let compares = self.has.bug != Bug::PoolDoesNotCompare;
        self.change(|pool| {
            let seen = if compares { request.seen.clone() } else { pool.0[&request.host].clone() };
            answer = pool.request(&request.host, &seen, &request.change);
        });
        if answer.is_ok() { Outcome::Done } else { Outcome::Gone }
    }

    fn make(&mut self, n: usize, request: &Request) -> Outcome {
        let grounds = self.slots[n].grounds.unwrap_or(Grounds::After(PAST));
        self.slots[n].grounds = Some(grounds.sending(NOW, Metal::LANDING));
        if std::mem::take(&mut self.slow) {
            self.flying = Some(request.clone());
            return Outcome::transient("no reply");
        }
        let outcome = self.send(request);
        // Whatever look began up to now began before this was heard.
        self.slots[n].grounds = Some(Grounds::After(PAST));
        if let Some((_, fresh)) = &mut self.before {
            fresh[n] = false;
        }
        outcome
    }

    /// One write of the object, by whoever knows its latest state.
    fn write(&mut self, n: usize, step: &Step<Request>) {
        let slot = &mut self.slots[n];
        let Some(api) = slot.api.as_mut() else { return };
        match step {
            Step::Claim(claim) => {
                api.claim = Some(claim.clone());
                api.finalizer = true;
                slot.grounds = Some(Grounds::NothingMade);
            }
            Step::Hold => api.finalizer = true,
            Step::Store(id) => {
                self.renamed |= api.provider_id.as_ref().is_some_and(|known| known != id);
                api.provider_id = Some(id.clone());
                api.current = api.status.conditions.is_empty();
            }
            Step::Tell(status) => (api.status, api.current) = (Rc::new(status.clone()), true),
            Step::Release { .. } => {
                api.finalizer = false;
                if api.deleting {
                    slot.api = None;
                }
            }
            Step::Confirm | Step::Make(_) | Step::Change(_) => (),
        }
    }

    /// Whose host this is, by its token.
    fn owner(&self, host: &str) -> Option<usize> {
        let owner = self.pool.0[host].owner.as_ref()?;
        (0..self.slots.len()).find(|n| uid(*n) == owner.token)
    }
}

impl World for Lab {
    type Actor = usize;
    /// The object as the pass last knew it.
    type Memory = Option<Api>;
    type Step = Step<Request>;
    type Event = Event;

    fn actors(&self) -> Vec<usize> {
        (0..self.slots.len()).collect()
    }

    fn stale_views(&self, _: usize, _: &Option<Api>) -> usize {
        usize::from(self.before.is_some())
    }

    fn plan(&self, n: usize, base: &mut Option<Api>, stale: usize) -> Plan<Step<Request>> {
        base.clone_from(&self.slots[n].api);
        let Some(api) = base else { return Plan::settled() };
        let (pool, fresh) = match &self.before {
            Some((before, fresh)) if stale == 1 => (before, fresh[n]),
            _ => (&self.pool, true),
        };
        let seen = Observed {
            object: Object {
                namespace: "default".into(),
                name: format!("machine-{n}"),
                uid: uid(n),
                deleting: api.deleting,
                finalizer: api.finalizer,
                watched: true,
                externally_managed: false,
                paused: false,
                forced: false,
                claim: api.claim.clone(),
            },
            provider_id: api.provider_id.clone(),
            status: Status::clone(&api.status),
            status_current: api.current,
            owner: Referred::Found(Owner { failure_domain: None, control_plane: false, bootstrap: Bootstrap::Ready }),
            cluster: Referred::Found(Cluster { paused: false, infrastructure_provisioned: true }),
            grounds: self.grounds(n),
            looked: Some(if fresh { FRESH } else { STALE }),
            failure: self.slots[n].failure.clone(),
            outside: pool.clone(),
        };
        Lifecycle::<Metal>::plan(&api.image.to_owned(), &seen, NOW)
    }

    fn apply(&mut self, n: usize, base: &mut Option<Api>, step: &Step<Request>) -> Outcome {
        let outcome = match step {
            Step::Make(request) => self.make(n, request),
            Step::Change(request) => self.send(request),
            _ if self.slots[n].api != *base => Outcome::Gone,
            write => {
                self.write(n, write);
                base.clone_from(&self.slots[n].api);
                Outcome::Done
            }
        };
        match &outcome {
            Outcome::Transient { cause, .. } => self.slots[n].failure = Some(Failure { cause: cause.clone() }),
            Outcome::Done => self.slots[n].failure = None,
            _ => (),
        }
        outcome
    }

    fn crashed(&mut self, _: usize) {
        for slot in &mut self.slots {
            (slot.grounds, slot.failure) = (None, None);
        }
        self.started = false;
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.pool.is_busy() {
            events.push(Event::HostFinishes);
        }
        if self.flying.is_some() {
            events.extend([Event::RequestLands, Event::RequestIsLost]);
        }
        let landing = |slot: &Slot| matches!(slot.grounds, Some(Grounds::After(time)) if time > NOW);
        // The bound that the provider states: by then nothing is on its way.
        if self.flying.is_none() && (!self.started || self.slots.iter().any(landing)) {
            events.push(Event::LandingTimePasses);
        }
        for (n, slot) in self.slots.iter().enumerate().take(self.has.deleted) {
            if slot.api.as_ref().is_some_and(|api| !api.deleting) {
                events.push(Event::UserDeletes(n));
            }
        }
        if self.has.update && self.slots[0].api.as_ref().is_some_and(|api| api.image == "v1") {
            events.push(Event::UserChangesImage);
        }
        events
    }

    fn faults(&self) -> Vec<Event> {
        if self.has.late && !self.slow { vec![Event::PoolIsSlow] } else { Vec::new() }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::HostFinishes => self.change(Pool::finish),
            Event::RequestLands => {
                if let Some(request) = self.flying.take() {
                    self.send(&request);
                }
            }
            Event::RequestIsLost => self.flying = None,
            Event::LandingTimePasses => {
                self.started = true;
                for slot in &mut self.slots {
                    if let Some(Grounds::After(_)) = slot.grounds {
                        slot.grounds = Some(Grounds::After(PAST));
                    }
                }
                if let Some((_, fresh)) = &mut self.before {
                    *fresh = [false; 2];
                }
            }
            Event::UserDeletes(n) => {
                let slot = &mut self.slots[n];
                if let Some(api) = &mut slot.api {
                    api.deleting = true;
                    if !api.finalizer {
                        slot.api = None;
                    }
                }
            }
            Event::UserChangesImage => {
                if let Some(api) = &mut self.slots[0].api {
                    (api.image, api.current) = ("v2", api.status.conditions.is_empty());
                }
            }
            Event::PoolIsSlow => self.slow = true,
        }
    }

    fn check(&self) -> Result<(), String> {
        if !self.pool.free_hosts_are_blank() {
            return Err("a host was let go with something on it".into());
        }
        if self.renamed {
            return Err("a providerID changed".into());
        }
        for (name, host) in &self.pool.0 {
            let Some(owner) = &host.owner else { continue };
            if self.pool.0.values().filter(|other| other.owner.as_ref() == Some(owner)).count() > 1 {
                return Err("two hosts for one machine".into());
            }
            if self.owner(name).is_none_or(|n| self.slots[n].api.is_none()) {
                return Err("a host is left taken by nobody".into());
            }
        }
        for (n, slot) in self.slots.iter().enumerate() {
            let Some(Api { deleting: false, provider_id: Some(id), .. }) = &slot.api else { continue };
            let host = id.strip_scheme("metal").and_then(|rest| rest.split('/').next()).unwrap_or_default();
            if self.owner(host) != Some(n) {
                return Err("a host was taken from its machine".into());
            }
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        let mut hosts = self.has.hosts;
        for (n, slot) in self.slots.iter().enumerate() {
            let Some(api) = &slot.api else {
                if n < self.has.deleted { continue } else { return Err("an object is gone that nobody deleted".into()) }
            };
            let ready = api.status.conditions.iter().find(|report| report.type_ == "Ready");
            let reason = ready.map(|report| report.reason.as_str()).unwrap_or_default();
            let runs_on = |name: &String| {
                let host = &self.pool.0[name];
                self.owner(name) == Some(n) && host.image.as_deref() == Some(api.image) && host.network && host.power
            };
            let runs = self.pool.0.keys().any(runs_on);
            hosts -= usize::from(runs);
            let whole = runs && api.provider_id.is_some() && api.status.provisioned && reason == "Ready";
            let waits = !runs && reason == "NoHost" && self.pool.free().is_none();
            if api.deleting || !(whole || waits) {
                return Err(format!("machine {n} rests with Ready {reason}"));
            }
        }
        let free = self.pool.0.values().filter(|host| host.owner.is_none()).count();
        if free == hosts { Ok(()) } else { Err(format!("{free} hosts are free, not {hosts}")) }
    }
}
