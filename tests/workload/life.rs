//! Scaled up and down, and mended.

use serde_json::Value;
use serde_json::json;

use crate::balanced;
use crate::journey::DEPLOYMENT;
use crate::journey::Journey;
use crate::journey::KCP;
use crate::journey::Machines;
use crate::journey::NEW;
use crate::journey::PATIENCE;
use crate::journey::Stage;
use crate::journey::TEMPLATE;
use crate::support::within;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::name;
use crate::world::told;

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

/// The flavor's ClusterResourceSet has brought its network plugin to every node.
fn networked(journey: &Journey<'_>, nodes: usize) {
    within(PATIENCE, "flannel is on every node", || {
        let sets = journey.kubectl(&["get", "daemonsets", "-n", "kube-flannel"]);
        let status = &sets["items"][0]["status"];
        let are = |field: &str| status[field] == nodes;
        if are("desiredNumberScheduled") && are("numberReady") { Ok(()) } else { Err(format!("{sets:#}")) }
    });
}

/// The rules by which the cluster autoscaler scales from zero: capacity with cpu and memory, and nodeInfo, on the template that the MachineDeployment names.
fn an_autoscaler_knows_what_a_machine_offers_before_there_is_one(journey: &Journey<'_>) {
    let deployment = journey.only(DEPLOYMENT);
    let reference = &deployment["spec"]["template"]["spec"]["infrastructureRef"];
    assert_eq!((&deployment["spec"]["replicas"], &reference["kind"]), (&json!(0), &json!("MicrovmMachineTemplate")));
    let template = reference["name"].as_str().unwrap();
    let status = journey
        .world()
        .wait("it tells what its machines offer", TEMPLATE, NAME, template, |template| template["status"]["capacity"].is_object());
    let spec = &status["spec"]["template"]["spec"];
    let capacity = json!({"cpu": spec["vcpu"].to_string(), "memory": format!("{}Mi", spec["memoryMb"])});
    assert_eq!(status["status"], json!({"capacity": capacity, "nodeInfo": {"operatingSystem": "linux"}}));
}

fn the_control_planes_answer_is_told(journey: &Journey<'_>) {
    within(PATIENCE, "the endpoint answers, and the MicrovmCluster says so", || {
        let cluster = journey.only(MICROVM_CLUSTER);
        if told(&cluster, "LoadBalancerAvailable").0 == "True" { Ok(()) } else { Err(format!("{cluster:#}")) }
    });
}

pub fn a_cluster_is_scaled_and_mended(stage: &Stage) {
    let journey = Journey::begin(stage, NAME, "127.201.17.1");
    balanced::apply(&journey, Machines::new(1, NEW), Machines::new(0, NEW), &["--flavor", "flannel"]);
    balanced::a_load_balancers_endpoint_is_published_before_it_answers(&journey);
    available(&journey, 1, 0);
    networked(&journey, 1);
    an_autoscaler_knows_what_a_machine_offers_before_there_is_one(&journey);
    the_control_planes_answer_is_told(&journey);
    balanced::a_load_balancer_that_answers_is_ready(&journey);
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
    networked(&journey, 3);
    let described = stage.world.plane.run(&["clusterctl", "describe", "cluster", NAME, "-n", NAME]).ok();
    let cluster = described.lines().find(|line| line.starts_with("Cluster ") || line.starts_with("Cluster/")).unwrap_or_default();
    assert!(cluster.contains("True") && cluster.contains("Available") && !described.contains(" False "), "{described}");
    journey.end();
    balanced::load_balancers_go_with_their_cluster(&journey);
}
