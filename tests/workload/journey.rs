//! One plane with simulated hosts, and what each journey asks of its cluster.

use std::fmt;
use std::fmt::Display;
use std::fmt::Formatter;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::types::MicroVm;
use capstead_lab::Nodes;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use capstead_lab::workloads;
use serde_json::Value;
use serde_json::json;

use crate::support::capi_series;
use crate::support::within;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::World;
use crate::world::condition;
use crate::world::microvms;
use crate::world::name;
use crate::world::quick;

pub const KCP: Kind = Kind("controlplane.cluster.x-k8s.io/v1beta2", "KubeadmControlPlane");
pub const DEPLOYMENT: Kind = Kind("cluster.x-k8s.io/v1beta2", "MachineDeployment");
pub const TEMPLATE: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmMachineTemplate");

/// Kubernetes before an upgrade, and after it.
pub const OLD: &str = "v1.35.4";
pub const NEW: &str = "v1.36.3";

/// Cluster API tries some things again only after 30 s.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What all journeys share.
pub struct Stage {
    pub world: World,
    pub simulator: Simulator,
}

/// Guests that are quick.
pub fn nodes() -> Arc<Nodes> {
    let mut settings = workloads::Settings { kubeadm: Duration::from_millis(500), ..workloads::Settings::default() };
    settings.cluster.grace = Duration::from_secs(5);
    Arc::new(Nodes::new(settings))
}

impl Stage {
    pub fn up() -> Self {
        let world = World::up("workload");
        let simulator = world.simulator_of(|| Options { hosts: 2, settings: quick(), guests: Some(nodes()), ..Options::default() });
        Self { world, simulator }
    }
}

/// Machines of one role.
#[derive(Clone, Copy)]
pub struct Machines {
    pub count: usize,
    pub version: &'static str,
    /// In MiB.
    pub memory: i32,
}

impl Machines {
    pub const fn new(count: usize, version: &'static str) -> Self {
        Self { count, version, memory: 2048 }
    }
}

impl Display for Machines {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { count, version, memory } = self;
        write!(f, "{count} of {version} with {memory} MiB")
    }
}

/// A cluster, alone in its namespace. Both have the same name.
pub struct Journey<'a> {
    pub stage: &'a Stage,
    pub name: &'static str,
    pub endpoint: &'static str,
    began: Instant,
}

impl<'a> Journey<'a> {
    /// No cluster yet. No other process of this machine serves the endpoint, as far as tests can know.
    pub fn begin(stage: &'a Stage, name: &'static str, endpoint: &'static str) -> Self {
        stage.world.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        Self { stage, name, endpoint, began: Instant::now() }
    }

    pub fn said(&self, what: &str) {
        eprintln!("{:6.1} s: {}: {what}", self.began.elapsed().as_secs_f64(), self.name);
    }

    /// Applies the cluster that the built-in template makes of these words.
    pub fn apply(&self, control_plane: Machines, workers: Machines, words: &[&str]) {
        self.world().plane.apply(&self.objects(control_plane, workers, words)).ok();
    }

    /// The cluster that the built-in template makes of these words.
    pub fn objects(&self, control_plane: Machines, workers: Machines, words: &[&str]) -> String {
        let hosts = self.stage.simulator.addresses();
        let hosts: Value = hosts.iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
        let counts = [control_plane.count, workers.count].map(|count| count.to_string());
        let set = [
            format!("CONTROL_PLANE_VIP={}", self.endpoint),
            format!("MVM_HOSTS={hosts}"),
            format!("MVM_CONTROL_PLANE_MEMORY_MB={}", control_plane.memory),
            format!("MVM_WORKER_MEMORY_MB={}", workers.memory),
        ];
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
        let all = ["generate", "cluster", self.name, "-n", self.name, "--provider", "microvm"];
        let machines = ["--control-plane-machine-count", &counts[0], "--worker-machine-count", &counts[1]];
        let version = ["--kubernetes-version", control_plane.version];
        self.world().plane.run(&[&all[..], &machines, &version, &set, words].concat()).ok()
    }

    pub fn world(&self) -> &World {
        &self.stage.world
    }

    /// The only object of its kind.
    pub fn only(&self, kind: Kind) -> Value {
        let mut found = self.world().list(kind, self.name);
        if found.len() == 1 { found.remove(0) } else { Value::Null }
    }

    /// A merge patch of the only object of its kind.
    pub fn merge(&self, kind: Kind, patch: &Value) {
        self.world().merge(kind, self.name, name(&self.only(kind)), patch);
    }

    /// The machines of a role.
    pub fn machines(&self, control_plane: bool) -> Vec<Value> {
        let is = |machine: &Value| machine["metadata"]["labels"].get("cluster.x-k8s.io/control-plane").is_some() == control_plane;
        self.world().list(MACHINE, self.name).into_iter().filter(is).collect()
    }

    /// The cluster's microVMs by uid.
    pub fn microvms(&self) -> Vec<(String, MicroVm)> {
        let own = |microvm: &MicroVm| microvm.spec.as_ref().is_some_and(|spec| spec.namespace == self.name);
        let microvms = microvms(&self.stage.simulator).into_iter().map(|(_, microvm)| microvm);
        microvms.filter(own).map(|microvm| (microvm.spec.as_ref().unwrap().uid().to_owned(), microvm)).collect()
    }

    /// kubectl in the cluster itself.
    pub fn kubectl(&self, words: &[&str]) -> Value {
        let plane = &self.world().plane;
        let file = plane.scratch().join(format!("{}.kubeconfig", self.name));
        if !file.exists() {
            std::fs::write(&file, plane.run(&["clusterctl", "get", "kubeconfig", self.name, "-n", self.name]).ok()).unwrap();
        }
        plane.kubectl(&[&["--kubeconfig", file.to_str().unwrap()], words, &["-o", "json"]].concat()).json()
    }

    /// Waits until Cluster API takes all of it for available and up to date, and the cluster has exactly the nodes, and the hosts exactly
    /// the microVMs, that this means.
    pub fn available(&self, control_plane: Machines, workers: Machines) {
        let roles = [(KCP, true, control_plane), (DEPLOYMENT, false, workers)];
        within(PATIENCE, &format!("{}: available are {control_plane}, and {workers}", self.name), || {
            let cluster = self.only(CLUSTER);
            let mut seen = vec![cluster["status"].clone()];
            let mut all = is_available(&cluster);
            for (kind, is_control_plane, wanted) in roles {
                let (owner, machines) = (self.only(kind), self.machines(is_control_plane));
                all &=
                    is_settled(&owner, wanted) && machines.len() == wanted.count && machines.iter().all(|machine| is_of(machine, wanted));
                seen.push(owner["status"].clone());
                seen.extend(machines.into_iter().map(|machine| machine["status"].clone()));
            }
            if all { Ok(()) } else { Err(format!("{seen:#?}")) }
        });
        let (mut nodes, mut microvms) = (Vec::new(), Vec::new());
        for (_, is_control_plane, wanted) in roles {
            for machine in self.machines(is_control_plane) {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                nodes.push((text(&machine["status"]["nodeRef"]["name"]), wanted.version.to_owned(), format!("{}Mi", wanted.memory), true));
                let uid = text(&machine["spec"]["providerID"]).rsplit('/').next().unwrap().to_owned();
                microvms.push((uid, wanted.version.trim_start_matches('v').to_owned(), wanted.memory));
            }
        }
        nodes.sort_unstable();
        within(PATIENCE, &format!("{}: it has the machines' nodes, and no others", self.name), || {
            let listed = self.kubectl(&["get", "nodes"]);
            let mut found: Vec<_> = listed["items"].as_array().unwrap().iter().map(node).collect();
            found.sort_unstable();
            if found == nodes { Ok(()) } else { Err(format!("{found:?}, not {nodes:?}")) }
        });
        self.addressed();
        microvms.sort_unstable();
        let mut found: Vec<_> = self.microvms().iter().map(|(uid, microvm)| made(uid, microvm)).collect();
        found.sort_unstable();
        assert_eq!(found, microvms);
        self.said(&format!("available: {control_plane}, and {workers}"));
    }

    /// Waits until each Machine has the addresses that its node says: neither its spec nor its host knows any.
    fn addressed(&self) {
        within(PATIENCE, &format!("{}: each machine has its node's addresses", self.name), || {
            let nodes = self.kubectl(&["get", "nodes"]);
            let nodes = nodes["items"].as_array().unwrap();
            let is = |machine: &Value| {
                let (addresses, node) = (&machine["status"]["addresses"], &machine["status"]["nodeRef"]["name"]);
                let is_internal = |address: &Value| address["type"] == "InternalIP";
                addresses.as_array().is_some_and(|addresses| addresses.iter().any(is_internal))
                    && nodes.iter().any(|known| known["metadata"]["name"] == *node && known["status"]["addresses"] == *addresses)
            };
            let machines = [true, false].map(|is_control_plane| self.machines(is_control_plane)).concat();
            match machines.iter().find(|machine| !is(machine)) {
                None => Ok(()),
                Some(machine) => Err(format!("{}: {:#}", name(machine), machine["status"]["addresses"])),
            }
        });
    }

    /// Waits until the pods of kube-proxy are of this version, and those of CoreDNS of this.
    pub fn addons(&self, version: &str, dns: &str) {
        let proxies = self.machines(true).len() + self.machines(false).len();
        let wanted = [("kube-proxy", format!("kube-proxy:{version}"), proxies), ("kube-dns", format!("coredns:{dns}"), 2)];
        within(PATIENCE, &format!("{}: {wanted:?}", self.name), || {
            let of = |(app, image, count): &(&str, String, usize)| {
                let pods = self.kubectl(&["get", "pods", "-n", "kube-system", "-l", &format!("k8s-app={app}")]);
                let pods = pods["items"].as_array().unwrap().clone();
                let is = |pod: &Value| {
                    pod["spec"]["containers"][0]["image"].as_str().unwrap().ends_with(&format!("/{image}"))
                        && condition(pod, "Ready")["status"] == "True"
                };
                if pods.len() == *count && pods.iter().all(is) { Ok(()) } else { Err(format!("{pods:#?}")) }
            };
            wanted.iter().try_for_each(of)
        });
    }

    /// Deletes the cluster, and waits until nothing of it is left.
    pub fn end(&self) {
        self.world().delete(CLUSTER, self.name, self.name);
        within(PATIENCE, &format!("{}: nothing is left", self.name), || {
            let kinds = [CLUSTER, KCP, DEPLOYMENT, MACHINE, MICROVM_CLUSTER, MICROVM_MACHINE];
            let left: usize = kinds.iter().map(|kind| self.world().list(*kind, self.name).len()).sum();
            if left == 0 { Ok(()) } else { Err(format!("{left} objects")) }
        });
        assert_eq!(self.microvms(), []);
        self.said("nothing is left");
    }
}

/// Whether a Cluster is available, and what its topology says now is done.
fn is_available(cluster: &Value) -> bool {
    let reconciled = condition(cluster, "TopologyReconciled");
    let is_reconciled = reconciled["status"] == "True" && reconciled["observedGeneration"] == cluster["metadata"]["generation"];
    condition(cluster, "Available")["status"] == "True" && (is_reconciled || cluster["spec"]["topology"].is_null())
}

/// Whether an owner of machines has these, all up to date.
fn is_settled(owner: &Value, wanted: Machines) -> bool {
    let status = &owner["status"];
    let counts = ["replicas", "readyReplicas", "availableReplicas", "upToDateReplicas"];
    let versions = if wanted.count == 0 { Value::Null } else { json!([{"version": wanted.version, "replicas": wanted.count}]) };
    counts.map(|field| status[field].as_u64().unwrap_or_default()) == [wanted.count as u64; 4]
        && status["observedGeneration"] == owner["metadata"]["generation"]
        // Cluster API tells them from v1.14 on; each machine is looked at all the same.
        && (status["versions"] == versions || capi_series().as_deref() == Some("1.13"))
        && condition(owner, "Available")["status"] == "True"
        && condition(owner, "RollingOut")["status"] != "True"
}

/// Whether a machine and its kubelet are of the version.
fn is_of(machine: &Value, wanted: Machines) -> bool {
    machine["spec"]["version"] == wanted.version
        && machine["status"]["nodeInfo"]["kubeletVersion"] == wanted.version
        && condition(machine, "UpToDate")["status"] == "True"
}

/// Name, version and memory of a node, and whether it is ready.
fn node(node: &Value) -> (String, String, String, bool) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = &node["status"];
    let (version, memory) = (text(&status["nodeInfo"]["kubeletVersion"]), text(&status["capacity"]["memory"]));
    (name(node).to_owned(), version, memory, condition(node, "Ready")["status"] == "True")
}

/// Uid of a microVM, the tag of its root image, and its memory.
fn made(uid: &str, microvm: &MicroVm) -> (String, String, i32) {
    let spec = microvm.spec.as_ref().unwrap();
    let image = spec.root_volume.as_ref().unwrap().source.as_ref().unwrap().container_source.clone().unwrap();
    (uid.to_owned(), image.rsplit(':').next().unwrap().to_owned(), spec.memory_in_mb)
}
