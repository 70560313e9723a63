//! What is known of the fleet, from what was seen of its objects and when. No clock: times are seconds since the fleet began.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Cluster API's Cluster.
    Cluster,
    /// Cluster API's Machine.
    Machine,
    /// Our MicrovmCluster; nothing but its changes is of interest.
    MicrovmCluster,
    /// Our MicrovmMachine.
    MicrovmMachine,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Machine, Self::MicrovmCluster, Self::MicrovmMachine];

    /// apiVersion and kind.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Cluster => ("cluster.x-k8s.io/v1beta2", "Cluster"),
            Self::Machine => ("cluster.x-k8s.io/v1beta2", "Machine"),
            Self::MicrovmCluster => ("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmCluster"),
            Self::MicrovmMachine => ("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmMachine"),
        }
    }
}

/// What a cluster has reached, and when first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// It was seen.
    pub created: f64,
    /// `status.initialization.infrastructureProvisioned`.
    pub infrastructure: Option<f64>,
    /// `status.initialization.controlPlaneInitialized`.
    pub initialized: Option<f64>,
    /// Its condition Available is True.
    pub available: Option<f64>,
    /// Since when it is not available, and what its condition says; `None` while it is.
    pub waits: Option<(f64, Why)>,
}

/// What a condition says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// What a machine has reached, and when first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Its cluster.
    pub cluster: String,
    /// It is one of the control plane.
    pub control_plane: bool,
    /// The Machine was seen.
    pub created: Option<f64>,
    /// The provider told of its microVM, with a provider id.
    pub provisioned: Option<f64>,
    /// It has a node reference.
    pub node: Option<f64>,
    /// Its condition Ready is True.
    pub ready: Option<f64>,
    /// Its condition Available is True.
    pub available: Option<f64>,
    /// It is so now.
    pub is_available: bool,
    /// It is being deleted.
    pub leaving: bool,
    /// The Machine is gone.
    pub gone: Option<f64>,
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By name.
    pub clusters: BTreeMap<String, Cluster>,
    /// By name; those that are gone, too.
    pub machines: BTreeMap<String, Machine>,
    /// How often objects of each kind were seen to be made, changed or deleted.
    pub changes: BTreeMap<Kind, u64>,
    /// What a listing that is under way has shown.
    listed: BTreeMap<Kind, BTreeSet<String>>,
}

/// How far the fleet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Clusters.
    pub clusters: usize,
    /// Clusters that are available.
    pub clusters_available: usize,
    /// Machines that are not gone.
    pub machines: usize,
    /// Machines whose microVM runs.
    pub provisioned: usize,
    /// Machines with a node.
    pub nodes: usize,
    /// Machines that are available.
    pub available: usize,
}

impl Record {
    /// A listing of that kind begins.
    pub fn begins(&mut self, kind: Kind) {
        self.listed.insert(kind, BTreeSet::new());
    }

    /// It has ended: what it did not show is gone.
    pub fn ends(&mut self, kind: Kind, now: f64) {
        let Some(listed) = self.listed.remove(&kind) else { return };
        let known: Vec<String> = match kind {
            Kind::Cluster => self.clusters.keys().cloned().collect(),
            Kind::Machine => self.machines.iter().filter(|(_, machine)| machine.lives()).map(|(name, _)| name.clone()).collect(),
            Kind::MicrovmCluster | Kind::MicrovmMachine => Vec::new(),
        };
        for name in known.iter().filter(|name| !listed.contains(*name)) {
            self.gone(kind, name, now);
        }
    }

    /// An object as it is now.
    pub fn saw(&mut self, kind: Kind, object: &Value, now: f64) {
        *self.changes.entry(kind).or_default() += 1;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(listed) = self.listed.get_mut(&kind) {
            listed.insert(name.to_owned());
        }
        match kind {
            Kind::Cluster => self.cluster(name, object, now),
            Kind::Machine => self.machine(name, object, now),
            Kind::MicrovmCluster => (),
            Kind::MicrovmMachine => self.microvm(object, now),
        }
    }

    /// An object that is no more.
    pub fn gone(&mut self, kind: Kind, name: &str, now: f64) {
        *self.changes.entry(kind).or_default() += 1;
        match kind {
            Kind::Cluster => drop(self.clusters.remove(name)),
            Kind::Machine => {
                if let Some(machine) = self.machines.get_mut(name) {
                    machine.gone.get_or_insert(now);
                    machine.is_available = false;
                }
            }
            Kind::MicrovmCluster | Kind::MicrovmMachine => (),
        }
    }

    fn cluster(&mut self, name: &str, object: &Value, now: f64) {
        let cluster = self.clusters.entry(name.to_owned()).or_insert_with(|| Cluster { created: now, ..Cluster::default() });
        let reached = |field: &str| (object["status"]["initialization"][field] == true).then_some(now);
        cluster.infrastructure = cluster.infrastructure.or(reached("infrastructureProvisioned"));
        cluster.initialized = cluster.initialized.or(reached("controlPlaneInitialized"));
        let condition = condition(object, "Available");
        if condition["status"] == "True" {
            cluster.available.get_or_insert(now);
            cluster.waits = None;
        } else {
            let since = cluster.waits.take().map_or(now, |(since, _)| since);
            cluster.waits = Some((since, why(condition)));
        }
    }

    fn machine(&mut self, name: &str, object: &Value, now: f64) {
        let machine = self.machines.entry(name.to_owned()).or_default();
        let labels = &object["metadata"]["labels"];
        object["spec"]["clusterName"].as_str().unwrap_or_default().clone_into(&mut machine.cluster);
        machine.control_plane = labels.get("cluster.x-k8s.io/control-plane").is_some();
        machine.leaving = object["metadata"]["deletionTimestamp"].is_string();
        machine.created.get_or_insert(now);
        let reached = |so: bool| so.then_some(now);
        let is = |kind: &str| condition(object, kind)["status"] == "True";
        machine.node = machine.node.or(reached(object["status"]["nodeRef"]["name"].is_string()));
        machine.ready = machine.ready.or(reached(is("Ready")));
        machine.is_available = is("Available");
        machine.available = machine.available.or(reached(machine.is_available));
    }

    fn microvm(&mut self, object: &Value, now: f64) {
        let mut owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        // Before it has its owner, it has no bootstrap data and is no microVM.
        let Some(owner) = owners.find(|owner| owner["kind"] == "Machine") else { return };
        let done = object["status"]["initialization"]["provisioned"] == true && object["spec"]["providerID"].is_string();
        if let (true, Some(name)) = (done, owner["name"].as_str()) {
            self.machines.entry(name.to_owned()).or_default().provisioned.get_or_insert(now);
        }
    }

    /// How far the fleet is.
    pub fn tally(&self) -> Tally {
        let machines = || self.machines.values().filter(|machine| machine.lives());
        Tally {
            clusters: self.clusters.len(),
            clusters_available: self.clusters.values().filter(|cluster| cluster.waits.is_none()).count(),
            machines: machines().count(),
            provisioned: machines().filter(|machine| machine.provisioned.is_some()).count(),
            nodes: machines().filter(|machine| machine.node.is_some()).count(),
            available: machines().filter(|machine| machine.is_available).count(),
        }
    }

    /// Clusters that are not available, those that wait longest first.
    pub fn stuck(&self, now: f64) -> Vec<Stuck> {
        let waits = |(name, cluster): (&String, &Cluster)| {
            let (since, why) = cluster.waits.clone()?;
            Some(Stuck { cluster: name.clone(), seconds: now - since, why })
        };
        let mut stuck: Vec<Stuck> = self.clusters.iter().filter_map(waits).collect();
        stuck.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        stuck
    }

    /// Workers that live and are not being deleted, by name.
    pub fn workers(&self) -> Vec<&str> {
        let workers = self.machines.iter().filter(|(_, machine)| machine.lives() && !machine.control_plane && !machine.leaving);
        workers.map(|(name, _)| name.as_str()).collect()
    }
}

impl Machine {
    /// Its Machine is there.
    pub fn lives(&self) -> bool {
        self.created.is_some() && self.gone.is_none()
    }
}

/// A cluster that is not available.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// Its name.
    pub cluster: String,
    /// For how long.
    pub seconds: f64,
    /// What its condition Available says.
    #[serde(flatten)]
    pub why: Why,
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn why(condition: &Value) -> Why {
    let text = |field: &str| condition[field].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if condition.is_null() {
        Why { reason: "NotReported".into(), message: String::new() }
    } else {
        Why { reason: text("reason"), message: text("message") }
    }
}

#[cfg(test)]
mod tests;
