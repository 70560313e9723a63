//! Reading and writing `metadata` of a parsed object.

use serde_json::Map;
use serde_json::Value;

/// A field of the metadata; `null` is absent.
pub(super) fn get<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field).filter(|value| !value.is_null())
}

/// A text of the metadata, empty if there is none.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    get(object, field).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a field of the metadata; of anything but an object there is nothing to set.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(metadata) = of(object) {
        metadata.insert(field.to_owned(), value);
    }
}

/// Takes a field away.
pub(super) fn unset(object: &mut Value, field: &str) {
    if let Some(metadata) = of(object) {
        metadata.remove(field);
    }
}

fn of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut()
}

/// The uids of the owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = get(object, "ownerReferences").and_then(Value::as_array).into_iter().flatten();
    references.filter_map(|owner| owner.get("uid").and_then(Value::as_str))
}

/// Whether somebody still has to finish something before it may go.
pub(super) fn held(object: &Value) -> bool {
    let finalizers = get(object, "finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    finalizers || get(object, "deletionGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds > 0)
}
