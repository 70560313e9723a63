//! The same bytes as another implementation, both ways. See `golden/README.md`.

use capstead_flintlock::api::*;
use capstead_flintlock::types::*;
use prost::Message;
use prost_types::{Any, Timestamp};

fn bytes(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn same<M: Message + Default + PartialEq + std::fmt::Debug>(hex: &str, expected: &M) {
    let golden = bytes(hex);
    assert_eq!(M::decode(golden.as_slice()).expect("decodes"), *expected);
    assert_eq!(expected.encode_to_vec(), golden);
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> std::collections::BTreeMap<String, String> {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn spec() -> MicroVmSpec {
    let root = VolumeSource { container_source: text("ghcr.io/k/os:1"), virtiofs_source: None };
    let share = VolumeSource { container_source: None, virtiofs_source: text("/srv") };
    let address = StaticAddress {
        address: "10.0.0.2/24".into(),
        gateway: text("10.0.0.1/24"),
        nameservers: vec!["1.1.1.1".into(), "8.8.8.8".into()],
    };
    MicroVmSpec {
        id: "m1".into(),
        namespace: "team".into(),
        labels: map([("role", "worker"), ("zone", "a")]),
        vcpu: 4,
        memory_in_mb: 2048,
        kernel: Some(Kernel {
            image: "ghcr.io/k/kernel:1".into(),
            cmdline: map([("console", "ttyS0"), ("quiet", "1")]),
            filename: text("boot/vmlinux"),
            add_network_config: true,
        }),
        initrd: Some(Initrd { image: "ghcr.io/k/initrd:1".into(), filename: text("initrd.img") }),
        root_volume: Some(Volume {
            id: "root".into(),
            is_read_only: true,
            mount_point: text("/"),
            source: Some(root),
            partition_id: text("p1"),
            size_in_mb: Some(10240),
        }),
        additional_volumes: vec![Volume {
            id: "share".into(),
            is_read_only: false,
            mount_point: text("/mnt"),
            source: Some(share),
            partition_id: text(""),
            size_in_mb: Some(0),
        }],
        interfaces: vec![
            NetworkInterface {
                device_id: "eth1".into(),
                r#type: network_interface::IfaceType::Tap.into(),
                guest_mac: text("AA:FF:00:00:00:02"),
                address: Some(address),
                overrides: Some(NetworkOverrides { bridge_name: text("br0") }),
            },
            NetworkInterface {
                device_id: "eth2".into(),
                r#type: network_interface::IfaceType::Macvtap.into(),
                guest_mac: text(""),
                ..NetworkInterface::default()
            },
        ],
        metadata: map([("meta-data", "bTE="), ("user-data", "I2Nsb3Vk")]),
        created_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        updated_at: Some(Timestamp { seconds: 1_700_000_001, nanos: 0 }),
        deleted_at: Some(Timestamp { seconds: 1_700_000_002, nanos: 0 }),
        uid: text("01HZ"),
        provider: text("firecracker"),
        allow_guest_agent: true,
    }
}

fn microvm() -> MicroVm {
    let mount = |kind: mount::MountType, source: &str| Some(Mount { r#type: kind.into(), source: source.into() });
    let (device, path) = (mount::MountType::Dev, mount::MountType::Hostpath);
    let interface = NetworkInterfaceStatus { host_device_name: "tap0".into(), index: 7, mac_address: "AA:FF:00:00:00:02".into() };
    let status = MicroVmStatus {
        state: micro_vm_status::MicroVmState::Deleting.into(),
        volumes: [
            ("root".to_owned(), VolumeStatus { mount: mount(device, "/dev/mapper/x") }),
            ("share".to_owned(), VolumeStatus { mount: mount(path, "/srv") }),
        ]
        .into(),
        kernel_mount: mount(path, "/k"),
        initrd_mount: mount(path, "/i"),
        network_interfaces: [("eth1".to_owned(), interface)].into(),
        retry: -1,
        vsock_path: "/run/v.sock".into(),
        cause: String::new(),
    };
    MicroVm { version: 3, spec: Some(spec()), status: Some(status) }
}

#[test]
fn requests_are_the_same_bytes() {
    let any = Any { type_url: "type.googleapis.com/x".into(), value: vec![1, 2] };
    let create = CreateMicroVmRequest { microvm: Some(spec()), metadata: [("k".to_owned(), any)].into() };
    same(include_str!("golden/create-request.hex"), &create);
    same(include_str!("golden/delete-request.hex"), &DeleteMicroVmRequest { uid: "01HZ".into() });
    same(include_str!("golden/get-request.hex"), &GetMicroVmRequest { uid: "01HZ".into() });
    // A name that is there but empty differs from none.
    same(include_str!("golden/list-request.hex"), &ListMicroVMsRequest { namespace: "team".into(), name: text("") });
}

#[test]
fn answers_are_the_same_bytes() {
    let small = MicroVm {
        version: 1,
        spec: Some(MicroVmSpec { id: "m2".into(), uid: text("01J0"), ..MicroVmSpec::default() }),
        status: Some(MicroVmStatus { state: micro_vm_status::MicroVmState::Created.into(), ..MicroVmStatus::default() }),
    };
    same(include_str!("golden/create-response.hex"), &CreateMicroVmResponse { microvm: Some(microvm()) });
    same(include_str!("golden/get-response.hex"), &GetMicroVmResponse { microvm: Some(microvm()) });
    same(include_str!("golden/list-response.hex"), &ListMicroVMsResponse { microvm: vec![microvm(), small] });
    same(include_str!("golden/list-message.hex"), &ListMessage { microvm: Some(microvm()) });
}

#[test]
fn descriptors_are_for_reflection() {
    let set = prost_types::FileDescriptorSet::decode(capstead_flintlock::FILE_DESCRIPTOR_SET).unwrap();
    let names: Vec<&str> = set.file.iter().map(|file| file.name()).collect();
    for name in ["services/microvm/v1alpha1/microvms.proto", "types/microvm.proto", "google/protobuf/empty.proto"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method).count();
    assert_eq!(methods, 5);
}

/// The one difference in bytes: others write an empty value of a map, prost leaves it out. Both mean the same.
#[test]
fn an_empty_value_of_a_map_may_be_written_or_left_out() {
    let kernel = Kernel { cmdline: map([("quiet", "")]), ..Kernel::default() };
    assert_eq!(Kernel::decode(bytes("12090a0571756965741200").as_slice()).unwrap(), kernel);
    assert_eq!(kernel.encode_to_vec(), bytes("12070a057175696574"));
}
