use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::Manager;
use super::apply;
use crate::api::Refusal;
use crate::api::kinds::find;
use crate::store::Store;

fn by(manager: &str, force: bool, current: Option<&Value>, spec: Value) -> Result<Value, Refusal> {
    let kind = find(&Store::new(1), "apps", "v1", "deployments").unwrap();
    let applied = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" }, "spec": spec });
    apply(&kind, current, applied, &Manager { name: manager, force, subresource: "" }, Timestamp::UNIX_EPOCH)
}

#[test]
fn fields_are_remembered_and_removed_with_their_manager() {
    let containers = |names: &[&str]| {
        json!({ "template": { "spec": { "containers":
        names.iter().map(|name| json!({ "name": name, "image": "i" })).collect::<Vec<_>>() } } })
    };
    let first = by("one", false, None, containers(&["a", "b"])).unwrap();
    let owned = &first["metadata"]["managedFields"][0]["fieldsV1"];
    let entry = &owned["f:spec"]["f:template"]["f:spec"]["f:containers"][r#"k:{"name":"a"}"#];
    assert_eq!(*entry, json!({ ".": {}, "f:image": {}, "f:name": {} }));
    assert_eq!(owned.get("f:metadata"), None);
    let second = by("two", false, Some(&first), json!({ "replicas": 3 })).unwrap();
    let third = by("one", false, Some(&second), containers(&["b"])).unwrap();
    assert_eq!(third["spec"], json!({ "replicas": 3, "template": { "spec": { "containers": [{ "name": "b", "image": "i" }] } } }));
    let fourth = by("two", false, Some(&third), json!({})).unwrap();
    assert_eq!(fourth["spec"].get("replicas"), None);
    assert_eq!(by("two", false, Some(&fourth), json!({})).unwrap(), fourth, "the same again changes nothing");
}

#[test]
fn a_field_of_another_is_taken_by_force_only() {
    let first = by("one", false, None, json!({ "replicas": 1, "paused": true })).unwrap();
    let refused = by("two", false, Some(&first), json!({ "replicas": 2 })).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas");
    assert_eq!(refused.reason, "Conflict");
    by("two", false, Some(&first), json!({ "replicas": 1 })).unwrap();
    let taken = by("two", true, Some(&first), json!({ "replicas": 2 })).unwrap();
    assert_eq!(taken["spec"], json!({ "replicas": 2, "paused": true }));
    let left = by("one", false, Some(&taken), json!({ "paused": true })).unwrap();
    assert_eq!(left["spec"]["replicas"], 2, "it is not the first one's any more");
}
