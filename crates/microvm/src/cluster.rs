//! What this provider adds to the life cycle of a cluster: its hosts, as failure domains. Nothing outside is the cluster's own.

use std::convert::Infallible;
use std::time::Duration;

use capstead_capi::cluster::{ClusterProvider, Found, Subject};
use capstead_capi::lifecycle::{Absent, Present};
use capstead_capi::ownership::Claim;
use capstead_capi::types::FailureDomain;
use capstead_engine::Violation;
use capstead_reconcile::Plan;

use crate::api::v1alpha2::MicrovmCluster;
use crate::machine::{Host, hosts};
use crate::validate::validate_cluster;

/// The most failure domains that contract `v1beta2` takes.
const MOST_DOMAINS: usize = 100;

/// The provider of clusters.
#[derive(Debug)]
pub struct Pools;

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
    type Observed = ();
    type Step = Infallible;

    const LANDING: Duration = Duration::ZERO;

    fn makes(step: &Infallible) -> bool {
        match *step {}
    }

    /// Whole when its hosts are known and so is the endpoint: without a load balancer of its own, somebody else has to name it.
    fn present(subject: &Subject<'_>, _: &Claim, wish: &Wish, (): &()) -> Present<Found, Infallible> {
        let mut found = Found::default();
        let mut plan = Plan::settled();
        for Violation { field, rule } in &wish.violations {
            plan = plan.waiting(field, rule);
        }
        // Of a pool that breaks rules the domains stay as they were told: core drops what is not told again.
        if wish.violations.is_empty() {
            found.failure_domains = failure_domains(&wish.hosts);
        }
        if subject.endpoint.is_none() {
            plan = plan.waiting("the control plane's endpoint", "is not known: set spec.controlPlaneEndpoint here or on the Cluster");
        }
        found.provisioned = plan.is_settled();
        Present::Something(found, plan)
    }

    fn absent(_: &Subject<'_>, _: &Claim, _: &Wish, (): &()) -> Absent<Infallible> {
        Absent::Nothing
    }
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
