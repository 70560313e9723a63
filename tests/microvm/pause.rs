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
        if still { Ok(()) } else { Err(format!("{now:#?} {there:#}")) }
    });
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
    let events = world.events("pause", "coming");
    let made = ["MicrovmCreated", "Ready"].map(|reason| events.get(reason).copied());
    assert_eq!(made, [Some(1), Some(1)], "{events:?}");
    team.clear();
    assert_eq!(microvms(&simulator), []);
}
