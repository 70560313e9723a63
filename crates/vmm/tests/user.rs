//! VMMs of another user, with the real QEMU: started by root, in namespaces of the test's own, with each network that takes privileges.

#[path = "../../hostnet/tests/support/mod.rs"]
mod namespace;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use capstead_vmm::*;
use namespace::{eventually, ip};

/// A guest that greets, and halts.
const HELLO: &[u8] = &[
    0xbe, 0xe4, 0x00, 0x10, 0x00, // mov $greeting, %esi
    0xb9, 0x06, 0x00, 0x00, 0x00, // mov $6, %ecx
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xf3, 0x6e, // mov $0x3f8, %edx; rep outsb
    0xf4, 0xeb, 0xfd, // hlt, and again
    b'h', b'e', b'l', b'l', b'o', b'\n',
];

/// Nobody on this machine.
const USER: u32 = 4242;
const GROUP: u32 = 4243;
const BESIDES: u32 = 4244;

/// A network namespace, held by a process.
struct Lan(Child);

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status().expect(words[0]);
    assert!(status.success(), "{words:?}");
}

struct Host {
    dir: tempfile::TempDir,
    runner: Runner,
}

impl Drop for Host {
    fn drop(&mut self) {
        for found in self.runner.scan() {
            let pid = rustix::process::Pid::from_raw(found.pid.cast_signed()).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("vmm").tempdir().expect("temporary folder");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).expect("opened");
        let user = User { uid: USER, gid: GROUP, groups: vec![BESIDES] };
        let confinement = Confinement { landlock: true, user: Some(user), cgroup: None };
        let qemu = Arc::new(Qemu::new("qemu-system-x86_64", Accel::Tcg));
        let runner = Runner::new(&dir.path().join("run"), vec![qemu], confinement).expect("runner");
        Self { dir, runner }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn disk(&self, name: &str, format: DiskFormat, role: DiskRole, backing: Vec<PathBuf>) -> Disk {
        Disk { path: self.path(name), format, read_only: role == DiskRole::Seed, role, backing, durable: true }
    }

    fn machine(&self, uid: &str, hosts: Vec<HostNic>, enter: Vec<String>) -> Machine {
        let nic = |(index, host)| Nic { id: format!("eth{index}"), mac: Mac([2, 0, 0, 0, 0, index]), mtu: None, host, metadata: false };
        Machine {
            uid: uid.parse().expect("uid"),
            vcpus: 1,
            memory_mib: 32,
            kernel: self.path("kernel"),
            initrd: None,
            cmdline: CommandLine::default(),
            disks: Vec::new(),
            nics: (0..).zip(hosts).map(nic).collect(),
            vsock: false,
            shares: Vec::new(),
            metadata: Default::default(),
            enter,
        }
    }

    /// Launches it, and waits until its guest speaks. Its process is the user's, and has no privileges.
    async fn runs(&self, machine: &Machine) {
        let launched = self.runner.launch(machine, DriverKind::Qemu).await.expect("launched");
        println!("{}: {:?}", machine.uid, launched.unconfined);
        let folder = self.runner.folder(&machine.uid).expect("folder");
        let process = launched.process;
        let greeted = || fs::read_to_string(folder.serial_log()).is_ok_and(|log| log.contains("hello"));
        eventually("the guest speaks", || {
            assert!(Path::new(&format!("/proc/{}", process.pid())).exists(), "{:?}", tail(&folder.vmm_log(), 9));
            greeted().then_some(())
        })
        .await;
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it lives");
        let has = |line: &str| status.lines().any(|found| found.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        for line in [
            format!("Uid: {USER} {USER} {USER} {USER}"),
            format!("Gid: {GROUP} {GROUP} {GROUP} {GROUP}"),
            format!("Groups: {BESIDES}"),
            "CapEff: 0000000000000000".to_owned(),
            "CapPrm: 0000000000000000".to_owned(),
            "NoNewPrivs: 1".to_owned(),
        ] {
            assert!(has(&line), "{line}: {status}");
        }
        // Its sockets answer the daemon; its folder is its own.
        let seen = self.runner.observe(&machine.uid).await.expect("observed");
        assert!(matches!(seen, Observation::Running { guest: GuestState::Running, .. }), "{seen:?}");
        tokio::net::UnixStream::connect(folder.console()).await.expect("the console");
        assert_eq!(fs::metadata(folder.dir()).expect("there").uid(), USER);
    }
}

#[test]
fn a_vmm_of_another_user_has_its_disks_its_sockets_and_its_networks() {
    namespace::in_namespace("a_vmm_of_another_user_has_its_disks_its_sockets_and_its_networks", || async {
        if !namespace::root_on_the_host() {
            println!("nothing to try: it takes root");
            return;
        }
        let host = Host::new();
        // As udev has it; in this test's mount namespace alone.
        let tun = host.path("tun").display().to_string();
        run(&["mknod", "--mode=0666", &tun, "c", "10", "200"]);
        run(&["mount", "--bind", &tun, "/dev/net/tun"]);

        // As the store leaves them: read by everybody, and with more names than one.
        fs::write(host.path("stored"), guest::elf(HELLO)).expect("written");
        fs::write(host.path("base"), vec![0; 1 << 20]).expect("written");
        for name in ["stored", "base"] {
            fs::set_permissions(host.path(name), Permissions::from_mode(0o444)).expect("closed");
        }
        fs::hard_link(host.path("stored"), host.path("kernel")).expect("linked");
        // As the daemon makes them: root's alone.
        run(&[
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            host.path("base").to_str().expect("UTF-8"),
            host.path("root").to_str().expect("UTF-8"),
        ]);
        fs::write(host.path("seed"), vec![0; 1 << 20]).expect("written");
        for name in ["root", "seed"] {
            fs::set_permissions(host.path(name), Permissions::from_mode(0o600)).expect("closed");
        }

        ip(&format!("tuntap add dev tap0 mode tap user {USER}"));
        ip("link set tap0 up");
        ip("link add outer type veth peer name inner");
        ip("link add link inner name mv0 address 02:00:00:00:00:02 type macvtap mode bridge");
        ip("link set mv0 up");
        let index = namespace::told("mv0").expect("there")["ifindex"].as_u64().expect("a number");
        let number = fs::read_to_string(format!("/sys/class/net/mv0/tap{index}/dev")).expect("its number");
        let (major, minor) = number.trim().split_once(':').expect("two numbers");
        // The daemon opens it: it is root's alone.
        run(&["mknod", "--mode=0600", &host.path("macvtap").display().to_string(), "c", major, minor]);
        let hosts = vec![HostNic::User(Vec::new()), HostNic::Tap("tap0".into()), HostNic::Macvtap(host.path("macvtap"))];
        let wired = Machine {
            disks: vec![
                host.disk("root", DiskFormat::Qcow2, DiskRole::Root, vec![host.path("base")]),
                host.disk("seed", DiskFormat::Raw, DiskRole::Seed, Vec::new()),
            ],
            ..host.machine("wired", hosts, Vec::new())
        };
        host.runs(&wired).await;
        let owner = |name: &str| fs::metadata(host.path(name)).expect("there").uid();
        assert_eq!(["root", "seed", "base", "stored"].map(owner), [USER, USER, 0, 0]);

        // A LAN that root holds, without a user namespace.
        let lan = Lan(Command::new("unshare").args(["--net", "sleep", "600"]).spawn().expect("unshare"));
        let pid = lan.0.id().to_string();
        let comm = format!("/proc/{pid}/comm");
        eventually("the LAN is there", || fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep").then_some(())).await;
        let enter: Vec<String> = ["nsenter", "--target", &pid, "--net", "--"].map(str::to_owned).into();
        let user = USER.to_string();
        let tap = ["ip", "tuntap", "add", "dev", "tap0", "mode", "tap", "user", &user];
        run(&enter.iter().map(String::as_str).chain(tap).collect::<Vec<_>>());
        host.runs(&host.machine("shared", vec![HostNic::Tap("tap0".into())], enter)).await;

        for uid in ["wired", "shared"] {
            host.runner.remove(&uid.parse().expect("uid")).await.expect("removed");
        }
        assert!(host.runner.list().is_empty());
    });
}

#[test]
fn a_driver_is_tried_as_the_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let user = User { uid: USER, gid: GROUP, groups: Vec::new() };
    let works = runtime.block_on(probe_as(&Qemu::new("qemu-system-x86_64", Accel::Tcg), Some(&user)));
    assert!(works.result.is_ok(), "{works:?}");
    // What the user cannot reach does not work: the kernel starts a script's shell, which cannot read it.
    let closed = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().expect("temporary folder");
    let program = closed.path().join("qemu");
    // By a process of its own: another thread's may be starting, and would keep it open for writing.
    run(&["sh", "-c", "echo '#!/bin/sh' > \"$0\" && chmod 755 \"$0\"", &program.display().to_string()]);
    let refused = runtime.block_on(probe_as(&Qemu::new(program, Accel::Tcg), Some(&user)));
    let said = refused.result.expect_err("refused").to_string();
    assert!(said.contains("Permission denied"), "{said}");
}
