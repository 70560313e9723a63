//! The QEMU driver and the runner with the real QEMU, by software emulation, and guests of a few instructions.

// Not everybody's virtiofsd runs without root, as which one is in a namespace.
#[path = "../../hostnet/tests/support/mod.rs"]
mod namespace;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use capstead_vmm::*;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long anything may take here. QEMU starts in 0.2 s; the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(90);

/// A guest that greets, then waits: it echoes its console, obeys single letters, and powers off when its power button is pressed.
/// `r` resets, `p` panics, `h` halts, `s` spins. The addresses are those of QEMU's microvm: its ACPI event device and pvpanic.
const PET: &[u8] = &[
    0xbe, 0x2f, 0x01, 0x10, 0x00, // mov $greeting, %esi
    0xb9, 0x10, 0x00, 0x00, 0x00, // mov $16, %ecx
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xf3, 0x6e, // mov $0x3f8, %edx; rep outsb
    // loop:
    0xf7, 0x05, 0x00, 0x00, 0xa0, 0xfe, 0x02, 0x00, 0x00, 0x00, 0x75, 0x23, // testl $2, 0xfea00000; jnz off    the power button
    0xba, 0xfd, 0x03, 0x00, 0x00, 0xec, 0xa8, 0x01, 0x74, 0xea, // in 0x3fd; test $1; jz loop   nothing typed
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xec, 0xee, // in 0x3f8; out 0x3f8                            echo
    0x3c, b'r', 0x74, 0x17, 0x3c, b'p', 0x74, 0x1c, 0x3c, b'h', 0x74, 0x20, 0x3c, b's', 0x74, 0x1f, 0xeb, 0xd1, //
    0xc6, 0x05, 0x00, 0x02, 0xa0, 0xfe, 0x34, 0xeb, 0x11, // off: movb $0x34, 0xfea00200        sleep state 5
    0xc6, 0x05, 0x02, 0x02, 0xa0, 0xfe, 0x42, 0xeb, 0x08, // reset: movb $0x42, 0xfea00202
    0xba, 0x05, 0x05, 0x00, 0x00, 0xb0, 0x01, 0xee, // crash: out $1, 0x505
    0xf4, 0xeb, 0xfd, // halt: hlt; jmp halt
    0xeb, 0xfe, // spin: jmp spin
    b'c', b'a', b'p', b's', b't', b'e', b'a', b'd', b':', b' ', b'a', b'l', b'i', b'v', b'e', b'\n',
];

/// A run root of its own, and no process left in it.
struct Host {
    dir: tempfile::TempDir,
    runner: Runner,
}

impl Host {
    fn new() -> Self {
        Self::confined(Confinement::default())
    }

    fn confined(confinement: Confinement) -> Self {
        let dir = tempfile::Builder::new().prefix("vmm").tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("pet"), guest::elf(PET)).expect("written");
        let runner = daemon(dir.path(), confinement);
        Self { dir, runner }
    }

    fn machine(&self, uid: &str) -> Machine {
        Machine {
            uid: uid.parse().expect("uid"),
            vcpus: 1,
            memory_mib: 32,
            kernel: self.dir.path().join("pet"),
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

    async fn launch(&self, machine: &Machine) -> Process {
        let launched = self.runner.launch(machine, DriverKind::Qemu).await.expect("launched");
        assert_eq!((launched.adopted, launched.unconfined), (false, Vec::new()));
        launched.process
    }

    /// Waits until the guest has written this to its console so many times.
    async fn says(&self, uid: &Uid, text: &str, times: usize) {
        let log = self.runner.folder(uid).expect("folder").serial_log();
        let seen = || std::fs::read_to_string(&log).unwrap_or_default().matches(text).count() >= times;
        let told = || format!("{:?}", tail(&self.runner.folder(uid).expect("folder").vmm_log(), 9));
        wait(seen, told).await;
    }

    async fn alive(&self, uid: &Uid) {
        self.says(uid, "capstead: alive", 1).await;
    }

    async fn console(&self, uid: &Uid) -> UnixStream {
        UnixStream::connect(self.runner.folder(uid).expect("folder").console()).await.expect("console")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for found in self.runner.scan() {
            let pid = rustix::process::Pid::from_raw(found.pid.cast_signed()).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn qemu() -> Qemu {
    Qemu::new("qemu-system-x86_64", Accel::Tcg)
}

/// A host daemon that knows nothing but its folder.
fn daemon(dir: &Path, confinement: Confinement) -> Runner {
    Runner::new(&dir.join("run"), vec![Arc::new(qemu())], confinement).expect("runner")
}

async fn wait(done: impl Fn() -> bool, told: impl Fn() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "it never came: {}", told());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn running(runner: &Runner, uid: &Uid) -> GuestState {
    let seen = runner.observe(uid).await.expect("observed");
    let Observation::Running { guest, .. } = seen else { unreachable!("it does not run: {seen:?}") };
    guest
}

#[tokio::test]
async fn the_probe_runs_and_tells_a_driver_that_does_not() {
    let works = probe_within(&qemu(), DEADLINE).await;
    assert!(works.result.is_ok(), "{works:?}");
    let missing = probe(&Qemu { program: "/nowhere/qemu".into(), ..qemu() }).await;
    assert!(matches!(missing.result, Err(ProbeError::Start { .. })), "{missing:?}");
    let broken = probe(&Qemu { program: "/bin/false".into(), ..qemu() }).await;
    assert!(matches!(broken.result, Err(ProbeError::Ended { .. })), "{broken:?}");
    let dir = tempfile::tempdir().expect("temporary folder");
    let hung = probe_within(&Qemu { program: sleeper(&dir.path().join("hangs")), ..qemu() }, Duration::from_millis(200)).await;
    assert!(matches!(hung.result, Err(ProbeError::Hangs(_))), "{hung:?}");
    let probes = [missing, broken, works, hung];
    assert_eq!(best(&probes).map(|probe| (probe.driver, probe.accel)), Some((DriverKind::Qemu, Accel::Tcg)));
    // Whatever /dev/kvm is here: an answer comes in time.
    let start = Instant::now();
    let kvm = probe(&Qemu::new("qemu-system-x86_64", Accel::Kvm)).await;
    assert!(start.elapsed() < KVM_DEADLINE + Duration::from_secs(20), "{kvm:?}");
}

/// A VMM that never ends, as one in front of a broken `/dev/kvm`.
fn sleeper(path: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, "#!/bin/sh\nexec sleep 600\n").expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    path.to_owned()
}

#[tokio::test]
async fn one_process_whoever_launches_and_found_after_a_restart() {
    let host = Host::new();
    let machine = host.machine("one");
    let uid = machine.uid.clone();
    assert!(matches!(host.runner.observe(&uid).await.expect("observed"), Observation::Absent));
    // Two at the same time: one starts it, the other finds it.
    let (first, second) = tokio::join!(host.runner.launch(&machine, DriverKind::Qemu), host.runner.launch(&machine, DriverKind::Qemu));
    let (first, second) = (first.expect("launched"), second.expect("found"));
    assert_eq!(first.process.pid(), second.process.pid());
    assert!(first.adopted != second.adopted);
    let pid = first.process.pid();
    host.alive(&uid).await;

    // A daemon that starts anew knows nothing but the folder; then not even the record; then not even the lock.
    drop((first, second));
    let folder = host.runner.folder(&uid).expect("folder");
    let state = host.runner.root().join(".state");
    for lost in [None, Some("one.json"), Some("one.lock")] {
        if let Some(file) = lost {
            std::fs::remove_file(state.join(file)).expect("removed");
        }
        let again = daemon(host.dir.path(), Confinement::default());
        let launched = again.launch(&machine, DriverKind::Qemu).await.expect("found");
        assert!(launched.adopted, "without {lost:?}");
        assert_eq!(launched.process.pid(), pid, "without {lost:?}");
        assert_eq!(again.scan().len(), 1);
        if lost.is_none() {
            let found = again.find(&uid).await.expect("looked").expect("found");
            assert_eq!((found.pid(), found.driver(), found.uid()), (pid, DriverKind::Qemu, &uid));
            assert_eq!(running(&again, &uid).await, GuestState::Running);
        }
    }

    // It is killed from outside: the descriptor tells.
    let held = host.runner.launch(&machine, DriverKind::Qemu).await.expect("found").process;
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid.cast_signed()).expect("pid"), rustix::process::Signal::KILL)
        .expect("killed");
    assert_eq!(held.ended_within(DEADLINE).await.expect("waited"), Some(ExitStatus::Signal(9)));
    assert!(host.runner.scan().is_empty());
    assert_eq!(host.runner.list(), [uid.clone()].into(), "its folder is still there");

    host.runner.remove(&uid).await.expect("removed");
    host.runner.remove(&uid).await.expect("removed already");
    assert!(host.runner.list().is_empty() && !folder.dir().exists());
}

#[tokio::test]
async fn how_it_ended_is_remembered_and_it_starts_again() {
    let host = Host::new();
    let machine = host.machine("again");
    let uid = machine.uid.clone();
    let process = host.launch(&machine).await;
    process.kill().expect("killed");
    // Nobody waits: whoever observes next is told by the kernel, and writes it down.
    wait(|| host.runner.scan().is_empty(), || "it lives".to_owned()).await;
    drop(process);
    for _ in 0..2 {
        let runner = daemon(host.dir.path(), Confinement::default());
        let seen = runner.observe(&uid).await.expect("observed");
        assert!(matches!(seen, Observation::Exited { status: ExitStatus::Signal(9), .. }), "{seen:?}");
    }
    let next = host.launch(&machine).await;
    host.alive(&uid).await;
    assert_eq!(host.runner.kill(&uid).await.expect("killed").by, Means::Kill);
    assert_eq!(host.runner.kill(&uid).await.expect("gone").by, Means::Nothing);
    assert_eq!(next.ended_within(DEADLINE).await.expect("waited"), Some(ExitStatus::Unknown), "told once already");
}

#[tokio::test]
async fn a_machine_that_qemu_refuses_tells_why() {
    let host = Host::new();
    let machine = Machine { kernel: "/nowhere/vmlinux".into(), ..host.machine("bad") };
    // QEMU may end before or after it is held.
    match host.runner.launch(&machine, DriverKind::Qemu).await {
        Ok(launched) => drop(launched.process.ended_within(DEADLINE).await.expect("waited").expect("ended")),
        Err(error) => assert!(matches!(error, LaunchError::Died { .. }), "{error}"),
    }
    let seen = host.runner.observe(&machine.uid).await.expect("observed");
    assert!(matches!(&seen, Observation::Exited { said, .. } if said.iter().any(|line| line.contains("/nowhere/vmlinux"))), "{seen:?}");
    let lacking = host.runner.launch(&Machine { vsock: true, ..machine }, DriverKind::Qemu).await.expect_err("refused");
    assert!(matches!(lacking, LaunchError::Lacking(_)), "{lacking}");
}

#[tokio::test]
async fn the_guest_shuts_down_when_asked_and_is_ended_when_deaf() {
    let host = Host::new();
    let (polite, deaf) = (host.machine("polite"), host.machine("deaf"));
    host.launch(&polite).await;
    host.launch(&deaf).await;
    host.alive(&polite.uid).await;
    host.alive(&deaf.uid).await;
    host.console(&deaf.uid).await.write_all(b"h").await.expect("typed");
    host.says(&deaf.uid, "h", 1).await;
    let (gone, ended) =
        tokio::join!(host.runner.shutdown(&polite.uid, DEADLINE), host.runner.shutdown(&deaf.uid, Duration::from_millis(300)));
    assert_eq!(gone.expect("shut down"), Stopped { by: Means::PowerButton, status: ExitStatus::Code(0), refused: Vec::new() });
    assert_eq!(ended.expect("ended"), Stopped { by: Means::Quit, status: ExitStatus::Code(0), refused: Vec::new() });
    assert_eq!(host.runner.shutdown(&deaf.uid, DEADLINE).await.expect("gone").by, Means::Nothing);
    host.runner.press_power(&deaf.uid).await.expect("gone is no error");
}

#[tokio::test]
async fn the_console_echoes_events_are_told_and_a_reset_guest_comes_up_again() {
    let host = Host::new();
    let machine = host.machine("talk");
    let uid = machine.uid.clone();
    let process = host.launch(&machine).await;
    host.alive(&uid).await;
    let folder = host.runner.folder(&uid).expect("folder");
    let mut events = host.runner.driver(DriverKind::Qemu).expect("driver").events(&folder).await.expect("events");
    let mut next = async || tokio::time::timeout(DEADLINE, events.next()).await.expect("in time").expect("an event");

    let mut console = host.console(&uid).await;
    console.write_all(b"x").await.expect("typed");
    let mut echo = [0];
    tokio::time::timeout(DEADLINE, console.read_exact(&mut echo)).await.expect("in time").expect("echoed");
    assert_eq!(&echo, b"x");
    host.says(&uid, "x", 1).await;

    console.write_all(b"r").await.expect("typed");
    assert_eq!(next().await, GuestEvent::Reset("guest-reset".into()));
    host.says(&uid, "capstead: alive", 2).await;
    assert_eq!(running(&host.runner, &uid).await, GuestState::Running);

    console.write_all(b"p").await.expect("typed");
    assert_eq!(next().await, GuestEvent::Panicked);
    assert_eq!(next().await, GuestEvent::Stopped);
    // A daemon that was away when it happened sees it all the same.
    assert_eq!(running(&daemon(host.dir.path(), Confinement::default()), &uid).await, GuestState::Panicked);
    drop(console);
    assert_eq!(host.runner.shutdown(&uid, Duration::ZERO).await.expect("ended").by, Means::Quit);
    assert!(process.ended_within(DEADLINE).await.expect("waited").is_some());
}

#[tokio::test]
async fn qemu_takes_every_disk_and_network_that_needs_no_privileges() {
    let host = Host::new();
    let path = |name: &str| host.dir.path().join(name);
    for name in ["base", "seed"] {
        std::fs::write(path(name), vec![0; 1 << 20]).expect("written");
    }
    let mut overlay = std::process::Command::new("qemu-img");
    overlay.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(path("base")).arg(path("root"));
    assert!(overlay.status().expect("qemu-img runs").success());
    let disk = |name: &str, format, role| Disk {
        path: path(name),
        format,
        read_only: role == DiskRole::Seed,
        role,
        backing: if format == DiskFormat::Qcow2 { vec![path("base")] } else { Vec::new() },
        durable: role == DiskRole::Seed,
    };
    // Port 0 is whichever is free.
    let forward = |protocol| Forward { protocol, host: std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 0), guest_port: 22 };
    let switch = tokio::net::UnixListener::bind(path("switch")).expect("bound");
    let hosts = [
        HostNic::User(vec![forward(Protocol::Tcp), forward(Protocol::Udp)]),
        HostNic::Stream(path("switch")),
        HostNic::Dgram { local: path("a"), remote: path("b") },
    ];
    let nic = |(index, host)| Nic { id: format!("eth{index}"), mac: Mac([2, 0, 0, 0, 0, index]), mtu: Some(1400), host, metadata: false };
    let machine = Machine {
        disks: vec![disk("root", DiskFormat::Qcow2, DiskRole::Root), disk("seed", DiskFormat::Raw, DiskRole::Seed)],
        nics: (0..).zip(hosts).map(nic).collect(),
        cmdline: [("quiet", ""), ("label", "a b")].into_iter().collect(),
        ..host.machine("full")
    };
    host.launch(&machine).await;
    host.alive(&machine.uid).await;
    tokio::time::timeout(DEADLINE, switch.accept()).await.expect("in time").expect("it joined the switch");
    let folder = host.runner.folder(&machine.uid).expect("folder");
    let mut qmp = Qmp::connect(&folder.control(), DEADLINE).await.expect("connected");
    let disks = qmp.execute("query-block", None).await.expect("answered");
    let read_only: Vec<_> = disks.as_array().expect("a list").iter().map(|disk| disk["inserted"]["ro"].as_bool()).collect();
    assert_eq!(read_only, [Some(false), Some(true)], "{disks}");
    assert_eq!(disks[0]["inserted"]["image"]["backing-filename"], path("base").display().to_string());
}

/// A guest that writes a text to its console, and then halts or spins.
fn speaker(text: &str, spins: bool) -> Vec<u8> {
    let mut code = vec![0xbe]; // mov $text, %esi
    code.extend((guest::ENTRY + 20).to_le_bytes());
    code.push(0xb9); // mov $length, %ecx
    code.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
    code.extend([0xba, 0xf8, 0x03, 0x00, 0x00, 0xf3, 0x6e]); // mov $0x3f8, %edx; rep outsb
    code.extend(if spins { [0x90, 0xeb, 0xfd] } else { [0xf4, 0xeb, 0xfd] }); // nop or hlt, and again
    code.extend(text.as_bytes());
    code
}

#[tokio::test]
async fn a_lost_guest_is_told_while_its_vmm_lives() {
    let host = Host::new();
    let lost = async |process: &Process, watch| tokio::time::timeout(DEADLINE, host.runner.lost(process, watch)).await.expect("told");

    let speaks = |uid: &str, text: &str, spins: bool| {
        let kernel = host.dir.path().join(format!("{uid}.kernel"));
        std::fs::write(&kernel, guest::elf(&speaker(text, spins))).expect("written");
        Machine { kernel, ..host.machine(uid) }
    };

    let spins = speaks("spins", "[    0.000000] Linux version 6.1.0\n", true);
    let process = host.launch(&spins).await;
    let loss = lost(&process, Some(BootWatch::new(Duration::from_millis(300)))).await;
    assert!(matches!(loss, Loss::Hung(silent) if silent >= Duration::from_millis(300)), "{loss}");
    host.runner.remove(&spins.uid).await.expect("removed");

    // By the VMM's word, where the guest has the device for it; also to a daemon that was away.
    let panics = host.machine("panics");
    let process = host.launch(&panics).await;
    host.alive(&panics.uid).await;
    host.console(&panics.uid).await.write_all(b"p").await.expect("typed");
    assert_eq!(lost(&process, None).await, Loss::Panicked(String::new()));
    assert_eq!(lost(&process, None).await, Loss::Panicked(String::new()));
    host.runner.remove(&panics.uid).await.expect("removed");

    // By the console.
    let said =
        "[    1.0] Kernel panic - not syncing: No working init found.\n---[ end Kernel panic - not syncing: No working init found. ]---\n";
    let says = speaks("says", said, false);
    let process = host.launch(&says).await;
    assert_eq!(lost(&process, None).await, Loss::Panicked("No working init found.".into()));
    // The next process is not blamed for what the log holds of the one before.
    host.runner.kill(&says.uid).await.expect("killed");
    host.launch(&host.machine("says")).await;
    assert_eq!(host.runner.panicked(&says.uid), None);
    host.alive(&says.uid).await;
    host.says(&says.uid, "No working init", 2).await;
    assert_eq!(host.runner.panicked(&says.uid), None);
}

#[tokio::test]
async fn a_confined_vmm_works_and_reaches_no_other_file() {
    let host = Host::confined(Confinement { landlock: true, ..Confinement::default() });
    let machine = host.machine("caged");
    let launched = host.runner.launch(&machine, DriverKind::Qemu).await.expect("launched");
    host.alive(&machine.uid).await;
    assert_eq!(running(&host.runner, &machine.uid).await, GuestState::Running);
    // The daemon itself is as free as before.
    assert!(std::fs::read("/proc/self/environ").is_ok());
    if launched.unconfined.is_empty() {
        let folder = host.runner.folder(&machine.uid).expect("folder");
        let mut qmp = Qmp::connect(&folder.control(), DEADLINE).await.expect("connected");
        let other = host.dir.path().join("other");
        let dump =
            |path: &Path| serde_json::json!({"paging": false, "protocol": format!("file:{}", path.display()), "begin": 0, "length": 4096});
        let refused = qmp.execute("dump-guest-memory", Some(dump(&other))).await.expect_err("out of reach");
        assert!(matches!(refused, ControlError::Refused { .. }), "{refused}");
        qmp.execute("dump-guest-memory", Some(dump(&folder.file("own")))).await.expect("within reach");
        assert!(folder.file("own").exists() && !other.exists());
    } else {
        eprintln!("the host does not confine: {:?}", launched.unconfined);
    }
    host.runner.remove(&machine.uid).await.expect("removed");
}

/// What serves the shares of a microVM, by process id.
fn serving(uid: &Uid) -> Vec<u32> {
    let of = |pid: &u32| {
        let environ = String::from_utf8(std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()).unwrap_or_default();
        let has = |entry: &str| environ.split('\0').any(|known| known == entry);
        let alive = !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ");
        has(&format!("CAPSTEAD_VMM_UID={uid}")) && has("CAPSTEAD_VMM_SHARE=0") && alive
    };
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of).collect()
}

/// Kills a process; a child of one that was killed before may be gone with it.
fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("pid");
    let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    assert!(matches!(killed, Ok(()) | Err(rustix::io::Errno::SRCH)), "{killed:?}");
}

impl Host {
    /// With a virtiofsd, and a machine that shares a folder.
    async fn sharing(uid: &str, confinement: Confinement) -> (Self, Machine) {
        let mut host = Self::confined(confinement);
        let found = Virtiofsd::find(Path::new("virtiofsd")).await.expect("a virtiofsd is needed: see tools/setup.sh");
        host.runner = host.runner.clone().with_virtiofsd(Ok(found));
        let folder = host.dir.path().join("shared");
        std::fs::create_dir(&folder).expect("made");
        let machine = Machine { shares: vec![Share { tag: "user".into(), folder, read_only: false }], ..host.machine(uid) };
        (host, machine)
    }
}

#[test]
fn a_shared_folder_is_served_as_long_as_its_vmm_lives() {
    namespace::in_namespace("a_shared_folder_is_served_as_long_as_its_vmm_lives", || async {
        let (host, machine) = Host::sharing("share-1", Confinement { landlock: true, ..Confinement::default() }).await;
        let (uid, runner) = (&machine.uid, &host.runner);
        let launch = async || runner.launch(&machine, DriverKind::Qemu).await.expect("launched");
        let first = launch().await;
        host.alive(uid).await;
        let served = serving(uid);
        assert!(!served.is_empty());
        assert_eq!(runner.scan().len(), 1, "what serves is no VMM");
        let again = daemon(host.dir.path(), Confinement::default()).launch(&machine, DriverKind::Qemu).await.expect("found");
        assert!(again.adopted);
        assert_eq!(serving(uid), served);

        // A guest whose folder is gone cannot go on; a daemon that was away when it went hears of it as well.
        served.iter().copied().for_each(kill);
        wait(|| serving(uid).is_empty(), || format!("{:?}", serving(uid))).await;
        let ended = tokio::time::timeout(DEADLINE, runner.ended(&again.process)).await.expect("in time").expect("told");
        assert!(ended.unserved.is_some_and(|said| said.contains("virtiofsd")));
        assert!(runner.find(uid).await.expect("looked").is_none());

        // It comes up again with another, which ends with a VMM that dies, whoever kills it.
        drop(first);
        let second = launch().await;
        host.alive(uid).await;
        kill(second.process.pid());
        let ended = tokio::time::timeout(DEADLINE, runner.ended(&second.process)).await.expect("in time").expect("told");
        assert_eq!(ended, Ended { status: ExitStatus::Signal(9), unserved: None });
        assert_eq!(serving(uid), Vec::<u32>::new());
        launch().await;
        runner.kill(uid).await.expect("killed");
        assert_eq!(serving(uid), Vec::<u32>::new());
        launch().await;
        runner.remove(uid).await.expect("removed");
        assert!(serving(uid).is_empty() && runner.list().is_empty());
        let left: Vec<_> = std::fs::read_dir(runner.root().join(".state")).expect("there").collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn a_folder_that_cannot_be_served_leaves_nothing_running() {
    namespace::in_namespace("a_folder_that_cannot_be_served_leaves_nothing_running", || async {
        let (host, machine) = Host::sharing("share-2", Confinement::default()).await;
        let shares = vec![Share { folder: "/nowhere".into(), ..machine.shares[0].clone() }];
        let missing = Machine { shares, ..machine.clone() };
        let refused = host.runner.launch(&missing, DriverKind::Qemu).await.expect_err("not there");
        assert!(matches!(&refused, LaunchError::Share(ShareError::Died { said, .. }) if said.contains("/nowhere")), "{refused}");
        // The VMM that should come to it does not start.
        let broken =
            Runner::new(host.runner.root(), vec![Arc::new(Qemu { program: "/nowhere/qemu".into(), ..qemu() })], Confinement::default());
        let broken = broken.expect("runner").with_virtiofsd(Virtiofsd::find(Path::new("virtiofsd")).await);
        let refused = broken.launch(&machine, DriverKind::Qemu).await.expect_err("no such program");
        assert!(matches!(refused, LaunchError::Start { .. }), "{refused}");
        assert_eq!(serving(&machine.uid), Vec::<u32>::new());
        let without = daemon(host.dir.path(), Confinement::default()).launch(&machine, DriverKind::Qemu).await.expect_err("nobody serves");
        assert!(matches!(without, LaunchError::Share(ShareError::Unservable(Unservable::NoVirtiofsd(_)))), "{without}");
        assert!(host.runner.scan().is_empty());
        // Whoever launches may be stopped at any moment.
        for millis in [0, 3, 10, 30, 100, 300, 1000] {
            let launch = host.runner.launch(&machine, DriverKind::Qemu);
            let done = tokio::time::timeout(Duration::from_millis(millis), launch).await.is_ok();
            host.runner.remove(&machine.uid).await.expect("removed");
            assert!(serving(&machine.uid).is_empty() && host.runner.list().is_empty(), "after {millis} ms, launched: {done}");
        }
    });
}

#[test]
fn a_vmm_of_another_user_comes_to_what_serves_it() {
    namespace::in_namespace("a_vmm_of_another_user_comes_to_what_serves_it", || async {
        use std::os::unix::fs::PermissionsExt;
        if !namespace::root_on_the_host() {
            return println!("no VMM of another user: that takes root");
        }
        let nobody = User { uid: 65534, gid: 65534, groups: Vec::new() };
        let (host, machine) = Host::sharing("share-3", Confinement { user: Some(nobody), ..Confinement::default() }).await;
        std::fs::set_permissions(host.dir.path(), std::fs::Permissions::from_mode(0o711)).expect("opened");
        host.runner.launch(&machine, DriverKind::Qemu).await.expect("launched");
        host.alive(&machine.uid).await;
        host.runner.remove(&machine.uid).await.expect("removed");
        assert_eq!(serving(&machine.uid), Vec::<u32>::new());
    });
}

/// A cgroup v2 folder that this test may write to, if the host lets it.
fn cgroup() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        line.split(' ').collect::<Vec<_>>().get(..3).filter(|words| words[2] == "cgroup2").map(|words| words[1].to_owned())
    })?;
    let own = Path::new(&mount).join(format!("capstead-vmm-test-{}", std::process::id()));
    std::fs::create_dir(&own).ok()?;
    Some(own)
}

#[tokio::test]
async fn a_vmm_has_its_own_user_and_cgroup_where_the_host_allows() {
    use std::os::unix::fs::PermissionsExt;
    let (group, root) = (cgroup(), rustix::process::geteuid().is_root());
    let parent = group.clone().unwrap_or_else(|| "/nowhere".into());
    let user = User { uid: 65534, gid: 65534, groups: Vec::new() };
    let host = Host::confined(Confinement { landlock: false, user: Some(user), cgroup: Some(parent.clone()) });
    std::fs::set_permissions(host.dir.path(), std::fs::Permissions::from_mode(0o711)).expect("opened");
    let machine = host.machine("nobody");
    let launched = host.runner.launch(&machine, DriverKind::Qemu).await.expect("launched");
    host.alive(&machine.uid).await;
    assert_eq!(running(&host.runner, &machine.uid).await, GuestState::Running);
    let status = std::fs::read_to_string(format!("/proc/{}/status", launched.process.pid())).expect("it lives");
    assert_eq!(status.contains("Uid:\t65534\t65534"), root, "{status}");
    assert_eq!(
        launched.unconfined.len(),
        usize::from(!root) + usize::from(group.is_none()),
        "what is not, is told: {:?}",
        launched.unconfined
    );
    let own = parent.join("nobody");
    if group.is_some() {
        let members = std::fs::read_to_string(own.join("cgroup.procs")).expect("there");
        assert_eq!(members.trim(), launched.process.pid().to_string());
        std::fs::remove_dir(&own).expect_err("it is in use");
    }
    host.runner.remove(&machine.uid).await.expect("removed");
    assert!(host.runner.list().is_empty() && !own.exists());
    if group.is_some() {
        std::fs::remove_dir(parent).expect("empty");
    }
}
