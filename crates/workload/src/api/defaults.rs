//! What an API server adds to new objects, as far as anybody reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use super::kinds::Kind;

/// Completes an object that a client creates.
pub(super) fn created(kind: &Kind, object: &mut Value) {
    match &*kind.resource {
        "namespaces" => {
            object["spec"] = json!({ "finalizers": ["kubernetes"] });
            object["status"] = json!({ "phase": "Active" });
            let name = object["metadata"]["name"].clone();
            label(object, "kubernetes.io/metadata.name", name);
        }
        "pods" => object["status"] = json!({ "phase": "Pending", "qosClass": "BestEffort" }),
        "secrets" => {
            if object["type"].as_str().is_none_or(str::is_empty) {
                object["type"] = "Opaque".into();
            }
            let plain = object.as_object_mut().and_then(|map| map.remove("stringData"));
            for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
                object["data"][key] = STANDARD.encode(value.as_str().unwrap_or_default()).into();
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let at = json!(null);
            let condition = |name: &str| json!({ "type": name, "status": "True", "reason": name, "message": "", "lastTransitionTime": at });
            let names = object["spec"]["names"].clone();
            let stored: Vec<Value> = object["spec"]["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|version| version["storage"] == Value::Bool(true))
                .map(|version| version["name"].clone())
                .collect();
            object["status"] = json!({
                "acceptedNames": names, "storedVersions": stored, "conditions": [condition("NamesAccepted"), condition("Established")],
            });
        }
        _ => {}
    }
}

fn label(object: &mut Value, key: &str, value: Value) {
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[key] = value;
}
