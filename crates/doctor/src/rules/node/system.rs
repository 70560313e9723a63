//! The guest itself: disk, clock, memory, address, names.

use std::net::IpAddr;

use super::called;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::node::FileSystem;
use crate::node::Link;
use crate::node::Node;

/// Free room in percent at which the kubelet evicts pods by default (`nodefs.available`).
const EVICTION: u64 = 10;
/// Free room in percent at which writing fails soon.
const FULL: u64 = 2;

pub(super) fn disk(node: &Node) -> Option<Finding> {
    let disks = node.disks.as_deref().unwrap_or_default();
    let percent = |disk: &FileSystem| disk.free.saturating_mul(100) / disk.size.max(1);
    let inodes = |disk: &FileSystem| disk.inodes.unwrap_or_default();
    let told = if node.is_ready() { Vec::new() } else { node.lines("", &["no space left on device", "No space left on device"]) };
    let full = disks.iter().any(|disk| percent(disk) < FULL || inodes(disk) > 98);
    let tight: Vec<&FileSystem> = disks.iter().filter(|disk| percent(disk) < EVICTION || inodes(disk) > 95).collect();
    if tight.is_empty() && told.is_empty() {
        return None;
    }
    let severity = if full || !told.is_empty() { Severity::Error } else { Severity::Warning };
    let names = tight.iter().map(|disk| disk.mount.as_str()).collect::<Vec<_>>().join(", ");
    let cause = if names.is_empty() { "a file system was full".to_owned() } else { format!("hardly any room is left on {names}") };
    let fix = "give the root volume more room (`rootVolume.sizeInMb`, `--root-size`) and replace the machine, or remove what fills it: \
               `du -xsh /var/lib/containerd /var/lib/etcd /var/log`, `crictl rmi --prune`";
    let said =
        |disk: &&FileSystem| format!("{} of {} MiB are free, {}% of inodes are used", disk.free / 1024, disk.size / 1024, inodes(disk));
    let finding = Finding::new(severity, called(node), cause, fix);
    Some(tight.iter().fold(finding, |finding, disk| finding.seen(format!("file system {}", disk.mount), &said(disk))).with(told))
}

pub(super) fn clock(node: &Node) -> Option<Finding> {
    let ahead = node.clock_ahead.as_ref().copied().unwrap_or_default();
    let expired = ["certificate has expired or is not yet valid", "is not valid before"];
    let told = if node.is_ready() { Vec::new() } else { node.lines("", &expired) };
    let off = ahead.unsigned_abs();
    let cause = match (off, told.is_empty()) {
        (0..=5, true) => return None,
        (0..=5, false) if node.inside => {
            "a certificate is out of its time, and the clock is right: it was made long ago, or while a clock was off".to_owned()
        }
        (0..=5, false) => "a certificate is out of its time: its clock is off, or that of who made it".to_owned(),
        (_, _) if ahead > 0 => format!("its clock is {off} s ahead of the one here"),
        (_, _) => format!("its clock is {off} s behind the one here"),
    };
    let severity = if off > 60 || !told.is_empty() { Severity::Error } else { Severity::Warning };
    let fix = "guests take their time from the host when they boot: set the host's clock right (`capstead host check` compares it), then `timedatectl set-ntp true` \
               or `date -s` in the guest; replace a machine that made certificates meanwhile";
    let finding = Finding::new(severity, called(node), cause, fix);
    let finding = if off > 5 { finding.seen("clock", &format!("{ahead:+} s")) } else { finding };
    Some(finding.with(told))
}

pub(super) fn memory(node: &Node) -> Option<Finding> {
    let told = node.lines("kernel", &["Out of memory: Killed process"]);
    if told.is_empty() {
        return None;
    }
    let severity = if node.is_ready() { Severity::Warning } else { Severity::Error };
    let fix = "give the machine more memory (`memoryMb`): a control plane takes 2 GiB";
    Some(Finding::new(severity, called(node), "its memory did not suffice, and the kernel killed a process", fix).with(told))
}

fn leads_anywhere(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_loopback(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_loopback(),
    }
}

pub(super) fn address(node: &Node) -> Option<Finding> {
    let wires: Vec<&Link> = node.links.as_deref().unwrap_or_default().iter().filter(|link| link.wire).collect();
    let told = node.lines(
        "journal of the network",
        &["No DHCPOFFERS received", "no lease, failing", "Timed out waiting for lease", "DHCPv4 client: Timed out"],
    );
    let bare = !wires.is_empty() && !wires.iter().any(|link| link.addresses.iter().any(|net| leads_anywhere(&net.addr())));
    // Of one that has an address by now it has passed.
    if !bare && (told.is_empty() || node.inside) {
        return None;
    }
    let fix = "run a DHCP server on the bridge or the parent's network (`capstead host prepare --dhcp`), or give the interface a static address; see that the host's \
               bridge has a port or an address there: `capstead host check`";
    let finding = Finding::error(called(node), "nobody on its network answers DHCP, or its interface is on another network", fix);
    let said = |link: &&Link| format!("no address that leads anywhere ({})", link.mac);
    let bare = wires.iter().filter(|_| bare);
    Some(bare.fold(finding, |finding, link| finding.seen(format!("interface {}", link.name), &said(link))).with(told))
}

/// What programs say of a name that nobody answers for. kubeadm asks for the newest version's name, and goes on without.
fn is_unresolved(line: &str) -> bool {
    let said = [
        "Temporary failure in name resolution",
        "no such host",
        "server misbehaving",
        "Could not resolve host",
        "Name or service not known",
    ];
    let looked = line.contains("lookup ") && ["i/o timeout", "connection refused"].iter().any(|end| line.contains(end));
    (looked || said.iter().any(|text| line.contains(text))) && !line.contains("dl.k8s.io")
}

pub(super) fn dns(node: &Node) -> Option<Finding> {
    if node.is_ready() {
        return None;
    }
    let told = node.matching("", is_unresolved);
    let endpoint = node.endpoint.as_deref().unwrap_or_default();
    let lost = node.endpoint_resolves == Some(false) && !endpoint.is_empty();
    if told.is_empty() && !lost {
        return None;
    }
    let servers = node.nameservers.as_deref().unwrap_or_default();
    let cause = match servers {
        [] if node.inside => "it asks no server for names: /etc/resolv.conf names none".to_owned(),
        [] => "names are not resolved in it".to_owned(),
        servers => format!("names are not resolved in it; it asks {}", servers.join(", ")),
    };
    let fix = "name a server that answers from the guests' network (`dns` of the interface, or by DHCP), or give an address in place of the name; `getent hosts NAME` in the \
               guest tries it";
    let finding = Finding::error(called(node), cause, fix);
    let finding = if lost { finding.seen(format!("control plane's endpoint {endpoint}"), "its name is not resolved") } else { finding };
    Some(finding.with(told))
}
