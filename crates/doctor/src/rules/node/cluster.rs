//! A node that has joined, as its cluster sees it.

use super::called;
use crate::finding::Finding;
use crate::node::Node;

/// What kubelets say where no CNI is there.
const NO_NETWORK: [&str; 3] = ["cni plugin not initialized", "NetworkPluginNotReady", "network plugin is not ready"];

pub(super) fn cni(node: &Node) -> Option<Finding> {
    let without = |text: &str| NO_NETWORK.iter().any(|said| text.contains(said));
    let told = node.registered.as_ref().ok().filter(|registered| !registered.ready && without(&registered.message));
    let configured = node.cni.as_ref().is_ok_and(|files| !files.is_empty());
    // Where the API server says nothing of it, its journal counts as long as nothing is configured.
    let lines = if node.registered.is_err() && !configured { node.lines("journal of kubelet", &NO_NETWORK) } else { Vec::new() };
    // Before there is an API server, nobody can bring a CNI.
    let early = node.local_api.as_ref().is_some_and(|asked| asked.answer.is_err())
        || node.endpoint_api.as_ref().is_some_and(|asked| asked.answer.is_err());
    if told.is_none() && (lines.is_empty() || early) {
        return None;
    }
    let cause = if configured {
        "a CNI is configured, and its plugin does not come up"
    } else {
        "nobody has brought a network for pods: /etc/cni/net.d holds no configuration"
    };
    let fix = "apply a CNI to the workload cluster, or give the Cluster the label that its ClusterResourceSet selects (`capstead generate cluster` has one for flannel and cilium); \
               its pods' logs tell why one that is there does not come up";
    let finding = Finding::error(called(node), cause, fix);
    let finding = match told {
        Some(told) => finding.seen("the node's condition Ready", &told.message),
        None => finding,
    };
    Some(finding.with(lines).with(node.last("log of kube-flannel in ", 2)).with(node.last("log of cilium-agent in ", 2)))
}

pub(super) fn provider_id(node: &Node) -> Option<Finding> {
    let expected = node.subject.provider_id.as_deref()?;
    let registered = node.registered.as_ref().ok();
    let told = registered.map(|registered| registered.provider_id.as_str()).or(node.kubelet_provider_id.as_deref())?;
    if told == expected {
        return None;
    }
    let source = if registered.is_some() { "the node's spec.providerID" } else { "the kubelet's flags" };
    let (cause, said) = if told.is_empty() {
        ("the node has no provider id, so Cluster API does not find it", "it is empty")
    } else {
        ("the node says to be another machine than its Machine, so Cluster API does not find it", told)
    };
    let fix = "its kubelet must be told the id by `--provider-id`: `kubeletExtraArgs` of the KubeadmConfig's nodeRegistration, as templates of `capstead generate cluster` do; it cannot be \
               changed once it is set, so replace the machine";
    Some(Finding::error(called(node), cause, fix).seen(source, said).seen("its Machine", expected))
}

pub(super) fn not_ready(node: &Node) -> Option<Finding> {
    let registered = node.registered.as_ref().ok().filter(|registered| !registered.ready)?;
    // That has a rule of its own.
    if NO_NETWORK.iter().any(|said| registered.message.contains(said)) {
        return None;
    }
    let fix = "the message names what is missing; the kubelet's journal has more of it";
    let finding = Finding::error(called(node), "the node is registered, and not Ready", fix);
    Some(finding.seen("the node's condition Ready", &registered.message))
}
