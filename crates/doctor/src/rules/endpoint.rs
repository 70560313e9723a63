//! A cluster's address: from where its controllers run to its control plane.

use std::collections::BTreeMap;

use capstead_capi::condition::kind;
use jiff::Timestamp;

use super::Rule;
use super::lasting;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::object::Object;
use crate::picture::Picture;
use crate::picture::Reach;
use crate::picture::endpoint;

pub(super) const RULES: &[Rule] = &[
    Rule { id: "vip-unreachable", symptom: "connection to the workload cluster is down; connect: no route to host", find: unreachable },
    Rule { id: "vip-twice", symptom: "the control plane VIP is in use by something else", find: twice },
];

/// Core's condition of Clusters that tells whether their API answers.
const PROBE: &str = "RemoteConnectionProbe";

fn unreachable(picture: &Picture) -> Vec<Finding> {
    let mut findings: Vec<Finding> = picture.objects("Cluster").filter_map(|cluster| silent(picture, cluster)).collect();
    let told = picture.logged(&["connection to the workload cluster is down", "connect: no route to host"]);
    match (findings.first_mut(), told.is_empty()) {
        (_, true) => (),
        (Some(first), _) => *first = first.clone().with(told),
        (None, _) => {
            let cause = "Cluster API's controllers do not reach the control plane's address. Until the first control plane machine is up, and with hosts \
                         that only simulate microVMs, that is expected";
            let fix = "take a VIP that routes from where the controllers run: with kind, an address of the kind network; with a plane, any that this machine reaches. \
                       With --kubeconfig this command tries it";
            findings.push(Finding::new(Severity::Warning, "a control plane's address", cause, fix).with(told));
        }
    }
    findings
}

/// Why the cluster's API does not answer; `None` where it does, or where nobody knows yet.
fn silent(picture: &Picture, cluster: &Object) -> Option<Finding> {
    let address = endpoint(cluster)?;
    let probe = cluster.lacks(PROBE)?;
    let reach = picture.reached.get(&address);
    let initialized = cluster.is(kind::CONTROL_PLANE_INITIALIZED);
    let (severity, cause, fix) = match (since(picture, cluster, initialized, probe.last_transition_time.0), reach) {
        (None, _) => (
            Severity::Note,
            "nobody serves it yet: no machine of the control plane is there, so this is expected".to_owned(),
            "look at what holds up the first control plane machine; that is told beside this",
        ),
        (Some(since), Some(Reach::Refused)) => (
            lasting(picture, Some(since)),
            format!("{address} is there, and nobody serves the API on it: kubeadm is not done yet, failed, or its API server is down"),
            "look at the guest: `capstead vm logs NAMESPACE/NAME`; kube-vip or keepalived must take the VIP on the interface of the microVMs' network",
        ),
        (Some(since), Some(Reach::NoRoute)) => (
            lasting(picture, Some(since)),
            format!("no way leads to {address} from here"),
            "take a VIP that routes from where Cluster API's controllers run (with kind: an address of the kind network), and that microVMs can have on their own network",
        ),
        (Some(since), Some(Reach::Open)) => (
            lasting(picture, Some(since)),
            format!("{address} answers from here, but not from where Cluster API's controllers run"),
            "look from there: `kubectl debug` a pod, or `docker exec` the kind node; routes and firewalls between; Cluster API tries again every 30 s",
        ),
        (Some(since), Some(Reach::Silent | Reach::Failed(_)) | None) => (
            lasting(picture, Some(since)),
            format!("{address} does not answer: no machine has taken the address, its API server hangs, or packets to it are dropped"),
            "on the microVMs' network: `arping ADDRESS`; look at the guest's console, and whether kube-vip or keepalived runs there; the VIP must lie outside of DHCP's range",
        ),
    };
    let mut finding = Finding::new(severity, cluster.called(), cause, fix).seen(cluster.called(), &probe.message);
    if let Some(reach) = reach {
        finding = finding.seen(address, &reach.to_string());
    }
    Some(finding)
}

/// Since when somebody should answer: since it was lost, or since the first machine of the control plane is there. `None` where none is.
fn since(picture: &Picture, cluster: &Object, initialized: bool, lost: Timestamp) -> Option<Timestamp> {
    if initialized {
        return Some(lost);
    }
    let machines = picture.machines().filter(|machine| machine.namespace() == cluster.namespace() && machine.cluster() == cluster.name());
    let ready = machines.filter(|machine| machine.is_control_plane() && machine.is(kind::READY));
    ready.filter_map(|machine| Some(machine.condition(kind::READY)?.last_transition_time.0)).min()
}

fn twice(picture: &Picture) -> Vec<Finding> {
    let mut owners: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
    for cluster in picture.objects("Cluster") {
        if let Some(address) = endpoint(cluster) {
            owners.entry(address).or_default().push(cluster);
        }
    }
    let shared = owners.into_iter().filter(|(_, clusters)| clusters.len() > 1);
    let finding = |(address, clusters): (String, Vec<&Object>)| {
        let cause = format!("several Clusters have {address}; only one of them can answer there");
        let finding =
            Finding::new(Severity::Warning, address, cause, "give each an address of its own (CONTROL_PLANE_VIP), outside of DHCP's range");
        clusters.into_iter().fold(finding, |finding, cluster| finding.seen(cluster.called(), "spec.controlPlaneEndpoint"))
    };
    shared.map(finding).chain(given_out(picture)).collect()
}

/// Machines to which DHCP, or their own spec, has given the address of a control plane. Those of the control plane itself take turns at it.
fn given_out(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    for cluster in picture.objects("Cluster") {
        let Some(host) = cluster.field("/spec/controlPlaneEndpoint/host").and_then(serde_json::Value::as_str) else { continue };
        for machine in picture.machines() {
            let of_its_own =
                machine.namespace() == cluster.namespace() && machine.cluster() == cluster.name() && machine.is_control_plane();
            let addresses = machine.field("/status/addresses").and_then(serde_json::Value::as_array).into_iter().flatten();
            if !of_its_own && addresses.into_iter().any(|address| address["address"] == host) {
                let cause = format!("{} has {host}, the address of the control plane of {}", machine.called(), cluster.called());
                let fix = "take it out of DHCP's range (`capstead host check --vip ADDRESS --subnet CIDR` tells), then replace that machine: `kubectl delete machine`";
                let finding = Finding::new(Severity::Error, host, cause, fix);
                findings.push(finding.seen(machine.called(), "status.addresses").seen(cluster.called(), "spec.controlPlaneEndpoint"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
