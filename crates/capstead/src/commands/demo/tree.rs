//! From what is seen to what is said: a tree of objects, microVMs by host, and what is still missing.

use jiff::Timestamp;
use serde_json::Value;

use super::look::Look;
use crate::output;

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
pub fn rows(look: &Look) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(root) = look.objects.iter().find(|object| object["kind"] == "Cluster") {
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

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// `Kind/name`.
pub fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// The tree as a table.
pub fn table(rows: &[Row], now: Timestamp) -> String {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let cells = rows.iter().map(|row| {
        let since = row.since.map(|since| age(now.duration_since(since).as_secs()));
        [format!("{}{}", row.branch, row.object), dash(&row.ready), dash(&row.reason), dash(&since.unwrap_or_default()), row.note.clone()]
    });
    output::table(["NAME", "READY", "REASON", "SINCE", "NOTE"], cells)
}

fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// The microVMs as a table, hosts without any included.
pub fn microvms(look: &Look, hosts: &[String]) -> String {
    let cells = hosts.iter().enumerate().flat_map(|(n, address)| {
        let here: Vec<_> = look.microvms.iter().filter(|microvm| microvm.host == n + 1).collect();
        let none = here.is_empty().then(|| [address.clone(), "-".into(), "-".into(), "-".into()]);
        let rows = here.into_iter().map(|microvm| [address.clone(), microvm.name.clone(), microvm.uid.clone(), microvm.state.clone()]);
        rows.chain(none).collect::<Vec<_>>()
    });
    output::table(["HOST", "MICROVM", "UID", "STATE"], cells)
}

/// Names of machines whose microVM is gone: the simulated hosts were started anew.
pub fn lost(look: &Look) -> Vec<String> {
    let machines = look.objects.iter().filter(|object| object["kind"] == "MicrovmMachine");
    let gone = machines.filter(|machine| {
        let uid = machine["spec"]["providerID"].as_str().and_then(|id| id.rsplit('/').next()).filter(|uid| !uid.is_empty());
        uid.is_some_and(|uid| !look.microvms.iter().any(|microvm| microvm.uid == uid))
    });
    gone.map(named).collect()
}

/// What is missing until the cluster is available; nothing if it is.
pub fn missing(look: &Look) -> Vec<String> {
    let cluster = look.objects.iter().find(|object| object["kind"] == "Cluster");
    if cluster.and_then(|cluster| condition(cluster, "Available")).is_some_and(|available| available["status"] == "True") {
        return Vec::new();
    }
    let members: Vec<&Value> = look
        .objects
        .iter()
        .filter(|object| object["kind"] == "Machine" && object["metadata"]["labels"].get(CONTROL_PLANE).is_some())
        .collect();
    let mut missing: Vec<String> = members.iter().flat_map(|machine| lacks(machine)).collect();
    let others = look.objects.iter().filter(|object| object["kind"] != "MachineSet" && object["kind"] != "KubeadmConfig");
    missing.extend(others.filter_map(|object| unready(object, if object["kind"] == "Cluster" { "Available" } else { "Ready" })));
    if members.is_empty() {
        missing.insert(0, "there is no control plane Machine yet".into());
    }
    missing.dedup();
    missing
}

/// What a control plane machine lacks.
fn lacks(machine: &Value) -> Vec<String> {
    let id = machine["spec"]["providerID"].as_str().unwrap_or_default();
    let no_id = id.is_empty().then(|| format!("{}: spec.providerID is not set", named(machine)));
    let not_told = || format!("{}: InfrastructureReady is not told", named(machine));
    let infrastructure = match condition(machine, "InfrastructureReady") {
        None => Some(not_told()),
        Some(_) => unready(machine, "InfrastructureReady"),
    };
    infrastructure.into_iter().chain(no_id).collect()
}

/// A condition that is there and not true, with its reason and message.
fn unready(object: &Value, kind: &str) -> Option<String> {
    let condition = condition(object, kind).filter(|condition| condition["status"] != "True")?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().trim().replace('\n', " ");
    Some(format!("{}: {kind} is {}, {}: {}", named(object), text("status"), text("reason"), text("message")))
}

#[cfg(test)]
mod tests;
