//! DaemonSets: one pod on every Node that takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cluster::pods;
use crate::cluster::put;
use crate::store::Object;
use crate::store::Store;

const REVISION: &str = "controller-revision-hash";

pub fn run(store: &mut Store, nodes: &BTreeMap<String, Value>, now: Timestamp) {
    for set in store.list("daemonsets.apps", None).filter(|set| !set.terminating()).cloned().collect::<Vec<_>>() {
        one(store, &set, nodes, now);
    }
}

fn one(store: &mut Store, set: &Arc<Object>, nodes: &BTreeMap<String, Value>, now: Timestamp) {
    let value = set.value();
    let template = &value["spec"]["template"];
    let revision = pods::hash(template);
    let wanted: Vec<&String> = nodes.iter().filter(|(_, node)| takes(&template["spec"], node)).map(|(name, _)| name).collect();
    let own: Vec<Arc<Object>> =
        store.list("pods", Some(set.namespace())).filter(|pod| pod.owners().any(|owner| owner == set.uid())).cloned().collect();
    let mut current = Vec::new();
    for pod in own {
        let object = pod.value();
        let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
        if pod.terminating() {
            // Its successor waits until the kubelet has ended it.
            current.push((node.to_owned(), None));
        } else if !wanted.iter().any(|wanted| *wanted == node) || object["metadata"]["labels"][REVISION] != revision.as_str() {
            super::delete(store, &pod, 30, now);
            current.push((node.to_owned(), None));
        } else {
            current.push((node.to_owned(), Some(pod)));
        }
    }
    for node in wanted.iter().filter(|node| !current.iter().any(|(there, _)| there == **node)) {
        let mut pod = super::pod(template, set, "DaemonSet", (REVISION, &revision));
        pod["spec"]["nodeName"] = json!(node);
        put(store, "pods", pod, now);
    }
    let live: Vec<Arc<Object>> = current.into_iter().filter_map(|(_, pod)| pod).collect();
    let ready = super::ready_count(&live);
    let status = json!({
        "currentNumberScheduled": live.len(), "desiredNumberScheduled": wanted.len(), "numberMisscheduled": 0, "numberReady": ready,
        "numberAvailable": ready, "updatedNumberScheduled": live.len(), "observedGeneration": value["metadata"]["generation"],
    });
    super::set_status(store, set, &status, now);
}

/// The controller itself tolerates for its pods whatever a Node is in for a while.
fn takes(spec: &Value, node: &Value) -> bool {
    let mut node = node.clone();
    if let Some(taints) = node["spec"]["taints"].as_array_mut() {
        taints.retain(|taint| {
            !matches!(
                taint["key"].as_str(),
                Some("node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable" | "node.kubernetes.io/unschedulable")
            )
        });
    }
    super::selected(spec, &node) && super::tolerated(spec, &node, &["NoSchedule", "NoExecute"])
}
