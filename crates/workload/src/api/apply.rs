//! Server-side apply: each manager's fields are remembered, merged in, and removed when it no longer applies them.
//!
//! Ownership is that of those who apply; updates and other patches own nothing, so only two who apply can conflict.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::store::time;

use super::Refusal;
use super::kinds::Kind;
use super::strategic;
use super::types;
use super::types::Field;
use super::types::Holds;
use super::types::Merge;
use super::types::Shape;

/// Fields as `managedFields` writes them: `f:name` or `k:{"key":…}`, each with those below it.
type Fields = Map<String, Value>;

/// Metadata that a manager cannot own.
const UNOWNED: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "generateName",
];

/// Who applies, and how.
#[derive(Clone, Debug)]
pub(super) struct Manager<'a> {
    pub name: &'a str,
    /// Takes fields from other managers instead of being refused.
    pub force: bool,
    /// Of which part of the object; empty for the object itself.
    pub subresource: &'a str,
}

/// The object as it is after `applied`; `current` is `None` if it is not there yet.
pub(super) fn apply(kind: &Kind, current: Option<&Value>, mut applied: Value, by: &Manager<'_>, now: Timestamp) -> Result<Value, Refusal> {
    let of = types::of_kind(&kind.api_version(), &kind.kind).unwrap_or_default();
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let Some(config) = applied.as_object_mut() else { return Err(Refusal::bad_request("an object is wanted")) };
    let mut owned = fields(of, config);
    owned.retain(|key, _| !matches!(key.as_str(), "f:apiVersion" | "f:kind"));
    if let Some(metadata) = owned.get_mut("f:metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !UNOWNED.iter().any(|field| key.strip_prefix("f:") == Some(field)));
        if metadata.is_empty() {
            owned.remove("f:metadata");
        }
    }
    let mut object = current.cloned().unwrap_or_else(|| json!({}));
    let mut managers = managers(&object);
    let own = |entry: &Value| entry["manager"] == by.name && entry["operation"] == "Apply" && subresource(entry) == by.subresource;
    let previous = managers.iter().find(|entry| own(entry)).cloned();
    let mut conflicts = Vec::new();
    for other in managers.iter_mut().filter(|entry| !own(entry)) {
        let holder = other["manager"].as_str().unwrap_or_default().to_owned();
        let Some(theirs) = other["fieldsV1"].as_object_mut() else { continue };
        let mut shared = Vec::new();
        differing(theirs, &owned, (Some(&object), Some(&applied)), "", by.force, &mut shared);
        conflicts.extend(shared.into_iter().map(|path| (holder.clone(), path)));
    }
    if !conflicts.is_empty() && !by.force {
        return Err(conflict(kind, &applied, &conflicts));
    }
    managers.retain(|entry| !own(entry) && entry["fieldsV1"].as_object().is_none_or(|fields| !fields.is_empty()));
    if let Some(previous) = previous.as_ref().and_then(|entry| entry["fieldsV1"].as_object()) {
        let kept: Vec<&Fields> = managers.iter().filter_map(|entry| entry["fieldsV1"].as_object()).chain([&owned]).collect();
        remove(&mut object, previous, &kept);
    }
    if let (Some(object), Some(applied)) = (object.as_object_mut(), applied.as_object()) {
        strategic::merge(of, object, applied);
    }
    let same = previous.filter(|entry| entry["fieldsV1"].as_object() == Some(&owned));
    let entry = same.unwrap_or_else(|| {
        let mut entry = json!({
            "manager": by.name, "operation": "Apply", "apiVersion": kind.api_version(), "time": time(now),
            "fieldsType": "FieldsV1", "fieldsV1": owned,
        });
        if !by.subresource.is_empty() {
            entry["subresource"] = by.subresource.into();
        }
        entry
    });
    managers.push(entry);
    object["metadata"]["managedFields"] = Value::Array(managers);
    Ok(object)
}

fn managers(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

fn subresource(entry: &Value) -> &str {
    entry["subresource"].as_str().unwrap_or_default()
}

fn conflict(kind: &Kind, applied: &Value, conflicts: &[(String, String)]) -> Refusal {
    let cause = |(holder, path): &(String, String)| json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {holder:?}"), "field": path });
    let told: Vec<String> = conflicts.iter().map(|(holder, path)| format!("conflict with {holder:?}: {path}")).collect();
    let plural = if conflicts.len() == 1 { "" } else { "s" };
    let message = format!("Apply failed with {} conflict{plural}: {}", conflicts.len(), told.join(", "));
    let name = applied["metadata"]["name"].as_str().unwrap_or_default();
    let mut refusal = Refusal::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name);
    refusal.details["causes"] = conflicts.iter().map(cause).collect();
    refusal
}

fn inner(field: Option<&'static Field>, holds: Holds) -> &'static str {
    match field {
        Some(Field { shape: Shape::Of(of), holds: has, .. }) if *has == holds => of,
        _ => "",
    }
}

/// The key of a list's entry: `k:{"name":"x"}`.
fn entry_key(key: &str, entry: &Value) -> String {
    format!("k:{}", json!({ key: entry[key] }))
}

/// The fields that an object sets.
fn fields(of: &str, object: &Map<String, Value>) -> Fields {
    object.iter().map(|(name, value)| (format!("f:{name}"), Value::Object(below(types::field(of, name), value)))).collect()
}

fn below(field: Option<&'static Field>, value: &Value) -> Fields {
    match (value, field.map(|field| field.merge)) {
        (Value::Object(map), _) => fields(inner(field, Holds::One), map),
        (Value::Array(list), Some(Merge::Key(key))) => {
            let entry = |entry: &Value| {
                let mut fields = entry.as_object().map(|map| fields(inner(field, Holds::List), map)).unwrap_or_default();
                fields.insert(".".to_owned(), json!({}));
                (entry_key(key, entry), Value::Object(fields))
            };
            list.iter().map(entry).collect()
        }
        (Value::Array(list), Some(Merge::Set)) => list.iter().map(|entry| (format!("v:{entry}"), json!({}))).collect(),
        _ => Map::new(),
    }
}

/// What a field's key names within a value.
fn at<'a>(value: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    let value = value?;
    if let Some(name) = key.strip_prefix("f:") {
        return value.get(name);
    }
    let list = value.as_array()?;
    if let Some(wanted) = key.strip_prefix("v:") {
        return serde_json::from_str(wanted).ok().and_then(|wanted: Value| list.iter().find(|entry| **entry == wanted));
    }
    let keys: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    list.iter().find(|entry| keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| entry.get(key) == Some(value))))
}

/// Fields of both whose values (the current and the applied) differ. With `take` they are taken from `theirs`.
fn differing(
    theirs: &mut Fields,
    ours: &Fields,
    values: (Option<&Value>, Option<&Value>),
    path: &str,
    take: bool,
    found: &mut Vec<String>,
) {
    let mut taken = Vec::new();
    for (key, theirs) in theirs.iter_mut() {
        let (Some(ours), true) = (ours.get(key), key != ".") else { continue };
        let (current, applied) = (at(values.0, key), at(values.1, key));
        let path = format!("{path}{}", shown(key));
        let (Some(theirs), Some(ours)) = (theirs.as_object_mut(), ours.as_object()) else { continue };
        if theirs.is_empty() && ours.is_empty() {
            // An empty object asks for nothing that is there to be different.
            if current != applied && applied.and_then(Value::as_object).is_none_or(|map| !map.is_empty()) {
                taken.push(key.clone());
                found.push(path);
            }
        } else {
            differing(theirs, ours, (current, applied), &path, take, found);
        }
    }
    if take {
        theirs.retain(|key, _| !taken.contains(key));
    }
}

fn shown(key: &str) -> String {
    match key.strip_prefix("f:") {
        Some(name) => format!(".{name}"),
        None => format!(
            "[{}]",
            key.trim_start_matches("k:").trim_start_matches("v:").trim_matches(['{', '}']).replace("\":", "\"=").replace('"', "")
        ),
    }
}

/// Removes what a manager no longer applies and nobody else does.
fn remove(value: &mut Value, gone: &Fields, kept: &[&Fields]) {
    for (key, below) in gone.iter().filter(|(key, _)| *key != ".") {
        let still: Vec<&Fields> = kept.iter().filter_map(|fields| fields.get(key)?.as_object()).collect();
        let Some(below) = below.as_object() else { continue };
        if still.is_empty() {
            // Others may hold something within it that this manager never named; only leaves and own entries go.
            take(value, key, below);
        } else if let Some(inner) = at_mut(value, key) {
            remove(inner, below, &still);
        }
    }
}

fn take(value: &mut Value, key: &str, below: &Fields) {
    if let (Some(name), Some(map)) = (key.strip_prefix("f:"), value.as_object_mut()) {
        let leaf = below.is_empty();
        if !leaf && let Some(inner) = map.get_mut(name) {
            for (key, below) in below.iter().filter_map(|(key, below)| Some((key, below.as_object()?))) {
                take(inner, key, below);
            }
        }
        let empty =
            map.get(name).is_some_and(|inner| inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty));
        if leaf || empty {
            map.remove(name);
        }
        return;
    }
    let found = at(Some(value), key).cloned();
    if let (Some(found), Some(list)) = (found, value.as_array_mut()) {
        list.retain(|entry| *entry != found);
    }
}

fn at_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    if let Some(name) = key.strip_prefix("f:") {
        return value.get_mut(name);
    }
    let found = at(Some(value), key)?.clone();
    value.as_array_mut()?.iter_mut().find(|entry| **entry == found)
}

#[cfg(test)]
mod tests;
