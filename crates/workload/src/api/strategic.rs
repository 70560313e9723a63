//! Strategic merge patch: lists of built-in kinds are merged by their entries' keys.

use serde_json::Map;
use serde_json::Value;

use super::types;
use super::types::Field;
use super::types::Holds;
use super::types::Merge;
use super::types::Shape;

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
const ORDER_PREFIX: &str = "$setElementOrder/";

/// Changes an object of a type as the patch says.
pub(super) fn merge(of: &str, into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        *into = plain(patch);
        return;
    }
    if let Some(keep) = patch.get(RETAIN).and_then(Value::as_array) {
        into.retain(|key, _| keep.iter().any(|kept| kept == key));
    }
    for (key, change) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        let field = types::field(of, key);
        match change {
            Value::Null => {
                into.remove(key);
            }
            Value::Object(change) => {
                if change.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
                    into.remove(key);
                    continue;
                }
                let inner = into.entry(key.clone()).or_insert(Value::Null);
                if !inner.is_object() {
                    *inner = Value::Object(Map::new());
                }
                if let Value::Object(inner) = inner {
                    merge(inner_type(field, Holds::One), inner, change);
                }
            }
            Value::Array(change) => {
                let entry = into.entry(key.clone()).or_insert(Value::Null);
                let current = entry.as_array().cloned().unwrap_or_default();
                *entry = Value::Array(list(field, current, change));
            }
            _ => {
                into.insert(key.clone(), change.clone());
            }
        }
    }
    for (key, gone) in patch.iter().filter_map(|(key, gone)| Some((key.strip_prefix(DELETE_PREFIX)?, gone.as_array()?))) {
        if let Some(list) = into.get_mut(key).and_then(Value::as_array_mut) {
            list.retain(|entry| !gone.contains(entry));
        }
    }
    for (key, order) in patch.iter().filter_map(|(key, order)| Some((key.strip_prefix(ORDER_PREFIX)?, order.as_array()?))) {
        if let Some(list) = into.get_mut(key).and_then(Value::as_array_mut) {
            sort(types::field(of, key), list, order);
        }
    }
}

/// The type of a field's values; nothing is known of those of custom resources.
fn inner_type(field: Option<&Field>, holds: Holds) -> &'static str {
    match field {
        Some(Field { shape: Shape::Of(of), holds: has, .. }) if *has == holds => of,
        _ => "",
    }
}

fn list(field: Option<&Field>, mut current: Vec<Value>, change: &[Value]) -> Vec<Value> {
    let replace = change.iter().any(|entry| entry.get(DIRECTIVE).and_then(Value::as_str) == Some("replace"));
    match field.map(|field| field.merge) {
        Some(Merge::Set) if !replace => {
            for entry in change {
                if !current.contains(entry) {
                    current.push(entry.clone());
                }
            }
            current
        }
        Some(Merge::Key(key)) if !replace => {
            for entry in change.iter().filter_map(Value::as_object) {
                let at = current.iter().position(|other| other.get(key).is_some() && other.get(key) == entry.get(key));
                let gone = entry.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
                match at.and_then(|at| Some((at, current.get_mut(at)?.as_object_mut()?))) {
                    Some((at, _)) if gone => {
                        current.remove(at);
                    }
                    Some((_, found)) => merge(inner_type(field, Holds::List), found, entry),
                    None if gone => {}
                    None => current.push(Value::Object(plain(entry))),
                }
            }
            current
        }
        _ => change.iter().filter(|entry| entry.get(DIRECTIVE).is_none()).map(plain_value).collect(),
    }
}

/// Puts entries in the order that the patch names; those that it does not name stay behind the one they followed.
fn sort(field: Option<&Field>, list: &mut Vec<Value>, order: &[Value]) {
    let same = |entry: &Value, named: &Value| match field.map(|field| field.merge) {
        Some(Merge::Key(key)) => entry.get(key) == named.get(key),
        _ => entry == named,
    };
    let mut last = 0;
    let mut ranked: Vec<(usize, Value)> = Vec::with_capacity(list.len());
    for entry in list.drain(..) {
        if let Some(at) = order.iter().position(|named| same(&entry, named)) {
            last = at + 1;
        }
        ranked.push((last, entry));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    list.extend(ranked.into_iter().map(|(_, entry)| entry));
}

/// What is new is taken without the patch's directives and deletions.
fn plain(patch: &Map<String, Value>) -> Map<String, Value> {
    let kept = patch.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    kept.map(|(key, value)| (key.clone(), plain_value(value))).collect()
}

fn plain_value(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(plain(map)),
        Value::Array(list) => Value::Array(list.iter().map(plain_value).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
