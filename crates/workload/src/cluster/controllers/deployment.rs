//! Deployments and their ReplicaSets: as many pods as asked for, of the newest template. The old ones go at once; nobody here serves requests.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cluster::pods;
use crate::cluster::put;
use crate::store::Object;
use crate::store::Store;
use crate::store::time;

const HASH: &str = "pod-template-hash";
/// More replicas than this of one Deployment are not simulated.
const MOST: u64 = 100;

pub fn run(store: &mut Store, now: Timestamp) {
    for deployment in store.list("deployments.apps", None).filter(|object| !object.terminating()).cloned().collect::<Vec<_>>() {
        one(store, &deployment, now);
    }
}

fn one(store: &mut Store, deployment: &Arc<Object>, now: Timestamp) {
    let value = deployment.value();
    let replicas = value["spec"]["replicas"].as_u64().unwrap_or(1).min(MOST);
    let hash = pods::hash(&value["spec"]["template"]);
    let name = format!("{}-{hash}", deployment.name());
    if store.get("replicasets.apps", deployment.namespace(), &name).is_none() {
        put(store, "replicasets.apps", replica_set(deployment, &value, &name, &hash, replicas), now);
    }
    let sets: Vec<Arc<Object>> = store
        .list("replicasets.apps", Some(deployment.namespace()))
        .filter(|set| set.owners().any(|owner| owner == deployment.uid()))
        .cloned()
        .collect();
    let mut ready = 0;
    for set in sets {
        let wanted = if set.name() == name { replicas } else { 0 };
        ready += scale(store, &set, wanted, &hash, now);
    }
    let enough = ready as u64 >= replicas.saturating_sub(1).max(u64::from(replicas > 0));
    let before = value["status"]["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == "Available");
    let status = if enough { "True" } else { "False" };
    let since = before.filter(|before| before["status"] == status).map(|before| before["lastTransitionTime"].clone());
    let since = since.unwrap_or_else(|| json!(time(now)));
    let reason = if enough { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
    let status = json!({
        "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready, "availableReplicas": ready,
        "unavailableReplicas": replicas.saturating_sub(ready as u64), "observedGeneration": value["metadata"]["generation"],
        "conditions": [{"type": "Available", "status": status, "reason": reason, "lastTransitionTime": since, "lastUpdateTime": since}],
    });
    super::set_status(store, deployment, &status, now);
}

fn replica_set(deployment: &Object, value: &Value, name: &str, hash: &str, replicas: u64) -> Value {
    let mut template = value["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = value["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name(), "uid": deployment.uid(), "controller": true, "blockOwnerDeletion": true,
    });
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": deployment.namespace(), "labels": template["metadata"]["labels"], "ownerReferences": [owner]},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    })
}

/// Brings a ReplicaSet to its number of pods; tells how many are ready.
fn scale(store: &mut Store, set: &Arc<Object>, wanted: u64, hash: &str, now: Timestamp) -> usize {
    let own: Vec<Arc<Object>> = store
        .list("pods", Some(set.namespace()))
        .filter(|pod| !pod.terminating() && pod.owners().any(|owner| owner == set.uid()))
        .cloned()
        .collect();
    let wanted = usize::try_from(wanted).unwrap_or(0);
    for pod in own.iter().skip(wanted) {
        super::delete(store, pod, 30, now);
    }
    let value = set.value();
    for _ in own.len()..wanted {
        put(store, "pods", super::pod(&value["spec"]["template"], set, "ReplicaSet", (HASH, hash)), now);
    }
    if value["spec"]["replicas"] != wanted {
        let _ = store.modify(set.resource(), set.namespace(), set.name(), now, |set| set["spec"]["replicas"] = json!(wanted));
    }
    let kept = &own[..own.len().min(wanted)];
    let ready = super::ready_count(kept);
    let generation = store.get(set.resource(), set.namespace(), set.name()).map(|set| set.value()["metadata"]["generation"].clone());
    let status = json!({"replicas": wanted, "readyReplicas": ready, "availableReplicas": ready, "fullyLabeledReplicas": wanted, "observedGeneration": generation});
    super::set_status(store, set, &status, now);
    ready
}
