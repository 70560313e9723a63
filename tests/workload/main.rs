//! Whole clusters on simulated machines, as Cluster API's own controllers see them: scaled, mended, deleted.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../microvm/world.rs"]
#[allow(dead_code, reason = "of another journey, which uses all of it")]
mod world;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::Nodes;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use capstead_lab::workloads;
use serde_json::Value;
use serde_json::json;

use support::within;
use world::CLUSTER;
use world::Kind;
use world::MACHINE;
use world::MICROVM_CLUSTER;
use world::MICROVM_MACHINE;
use world::World;
use world::condition;
use world::microvms;
use world::name;
use world::quick;

const NAMESPACE: &str = "default";
const NAME: &str = "whole";
const CONTROL_PLANE: &str = "whole-control-plane";
const WORKERS: &str = "whole-md-0";
/// No other process of this machine serves it, as far as tests can know.
const ENDPOINT: &str = "127.201.17.1";
const KCP: Kind = Kind("controlplane.cluster.x-k8s.io/v1beta2", "KubeadmControlPlane");
const DEPLOYMENT: Kind = Kind("cluster.x-k8s.io/v1beta2", "MachineDeployment");
/// Cluster API tries some things again only after 30 s.
const PATIENCE: Duration = Duration::from_secs(300);

struct Journey {
    world: World,
    simulator: Simulator,
    began: Instant,
}

impl Journey {
    /// A cluster of one control plane machine.
    fn begin() -> Self {
        let world = World::up("workload");
        let mut nodes = workloads::Settings { kubeadm: Duration::from_millis(500), ..workloads::Settings::default() };
        nodes.cluster.grace = Duration::from_secs(5);
        let simulator =
            world.simulator_of(|| Options { hosts: 2, settings: quick(), guests: Some(Arc::new(Nodes::new(nodes))), ..Options::default() });
        let hosts: Vec<Value> = simulator.addresses().iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
        let began = Instant::now();
        let words = ["generate", "cluster", NAME, "--provider", "microvm", "--kubernetes-version", "v1.36.3"];
        let set = [format!("CONTROL_PLANE_VIP={ENDPOINT}"), format!("MVM_HOSTS={}", Value::from(hosts))];
        let objects = world.plane.run(&[&words[..], &["--set", &set[0], "--set", &set[1]]].concat()).ok();
        world.plane.apply(&objects).ok();
        Self { world, simulator, began }
    }

    fn said(&self, what: &str) {
        eprintln!("{:6.1} s: {what}", self.began.elapsed().as_secs_f64());
    }

    /// Waits until Cluster API takes all of it for available, with so many machines, and the cluster has exactly their nodes.
    fn available(&self, control_plane: i64, workers: i64) {
        within(PATIENCE, &format!("{control_plane} and {workers} machines are available"), || {
            let of = |kind, name| self.world.get(kind, NAMESPACE, name);
            let (cluster, kcp, deployment) = (of(CLUSTER, NAME), of(KCP, CONTROL_PLANE), of(DEPLOYMENT, WORKERS));
            let settled = |object: &Value, count: i64| {
                let counts = ["replicas", "readyReplicas", "availableReplicas", "upToDateReplicas"]
                    .map(|field| object["status"][field].as_i64().unwrap_or_default());
                counts == [count; 4] && condition(object, "Available")["status"] == "True"
            };
            let all = condition(&cluster, "Available")["status"] == "True" && settled(&kcp, control_plane) && settled(&deployment, workers);
            if all { Ok(()) } else { Err(format!("{:#}\n{:#}\n{:#}", cluster["status"], kcp["status"], deployment["status"])) }
        });
        let machines: Vec<Value> = self.world.list(MACHINE, NAMESPACE);
        let mut expected: Vec<&str> = machines.iter().map(|machine| machine["status"]["nodeRef"]["name"].as_str().unwrap()).collect();
        expected.sort_unstable();
        within(PATIENCE, "the cluster has the machines' nodes, and no others", || {
            let listed = self.kubectl(&["get", "nodes", "-o", "json"]);
            let mut nodes: Vec<&str> =
                listed["items"].as_array().unwrap().iter().filter(|node| condition(node, "Ready")["status"] == "True").map(name).collect();
            nodes.sort_unstable();
            if nodes == expected && listed["items"].as_array().unwrap().len() == nodes.len() {
                Ok(())
            } else {
                Err(format!("{nodes:?}, not {expected:?}"))
            }
        });
        assert_eq!(microvms(&self.simulator).len(), machines.len());
        self.said(&format!("{control_plane} control plane machines and {workers} workers are available"));
    }

    /// kubectl in the cluster itself.
    fn kubectl(&self, words: &[&str]) -> Value {
        let file = self.world.plane.scratch().join("workload.kubeconfig");
        if !file.exists() {
            std::fs::write(&file, self.world.plane.run(&["clusterctl", "get", "kubeconfig", NAME]).ok()).unwrap();
        }
        self.world.plane.kubectl(&[&["--kubeconfig", file.to_str().unwrap()], words].concat()).json()
    }

    fn scale(&self, control_plane: i64, workers: i64) {
        self.world.merge(KCP, NAMESPACE, CONTROL_PLANE, &json!({"spec": {"replicas": control_plane}}));
        self.world.merge(DEPLOYMENT, NAMESPACE, WORKERS, &json!({"spec": {"replicas": workers}}));
        self.available(control_plane, workers);
    }

    /// A machine of that role.
    fn machine(&self, control_plane: bool) -> Value {
        let is = |machine: &Value| machine["metadata"]["labels"].get("cluster.x-k8s.io/control-plane").is_some() == control_plane;
        self.world.list(MACHINE, NAMESPACE).into_iter().find(is).unwrap()
    }

    /// The microVM of a machine vanishes; its owner replaces it, as the health check asks.
    fn mended(&self, control_plane: bool) {
        let machine = self.machine(control_plane);
        let uid = machine["spec"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert!(self.simulator.hosts().iter().any(|host| host.vanish(&uid)));
        within(PATIENCE, "the machine is replaced", || {
            let found = self.world.get(MACHINE, NAMESPACE, name(&machine));
            if found.is_null() { Ok(()) } else { Err(format!("{:#}", found["status"])) }
        });
        self.said(&format!("{} is gone", name(&machine)));
    }
}

fn health_check(control_plane: bool) -> Value {
    let (name, label) = if control_plane {
        ("control-plane", json!({"cluster.x-k8s.io/control-plane": ""}))
    } else {
        ("workers", json!({"cluster.x-k8s.io/deployment-name": WORKERS}))
    };
    let condition = |status: &str| json!({"type": "Ready", "status": status, "timeoutSeconds": 5});
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineHealthCheck", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "clusterName": NAME,
            "selector": {"matchLabels": label},
            "checks": {"unhealthyNodeConditions": [condition("Unknown"), condition("False")]},
        },
    })
}

#[test]
fn a_cluster_lives_its_whole_life_on_simulated_machines() {
    let journey = Journey::begin();
    journey.available(1, 0);
    journey.scale(3, 10);
    journey.scale(3, 2);
    for control_plane in [true, false] {
        journey.world.create(&health_check(control_plane));
    }
    for control_plane in [false, true] {
        journey.mended(control_plane);
        journey.available(3, 2);
    }
    journey.scale(1, 2);
    let described = journey.world.plane.run(&["clusterctl", "describe", "cluster", NAME]).ok();
    let cluster = described.lines().find(|line| line.starts_with("Cluster ")).unwrap_or_default();
    assert!(cluster.contains("True") && cluster.contains("Available") && !described.contains(" False "), "{described}");

    journey.world.delete(CLUSTER, NAMESPACE, NAME);
    within(PATIENCE, "nothing is left", || {
        let kinds = [CLUSTER, KCP, DEPLOYMENT, MACHINE, MICROVM_CLUSTER, MICROVM_MACHINE];
        let left: usize = kinds.iter().map(|kind| journey.world.list(*kind, NAMESPACE).len()).sum();
        if left == 0 { Ok(()) } else { Err(format!("{left} objects")) }
    });
    assert_eq!(microvms(&journey.simulator), []);
    journey.said("nothing is left");
}
