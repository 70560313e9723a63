//! The world: an API server with a cache that lags, two hosts, and one process of ours.

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
const FOREIGN: u8 = 99;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bug {
    None,
    /// Makes the machine before the claim is stored.
    MakeBeforeClaim,
    /// Makes on any look, however old.
    MakeOnStaleLook,
    /// Lets go on any look, however old.
    ReleaseOnStaleLook,
    /// Makes without asking the API server whether the object is still there.
    NoConfirm,
    /// Forgets that what an earlier process sent may still land.
    ForgetsThePast,
    /// Takes a create that was not answered for one that was never sent.
    UnansweredIsUnsent,
    /// Objects get their finalizer with the claim.
    BornWithoutFinalizer,
}

/// What a world has beyond crashes, failures and lost replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Has {
    pub bug: Bug,
    pub objects: usize,
    /// The objects are deleted, at any point.
    pub deleted: bool,
    /// The API server may look at an object's finalizers long before it removes it.
    pub unguarded: bool,
    /// The first is made again under its name.
    pub again: bool,
    /// A create may land late, or never.
    pub late: bool,
    /// Somebody else writes the object once.
    pub conflict: bool,
    /// The cache may go back in time, as it does when another API server that lags is asked.
    pub rewind: bool,
    /// Hosts go down, and come back.
    pub down: bool,
    /// A host is down for good, from any point on, and a person then forces.
    pub lost: bool,
    /// Machines vanish.
    pub vanish: bool,
}

pub(super) const PLAIN: Has = Has {
    bug: Bug::None,
    objects: 1,
    deleted: false,
    unguarded: false,
    again: false,
    late: false,
    conflict: false,
    rewind: false,
    down: false,
    lost: false,
    vanish: false,
};

/// A microVM: its id, and the token and name it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Vm {
    id: u8,
    token: u8,
    name: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Listing {
    up: bool,
    vms: Vec<Vm>,
    /// Per object: whether it began after the last thing heard of.
    fresh: [bool; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host {
    up: bool,
    slow: bool,
    vms: Vec<Vm>,
    /// Creates on their way.
    flying: Vec<(u8, usize)>,
    /// The process's cached listing.
    listing: Option<Listing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Api {
    uid: u8,
    deleting: bool,
    finalizer: bool,
    forced: bool,
    touched: bool,
    claim: Option<(u8, usize)>,
    provider_id: Option<ProviderId>,
    status: Rc<Status>,
    current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    api: Option<Api>,
    cache: Option<Api>,
    /// What the cache held before.
    older: Option<Api>,
    /// The process's memory, with the uid it is of.
    grounds: Option<(u8, Grounds)>,
    failure: Option<Failure>,
    incarnation: u8,
    /// A deletion that found no finalizer is on its way.
    removing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lab {
    pub has: Has,
    slots: Vec<Slot>,
    hosts: [Host; 2],
    next: u8,
    /// What an earlier process sent has landed by now.
    started: bool,
    let_go: bool,
    renamed: bool,
}

/// The provider, shaped like that of microVMs.
pub(super) struct Micro;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Do {
    Create { host: usize, token: u8, name: usize },
    Delete { host: usize, id: u8 },
}

type Seen = [Option<Listing>; 2];

fn number(text: &str) -> usize {
    text.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

impl Micro {
    fn find<'a>(subject: &Subject<'_>, claim: &Claim, seen: &'a Seen) -> Result<(usize, Option<&'a Vm>), Blocked> {
        let host = number(&claim.placement);
        match &seen[host] {
            None => Err(Blocked::new("WaitingForHost", format!("host {host}"), "was not looked at yet")),
            Some(Listing { up: false, .. }) => Err(Blocked::new("HostDown", format!("host {host}"), "does not answer")),
            Some(listing) => {
                let own = |vm: &&Vm| usize::from(vm.token) == number(&claim.token) && vm.name == number(subject.name);
                Ok((host, listing.vms.iter().find(own)))
            }
        }
    }
}

impl MachineProvider for Micro {
    type Wish = ();
    type Observed = Seen;
    type Step = Do;
    const LANDING: Duration = Duration::from_secs(10);

    fn makes(step: &Do) -> bool {
        matches!(step, Do::Create { .. })
    }

    fn place(_: &Subject<'_>, (): &(), seen: &Seen) -> Result<String, Blocked> {
        let up = seen.iter().position(|listing| listing.as_ref().is_some_and(|listing| listing.up));
        up.map(|host| format!("host{host}")).ok_or_else(|| Blocked::new("NoHost", "every host", "is down"))
    }

    fn present(subject: &Subject<'_>, claim: &Claim, (): &(), seen: &Seen) -> Present<Found, Do> {
        match Self::find(subject, claim, seen) {
            Err(blocked) => Present::Unknown(blocked),
            Ok((host, None)) => {
                let token = u8::try_from(number(&claim.token)).expect("small");
                Present::Nothing(Plan::settled().then(Do::Create { host, token, name: number(subject.name) }))
            }
            Ok((host, Some(vm))) => {
                let provider_id = format!("micro://{host}/{}", vm.id).parse().ok();
                let found = Found { provider_id, provisioned: true, failure_domain: Some(claim.placement.clone()), ..Found::default() };
                Present::Something(found, Plan::settled())
            }
        }
    }

    fn absent(subject: &Subject<'_>, claim: &Claim, (): &(), seen: &Seen) -> Absent<Do> {
        match Self::find(subject, claim, seen) {
            Err(blocked) => Absent::Unknown(blocked),
            Ok((_, None)) => Absent::Nothing,
            Ok((host, Some(vm))) => Absent::Something(Plan::settled().then(Do::Delete { host, id: vm.id })),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    CachesCatchUp,
    HostsAreListed,
    CreateLands(usize),
    CreateIsLost(usize),
    LandingTimePasses,
    HostReturns(usize),
    UserDeletes(usize),
    DeletionLands(usize),
    UserMakesAgain(usize),
    UserForces(usize),
    HostIsSlow(usize),
    HostGoesDown(usize),
    MachineVanishes(usize),
    SomebodyWrites(usize),
    CacheGoesBack(usize),
}

pub(super) fn lab(has: Has) -> Lab {
    let object = Api {
        uid: 1,
        deleting: false,
        finalizer: has.unguarded && has.bug != Bug::BornWithoutFinalizer,
        forced: false,
        touched: false,
        claim: None,
        provider_id: None,
        status: Rc::default(),
        current: true,
    };
    let slots = (0..has.objects)
        .map(|n| {
            let api = Some(Api { uid: if n == 0 { 1 } else { 11 }, ..object.clone() });
            Slot { cache: api.clone(), api, older: None, grounds: None, failure: None, incarnation: 0, removing: false }
        })
        .collect();
    let host = Host { up: true, slow: false, vms: Vec::new(), flying: Vec::new(), listing: None };
    // Another management cluster's machine of the same name.
    let foreign = Host { vms: vec![Vm { id: FOREIGN, token: FOREIGN, name: 0 }], ..host.clone() };
    let mut lab = Lab { has, slots, hosts: [foreign, host], next: 1, started: true, let_go: false, renamed: false };
    lab.happen(&Event::HostsAreListed);
    lab
}

impl Lab {
    fn grounds(&self, n: usize, uid: u8) -> Grounds {
        match self.slots[n].grounds {
            Some((known, grounds)) if known == uid => grounds,
            _ if self.has.bug == Bug::ForgetsThePast => Grounds::After(STALE),
            _ if self.started => Grounds::After(PAST),
            _ => Grounds::unknown(NOW, Micro::LANDING),
        }
    }

    /// Everything that was listed up to now began before what was just heard.
    fn set_heard(&mut self, n: usize, uid: u8, grounds: Grounds) {
        assert_eq!(grounds, Grounds::After(NOW));
        self.slots[n].grounds = Some((uid, Grounds::After(PAST)));
        for listing in self.hosts.iter_mut().filter_map(|host| host.listing.as_mut()) {
            listing.fresh[n] = false;
        }
    }

    fn snapshot(&self, host: usize) -> Option<Listing> {
        let Host { up, vms, .. } = &self.hosts[host];
        Some(Listing { up: *up, vms: if *up { vms.clone() } else { Vec::new() }, fresh: [true; 2] })
    }

    fn create(&mut self, host: usize, token: u8, name: usize) {
        self.hosts[host].vms.push(Vm { id: self.next, token, name });
        self.next += 1;
    }

    fn outside(&mut self, n: usize, uid: u8, step: &Do) -> Outcome {
        match *step {
            Do::Create { host, token, name } => {
                let before = self.grounds(n, uid);
                if !self.hosts[host].up {
                    // Never sent.
                    match Grounds::refused(before, NOW) {
                        Grounds::NothingMade => (),
                        heard => self.set_heard(n, uid, heard),
                    }
                    return Outcome::Gone;
                }
                let grounds = before.sending(NOW, Micro::LANDING);
                self.slots[n].grounds = Some((uid, grounds));
                if std::mem::take(&mut self.hosts[host].slow) {
                    if self.has.bug == Bug::UnansweredIsUnsent {
                        self.slots[n].grounds = Some((uid, before));
                    }
                    self.hosts[host].flying.push((token, name));
                    return Outcome::transient("no reply");
                }
                self.create(host, token, name);
                self.set_heard(n, uid, grounds.heard(NOW));
            }
            Do::Delete { host, .. } if !self.hosts[host].up => return Outcome::transient("no reply"),
            Do::Delete { host, id } => self.hosts[host].vms.retain(|vm| vm.id != id),
        }
        Outcome::Done
    }

    /// One write of the object, by whoever knows its latest state.
    fn write(&mut self, n: usize, step: &Step<Do>) {
        let Some(api) = self.slots[n].api.as_mut() else { return };
        match step {
            Step::Claim(claim) => {
                let first = api.claim.is_none();
                api.claim = Some((u8::try_from(number(&claim.token)).expect("small"), number(&claim.placement)));
                api.finalizer = true;
                let uid = api.uid;
                if first {
                    self.slots[n].grounds = Some((uid, Grounds::NothingMade));
                }
            }
            Step::Hold => api.finalizer = true,
            Step::Store(id) => {
                self.renamed |= api.provider_id.as_ref().is_some_and(|known| known != id);
                api.provider_id = Some(id.clone());
                api.current = api.status.conditions.is_empty();
            }
            Step::Tell(status) => {
                api.status = Rc::new(status.clone());
                api.current = true;
            }
            Step::Release { cost } => {
                self.let_go |= cost.is_some();
                api.finalizer = false;
                if api.deleting {
                    self.slots[n].api = None;
                }
            }
            Step::Confirm | Step::Make(_) | Step::Change(_) => (),
        }
    }
}

impl World for Lab {
    type Actor = usize;
    /// The object as the pass last knew it.
    type Memory = Option<Api>;
    type Step = Step<Do>;
    type Event = Event;

    fn actors(&self) -> Vec<usize> {
        (0..self.slots.len()).collect()
    }

    fn plan(&self, n: usize, base: &mut Option<Api>, _: usize) -> Plan<Step<Do>> {
        let slot = &self.slots[n];
        base.clone_from(&slot.cache);
        let Some(api) = &slot.cache else { return Plan::settled() };
        let looked = self.hosts[api.claim.map_or(0, |(_, host)| host)].listing.as_ref();
        let claim = api.claim.map(|(token, host)| Claim { token: format!("u{token}"), placement: format!("host{host}") });
        let seen = Observed {
            object: Object {
                namespace: "default".into(),
                name: format!("m{n}"),
                uid: format!("u{}", api.uid),
                deleting: api.deleting,
                finalizer: api.finalizer,
                watched: true,
                externally_managed: false,
                paused: false,
                forced: api.forced,
                claim,
            },
            provider_id: api.provider_id.clone(),
            status: Status::clone(&api.status),
            status_current: api.current,
            owner: Referred::Found(Owner { failure_domain: None, control_plane: false, bootstrap: Bootstrap::Ready }),
            cluster: Referred::Found(Cluster { paused: false, infrastructure_provisioned: true }),
            grounds: match (self.has.bug, api.deleting) {
                (Bug::MakeOnStaleLook, false) | (Bug::ReleaseOnStaleLook, true) => Grounds::After(Timestamp::UNIX_EPOCH),
                _ => self.grounds(n, api.uid),
            },
            looked: looked.map(|listing| if listing.fresh[n] { FRESH } else { STALE }),
            failure: slot.failure.clone(),
            outside: self.hosts.each_ref().map(|host| host.listing.clone()),
        };
        let mut plan = Lifecycle::<Micro>::plan(&(), &seen, NOW);
        match self.has.bug {
            Bug::MakeBeforeClaim => plan.steps.sort_by_key(|step| !matches!(step, Step::Make(_))),
            Bug::NoConfirm => plan.steps.retain(|step| *step != Step::Confirm),
            Bug::None
            | Bug::MakeOnStaleLook
            | Bug::ReleaseOnStaleLook
            | Bug::ForgetsThePast
            | Bug::UnansweredIsUnsent
            | Bug::BornWithoutFinalizer => (),
        }
        plan
    }

    fn apply(&mut self, n: usize, base: &mut Option<Api>, step: &Step<Do>) -> Outcome {
        let uid = base.as_ref().map(|api| api.uid).unwrap_or_default();
        if let Step::Make(step) | Step::Change(step) = step {
            let outcome = self.outside(n, uid, step);
            self.slots[n].failure = match &outcome {
                Outcome::Transient { cause, .. } => Some(Failure { cause: cause.clone() }),
                _ => None,
            };
            return outcome;
        }
        if self.slots[n].api != *base {
            return Outcome::transient("the object is not as it was");
        }
        self.write(n, step);
        base.clone_from(&self.slots[n].api);
        Outcome::Done
    }

    fn crashed(&mut self, _: usize) {
        for host in &mut self.hosts {
            host.listing = None;
        }
        for slot in &mut self.slots {
            (slot.grounds, slot.failure) = (None, None);
        }
        self.started = false;
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.slots.iter().any(|slot| slot.cache != slot.api) {
            events.push(Event::CachesCatchUp);
        }
        if (0..2).any(|host| self.hosts[host].listing != self.snapshot(host)) {
            events.push(Event::HostsAreListed);
        }
        for (n, slot) in self.slots.iter().enumerate() {
            match &slot.api {
                Some(_) if slot.removing => events.push(Event::DeletionLands(n)),
                Some(api) if self.has.deleted && !api.deleting && slot.incarnation == 0 => events.push(Event::UserDeletes(n)),
                Some(api) if self.has.lost && api.deleting && !api.forced => events.push(Event::UserForces(n)),
                None if self.has.again && slot.incarnation == 0 => events.push(Event::UserMakesAgain(n)),
                _ => (),
            }
        }
        for (h, host) in self.hosts.iter().enumerate() {
            if !host.flying.is_empty() {
                events.extend([Event::CreateLands(h), Event::CreateIsLost(h)]);
            }
            if !host.up && !self.has.lost {
                events.push(Event::HostReturns(h));
            }
        }
        let landing = |slot: &Slot| matches!(slot.grounds, Some((_, Grounds::After(time))) if time > NOW);
        // The bound that a provider states: by then nothing is on its way.
        if self.hosts.iter().all(|host| host.flying.is_empty()) && (!self.started || self.slots.iter().any(landing)) {
            events.push(Event::LandingTimePasses);
        }
        events
    }

    fn faults(&self) -> Vec<Event> {
        let mut faults = Vec::new();
        for (h, host) in self.hosts.iter().enumerate() {
            if self.has.late && !host.slow {
                faults.push(Event::HostIsSlow(h));
            }
            if host.up && (self.has.down || self.has.lost) {
                faults.push(Event::HostGoesDown(h));
            }
            if self.has.vanish && host.vms.iter().any(|vm| vm.token != FOREIGN) {
                faults.push(Event::MachineVanishes(h));
            }
        }
        for (n, slot) in self.slots.iter().enumerate() {
            if self.has.conflict && slot.api.as_ref().is_some_and(|api| !api.touched) {
                faults.push(Event::SomebodyWrites(n));
            }
            if slot.older.is_some() {
                faults.push(Event::CacheGoesBack(n));
            }
        }
        faults
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::CachesCatchUp => {
                for slot in self.slots.iter_mut().filter(|slot| slot.cache != slot.api) {
                    let before = std::mem::replace(&mut slot.cache, slot.api.clone());
                    if self.has.rewind && before.is_some() {
                        slot.older = before;
                    }
                }
            }
            Event::CacheGoesBack(n) => {
                let slot = &mut self.slots[n];
                slot.cache = slot.older.take();
            }
            Event::HostsAreListed => {
                for host in 0..2 {
                    self.hosts[host].listing = self.snapshot(host);
                }
            }
            Event::CreateLands(h) => {
                if let Some((token, name)) = self.hosts[h].flying.pop() {
                    self.create(h, token, name);
                }
            }
            Event::CreateIsLost(h) => {
                self.hosts[h].flying.pop();
            }
            Event::LandingTimePasses => {
                self.started = true;
                for slot in &mut self.slots {
                    if let Some((uid, Grounds::After(_))) = slot.grounds {
                        slot.grounds = Some((uid, Grounds::After(PAST)));
                    }
                }
                for listing in self.hosts.iter_mut().filter_map(|host| host.listing.as_mut()) {
                    listing.fresh = [false; 2];
                }
            }
            Event::HostReturns(h) => self.hosts[h].up = true,
            Event::HostGoesDown(h) => self.hosts[h].up = false,
            Event::HostIsSlow(h) => self.hosts[h].slow = true,
            Event::MachineVanishes(h) => self.hosts[h].vms.retain(|vm| vm.token == FOREIGN),
            Event::UserDeletes(n) => {
                let slot = &mut self.slots[n];
                match &mut slot.api {
                    Some(api) if api.finalizer => api.deleting = true,
                    Some(_) if self.has.unguarded => slot.removing = true,
                    Some(_) => slot.api = None,
                    None => (),
                }
            }
            Event::DeletionLands(n) => {
                let slot = &mut self.slots[n];
                (slot.api, slot.removing) = (None, false);
            }
            Event::UserMakesAgain(n) => {
                let fresh = lab(self.has).slots[n].api.clone();
                self.slots[n].api = fresh.map(|api| Api { uid: api.uid + 1, ..api });
                self.slots[n].incarnation = 1;
            }
            Event::UserForces(n) => {
                if let Some(api) = &mut self.slots[n].api {
                    api.forced = true;
                }
            }
            Event::SomebodyWrites(n) => {
                if let Some(api) = &mut self.slots[n].api {
                    api.touched = true;
                }
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let all: Vec<&Vm> = self.hosts.iter().flat_map(|host| &host.vms).collect();
        if !all.iter().any(|vm| vm.id == FOREIGN) {
            return Err("another's machine was touched".into());
        }
        if self.renamed {
            return Err("a providerID changed".into());
        }
        for vm in all.iter().filter(|vm| vm.token != FOREIGN) {
            if all.iter().filter(|other| other.token == vm.token).count() > 1 {
                return Err("two machines for one object".into());
            }
            let owner = self.slots[vm.name].api.as_ref().filter(|api| api.uid == vm.token);
            match owner {
                None if !self.let_go => return Err("a machine is left behind".into()),
                Some(Api { provider_id: Some(id), .. })
                    if number(id.as_str().rsplit('/').next().unwrap_or_default()) != usize::from(vm.id) =>
                {
                    return Err("a machine that vanished was made again".into());
                }
                _ => (),
            }
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        for (n, slot) in self.slots.iter().enumerate() {
            let Some(api) = &slot.api else {
                if self.has.deleted { continue } else { return Err("an object is gone that nobody deleted".into()) }
            };
            let ready = api.status.conditions.iter().find(|report| report.type_ == "Ready");
            let (reason, message) = ready.map(|report| (report.reason.as_str(), report.message.as_str())).unwrap_or_default();
            let there = self.hosts.iter().any(|host| host.vms.iter().any(|vm| vm.token == api.uid));
            let down = self.has.lost && self.hosts.iter().any(|host| !host.up) && ["HostDown", "NoHost"].contains(&reason);
            let whole = there && api.provider_id.is_some() && api.status.provisioned && reason == "Ready";
            let told = self.has.vanish && !there && reason == "MachineVanished" && message.contains("not made again");
            if api.deleting || !(whole || told || down) {
                return Err(format!("object {n} rests with Ready {reason} {message:?}"));
            }
        }
        Ok(())
    }
}
