//! What an ExternalLoadBalancer is told: whether anybody answers there, and whether its cluster is reached through it. Somebody else made it, so nothing outside is
//! its own.

use std::sync::Arc;

use capstead_capi::condition::{Report, Status, kind, reason};
use capstead_capi::meta::{self, GROUP, label};
use capstead_capi::types::ApiEndpoint;
use capstead_provider::Write;
use capstead_reconcile::{Plan, Reconciler, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use serde_json::json;

use crate::api::v1alpha2::ExternalLoadBalancer;
use crate::cluster::load_balancer;
use crate::machine::INVALID_SPEC;
use crate::validate::validate_load_balancer;

/// The condition that tells whether the cluster is reached through the load balancer.
pub const IN_USE: &str = "InUse";
/// Its reason where the cluster has another endpoint, which is never changed.
pub const OTHER_ENDPOINT: &str = "OtherEndpoint";
/// Its reason where an older load balancer names the same cluster.
pub const OLDER_LOAD_BALANCER: &str = "OlderLoadBalancer";

/// The life of an ExternalLoadBalancer, whose own wish it is.
#[derive(Debug)]
pub struct Balancing;

/// What was seen for a load balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Whether anybody answers there, or why not; `None` while nobody looked.
    pub answers: Option<Result<(), String>>,
    /// The cluster, once it was looked at.
    pub cluster: Option<Cluster>,
    /// An older load balancer of the same cluster.
    pub older: Option<String>,
}

/// What is known of a load balancer's cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The MicrovmCluster.
    pub name: String,
    /// The endpoint that it has, or is about to get.
    pub endpoint: Option<ApiEndpoint>,
    /// The Cluster.
    pub owner: OwnerReference,
    /// Whether that is paused.
    pub paused: bool,
}

/// The load balancer through which a cluster is reached that has no endpoint yet: the oldest of its own that can be asked at all.
pub(crate) fn first(all: impl Iterator<Item = Arc<ExternalLoadBalancer>>) -> Option<Arc<ExternalLoadBalancer>> {
    let usable = all.filter(|balancer| balancer.metadata.deletion_timestamp.is_none() && validate_load_balancer(balancer).is_empty());
    usable.min_by_key(|balancer| (balancer.creation_timestamp().map(|time| time.0), balancer.name_any()))
}

impl Reconciler for Balancing {
    type Wish = ExternalLoadBalancer;
    type Observed = Observed;
    type Step = Write;

    fn plan(balancer: &ExternalLoadBalancer, seen: &Observed, now: Timestamp) -> Plan<Write> {
        if meta::has_paused_annotation(balancer) || seen.cluster.as_ref().is_some_and(|cluster| cluster.paused) {
            return tell(balancer, Plan::settled(), vec![Report::paused(true)], now);
        }
        let joined = seen.cluster.as_ref().and_then(|cluster| join(balancer, cluster));
        let plan = joined.into_iter().fold(Plan::settled(), Plan::then);
        // A process that has not looked yet knows no news.
        let Some(answers) = &seen.answers else { return plan.waiting(balancer.endpoint().to_string(), "was not asked yet") };
        let (available, in_use) = (Report::from(&load_balancer(answers)), in_use(balancer, seen));
        let lacking = [&in_use, &available].into_iter().find(|report| report.status != Status::True);
        let ready = match lacking {
            None => Report::new(kind::READY, Status::True, reason::READY),
            Some(lacking) => Report { type_: kind::READY.into(), ..lacking.clone() },
        };
        tell(balancer, plan, vec![available, in_use, ready, Report::paused(false)], now)
    }
}

/// It goes where its Cluster goes: owned by that, it is moved and deleted with it.
fn join(balancer: &ExternalLoadBalancer, cluster: &Cluster) -> Option<Write> {
    let is_owned = meta::owner_cluster(balancer).is_some_and(|owner| owner.uid == cluster.owner.uid);
    if is_owned && meta::cluster_name(balancer) == Some(&cluster.owner.name) {
        return None;
    }
    let is_other = |owner: &&OwnerReference| !(owner.kind == "Cluster" && owner.api_version.starts_with(&format!("{GROUP}/")));
    let mut owners: Vec<OwnerReference> = balancer.owner_references().iter().filter(is_other).cloned().collect();
    owners.push(OwnerReference { controller: None, block_owner_deletion: None, ..cluster.owner.clone() });
    Some(Write::Metadata(json!({"metadata": {"ownerReferences": owners, "labels": {label::CLUSTER_NAME: cluster.owner.name}}})))
}

fn in_use(balancer: &ExternalLoadBalancer, seen: &Observed) -> Report {
    let (name, endpoint) = (&balancer.spec.cluster_name, balancer.endpoint());
    let violations = validate_load_balancer(balancer);
    let no = |reason: &str, message: String| Report::new(IN_USE, Status::False, reason).message(message);
    if !violations.is_empty() {
        let each: Vec<String> = violations.iter().map(ToString::to_string).collect();
        return no(INVALID_SPEC, each.join("; "));
    }
    let Some(cluster) = &seen.cluster else {
        // After a start nothing of clusters is known for a moment; what was told stays.
        let told = balancer.status.as_ref().and_then(|status| status.conditions.get(IN_USE));
        return match told {
            Some(told) => Report::new(IN_USE, told.status, told.reason.clone()).message(told.message.clone()),
            None => no(reason::WAITING_FOR_CLUSTER, format!("Cluster {name} has no MicrovmCluster yet")),
        };
    };
    let used = cluster.endpoint.as_ref();
    match (used, &seen.older) {
        (Some(used), _) if *used == endpoint => Report::new(IN_USE, Status::True, IN_USE),
        (_, Some(older)) => no(OLDER_LOAD_BALANCER, format!("ExternalLoadBalancer {older} is older, and for Cluster {name}, too")),
        (Some(used), None) => no(OTHER_ENDPOINT, format!("MicrovmCluster {} has endpoint {used} already, which stays", cluster.name)),
        (None, None) => no(reason::WAITING_FOR_CLUSTER, format!("MicrovmCluster {} has no endpoint yet", cluster.name)),
    }
}

/// Adds a write of the status, if these are news.
fn tell(balancer: &ExternalLoadBalancer, plan: Plan<Write>, reports: Vec<Report>, now: Timestamp) -> Plan<Write> {
    let told = balancer.status.clone().unwrap_or_default();
    let mut status = told.clone();
    for report in reports {
        status.conditions.set(report, balancer.metadata.generation, now);
    }
    status.ready = status.conditions.is_true(kind::READY);
    if status == told { plan } else { plan.then(Write::Status(json!(status))) }
}

#[cfg(test)]
mod tests;
