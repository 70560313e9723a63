//! Tables: what `kubectl get` prints.

mod pod;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::kinds::Kind;

/// What a cell shows of an object.
enum Cell {
    /// The text or number there, or this.
    At(&'static str, &'static str),
    /// How many entries there are.
    Count(&'static str),
    /// How long ago the time there is.
    Ago(&'static str),
    /// What is made of it.
    By(fn(&Value) -> String),
}

/// Name, whether only wide output shows it, and its cells.
type Column = (&'static str, bool, Cell);

const NAME: Column = ("Name", false, Cell::At("/metadata/name", ""));
const AGE: Column = ("Age", false, Cell::Ago("/metadata/creationTimestamp"));

const DEFAULT: &[Column] = &[NAME, AGE];

/// Resources whose columns are not just name and age.
const COLUMNS: &[(&str, &[Column])] = &[
    (
        "nodes",
        &[
            NAME,
            ("Status", false, Cell::By(node_status)),
            ("Roles", false, Cell::By(node_roles)),
            AGE,
            ("Version", false, Cell::At("/status/nodeInfo/kubeletVersion", "")),
            ("Internal-IP", true, Cell::By(|node| node_address(node, "InternalIP"))),
            ("External-IP", true, Cell::By(|node| node_address(node, "ExternalIP"))),
            ("OS-Image", true, Cell::At("/status/nodeInfo/osImage", "<unknown>")),
            ("Kernel-Version", true, Cell::At("/status/nodeInfo/kernelVersion", "<unknown>")),
            ("Container-Runtime", true, Cell::At("/status/nodeInfo/containerRuntimeVersion", "<unknown>")),
        ],
    ),
    (
        "pods",
        &[
            NAME,
            ("Ready", false, Cell::By(pod::ready)),
            ("Status", false, Cell::By(pod::status)),
            ("Restarts", false, Cell::By(pod::restarts)),
            AGE,
            ("IP", true, Cell::At("/status/podIP", "<none>")),
            ("Node", true, Cell::At("/spec/nodeName", "<none>")),
            ("Nominated Node", true, Cell::At("/status/nominatedNodeName", "<none>")),
            ("Readiness Gates", true, Cell::At("", "<none>")),
        ],
    ),
    ("namespaces", &[NAME, ("Status", false, Cell::At("/status/phase", "")), AGE]),
    ("configmaps", &[NAME, ("Data", false, Cell::Count("/data")), AGE]),
    ("secrets", &[NAME, ("Type", false, Cell::At("/type", "")), ("Data", false, Cell::Count("/data")), AGE]),
    (
        "deployments.apps",
        &[
            NAME,
            ("Ready", false, Cell::By(|object| ratio(object, "/status/readyReplicas", "/spec/replicas"))),
            ("Up-to-date", false, Cell::At("/status/updatedReplicas", "0")),
            ("Available", false, Cell::At("/status/availableReplicas", "0")),
            AGE,
        ],
    ),
    (
        "replicasets.apps",
        &[
            NAME,
            ("Desired", false, Cell::At("/spec/replicas", "0")),
            ("Current", false, Cell::At("/status/replicas", "0")),
            ("Ready", false, Cell::At("/status/readyReplicas", "0")),
            AGE,
        ],
    ),
    ("statefulsets.apps", &[NAME, ("Ready", false, Cell::By(|object| ratio(object, "/status/readyReplicas", "/spec/replicas"))), AGE]),
    (
        "daemonsets.apps",
        &[
            NAME,
            ("Desired", false, Cell::At("/status/desiredNumberScheduled", "0")),
            ("Current", false, Cell::At("/status/currentNumberScheduled", "0")),
            ("Ready", false, Cell::At("/status/numberReady", "0")),
            ("Up-to-date", false, Cell::At("/status/updatedNumberScheduled", "0")),
            ("Available", false, Cell::At("/status/numberAvailable", "0")),
            AGE,
        ],
    ),
    (
        "services",
        &[
            NAME,
            ("Type", false, Cell::At("/spec/type", "ClusterIP")),
            ("Cluster-IP", false, Cell::At("/spec/clusterIP", "<none>")),
            ("External-IP", false, Cell::At("/spec/externalIPs/0", "<none>")),
            ("Port(s)", false, Cell::By(ports)),
            AGE,
        ],
    ),
    ("leases.coordination.k8s.io", &[NAME, ("Holder", false, Cell::At("/spec/holderIdentity", "")), AGE]),
    (
        "events",
        &[
            ("Last Seen", false, Cell::Ago("/lastTimestamp")),
            ("Type", false, Cell::At("/type", "")),
            ("Reason", false, Cell::At("/reason", "")),
            ("Object", false, Cell::By(event_object)),
            ("Message", false, Cell::At("/message", "")),
            ("Name", true, Cell::At("/metadata/name", "")),
        ],
    ),
    ("rolebindings.rbac.authorization.k8s.io", &[NAME, ("Role", false, Cell::By(role)), AGE]),
    ("clusterrolebindings.rbac.authorization.k8s.io", &[NAME, ("Role", false, Cell::By(role)), AGE]),
];

fn columns(kind: &Kind) -> &'static [Column] {
    COLUMNS.iter().find(|(resource, _)| *resource == kind.resource).map_or(DEFAULT, |(_, columns)| columns)
}

/// A table of these objects; its rows hold their metadata.
pub(super) fn table<'a>(kind: &Kind, revision: u64, objects: impl IntoIterator<Item = &'a Value>, now: Timestamp) -> Value {
    let columns = columns(kind);
    let definition = |(name, wide, cell): &Column| {
        json!({
            "name": name, "description": "", "priority": i32::from(*wide), "format": if *name == "Name" { "name" } else { "" },
            "type": if matches!(cell, Cell::Count(_)) { "integer" } else { "string" },
        })
    };
    let row = |object: &Value| {
        let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| show(cell, object, now)).collect();
        let metadata = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] });
        json!({ "cells": cells, "object": metadata })
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": revision.to_string() },
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": objects.into_iter().map(row).collect::<Vec<_>>(),
    })
}

fn show(cell: &Cell, object: &Value, now: Timestamp) -> Value {
    match cell {
        Cell::At(path, otherwise) => match object.pointer(path) {
            Some(Value::String(text)) if !text.is_empty() => text.as_str().into(),
            Some(Value::Number(number)) => number.to_string().into(),
            _ => (*otherwise).into(),
        },
        Cell::Count(path) => match object.pointer(path) {
            Some(Value::Object(map)) => map.len().into(),
            Some(Value::Array(list)) => list.len().into(),
            _ => 0.into(),
        },
        Cell::Ago(path) => ago(object.pointer(path).and_then(Value::as_str).unwrap_or_default(), now).into(),
        Cell::By(make) => make(object).into(),
    }
}

/// How long ago, in one or two units, as Go's `duration.HumanDuration`.
fn ago(time: &str, now: Timestamp) -> String {
    let Ok(then) = time.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = now.as_second() - then.as_second();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |large: i64, unit: char, small: i64, lesser: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{lesser}") }
    };
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// The entries of a list; none if it is not there.
fn entries<'a>(object: &'a Value, path: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    object.pointer(path).and_then(Value::as_array).map(|list| list.iter()).unwrap_or_default()
}

fn node_status(node: &Value) -> String {
    let ready = entries(node, "/status/conditions").find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"] == Value::Bool(true) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn node_roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let roles = labels.into_iter().flatten().filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role),
        None => value.as_str().filter(|_| key == "kubernetes.io/role"),
    });
    let mut roles: Vec<_> = roles.filter(|role| !role.is_empty()).collect();
    roles.sort_unstable();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn node_address(node: &Value, kind: &str) -> String {
    let found = entries(node, "/status/addresses").find(|address| address["type"] == kind);
    found.and_then(|address| address["address"].as_str()).unwrap_or("<none>").to_owned()
}

fn ratio(object: &Value, part: &str, whole: &str) -> String {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    format!("{}/{}", number(part), number(whole))
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"));
    let ports: Vec<_> = entries(service, "/spec/ports").map(port).collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

fn event_object(event: &Value) -> String {
    let about = &event["involvedObject"];
    let text = |field: &str| about[field].as_str().unwrap_or_default();
    format!("{}/{}", text("kind").to_lowercase(), text("name"))
}

fn role(binding: &Value) -> String {
    let text = |field: &str| binding["roleRef"][field].as_str().unwrap_or_default();
    format!("{}/{}", text("kind"), text("name"))
}

#[cfg(test)]
mod tests;
