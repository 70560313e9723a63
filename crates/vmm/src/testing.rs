//! Machines for unit tests.

use crate::machine::*;

pub(crate) fn machine(uid: &str) -> Machine {
    Machine {
        uid: uid.parse().expect("uid"),
        vcpus: 2,
        memory_mib: 1024,
        kernel: "/images/vmlinux".into(),
        initrd: None,
        cmdline: CommandLine::default(),
        disks: Vec::new(),
        nics: Vec::new(),
        vsock: false,
        shares: Vec::new(),
        metadata: Default::default(),
        enter: Vec::new(),
    }
}

pub(crate) fn nic(index: u8, host: HostNic) -> Nic {
    Nic { id: format!("eth{index}"), mac: Mac([2, 0, 0, 0, 0, index]), mtu: None, host, metadata: false }
}

pub(crate) fn disk(path: &str, role: DiskRole) -> Disk {
    Disk { path: path.into(), format: DiskFormat::Raw, read_only: role == DiskRole::Seed, role, backing: Vec::new(), durable: true }
}

/// More than any driver can do.
pub(crate) fn everything() -> Machine {
    let forward =
        |protocol, port, guest_port| Forward { protocol, host: std::net::SocketAddrV4::new([127, 0, 0, 1].into(), port), guest_port };
    let user = HostNic::User(vec![forward(Protocol::Tcp, 2222, 22), forward(Protocol::Udp, 5353, 53)]);
    let dgram = HostNic::Dgram { local: "/net/a.sock".into(), remote: "/net/b.sock".into() };
    Machine {
        initrd: Some("/images/initrd".into()),
        cmdline: [("quiet", ""), ("root", "LABEL=my root")].into_iter().collect(),
        disks: vec![
            Disk {
                format: DiskFormat::Qcow2,
                durable: false,
                backing: vec!["/images/base.raw".into()],
                ..disk("/vm/root.qcow2", DiskRole::Root)
            },
            disk("/vm/seed.img", DiskRole::Seed),
            disk("/vm/data.raw", DiskRole::Data),
        ],
        nics: vec![
            Nic { mtu: Some(1400), metadata: true, ..nic(0, HostNic::Tap("tap0".into())) },
            nic(1, HostNic::Macvtap("/dev/tap7".into())),
            nic(2, user),
            nic(3, HostNic::Stream("/net/gvproxy.sock".into())),
            nic(4, dgram),
        ],
        vsock: true,
        shares: vec![Share { tag: "user".into(), folder: "/srv/shared".into(), read_only: false }],
        metadata: [("meta-data".to_owned(), "instance-id: m\n".to_owned()), ("user-data".to_owned(), "#cloud-config\n".to_owned())].into(),
        ..machine("m-1")
    }
}
