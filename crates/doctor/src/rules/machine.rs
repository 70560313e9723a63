//! A machine whose host was asked to make its microVM.

use capstead_capi::condition::Condition;
use capstead_capi::condition::kind;
use capstead_capi::condition::reason;
use capstead_microvm::machine::HOST_UNREACHABLE;
use capstead_microvm::machine::INVALID_SPEC;
use capstead_microvm::machine::NO_HOST;

use super::Rule;
use super::lasting;
use super::prepared;
use crate::finding::Finding;
use crate::object::Object;
use crate::picture::Host;
use crate::picture::MicroVm;
use crate::picture::Picture;

pub(super) const RULES: &[Rule] = &[
    Rule { id: "macvtap", symptom: "creating microvm: macvtap network interfaces not supported by the microvm provider", find: macvtap },
    Rule { id: "refused", symptom: "the host refuses CreateMicroVM", find: refused },
    Rule { id: "provisioning", symptom: "MicroVMs are stuck in Provisioning; their version grows", find: provisioning },
    Rule { id: "machine-lost", symptom: "a MicroVM is FAILED, or gone", find: lost },
    Rule { id: "not-ready", symptom: "a machine is not ready, and no other rule says why", find: others },
];

/// What flintlock says.
const MACVTAP: &str = "macvtap network interfaces not supported";
/// Of upstream's manager, when the call failed.
const PROVISION_FAILED: &str = "MicrovmProvisionFailed";
/// Of upstream's manager, while the host is at it.
const PENDING: &str = "MicrovmPending";

fn macvtap(picture: &Picture) -> Vec<Finding> {
    let told = picture.said(&[MACVTAP]);
    if told.is_empty() {
        return Vec::new();
    }
    let cause =
        "the host would run the microVM with a VMM that takes no macvtap: flintlockd refuses it for Firecracker, whichever build that is";
    let fix = "set `type: tap` on each of the template's networkInterfaces, and give the host a bridge (`--bridge-name`); \
               or have it run by Cloud Hypervisor or QEMU (`provider` in the spec, `--default-provider` of the host)";
    vec![Finding::error("machines with macvtap", cause, fix).with(told)]
}

/// Machines that are not ready, and why.
fn unready(picture: &Picture) -> impl Iterator<Item = (&Object, &Condition)> {
    picture.machines().filter_map(|machine| Some((machine, machine.lacks(kind::READY)?)))
}

/// With what its host and its guest say.
fn told_by_host(mut finding: Finding, picture: &Picture, machine: &Object) -> Finding {
    for (host, microvm) in picture.microvms_of(machine) {
        finding = finding.seen(format!("microVM {} on host {}", microvm.uid, host.name), &state(microvm));
        if let Some(last) = microvm.console.iter().rev().find(|line| !line.trim().is_empty()) {
            finding = finding.seen(format!("console of {}/{}, at its end", microvm.namespace, microvm.name), last);
        }
    }
    finding
}

fn state(microvm: &MicroVm) -> String {
    let mut text = microvm.state.clone();
    if microvm.retry > 0 {
        text += &format!(", failed {} times in a row", microvm.retry);
    }
    // A version is no count of crashes; one that is high tells of the same failure again and again.
    if microvm.version > 10 {
        text += &format!(", stored {} times", microvm.version);
    }
    if !microvm.cause.is_empty() {
        text += &format!(": {}", microvm.cause);
    }
    text
}

fn refused(picture: &Picture) -> Vec<Finding> {
    let refused = unready(picture).filter(|(_, ready)| [reason::PROVISIONING_FAILED, PROVISION_FAILED].contains(&ready.reason.as_str()));
    // What is refused for a reason that has a rule of its own is told there.
    let unexplained = refused.filter(|(_, ready)| !ready.message.contains(MACVTAP) && !prepared::explains(&ready.message));
    let finding = |(machine, ready): (&Object, &Condition)| {
        let fix =
            "correct what the message names, in the template; `journalctl -u capstead-host -u flintlockd -n 20` on the host may tell more";
        let finding = Finding::error(machine.called(), "its host does not take the microVM's spec, or failed at it", fix);
        told_by_host(finding.seen(machine.called(), &ready.message), picture, machine)
    };
    unexplained.map(finding).collect()
}

fn provisioning(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (machine, ready) in unready(picture).filter(|(_, ready)| [reason::PROVISIONING, PENDING].contains(&ready.reason.as_str())) {
        let microvms: Vec<(&Host, &MicroVm)> = picture.microvms_of(machine).collect();
        let stuck = microvms.iter().find(|(_, microvm)| !microvm.cause.is_empty() || microvm.retry > 0);
        let severity = lasting(picture, Some(ready.last_transition_time.0));
        let (cause, fix) = match (stuck, microvms.first()) {
            (Some((host, microvm)), _) if microvm.cause.is_empty() => (
                format!("host {} fails at making it, again and again", host.name),
                "its daemon's log tells why: `journalctl -u flintlockd -n 50`; a spec's version grows with each try, and counts no crashes"
                    .to_owned(),
            ),
            (Some((host, microvm)), _) => (
                format!("host {} cannot make it: {}", host.name, microvm.cause),
                "mend what the host names; it goes on by itself".to_owned(),
            ),
            (None, Some((host, _))) => (
                format!("host {} is at it: an image is pulled or unpacked, or nothing happens there", host.name),
                "`capstead host check` on that host; pull images there before: `capstead image pull IMAGE`".to_owned(),
            ),
            (None, None) => (
                "its host says that it is at it, and was not asked by this command".to_owned(),
                "name the host with --host, so that its own words are told".to_owned(),
            ),
        };
        let finding = Finding::new(severity, machine.called(), cause, fix).seen(machine.called(), &ready.message);
        findings.push(told_by_host(finding, picture, machine));
    }
    findings
}

fn lost(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (machine, ready) in unready(picture) {
        let cause = match ready.reason.as_str() {
            reason::MACHINE_FAILED => "its host gave the microVM up",
            reason::MACHINE_VANISHED => "its host has the microVM no more",
            reason::PROVIDER_ID_MISMATCH => "another microVM stands in its place",
            _ => continue,
        };
        let fix = "it is not made again: mend the cause, then delete its Machine, or let a MachineHealthCheck do so";
        let finding = Finding::error(machine.called(), cause, fix).seen(machine.called(), &ready.message);
        findings.push(told_by_host(finding, picture, machine));
    }
    findings
}

/// Reasons that have rules of their own.
const EXPLAINED: [&str; 16] = [
    reason::WAITING_FOR_CLUSTER_INFRASTRUCTURE_READY,
    reason::WAITING_FOR_BOOTSTRAP_DATA,
    reason::INVALID_BOOTSTRAP_DATA,
    reason::WAITING_FOR_CLUSTER,
    reason::WAITING_FOR_MACHINE,
    reason::OBJECT_DOES_NOT_EXIST,
    reason::PROVISIONING,
    reason::PROVISIONING_FAILED,
    reason::MACHINE_FAILED,
    reason::MACHINE_VANISHED,
    reason::PROVIDER_ID_MISMATCH,
    HOST_UNREACHABLE,
    NO_HOST,
    INVALID_SPEC,
    PROVISION_FAILED,
    PENDING,
];

/// Whether what the machine says that it waits for has come.
fn is_overtaken(picture: &Picture, machine: &Object, ready: &Condition) -> bool {
    let cluster = picture.object("Cluster", machine.namespace(), machine.cluster());
    let provisioned = cluster.and_then(|cluster| cluster.field("/status/initialization/infrastructureProvisioned")?.as_bool());
    ready.reason == reason::WAITING_FOR_CLUSTER_INFRASTRUCTURE_READY && provisioned == Some(true)
}

fn others(picture: &Picture) -> Vec<Finding> {
    // Upstream's manager tells waits for bootstrap data and infrastructure so.
    let upstreams = ["WaitingForBoostrapData", "WaitingForClusterInfra", "MicrovmDeleting"];
    let known = |reason: &str| EXPLAINED.contains(&reason) || upstreams.contains(&reason) || reason == reason::DELETING;
    let unknown = unready(picture).filter(|(machine, ready)| !known(&ready.reason) || is_overtaken(picture, machine, ready));
    let finding = |(machine, ready): (&Object, &Condition)| {
        let severity = lasting(picture, Some(ready.last_transition_time.0));
        let (cause, fix) = if is_overtaken(picture, machine, ready) {
            let cause = "it says that it waits for its cluster's infrastructure, which is there: its provider's last step failed, or the provider does not run";
            let fix = "the provider's log tells which: `capstead logs capstead-microvm | capstead doctor --log -`, or that of capmvm-controller-manager";
            (cause.to_owned(), fix)
        } else {
            let fix = "the message names what is missing; events tell its history: `kubectl events --for microvmmachine/NAME`";
            (format!("it says {}", ready.reason), fix)
        };
        let finding = Finding::new(severity, machine.called(), cause, fix).seen(machine.called(), &ready.message);
        told_by_host(finding, picture, machine)
    };
    unknown.map(finding).collect()
}

#[cfg(test)]
mod tests;
