//! Many machines on ten hosts, of which three fail in all the lab's ways: none is lost, none is there twice, and the others are not slowed.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::flintlock::FaultKind;
use capstead_lab::flintlock::Faults;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::support::random::seed;
use crate::support::random::setting;
use crate::support::within;
use crate::team::ONE;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::World;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::name;
use crate::world::quick;
use crate::world::told;

const HEALTHY: usize = 7;
const FAILING: usize = 3;
/// Machines are made by so many at once.
const MAKERS: usize = 8;
/// How much slower the healthy hosts' machines may be where others fail: looks at the clock are coarse, and the machine is busy.
const SLOWER: f64 = 1.5;

fn host(machine: &Value) -> &str {
    machine["metadata"]["annotations"]["capstead.io/placement"].as_str().unwrap_or_default()
}

/// Has so many machines made, waits until each is ready or has said why not, and gives how long those on healthy hosts took, on average.
fn run(world: &World, namespace: &str, count: usize, healthy: &Simulator, failing: &Simulator, fail: impl FnOnce()) -> Duration {
    let team = Team::new(world, namespace);
    team.microvm_cluster(&[healthy.addresses(), failing.addresses()].concat());
    team.cluster();
    team.wait(CLUSTER, ONE, "its infrastructure is there", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });
    fail();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for first in 0..MAKERS {
            scope.spawn(move || (first..count).step_by(MAKERS).for_each(|n| team.machine(&format!("m-{n}"))));
        }
    });
    let well = healthy.addresses();
    let mut ready: BTreeMap<String, Duration> = BTreeMap::new();
    within(Duration::from_secs(600 + count as u64), "each is ready, or has failed for good", || {
        let machines = world.list(MICROVM_MACHINE, namespace);
        let now = began.elapsed();
        for machine in machines.iter().filter(|machine| is_ready(machine)) {
            ready.entry(name(machine).to_owned()).or_insert(now);
        }
        let fate = |machine: &&Value| {
            let failed = ["MachineFailed", "MachineVanished"].contains(&told(machine, "Ready").1);
            is_ready(machine) || (failed && !well.iter().any(|well| well == host(machine)))
        };
        let settled = machines.iter().filter(fate).count();
        let open = || machines.iter().filter(|machine| !fate(machine)).map(|machine| told(machine, "Ready")).take(3).collect::<Vec<_>>();
        if (machines.len(), settled) == (count, count) { Ok(()) } else { Err(format!("{settled} of {count}: {:?}", open())) }
    });
    // One microVM for each that is ready, and none that is nobody's.
    within(Duration::from_secs(240), "the hosts hold exactly the machines", || {
        let machines = world.list(MICROVM_MACHINE, namespace);
        let known: Vec<&str> = machines.iter().filter_map(|machine| machine["spec"]["providerID"].as_str()).collect();
        let held = [healthy, failing].into_iter().flat_map(microvms);
        let held: Vec<String> = held.map(|(host, microvm)| format!("microvm://{host}/{}", microvm.spec.as_ref().unwrap().uid())).collect();
        let strange: Vec<&String> = held.iter().filter(|id| !known.contains(&id.as_str())).collect();
        let lost = machines.iter().filter(|machine| is_ready(machine)).filter(|machine| {
            let id = machine["spec"]["providerID"].as_str().unwrap_or_default();
            !held.iter().any(|held| held == id)
        });
        let lost: Vec<&str> = lost.map(name).collect();
        if strange.is_empty() && lost.is_empty() { Ok(()) } else { Err(format!("nobody's: {strange:?}; lost: {lost:?}")) }
    });
    let machines = world.list(MICROVM_MACHINE, namespace);
    let on_healthy = machines.iter().filter(|machine| well.iter().any(|well| well == host(machine)));
    let times: Vec<Duration> = on_healthy.filter_map(|machine| ready.get(name(machine)).copied()).collect();
    failing.set_faults(Faults::default());
    world.bring_back(failing);
    team.clear();
    for simulator in [healthy, failing] {
        within(Duration::from_secs(240), "nothing is left", || {
            let left = microvms(simulator).len();
            if left == 0 { Ok(()) } else { Err(format!("{left} microVMs")) }
        });
    }
    times.iter().sum::<Duration>() / u32::try_from(times.len().max(1)).unwrap()
}

/// 40 machines, or `CAPSTEAD_SOAK_SCALE`; `make soak` takes 300.
#[test]
fn hosts_that_fail_lose_nothing_and_slow_no_other() {
    let count = usize::try_from(setting("CAPSTEAD_SOAK_SCALE").unwrap_or(40)).unwrap();
    let world = World::up("microvm-scale");
    let seed = seed();
    let simulator = |hosts| world.simulator(Options { hosts, settings: quick(), seed, ..Options::default() });
    let (healthy, failing) = (simulator(HEALTHY), simulator(FAILING));
    let before = run(&world, "well", count, &healthy, &failing, || ());
    let during = run(&world, "ill", count, &healthy, &failing, || {
        let kinds =
            [FaultKind::Unavailable, FaultKind::Slow, FaultKind::LostReply, FaultKind::LateCreate, FaultKind::Failed, FaultKind::Vanished];
        failing.set_faults(kinds.into_iter().fold(Faults::default(), |faults, kind| faults.with(kind, 0.2).unwrap()));
        world.inside(|| Handle::current().block_on(failing.hosts()[0].down()));
    });
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    eprintln!(
        "scale: {count} machines; on healthy hosts ready after {before:.1?} on average, with {FAILING} failing hosts {during:.1?}: {ratio:.2}"
    );
    assert!(ratio < SLOWER, "{ratio:.2}");
}
