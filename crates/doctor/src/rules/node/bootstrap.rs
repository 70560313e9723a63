//! How a guest becomes a node: cloud-init, and kubeadm in it.

use super::called;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::node::CloudInit;
use crate::node::Node;

const CLOUD_INIT: &str = "cloud-init";
/// A cloud-init that takes longer than so many seconds after the boot is held up.
const PATIENCE: u64 = 900;

fn told(node: &Node) -> Option<&CloudInit> {
    node.cloud_init.as_ref().ok()
}

pub(super) fn user_data(node: &Node) -> Option<Finding> {
    let unread =
        ["Failed loading yaml blob", "Failed at merging in cloud config part", "Unhandled non-multipart", "Unhandled unknown content-type"];
    let unread = node.lines(CLOUD_INIT, &unread);
    if !unread.is_empty() {
        let fix = "correct what the line names in the user-data (of a Machine: in its KubeadmConfig), and replace the machine: cloud-init does not read them again. \
                   `cloud-init schema --system` in the guest tells more";
        return Some(
            Finding::error(called(node), "cloud-init cannot read its user-data, and leaves out all or part of them", fix).with(unread),
        );
    }
    let fallback = node.lines(CLOUD_INIT, &["Used fallback datasource"]);
    let none = told(node).is_some_and(|told| told.datasource.to_lowercase().ends_with("none"));
    if fallback.is_empty() && !none {
        return None;
    }
    let severity = if node.subject.machine { Severity::Error } else { Severity::Warning };
    let fix = "see that the host gives it metadata (`capstead vm get` names what it has), and that the image's cloud-init looks for NoCloud: /etc/cloud/cloud.cfg.d, datasource_list";
    let finding = Finding::new(severity, called(node), "cloud-init found no data, so nobody told the guest what to become", fix);
    let finding = if none { finding.seen("cloud-init's status", told(node).map_or("", |told| told.datasource.as_str())) } else { finding };
    Some(finding.with(fallback))
}

/// What kubeadm's checks want, and how it comes about.
const CHECKS: [(&str, &str); 9] = [
    ("Swap", "switch swap off: `swapoff -a`, and take it out of /etc/fstab"),
    ("NumCPU", "a control plane takes two processors: `vcpu`"),
    ("Mem", "a control plane takes 1700 MB: `memoryMb`"),
    (
        "FileContent--proc-sys-net-",
        "set `net.ipv4.ip_forward` (and net.bridge.bridge-nf-call-iptables) to 1 by a file in /etc/sysctl.d of the image",
    ),
    ("FileContent--proc-sys-net-bridge", "load br_netfilter: a file in /etc/modules-load.d of the image"),
    ("CRI", "kubeadm does not reach containerd: see that it runs, and that its CRI plugin is not disabled in /etc/containerd/config.toml"),
    ("Port-", "something serves there already: kubeadm ran before, or another program has the port"),
    ("FileAvailable", "kubeadm ran before: replace the machine, or `kubeadm reset`"),
    ("DirAvailable", "kubeadm ran before: replace the machine, or `kubeadm reset`"),
];

pub(super) fn preflight(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    // Images have a rule of their own.
    let found = node.matching(CLOUD_INIT, |line| line.contains("[ERROR ") && !line.contains("[ERROR ImagePull]"));
    if found.is_empty() {
        return None;
    }
    let name = |evidence: &Evidence| Some(evidence.said.split_once("[ERROR ")?.1.split_once(']')?.0.to_owned());
    let mut names: Vec<String> = found.iter().filter_map(name).collect();
    names.sort();
    names.dedup();
    let mut fixes: Vec<&str> =
        CHECKS.iter().filter(|(check, _)| names.iter().any(|name| name.starts_with(check))).map(|(_, fix)| *fix).collect();
    fixes.dedup();
    let fix = if fixes.is_empty() { "the line names what is missing; put it into the image".to_owned() } else { fixes.join("; ") };
    let cause = format!("checks that kubeadm makes before it begins fail: {}", names.join(", "));
    Some(Finding::error(called(node), cause, format!("{fix}. cloud-init does not run kubeadm again: replace the machine")).with(found))
}

/// Why a join fails: texts of kubeadm, the cause, what to do.
const JOINS: [(&[&str], &str, &str); 5] = [
    (
        &[
            "none of the public keys",
            "cluster CA found in cluster-info ConfigMap is invalid",
            "failed to verify JWS signature",
            "invalid discovery token CA certificate hash",
        ],
        "who answers at the control plane's address has another certificate authority than the one it was told: another cluster has the address, or the hash is wrong",
        "see who has the address (`arping` on the guests' network), and that no other cluster has the same VIP; then replace the machine",
    ),
    (
        &[
            "could not find a JWS signature in the cluster-info ConfigMap",
            "is invalid for this cluster or it has expired",
            "there is no JWS signed token",
            "does not yet contain a JWS signature",
        ],
        "its token has expired, or the control plane never knew it: tokens of Cluster API live for 15 minutes and are renewed until the Machine has a node",
        "replace the machine, which gets a new token; if it took long to boot, see why: images that are pulled, a slow host",
    ),
    (
        &["error downloading the secret", "\"kubeadm-certs\" was not found"],
        "the control plane's certificates, which it joins with, are no longer kept there: they expire after two hours",
        "replace the machine; by hand: `kubeadm init phase upload-certs --upload-certs` on a control plane",
    ),
    (
        &[
            "error uploading crisocket",
            "configmaps \"kubeadm-config\" is forbidden",
            "error execution phase kubelet-start: Unauthorized",
            "couldn't validate the identity of the API Server: Unauthorized",
        ],
        "the API server does not take its credentials: its token has expired, or clocks differ",
        "replace the machine, which gets a new token; compare the clocks of both",
    ),
    (
        &["failed to request the cluster-info ConfigMap", "couldn't validate the identity of the API Server"],
        "it does not reach the control plane's API",
        "the line says how it fails: where there is no route or no answer, see that the VIP is on a control plane and in this machine's network; where it is refused, \
         that the API server runs: `capstead debug` of a control plane's Machine",
    ),
];

pub(super) fn join(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    JOINS.iter().find_map(|(texts, cause, fix)| {
        let found = node.lines(CLOUD_INIT, texts);
        (!found.is_empty()).then(|| Finding::error(called(node), *cause, *fix).with(found))
    })
}

pub(super) fn kubeadm(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    let texts = ["error execution phase", "[kubelet-check] The kubelet is not healthy", "is not healthy after"];
    let found = node.lines(CLOUD_INIT, &texts);
    let through = told(node).is_some_and(|told| told.done && told.stage.is_none());
    let unmarked = node.subject.machine && through && node.bootstrapped == Ok(false);
    if found.is_empty() && !unmarked {
        return None;
    }
    let cause = if found.is_empty() {
        "cloud-init is through, and kubeadm never came to its end in it"
    } else {
        "a step of kubeadm failed, so the machine becomes no node; what the step rests on is told above this, if anything was found"
    };
    let fix = "the line names the step; /var/log/cloud-init-output.log has all of it (`--artefacts` keeps it). cloud-init does not run it again, so replace the machine";
    let finding = Finding::error(called(node), cause, fix).with(found);
    let mark = "bootstrap-success.complete is not there";
    Some(if unmarked { finding.seen("/run/cluster-api", mark) } else { finding })
}

/// `('scripts_user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))`.
fn module(error: &str) -> Option<&str> {
    error.strip_prefix("('")?.split_once('\'').map(|(module, _)| module)
}

/// What stands before a module's name: `Running module scripts-user (<module …>) failed`, `Failed to run module scripts-user (scripts in …)`.
const NAMES: [&str; 2] = ["Running module ", "Failed to run module "];

/// `[FAILED] Failed to start cloud-fina… Execute cloud user/final scripts.`, as systemd writes it to the console, in older versions without the unit's name.
fn is_failed_unit(line: &str) -> bool {
    line.contains("Failed to start") && ["cloud-fin", "cloud-con", "cloud-ini", "cloud user/final"].iter().any(|unit| line.contains(unit))
}

pub(super) fn cloud_init(node: &Node) -> Option<Finding> {
    let errors = told(node).map(|told| told.errors.as_slice()).unwrap_or_default();
    let said = |line: &str| {
        NAMES.iter().any(|text| line.contains(text)) && (line.contains("Failed to run module ") || line.trim_end().ends_with("failed"))
            || line.contains("Failed running /var/lib/cloud/")
            || (line.contains("Runparts: ") && line.contains(" failures "))
            || is_failed_unit(line)
    };
    let lines = node.matching(CLOUD_INIT, said);
    let failed: Vec<&str> = node
        .units
        .iter()
        .filter(|(name, unit)| name.starts_with(CLOUD_INIT) && unit.active == "failed")
        .map(|(name, _)| name.as_str())
        .collect();
    if errors.is_empty() && lines.is_empty() && failed.is_empty() {
        return None;
    }
    let mut modules: Vec<&str> = errors.iter().filter_map(|(_, error)| module(error)).collect();
    let names = |said: &str| NAMES.iter().find_map(|text| Some(said.split_once(text)?.1.split(' ').next().unwrap_or_default().to_owned()));
    let named: Vec<String> = lines.iter().filter_map(|line| names(&line.said)).collect();
    modules.extend(named.iter().map(String::as_str));
    let mut modules: Vec<String> = modules.into_iter().map(|module| module.replace('-', "_")).collect();
    modules.sort();
    modules.dedup();
    let cause = match modules.as_slice() {
        [] if lines.iter().any(|line| line.said.contains("cloud-fin") || line.said.contains("cloud user/final")) => {
            "cloud-init's final stage failed: a command of the user-data's runcmd, or another module of that stage, did not succeed"
                .to_owned()
        }
        [] => "cloud-init failed".to_owned(),
        modules if modules.contains(&"scripts_user".to_owned()) => {
            format!("cloud-init's {} failed: a command of the user-data's runcmd did not succeed", modules.join(", "))
        }
        modules => format!("cloud-init's {} failed", modules.join(", ")),
    };
    let fix = "the last lines of /var/log/cloud-init-output.log tell what the command said; correct it in the user-data (of a Machine: preKubeadmCommands and files of its \
               KubeadmConfig), and replace the machine";
    // A node that is there does not miss what failed.
    let severity = if node.is_ready() { Severity::Warning } else { Severity::Error };
    let mut finding = Finding::new(severity, called(node), cause, fix);
    for (stage, error) in errors {
        finding = finding.seen(format!("cloud-init's status, {stage}"), error);
    }
    for unit in failed {
        finding = finding.seen(format!("unit {unit}"), "failed");
    }
    Some(finding.with(lines).with(if node.inside { node.last("cloud-init-output.log", 4) } else { node.last("console of ", 7) }))
}

pub(super) fn booting(node: &Node) -> Option<Finding> {
    let told = told(node).filter(|told| !told.done)?;
    let uptime = node.uptime.as_ref().copied().unwrap_or_default();
    let severity = if uptime > PATIENCE { Severity::Warning } else { Severity::Note };
    let stage = told.stage.as_deref().unwrap_or("between two stages");
    let fix = "wait, and ask again; what it runs now: `--artefacts` keeps `processes`, and the end of /var/log/cloud-init-output.log tells how far it is";
    let finding = Finding::new(severity, called(node), "cloud-init is not through yet", fix);
    Some(finding.seen("cloud-init's status", &format!("{stage}, {uptime} s after the boot")).with(node.last("cloud-init-output.log", 2)))
}
