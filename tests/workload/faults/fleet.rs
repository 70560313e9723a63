//! Clusters on one plane, each by its name.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::Nodes;
use capstead_lab::fault::Fault;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use serde_json::json;

use crate::journey::DEPLOYMENT;
use crate::journey::KCP;
use crate::journey::nodes;
use crate::support::within;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::World;
use crate::world::condition;
use crate::world::name;
use crate::world::quick;

/// Cluster API probes a cluster for about a minute before it gives it up, and tries again every 30 s.
pub const PATIENCE: Duration = Duration::from_secs(420);

const HEALTH_CHECK: Kind = Kind("cluster.x-k8s.io/v1beta2", "MachineHealthCheck");
/// Between nudges of a Cluster that does not become available.
const NUDGE: Duration = Duration::from_secs(20);

pub struct Fleet {
    pub world: World,
    nodes: Arc<Nodes>,
    simulator: Simulator,
    began: Instant,
}

impl Fleet {
    /// Clusters with so many control plane machines and one worker each, all available.
    pub fn begin(clusters: &[(&str, u8)]) -> Self {
        let world = World::up("cluster-faults");
        let nodes = nodes();
        let state = Some(world.plane.scratch().join("hosts"));
        let options = || Options { hosts: 2, settings: quick(), guests: Some(Arc::clone(&nodes) as _), state, ..Options::default() };
        let simulator = world.simulator_of(options);
        let hosts: Vec<Value> = simulator.addresses().iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
        let fleet = Self { world, nodes, simulator, began: Instant::now() };
        for (n, (name, control_plane)) in clusters.iter().enumerate() {
            let sizes = ["--control-plane-machine-count", &control_plane.to_string(), "--worker-machine-count", "1"].map(str::to_owned);
            // No other process of this machine serves these, as far as tests can know.
            let set =
                ["--set".to_owned(), format!("CONTROL_PLANE_VIP=127.202.{n}.1"), "--set".into(), format!("MVM_HOSTS={}", json!(hosts))];
            let words =
                ["generate", "cluster", name, "--provider", "microvm", "--kubernetes-version", "v1.36.3", "--target-namespace", name];
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            fleet.world.create(&namespace);
            let words: Vec<&str> = words.into_iter().chain(sizes.iter().chain(&set).map(String::as_str)).collect();
            fleet.world.plane.apply(&fleet.world.plane.run(&words).ok()).ok();
        }
        clusters.iter().for_each(|(name, _)| fleet.is_available(name));
        eprintln!("{:6.1} s: {} clusters are available", fleet.seconds(), clusters.len());
        fleet
    }

    /// The simulator ends and begins again, with nothing but what its hosts remember.
    pub fn restart(&mut self) {
        let listen = self.simulator.hosts().iter().map(|host| host.address()).collect();
        self.world.take_down(&self.simulator);
        self.nodes = nodes();
        let (guests, state) = (Some(Arc::clone(&self.nodes) as _), Some(self.world.plane.scratch().join("hosts")));
        self.simulator = self.world.simulator_of(|| Options { listen, settings: quick(), guests, state, ..Options::default() });
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Lets something go wrong in a cluster; its number.
    pub fn suffers(&self, cluster: &str, fault: Fault) -> u64 {
        self.world.inside(|| self.nodes.workloads().add_fault(Fault { cluster: Some(cluster.into()), ..fault }).unwrap().id)
    }

    pub fn ends(&self, fault: u64) {
        assert!(self.nodes.workloads().remove_fault(fault));
    }

    /// Whether any fault holds in the cluster.
    pub fn is_troubled(&self, cluster: &str) -> bool {
        self.nodes.workloads().faults().iter().any(|active| active.fault.cluster.as_deref() == Some(cluster))
    }

    /// So many workers are wanted.
    pub fn scale(&self, cluster: &str, workers: u64) {
        self.world.merge(DEPLOYMENT, cluster, &format!("{cluster}-md-0"), &json!({"spec": {"replicas": workers}}));
    }

    /// The nodes of its machines of that role.
    pub fn machine(&self, cluster: &str, control_plane: bool) -> String {
        let is = |machine: &Value| machine["metadata"]["labels"].get("cluster.x-k8s.io/control-plane").is_some() == control_plane;
        let machines = self.world.list(MACHINE, cluster);
        machines.iter().find(|machine| is(machine)).and_then(|machine| machine["status"]["nodeRef"]["name"].as_str()).unwrap().to_owned()
    }

    /// All of a cluster that has conditions.
    pub fn objects(&self, cluster: &str) -> Vec<(&'static str, Value)> {
        let kinds = [CLUSTER, KCP, DEPLOYMENT, MACHINE];
        kinds.into_iter().flat_map(|kind| self.world.list(kind, cluster).into_iter().map(move |object| (kind.1, object))).collect()
    }

    /// Waits until Cluster API takes all of it for available.
    pub fn is_available(&self, cluster: &str) {
        let mut nudged = Instant::now();
        within(PATIENCE, &format!("{cluster} is available"), || {
            let objects = self.objects(cluster);
            let all = |object: &Value, kind: &str| condition(object, kind)["status"] == "True";
            let well = |(kind, object): &(&str, Value)| match *kind {
                "Cluster" => all(object, "Available") && all(object, "RemoteConnectionProbe"),
                "Machine" => all(object, "Available") && all(object, "NodeHealthy"),
                _ => all(object, "Available") && object["status"]["availableReplicas"] == object["spec"]["replicas"],
            };
            if objects.iter().all(well) {
                return Ok(());
            }
            // If its probe succeeds again before it has given the cluster up, Cluster API says so only when it looks at the Cluster for another reason:
            // within 10 minutes, or when the Cluster changes.
            if nudged.elapsed() > NUDGE {
                nudged = Instant::now();
                let nudge = json!({"metadata": {"annotations": {"capstead.test/nudged": self.seconds().to_string()}}});
                self.world.merge(CLUSTER, cluster, cluster, &nudge);
            }
            Err(bad(&objects))
        });
    }

    /// Machines that do not become nodes in so many seconds, or are nodes no more, are replaced from now on.
    pub fn heals_itself(&self, cluster: &str, startup: u64) {
        let unhealthy = |status: &str| json!({"type": "Ready", "status": status, "timeoutSeconds": 60});
        if !self.world.get(HEALTH_CHECK, cluster, "workers").is_null() {
            let patch = json!({"spec": {"checks": {"nodeStartupTimeoutSeconds": startup}}});
            return self.world.merge(HEALTH_CHECK, cluster, "workers", &patch);
        }
        self.world.create(&json!({
            "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineHealthCheck", "metadata": {"name": "workers", "namespace": cluster},
            "spec": {
                "clusterName": cluster,
                "selector": {"matchLabels": {"cluster.x-k8s.io/deployment-name": format!("{cluster}-md-0")}},
                "checks": {"nodeStartupTimeoutSeconds": startup, "unhealthyNodeConditions": [unhealthy("Unknown"), unhealthy("False")]},
            },
        }));
    }
}

/// Conditions that are not as they should be, a line each.
pub fn bad(objects: &[(&str, Value)]) -> String {
    let mut lines = Vec::new();
    for (kind, object) in objects {
        for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            let negative = ["Paused", "Deleting", "RollingOut", "ScalingUp", "ScalingDown", "Remediating"].contains(&text("type"));
            if (text("status") == "True") == negative {
                lines.push(format!("{kind} {} {} {} {}: {}", name(object), text("type"), text("status"), text("reason"), text("message")));
            }
        }
    }
    lines.join("\n")
}
