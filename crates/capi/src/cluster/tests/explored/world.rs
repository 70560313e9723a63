//! The world: an API server with caches that lag, a cloud, and one process of ours.

use std::rc::Rc;

use capstead_reconcile::Outcome;
use capstead_reconcile::explore::World;

use super::super::*;

const NOW: Timestamp = Timestamp::constant(1_000, 0);
/// What was heard is as good as heard then.
const PAST: Timestamp = Timestamp::constant(900, 0);
/// When a listing began: after that, or before.
const FRESH: Timestamp = Timestamp::constant(950, 0);
const STALE: Timestamp = Timestamp::constant(850, 0);
const TOKEN: &str = "u1";
/// The load balancer of another management cluster's cluster of the same name.
const FOREIGN: u8 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bug {
    None,
    /// Counts no machines.
    DoesNotCount,
    /// Believes the cache that there are no machines, without asking the API server.
    CountsByTheCache,
    /// Makes the load balancer before the claim is stored.
    MakeBeforeClaim,
    /// Makes on any look, however old.
    MakeOnStaleLook,
    /// Lets go on any look, however old.
    ReleaseOnStaleLook,
    /// Forgets that what an earlier process sent may still land.
    ForgetsThePast,
}

/// What a world has beyond crashes, failures and lost replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Has {
    pub bug: Bug,
    /// The object is deleted, at any point.
    pub deleted: bool,
    /// How many machines come, at any point; but once the object is being deleted only while there is another.
    pub machines: u8,
    /// They come although the object is being deleted and none is left.
    pub after: bool,
    /// A create may land late, or never.
    pub late: bool,
    /// Somebody else writes the object once.
    pub conflict: bool,
    /// The cache may go back in time.
    pub rewind: bool,
    /// Load balancers vanish.
    pub vanish: bool,
    /// The cloud is down for good, from any point on, and a person then forces.
    pub lost: bool,
}

pub(super) const PLAIN: Has = Has {
    bug: Bug::None,
    deleted: false,
    machines: 0,
    after: false,
    late: false,
    conflict: false,
    rewind: false,
    vanish: false,
    lost: false,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Listing {
    up: bool,
    balancers: Vec<u8>,
    /// Whether it began after the last thing heard of.
    fresh: bool,
}

/// A cloud with load balancers. All but one are our object's, as their token says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cloud {
    up: bool,
    slow: bool,
    balancers: Vec<u8>,
    /// Whether a create is on its way.
    flying: bool,
    next: u8,
    /// The process's cached listing.
    listing: Option<Listing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Api {
    deleting: bool,
    finalizer: bool,
    forced: bool,
    touched: bool,
    claimed: bool,
    endpoint: Option<ApiEndpoint>,
    status: Rc<Status>,
    current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lab {
    has: Has,
    api: Option<Api>,
    cache: Option<Api>,
    /// What the cache held before.
    older: Option<Api>,
    /// Its machines, those the cache knows, and those still to come.
    machines: u8,
    known: u8,
    coming: u8,
    cloud: Cloud,
    /// The process's memory.
    grounds: Option<Grounds>,
    failure: Option<Failure>,
    /// What an earlier process sent has landed by now.
    started: bool,
    let_go: bool,
    moved: bool,
    too_early: bool,
}

/// The provider: one load balancer for each cluster, which supplies the endpoint.
pub(super) struct Balancers;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Do {
    Create,
    Delete(u8),
}

fn own(seen: &Option<Listing>) -> Result<Option<u8>, Blocked> {
    match seen {
        None => Err(Blocked::new("WaitingForCloud", "the cloud", "was not looked at yet")),
        Some(Listing { up: false, .. }) => Err(Blocked::new("CloudDown", "the cloud", "does not answer")),
        Some(listing) => Ok(listing.balancers.iter().copied().find(|id| *id != FOREIGN)),
    }
}

impl ClusterProvider for Balancers {
    type Wish = ();
    type Observed = Option<Listing>;
    type Step = Do;
    const LANDING: Duration = Duration::from_secs(10);

    fn makes(step: &Do) -> bool {
        *step == Do::Create
    }

    fn present(_: &Subject<'_>, _: &Claim, (): &(), seen: &Option<Listing>) -> Present<Found, Do> {
        match own(seen) {
            Err(blocked) => Present::Unknown(blocked),
            Ok(None) => Present::Nothing(Plan::settled().then(Do::Create)),
            Ok(Some(id)) => {
                let found = Found { endpoint: Some(endpoint(&format!("lb-{id}"))), provisioned: true, failure_domains: Vec::new() };
                Present::Something(found, Plan::settled())
            }
        }
    }

    fn absent(_: &Subject<'_>, _: &Claim, (): &(), seen: &Option<Listing>) -> Absent<Do> {
        match own(seen) {
            Err(blocked) => Absent::Unknown(blocked),
            Ok(None) => Absent::Nothing,
            Ok(Some(id)) => Absent::Something(Plan::settled().then(Do::Delete(id))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    CacheCatchesUp,
    MachinesAreHeardOf,
    CloudIsListed,
    CreateLands,
    CreateIsLost,
    LandingTimePasses,
    MachineComes,
    MachineGoes,
    UserDeletes,
    UserForces,
    CloudIsSlow,
    CloudGoesDown,
    BalancerVanishes,
    SomebodyWrites,
    CacheGoesBack,
}

pub(super) fn lab(has: Has) -> Lab {
    let api = Some(Api {
        deleting: false,
        finalizer: false,
        forced: false,
        touched: false,
        claimed: false,
        endpoint: None,
        status: Rc::default(),
        current: true,
    });
    let mut lab = Lab {
        has,
        cache: api.clone(),
        api,
        older: None,
        machines: 0,
        known: 0,
        coming: has.machines,
        cloud: Cloud { up: true, slow: false, balancers: vec![FOREIGN], flying: false, next: FOREIGN + 1, listing: None },
        grounds: None,
        failure: None,
        started: true,
        let_go: false,
        moved: false,
        too_early: false,
    };
    lab.happen(&Event::CloudIsListed);
    lab
}

impl Lab {
    fn grounds(&self) -> Grounds {
        match self.grounds {
            Some(grounds) => grounds,
            None if self.has.bug == Bug::ForgetsThePast => Grounds::After(STALE),
            None if self.started => Grounds::After(PAST),
            None => Grounds::unknown(NOW, Balancers::LANDING),
        }
    }

    fn snapshot(&self) -> Option<Listing> {
        let Cloud { up, balancers, .. } = &self.cloud;
        Some(Listing { up: *up, balancers: if *up { balancers.clone() } else { Vec::new() }, fresh: true })
    }

    fn create(&mut self) {
        self.cloud.balancers.push(self.cloud.next);
        self.cloud.next += 1;
    }

    fn outside(&mut self, step: &Do) -> Outcome {
        match *step {
            Do::Create => {
                self.grounds = Some(self.grounds().sending(NOW, Balancers::LANDING));
                if !self.cloud.up {
                    return Outcome::transient("no reply");
                }
                if std::mem::take(&mut self.cloud.slow) {
                    self.cloud.flying = true;
                    return Outcome::transient("no reply");
                }
                self.create();
                // Everything that was listed up to now began before this was heard.
                self.grounds = Some(Grounds::After(PAST));
                if let Some(listing) = &mut self.cloud.listing {
                    listing.fresh = false;
                }
            }
            Do::Delete(_) if !self.cloud.up => return Outcome::transient("no reply"),
            Do::Delete(id) => self.cloud.balancers.retain(|known| *known != id),
        }
        Outcome::Done
    }

    /// One write of the object, by whoever knows its latest state.
    fn write(&mut self, step: &Step<Do>) {
        let Some(api) = self.api.as_mut() else { return };
        match step {
            Step::Claim(_) => {
                if !api.claimed {
                    self.grounds = Some(Grounds::NothingMade);
                }
                (api.claimed, api.finalizer) = (true, true);
            }
            Step::Hold => api.finalizer = true,
            Step::Store(endpoint) => {
                self.moved |= api.endpoint.as_ref().is_some_and(|known| known != endpoint);
                api.endpoint = Some(endpoint.clone());
                api.current = api.status.conditions.is_empty();
            }
            Step::Tell(status) => (api.status, api.current) = (Rc::new(status.clone()), true),
            Step::Release { cost } => {
                self.let_go |= cost.is_some();
                self.too_early |= self.machines > 0;
                api.finalizer = false;
                if api.deleting {
                    self.api = None;
                }
            }
            Step::Confirm | Step::Make(_) | Step::Change(_) => (),
        }
    }

    /// What the runtime counts: the cache, but that there are none is the API server's own word.
    fn count(&self) -> usize {
        usize::from(match self.has.bug {
            Bug::DoesNotCount => 0,
            Bug::CountsByTheCache => self.known,
            _ if self.known > 0 => self.known,
            _ => self.machines,
        })
    }
}

impl World for Lab {
    type Actor = usize;
    /// The object as the pass last knew it.
    type Memory = Option<Api>;
    type Step = Step<Do>;
    type Event = Event;

    fn actors(&self) -> Vec<usize> {
        vec![0]
    }

    fn plan(&self, _: usize, base: &mut Option<Api>, _: usize) -> Plan<Step<Do>> {
        base.clone_from(&self.cache);
        let Some(api) = &self.cache else { return Plan::settled() };
        let seen = Observed {
            object: Object {
                namespace: "default".into(),
                name: "c".into(),
                uid: TOKEN.into(),
                deleting: api.deleting,
                finalizer: api.finalizer,
                watched: true,
                externally_managed: false,
                paused: false,
                forced: api.forced,
                claim: api.claimed.then(|| Claim { token: TOKEN.into(), placement: String::new() }),
            },
            endpoint: api.endpoint.clone(),
            status: Status::clone(&api.status),
            status_current: api.current,
            owner: Referred::Found(Owner::default()),
            machines: if api.deleting { self.count() } else { 0 },
            grounds: match (self.has.bug, api.deleting) {
                (Bug::MakeOnStaleLook, false) | (Bug::ReleaseOnStaleLook, true) => Grounds::After(Timestamp::UNIX_EPOCH),
                _ => self.grounds(),
            },
            looked: self.cloud.listing.as_ref().map(|listing| if listing.fresh { FRESH } else { STALE }),
            failure: self.failure.clone(),
            outside: self.cloud.listing.clone(),
        };
        let mut plan = Lifecycle::<Balancers>::plan(&(), &seen, NOW);
        if self.has.bug == Bug::MakeBeforeClaim {
            plan.steps.sort_by_key(|step| !matches!(step, Step::Make(_)));
        }
        plan
    }

    fn apply(&mut self, _: usize, base: &mut Option<Api>, step: &Step<Do>) -> Outcome {
        if let Step::Make(step) | Step::Change(step) = step {
            let outcome = self.outside(step);
            self.failure = match &outcome {
                Outcome::Transient { cause, .. } => Some(Failure { cause: cause.clone() }),
                _ => None,
            };
            return outcome;
        }
        if self.api != *base {
            return Outcome::Gone;
        }
        self.write(step);
        base.clone_from(&self.api);
        Outcome::Done
    }

    fn crashed(&mut self, _: usize) {
        self.cloud.listing = None;
        (self.grounds, self.failure) = (None, None);
        self.started = false;
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.cache != self.api {
            events.push(Event::CacheCatchesUp);
        }
        // Another watch, which may be ahead or behind.
        if self.known != self.machines {
            events.push(Event::MachinesAreHeardOf);
        }
        if self.cloud.listing != self.snapshot() {
            events.push(Event::CloudIsListed);
        }
        if self.cloud.flying {
            events.extend([Event::CreateLands, Event::CreateIsLost]);
        }
        // The bound that a provider states: by then nothing is on its way.
        let landing = matches!(self.grounds, Some(Grounds::After(time)) if time > NOW);
        if !self.cloud.flying && (!self.started || landing) {
            events.push(Event::LandingTimePasses);
        }
        if let Some(api) = &self.api {
            if self.coming > 0 && (!api.deleting || self.machines > 0 || self.has.after) {
                events.push(Event::MachineComes);
            }
            if self.machines > 0 && api.deleting {
                events.push(Event::MachineGoes);
            }
            if self.has.deleted && !api.deleting {
                events.push(Event::UserDeletes);
            }
            if self.has.lost && api.deleting && !api.forced {
                events.push(Event::UserForces);
            }
        }
        events
    }

    fn faults(&self) -> Vec<Event> {
        let mut faults = Vec::new();
        if self.has.late && !self.cloud.slow {
            faults.push(Event::CloudIsSlow);
        }
        if self.has.lost && self.cloud.up {
            faults.push(Event::CloudGoesDown);
        }
        if self.has.vanish && self.cloud.balancers.len() > 1 {
            faults.push(Event::BalancerVanishes);
        }
        if self.has.conflict && self.api.as_ref().is_some_and(|api| !api.touched) {
            faults.push(Event::SomebodyWrites);
        }
        if self.older.is_some() {
            faults.push(Event::CacheGoesBack);
        }
        faults
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::MachinesAreHeardOf => self.known = self.machines,
            Event::CacheCatchesUp => {
                let before = std::mem::replace(&mut self.cache, self.api.clone());
                if self.has.rewind && before.is_some() && before != self.cache {
                    self.older = before;
                }
            }
            Event::CacheGoesBack => self.cache = self.older.take(),
            Event::CloudIsListed => self.cloud.listing = self.snapshot(),
            Event::CreateLands => {
                if std::mem::take(&mut self.cloud.flying) {
                    self.create();
                }
            }
            Event::CreateIsLost => self.cloud.flying = false,
            Event::LandingTimePasses => {
                self.started = true;
                if let Some(Grounds::After(_)) = self.grounds {
                    self.grounds = Some(Grounds::After(PAST));
                }
                if let Some(listing) = &mut self.cloud.listing {
                    listing.fresh = false;
                }
            }
            Event::MachineComes => (self.machines, self.coming) = (self.machines + 1, self.coming - 1),
            Event::MachineGoes => self.machines -= 1,
            Event::UserDeletes => {
                if let Some(api) = &mut self.api {
                    api.deleting = true;
                    if !api.finalizer {
                        self.api = None;
                    }
                }
            }
            Event::UserForces => {
                if let Some(api) = &mut self.api {
                    api.forced = true;
                }
            }
            Event::SomebodyWrites => {
                if let Some(api) = &mut self.api {
                    api.touched = true;
                }
            }
            Event::CloudIsSlow => self.cloud.slow = true,
            Event::CloudGoesDown => self.cloud.up = false,
            Event::BalancerVanishes => self.cloud.balancers.retain(|id| *id == FOREIGN),
        }
    }

    fn check(&self) -> Result<(), String> {
        let own = self.cloud.balancers.iter().filter(|id| **id != FOREIGN).count();
        let broken = [
            (self.too_early, "let go while a machine is there"),
            (self.moved, "the endpoint changed"),
            (own == self.cloud.balancers.len(), "another's load balancer was touched"),
            (own > 1, "two load balancers for one cluster"),
            (own > 0 && self.api.is_none() && !self.let_go, "a load balancer is left behind"),
        ];
        broken.iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
    }

    fn goal(&self) -> Result<(), String> {
        let Some(api) = &self.api else {
            return if self.has.deleted { Ok(()) } else { Err("an object is gone that nobody deleted".into()) };
        };
        let ready = api.status.conditions.iter().find(|report| report.type_ == "Ready");
        let reason = ready.map(|report| report.reason.as_str()).unwrap_or_default();
        let whole = self.cloud.balancers.len() == 2 && api.endpoint.is_some() && api.status.provisioned && reason == "Ready";
        if whole && !api.deleting { Ok(()) } else { Err(format!("the object rests with Ready {reason}")) }
    }
}
