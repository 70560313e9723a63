//! MicroVMs that fail, and ones that vanish by themselves.

use capstead_lab::flintlock::FaultKind;
use capstead_lab::flintlock::Faults;
use capstead_lab::flintlock::Options;

use crate::support::within;
use crate::team::Team;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::counted;
use crate::world::microvms;
use crate::world::quick;

/// Of each fate.
const MACHINES: usize = 4;

/// A vanished one is seen at the next listing of a settled host, which is up to half a minute away.
pub fn machines_that_fail_or_vanish_say_so_once(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let team = Team::with_cluster(world, "fates", &simulator);
    let fates = [("failed", Some(FaultKind::Failed)), ("vanished", Some(FaultKind::Vanished)), ("whole", None)];
    let names = |fate: &str| -> Vec<String> { (0..MACHINES).map(|n| format!("{fate}-{n}")).collect() };
    for (fate, fault) in fates {
        simulator.set_faults(fault.map(|kind| Faults::default().with(kind, 1.0).unwrap()).unwrap_or_default());
        for name in names(fate) {
            team.machine(&name);
        }
        // A microVM's fate is settled when it is made.
        for name in names(fate) {
            team.wait(MICROVM_MACHINE, &name, "it was made", |machine| machine["spec"]["providerID"].is_string());
        }
    }
    for (fate, reason, words) in [("failed", "MachineFailed", "failed"), ("vanished", "MachineVanished", "is no longer there")] {
        for name in names(fate) {
            let machine = world.get(MICROVM_MACHINE, "fates", &name);
            let uid = machine["spec"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap();
            team.waits(&name, reason, &[uid, words]);
        }
    }
    names("whole").iter().for_each(|name| drop(team.ready(name)));
    for (fate, reason) in [("failed", "MachineFailed"), ("vanished", "MachineVanished")] {
        for name in names(fate) {
            let events = within(PATIENCE, "an event tells it", || {
                let events = world.events("fates", &name);
                if events.contains_key(reason) { Ok(events) } else { Err(format!("{events:?}")) }
            });
            assert_eq!((events.get(reason), events.get("MicrovmCreated")), (Some(&1), Some(&1)), "{name}: {events:?}");
        }
    }
    let creates = counted(&simulator).sum("capstead_lab_flintlock_calls_total", &["method=\"CreateMicroVM\""]);
    assert_eq!(creates, (3 * MACHINES) as f64, "none is made again");
    assert_eq!(microvms(&simulator).len(), 2 * MACHINES);
    team.clear();
    assert_eq!(microvms(&simulator), []);
}
