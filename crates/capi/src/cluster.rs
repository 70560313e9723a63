//! The life cycle of an InfraCluster: pure, complete for contract `v1beta2`, and ignorant of the provider.
//!
//! It has the guards of [`crate::machine`], with one more: an InfraCluster holds what its machines need to be taken away (hosts, credentials), so it carries
//! the finalizer even where nothing outside is its own, and goes only after the last InfraMachine of its cluster. So `kubectl delete -f` of a whole
//! manifest ends well.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use capstead_reconcile::{Plan, Reconciler, Timestamp};

use crate::condition::{self, Report, reason};
use crate::lifecycle::{self, Absent, Blocked, Failure, Object, Present, Referred, ready};
use crate::ownership::{Claim, Grounds};
use crate::provider::{InfraClusterStatus, Initialization};
use crate::types::{ApiEndpoint, FailureDomain};

/// What a provider of clusters adds to the life cycle: pure functions over its own observation.
pub trait ClusterProvider {
    /// What one cluster's infrastructure should be.
    type Wish;
    /// What the provider sees outside.
    type Observed;
    /// One effect outside; idempotent where the outside allows it.
    type Step: Clone + Debug + Eq + Hash;

    /// How long after it was sent a making step may still land, at most; zero when nothing is made.
    const LANDING: Duration;

    /// Whether the step brings something into being that the object then owns.
    fn makes(step: &Self::Step) -> bool;

    /// What is there, and what is to be done so that it is whole. Owns only what carries the claim's token and the object's namespace and name.
    fn present(subject: &Subject<'_>, claim: &Claim, wish: &Self::Wish, seen: &Self::Observed) -> Present<Found, Self::Step>;

    /// What is left, and what is to be done so that nothing is.
    fn absent(subject: &Subject<'_>, claim: &Claim, wish: &Self::Wish, seen: &Self::Observed) -> Absent<Self::Step>;
}

/// The cluster a provider is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The InfraCluster's namespace.
    pub namespace: &'a str,
    /// The InfraCluster's name.
    pub name: &'a str,
    /// The endpoint, from the InfraCluster's spec or else from the Cluster's; a provider without load balancer waits for it.
    pub endpoint: Option<&'a ApiEndpoint>,
}

/// What is there of a cluster's infrastructure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    /// The endpoint the provider supplies, if it does. Stored in the spec while none is.
    pub endpoint: Option<ApiEndpoint>,
    /// Whether machines can be made.
    pub provisioned: bool,
    /// All failure domains, sorted by name.
    pub failure_domains: Vec<FailureDomain>,
}

/// The Cluster, as far as the life cycle reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.controlPlaneEndpoint`, when whole.
    pub endpoint: Option<ApiEndpoint>,
}

/// What the contract wants told of an InfraCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// `initialization.provisioned`; once true, always true.
    pub provisioned: bool,
    /// `failureDomains`, sorted by name. Core empties its own list when they are missing.
    pub failure_domains: Vec<FailureDomain>,
    /// `conditions`, sorted by type. Whoever writes them adds the generation of the object as it then is, and the times.
    pub conditions: Vec<Report>,
}

impl Status {
    /// What was told.
    #[must_use]
    pub fn read(told: &InfraClusterStatus) -> Self {
        Self {
            provisioned: told.initialization.as_ref().is_some_and(|marks| marks.provisioned == Some(true)),
            failure_domains: told.failure_domains.iter().cloned().collect(),
            conditions: lifecycle::reports(&told.conditions),
        }
    }

    /// Tells it, over what was told; see [`crate::machine::Status::write`].
    pub fn write(&self, told: &mut InfraClusterStatus, generation: Option<i64>, now: Timestamp) {
        if self.provisioned {
            told.initialization = Some(Initialization { provisioned: Some(true) });
        }
        told.failure_domains = self.failure_domains.clone().into();
        lifecycle::write(&self.conditions, &mut told.conditions, generation, now);
    }
}

/// Everything the life cycle of one InfraCluster looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed<O> {
    /// The InfraCluster.
    pub object: Object,
    /// Its `spec.controlPlaneEndpoint`, when whole.
    pub endpoint: Option<ApiEndpoint>,
    /// What was last told.
    pub status: Status,
    /// Whether all of that was told for the object's present generation.
    pub status_current: bool,
    /// Its Cluster.
    pub owner: Referred<Owner>,
    /// How many InfraMachines of the cluster there are, from a list that is not older than the object's deletion.
    pub machines: usize,
    /// What this process knows of what it made.
    pub grounds: Grounds,
    /// When the look at the outside began, the oldest of several, and whether or not it succeeded; `None` while this process has not looked yet. Where
    /// nothing is outside: now.
    pub looked: Option<Timestamp>,
    /// How the last pass failed, if it did.
    pub failure: Option<Failure>,
    /// What the provider saw.
    pub outside: O,
}

/// One effect on an InfraCluster.
pub type Step<S> = lifecycle::Step<S, ApiEndpoint, Status>;

/// The life cycle of a provider's InfraCluster.
#[derive(Debug)]
pub struct Lifecycle<P>(PhantomData<P>);

impl<P: ClusterProvider> Reconciler for Lifecycle<P> {
    type Wish = P::Wish;
    type Observed = Observed<P::Observed>;
    type Step = Step<P::Step>;

    fn plan(wish: &P::Wish, seen: &Self::Observed, now: Timestamp) -> Plan<Self::Step> {
        let object = &seen.object;
        if !object.watched {
            return Plan::settled();
        }
        if object.externally_managed {
            // Whoever manages it says when it goes. What it was born with must not keep it, and all it was born with is the finalizer.
            let held = object.deleting && object.finalizer && object.claim.is_none();
            return if held { Plan::settled().then(Step::Release { cost: None }) } else { Plan::settled() };
        }
        if object.paused || matches!(seen.owner, Referred::Found(Owner { paused: true, .. })) {
            let mut status = seen.status.clone();
            lifecycle::set(&mut status.conditions, Report::paused(true));
            let plan = Plan::settled();
            return if status == seen.status { plan } else { plan.then(Step::Tell(status)) };
        }
        if object.deleting { gone::<P>(wish, seen, now) } else { there::<P>(wish, seen, now) }
    }
}

fn subject<O>(seen: &Observed<O>) -> Subject<'_> {
    let owners = match &seen.owner {
        Referred::Found(owner) => owner.endpoint.as_ref(),
        _ => None,
    };
    Subject { namespace: &seen.object.namespace, name: &seen.object.name, endpoint: seen.endpoint.as_ref().or(owners) }
}

/// The object should go, after the machines that need it.
fn gone<P: ClusterProvider>(wish: &P::Wish, seen: &Observed<P::Observed>, now: Timestamp) -> Plan<Step<P::Step>> {
    let object = &seen.object;
    if !object.finalizer && object.claim.is_none() {
        return Plan::settled();
    }
    if seen.machines > 0 {
        let on = format!("{} machine{} of its cluster", seen.machines, if seen.machines == 1 { "" } else { "s" });
        // Without the number: it changes with each machine that goes, and each change would be a write.
        let message = "machines of its cluster are still there and need it";
        return rest(seen, Plan::settled().waiting(on, "must go first"), |status| {
            lifecycle::set(&mut status.conditions, ready(condition::Status::False, reason::WAITING_FOR_MACHINES, message));
        });
    }
    let leaving = lifecycle::leave(object, seen.grounds, seen.looked, seen.failure.as_ref(), now, |claim| {
        P::absent(&subject(seen), claim, wish, &seen.outside)
    });
    let mut plan = lifecycle::without_steps(leaving.plan);
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

/// The object should be there, and what is its own outside.
fn there<P: ClusterProvider>(wish: &P::Wish, seen: &Observed<P::Observed>, now: Timestamp) -> Plan<Step<P::Step>> {
    match &seen.owner {
        // Nothing is written, not even a condition, before core has made the object its Cluster's.
        Referred::NotSet => return Plan::settled().waiting("its Cluster", "has not set itself as owner yet"),
        Referred::Astray { why } if seen.object.claim.is_none() => {
            return wait(seen, condition::Status::False, Blocked::new(reason::WAITING_FOR_CLUSTER, "its Cluster", why));
        }
        Referred::Missing { name } if seen.object.claim.is_none() => {
            let on = format!("Cluster {name}, its owner,");
            return wait(seen, condition::Status::False, Blocked::new(reason::WAITING_FOR_CLUSTER, on, "does not exist"));
        }
        Referred::Astray { .. } | Referred::Missing { .. } | Referred::Found(_) => (),
    }
    let subject = subject(seen);
    let new = Claim { token: seen.object.uid.clone(), placement: String::new() };
    let claim = seen.object.claim.as_ref().unwrap_or(&new);
    let present = P::present(&subject, claim, wish, &seen.outside);
    let mut plan = match present {
        // The uid is new to the world: whatever the look shows, nothing in it carries this token.
        present if seen.object.claim.is_none() => {
            let steps = match present {
                Present::Nothing(plan) | Present::Something(_, plan) => plan.steps,
                Present::Unknown(_) => Vec::new(),
            };
            let plan = Plan::settled().then(Step::Claim(new));
            return steps.into_iter().fold(plan, |plan, step| plan.then(effect::<P>(step)));
        }
        // A process that has not looked yet knows no news.
        Present::Unknown(blocked) if seen.looked.is_none() => Plan::settled().waiting(blocked.on, blocked.why),
        Present::Unknown(blocked) => {
            let status = if seen.status.provisioned { condition::Status::Unknown } else { condition::Status::False };
            wait(seen, status, blocked)
        }
        Present::Nothing(ref plan) | Present::Something(_, ref plan)
            if plan.steps.iter().any(P::makes) && !seen.grounds.cover(seen.looked) =>
        {
            let (on, why) = ("a look at the outside", "must begin after the last thing made for this object could have landed");
            Plan::settled().waiting(on, why).look_at(seen.grounds.look_at(now))
        }
        Present::Nothing(plan) => complete::<P>(seen, Found::default(), plan),
        Present::Something(found, plan) => complete::<P>(seen, found, plan),
    };
    if !seen.object.finalizer {
        plan.steps.insert(0, Step::Hold);
    }
    plan
}

fn effect<P: ClusterProvider>(step: P::Step) -> Step<P::Step> {
    if P::makes(&step) { Step::Make(step) } else { Step::Change(step) }
}

/// Stores the endpoint, tells what is there, and completes it.
fn complete<P: ClusterProvider>(seen: &Observed<P::Observed>, found: Found, plan: Plan<P::Step>) -> Plan<Step<P::Step>> {
    let whole = found.provisioned && plan.is_settled();
    let condition = match &seen.failure {
        _ if whole => Some(ready(condition::Status::True, reason::READY, "")),
        Some(Failure { cause }) if !plan.steps.is_empty() => {
            Some(ready(condition::Status::False, reason::PROVISIONING_FAILED, cause.clone()))
        }
        _ if plan.steps.is_empty() => Some(ready(condition::Status::False, reason::PROVISIONING, lifecycle::sentence(&plan.waits))),
        // What the next step may already have changed is not worth a write.
        _ => None,
    };
    let mut steps = Vec::new();
    if let Some(endpoint) = found.endpoint.filter(|endpoint| endpoint.is_whole() && subject(seen).endpoint.is_none()) {
        steps.push(Step::Store(endpoint));
    }
    if let Some(condition) = condition {
        steps.extend(tell(seen, |status| {
            status.provisioned |= whole;
            if !found.failure_domains.is_empty() || whole {
                status.failure_domains = found.failure_domains;
            }
            status.conditions = lifecycle::findings(&plan).collect();
            status.conditions.push(condition);
        }));
    }
    // Every write confirms as well.
    if steps.is_empty() && seen.object.finalizer && plan.steps.iter().any(P::makes) {
        steps.push(Step::Confirm);
    }
    steps.extend(plan.steps.into_iter().map(effect::<P>));
    Plan { steps, waits: plan.waits, findings: Vec::new(), again: plan.again }
}

/// Waits and says so.
fn wait<O, S>(seen: &Observed<O>, ready_is: condition::Status, blocked: Blocked) -> Plan<Step<S>> {
    let message = blocked.message();
    let plan = Plan::settled().waiting(blocked.on, blocked.why);
    rest(seen, plan, |status| lifecycle::set(&mut status.conditions, ready(ready_is, &blocked.reason, message)))
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
