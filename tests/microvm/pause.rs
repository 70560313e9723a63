//! Paused objects, and events.

use std::time::Duration;

use capstead_lab::flintlock::Options;
use serde_json::json;

use crate::support::within;
use crate::team::ONE;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::microvms;
use crate::world::quick;
use crate::world::stays;
use crate::world::told;

/// Longer than anything that would happen if it were not paused: a missing Secret is looked for every 5 s.
const QUIET: Duration = Duration::from_secs(7);

pub fn nothing_happens_while_paused(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let team = Team::with_cluster(world, "pause", &simulator);
    team.machine("there");
    let there = team.ready("there");
    within(PATIENCE, "the news is told", || {
        let events = world.events("pause", "there");
        let once = |reason: &str| events.get(reason) == Some(&1);
        if once("MicrovmCreated") && once("Ready") { Ok(()) } else { Err(format!("{events:?}")) }
    });
    assert_eq!(told(&there, "Paused").0, "False");
    team.without_secret("coming");
    team.waits("coming", "WaitingForBootstrapData", &["Secret coming"]);

    // Another system's: nothing is written, whatever happens; and it can go, although it was made before anybody said whose it is.
    let managed = Team::new(world, "managed");
    managed.microvm_cluster(&simulator.addresses());
    let by_another = json!({"metadata": {"annotations": {"cluster.x-k8s.io/managed-by": "another"}}});
    world.merge(MICROVM_CLUSTER, "managed", ONE, &by_another);
    managed.cluster();
    managed.wait(MICROVM_CLUSTER, ONE, "core owns it", |cluster| cluster["metadata"]["ownerReferences"].is_array());

    let pause = |paused: bool| {
        let (status, reason) = if paused { ("True", "Paused") } else { ("False", "NotPaused") };
        world.merge(CLUSTER, "pause", ONE, &json!({"spec": {"paused": paused}}));
        for (kind, name) in [(MICROVM_CLUSTER, ONE), (MICROVM_MACHINE, "there"), (MICROVM_MACHINE, "coming")] {
            team.wait(kind, name, reason, |object| {
                let told = told(object, "Paused");
                (told.0, told.1) == (status, reason)
            });
        }
    };
    pause(true);
    team.secret("coming", &json!({"value": "#cloud-config\n"}));
    world.delete(MICROVM_MACHINE, "pause", "there");
    let before = microvms(&simulator);
    assert_eq!(before.len(), 1);
    stays(QUIET, || {
        let (now, there) = (microvms(&simulator), world.get(MICROVM_MACHINE, "pause", "there"));
        let still = now == before && there["metadata"]["finalizers"].is_array();
        let others = world.get(MICROVM_CLUSTER, "managed", ONE);
        let untouched = others["status"].is_null() && others["metadata"]["annotations"] == by_another["metadata"]["annotations"];
        if still && untouched { Ok(()) } else { Err(format!("{now:#?} {there:#} {others:#}")) }
    });
    world.delete(CLUSTER, "managed", ONE);
    managed.empty(&[CLUSTER, MICROVM_CLUSTER]);
    world.merge(CLUSTER, "pause", ONE, &json!({"spec": {"paused": false}}));
    team.ready("coming");
    team.wait(MICROVM_MACHINE, "there", "gone", serde_json::Value::is_null);

    // One object alone.
    let annotation = |value| json!({"metadata": {"annotations": {"cluster.x-k8s.io/paused": value}}});
    world.merge(MICROVM_MACHINE, "pause", "coming", &annotation(json!("")));
    team.wait(MICROVM_MACHINE, "coming", "Paused", |object| told(object, "Paused").0 == "True");
    assert_eq!(told(&world.get(MICROVM_CLUSTER, "pause", ONE), "Paused").0, "False");
    world.merge(MICROVM_MACHINE, "pause", "coming", &annotation(json!(null)));
    team.wait(MICROVM_MACHINE, "coming", "NotPaused", |object| told(object, "Paused").0 == "False");

    // What a move does: status does not go along. All of it is told again.
    let before = world.get(MICROVM_MACHINE, "pause", "coming")["status"].clone();
    let wiped = ["patch", "-n", "pause", "mvmm", "coming", "--subresource=status", "--type=merge", "--patch", r#"{"status": null}"#];
    world.plane.kubectl(&wiped).ok();
    team.wait(MICROVM_MACHINE, "coming", "its status is told again", |machine| {
        let status = &machine["status"];
        let same = |field: &str| status[field] == before[field];
        same("initialization") && same("failureDomain") && same("vmState") && told(machine, "Ready").0 == "True"
    });
    // Events go their own way, and come later.
    within(PATIENCE, "that it was made is told once", || {
        let events = world.events("pause", "coming");
        if events.get("MicrovmCreated") == Some(&1) { Ok(()) } else { Err(format!("{events:?}")) }
    });
    team.clear();
    assert_eq!(microvms(&simulator), []);
}
