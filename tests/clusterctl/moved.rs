//! A cluster moves to another plane and back, and its machines hear nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::Nodes;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use capstead_lab::workloads;
use serde_json::Value;
use serde_json::json;

use crate::repository::Repository;
use crate::support::TestPlane;
use crate::support::within;
use crate::world::CLUSTER;
use crate::world::LOAD_BALANCER;
use crate::world::MACHINE;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::condition;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::quick;

const NAME: &str = "moved";
/// No other process of this machine serves it, as far as tests can know.
const ENDPOINT: &str = "127.206.17.1";

/// A plane with Cluster API, and the provider as clusterctl installs it.
fn plane(plane: TestPlane) -> (World, Repository) {
    let world = World::of(plane, &["--ephemeral", "--deployments"]);
    let repository = Repository::new(&world.plane);
    repository.clusterctl(&world.plane, &["init", "--infrastructure", "microvm", "--wait-providers"]).run().ok();
    (world, repository)
}

/// Each microVM as its host made it, by uid.
fn made(simulator: &Simulator) -> BTreeMap<String, Value> {
    let of = |(host, microvm): (String, capstead_flintlock::types::MicroVm)| {
        let spec = microvm.spec.unwrap();
        (spec.uid().to_owned(), json!({"host": host, "name": spec.id, "created": format!("{:?}", spec.created_at)}))
    };
    microvms(simulator).into_iter().map(of).collect()
}

/// Waits until Cluster API takes the cluster for available, with these machines.
fn available(world: &World, ids: Option<&[String]>) -> Vec<String> {
    within(Duration::from_secs(180), "the cluster is available", || {
        let (cluster, machines) = (world.get(CLUSTER, NAME, NAME), world.list(MACHINE, NAME));
        let is = |machine: &Value| condition(machine, "Available")["status"] == "True" && machine["status"]["nodeRef"]["name"].is_string();
        let own = world.list(MICROVM_MACHINE, NAME);
        let mut found: Vec<String> = own.iter().filter_map(|machine| machine["spec"]["providerID"].as_str().map(str::to_owned)).collect();
        found.sort();
        let all = condition(&cluster, "Available")["status"] == "True" && machines.len() == 2 && machines.iter().all(is);
        let provisioned =
            cluster["status"]["initialization"] == json!({"infrastructureProvisioned": true, "controlPlaneInitialized": true});
        if all && provisioned && own.iter().all(is_ready) && ids.is_none_or(|ids| ids == found) {
            return Ok(found);
        }
        Err(format!("{:#}\n{own:#?}", cluster["status"]))
    })
}

/// Waits until the cluster's load balancer is its own, and ready.
fn balanced(world: &World) {
    let uid = world.get(CLUSTER, NAME, NAME)["metadata"]["uid"].clone();
    world.wait("it is ready", LOAD_BALANCER, NAME, "front", |front| {
        front["metadata"]["ownerReferences"][0]["uid"] == uid && front["status"]["ready"] == true
    });
}

#[test]
fn a_cluster_moves_there_and_back() {
    let began = Instant::now();
    let said = |what: &str| eprintln!("{:6.1} s: {what}", began.elapsed().as_secs_f64());
    let here = TestPlane::new("here");
    let there = TestPlane::new("there");
    let there = std::thread::spawn(|| plane(there));
    let (here, repository) = plane(here);
    said("a plane is there");
    let settings = workloads::Settings { kubeadm: Duration::from_millis(500), ..workloads::Settings::default() };
    let guests = Arc::new(Nodes::new(settings));
    let simulator = here.simulator_of(|| Options { hosts: 2, settings: quick(), guests: Some(guests), ..Options::default() });
    let hosts: Value = simulator.addresses().iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
    let (vip, hosts) = (format!("CONTROL_PLANE_VIP={ENDPOINT}"), format!("MVM_HOSTS={hosts}"));
    let words = ["generate", "cluster", NAME, "-n", NAME, "--provider", "microvm", "--kubernetes-version", "v1.36.3"];
    let machines = ["--control-plane-machine-count", "1", "--worker-machine-count", "1", "--set", &vip, "--set", &hosts];
    let objects = here.plane.run(&[&words[..], &machines].concat()).ok();
    here.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}));
    here.plane.apply(&objects).ok();
    let balancer = json!({"endpoint": {"host": ENDPOINT}, "clusterName": NAME});
    let metadata = json!({"name": "front", "namespace": NAME});
    here.create(&json!({"apiVersion": LOAD_BALANCER.0, "kind": LOAD_BALANCER.1, "metadata": metadata, "spec": balancer}));
    let ids = available(&here, None);
    balanced(&here);
    let before = made(&simulator);
    assert_eq!(before.len(), 2);
    said("available");
    let (there, _) = there.join().unwrap();

    for (from, to) in [(&here, &there), (&there, &here)] {
        let kubeconfig = to.plane.scratch().join(format!("{}.kubeconfig", to.plane.name));
        std::fs::write(&kubeconfig, to.plane.run(&["kubeconfig"]).ok()).unwrap();
        let words = ["move", "--namespace", NAME, "--to-kubeconfig", kubeconfig.to_str().unwrap()];
        repository.clusterctl(&from.plane, &words).run().ok();
        said(&format!("moved to {}", to.plane.name));
        for kind in [CLUSTER, MACHINE, MICROVM_MACHINE, LOAD_BALANCER] {
            assert_eq!(from.list(kind, NAME), Vec::<Value>::new());
        }
        available(to, Some(&ids));
        balanced(to);
        said("available again");
        assert_eq!(made(&simulator), before, "the same microVMs on the same hosts");
    }

    here.delete(CLUSTER, NAME, NAME);
    here.wait("is gone", CLUSTER, NAME, NAME, Value::is_null);
    here.wait("is gone, too", LOAD_BALANCER, NAME, "front", Value::is_null);
    within(
        PATIENCE,
        "nothing is left on hosts",
        || if made(&simulator).is_empty() { Ok(()) } else { Err(format!("{:?}", made(&simulator))) },
    );
}
