//! Nodes: as kubelets register them and report on them, and as the node controller marks those that it does not hear.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::Machine;
use super::pods;
use super::put;
use crate::store::Deletion;
use crate::store::Store;
use crate::store::time;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// What a kubelet says of itself besides Ready: condition type, reason and message while all is well.
const PRESSURES: [(&str, &str, &str); 3] = [
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
];

/// Registers a machine, unless its Node is there, and puts its static pods beside it.
pub fn register(store: &mut Store, machine: &Machine, now: Timestamp) {
    let name = machine.node.name.as_str();
    if store.get("nodes", "", name).is_none() {
        put(store, "nodes", node(machine, now), now);
        put(store, "leases.coordination.k8s.io", lease(name, now), now);
    }
    if machine.control_plane.is_some()
        && let Some(uid) = store.get("nodes", "", name).map(|node| node.uid().to_owned())
    {
        pods::make_static(store, machine, &uid, now);
    }
}

/// The kubelet reports that all is well.
pub fn ready(store: &mut Store, machine: &Machine, now: Timestamp) {
    let _ = store.modify("nodes", "", &machine.node.name, now, |node| {
        let mut all: Vec<Value> =
            PRESSURES.iter().map(|(kind, reason, message)| condition(node, kind, "False", reason, message, now)).collect();
        all.push(condition(node, "Ready", "True", "KubeletReady", "kubelet is posting ready status", now));
        node["status"]["conditions"] = Value::Array(all);
        set_taints(node, |key| key != NOT_READY && key != UNREACHABLE, Vec::new());
    });
    pods::set_ready(store, &machine.node.name, true, now);
}

/// The node controller has not heard of the kubelet for too long.
pub fn unknown(store: &mut Store, name: &str, now: Timestamp) {
    let _ = store.modify("nodes", "", name, now, |node| {
        let kinds = PRESSURES.iter().map(|(kind, ..)| *kind).chain(["Ready"]);
        let message = "Kubelet stopped posting node status.";
        let all = kinds.map(|kind| condition(node, kind, "Unknown", "NodeStatusUnknown", message, now)).collect();
        node["status"]["conditions"] = Value::Array(all);
        let taint = |effect| json!({"key": UNREACHABLE, "effect": effect, "timeAdded": time(now)});
        set_taints(node, |key| key != NOT_READY && key != UNREACHABLE, vec![taint("NoSchedule"), taint("NoExecute")]);
    });
    pods::set_ready(store, name, false, now);
}

/// Whether a Node says Ready.
pub fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Ends a Node's lease; the garbage collector does that in a real cluster.
pub fn release(store: &mut Store, name: &str, now: Timestamp) {
    let _ = store.delete("leases.coordination.k8s.io", "kube-node-lease", name, &Deletion::default(), now);
}

fn condition(node: &Value, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let before = node["status"]["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    let since =
        before.filter(|before| before["status"] == status).and_then(|before| before["lastTransitionTime"].as_str().map(str::to_owned));
    let heard = before.filter(|_| status == "Unknown").and_then(|before| before["lastHeartbeatTime"].as_str().map(str::to_owned));
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": heard.unwrap_or_else(|| time(now)), "lastTransitionTime": since.unwrap_or_else(|| time(now)),
    })
}

fn set_taints(node: &mut Value, keep: impl Fn(&str) -> bool, more: Vec<Value>) {
    let kept = node["spec"]["taints"].as_array().into_iter().flatten().filter(|taint| taint["key"].as_str().is_some_and(&keep)).cloned();
    let taints: Vec<Value> = kept.chain(more).collect();
    if let Some(spec) = node["spec"].as_object_mut() {
        if taints.is_empty() {
            spec.remove("taints")
        } else {
            spec.insert("taints".to_owned(), Value::Array(taints))
        };
    }
}

fn node(machine: &Machine, now: Timestamp) -> Value {
    let Machine { node, host, kubelet, control_plane, pod_cidr, .. } = machine;
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": node.name,
    });
    for (key, value) in &node.labels {
        labels[key] = json!(value);
    }
    if control_plane.is_some() {
        labels[CONTROL_PLANE] = json!("");
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = json!("");
    }
    let mut taints: Vec<Value> = node.taints.iter().map(taint).collect();
    taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    let mut spec = json!({"taints": taints});
    if let Some(id) = &node.provider_id {
        spec["providerID"] = json!(id);
    }
    if let Some(cidr) = pod_cidr {
        spec["podCIDR"] = json!(cidr);
        spec["podCIDRs"] = json!([cidr]);
    }
    let resources =
        json!({"cpu": host.cpus.to_string(), "memory": format!("{}Mi", host.memory), "pods": "110", "ephemeral-storage": "20Gi"});
    let mut addresses: Vec<Value> = if node.addresses.is_empty() {
        vec![json!({"type": "InternalIP", "address": host.address.to_string()})]
    } else {
        node.addresses.iter().map(|address| json!({"type": "InternalIP", "address": address})).collect()
    };
    addresses.push(json!({"type": "Hostname", "address": node.name}));
    let mut object = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": node.name, "labels": labels,
            "annotations": {"kubeadm.alpha.kubernetes.io/cri-socket": node.cri_socket, "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": spec,
        "status": {
            "capacity": resources, "allocatable": resources, "addresses": addresses,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": host.uuid.replace('-', ""), "systemUUID": host.uuid, "bootID": host.uuid, "kernelVersion": "6.12.0-capstead",
                "osImage": "Capstead simulated machine", "containerRuntimeVersion": "containerd://2.2.0", "kubeletVersion": format!("v{kubelet}"),
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    });
    let mut conditions: Vec<Value> =
        PRESSURES.iter().map(|(kind, reason, message)| condition(&object, kind, "False", reason, message, now)).collect();
    let message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
    conditions.push(condition(&object, "Ready", "False", "KubeletNotReady", message, now));
    object["status"]["conditions"] = Value::Array(conditions);
    object
}

fn taint(taint: &crate::guest::kubeadm::Taint) -> Value {
    let mut value = json!({"key": taint.key, "effect": taint.effect});
    if !taint.value.is_empty() {
        value["value"] = json!(taint.value);
    }
    value
}

fn lease(name: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()},
    })
}
