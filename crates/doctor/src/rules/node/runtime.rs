//! What runs containers: containerd, images, the kubelet.

use super::called;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::node::Node;

const KUBELET: &str = "journal of kubelet";

pub(super) fn containerd(node: &Node) -> Option<Finding> {
    let unit = |name: &str| node.units.get(name).filter(|unit| unit.loaded);
    let fix = "`journalctl -u containerd` in the guest has all of it; `containerd config dump` tells whether it can read its configuration";
    if let Some(unit) = unit("containerd").filter(|unit| unit.active != "active") {
        let said = format!("{} ({}), started anew {} times", unit.active, unit.result, unit.restarts);
        let finding = Finding::error(called(node), "containerd does not run, so no container does", fix).seen("unit containerd", &said);
        return Some(finding.with(node.last("journal of containerd", 4)));
    }
    if node.is_ready() {
        return None;
    }
    if unit("kubelet").is_some() && unit("containerd").is_none() && unit("crio").is_none() {
        let fix = "take an image that has containerd (`capstead image build node`)";
        return Some(
            Finding::error(called(node), "there is a kubelet, and nothing that runs containers", fix).seen("unit containerd", "not found"),
        );
    }
    let unserved = ["unknown service runtime.v1", "validate CRI v1 runtime API", "validate service connection", "[ERROR CRI]"];
    let found = node.matching("", |line| unserved.iter().any(|text| line.contains(text)));
    if found.is_empty() {
        return None;
    }
    let disabled = found.iter().any(|line| line.said.contains("unknown service runtime.v1"));
    let (cause, fix) = if disabled {
        (
            "containerd runs without its CRI plugin, which the kubelet needs",
            "take `cri` out of disabled_plugins in /etc/containerd/config.toml, and restart containerd",
        )
    } else {
        ("the kubelet, or kubeadm, did not reach containerd", fix)
    };
    // It may have been before containerd was up.
    let severity = if disabled || !node.inside { Severity::Error } else { Severity::Warning };
    Some(Finding::new(severity, called(node), cause, fix).with(found))
}

/// Lines that tell of an image that is not there.
const PULLS: [&str; 7] = [
    "failed to pull and unpack image",
    "Failed to pull image",
    "failed to pull image",
    "[ERROR ImagePull]",
    "ErrImageNeverPull",
    "not present with pull policy of Never",
    "failed to get sandbox image",
];

/// Why an image is not there: texts, the cause, what to do. The first that fits counts.
const REASONS: [(&[&str], &str, &str); 8] = [
    (
        &["no space left on device"],
        "an image does not fit on the disk",
        "give the root volume more room (`rootVolume.sizeInMb`), and replace the machine",
    ),
    (
        &["ErrImageNeverPull", "pull policy of Never"],
        "an image that is to be in the root volume is not there",
        "build the image of this Kubernetes version (`capstead image build node --kubernetes V`), or let it be pulled: `imagePullPolicy` of the KubeadmConfig's nodeRegistration",
    ),
    (
        &["no such host", "Temporary failure in name resolution", "server misbehaving", "lookup "],
        "the registry's name is not resolved",
        "see the server of names that the guest asks; an image with all containers in it needs no registry (`capstead image build node`)",
    ),
    (
        &["x509:", "tls:", "HTTP response to HTTPS client"],
        "the registry's certificate is not trusted, or it speaks no TLS",
        "give the guest its authority, or name the registry in /etc/containerd/certs.d/HOST/hosts.toml",
    ),
    (
        &["401 Unauthorized", "403 Forbidden", "insufficient_scope", "authorization failed", "pull access denied"],
        "the registry does not let it have the image",
        "give containerd credentials for it, or see that the image's name is right: some registries say so of images that they have not",
    ),
    (&["toomanyrequests", "429 Too Many"], "the registry was asked too often", "wait, give it credentials, or take a mirror"),
    (
        &[": not found", "manifest unknown", "name unknown", "404 Not Found"],
        "the registry has no such image",
        "see that the version exists, and that imageRepository in the KubeadmConfig's clusterConfiguration is right",
    ),
    (
        &[
            "connection refused",
            "no route to host",
            "i/o timeout",
            "network is unreachable",
            "TLS handshake timeout",
            "deadline exceeded",
            "EOF",
            "connection reset",
        ],
        "the registry is not reached: it is down, or no way leads there from the guests' network",
        "`curl -v https://REGISTRY/v2/` in the guest; NAT of the host (`capstead host check --nat-via`), a mirror in /etc/containerd/certs.d, or an image with all containers in it \
         (`capstead image build node`)",
    ),
];

pub(super) fn image(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    let found = node.matching("", |line| PULLS.iter().any(|text| line.contains(text)));
    if found.is_empty() {
        return None;
    }
    let holds = |texts: &[&str]| found.iter().any(|line| texts.iter().any(|text| line.said.contains(text)));
    let (cause, fix) = REASONS.iter().find(|(texts, ..)| holds(texts)).map_or(
        ("an image could not be pulled", "the line tells why; `crictl pull IMAGE` in the guest tries it again"),
        |(_, cause, fix)| (*cause, *fix),
    );
    let mut images: Vec<String> = found.iter().filter_map(named).collect();
    images.sort();
    images.dedup();
    let cause = if images.is_empty() { cause.to_owned() } else { format!("{cause}: {}", images.join(", ")) };
    Some(Finding::error(called(node), cause, fix).with(found))
}

/// The image that a line names: `image "NAME"`, `image \"NAME\"`, `image NAME:`.
fn named(line: &Evidence) -> Option<String> {
    let (_, rest) = line.said.split_once("mage ")?;
    let rest = rest.trim_start_matches(['\\', '"']);
    let name = rest.split(['\\', '"', ' ', ',']).next()?.trim_end_matches(':');
    name.contains(['/', ':']).then(|| name.to_owned())
}

/// Why the kubelet does not run: texts, the cause, what to do.
const KUBELETS: [(&[&str], &str, &str); 4] = [
    (
        &["running with swap on is not supported"],
        "the kubelet refuses to run with swap",
        "switch swap off (`swapoff -a`, and out of /etc/fstab), or set `failSwapOn: false` in the kubelet's configuration",
    ),
    (
        &["is different from docker cgroup driver", "expected cgroupsPath to be of format", "cgroup driver mismatch"],
        "kubelet and containerd use different cgroup drivers",
        "set `SystemdCgroup = true` for runc in /etc/containerd/config.toml and `cgroupDriver: systemd` for the kubelet, and restart containerd",
    ),
    (
        &["failed to load kubelet config file", "failed to load Kubelet config file", "/var/lib/kubelet/config.yaml: no such file"],
        "the kubelet has no configuration: kubeadm writes it, and did not come so far",
        "look at what kubeadm says: that is told beside this",
    ),
    (
        &["unable to load bootstrap kubeconfig", "bootstrap-kubelet.conf: no such file"],
        "the kubelet has lost its way to the API server: neither its certificate nor a bootstrap kubeconfig is there",
        "replace the machine",
    ),
];

pub(super) fn kubelet(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    let unit = node.units.get("kubelet");
    if unit.is_some_and(|unit| !unit.loaded) {
        let fix = "take an image that has kubelet and kubeadm (`capstead image build node`)";
        return node
            .subject
            .machine
            .then(|| Finding::error(called(node), "there is no kubelet in its image", fix).seen("unit kubelet", "not found"));
    }
    let down = unit.filter(|unit| unit.active != "active");
    // Of an older start nothing follows but where it still fails, or where it fails at each pod.
    let cgroup = |texts: &[&str]| texts.contains(&"expected cgroupsPath to be of format");
    let why = KUBELETS.iter().filter(|(texts, ..)| down.is_some() || unit.is_none() || cgroup(texts));
    let reason = why.map(|reason| (reason, node.lines(KUBELET, reason.0))).find(|(_, found)| !found.is_empty());
    let (cause, fix, found) = match (reason, down) {
        (Some(((_, cause, fix), found)), _) => (*cause, *fix, found),
        (None, Some(unit)) if unit.active == "failed" || unit.restarts > 0 => {
            ("the kubelet does not run", "`journalctl -u kubelet` in the guest has all of it", node.last(KUBELET, 4))
        }
        _ => return None,
    };
    let busy = node.cloud_init.as_ref().is_ok_and(|told| !told.done);
    let severity = if busy && cause.contains("no configuration") { Severity::Note } else { Severity::Error };
    let finding = Finding::new(severity, called(node), cause, fix);
    let finding = match down {
        Some(unit) => finding.seen("unit kubelet", &format!("{} ({}), started anew {} times", unit.active, unit.result, unit.restarts)),
        None => finding,
    };
    Some(finding.with(found))
}
