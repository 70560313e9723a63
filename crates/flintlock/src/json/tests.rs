use serde_json::json;

use super::*;
use crate::types::MicroVmSpec;

fn spec(value: Value) -> Result<MicroVmSpec, serde_json::Error> {
    read(value, true)
}

#[test]
fn both_casings_names_and_numbers_are_read() {
    let plain =
        json!({"id": "a", "memory_in_mb": 1024, "interfaces": [{"device_id": "eth1", "type": 1}], "root_volume": {"size_in_mb": 5}});
    let camel = json!({"id": "a", "memoryInMb": 1024, "interfaces": [{"deviceId": "eth1", "type": "TAP"}], "rootVolume": {"sizeInMb": 5}});
    let read = spec(plain).unwrap();
    assert_eq!((read.memory_in_mb, read.interfaces[0].r#type, read.root_volume.as_ref().unwrap().size_in_mb()), (1024, 1, 5));
    assert_eq!(read, spec(camel).unwrap());
}

#[test]
fn what_is_wrong_is_named() {
    let error = spec(json!({"id": "a", "memory": 5})).unwrap_err().to_string();
    assert!(error.contains("memory"), "{error}");
    let error = spec(json!({"id": "a", "vcpu": "many"})).unwrap_err().to_string();
    assert!(!error.is_empty());
    assert!(read::<MicroVmSpec, _>(json!({"id": "a", "memory": 5}), false).is_ok());
}

#[test]
fn what_is_written_is_read_again() {
    let message = spec(json!({
        "id": "a", "namespace": "b", "labels": {"x": "y"}, "vcpu": 2, "metadata": {"user-data": "e30="}, "created_at": "2026-01-02T03:04:05Z",
        "additional_volumes": [{"id": "v", "source": {"virtiofs_source": "/srv"}}],
    }))
    .unwrap();
    for form in [Form::Plain, Form::Gateway] {
        assert_eq!(spec(write(&message, form).unwrap()).unwrap(), message, "{form:?}");
    }
    let plain = write(&message, Form::Plain).unwrap();
    assert_eq!(plain["additional_volumes"][0]["source"]["virtiofs_source"], "/srv");
    assert_eq!(plain.get("memory_in_mb"), None);
    let gateway = write(&message, Form::Gateway).unwrap();
    assert_eq!((&gateway["memoryInMb"], &gateway["allowGuestAgent"]), (&json!(0), &json!(false)));
}

#[test]
fn an_error_names_the_field() {
    let error = |value: Value| read::<types::MicroVmSpec, _>(value, true).unwrap_err().to_string();
    assert!(error(json!({"vcpu": "many"})).starts_with("vcpu: "), "{}", error(json!({"vcpu": "many"})));
    let deep = error(json!({"interfaces": [{"device_id": 7}]}));
    assert!(deep.starts_with("interfaces[0].device_id: "), "{deep}");
    let unknown = error(json!({"vcpus": 2}));
    assert!(unknown.contains("vcpus"), "{unknown}");
}
