use super::*;
use crate::machine::{DiskFormat, HostNic, Nic};
use crate::testing::{disk, everything, machine, nic};
use crate::{DiskRole, Share};

fn plan(machine: &Machine) -> Result<LaunchPlan, PlanError> {
    Firecracker::new("firecracker").plan(machine, &RunFolder::new(Path::new("/run/c"), &machine.uid).expect("folder"))
}

fn documents(plan: &LaunchPlan) -> Vec<Value> {
    plan.files.iter().map(|(_, bytes)| serde_json::from_slice(bytes).expect("JSON")).collect()
}

#[test]
fn everything_it_can_do_in_its_words() {
    let all = everything();
    let able = Machine {
        disks: all.disks.into_iter().filter(|disk| disk.format == DiskFormat::Raw).collect(),
        nics: all.nics.into_iter().filter(|nic| matches!(nic.host, HostNic::Tap(_))).chain([nic(1, HostNic::Tap("tap1".into()))]).collect(),
        shares: Vec::new(),
        ..everything()
    };
    let plan = plan(&able).expect("plan");
    let words = "--id m-1 --api-sock /run/c/m-1/control.sock --config-file /run/c/m-1/firecracker.json --metadata /run/c/m-1/metadata.json";
    assert_eq!(plan.args, words.split(' ').collect::<Vec<_>>());
    assert_eq!(plan.stdout, Some("/run/c/m-1/serial.log".into()));
    assert_eq!((plan.reads.len(), plan.writes.as_slice()), (3, [PathBuf::from("/vm/data.raw")].as_slice()));
    let documents = documents(&plan);
    assert_eq!(
        documents[0],
        json!({
            "boot-source": {
                "kernel_image_path": "/images/vmlinux",
                "initrd_path": "/images/initrd",
                "boot_args": "console=ttyS0 reboot=k panic=1 pci=off i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd rw ds=nocloud-net;s=http://169.254.169.254/latest/ quiet root=\"LABEL=my root\"",
            },
            "drives": [
                {"drive_id": "disk0", "path_on_host": "/vm/seed.img", "is_root_device": false, "is_read_only": true, "cache_type": "Writeback"},
                {"drive_id": "disk1", "path_on_host": "/vm/data.raw", "is_root_device": false, "is_read_only": false, "cache_type": "Writeback"},
            ],
            "machine-config": {"vcpu_count": 2, "mem_size_mib": 1024, "smt": false, "track_dirty_pages": false},
            "network-interfaces": [
                {"iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "02:00:00:00:00:00", "mtu": 1400},
                {"iface_id": "eth1", "host_dev_name": "tap1", "guest_mac": "02:00:00:00:00:01"},
            ],
            "mmds-config": {"version": "V1", "network_interfaces": ["eth0"]},
            "vsock": {"guest_cid": 3, "uds_path": "/run/c/m-1/vsock.sock"},
            "logger": {"log_path": "/run/c/m-1/firecracker.log", "level": "Info", "show_level": true},
            "entropy": {},
        })
    );
    assert_eq!(documents[1], json!({"latest": {"meta-data": "instance-id: m\n", "user-data": "#cloud-config\n"}}));
}

#[test]
fn large_metadata_raises_the_limit() {
    let large = Machine { metadata: [("user-data".to_owned(), "x".repeat(60_000))].into(), ..machine("m") };
    let plan = plan(&large).expect("plan");
    let at = plan.args.iter().position(|arg| arg == "--mmds-size-limit").expect("raised");
    assert_eq!(plan.args[at + 1], plan.files[1].1.len().to_string());
}

#[test]
fn what_it_cannot_do_is_refused() {
    let qcow2 = crate::Disk { format: DiskFormat::Qcow2, ..disk("/a", DiskRole::Root) };
    let bad = [
        Machine { disks: vec![qcow2], ..machine("m") },
        Machine { nics: vec![nic(0, HostNic::User(Vec::new()))], ..machine("m") },
        Machine { shares: vec![Share { tag: "a".into(), folder: "/s".into(), read_only: false }], ..machine("m") },
    ];
    for machine in bad {
        assert!(matches!(plan(&machine), Err(PlanError::Unsupported(_, DriverKind::Firecracker))));
    }
    let label = Machine { nics: vec![Nic { id: "../x".into(), ..nic(0, HostNic::Tap("t".into())) }], ..machine("m") };
    assert!(matches!(plan(&label), Err(PlanError::Label(_))));
}
