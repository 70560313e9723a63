//! Events are one resource under two groups, which name its fields differently.

use serde_json::Value;

use super::kinds::Kind;

/// The group that came later. Events are stored as the core group has them.
pub(super) const GROUP: &str = "events.k8s.io";

/// Names in the core group, and in the other.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The `apiVersion` that objects of this kind are stored with.
pub(super) fn stored(kind: &Kind) -> String {
    if kind.group == GROUP { "v1".to_owned() } else { kind.api_version() }
}

/// From what a client of the group sends.
pub(super) fn to_core(event: &mut Value) {
    rename(event, |(core, group)| (group, core));
    if event.is_object() {
        event["apiVersion"] = "v1".into();
    }
}

/// To what a client of the group sees.
pub(super) fn of_group(mut event: Value) -> Value {
    rename(&mut event, |(core, group)| (core, group));
    event["apiVersion"] = "events.k8s.io/v1".into();
    event
}

fn rename(event: &mut Value, direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(map) = event.as_object_mut() else { return };
    for (from, to) in NAMES.map(direction) {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}
