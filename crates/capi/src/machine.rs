//! The life cycle of an InfraMachine: pure, complete for contract `v1beta2`, and ignorant of the provider.
//!
//! ```text
//!  owner, Cluster, infrastructure, bootstrap data     claim        make            providerID, status
//!  ──────────────────────────────────────────────► ─────────► ────────────► made ───────────────────► provisioned
//!                  (gates)                                                                             │ deleted
//!                                gone ◄──────────── nothing left ◄──────── take away ◄─────────────────┘
//!                                      finalizer
//! ```
//!
//! What keeps it from ever making two machines for one object, leaving one behind or touching another's:
//!
//! - the finalizer is there from birth ([`hold_from_birth`](crate::ownership::hold_from_birth)), and it, token and placement are stored in one write before
//!   anything is made ([`lifecycle::Step::Claim`]);
//! - something is made only on good [`Grounds`], and only right after the API server confirmed the object the plan was made from;
//! - the finalizer goes only on good grounds, or by a person's force;
//! - a placement is given up for another only while it is known that nothing was ever made there ([`Grounds::NothingMade`]).
//!
//! A machine that had its providerID and is gone, or that failed for good, is told and never made again: its Machine's owner decides.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use capstead_reconcile::{Plan, Reconciler, Timestamp};

use crate::condition::{self, Report, reason};
use crate::lifecycle::{self, Absent, Blocked, Failure, Object, Present, Referred, ready, without_steps};
use crate::meta::bootstrap_secret;
use crate::ownership::{Claim, Grounds};
use crate::provider::{InfraMachineStatus, Initialization};
use crate::types::{MachineAddress, ProviderId};

/// How long a machine may take to become whole before anybody is told that it is being made.
const BRIEF: Duration = Duration::from_secs(1);

/// What a provider of machines adds to the life cycle: pure functions over its own observation.
pub trait MachineProvider {
    /// What one machine should be, as the provider's kinds say.
    type Wish;
    /// What the provider sees outside.
    type Observed;
    /// One effect outside; idempotent where the outside allows it.
    type Step: Clone + Debug + Eq + Hash;

    /// How long after it was sent a making step may still land, at most: the longest deadline and what the other side may queue.
    const LANDING: Duration;

    /// Whether the step brings something into being that the object then owns.
    fn makes(step: &Self::Step) -> bool;

    /// Where a new machine is to be made. Asked again only while nothing was ever made and its place does not answer.
    ///
    /// # Errors
    /// What is waited for when there is no such place now, or when the wish can never be met.
    fn place(subject: &Subject<'_>, wish: &Self::Wish, seen: &Self::Observed) -> Result<String, Blocked>;

    /// Where a machine is that was made by another release or provider, and carries no token: told by its providerID, which then stands for the token.
    /// `None` where that cannot be told; such a machine is left alone.
    fn adopt(_id: &ProviderId) -> Option<String> {
        None
    }

    /// What is there of the machine, and what is to be done so that it is whole. Owns only what carries the claim's token and the object's namespace and name.
    fn present(subject: &Subject<'_>, claim: &Claim, wish: &Self::Wish, seen: &Self::Observed) -> Present<Found, Self::Step>;

    /// What is left of it, and what is to be done so that nothing is.
    fn absent(subject: &Subject<'_>, claim: &Claim, wish: &Self::Wish, seen: &Self::Observed) -> Absent<Self::Step>;
}

/// The machine a provider is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The InfraMachine's namespace.
    pub namespace: &'a str,
    /// The InfraMachine's name.
    pub name: &'a str,
    /// Its providerID, when stored.
    pub provider_id: Option<&'a ProviderId>,
    /// Where its Machine wants it: `Machine.spec.failureDomain`.
    pub failure_domain: Option<&'a str>,
    /// Whether it is part of the control plane.
    pub control_plane: bool,
}

/// What is there of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    /// Its provider id, as soon as it is known.
    pub provider_id: Option<ProviderId>,
    /// Whether it is whole; believed only together with a provider id.
    pub provisioned: bool,
    /// Why it will never be whole, if so.
    pub failed: Option<String>,
    /// Its addresses.
    pub addresses: Vec<MachineAddress>,
    /// Where it is.
    pub failure_domain: Option<String>,
}

/// The Machine, as far as the life cycle reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `spec.failureDomain`.
    pub failure_domain: Option<String>,
    /// Whether it has the control plane label.
    pub control_plane: bool,
    /// The Secret `spec.bootstrap.dataSecretName` names.
    pub bootstrap: Bootstrap,
}

/// The bootstrap data Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bootstrap {
    /// `Machine.spec.bootstrap.dataSecretName` is not set yet.
    NotSet,
    /// The Secret does not exist.
    Missing {
        /// Its name.
        secret: String,
    },
    /// The Secret has no key `value`, or nothing under it.
    WithoutValue {
        /// Its name.
        secret: String,
    },
    /// The data is there.
    Ready,
}

/// The Cluster, as far as the life cycle reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// `spec.paused`.
    pub paused: bool,
    /// `status.initialization.infrastructureProvisioned`, or no infrastructureRef at all.
    pub infrastructure_provisioned: bool,
}

/// What the contract wants told of an InfraMachine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// `initialization.provisioned`; once true, always true.
    pub provisioned: bool,
    /// `addresses`.
    pub addresses: Vec<MachineAddress>,
    /// `failureDomain`.
    pub failure_domain: Option<String>,
    /// `conditions`, sorted by type. Whoever writes them adds the generation of the object as it then is, and the times.
    pub conditions: Vec<Report>,
}

impl Status {
    /// What was told.
    #[must_use]
    pub fn read(told: &InfraMachineStatus) -> Self {
        Self {
            provisioned: told.initialization.as_ref().is_some_and(|marks| marks.provisioned == Some(true)),
            addresses: told.addresses.clone(),
            failure_domain: told.failure_domain.clone(),
            conditions: lifecycle::reports(&told.conditions),
        }
    }

    /// Tells it, over what was told: conditions that are no longer reported go, transition times move only with a condition's status.
    pub fn write(&self, told: &mut InfraMachineStatus, generation: Option<i64>, now: Timestamp) {
        if self.provisioned {
            told.initialization = Some(Initialization { provisioned: Some(true) });
        }
        told.addresses.clone_from(&self.addresses);
        told.failure_domain.clone_from(&self.failure_domain);
        lifecycle::write(&self.conditions, &mut told.conditions, generation, now);
    }
}

/// Everything the life cycle of one InfraMachine looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed<O> {
    /// The InfraMachine.
    pub object: Object,
    /// `spec.providerID`.
    pub provider_id: Option<ProviderId>,
    /// What was last told.
    pub status: Status,
    /// Whether all of that was told for the object's present generation.
    pub status_current: bool,
    /// Its Machine. `NotSet` while a MachineSet or control plane still owns it.
    pub owner: Referred<Owner>,
    /// Its Cluster. `NotSet` while the Machine is not known.
    pub cluster: Referred<Cluster>,
    /// What this process knows of what it made.
    pub grounds: Grounds,
    /// When the look at the outside began, the oldest of several, and whether or not it succeeded; `None` while this process has not looked yet.
    pub looked: Option<Timestamp>,
    /// How the last pass failed, if it did.
    pub failure: Option<Failure>,
    /// What the provider saw.
    pub outside: O,
}

/// One effect on an InfraMachine.
pub type Step<S> = lifecycle::Step<S, ProviderId, Status>;

/// The life cycle of a provider's InfraMachine.
#[derive(Debug)]
pub struct Lifecycle<P>(PhantomData<P>);

impl<P: MachineProvider> Reconciler for Lifecycle<P> {
    type Wish = P::Wish;
    type Observed = Observed<P::Observed>;
    type Step = Step<P::Step>;

    fn plan(wish: &P::Wish, seen: &Self::Observed, now: Timestamp) -> Plan<Self::Step> {
        let object = &seen.object;
        if !object.watched || object.externally_managed {
            return Plan::settled();
        }
        let cluster_paused = matches!(seen.cluster, Referred::Found(Cluster { paused: true, .. }));
        if cluster_paused || object.paused {
            let mut status = seen.status.clone();
            lifecycle::set(&mut status.conditions, Report::paused(true));
            let plan = Plan::settled();
            return if status == seen.status { plan } else { plan.then(Step::Tell(status)) };
        }
        if object.deleting { gone::<P>(wish, seen, now) } else { there::<P>(wish, seen, now) }
    }
}

fn subject<O>(seen: &Observed<O>) -> Subject<'_> {
    let owner = match &seen.owner {
        Referred::Found(owner) => Some(owner),
        _ => None,
    };
    Subject {
        namespace: &seen.object.namespace,
        name: &seen.object.name,
        provider_id: seen.provider_id.as_ref(),
        failure_domain: owner.and_then(|owner| owner.failure_domain.as_deref()),
        control_plane: owner.is_some_and(|owner| owner.control_plane),
    }
}

/// The object should go, with all it owns.
fn gone<P: MachineProvider>(wish: &P::Wish, seen: &Observed<P::Observed>, now: Timestamp) -> Plan<Step<P::Step>> {
    let object = &seen.object;
    if !object.finalizer && object.claim.is_none() {
        return Plan::settled();
    }
    // It goes with its machine, whoever made that.
    if object.claim.is_none()
        && !object.forced
        && let Some(claim) = adopted::<P>(seen)
    {
        return Plan::settled().then(Step::Claim(claim));
    }
    let leaving = lifecycle::leave(object, seen.grounds, seen.looked, seen.failure.as_ref(), now, |claim| {
        P::absent(&subject(seen), claim, wish, &seen.outside)
    });
    let mut plan = without_steps(leaving.plan);
    if let Some((reason, message)) = leaving.told {
        plan.steps.extend(tell(seen, |status| {
            lifecycle::set(&mut status.conditions, ready(condition::Status::False, &reason, message));
        }));
    }
    plan.steps.extend(leaving.steps.into_iter().map(Step::Change));
    if let Some(cost) = leaving.release.filter(|_| object.finalizer) {
        plan.steps.push(Step::Release { cost });
    }
    plan
}

/// The object should be there, and its machine.
fn there<P: MachineProvider>(wish: &P::Wish, seen: &Observed<P::Observed>, now: Timestamp) -> Plan<Step<P::Step>> {
    // Nothing is written, not even a condition, before core has made the object its Machine's.
    if seen.owner == Referred::NotSet {
        return Plan::settled().waiting("its Machine", "has not set itself as owner yet");
    }
    if let (Referred::Astray { .. }, None, Some(blocked)) = (&seen.owner, &seen.object.claim, gate(seen)) {
        return wait(seen, condition::Status::False, blocked);
    }
    let Some(claim) = &seen.object.claim else {
        // Made before this life cycle, or its annotations were lost: what carries no token is nobody's to act on, unless its name alone is proof.
        if let Some(claim) = adopted::<P>(seen) {
            return Plan::settled().then(Step::Claim(claim));
        }
        if let Some(id) = &seen.provider_id {
            let message = format!("spec.providerID is {id}, but the object holds no ownership token: nothing is done about that machine");
            return rest(seen, Plan::settled(), |status| {
                lifecycle::set(&mut status.conditions, ready(condition::Status::Unknown, reason::PROVIDER_ID_MISMATCH, message));
            });
        }
        return begin::<P>(wish, seen);
    };
    let present = P::present(&subject(seen), claim, wish, &seen.outside);
    let mut plan = match present {
        Present::Unknown(_) if let Some(claim) = elsewhere::<P>(wish, seen, claim) => Plan::settled().then(Step::Claim(claim)),
        Present::Unknown(blocked) => {
            // Of a machine that was whole nothing bad is known.
            let status = if seen.status.provisioned { condition::Status::Unknown } else { condition::Status::False };
            unseen(seen, status, blocked)
        }
        Present::Nothing(_) | Present::Something(..) if !seen.grounds.cover(seen.looked) && makes::<P>(&present) => {
            let (on, why) = ("a look at the outside", "must begin after the last thing made for this object could have landed");
            Plan::settled().waiting(on, why).look_at(seen.grounds.look_at(now))
        }
        Present::Nothing(_) if seen.provider_id.is_some() => vanished(seen, claim),
        Present::Nothing(plan) => make::<P>(seen, plan, Status { addresses: Vec::new(), ..seen.status.clone() }, now),
        Present::Something(found, plan) => complete::<P>(seen, found, plan, now),
    };
    if !seen.object.finalizer {
        plan.steps.insert(0, Step::Hold);
    }
    plan
}

/// The claim of a machine that need not wait for its place: nothing was ever made for it, and there is another place now.
fn elsewhere<P: MachineProvider>(wish: &P::Wish, seen: &Observed<P::Observed>, claim: &Claim) -> Option<Claim> {
    if seen.grounds != Grounds::NothingMade || seen.provider_id.is_some() || seen.looked.is_none() {
        return None;
    }
    let placement = P::place(&subject(seen), wish, &seen.outside).ok()?;
    (placement != claim.placement).then(|| Claim { token: claim.token.clone(), placement })
}

/// The claim of a machine that has its name, but was made without a token.
fn adopted<P: MachineProvider>(seen: &Observed<P::Observed>) -> Option<Claim> {
    let placement = P::adopt(seen.provider_id.as_ref()?)?;
    Some(Claim { token: seen.object.uid.clone(), placement })
}

/// Whether acting on this finding needs a look that shows everything: making, and calling a machine gone.
fn makes<P: MachineProvider>(present: &Present<Found, P::Step>) -> bool {
    match present {
        Present::Nothing(_) => true,
        Present::Something(_, plan) => plan.steps.iter().any(P::makes),
        Present::Unknown(_) => false,
    }
}

/// Nothing was ever made: the gates, then claim and make in one pass.
fn begin<P: MachineProvider>(wish: &P::Wish, seen: &Observed<P::Observed>) -> Plan<Step<P::Step>> {
    if let Some(blocked) = gate(seen) {
        return wait(seen, condition::Status::False, blocked);
    }
    let subject = subject(seen);
    let placement = match P::place(&subject, wish, &seen.outside) {
        Ok(placement) => placement,
        Err(blocked) => return unseen(seen, condition::Status::False, blocked),
    };
    let claim = Claim { token: seen.object.uid.clone(), placement };
    // The uid is new to the world, so whatever the look shows, it shows nothing with this token.
    let make = match P::present(&subject, &claim, wish, &seen.outside) {
        Present::Nothing(plan) => plan.steps,
        Present::Something(..) | Present::Unknown(_) => Vec::new(),
    };
    let plan = Plan::settled().then(Step::Claim(claim));
    make.into_iter().fold(plan, |plan, step| plan.then(effect::<P>(step)))
}

/// What keeps a machine from being made now.
fn gate<O>(seen: &Observed<O>) -> Option<Blocked> {
    let owner = match &seen.owner {
        Referred::NotSet => return Some(Blocked::new(reason::WAITING_FOR_MACHINE, "its Machine", "has not set itself as owner yet")),
        Referred::Astray { why } => return Some(Blocked::new(reason::WAITING_FOR_MACHINE, "its Machine", why)),
        Referred::Missing { name } => {
            return Some(Blocked::new(reason::OBJECT_DOES_NOT_EXIST, format!("Machine {name}, its owner,"), "does not exist"));
        }
        Referred::Found(owner) => owner,
    };
    match &seen.cluster {
        Referred::NotSet | Referred::Astray { .. } => {
            return Some(Blocked::new(reason::WAITING_FOR_CLUSTER, "its Machine's spec.clusterName", "names no Cluster"));
        }
        Referred::Missing { name } => {
            let on = format!("Cluster {name}, which its Machine's spec.clusterName names,");
            return Some(Blocked::new(reason::WAITING_FOR_CLUSTER, on, "does not exist"));
        }
        Referred::Found(cluster) if !cluster.infrastructure_provisioned => {
            let (on, why) = ("its Cluster's status.initialization.infrastructureProvisioned", "is not true yet");
            return Some(Blocked::new(reason::WAITING_FOR_CLUSTER_INFRASTRUCTURE_READY, on, why));
        }
        Referred::Found(_) => (),
    }
    match &owner.bootstrap {
        Bootstrap::NotSet => {
            let on = "its Machine's spec.bootstrap.dataSecretName";
            Some(Blocked::new(reason::WAITING_FOR_BOOTSTRAP_DATA, on, "is not set yet"))
        }
        Bootstrap::Missing { secret } => {
            let on = format!("Secret {secret}, which its Machine's spec.bootstrap.dataSecretName names,");
            Some(Blocked::new(reason::WAITING_FOR_BOOTSTRAP_DATA, on, "does not exist"))
        }
        Bootstrap::WithoutValue { secret } => {
            let why = format!("has nothing under key {}", bootstrap_secret::VALUE);
            Some(Blocked::new(reason::INVALID_BOOTSTRAP_DATA, format!("Secret {secret}"), why))
        }
        Bootstrap::Ready => None,
    }
}

fn effect<P: MachineProvider>(step: P::Step) -> Step<P::Step> {
    if P::makes(&step) { Step::Make(step) } else { Step::Change(step) }
}

/// Carries out the provider's plan, towards `status`. Making steps are gated, confirmed, and preceded by the telling of why the last try failed.
fn make<P: MachineProvider>(seen: &Observed<P::Observed>, plan: Plan<P::Step>, mut status: Status, now: Timestamp) -> Plan<Step<P::Step>> {
    // Nobody waits without a word, whatever the provider says.
    let mut plan = if plan.is_settled() { plan.waiting("the machine", "is not whole yet") } else { plan };
    let making = plan.steps.iter().any(P::makes);
    if making && let Some(blocked) = gate(seen) {
        return wait(seen, condition::Status::False, blocked);
    }
    for report in lifecycle::findings(&plan) {
        lifecycle::set(&mut status.conditions, report);
    }
    let failure = seen.failure.as_ref().filter(|_| !plan.steps.is_empty());
    let told = match failure {
        Some(Failure { cause }) => Some((reason::PROVISIONING_FAILED, cause.clone())),
        // What the next step may already have changed is not worth a write, nor is a wait that may be over at once.
        None if !plan.steps.is_empty() => None,
        None => match seen.grounds.fresh_until(BRIEF).filter(|until| now < *until) {
            Some(until) => {
                plan = plan.look_at(until);
                None
            }
            None => Some((reason::PROVISIONING, lifecycle::sentence(&plan.waits))),
        },
    };
    let mut steps = Vec::new();
    if let Some((reason, message)) = told {
        steps.extend(tell(seen, |told| {
            *told = status;
            lifecycle::set(&mut told.conditions, ready(condition::Status::False, reason, message));
        }));
    }
    // Every write confirms as well.
    if making && steps.is_empty() && seen.object.finalizer {
        steps.push(Step::Confirm);
    }
    steps.extend(plan.steps.into_iter().map(effect::<P>));
    Plan { steps, waits: plan.waits, findings: Vec::new(), again: plan.again }
}

/// Something is there: store its name, tell what it is, and complete it.
fn complete<P: MachineProvider>(seen: &Observed<P::Observed>, found: Found, plan: Plan<P::Step>, now: Timestamp) -> Plan<Step<P::Step>> {
    if let (Some(stored), Some(other)) = (&seen.provider_id, &found.provider_id)
        && stored != other
    {
        let message = format!("spec.providerID is {stored}, but the machine that carries the object's token is {other}");
        return rest(seen, without_steps(plan), |status| {
            lifecycle::set(&mut status.conditions, ready(condition::Status::False, reason::PROVIDER_ID_MISMATCH, message));
        });
    }
    let named = found.provider_id.is_some() || seen.provider_id.is_some();
    let new_id = found.provider_id.clone().filter(|_| seen.provider_id.is_none());
    let whole = named && found.provisioned && found.failed.is_none();
    let mut status = Status {
        provisioned: seen.status.provisioned || whole,
        addresses: found.addresses,
        failure_domain: found.failure_domain,
        conditions: Vec::new(),
    };
    let mut next = if let Some(why) = found.failed {
        status.conditions = lifecycle::findings(&plan).collect();
        let plan = without_steps(plan);
        rest(seen, plan, |told| {
            *told = status;
            lifecycle::set(&mut told.conditions, ready(condition::Status::False, reason::MACHINE_FAILED, why));
        })
    } else if whole && plan.is_settled() {
        status.conditions = lifecycle::findings(&plan).collect();
        rest(seen, without_steps(plan), |told| {
            *told = status;
            lifecycle::set(&mut told.conditions, ready(condition::Status::True, reason::READY, ""));
        })
    } else {
        make::<P>(seen, plan, status, now)
    };
    if let Some(id) = new_id {
        next.steps.retain(|step| *step != Step::Confirm);
        next.steps.insert(0, Step::Store(id));
    }
    next
}

/// The machine had its name and is there no more.
fn vanished<O, S>(seen: &Observed<O>, claim: &Claim) -> Plan<Step<S>> {
    let id = seen.provider_id.as_ref().map(ProviderId::as_str).unwrap_or_default();
    let place = if claim.placement.is_empty() { String::new() } else { format!(" at {}", claim.placement) };
    let message = format!("{id} is no longer there{place}; it is not made again: delete its Machine, or let a MachineHealthCheck do so");
    rest(seen, Plan::settled(), |status| {
        lifecycle::set(&mut status.conditions, ready(condition::Status::False, reason::MACHINE_VANISHED, message));
    })
}

/// Waits and says so.
fn wait<O, S>(seen: &Observed<O>, ready_is: condition::Status, blocked: Blocked) -> Plan<Step<S>> {
    let message = blocked.message();
    let plan = Plan::settled().waiting(blocked.on, blocked.why);
    rest(seen, plan, |status| lifecycle::set(&mut status.conditions, ready(ready_is, &blocked.reason, message)))
}

/// Waits for what the provider does not see, and says so; but a process that has not looked yet knows no news.
fn unseen<O, S>(seen: &Observed<O>, ready_is: condition::Status, blocked: Blocked) -> Plan<Step<S>> {
    if seen.looked.is_some() { wait(seen, ready_is, blocked) } else { Plan::settled().waiting(blocked.on, blocked.why) }
}

/// A plan that does nothing but tell, if there is news.
fn rest<O, S>(seen: &Observed<O>, mut plan: Plan<Step<S>>, change: impl FnOnce(&mut Status)) -> Plan<Step<S>> {
    plan.steps.extend(tell(seen, change));
    plan
}

/// The status after `change`, if that is news.
fn tell<O, S>(seen: &Observed<O>, change: impl FnOnce(&mut Status)) -> Option<Step<S>> {
    let mut status = seen.status.clone();
    change(&mut status);
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    lifecycle::set(&mut status.conditions, Report::paused(false));
    (status != seen.status || !seen.status_current).then_some(Step::Tell(status))
}

#[cfg(test)]
mod tests;
