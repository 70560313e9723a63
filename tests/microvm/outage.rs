//! A host that does not answer for half a minute.

use std::time::Duration;
use std::time::Instant;

use capstead_lab::flintlock::Options;

use crate::support::within;
use crate::team::Team;
use crate::world::MACHINE;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::quick;
use crate::world::says;

const DOWN: Duration = Duration::from_secs(30);
/// After the host's return; the goal is 5 s on a machine that does nothing else.
const BACK: Duration = Duration::from_secs(15);

pub fn a_host_that_is_down_is_told_and_waited_for(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let host = simulator.addresses()[0].clone();
    let team = Team::with_cluster(world, "outage", &simulator);
    for name in ["old", "leaving"] {
        team.machine(name);
    }
    let before = team.ready("old");
    team.ready("leaving");

    world.take_down(&simulator);
    let start = Instant::now();
    let new: Vec<String> = (0..5).map(|n| format!("new-{n}")).collect();
    new.iter().for_each(|name| team.machine(name));
    world.delete(MACHINE, "outage", "leaving");
    let unreachable = [host.as_str(), "does not answer"];
    let waiting = || new.iter().map(String::as_str).chain(["leaving"]);
    for name in waiting() {
        team.waits(name, "HostUnreachable", &unreachable);
    }
    // Of what was whole nothing bad is known, only nothing at all.
    team.wait(MICROVM_MACHINE, "old", "nothing is known of it", |machine| {
        says(machine, "Unknown", "HostUnreachable", &unreachable) && machine["status"]["initialization"]["provisioned"] == true
    });
    let told = start.elapsed();
    eprintln!("outage: all waiting objects say so {:.1} s after the host went down", told.as_secs_f64());
    assert!(told < DOWN / 2, "{told:?}");
    within(DOWN * 2, "the host was down for long enough", || {
        let machines = world.list(MICROVM_MACHINE, "outage");
        assert_eq!(machines.len(), new.len() + 2, "{machines:#?}");
        let quiet = machines
            .iter()
            .find(|machine| !says(machine, "False", "HostUnreachable", &[]) && !says(machine, "Unknown", "HostUnreachable", &[]));
        assert!(quiet.is_none(), "one says it no longer: {quiet:#?}");
        if start.elapsed() >= DOWN { Ok(()) } else { Err("down".into()) }
    });

    world.bring_back(&simulator);
    let back = Instant::now();
    let all = new.len() + 1;
    within(PATIENCE, "all are ready, and the deleted one is gone", || {
        let machines = world.list(MICROVM_MACHINE, "outage");
        let ready = machines.iter().filter(|machine| is_ready(machine)).count();
        if (machines.len(), ready) == (all, all) { Ok(()) } else { Err(format!("{machines:#?}")) }
    });
    let took = back.elapsed();
    eprintln!("outage: all is well {:.1} s after the host's return", took.as_secs_f64());
    assert!(took < BACK, "{took:?}");
    let after = world.get(MICROVM_MACHINE, "outage", "old");
    assert_eq!(after["spec"], before["spec"], "it is the same machine");
    assert_eq!(microvms(&simulator).len(), all, "one each");
    team.clear();
    assert_eq!(microvms(&simulator), []);
}
