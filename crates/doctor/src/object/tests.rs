use serde_json::Value;
use serde_json::json;

use super::Object;
use crate::sample::ago;
use crate::sample::now;

fn object(value: Value) -> Object {
    Object::new("MicrovmMachine", value, now())
}

#[test]
fn conditions_of_either_contract_are_read() {
    let old =
        json!({"type": "Ready", "status": "False", "severity": "Info", "reason": "WaitingForBoostrapData", "lastTransitionTime": ago(60)});
    let new = json!({"status": {"conditions": [old]}});
    let nested = json!({"status": {"conditions": [], "v1beta2": {"conditions": [old]}}});
    for value in [new, nested] {
        let ready = object(value);
        let ready = ready.lacks("Ready").unwrap();
        assert_eq!((ready.reason.as_str(), ready.last_transition_time.0.to_string()), ("WaitingForBoostrapData", ago(60)));
    }
}

#[test]
fn what_is_of_another_shape_is_not_known() {
    for value in [
        json!(null),
        json!([1]),
        json!({"metadata": 1, "status": {"conditions": [{"type": "Ready", "status": "Perhaps"}]}}),
        json!({"spec": []}),
    ] {
        let object = object(value);
        assert_eq!((object.name(), object.namespace(), object.cluster(), object.text("/spec/a")), ("", "", "", ""));
        assert!(object.condition("Ready").is_none() && object.items("/spec/a").next().is_none() && !object.is_control_plane());
    }
}

#[test]
fn it_is_called_by_kind_namespace_and_name() {
    assert_eq!(object(json!({"metadata": {"name": "a", "namespace": "team"}})).called(), "MicrovmMachine team/a");
    assert_eq!(object(json!({"metadata": {"name": "a"}})).called(), "MicrovmMachine a");
}
