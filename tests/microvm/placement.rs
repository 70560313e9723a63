//! Where machines are placed, and what becomes of that when a host is down.

use std::collections::BTreeMap;

use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Handle;

use crate::support::within;
use crate::team::ONE;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::MICROVM_CLUSTER;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::microvms;
use crate::world::quick;
use crate::world::told;

/// How many microVMs are on each host.
fn counts(simulator: &Simulator) -> Vec<usize> {
    let mut counts: BTreeMap<String, usize> = simulator.addresses().into_iter().map(|host| (host, 0)).collect();
    microvms(simulator).into_iter().for_each(|(host, _)| *counts.entry(host).or_default() += 1);
    simulator.addresses().iter().map(|host| counts[host]).collect()
}

pub fn machines_are_spread_and_a_host_that_is_down_is_avoided_and_told(world: &World) {
    let simulator = world.simulator(Options { hosts: 3, settings: quick(), ..Options::default() });
    let team = Team::new(world, "placement");
    let hosts: Vec<Value> = simulator.addresses().iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
    let spec = json!({
        "controlPlaneEndpoint": {"host": "127.0.0.1", "port": 1},
        "placement": {"staticPool": {"hosts": hosts, "strategy": "Spread"}},
    });
    world.create(&team.object(MICROVM_CLUSTER, ONE, &spec));
    team.cluster();
    team.wait(CLUSTER, ONE, "its infrastructure is there", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });
    // Nothing listens there, and nobody waits for it.
    team.wait(MICROVM_CLUSTER, ONE, "that the endpoint does not answer is told", |cluster| {
        let (status, reason, message) = told(cluster, "LoadBalancerAvailable");
        (status, reason) == ("False", "LoadBalancerNotAvailable") && message.contains("nothing listens at 127.0.0.1:1")
    });
    let first: Vec<String> = (0..6).map(|n| format!("first-{n}")).collect();
    first.iter().for_each(|name| team.machine(name));
    first.iter().for_each(|name| drop(team.ready(name)));
    assert_eq!(counts(&simulator), [2, 2, 2]);

    let down = &simulator.hosts()[1];
    world.inside(|| Handle::current().block_on(down.down()));
    let address = down.address().to_string();
    team.wait(MICROVM_CLUSTER, ONE, "the host that is down is told", |cluster| {
        let (status, reason, message) = told(cluster, "HostsAvailable");
        (status, reason) == ("False", "HostUnreachable") && message.contains(&address) && told(cluster, "Ready").0 == "True"
    });
    let second: Vec<String> = (0..4).map(|n| format!("second-{n}")).collect();
    second.iter().for_each(|name| team.machine(name));
    second.iter().for_each(|name| drop(team.ready(name)));
    assert_eq!(counts(&simulator), [4, 2, 4], "none is placed on the host that is down, and none waits for it");

    world.inside(|| down.up().unwrap());
    within(PATIENCE, "the host is back", || {
        let cluster = world.get(MICROVM_CLUSTER, "placement", ONE);
        if told(&cluster, "HostsAvailable").0 == "True" { Ok(()) } else { Err(format!("{cluster:#}")) }
    });
    team.clear();
    assert_eq!(microvms(&simulator), []);
}
