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
        ("/kernel/image", json!(" registry:5000/kernel:1 \n\0 \0")),
    ]);
    let Accepted { spec, driver } = accept(sent, &Two).unwrap();
    assert_eq!((spec.vcpu, spec.memory_in_mb, spec.namespace.as_str(), driver.as_str()), (2, 1024, "default", "qemu"));
    assert_eq!((spec.labels["x"].as_str(), spec.uid, spec.kernel.unwrap().image.as_str()), ("y", None, "registry:5000/kernel:1"));
}

/// A root volume that begins as a raw disk.
fn disk(size: i32) -> Value {
    json!({"id": "root", "source": {"container_source": "file:/srv/root.img"}, "size_in_mb": size})
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
        ("/interfaces/-", eth2(json!({"device_id": "eth1"})), "interfaces[1].device_id must be used once, and is \"eth1\""),
        ("/interfaces/-", eth2(json!({"guest_mac": "01:00:5e:00:00:01"})), "interfaces[1].guest_mac must be a unicast address"),
        ("/interfaces/-", eth2(json!({"guest_mac": "02:00:00:00:00:00:00:01"})), "interfaces[1].guest_mac must be six pairs"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.0/24"}})), "interfaces[1].address.address must be a host's address"),
        (
            "/interfaces/-",
            eth2(json!({"address": {"address": "10.0.0.5/24", "gateway": "10.0.1.1/24"}})),
            "must be in the network of the address",
        ),
        ("/interfaces", (0..17).map(|n| json!({"device_id": format!("eth{n}"), "type": "TAP"})).collect(), "interfaces must be 16 at most"),
        ("/interfaces/-", eth2(json!({"guest_mac": "12:34"})), "GuestMAC"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5"}})), "cidr"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5/24", "gateway": "10.0.0.1"}})), "Gateway"),
        ("/interfaces/-", eth2(json!({"address": {"address": "10.0.0.5/24", "nameservers": ["x"]}})), "Nameservers[0]"),
        ("/interfaces/-", eth2(json!({"overrides": {}})), "interfaces[1].overrides.bridge_name"),
        ("/root_volume", json!({}), "volumeOrInitrdRequired"),
        ("/root_volume/source", json!({"virtiofs_source": "/srv"}), "novirtiofs"),
        ("/root_volume/source", json!({}), "root_volume.source: needs"),
        ("/root_volume/size_in_mb", json!(-1), "root_volume.size_in_mb: -1"),
        ("/root_volume/size_in_mb", json!(LARGEST_VOLUME_MB + 1), "between 0 and 1048576"),
        ("/root_volume", disk(LARGEST_DISK_MB + 1), "root_volume.size_in_mb"),
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

/// flintlock v0.11.0's rules, one by one: what breaks each, which field is told, and which tag.
#[test]
fn every_rule_of_flintlock_refuses_in_flintlocks_words() {
    let interface = |change: Value| {
        let mut interface = json!({"device_id": "eth1", "type": "TAP"});
        interface.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!([interface])
    };
    let address = |change: Value| {
        let mut address = json!({"address": "10.0.0.5/24"});
        address.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        interface(json!({"address": address}))
    };
    let shared = |id: &str| json!({"id": id, "source": {"virtiofs_source": "/srv"}});
    let both = json!([{"id": "v", "source": {"virtiofs_source": "/srv", "container_source": "registry:5000/v:1"}}]);
    let initrd = |image: &str| json!({"image": image, "filename": "initrd"});
    let net = "Spec.NetworkInterfaces";
    let at = |rest: &str| format!("{net}[0].{rest}");
    let cases: Vec<(&str, &str, Value, String, &str)> = vec![
        ("vcpu is at least 1", "/vcpu", json!(-1), "Spec.VCPU".into(), "gte"),
        ("vcpu is at most 64", "/vcpu", json!(65), "Spec.VCPU".into(), "lte"),
        ("no number of processors is beyond 32 bits", "/vcpu", json!(i32::MAX), "Spec.VCPU".into(), "lte"),
        ("memory is at least 1024", "/memory_in_mb", json!(1023), "Spec.MemoryInMb".into(), "gte"),
        ("memory is never negative", "/memory_in_mb", json!(i32::MIN), "Spec.MemoryInMb".into(), "gte"),
        ("memory is at most 32768", "/memory_in_mb", json!(32769), "Spec.MemoryInMb".into(), "lte"),
        ("the kernel's image is required", "/kernel/image", json!(""), "Spec.Kernel.Image".into(), "required"),
        ("the kernel's image is no URL", "/kernel/image", json!("https://registry/kernel"), "Spec.Kernel.Image".into(), "imageURI"),
        ("the kernel's image has a host", "/kernel/image", json!("/kernel"), "Spec.Kernel.Image".into(), "imageURI"),
        ("the kernel's filename is required", "/kernel/filename", json!(""), "Spec.Kernel.Filename".into(), "required"),
        ("the initrd's image is a reference", "/initrd", initrd("oci://registry/initrd"), "Spec.Initrd.Image".into(), "imageURI"),
        ("the initrd's image has a host", "/initrd", initrd(""), "Spec.Initrd.Image".into(), "imageURI"),
        ("there is an interface", "/interfaces", json!([]), net.into(), "required"),
        ("an interface has a name", "/interfaces", interface(json!({"device_id": ""})), at("GuestDeviceName"), "required"),
        ("a name has no slash", "/interfaces", interface(json!({"device_id": "eth/1"})), at("GuestDeviceName"), "excludesall"),
        ("a name leads nowhere", "/interfaces", interface(json!({"device_id": "../eth1"})), at("GuestDeviceName"), "excludesall"),
        ("a name has no at sign", "/interfaces", interface(json!({"device_id": "eth@1"})), at("GuestDeviceName"), "excludesall"),
        ("a name begins with a letter", "/interfaces", interface(json!({"device_id": "1eth"})), at("GuestDeviceName"), "guestDeviceName"),
        ("a name has no capitals", "/interfaces", interface(json!({"device_id": "Eth1"})), at("GuestDeviceName"), "guestDeviceName"),
        ("a name is ASCII", "/interfaces", interface(json!({"device_id": "ethé"})), at("GuestDeviceName"), "guestDeviceName"),
        ("a MAC is one", "/interfaces", interface(json!({"guest_mac": "02:00:00:00:00"})), at("GuestMAC"), "mac"),
        ("an interface is of a known type", "/interfaces", interface(json!({"type": 2})), at("Type"), "oneof"),
        ("an address has a prefix", "/interfaces", address(json!({"address": "10.0.0.5"})), at("StaticAddress.Address"), "cidr"),
        (
            "a prefix is no longer than an address",
            "/interfaces",
            address(json!({"address": "10.0.0.5/33"})),
            at("StaticAddress.Address"),
            "cidr",
        ),
        ("a gateway has a prefix", "/interfaces", address(json!({"gateway": "10.0.0.1"})), at("StaticAddress.Gateway"), "cidr"),
        (
            "a name server is an address",
            "/interfaces",
            address(json!({"nameservers": ["10.0.0.1", "dns"]})),
            at("StaticAddress.Nameservers[1]"),
            "ip",
        ),
        (
            "a name server has no prefix",
            "/interfaces",
            address(json!({"nameservers": ["10.0.0.1/24"]})),
            at("StaticAddress.Nameservers[0]"),
            "ip",
        ),
        ("there is a root volume or an initrd", "/root_volume", Value::Null, "Spec.root_volume".into(), "volumeOrInitrdRequired"),
        ("an empty root volume is none", "/root_volume", json!({}), "Spec.root_volume".into(), "volumeOrInitrdRequired"),
        ("the root volume is not shared", "/root_volume", shared("root"), "Spec.RootVolume".into(), "novirtiofs"),
        (
            "one volume is shared at most",
            "/additional_volumes",
            json!([shared("a"), shared("b")]),
            "Spec.AdditionalVolumes".into(),
            "onlyOneVirtioFS",
        ),
        ("a volume has one source", "/additional_volumes", both, "Spec.AdditionalVolumes".into(), "multipleVolSources"),
    ];
    const WORDS: &str = "creating microvm: an error occurred when attempting to validate microvm spec: validation failures found: ";
    for (rule, place, value, path, tag) in cases {
        let refusal = accept(spec(&[(place, value)]), &Two).expect_err(rule);
        let field = path.rsplit('.').next().unwrap();
        let line = format!("Key: 'MicroVM.{path}' Error:Field validation for '{field}' failed on the '{tag}' tag");
        let told = refusal.message.strip_prefix(WORDS).unwrap_or_else(|| panic!("{rule}: {refusal}"));
        assert!(told.lines().any(|told| told == line), "{rule}: {refusal}");
        assert_eq!(refusal.code, Code::InvalidArgument, "{rule}");
    }
}

#[test]
fn what_is_just_within_the_rules_is_accepted() {
    let eth1 = |change: Value| {
        let mut interface = json!({"device_id": "eth1", "type": "TAP"});
        interface.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!([interface])
    };
    let address = json!({"address": "fd00::5/64", "gateway": "fd00::1/64", "nameservers": ["fd00::1", "1.1.1.1"]});
    let cases: Vec<(&str, Value)> = vec![
        ("/vcpu", json!(0)),
        ("/vcpu", json!(1)),
        ("/vcpu", json!(64)),
        ("/memory_in_mb", json!(0)),
        ("/memory_in_mb", json!(1024)),
        ("/memory_in_mb", json!(32768)),
        ("/id", json!("x".repeat(253))),
        ("/kernel/filename", json!("/boot/vm..linux")),
        ("/interfaces", eth1(json!({"device_id": "e_1"}))),
        ("/interfaces", eth1(json!({"guest_mac": "02-00-00-00-00-01"}))),
        ("/interfaces", eth1(json!({"address": {"address": "10.0.0.5/24", "gateway": "10.0.0.1/16"}}))),
        ("/interfaces", eth1(json!({"address": address}))),
        ("/interfaces", (0..16).map(|n| json!({"device_id": format!("eth{n}"), "type": "TAP"})).collect()),
        ("/root_volume/size_in_mb", json!(LARGEST_VOLUME_MB)),
        ("/root_volume", disk(LARGEST_DISK_MB)),
        ("/additional_volumes", json!([{"id": "v", "source": {"virtiofs_source": "/srv"}}])),
        ("/metadata", json!({"user-data": "eA==\r\n", "meta-data": "", "other": "no base64!"})),
    ];
    for (at, value) in cases {
        let accepted = accept(spec(&[(at, value.clone())]), &Two);
        assert!(accepted.is_ok(), "{at} {value}: {accepted:?}");
    }
    let initrd = ("/initrd", json!({"image": "registry:5000/i:1", "filename": "initrd"}));
    assert!(accept(spec(&[("/root_volume", Value::Null), initrd]), &Two).is_ok(), "a microVM may live in its initrd");
}

#[test]
fn what_a_driver_lacks_is_told_with_who_has_it() {
    let macvtap = ("/interfaces", json!([{"device_id": "eth1"}]));
    assert_eq!(accept(spec(std::slice::from_ref(&macvtap)), &Two).unwrap().driver, "qemu");
    let refusal = accept(spec(&[macvtap, ("/provider", json!("firecracker"))]), &Two).unwrap_err();
    assert!(refusal.message.contains("macvtap network interfaces not supported by the microvm provider"), "{refusal}");
    assert!(refusal.message.contains("qemu has them"), "{refusal}");
}

#[test]
fn what_is_accepted_of_an_images_size_can_be_made() {
    assert_eq!(u32::try_from(LARGEST_VOLUME_MB), Ok(capstead_image::ext4::LARGEST_SIZE_MIB));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let refusal = accept(spec(&[("/id", json!("..")), ("/vcpu", json!(65)), ("/root_volume/size_in_mb", json!(-1))]), &Two).unwrap_err();
    assert_eq!(refusal.message.lines().count(), 3, "{refusal}");
}
