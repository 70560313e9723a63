//! What a cluster is made of: its references, its hosts, its endpoint.

use capstead_capi::condition::kind;
use capstead_capi::condition::reason;
use capstead_microvm::machine::INVALID_SPEC;
use capstead_microvm::machine::NO_HOST;
use serde_json::Value;

use super::Rule;
use super::lasting;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::object::Object;
use crate::picture::Picture;
use crate::picture::endpoint;

pub(super) const RULES: &[Rule] = &[
    Rule { id: "host-pool", symptom: "applying the cluster template fails: no host is configured", find: pools },
    Rule { id: "control-plane-endpoint", symptom: "applying the cluster template: CONTROL_PLANE_VIP is not set", find: endpoints },
    Rule { id: "reference", symptom: "after applying the cluster template nothing happens", find: references },
];

/// What a MicrovmCluster says that waits for its endpoint.
const NO_ENDPOINT: &str = "the control plane's endpoint is not known";
const POOL: &str = "spec.placement.staticPool.hosts";

fn pools(picture: &Picture) -> Vec<Finding> {
    let empty = picture.objects("MicrovmCluster").filter(|cluster| cluster.items("/spec/placement/staticPool/hosts").next().is_none());
    let mut findings: Vec<Finding> = empty
        .map(|cluster| {
            let fix = format!("name at least one host as HOST:PORT in {POOL}");
            Finding::error(cluster.called(), "its pool names no host to place microVMs on", fix)
                .seen(cluster.called(), &format!("{POOL} is empty"))
        })
        .collect();
    for cluster in picture.objects("MicrovmCluster").filter(|cluster| cluster.items("/spec/placement/staticPool/hosts").next().is_some()) {
        let Some(ready) = cluster.lacks(kind::READY).filter(|ready| ready.reason == reason::PROVISIONING) else { continue };
        // That has a rule of its own.
        if ready.message.contains(NO_ENDPOINT) {
            continue;
        }
        let severity = lasting(picture, Some(ready.last_transition_time.0));
        let fix = "correct the field that is named; machines are made when the cluster's infrastructure is provisioned";
        let finding = Finding::new(severity, cluster.called(), "what it asks for cannot be", fix);
        findings.push(finding.seen(cluster.called(), &ready.message));
    }
    for machine in picture.machines() {
        let Some(ready) = machine.lacks(kind::READY) else { continue };
        let (cause, fix) = match ready.reason.as_str() {
            NO_HOST => ("no host of the pool can take the machine", format!("add the host to {POOL}, or take another failureDomain")),
            INVALID_SPEC => {
                ("a field breaks a rule", "correct the field that is named, in its template where it was made from one".to_owned())
            }
            _ => continue,
        };
        findings.push(Finding::error(machine.called(), cause, fix).seen(machine.called(), &ready.message));
    }
    let told = picture.logged(&["you must supply configuration for a placement option", "at least one host"]);
    if findings.is_empty() && !told.is_empty() {
        let fix = format!("name at least one host as HOST:PORT in {POOL} of the MicrovmCluster");
        findings.push(Finding::error("a MicrovmCluster", "its pool names no host to place microVMs on", fix).with(told));
    }
    findings
}

fn endpoints(picture: &Picture) -> Vec<Finding> {
    let without = picture.objects("MicrovmCluster").filter(|cluster| endpoint(cluster).is_none());
    let without = without.filter(|cluster| {
        let owner = picture.objects("Cluster").find(|owner| owner.namespace() == cluster.namespace() && owner.name() == cluster.cluster());
        owner.is_none_or(|owner| endpoint(owner).is_none())
    });
    let finding = |cluster: &Object| {
        let fix = "set spec.controlPlaneEndpoint there or on the Cluster (CONTROL_PLANE_VIP of the template), to a free address that both \
                   the management cluster and the microVMs' network reach; or make an ExternalLoadBalancer for the Cluster";
        let finding = Finding::error(cluster.called(), "nobody says at which address its control plane will be", fix);
        let told = cluster.lacks(kind::READY).map_or("spec.controlPlaneEndpoint is not set", |ready| ready.message.as_str());
        finding.seen(cluster.called(), told)
    };
    without.map(finding).collect()
}

/// The condition of a kind, and reasons of it that tell of a reference that leads nowhere.
const LOOSE: [(&str, &str, &[&str]); 5] = [
    ("Cluster", kind::INFRASTRUCTURE_READY, &[reason::OBJECT_DOES_NOT_EXIST, "ObjectDeleted"]),
    ("Machine", kind::INFRASTRUCTURE_READY, &[reason::OBJECT_DOES_NOT_EXIST, "ObjectDeleted"]),
    ("MicrovmCluster", kind::READY, &[reason::WAITING_FOR_CLUSTER, reason::OBJECT_DOES_NOT_EXIST]),
    ("MicrovmMachine", kind::READY, &[reason::WAITING_FOR_CLUSTER, reason::WAITING_FOR_MACHINE, reason::OBJECT_DOES_NOT_EXIST]),
    ("ExternalLoadBalancer", kind::READY, &[reason::WAITING_FOR_CLUSTER]),
];

fn references(picture: &Picture) -> Vec<Finding> {
    let paused = picture.objects("Cluster").filter(|cluster| cluster.field("/spec/paused").and_then(Value::as_bool) == Some(true));
    let mut findings: Vec<Finding> = paused
        .map(|cluster| {
            let fix = "`kubectl patch cluster NAME --type merge -p '{\"spec\":{\"paused\":false}}'`, when whoever paused it is done";
            let finding = Finding::new(Severity::Warning, cluster.called(), "it is paused: nothing is done for it", fix);
            finding.seen(cluster.called(), "spec.paused is true")
        })
        .collect();
    for (kind, type_, reasons) in LOOSE {
        for object in picture.objects(kind) {
            let Some(told) = object.lacks(type_).filter(|told| reasons.contains(&told.reason.as_str())) else { continue };
            let severity = lasting(picture, Some(told.last_transition_time.0));
            let fix =
                "apply what is missing, or correct the reference that names it; `capstead generate cluster` makes all objects of a cluster";
            let cause = "what it refers to, or what should refer to it, is not there";
            findings.push(Finding::new(severity, object.called(), cause, fix).seen(object.called(), &told.message));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
