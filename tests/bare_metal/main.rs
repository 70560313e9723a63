//! The engine and the life cycles know no provider by name: here is one they have never heard of, in less than 300 lines (`provider.rs`), shaped like bare
//! metal. It is explored with faults (`explored.rs`), and run on a plane.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod explored;
mod pool;
mod provider;
#[path = "../support/mod.rs"]
mod support;
mod world;

use capstead_capi::crd;
use serde_json::json;

use pool::Pool;
use provider::MetalCluster;
use provider::MetalMachine;
use world::World;
use world::says;

#[test]
fn machines_are_made_of_hosts_of_a_pool() {
    let world = World::up(Pool::new(&["one", "two"]), &[crd::crd::<MetalCluster>().unwrap(), crd::crd::<MetalMachine>().unwrap()]);
    world.cluster();
    world.wait("cluster", "metal", "core takes the infrastructure for ready", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });

    // Two hosts, and two of three machines have them.
    ["a", "b", "c"].iter().for_each(|name| world.machine(name));
    let machines = world.wait_all("metalmachine", "two are ready, and one says why it is not", |machines| {
        let ready = machines.iter().filter(|machine| says(machine, "Ready", "True", "Ready", "")).count();
        let message = "a free host is needed: all 2 of the pool are taken";
        let waiting = machines.iter().filter(|machine| says(machine, "Ready", "False", "NoHost", message)).count();
        (ready, waiting) == (2, 1)
    });
    let of = |ready: bool| machines.iter().filter(move |machine| says(machine, "Ready", "True", "Ready", "") == ready);
    let names: Vec<&str> = of(true).map(|machine| machine["metadata"]["name"].as_str().unwrap()).collect();
    let last = of(false).next().unwrap()["metadata"]["name"].as_str().unwrap();
    for name in &names {
        let id = world.infrastructure_ready(name);
        let (host, state) = world.host_of(name);
        assert_eq!(id, format!("metal://{host}/{}", state.owner.unwrap().token));
        assert_eq!((state.image.as_deref(), state.network, state.power), (Some("v1"), true, true));
        assert_eq!(world.outside.user_data(&host), Some(format!("#cloud-config\n# of {name}\n").into_bytes()));
    }
    world.wait("machine", last, "core hears why there is no host", |machine| {
        says(machine, "InfrastructureReady", "False", "NoHost", "a free host is needed")
    });

    // An update that is in progress: the host is at it, the machine says so, and is the same machine afterwards.
    let (id, (host, _)) = (world.infrastructure_ready(names[0]), world.host_of(names[0]));
    world.hold();
    world.patch("metalmachine", names[0], &json!({"spec": {"image": "v2"}}));
    world.wait("metalmachine", names[0], "it says what its host is at", |machine| {
        says(machine, "Ready", "False", "Provisioning", &format!("host {host} is being switched off"))
    });
    world.go_on();
    world.wait("metalmachine", names[0], "ready with the new image", |machine| {
        says(machine, "Ready", "True", "Ready", "") && world.host_of(names[0]).1.image.as_deref() == Some("v2")
    });
    assert_eq!((world.infrastructure_ready(names[0]), world.host_of(names[0]).0), (id, host.clone()));

    // A host that is given back is the next machine's.
    world.delete("machine", names[0]);
    world.infrastructure_ready(last);
    assert_eq!(world.host_of(last).0, host);
    world.none("metalmachine", names[0]);

    // All of it goes, and the hosts are as they were.
    world.delete("cluster", "metal");
    for kind in ["cluster", "machine", "metalcluster", "metalmachine"] {
        world.wait_all(kind, "nothing is left", <[_]>::is_empty);
    }
    assert_eq!(world.outside.look(), Pool::new(&["one", "two"]));
}
