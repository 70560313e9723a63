//! From what is seen to what is said: a tree of objects, and what is still missing.

use jiff::Timestamp;
use serde_json::Value;

use crate::Look;

const CONTROL_PLANE: &str = "cluster.x-k8s.io/control-plane";

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `Kind/name`.
    pub object: String,
    /// The lines of the tree before it.
    pub branch: String,
    /// Its condition Ready, or Available: `True`, `False`, `Unknown`, or empty.
    pub ready: String,
    /// The condition's reason.
    pub reason: String,
    /// Since when the condition is so.
    pub since: Option<Timestamp>,
    /// The phase, a provider id, or the first line of the condition's message.
    pub note: String,
}

/// The tree, from the Cluster down.
#[must_use]
pub fn rows(look: &Look) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(root) = look.cluster() {
        rows.push(row(root, String::new()));
        grow(look, root, "", &mut rows);
    }
    rows
}

fn grow(look: &Look, parent: &Value, indent: &str, rows: &mut Vec<Row>) {
    let children: Vec<&Value> = look.objects.iter().filter(|object| owner(look, object) == parent["metadata"]["uid"].as_str()).collect();
    for (n, child) in children.iter().enumerate() {
        let last = n + 1 == children.len();
        rows.push(row(child, format!("{indent}{}", if last { "└─" } else { "├─" })));
        grow(look, child, &format!("{indent}{}", if last { "  " } else { "│ " }), rows);
    }
}

/// The uid of the nearest owner that is seen: a Machine before what made the object.
fn owner<'a>(look: &Look, object: &'a Value) -> Option<&'a str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let uid = |owner: &'a Value| owner["uid"].as_str();
    let seen = |owner: &&'a Value| look.objects.iter().any(|object| object["metadata"]["uid"] == owner["uid"]);
    let machine = owners.iter().filter(seen).find(|owner| owner["kind"] == "Machine");
    machine.or_else(|| owners.iter().find(seen)).and_then(uid)
}

fn row(object: &Value, branch: String) -> Row {
    let condition = condition(object, "Ready").or_else(|| condition(object, "Available"));
    let text = |field: &str| condition.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    let ready = text("status");
    let note = match object["spec"]["providerID"].as_str() {
        Some(id) if !id.is_empty() => id,
        _ if ready == "True" => "",
        _ => text("message").lines().next().unwrap_or_default(),
    };
    Row {
        object: named(object),
        branch,
        ready: ready.into(),
        reason: text("reason").into(),
        since: text("lastTransitionTime").parse().ok(),
        note: note.into(),
    }
}

/// A condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// `Kind/name`.
#[must_use]
pub fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Names of machines whose microVM is gone from a host that answers: it was started anew, without its memory.
#[must_use]
pub fn lost(look: &Look) -> Vec<String> {
    let gone = look.all("MicrovmMachine").filter(|machine| {
        let id = machine["spec"]["providerID"].as_str().and_then(|id| id.strip_prefix("microvm://")?.rsplit_once('/'));
        id.is_some_and(|(address, uid)| {
            let host = look.hosts.iter().find(|host| host.address == address);
            host.and_then(|host| host.microvms.as_ref().ok()).is_some_and(|microvms| !microvms.iter().any(|microvm| microvm.uid == uid))
        })
    });
    gone.map(named).collect()
}

/// The Machines of the control plane, or the others.
pub fn machines(look: &Look, control_plane: bool) -> impl Iterator<Item = &Value> {
    look.all("Machine").filter(move |machine| machine["metadata"]["labels"].get(CONTROL_PLANE).is_some() == control_plane)
}

/// What is missing until the cluster is available; nothing if it is.
#[must_use]
pub fn missing(look: &Look) -> Vec<String> {
    if look.cluster().is_some_and(|cluster| is_true(cluster, "Available")) {
        return Vec::new();
    }
    let members: Vec<&Value> = machines(look, true).collect();
    let mut missing: Vec<String> = members.iter().flat_map(|machine| lacks(machine)).collect();
    let others = look.objects.iter().filter(|object| object["kind"] != "MachineSet" && object["kind"] != "KubeadmConfig");
    missing.extend(others.filter_map(|object| unready(object, if object["kind"] == "Cluster" { "Available" } else { "Ready" })));
    if members.is_empty() {
        missing.insert(0, "there is no control plane Machine yet".into());
    }
    missing.dedup();
    missing
}

/// Whether a condition is there, and true.
#[must_use]
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// What a machine lacks of being a microVM.
#[must_use]
pub fn lacks(machine: &Value) -> Vec<String> {
    let id = machine["spec"]["providerID"].as_str().unwrap_or_default();
    let no_id = id.is_empty().then(|| format!("{}: spec.providerID is not set", named(machine)));
    untrue(machine, "InfrastructureReady").into_iter().chain(no_id).collect()
}

/// A condition that is not there, or not true.
#[must_use]
pub fn untrue(object: &Value, kind: &str) -> Option<String> {
    match condition(object, kind) {
        None => Some(format!("{}: {kind} is not told", named(object))),
        Some(_) => unready(object, kind),
    }
}

/// A condition that is there and not true, with its reason and message.
fn unready(object: &Value, kind: &str) -> Option<String> {
    let condition = condition(object, kind).filter(|condition| condition["status"] != "True")?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().trim().replace('\n', " ");
    Some(format!("{}: {kind} is {}, {}: {}", named(object), text("status"), text("reason"), text("message")))
}

#[cfg(test)]
mod tests;
