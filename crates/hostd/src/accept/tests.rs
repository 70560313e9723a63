use capstead_flintlock::json;
use serde_json::Value;
use serde_json::json;
use tonic::Code;

use super::*;

/// A host with two drivers, of which one knows no macvtap.
#[derive(Debug)]
pub(crate) struct Two;

impl Drivers for Two {
    fn default_name(&self) -> &str {
        "qemu"
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.names().into_iter().find(|known| *known == name)
    }

    fn names(&self) -> Vec<&str> {
        vec!["firecracker", "qemu"]
    }

    fn lacking(&self, name: &str, spec: &MicroVmSpec) -> Vec<String> {
        let macvtap = spec.interfaces.iter().any(|interface| interface.r#type == 0);
        let text = "macvtap network interfaces not supported by the microvm provider firecracker; qemu has them";
        if macvtap && name == "firecracker" { vec![text.to_owned()] } else { Vec::new() }
    }
}

/// The least that is accepted, with changes by JSON pointer.
pub(crate) fn spec(changes: &[(&str, Value)]) -> MicroVmSpec {
    let mut least = json!({
        "id": "a", "namespace": "b",
        "kernel": {"image": "registry:5000/kernel:1", "filename": "boot/vmlinux"},
        "root_volume": {"id": "root", "source": {"container_source": "registry:5000/root:1"}},
        "interfaces": [{"device_id": "eth1", "type": "TAP"}],
    });
    for (at, value) in changes {
        let (parent, key) = at.rsplit_once('/').unwrap();
        let parent = least.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items.push(value.clone()),
            parent => parent[key] = value.clone(),
        }
    }
    json::read(least, true).unwrap()
}

#[test]
fn defaults_are_filled_in_and_labels_kept() {
    let sent = spec(&[
        ("/namespace", json!("")),
        ("/labels", json!({"x": "y"})),
        ("/uid", json!("mine")),
        ("/kernel/image", json!(" registry:5000/kernel:1\n")),
    ]);
    let Accepted { spec, driver } = accept(sent, &Two).unwrap();
    assert_eq!((spec.vcpu, spec.memory_in_mb, spec.namespace.as_str(), driver.as_str()), (2, 1024, "default", "qemu"));
    assert_eq!((spec.labels["x"].as_str(), spec.uid, spec.kernel.unwrap().image.as_str()), ("y", None, "registry:5000/kernel:1"));
}

#[test]
fn each_rule_refuses_and_names_its_field() {
    let volume = |id: &str| json!({"id": id, "source": {"container_source": "registry:5000/v:1"}});
    let eth2 = |change: Value| {
        let mut interface = json!({"device_id": "eth2", "type": "TAP"});
        interface.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        interface
    };
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/id", json!(""), "name is required"),
        ("/id", json!("a/b"), "id: must be"),
        ("/id", json!(".."), "id: must be"),
        ("/namespace", json!("a\nb"), "namespace: must be"),
        ("/namespace", json!("x".repeat(254)), "namespace: must be"),
        ("/vcpu", json!(65), "VCPU"),
        ("/vcpu", json!(-1), "VCPU"),
        ("/memory_in_mb", json!(1023), "MemoryInMb"),
        ("/memory_in_mb", json!(32769), "MemoryInMb"),
        ("/kernel", json!({}), "kernel: needs an image and a filename"),
        ("/kernel/image", json!("https://registry/kernel"), "imageURI"),
        ("/kernel/filename", json!(""), "Filename"),
        ("/kernel/filename", json!("../../etc/passwd"), "kernel.filename: must not have '..'"),
        ("/initrd", json!({"image": "registry:5000/i:1"}), "initrd.filename"),
        ("/interfaces", json!([]), "NetworkInterfaces"),
        ("/interfaces/-", eth2(json!({"device_id": "Eth"})), "guestDeviceName"),
        ("/interfaces/-", eth2(json!({"device_id": "eth1"})), "interfaces[1].device_id: eth1 is there twice"),
        ("/interfaces/-", eth2(json!({"guest_mac": "12:34"})), "GuestMAC"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5"}})), "cidr"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5/24", "gateway": "10.0.0.1"}})), "Gateway"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5/24", "nameservers": ["x"]}})), "Nameservers[0]"),
        ("/interfaces/-", eth2(json!({"overrides": {}})), "interfaces[1].overrides.bridge_name"),
        ("/root_volume", json!({}), "volumeOrInitrdRequired"),
        ("/root_volume/source", json!({"virtiofs_source": "/srv"}), "novirtiofs"),
        ("/root_volume/source", json!({}), "root_volume.source: needs"),
        ("/root_volume/size_in_mb", json!(-1), "root_volume.size_in_mb: -1"),
        ("/root_volume/size_in_mb", json!(i32::MAX), "root_volume.size_in_mb"),
        ("/additional_volumes", json!([volume("v"), volume("v")]), "additional_volumes[1].id: \"v\" is there twice"),
        ("/additional_volumes", json!([volume("root")]), "additional_volumes[0].id"),
        ("/metadata", json!({"user-data": "not base64!"}), "metadata[user-data]: must be base64"),
        ("/metadata", json!({"../../x": "eA=="}), "is no name of a document"),
        ("/metadata", json!({"x": "y".repeat(MOST_METADATA)}), "are more than"),
        ("/provider", json!("vmware"), "microvm provider vmware isn't available; this host has: firecracker, qemu"),
    ];
    assert!(accept(spec(&[]), &Two).is_ok());
    for (at, value, says) in cases {
        let refusal = accept(spec(&[(at, value.clone())]), &Two).expect_err(at);
        assert_eq!(refusal.code, Code::InvalidArgument, "{at} {value}");
        assert!(refusal.message.contains(says), "{at} {value}: {refusal}");
    }
}

#[test]
fn what_a_driver_lacks_is_told_with_who_has_it() {
    let macvtap = ("/interfaces", json!([{"device_id": "eth1"}]));
    assert_eq!(accept(spec(&[macvtap.clone()]), &Two).unwrap().driver, "qemu");
    let refusal = accept(spec(&[macvtap, ("/provider", json!("firecracker"))]), &Two).unwrap_err();
    assert!(refusal.message.contains("macvtap network interfaces not supported by the microvm provider"), "{refusal}");
    assert!(refusal.message.contains("qemu has them"), "{refusal}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let refusal = accept(spec(&[("/id", json!("..")), ("/vcpu", json!(65)), ("/root_volume/size_in_mb", json!(-1))]), &Two).unwrap_err();
    assert_eq!(refusal.message.lines().count(), 3, "{refusal}");
}
