//! Pods: static ones as kubeadm and the kubelet make them, and the status that a kubelet gives any.

use std::net::IpAddr;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::Machine;
use super::machine::url;
use super::put;
use crate::store::Object;
use crate::store::Store;
use crate::store::time;

/// The static pods of a control plane machine, where they are not yet. Its own etcd only where it has a member.
pub fn make_static(store: &mut Store, machine: &Machine, uid: &str, now: Timestamp) {
    let version = format!("v{}", machine.kubelet);
    let advertised = SocketAddr::new(machine.host.address, machine.control_plane.unwrap_or(6443)).to_string();
    let components = [
        ("kube-apiserver", version.as_str(), Some(("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", advertised))),
        ("kube-controller-manager", version.as_str(), None),
        ("kube-scheduler", version.as_str(), None),
        ("etcd", "3.6.8-0", Some(("kubeadm.kubernetes.io/etcd.advertise-client-urls", url(&machine.host, 2379)))),
    ];
    for (component, tag, annotation) in components {
        if component == "etcd" && machine.member.is_none() {
            continue;
        }
        let node = &machine.node.name;
        let digest = hash(&json!([component, tag, node]));
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{component}-{node}"), "namespace": "kube-system",
                "labels": {"component": component, "tier": "control-plane"},
                "annotations": {
                    "kubernetes.io/config.hash": digest, "kubernetes.io/config.mirror": digest,
                    "kubernetes.io/config.source": "file", "kubernetes.io/config.seen": time(now),
                },
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid, "controller": true}],
            },
            "spec": {
                "containers": [{"name": component, "image": format!("registry.k8s.io/{component}:{tag}"), "command": [component]}],
                "hostNetwork": true, "nodeName": node, "priority": 2_000_001_000, "priorityClassName": "system-node-critical",
                "tolerations": [{"effect": "NoExecute", "operator": "Exists"}],
            },
        });
        if let Some((key, value)) = annotation {
            pod["metadata"]["annotations"][key] = json!(value);
        }
        pod["status"] = status(&pod, machine.host.address, false, now);
        put(store, "pods", pod, now);
    }
}

/// What a kubelet says of a pod that runs on its machine.
pub fn status(pod: &Value, host: IpAddr, ready: bool, now: Timestamp) -> Value {
    let own = pod["spec"]["hostNetwork"] == true;
    let containers: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": time(now)}},
            })
        })
        .collect();
    // Addresses of pods are nobody's here, but must be there and differ.
    let address = if own { host.to_string() } else { address(pod) };
    json!({
        "phase": "Running", "hostIP": host.to_string(), "hostIPs": [{"ip": host.to_string()}], "podIP": address, "podIPs": [{"ip": address}],
        "startTime": time(now), "qosClass": "Burstable", "conditions": conditions(ready, now), "containerStatuses": containers,
    })
}

fn address(pod: &Value) -> String {
    let digest = Sha256::digest(pod["metadata"]["uid"].as_str().unwrap_or_default());
    format!("10.{}.{}.{}", 200 + digest[0] % 50, digest[1], 1 + digest[2] % 254)
}

fn conditions(ready: bool, now: Timestamp) -> Value {
    let status = |fits| if fits { "True" } else { "False" };
    let kinds =
        [("PodReadyToStartContainers", true), ("Initialized", true), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", true)];
    kinds.iter().map(|(kind, fits)| json!({"type": kind, "status": status(*fits), "lastTransitionTime": time(now)})).collect()
}

/// Makes the running pods of a node Ready, or not: the kubelet when it has started, the node controller when it is not heard.
pub fn set_ready(store: &mut Store, node: &str, ready: bool, now: Timestamp) {
    for pod in on(store, node) {
        // The node controller knows nothing of containers.
        mark(store, &pod, ready, ready, now);
    }
}

/// The kubelet's probes of what depends on the node's member of etcd: etcd itself, and the API server.
pub fn probe(store: &mut Store, node: &str, healthy: bool, now: Timestamp) {
    for component in ["etcd", "kube-apiserver"] {
        if let Some(pod) = store.get("pods", "kube-system", &format!("{component}-{node}")).cloned() {
            mark(store, &pod, healthy, true, now);
        }
    }
}

fn mark(store: &mut Store, pod: &Object, ready: bool, containers: bool, now: Timestamp) {
    if pod.phase() != "Running" || pod.ready() == ready {
        return;
    }
    let _ = store.modify("pods", pod.namespace(), pod.name(), now, |pod| {
        for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Ready" || (containers && condition["type"] == "ContainersReady") {
                condition["status"] = json!(if ready { "True" } else { "False" });
                condition["lastTransitionTime"] = json!(time(now));
            }
        }
        for container in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten().filter(|_| containers) {
            container["ready"] = json!(ready);
        }
    });
}

/// The pods on a node.
pub fn on(store: &Store, node: &str) -> Vec<std::sync::Arc<Object>> {
    store.list("pods", None).filter(|pod| pod.node() == node).cloned().collect()
}

/// A short hash of a value, for names and labels.
pub fn hash(value: &Value) -> String {
    Sha256::digest(value.to_string()).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
