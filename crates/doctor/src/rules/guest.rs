//! A guest that runs and does not become a node, by what it writes to its console.

use std::net::Ipv4Addr;

use capstead_capi::condition::kind;

use super::Rule;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::object::Object;
use crate::picture::MicroVm;
use crate::picture::Picture;

pub(super) const RULES: &[Rule] = &[
    Rule { id: "guest-boot", symptom: "the MicroVM is running, and its guest does not boot", find: boot },
    Rule { id: "guest-address", symptom: "DHCP: the guest gets no address", find: address },
    Rule { id: "guest-kubeadm", symptom: "the guest boots, and kubeadm fails in it", find: kubeadm },
];

const BOOT: [&str; 4] =
    ["Kernel panic - not syncing", "Unable to mount root fs", "No working init found", "Give root password for maintenance"];
const LEASE: [&str; 3] = ["No DHCPOFFERS received", "no lease, failing", "Timed out waiting for lease"];
const KUBEADM: [&str; 3] = ["[ERROR ", "error execution phase", "[kubelet-check] The kubelet is not healthy"];

/// Guests that may be in trouble. What one wrote that is a node by now has passed, and of one that was looked into the inside tells more.
fn consoles(picture: &Picture) -> impl Iterator<Item = &MicroVm> {
    let inside = |microvm: &MicroVm| picture.nodes.iter().any(|node| node.inside && node.subject.uid == microvm.uid);
    picture.hosts.iter().flat_map(|host| &host.microvms).filter(move |microvm| !is_node(picture, microvm) && !inside(microvm))
}

fn is_node(picture: &Picture, microvm: &MicroVm) -> bool {
    let own = |machine: &Object| machine.namespace() == microvm.namespace && machine.text("/spec/infrastructureRef/name") == microvm.name;
    picture.objects("Machine").any(|machine| own(machine) && machine.is(kind::NODE_READY))
}

fn boot(picture: &Picture) -> Vec<Finding> {
    let fix = "`capstead vm logs NAMESPACE/NAME` has what is above it; a root that is not found takes a kernel with virtio_mmio and virtio_blk, or an initrd with them";
    by_lines(picture, &BOOT, "its kernel, or what comes right after, gives up", fix)
}

fn kubeadm(picture: &Picture) -> Vec<Finding> {
    let fix = "the line names what failed: a port, an image, the time, or the control plane's address; cloud-init does not run it again, so replace the machine";
    let mut found = by_lines(picture, &KUBEADM, "kubeadm failed in the guest, so the machine becomes no node", fix);
    // Where its console was read as a node's, rules for nodes say which step it was.
    found.retain(|finding| !picture.nodes.iter().any(|node| finding.about == format!("microVM {}", node.subject.name)));
    found
}

fn by_lines(picture: &Picture, texts: &[&str], cause: &str, fix: &str) -> Vec<Finding> {
    let finding = |microvm: &MicroVm| {
        let evidence = lines(microvm, |line| texts.iter().any(|text| line.contains(text)));
        (!evidence.is_empty()).then(|| Finding::error(called(microvm), cause, fix).with(evidence))
    };
    consoles(picture).filter_map(finding).collect()
}

fn called(microvm: &MicroVm) -> String {
    format!("microVM {}/{}", microvm.namespace, microvm.name)
}

fn lines(microvm: &MicroVm, wanted: impl Fn(&str) -> bool) -> Vec<Evidence> {
    let source = format!("console of {}/{}", microvm.namespace, microvm.name);
    let found = microvm.console.iter().filter(|line| wanted(line));
    found.map(|line| Evidence { source: source.clone(), said: line.trim().to_owned() }).collect()
}

fn address(picture: &Picture) -> Vec<Finding> {
    let finding = |microvm: &MicroVm| {
        let mut evidence = lines(microvm, |line| LEASE.iter().any(|text| line.contains(text)));
        if let Some(row) = without_address(&microvm.console) {
            evidence.push(Evidence { source: format!("console of {}/{}", microvm.namespace, microvm.name), said: row });
        }
        if evidence.is_empty() {
            return None;
        }
        let cause = "nobody on its network answers DHCP, or its interface is on another network";
        let fix = "run a DHCP server on the bridge or the parent's network (`capstead host prepare --dhcp`), or give the interface a static address; \
                   see that the bridge has a port or an address there: `capstead host check`";
        Some(Finding::error(called(microvm), cause, fix).with(evidence))
    };
    consoles(picture).filter_map(finding).collect()
}

/// cloud-init shows interfaces as a table: `ci-info: | eth1 | True | 10.0.0.5 | 255.255.255.0 | global | 02:… |`. Gives the row of an interface where none but the loopback has an address that leads anywhere.
fn without_address(console: &[String]) -> Option<String> {
    let rows = interfaces(console);
    let bare = rows.first().map(|(line, _)| line.trim().to_owned());
    if rows.iter().any(|(_, address)| address.is_some()) { None } else { bare }
}

/// Addresses that lead to the guest, as its console tells them.
pub fn addresses_on_console(console: &[String]) -> Vec<Ipv4Addr> {
    interfaces(console).into_iter().filter_map(|(_, address)| address).collect()
}

/// Rows of the last table, but the loopback's, each with its address if it leads anywhere.
fn interfaces(console: &[String]) -> Vec<(&str, Option<Ipv4Addr>)> {
    let begins = console.iter().rposition(|line| line.contains("ci-info:") && line.contains("Net device info"));
    let lines = console[begins.unwrap_or(console.len())..].iter().skip(1);
    let rows = lines.take_while(|line| line.contains("ci-info:") && !line.contains("info++")).filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, device, up, address, ..] = cells.as_slice() else { return None };
        let counts = *device != "lo" && matches!(*up, "True" | "False");
        counts.then(|| (line.as_str(), address.parse().ok().filter(|address: &Ipv4Addr| !address.is_link_local())))
    });
    rows.collect()
}

#[cfg(test)]
mod tests;
