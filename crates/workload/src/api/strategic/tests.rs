use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::merge;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn merged(of: &str, into: Value, patch: Value) -> Value {
    let mut into = object(into);
    merge(of, &mut into, &object(patch));
    Value::Object(into)
}

#[test]
fn entries_are_found_by_their_key() {
    let pod = json!({ "containers": [{ "name": "a", "image": "1", "args": ["x"] }, { "name": "b", "image": "1" }] });
    let patch = json!({ "containers": [{ "name": "b", "image": "2" }, { "name": "c" }, { "name": "a", "args": ["y"] }] });
    let wanted = json!({ "containers": [{ "name": "a", "image": "1", "args": ["y"] }, { "name": "b", "image": "2" }, { "name": "c" }] });
    assert_eq!(merged("core/v1.PodSpec", pod, patch), wanted);
}

#[test]
fn conditions_and_taints_as_kubelet_and_cluster_api_patch_them() {
    let node =
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }, { "type": "DiskPressure", "status": "False" }] } });
    let patch = json!({ "status": { "$setElementOrder/conditions": [{ "type": "Ready" }, { "type": "DiskPressure" }],
        "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
    let wanted =
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }, { "type": "DiskPressure", "status": "False" }] } });
    assert_eq!(merged("core/v1.Node", node, patch), wanted);
    // Taints have no key: the list is replaced.
    let node = json!({ "spec": { "taints": [{ "key": "a", "effect": "NoSchedule" }] } });
    assert_eq!(merged("core/v1.Node", node, json!({ "spec": { "taints": null } })), json!({ "spec": {} }));
}

#[test]
fn directives() {
    let pod = json!({ "containers": [{ "name": "a" }, { "name": "b" }], "nodeSelector": { "x": "y" } });
    let cases = [
        (json!({ "containers": [{ "$patch": "delete", "name": "a" }] }), json!([{ "name": "b" }])),
        (json!({ "containers": [{ "$patch": "replace" }, { "name": "z" }] }), json!([{ "name": "z" }])),
        (
            json!({ "containers": [], "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }] }),
            json!([{ "name": "b" }, { "name": "a" }]),
        ),
        (json!({ "containers": [{ "name": "c", "image": null }] }), json!([{ "name": "a" }, { "name": "b" }, { "name": "c" }])),
    ];
    for (patch, wanted) in cases {
        assert_eq!(merged("core/v1.PodSpec", pod.clone(), patch.clone())["containers"], wanted, "{patch}");
    }
    let gone = merged("core/v1.PodSpec", pod.clone(), json!({ "nodeSelector": { "$patch": "delete" } }));
    assert!(gone.get("nodeSelector").is_none());
    let replaced = merged("core/v1.PodSpec", pod, json!({ "nodeSelector": { "$patch": "replace", "a": "b" } }));
    assert_eq!(replaced["nodeSelector"], json!({ "a": "b" }));
}

#[test]
fn sets_grow_and_shrink() {
    let metadata = json!({ "metadata": { "finalizers": ["a", "b"] } });
    let grown = merged("core/v1.Pod", metadata.clone(), json!({ "metadata": { "finalizers": ["b", "c"] } }));
    assert_eq!(grown["metadata"]["finalizers"], json!(["a", "b", "c"]));
    let shrunk = merged("core/v1.Pod", metadata, json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] } }));
    assert_eq!(shrunk["metadata"]["finalizers"], json!(["b"]));
}

#[test]
fn volumes_keep_only_the_source_that_is_named() {
    let pod = json!({ "volumes": [{ "name": "v", "emptyDir": {} }] });
    let patch = json!({ "volumes": [{ "name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": { "path": "/" } }] });
    assert_eq!(merged("core/v1.PodSpec", pod, patch), json!({ "volumes": [{ "name": "v", "hostPath": { "path": "/" } }] }));
}
