//! As much of kube-controller-manager, kube-scheduler and the kubelets as machines' lives depend on. Level-triggered: every pass looks at what there is,
//! and does what is missing; a pass that finds nothing missing writes nothing. Parsing objects is what a pass costs: it does so only with those that it must.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::nodes;
use super::pods;
use crate::store::Deletion;
use crate::store::Object;
use crate::store::Store;

mod daemonset;
mod deployment;

/// Passes until all is settled: a template's change takes a few. More would be a controller that undoes another.
const PASSES: usize = 8;

/// Runs the controllers until nothing changes; `up` holds the addresses of the machines whose kubelet runs, by Node. `false` if something still did.
pub fn run(store: &mut Store, up: &BTreeMap<&str, IpAddr>, now: Timestamp) -> bool {
    for _ in 0..PASSES {
        let before = store.revision();
        let nodes: BTreeMap<String, Value> = store.list("nodes", None).map(|node| (node.name().to_owned(), node.value())).collect();
        collect(store, &nodes, now);
        daemonset::run(store, &nodes, now);
        deployment::run(store, now);
        schedule(store, &nodes, now);
        kubelets(store, &nodes, up, now);
        if store.revision() == before {
            return true;
        }
    }
    tracing::warn!(revision = store.revision(), "the controllers do not settle");
    false
}

/// Deletes the movable pods of a Node that does not answer.
pub fn evict(store: &mut Store, node: &str, now: Timestamp) {
    for pod in pods::on(store, node) {
        let value = pod.value();
        if !pod.terminating() && owner(&value, "DaemonSet").is_none() && owner(&value, "Node").is_none() {
            delete(store, &pod, 30, now);
        }
    }
}

/// Ends pods whose Node is gone, and its lease.
fn collect(store: &mut Store, nodes: &BTreeMap<String, Value>, now: Timestamp) {
    let orphans = store.list("pods", None).filter(|pod| !pod.node().is_empty() && !nodes.contains_key(pod.node()));
    for pod in orphans.cloned().collect::<Vec<_>>() {
        delete(store, &pod, 0, now);
    }
    let leases = store.list("leases.coordination.k8s.io", Some("kube-node-lease")).map(|lease| lease.name().to_owned());
    for name in leases.filter(|name| !nodes.contains_key(name)).collect::<Vec<_>>() {
        nodes::release(store, &name, now);
    }
}

/// Gives every pod without a Node the one with the fewest pods of those that take it.
fn schedule(store: &mut Store, nodes: &BTreeMap<String, Value>, now: Timestamp) {
    let waiting: Vec<Arc<Object>> = store.list("pods", None).filter(|pod| !pod.terminating() && pod.node().is_empty()).cloned().collect();
    if waiting.is_empty() {
        return;
    }
    let mut load: BTreeMap<String, usize> = BTreeMap::new();
    for pod in store.list("pods", None).filter(|pod| !pod.node().is_empty()) {
        *load.entry(pod.node().to_owned()).or_default() += 1;
    }
    for pod in waiting {
        let spec = &pod.value()["spec"];
        let fits = nodes.iter().filter(|(_, node)| {
            nodes::is_ready(node)
                && node["spec"]["unschedulable"] != true
                && selected(spec, node)
                && tolerated(spec, node, &["NoSchedule", "NoExecute"])
        });
        let best = fits.map(|(name, _)| name).min_by_key(|name| load.get(*name).copied().unwrap_or(0)).cloned();
        let _ = store.modify("pods", pod.namespace(), pod.name(), now, |pod| match &best {
            Some(node) => pod["spec"]["nodeName"] = json!(node),
            None if pod["status"]["phase"].is_null() => {
                pod["status"] = json!({"phase": "Pending", "conditions": [{
                    "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node takes it",
                    "lastTransitionTime": crate::store::time(now),
                }]});
            }
            None => {}
        });
        if let Some(node) = best {
            *load.entry(node).or_default() += 1;
        }
    }
}

/// Starts the pods of every machine that is up, and ends those that terminate.
fn kubelets(store: &mut Store, nodes: &BTreeMap<String, Value>, up: &BTreeMap<&str, IpAddr>, now: Timestamp) {
    for pod in store.list("pods", None).cloned().collect::<Vec<_>>() {
        if pod.node().is_empty() {
            if pod.terminating() {
                delete(store, &pod, 0, now);
            }
            continue;
        }
        let (Some(address), Some(object)) = (up.get(pod.node()), nodes.get(pod.node())) else { continue };
        if pod.terminating() {
            delete(store, &pod, 0, now);
        } else if pod.phase() != "Running" && pod.phase() != "Succeeded" {
            let status = pods::status(&pod.value(), *address, nodes::is_ready(object), now);
            let _ = store.modify("pods", pod.namespace(), pod.name(), now, |pod| pod["status"] = status);
        }
    }
}

fn delete(store: &mut Store, object: &Object, grace: u32, now: Timestamp) {
    let how = Deletion { uid: object.uid().to_owned(), grace, ..Deletion::default() };
    if let Err(error) = store.delete(object.resource(), object.namespace(), object.name(), &how, now) {
        tracing::debug!(name = object.name(), %error, "not deleted");
    }
}

/// The uid of the owner of that kind.
fn owner<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|owner| owner["kind"] == kind)?["uid"].as_str()
}

/// A pod of a template, owned by what has the template.
fn pod(template: &Value, owner: &Object, kind: &str, label: (&str, &str)) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let name = json!({
        "apiVersion": "apps/v1", "kind": kind, "name": owner.name(), "uid": owner.uid(), "controller": true, "blockOwnerDeletion": true,
    });
    pod["metadata"]["generateName"] = json!(format!("{}-", owner.name()));
    pod["metadata"]["namespace"] = json!(owner.namespace());
    pod["metadata"]["ownerReferences"] = json!([name]);
    pod["metadata"]["labels"][label.0] = json!(label.1);
    pod
}

/// Whether the Node has what the pod's selector asks for.
fn selected(spec: &Value, node: &Value) -> bool {
    spec["nodeSelector"].as_object().into_iter().flatten().all(|(key, value)| &node["metadata"]["labels"][key] == value)
}

/// Whether the pod puts up with the Node's taints of these effects.
fn tolerated(spec: &Value, node: &Value, effects: &[&str]) -> bool {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.filter(|taint| taint["effect"].as_str().is_some_and(|effect| effects.contains(&effect))).all(|taint| {
        spec["tolerations"].as_array().into_iter().flatten().any(|toleration| {
            let any = |field: &str| toleration[field].as_str().unwrap_or_default().is_empty();
            let same = |field: &str| toleration[field].as_str().unwrap_or_default() == taint[field].as_str().unwrap_or_default();
            let exists = toleration["operator"] == "Exists";
            (any("effect") || same("effect")) && ((any("key") && exists) || (same("key") && (exists || same("value"))))
        })
    })
}

/// How many are Ready.
fn ready_count(pods: &[Arc<Object>]) -> usize {
    pods.iter().filter(|pod| pod.ready()).count()
}

/// Writes a status if it differs.
fn set_status(store: &mut Store, object: &Object, status: &Value, now: Timestamp) {
    let _ = store.modify(object.resource(), object.namespace(), object.name(), now, |object| {
        if !object["status"].is_object() {
            object["status"] = json!({});
        }
        for (key, value) in status.as_object().into_iter().flatten() {
            object["status"][key] = value.clone();
        }
    });
}
