//! What the machine lacks that a host rests on: checks of `capstead host check`, put together by symptom; or the words by which a daemon or log tells it.

use capstead_preflight::Check;
use capstead_preflight::Status;

use super::Rule;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::picture::Host;
use crate::picture::Picture;

/// A symptom of the machine.
struct Group {
    /// The checks that tell it; of several that fail, the first is the cause.
    checks: &'static [&'static str],
    /// Words that tell it.
    texts: &'static [&'static str],
    /// What is wrong where only words tell it.
    cause: &'static str,
    /// What to do then.
    fix: &'static str,
    severity: Severity,
}

const fn group(checks: &'static [&'static str], texts: &'static [&'static str], cause: &'static str, fix: &'static str) -> Group {
    Group { checks, texts, cause, fix, severity: Severity::Error }
}

const DEVMAPPER: Group = group(
    &["device-mapper", "thin-pool", "thin-pool-room", "containerd-config", "snapshotter"],
    &["snapshotter not loaded: devmapper"],
    "containerd did not load its devmapper snapshotter: there is no thin pool, or another than its configuration names",
    "`capstead host prepare --runtime flintlock` makes pool, configuration and unit; or run Capstead's own runtime, which needs none. \
     `dmsetup ls` without root says \"Permission denied\", which tells nothing of the pool",
);
const CONTAINERD: Group = group(
    &["containerd-service", "containerd-socket", "flintlockd-socket"],
    &["unknown service containerd.services.content.v1.Content", "containerd.sock: connect:"],
    "flintlockd talks to a containerd that is not there, or is none for it",
    "start containerd (`systemctl start containerd-dev`), and give flintlockd its socket: `--containerd-socket /run/containerd-dev/containerd.sock`",
);
const IMAGES: Group = group(
    &["images"],
    &["failed to pull and unpack image", "cannot pull "],
    "an image that the microVM is made of can neither be found on the host nor pulled",
    "pull it there before: `capstead image pull IMAGE`, or `ctr -a SOCKET -n flintlock images pull IMAGE`; see that registry, name and credentials are right",
);
const DAEMON: Group = group(
    &["daemon", "service", "listening", "flintlockd-tls"],
    &["is not a loopback address, and everyone who reaches it could do anything"],
    "the daemon does not serve those who need it",
    "`systemctl status capstead-host flintlockd`; give it `--grpc-endpoint 0.0.0.0:9090` with TLS, a token, or --insecure",
);
const PARENT: Group = group(
    &["parent-interface", "parent-wired"],
    &["name is required for attaching a macvtap interface", "name is required for attaching a MACVTAP interface"],
    "the daemon has no parent interface for macvtaps",
    "give it `--parent-iface NAME`: a wired interface that is up and has a link; or use taps on a bridge",
);
const BRIDGE: Group = group(
    &["bridge", "bridge-port", "bridge-address", "flintlockd-network"],
    &["name is required for attaching a TAP interface"],
    "the daemon has no bridge for taps",
    "`capstead host prepare --network bridge`, or give it `--bridge-name NAME`",
);
const NETWORK: Group = group(
    &["uplink", "ip-forward", "nat", "dhcp", "vip"],
    &[],
    "guests have no way to the world",
    "`capstead host prepare --network bridge --subnet CIDR --dhcp --nat-via UPLINK`",
);
const DOCKER: Group = Group {
    checks: &["forward-policy", "bridge-filter"],
    texts: &[],
    cause: "the host's packet filter drops what guests send",
    fix: "`capstead host check` names the chain",
    severity: Severity::Warning,
};
const MODULES: Group = group(
    &["kernel-modules", "tun"],
    &["could not open /dev/net/tun"],
    "the kernel does not make the devices that guests' networks need",
    "`modprobe -a tun bridge`, or `modprobe -a macvlan macvtap`; and the names in a file in /etc/modules-load.d",
);
const KVM: Group = group(
    &["cpu-virtualization", "kvm", "guest", "emulation"],
    &["Could not access KVM kernel module", "Error creating KVM object"],
    "guests cannot be run by KVM",
    "`ls -l /dev/kvm`; `modprobe kvm_intel` or `kvm_amd`; add the daemon's user to the group kvm. Capstead's own runtime can emulate",
);
const VMM: Group = group(
    &["vmm", "vmm-version", "macvtap-support"],
    &["no VMM runs a guest here", "exec: \"firecracker\": executable file not found"],
    "no VMM is installed that works there",
    "install QEMU (`apt-get install qemu-system-x86`), or Firecracker of its releases in /usr/local/bin",
);

/// All groups.
const GROUPS: [&Group; 11] = [&DEVMAPPER, &CONTAINERD, &IMAGES, &DAEMON, &PARENT, &BRIDGE, &NETWORK, &DOCKER, &MODULES, &KVM, &VMM];

pub(super) const RULES: &[Rule] = &[
    Rule { id: "kernel-modules", symptom: "lsmod shows neither macvlan nor macvtap", find: |picture| found(picture, &MODULES) },
    Rule { id: "kvm", symptom: "KVM: /dev/kvm is not there, or not open to the daemon", find: |picture| found(picture, &KVM) },
    Rule { id: "vmm", symptom: "Firecracker: it is not in PATH", find: |picture| found(picture, &VMM) },
    Rule { id: "devmapper", symptom: "snapshotter not loaded: devmapper", find: |picture| found(picture, &DEVMAPPER) },
    Rule {
        id: "containerd",
        symptom: "walking content store: unknown service containerd.services.content.v1.Content: not implemented",
        find: |picture| found(picture, &CONTAINERD),
    },
    Rule { id: "images", symptom: "images are not in the flintlock namespace", find: |picture| found(picture, &IMAGES) },
    Rule { id: "daemon", symptom: "flintlockd is not active, or not listening on 0.0.0.0:9090", find: |picture| found(picture, &DAEMON) },
    Rule { id: "parent-interface", symptom: "the parent interface of macvtaps is DOWN", find: |picture| found(picture, &PARENT) },
    Rule { id: "bridge", symptom: "the bridge of taps is missing", find: |picture| found(picture, &BRIDGE) },
    Rule {
        id: "guest-network",
        symptom: "guests get no address by DHCP, or do not reach the internet",
        find: |picture| found(picture, &NETWORK),
    },
    Rule {
        id: "packet-filter",
        symptom: "Docker runs on the host, and guests do not reach each other",
        find: |picture| found(picture, &DOCKER),
    },
    Rule { id: "host", symptom: "another check of the host fails", find: others },
];

/// Whether one of the groups goes by these words.
pub(super) fn explains(text: &str) -> bool {
    GROUPS.iter().flat_map(|group| group.texts).any(|known| text.contains(known))
}

/// One finding for each host whose checks tell it, and one for words that nobody's checks do.
fn found(picture: &Picture, group: &Group) -> Vec<Finding> {
    let told = picture.said(group.texts);
    let mut findings: Vec<Finding> = picture.hosts.iter().filter_map(|host| by_checks(host, group)).collect();
    match (findings.last_mut(), told.is_empty()) {
        (_, true) => (),
        (Some(last), _) => *last = last.clone().with(told),
        (None, _) => findings.push(Finding::new(group.severity, "a host of microVMs", group.cause, group.fix).with(told)),
    }
    findings
}

fn by_checks(host: &Host, group: &Group) -> Option<Finding> {
    let fails = |check: &Check| match check.status {
        Status::Fail => true,
        Status::Warn => group.severity == Severity::Warning,
        Status::Pass | Status::Skip => false,
    };
    let check = |id: &&str| host.report.checks.iter().find(|check| check.id == **id && fails(check));
    let failed: Vec<&Check> = group.checks.iter().filter_map(check).collect();
    let first = failed.first()?;
    Some(of(host, first, group.severity).with(failed.iter().map(|check| evidence(host, check))))
}

fn of(host: &Host, check: &Check, severity: Severity) -> Finding {
    let cause = format!("{}: {} (expected: {}); {}", check.title, check.found, check.expected, check.why);
    Finding::new(severity, format!("host {}", host.name), cause, check.fix.clone())
}

fn evidence(host: &Host, check: &Check) -> Evidence {
    Evidence { source: format!("host {} ({})", host.name, check.id), said: check.found.clone() }
}

/// Checks that are in no group, and are none of a client's.
fn others(picture: &Picture) -> Vec<Finding> {
    let known = |id: &str| {
        let of_client = ["reachable", "tls", "auth", "grpc-api", "list-microvms"].contains(&id);
        of_client || GROUPS.iter().any(|group| group.checks.contains(&id))
    };
    let mut findings = Vec::new();
    for host in &picture.hosts {
        for check in host.report.checks.iter().filter(|check| check.status == Status::Fail && !known(&check.id)) {
            findings.push(of(host, check, Severity::Error).with([evidence(host, check)]));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
