use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capstead_vmm::*;

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(60);

pub const ALL: &[(&str, fn())] = &[
    ("firecracker_takes_all_that_is_planned", firecracker_takes_all_that_is_planned),
    ("firecracker_is_ended_by_signal_when_deaf", firecracker_is_ended_by_signal_when_deaf),
    ("cloud_hypervisor_takes_all_that_is_planned", cloud_hypervisor_takes_all_that_is_planned),
    ("cloud_hypervisor_is_told_to_end_when_deaf", cloud_hypervisor_is_told_to_end_when_deaf),
    ("probes_run", probes_run),
    ("the_fakes_refuse_what_the_vmms_would", the_fakes_refuse_what_the_vmms_would),
];

/// The fakes under their names, in a folder with a few files.
struct Stage {
    dir: tempfile::TempDir,
    virtiofsd: Result<Virtiofsd, NoVirtiofsd>,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("vmm").tempdir().expect("temporary folder");
        let own = std::env::current_exe().expect("our own path");
        for name in ["firecracker", "cloud-hypervisor"] {
            std::os::unix::fs::symlink(&own, dir.path().join(name)).expect("linked");
        }
        for name in ["kernel", "initrd", "root", "seed", "data", "device"] {
            std::fs::write(dir.path().join(name), name).expect("written");
        }
        Self { dir, virtiofsd: Err(NoVirtiofsd::Off) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        vec![Arc::new(Firecracker::new(self.path("firecracker"))), Arc::new(CloudHypervisor::new(self.path("cloud-hypervisor")))]
    }

    fn runner(&self) -> Runner {
        let runner = Runner::new(&self.path("run"), self.drivers(), Confinement::default()).expect("runner");
        runner.with_virtiofsd(self.virtiofsd.clone())
    }

    fn disk(&self, name: &str, role: DiskRole) -> Disk {
        Disk { path: self.path(name), format: DiskFormat::Raw, read_only: role == DiskRole::Seed, role, backing: Vec::new(), durable: true }
    }

    /// What both can do.
    fn machine(&self, uid: &str) -> Machine {
        let nic = |index: u8, mtu| Nic {
            id: format!("eth{index}"),
            mac: Mac([2, 0, 0, 0, 0, index]),
            mtu,
            host: HostNic::Tap(format!("tap{index}")),
            metadata: false,
        };
        Machine {
            uid: uid.parse().expect("uid"),
            vcpus: 3,
            memory_mib: 512,
            kernel: self.path("kernel"),
            initrd: Some(self.path("initrd")),
            cmdline: [("quiet", "")].into_iter().collect(),
            disks: vec![self.disk("root", DiskRole::Root), self.disk("seed", DiskRole::Seed), self.disk("data", DiskRole::Data)],
            nics: vec![nic(0, Some(1450)), nic(1, None)],
            vsock: true,
            shares: Vec::new(),
            metadata: Default::default(),
            enter: Vec::new(),
        }
    }
}

fn block(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime").block_on(future);
}

/// Waits until the VMM says that its guest runs.
async fn up(runner: &Runner, uid: &Uid) -> u32 {
    let start = Instant::now();
    loop {
        match runner.observe(uid).await.expect("observed") {
            Observation::Running { process, guest: GuestState::Running } => return process.pid(),
            other => assert!(start.elapsed() < DEADLINE && !matches!(other, Observation::Exited { .. }), "it never ran: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn lives(stage: &Stage, kind: DriverKind, machine: Machine) {
    let uid = machine.uid.clone();
    let launched = stage.runner().launch(&machine, kind).await.expect("launched");
    let pid = up(&stage.runner(), &uid).await;
    assert_eq!(pid, launched.process.pid());
    let again = stage.runner().launch(&machine, kind).await.expect("found");
    assert!(again.adopted && again.process.pid() == pid && again.process.driver() == kind);
    let log = stage.runner().folder(&uid).expect("folder").serial_log();
    assert_eq!(tail(&log, 1), ["capstead: alive"]);
    let stopped = stage.runner().shutdown(&uid, DEADLINE).await.expect("shut down");
    assert_eq!(stopped, Stopped { by: Means::PowerButton, status: ExitStatus::Code(0), refused: Vec::new() });
    stage.runner().remove(&uid).await.expect("removed");
    assert!(stage.runner().list().is_empty());
}

fn firecracker_takes_all_that_is_planned() {
    block(async {
        let stage = Stage::new();
        let mut machine = stage.machine("fire-1");
        machine.nics[0].metadata = true;
        machine.metadata = [("meta-data".to_owned(), "instance-id: a\n".to_owned()), ("user-data".to_owned(), "x".repeat(60_000))].into();
        lives(&stage, DriverKind::Firecracker, machine).await;
    });
}

fn cloud_hypervisor_takes_all_that_is_planned() {
    block(async {
        let mut stage = Stage::new();
        let mut machine = stage.machine("cloud-1");
        machine.nics.push(Nic {
            id: "eth2".into(),
            mac: Mac([2; 6]),
            mtu: None,
            host: HostNic::Macvtap(stage.path("device")),
            metadata: false,
        });
        machine.disks[0].format = DiskFormat::Qcow2;
        machine.disks[0].backing = vec![stage.path("data")];
        stage.virtiofsd = Virtiofsd::find(Path::new("virtiofsd")).await;
        match &stage.virtiofsd {
            Ok(_) => machine.shares = vec![Share { tag: "user".into(), folder: stage.dir.path().to_owned(), read_only: false }],
            Err(why) => println!("no shared folder: {why}"),
        }
        lives(&stage, DriverKind::CloudHypervisor, machine).await;
    });
}

async fn deaf(kind: DriverKind) -> Stopped {
    let stage = Stage::new();
    let mut machine = stage.machine("deaf");
    machine.cmdline.set("deaf", "");
    stage.runner().launch(&machine, kind).await.expect("launched");
    up(&stage.runner(), &machine.uid).await;
    stage.runner().shutdown(&machine.uid, Duration::from_millis(100)).await.expect("ended")
}

fn firecracker_is_ended_by_signal_when_deaf() {
    block(async {
        let stopped = deaf(DriverKind::Firecracker).await;
        assert_eq!((stopped.by, stopped.status), (Means::Terminate, ExitStatus::Signal(15)));
        assert_eq!(stopped.refused, ["firecracker has no command to end"]);
    });
}

fn cloud_hypervisor_is_told_to_end_when_deaf() {
    block(async {
        assert_eq!(deaf(DriverKind::CloudHypervisor).await, Stopped { by: Means::Quit, status: ExitStatus::Code(0), refused: Vec::new() });
    });
}

fn probes_run() {
    block(async {
        let gone = Stage::new().drivers();
        for driver in gone {
            let missing = probe_within(driver.as_ref(), DEADLINE).await;
            assert!(matches!(missing.result, Err(ProbeError::Start { .. })), "its folder is gone: {missing:?}");
        }
        let stage = Stage::new();
        let mut probes = Vec::new();
        for driver in stage.drivers().iter().rev() {
            probes.push(probe_within(driver.as_ref(), DEADLINE).await);
        }
        assert!(probes.iter().all(|probe| probe.result.is_ok()), "{probes:?}");
        assert_eq!(best(&probes).map(|probe| probe.driver), Some(DriverKind::Firecracker));
    });
}

fn refused(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("run");
    assert!(!output.status.success(), "{args:?} was taken");
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn the_fakes_refuse_what_the_vmms_would() {
    let stage = Stage::new();
    let kernel = stage.path("kernel").display().to_string();
    let fire = |args: &[&str]| refused(&stage.path("firecracker"), args);
    assert_eq!(fire(&["--frob"]), "fake: --frob is unknown");
    assert_eq!(fire(&["--id", "a_b"]), "fake: --id may not be a_b");
    let config = |change: fn(&mut serde_json::Value)| {
        let mut config = serde_json::json!({"boot-source": {"kernel_image_path": kernel}, "drives": []});
        change(&mut config);
        let path = stage.path("config");
        std::fs::write(&path, config.to_string()).expect("written");
        fire(&["--no-api", "--config-file", path.to_str().expect("plain")])
    };
    assert_eq!(config(|c| c["drives"] = serde_json::Value::Null), "fake: config.drives is no list");
    assert_eq!(
        config(|c| c["machine-config"] = serde_json::json!({"vcpu_count": 33, "mem_size_mib": 1})),
        "fake: config.machine-config.vcpu_count may not be 33"
    );
    assert_eq!(
        config(|c| c["mmds-config"] = serde_json::json!({"network_interfaces": ["eth9"]})),
        "fake: mmds-config names eth9, which is no interface"
    );
    assert_eq!(config(|c| c["frob"] = 1.into()), "fake: config.frob is unknown");

    let cloud = |args: &[&str]| refused(&stage.path("cloud-hypervisor"), args);
    assert_eq!(cloud(&["--kernel", &kernel, "path=/x"]), "fake: --kernel takes one value");
    assert_eq!(cloud(&["--disk", "path=/nowhere"]), "fake: --disk path may not be /nowhere");
    assert_eq!(cloud(&["--fs", "tag=a,socket=/s", "path=/x"]), "fake: --fs has no part path");
    assert_eq!(cloud(&["--net", "fd=[77],mac=02:00:00:00:00:01"]), "fake: --net fd may not be [77]");
}
