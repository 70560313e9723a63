//! The control plane on a node, and its address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::called;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::node::Container;
use crate::node::Node;
use crate::node::host;
use crate::picture::Picture;

/// Static pods, in the order in which one needs the other.
const PODS: [&str; 6] = ["etcd", "kube-apiserver", "kube-vip", "keepalived", "kube-controller-manager", "kube-scheduler"];
/// Those that start anew a few times until the API server answers.
const PATIENT: u64 = 3;

/// The one that all else needs, and those that stand beside it on every control plane machine.
const API: &str = "kube-apiserver";
const BESIDE: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

pub(super) fn static_pods(picture: &Picture) -> Vec<Finding> {
    let of = |node| absent(node).into_iter().chain(PODS.iter().filter_map(move |name| pod(node, name)));
    picture.nodes.iter().filter(|node| !node.is_ready()).flat_map(of).collect()
}

/// Nobody runs the API server, for its manifest is not where those of the others are.
fn absent(node: &Node) -> Option<Finding> {
    let manifests = node.manifests.as_ref().ok()?;
    let others: Vec<&str> = BESIDE.into_iter().filter(|part| manifests.contains(*part)).collect();
    if manifests.contains(API) || others.is_empty() {
        return None;
    }
    let cause = format!("there is no manifest of {API}, so the kubelet does not run it");
    let fix = format!("put /etc/kubernetes/manifests/{API}.yaml back from where it was moved to; where it is lost, replace the machine");
    let said = format!("has {}, and no {API}.yaml", others.join(", "));
    Some(Finding::error(called(node), cause, fix).seen("/etc/kubernetes/manifests", &said))
}

fn pod(node: &Node, name: &str) -> Option<Finding> {
    let manifests = node.manifests.as_ref().ok()?;
    if !manifests.contains(name) {
        return None;
    }
    let source = format!("log of {name} in ");
    let last = || node.last(&source, 4);
    let fix = format!(
        "its last lines are told here; `crictl logs $(crictl ps -aq --name {name} | head -n 1)` in the guest has more, and /etc/kubernetes/manifests/{name}.yaml its flags"
    );
    let containers = node.containers.as_ref().ok()?;
    let of = |container: &&Container| container.name == name;
    let Some(container) = containers.iter().find(of) else {
        let kubelet = node.units.get("kubelet").is_some_and(|unit| unit.active == "active");
        let fix = "the kubelet starts it: look at its journal, and whether its image is there (`crictl images`)";
        let cause = format!("the kubelet has not started {name}, whose manifest is there");
        let finding = Finding::new(Severity::Warning, called(node), cause, fix)
            .seen("/etc/kubernetes/manifests", &format!("{name}.yaml is there; no container is"));
        return kubelet.then_some(finding);
    };
    let said = |state: &str| format!("{state}, started anew {} times", container.attempt);
    let about = format!("container {} in {}", container.name, container.pod);
    match (container.running, container.attempt) {
        (false, attempt) => {
            let cause = if attempt > 0 { format!("{name} ends again and again") } else { format!("{name} has ended") };
            Some(Finding::error(called(node), cause, fix).seen(about, &said("exited")).with(last()))
        }
        (true, attempt) if attempt > PATIENT => {
            let cause = format!("{name} runs, and was started anew often");
            Some(Finding::new(Severity::Warning, called(node), cause, fix).seen(about, &said("running")).with(last()))
        }
        (true, _) => None,
    }
}

pub(super) fn api(node: &Node) -> Option<Finding> {
    let asked = node.local_api.as_ref()?;
    let said = match &asked.answer {
        Ok(status) if *status < 500 => return None,
        Ok(status) => format!("answers with {status}: not all of it is ready"),
        Err(why) => why.clone(),
    };
    let busy = node.cloud_init.as_ref().is_ok_and(|told| !told.done);
    let severity = if busy { Severity::Note } else { Severity::Error };
    let cause = "the API server is down, or not ready: nothing of the cluster can be seen or changed by this node";
    let fix = "where it was killed, the kubelet starts it anew: look at it and at etcd in `crictl ps -a`, told above if they ended; `curl -k https://127.0.0.1:6443/readyz?verbose` in \
               the guest names what is not ready";
    let finding = Finding::new(severity, called(node), cause, fix).seen(&asked.address, &said);
    Some(finding.with(node.last("log of kube-apiserver in ", 4)))
}

/// Whether the API at the control plane's address answers.
fn answers(node: &Node) -> bool {
    node.endpoint_api.as_ref().is_some_and(|asked| asked.answer.is_ok())
}

/// On which of its interfaces the address is.
fn held(node: &Node, vip: IpAddr) -> bool {
    node.links.as_deref().unwrap_or_default().iter().any(|link| link.addresses.iter().any(|net| net.addr() == vip))
}

fn takers(node: &Node) -> Vec<Evidence> {
    let mut said = node.last("log of kube-vip in ", 3);
    said.extend(node.last("log of keepalived in ", 3));
    said.extend(node.last("journal of keepalived", 3));
    said
}

const OF_THEIR_NETWORK: &str = "take a VIP of the guests' network, outside of DHCP's range (`capstead host check --subnet --vip`); or have a load balancer at that address";

fn wires(node: &Node) -> impl Iterator<Item = &IpNet> {
    node.links.as_deref().unwrap_or_default().iter().filter(|link| link.wire).flat_map(|link| &link.addresses)
}

fn nets(node: &Node) -> String {
    wires(node).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether it has networks, and none of them is the address's. An address that stands alone is none.
fn outside(node: &Node, vip: IpAddr) -> bool {
    let mut nets = wires(node).filter(|net| net.prefix_len() < net.max_prefix_len()).peekable();
    nets.peek().is_some() && !nets.any(|net| net.contains(&vip))
}

/// The node has taken an address that is of no network of its: the node itself reaches it, and nobody else.
fn stray(node: &Node, vip: IpAddr) -> Option<Finding> {
    if node.is_ready() || !held(node, vip) || !outside(node, vip) {
        return None;
    }
    let cause = format!("the node has taken the VIP {vip}, which is in none of its networks, so nobody else finds it there");
    let source = format!("control plane's endpoint {vip}");
    Some(Finding::error(called(node), cause, OF_THEIR_NETWORK).seen(source, &format!("the node has {}", nets(node))))
}

pub(super) fn vip(node: &Node) -> Option<Finding> {
    let vip = node.vip()?;
    if let Some(finding) = stray(node, vip) {
        return Some(finding);
    }
    if node.links.is_err() || answers(node) {
        return None;
    }
    let links = node.links.as_deref().unwrap_or_default();
    let told = node.endpoint.as_deref().ok().and_then(|endpoint| host(endpoint).parse::<IpAddr>().ok());
    let source = format!("control plane's endpoint {vip}");
    // What it was told, and what its Cluster says, differ.
    if let (Some(told), Some(expected)) = (told, node.subject.vip)
        && told != expected
        && !told.is_loopback()
        && !held(node, told)
    {
        let fix = "the endpoint of a cluster does not change: make the Cluster anew with the address that is meant";
        let cause = format!("it was told that the control plane is at {told}, and its Cluster says {expected}");
        return Some(Finding::error(called(node), cause, fix).seen(source, &format!("the guest's files say {told}")));
    }
    if held(node, vip) {
        return None;
    }
    let own = |mac: &str| links.iter().any(|link| link.mac.eq_ignore_ascii_case(mac));
    if let Some(mac) = node.vip_neighbour.as_deref().filter(|mac| !own(mac)) {
        // A worker's neighbour is a control plane whose API server is down, perhaps.
        let severity = if node.is_control_plane() { Severity::Error } else { Severity::Warning };
        let cause = format!("another machine has the VIP {vip}, and does not serve the API there");
        let fix = "on the host: `ip neigh`, `bridge fdb` and DHCP's leases tell whose MAC that is; where it is no control plane of this cluster, take a VIP that nobody has, outside of \
                   DHCP's range";
        return Some(Finding::new(severity, called(node), cause, fix).seen(source, &format!("its neighbour there is {mac}")));
    }
    if outside(node, vip) {
        let severity = if node.is_control_plane() || node.subject.machine { Severity::Error } else { Severity::Warning };
        let cause = format!("the VIP {vip} is in none of the node's networks, so no node can take it by ARP");
        return Some(Finding::new(severity, called(node), cause, OF_THEIR_NETWORK).seen(source, &format!("the node has {}", nets(node))));
    }
    if !node.is_control_plane() {
        return None;
    }
    // kube-vip asks the API server who shall have it.
    let local = node.local_api.as_ref().is_some_and(|asked| asked.answer.is_ok());
    let severity = if local { Severity::Error } else { Severity::Warning };
    let manifests = node.manifests.as_ref().ok()?;
    let unit = node.units.get("keepalived").is_some_and(|unit| unit.loaded);
    let (cause, fix) = if manifests.contains("kube-vip") || manifests.contains("keepalived") || unit {
        (
            format!("the VIP {vip} is on none of its interfaces: who should take it does not"),
            "kube-vip asks the API server of its node, by /etc/kubernetes/admin.conf (super-admin.conf until kubeadm is done, from 1.29 on), and takes the address on the interface of the \
             default route, or vip_interface; its last lines are told here",
        )
    } else {
        (
            format!("nobody on it takes the VIP {vip}: there is neither kube-vip nor keepalived"),
            "add kube-vip's manifest to files of the KubeadmControlPlane, as templates of `capstead generate cluster` do",
        )
    };
    Some(Finding::new(severity, called(node), cause, fix).seen(source, "on no interface, and nobody answers").with(takers(node)))
}

pub(super) fn endpoint(node: &Node) -> Option<Finding> {
    let asked = node.endpoint_api.as_ref()?;
    let why = asked.answer.as_ref().err()?;
    // On a control plane it follows from its own API server and from the VIP.
    if node.is_control_plane() || node.is_ready() || node.endpoint_resolves == Some(false) {
        return None;
    }
    let cause = "the control plane's API does not answer to it: no control plane is up, or none has the address";
    let fix = "look at the control plane's Machines: `capstead debug` of the first; the VIP must be on one of them, and in this machine's network";
    Some(Finding::error(called(node), cause, fix).seen(&asked.address, why))
}
