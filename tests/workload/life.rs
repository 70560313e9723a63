//! Scaled up and down, and mended.

use serde_json::Value;
use serde_json::json;

use crate::journey::DEPLOYMENT;
use crate::journey::Journey;
use crate::journey::KCP;
use crate::journey::Machines;
use crate::journey::NEW;
use crate::journey::PATIENCE;
use crate::journey::Stage;
use crate::support::within;
use crate::world::MACHINE;
use crate::world::name;

const NAME: &str = "whole";

fn scale(journey: &Journey<'_>, control_plane: usize, workers: usize) {
    journey.merge(KCP, &json!({"spec": {"replicas": control_plane}}));
    journey.merge(DEPLOYMENT, &json!({"spec": {"replicas": workers}}));
    available(journey, control_plane, workers);
}

fn available(journey: &Journey<'_>, control_plane: usize, workers: usize) {
    journey.available(Machines::new(control_plane, NEW), Machines::new(workers, NEW));
}

/// The microVM of a machine vanishes; its owner replaces it, as the health check asks.
fn mended(journey: &Journey<'_>, control_plane: bool) {
    let machine = journey.machines(control_plane).remove(0);
    let uid = machine["spec"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(journey.stage.simulator.hosts().iter().any(|host| host.vanish(&uid)));
    within(PATIENCE, "the machine is replaced", || {
        let found = journey.world().get(MACHINE, NAME, name(&machine));
        if found.is_null() { Ok(()) } else { Err(format!("{:#}", found["status"])) }
    });
    journey.said(&format!("{} is gone", name(&machine)));
}

fn health_check(control_plane: bool) -> Value {
    let (name, label) = if control_plane {
        ("control-plane", json!({"cluster.x-k8s.io/control-plane": ""}))
    } else {
        ("workers", json!({"cluster.x-k8s.io/deployment-name": "whole-md-0"}))
    };
    let condition = |status: &str| json!({"type": "Ready", "status": status, "timeoutSeconds": 5});
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineHealthCheck", "metadata": {"name": name, "namespace": NAME},
        "spec": {
            "clusterName": NAME,
            "selector": {"matchLabels": label},
            "checks": {"unhealthyNodeConditions": [condition("Unknown"), condition("False")]},
        },
    })
}

pub fn a_cluster_is_scaled_and_mended(stage: &Stage) {
    let journey = Journey::begin(stage, NAME, "127.201.17.1");
    journey.apply(Machines::new(1, NEW), Machines::new(0, NEW), &[]);
    available(&journey, 1, 0);
    scale(&journey, 3, 10);
    scale(&journey, 3, 2);
    for control_plane in [true, false] {
        stage.world.create(&health_check(control_plane));
    }
    for control_plane in [false, true] {
        mended(&journey, control_plane);
        available(&journey, 3, 2);
    }
    scale(&journey, 1, 2);
    let described = stage.world.plane.run(&["clusterctl", "describe", "cluster", NAME, "-n", NAME]).ok();
    let cluster = described.lines().find(|line| line.starts_with("Cluster ")).unwrap_or_default();
    assert!(cluster.contains("True") && cluster.contains("Available") && !described.contains(" False "), "{described}");
    journey.end();
}
