//! What this provider adds to the life cycle of a cluster: its hosts, as failure domains, and whether they and the control plane answer. Nothing outside
//! is the cluster's own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use capstead_capi::cluster::{ClusterProvider, Found, Subject};
use capstead_capi::lifecycle::{Absent, Present};
use capstead_capi::ownership::Claim;
use capstead_capi::types::{ApiEndpoint, FailureDomain};
use capstead_engine::Violation;
use capstead_reconcile::{Finding, Plan, Truth};

use crate::api::v1alpha2::MicrovmCluster;
use crate::machine::{HOST_UNREACHABLE, Host, hosts};
use crate::validate::validate_cluster;

/// The most failure domains that contract `v1beta2` takes.
const MOST_DOMAINS: usize = 100;

/// The condition that tells whether the control plane answers at its endpoint. Ready does not wait for it: the control plane comes after the endpoint.
pub const LOAD_BALANCER_AVAILABLE: &str = "LoadBalancerAvailable";
/// Its reason while nothing answers.
pub const LOAD_BALANCER_NOT_AVAILABLE: &str = "LoadBalancerNotAvailable";
/// The condition that tells of hosts that do not answer, as far as anybody asked them.
pub const HOSTS_AVAILABLE: &str = "HostsAvailable";

/// The provider of clusters.
#[derive(Debug)]
pub struct Pools;

/// What was seen for a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Whether the control plane answers at its endpoint, or why not; `None` while nobody looked.
    pub answers: Option<Result<(), String>>,
    /// The endpoint that an ExternalLoadBalancer supplies, for a cluster of which nothing else says one.
    pub supplied: Option<ApiEndpoint>,
    /// The hosts that do not answer, and why.
    pub down: BTreeMap<String, String>,
}

/// What is asked of this provider for one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The pool.
    pub hosts: Vec<Host>,
    /// What is wrong with it.
    pub violations: Vec<Violation>,
}

impl Wish {
    /// What the object asks for.
    #[must_use]
    pub fn of(cluster: &MicrovmCluster) -> Self {
        Self { hosts: hosts(cluster), violations: validate_cluster(cluster) }
    }
}

impl ClusterProvider for Pools {
    type Wish = Wish;
    type Observed = Observed;
    type Step = Infallible;

    const LANDING: Duration = Duration::ZERO;

    fn makes(step: &Infallible) -> bool {
        match *step {}
    }

    /// Whole when its hosts are known and so is the endpoint: without a load balancer of its own, somebody else has to name it. Whether anybody answers there
    /// makes no difference: the control plane comes after the endpoint.
    fn present(subject: &Subject<'_>, _: &Claim, wish: &Wish, seen: &Observed) -> Present<Found, Infallible> {
        let mut found = Found { endpoint: seen.supplied.clone(), ..Found::default() };
        let mut plan = Plan::settled();
        for Violation { field, rule } in &wish.violations {
            plan = plan.waiting(field, rule);
        }
        // Of a pool that breaks rules the domains stay as they were told: core drops what is not told again.
        if wish.violations.is_empty() {
            found.failure_domains = failure_domains(&wish.hosts);
        }
        if subject.endpoint.is_none() && seen.supplied.is_none() {
            let why = "is not known: set spec.controlPlaneEndpoint here or on the Cluster, or make an ExternalLoadBalancer for the Cluster";
            plan = plan.waiting("the control plane's endpoint", why);
        }
        found.provisioned = plan.is_settled();
        if let Some(answers) = &seen.answers {
            plan = plan.finding(load_balancer(answers));
        }
        Present::Something(found, plan.finding(hosts_available(&seen.down)))
    }

    fn absent(_: &Subject<'_>, _: &Claim, _: &Wish, _: &Observed) -> Absent<Infallible> {
        Absent::Nothing
    }
}

/// Whether it answers, in the same words for clusters and load balancers.
pub(crate) fn load_balancer(answers: &Result<(), String>) -> Finding {
    let (truth, reason, message) = match answers {
        Ok(()) => (Truth::True, LOAD_BALANCER_AVAILABLE, String::new()),
        Err(why) => (Truth::False, LOAD_BALANCER_NOT_AVAILABLE, format!("control plane load balancer isn't available: {why}")),
    };
    Finding { about: LOAD_BALANCER_AVAILABLE.into(), truth, reason: reason.into(), message }
}

fn hosts_available(down: &BTreeMap<String, String>) -> Finding {
    let each: Vec<String> = down.iter().map(|(host, cause)| format!("host {host} does not answer: {cause}")).collect();
    let (truth, reason) = if each.is_empty() { (Truth::True, "NoneIsDown") } else { (Truth::False, HOST_UNREACHABLE) };
    Finding { about: HOSTS_AVAILABLE.into(), truth, reason: reason.into(), message: each.join("; ") }
}

/// The hosts as failure domains, sorted. Of more than the contract takes, those for control planes come first; machines are still
/// placed on all hosts.
fn failure_domains(hosts: &[Host]) -> Vec<FailureDomain> {
    let mut hosts: Vec<&Host> = hosts.iter().collect();
    hosts.sort_by_key(|host| (!host.control_plane_allowed, &host.endpoint));
    hosts.truncate(MOST_DOMAINS);
    hosts.sort_by_key(|host| &host.endpoint);
    hosts.into_iter().map(|host| FailureDomain::new(&host.endpoint, host.control_plane_allowed)).collect()
}

#[cfg(test)]
mod tests;
