//! From a change of a typed object to a patch of the object as it was sent.

use serde_json::Map;
use serde_json::Value;

/// Makes in `raw` the changes that lead from `before` to `after`, and no others.
///
/// `before` is `raw` after a trip through a type: fields that the type does not know, drops or fills in stay as they are in `raw`.
pub(super) fn carry(raw: Value, before: &Value, after: &Value) -> Value {
    if before == after {
        return raw;
    }
    match (raw, before, after) {
        (Value::Object(raw), Value::Object(before), Value::Object(after)) => Value::Object(carry_fields(raw, before, after)),
        (Value::Array(raw), Value::Array(before), Value::Array(after)) if raw.len() == before.len() && raw.len() == after.len() => {
            raw.into_iter().zip(before).zip(after).map(|((raw, before), after)| carry(raw, before, after)).collect()
        }
        _ => after.clone(),
    }
}

fn carry_fields(mut raw: Map<String, Value>, before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    raw.retain(|key, _| !before.contains_key(key) || after.contains_key(key));
    for (key, after) in after {
        let before = before.get(key);
        if before != Some(after) {
            let old = raw.remove(key).unwrap_or_default();
            raw.insert(key.clone(), carry(old, before.unwrap_or(&Value::Null), after));
        }
    }
    raw
}
