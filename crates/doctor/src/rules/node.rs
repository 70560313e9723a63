//! A guest that is to be a node, and was looked into: what keeps it from being one.
//!
//! Of a node that is Ready, what its logs complain of has passed; only its state counts.

mod bootstrap;
mod cluster;
mod control_plane;
mod runtime;
mod system;

use super::Rule;
use crate::finding::Finding;
use crate::node::Node;
use crate::picture::Picture;

/// In the order in which one thing rests on another: of what is as bad, the likely cause comes first.
pub(super) const RULES: &[Rule] = &[
    Rule { id: "node-disk", symptom: "no space left on device; pods are evicted", find: |picture| each(picture, system::disk) },
    Rule { id: "node-clock", symptom: "x509: certificate has expired or is not yet valid", find: |picture| each(picture, system::clock) },
    Rule { id: "node-memory", symptom: "Out of memory: Killed process", find: |picture| each(picture, system::memory) },
    Rule { id: "node-address", symptom: "no DHCP: the node has no address", find: |picture| each(picture, system::address) },
    Rule {
        id: "node-dns",
        symptom: "names are not resolved: no such host; Temporary failure in name resolution",
        find: |picture| each(picture, system::dns),
    },
    Rule {
        id: "node-user-data",
        symptom: "cloud-init finds no data, or cannot read them",
        find: |picture| each(picture, bootstrap::user_data),
    },
    Rule {
        id: "node-runtime",
        symptom: "containerd does not run, or does not serve the kubelet",
        find: |picture| each(picture, runtime::containerd),
    },
    Rule { id: "node-image", symptom: "ErrImagePull; ImagePullBackOff; [ERROR ImagePull]", find: |picture| each(picture, runtime::image) },
    Rule { id: "node-preflight", symptom: "[preflight] Some fatal errors occurred", find: |picture| each(picture, bootstrap::preflight) },
    Rule {
        id: "node-join",
        symptom: "kubeadm join fails: couldn't validate the identity of the API Server",
        find: |picture| each(picture, bootstrap::join),
    },
    Rule { id: "node-kubelet", symptom: "[kubelet-check] The kubelet is not healthy", find: |picture| each(picture, runtime::kubelet) },
    Rule { id: "node-static-pod", symptom: "etcd or kube-apiserver crash-loops", find: control_plane::static_pods },
    Rule { id: "node-api", symptom: "the API server on the node does not answer", find: |picture| each(picture, control_plane::api) },
    Rule {
        id: "node-vip",
        symptom: "the control plane's VIP is on no node, or on another machine",
        find: |picture| each(picture, control_plane::vip),
    },
    Rule {
        id: "node-endpoint",
        symptom: "the node does not reach the control plane",
        find: |picture| each(picture, control_plane::endpoint),
    },
    Rule { id: "node-cni", symptom: "the node is NotReady: cni plugin not initialized", find: |picture| each(picture, cluster::cni) },
    Rule {
        id: "node-provider-id",
        symptom: "the Machine finds no node: provider ids differ",
        find: |picture| each(picture, cluster::provider_id),
    },
    Rule { id: "node-not-ready", symptom: "the node is NotReady", find: |picture| each(picture, cluster::not_ready) },
    Rule { id: "node-kubeadm", symptom: "kubeadm fails: error execution phase", find: |picture| each(picture, bootstrap::kubeadm) },
    Rule { id: "node-cloud-init", symptom: "cloud-init status: error", find: |picture| each(picture, bootstrap::cloud_init) },
    Rule { id: "node-booting", symptom: "cloud-init status: running", find: |picture| each(picture, bootstrap::booting) },
];

fn each(picture: &Picture, find: fn(&Node) -> Option<Finding>) -> Vec<Finding> {
    picture.nodes.iter().filter_map(find).collect()
}

/// As findings name it.
fn called(node: &Node) -> String {
    format!("node {}", node.subject.name)
}

#[cfg(test)]
mod tests;
