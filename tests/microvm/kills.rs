//! kill -9 of the provider while machines are made and deleted, on hosts that misbehave. Nothing is made twice, left behind, or somebody else's.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_flintlock::types::Kernel;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::Volume;
use capstead_lab::flintlock::FaultKind;
use capstead_lab::flintlock::Faults;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use serde_json::json;

use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::random::Random;
use crate::support::random::seed;
use crate::support::random::setting;
use crate::support::until;
use crate::team::Team;
use crate::world::MACHINE;
use crate::world::MANAGER;
use crate::world::MICROVM_MACHINE;
use crate::world::World;
use crate::world::counted;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::name;
use crate::world::quick;
use crate::world::settles;

const NAMESPACE: &str = "kills";
const TOKEN: &str = "capstead-ownership-token";
/// A create that was answered with an error may land so much later, and a twin that it makes is then seen by the manager and deleted.
const LATE: Duration = Duration::from_secs(15);

/// The provider, run by the test itself, so that it is killed and started when the test says so.
struct Manager {
    args: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
}

impl Manager {
    /// In the place of the plane's own: with its supervisor gone nobody starts that again.
    fn instead_of_the_planes(plane: &TestPlane, flags: &[&str]) -> Self {
        let (pid, supervisor) = (plane.pids()[MANAGER], plane.supervisor());
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let line = line.strip_suffix(b"\0").unwrap().split(|b| *b == 0);
        let mut args: Vec<String> = line.skip(1).map(|arg| String::from_utf8(arg.to_vec()).unwrap()).collect();
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        for pid in [supervisor, pid] {
            kernel::kill(pid);
            until("it is gone", || if kernel::alive(pid) { Err(format!("{pid} lives")) } else { Ok(()) });
        }
        let mut manager = Self { args, log: plane.scratch().join("manager.log"), process: None };
        manager.start();
        manager
    }

    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_capstead"));
        self.process = Some(command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// kill -9
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the provider's log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Of the same name as one of ours, but made by another; no token at all, when there is none.
fn foreign(name: &str, token: Option<&str>) -> MicroVmSpec {
    let tokens = token.map(|token| (TOKEN.to_owned(), STANDARD.encode(token)));
    MicroVmSpec {
        id: name.to_owned(),
        namespace: NAMESPACE.to_owned(),
        vcpu: 2,
        memory_in_mb: 2048,
        kernel: Some(Kernel { image: "example.com/kernel:6.1".into(), filename: Some("vmlinux".into()), ..Kernel::default() }),
        root_volume: Some(Volume { id: "root".into(), ..Volume::default() }),
        interfaces: vec![NetworkInterface { device_id: "eth1".into(), r#type: 1, ..NetworkInterface::default() }],
        metadata: tokens.into_iter().collect(),
        ..MicroVmSpec::default()
    }
}

fn uid(microvm: &MicroVm) -> &str {
    microvm.spec.as_ref().unwrap().uid()
}

/// The microVMs are exactly those foreign ones, untouched, and one for each wanted machine, which is ready and knows it.
fn exactly(world: &World, simulator: &Simulator, wanted: &BTreeSet<String>, foreign: &BTreeMap<String, MicroVm>) -> Result<(), String> {
    let machines = world.list(MICROVM_MACHINE, NAMESPACE);
    let there: BTreeSet<String> = machines.iter().map(|machine| name(machine).to_owned()).collect();
    let core: BTreeSet<String> = world.list(MACHINE, NAMESPACE).iter().map(|machine| name(machine).to_owned()).collect();
    if there != *wanted || core != *wanted {
        return Err(format!("of {} wanted there are {} MicrovmMachines and {} Machines", wanted.len(), there.len(), core.len()));
    }
    if let Some(machine) = machines.iter().find(|machine| !is_ready(machine)) {
        return Err(format!("not ready: {machine:#}"));
    }
    let (others, own): (Vec<_>, Vec<_>) = microvms(simulator).into_iter().partition(|(_, microvm)| foreign.contains_key(uid(microvm)));
    let others: BTreeMap<String, MicroVm> = others.into_iter().map(|(_, microvm)| (uid(&microvm).to_owned(), microvm)).collect();
    assert!(others == *foreign, "foreign microVMs were touched: {others:#?}");
    let mut ids: BTreeMap<String, String> = own
        .iter()
        .map(|(host, microvm)| (format!("microvm://{host}/{}", uid(microvm)), microvm.spec.as_ref().unwrap().id.clone()))
        .collect();
    for machine in &machines {
        let id = machine["spec"]["providerID"].as_str().unwrap_or_default();
        if ids.remove(id).as_deref() != Some(name(machine)) {
            return Err(format!("{} is {id}, which is not there", name(machine)));
        }
    }
    if ids.is_empty() { Ok(()) } else { Err(format!("nobody's: {ids:?}")) }
}

/// Waits until it is so, but no longer than this.
fn soon(limit: Duration, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() && start.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// 30 machines and 5 kills, or `CAPSTEAD_SOAK_MACHINES` and `CAPSTEAD_SOAK_MANAGER_KILLS`; `CAPSTEAD_SOAK_LEADER_ELECT=1` for managers that elect one.
#[test]
fn a_provider_killed_at_random_makes_no_twin_and_leaves_no_orphan() {
    let count = setting("CAPSTEAD_SOAK_MACHINES").unwrap_or(30);
    let kills = setting("CAPSTEAD_SOAK_MANAGER_KILLS").unwrap_or(5);
    // A new leader waits until the lease of the killed one has ended, which is 15 s.
    let (flags, limit): (&[&str], u64) =
        if setting("CAPSTEAD_SOAK_LEADER_ELECT") == Some(1) { (&["--leader-elect"], 25) } else { (&[], 6) };
    let seed = seed();
    let mut random = Random(seed);
    let world = World::up("microvm-kills");
    let millis = Duration::from_millis;
    let settings = Settings { create_delay: millis(300), boot_delay: millis(500), ..quick() };
    let simulator = world.simulator(Options { hosts: 2, settings, seed, ..Options::default() });
    let team = Team::with_cluster(&world, NAMESPACE, &simulator);
    let mut others = BTreeMap::new();
    for host in simulator.hosts() {
        for n in 0..5 {
            for token in [None, Some("another-management-cluster")] {
                let microvm = host.put(foreign(&format!("m-{n}"), token)).unwrap();
                others.insert(uid(&microvm).to_owned(), microvm);
            }
        }
    }
    let kinds = [FaultKind::Unavailable, FaultKind::Slow, FaultKind::LostReply, FaultKind::LateCreate];
    simulator.set_faults(kinds.into_iter().fold(Faults::default(), |faults, kind| faults.with(kind, 0.05).unwrap()));

    let mut manager = Manager::instead_of_the_planes(&world.plane, flags);
    let start = Instant::now();
    let creates = || counted(&simulator).sum("capstead_lab_flintlock_calls_total", &["method=\"CreateMicroVM\""]);
    let (mut made, mut wanted) = (0, BTreeSet::new());
    for kill in 0..kills {
        let share = count * (kill + 1) / kills - made;
        let before = creates();
        for _ in 0..share {
            let name = format!("m-{made}");
            // The webhook is the manager, which may not be up yet.
            until("the MicrovmMachine is taken", || world.try_create(&team.microvm_machine(&name)));
            world.create(&team.secret_object(&name, &json!({"value": "#cloud-config\n"})));
            world.create(&team.core_machine(&name));
            wanted.insert(name);
            made += 1;
        }
        // One that core has not adopted yet would leave its MicrovmMachine behind, which is then nobody's.
        let adopted = |machine: &Value| machine["metadata"]["ownerReferences"].is_array() && wanted.contains(name(machine));
        let machines = world.list(MICROVM_MACHINE, NAMESPACE);
        let mut leaving: Vec<&str> = machines.iter().filter(|machine| adopted(machine)).map(name).collect();
        for _ in 0..(share / 4).min(leaving.len() as u64) {
            let name = leaving.swap_remove(usize::try_from(random.below(leaving.len() as u64)).unwrap());
            world.delete(MACHINE, NAMESPACE, name);
            wanted.remove(name);
        }
        // In the midst of its creates, wherever that is.
        let target = before + random.below(share + 2) as f64;
        soon(Duration::from_secs(limit), || creates() >= target);
        soon(millis(random.below(500)), || false);
        manager.kill();
        manager.start();
    }
    eprintln!("kills: {kills} while {made} machines were made, {:.1} s; {} are wanted", start.elapsed().as_secs_f64(), wanted.len());
    let (mended, deadline) = (Instant::now(), Duration::from_secs(180 + count));
    settles("exactly the wanted microVMs are there", deadline, LATE, || exactly(&world, &simulator, &wanted, &others));
    let befell = |kind: &FaultKind| {
        let times = counted(&simulator).sum("capstead_lab_flintlock_faults_total", &[&format!("kind=\"{kind}\"")]);
        format!("{times} {kind}")
    };
    let befell = kinds.iter().map(befell).collect::<Vec<_>>().join(", ");
    eprintln!(
        "kills: exactly those are there {:.1} s after the last kill, after {} creates; faults: {befell}",
        (mended.elapsed() - LATE).as_secs_f64(),
        creates()
    );
    team.clear();
    settles("only foreign microVMs are left", deadline, LATE, || exactly(&world, &simulator, &BTreeSet::new(), &others));
}
