//! The stages of a cluster's journey: what each waits for, what it does, and how long that takes.

use std::time::Duration;

use serde_json::Value;

use crate::Look;
use crate::look::MicroVm;
use crate::tree::condition;
use crate::tree::lacks;
use crate::tree::machines;
use crate::tree::named;
use crate::tree::untrue;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Control plane machines.
    pub control_plane: usize,
    /// Workers.
    pub workers: usize,
    /// Containers run, so that a Service leads to somebody who answers.
    pub answers: bool,
    /// The version of Kubernetes that its machines are raised to once it serves: `v1.36.3`.
    pub upgrade: Option<String>,
    /// A worker loses its microVM, and must be replaced.
    pub replaces: bool,
}

/// What is seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The management cluster has taken all objects.
    pub applied: bool,
    /// The namespace is there, and not about to go.
    pub namespace: bool,
    /// Objects and microVMs.
    pub look: Look,
    /// The cluster itself.
    pub workload: Workload,
    /// The worker that is to lose its microVM.
    pub lost: Option<Lost>,
}

/// A worker that is to lose its microVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Its Machine.
    pub machine: String,
    /// What its host names the microVM by.
    pub uid: String,
}

/// What the cluster itself tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Workload {
    /// It was not asked: nothing depends on it yet.
    #[default]
    Unasked,
    /// Why it does not answer.
    Silent(String),
    /// Its API server answers.
    Seen {
        /// nginx, where it is deployed.
        deployment: Option<Box<Value>>,
        /// All its Deployments and DaemonSets, where they were asked for.
        system: Vec<Value>,
        /// What came of a request through nginx's Service: a page, or why none.
        answer: Result<(), String>,
    },
}

/// A change to the world. Doing it twice is the same as doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply the cluster's objects.
    Apply,
    /// Deploy nginx, with its Service, to the cluster.
    Deploy,
    /// Raise the control plane's version.
    Upgrade,
    /// Raise the workers' version.
    UpgradeWorkers,
    /// Choose a worker that is to lose its microVM, with a MachineHealthCheck that asks for another.
    Lose,
    /// Kill that microVM.
    Kill,
    /// Delete the Cluster.
    Delete,
    /// Delete the namespace.
    DeleteNamespace,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This.
    Do(Step),
    /// Another look, for this is missing.
    Wait(Vec<String>),
    /// The next stage.
    Over,
}

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The objects are applied.
    Apply,
    /// All machines of the control plane are nodes.
    ControlPlane,
    /// All workers are nodes, and the cluster is available.
    Workers,
    /// Every host that was given is used.
    Hosts,
    /// nginx runs.
    Nginx,
    /// nginx answers through its Service.
    Service,
    /// All that the cluster runs by itself runs on every node, before anything is changed.
    Settled,
    /// The control plane has the new version.
    Upgrade,
    /// So have the workers.
    UpgradeWorkers,
    /// A worker whose microVM was lost is replaced.
    Replace,
    /// nginx answers after all that.
    Still,
    /// The cluster is gone, and nothing of it is left on any host.
    Delete,
}

/// What a look must bring for a stage, beside the cluster's objects and microVMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The cluster itself is asked.
    pub workload: bool,
    /// And nginx, through its Service.
    pub answer: bool,
    /// And what it runs by itself.
    pub system: bool,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 12] = [
        Self::Apply,
        Self::ControlPlane,
        Self::Workers,
        Self::Hosts,
        Self::Nginx,
        Self::Service,
        Self::Settled,
        Self::Upgrade,
        Self::UpgradeWorkers,
        Self::Replace,
        Self::Still,
        Self::Delete,
    ];

    /// Those that a cluster goes through, in their order.
    pub fn of(wish: &Wish) -> impl Iterator<Item = Self> + use<> {
        let (upgrade, replaces) = (wish.upgrade.is_some(), wish.replaces);
        Self::ALL.into_iter().filter(move |stage| match stage {
            Self::Settled | Self::Upgrade | Self::UpgradeWorkers => upgrade,
            Self::Replace => replaces,
            Self::Still => upgrade || replaces,
            _ => true,
        })
    }

    /// Its name, as in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::ControlPlane => "control-plane",
            Self::Workers => "workers",
            Self::Hosts => "hosts",
            Self::Nginx => "nginx",
            Self::Service => "service",
            Self::Settled => "settled",
            Self::Upgrade => "upgrade",
            Self::UpgradeWorkers => "upgrade-workers",
            Self::Replace => "replace",
            Self::Still => "service-after",
            Self::Delete => "delete",
        }
    }

    /// What is true after it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Apply => "the cluster's objects are applied",
            Self::ControlPlane => "the control plane's machines are nodes",
            Self::Workers => "the workers are nodes, and the cluster is available",
            Self::Hosts => "every given host is used",
            Self::Nginx => "nginx runs in the cluster",
            Self::Service => "nginx answers through its Service",
            Self::Settled => "all that belongs to the cluster runs on every node",
            Self::Upgrade => "the control plane's machines have the new version",
            Self::UpgradeWorkers => "the workers have the new version",
            Self::Replace => "a worker that lost its microVM is replaced",
            Self::Still => "nginx still answers through its Service",
            Self::Delete => "the cluster is gone, and nothing is left on the hosts",
        }
    }

    /// How long it takes: on simulated hosts, and on emulated microVMs on two cores. No promise, only what a spectator may expect.
    #[must_use]
    pub fn expected(self, simulated: bool) -> Duration {
        let (simulated_s, real_s) = match self {
            Self::Apply => (2, 2),
            Self::ControlPlane => (35, 200),
            Self::Workers => (10, 75),
            Self::Hosts | Self::Service => (1, 2),
            Self::Nginx => (2, 50),
            Self::Settled => (1, 2),
            Self::Still => (1, 40),
            Self::Upgrade => (20, 420),
            Self::UpgradeWorkers | Self::Replace => (15, 240),
            Self::Delete => (15, 30),
        };
        Duration::from_secs(if simulated { simulated_s } else { real_s })
    }

    /// What must be looked at.
    #[must_use]
    pub fn wants(self) -> Wants {
        let answer = matches!(self, Self::Service | Self::Still);
        let system = self == Self::Settled;
        Wants { workload: answer || system || self == Self::Nginx, answer, system }
    }

    /// Why it is not gone through at all.
    #[must_use]
    pub fn left_out(self, wish: &Wish) -> Option<&'static str> {
        (matches!(self, Self::Service | Self::Still) && !wish.answers)
            .then_some("no container runs on simulated hosts, so nobody is there to answer")
    }

    /// What comes next.
    #[must_use]
    pub fn next(self, wish: &Wish, seen: &Seen) -> Next {
        match self {
            Self::Apply if seen.applied => Next::Over,
            Self::Apply => Next::Do(Step::Apply),
            Self::ControlPlane => unless(control_plane(wish, &seen.look)),
            Self::Workers => unless(workers(wish, &seen.look)),
            Self::Hosts => unless(hosts(wish, &seen.look)),
            Self::Nginx => nginx(&seen.workload),
            Self::Service | Self::Still => service(&seen.workload),
            Self::Settled => settled(&seen.workload),
            Self::Upgrade => upgrade(wish, &seen.look),
            Self::UpgradeWorkers => upgrade_workers(wish, &seen.look),
            Self::Replace => replace(wish, seen),
            Self::Delete => delete(seen),
        }
    }
}

fn unless(missing: Vec<String>) -> Next {
    if missing.is_empty() { Next::Over } else { Next::Wait(missing) }
}

fn control_plane(wish: &Wish, look: &Look) -> Vec<String> {
    let mut missing: Vec<String> = look.all("MicrovmCluster").filter_map(|cluster| untrue(cluster, "Ready")).collect();
    missing.extend(nodes("control plane machines", look, true, wish.control_plane));
    missing.extend(look.all("KubeadmControlPlane").filter_map(|control_plane| untrue(control_plane, "Available")));
    missing
}

fn workers(wish: &Wish, look: &Look) -> Vec<String> {
    let mut missing = nodes("workers", look, false, wish.workers);
    missing.extend(look.all("MachineDeployment").filter_map(|deployment| untrue(deployment, "Available")));
    missing.extend(look.cluster().and_then(|cluster| untrue(cluster, "Available")));
    missing
}

/// What machines of a role lack of being nodes.
fn nodes(role: &str, look: &Look, control_plane: bool, wanted: usize) -> Vec<String> {
    let found: Vec<&Value> = machines(look, control_plane).collect();
    let number = (found.len() != wanted).then(|| format!("there are {} {role}, not {wanted}", found.len()));
    let lacking = found.iter().flat_map(|machine| {
        let lacks = lacks(machine);
        // Its first trouble says more than what follows from it.
        if lacks.is_empty() { untrue(machine, "Ready").into_iter().collect() } else { lacks }
    });
    number.into_iter().chain(lacking).collect()
}

fn hosts(wish: &Wish, look: &Look) -> Vec<String> {
    let mut missing: Vec<String> = look
        .hosts
        .iter()
        .filter_map(|host| match &host.microvms {
            Err(why) => Some(format!("host {} does not list its microVMs: {why}", host.address)),
            Ok(microvms) if !microvms.iter().any(|microvm| microvm.state == "CREATED") => {
                Some(format!("host {} was given and is not used: it runs no microVM of this cluster", host.address))
            }
            Ok(_) => None,
        })
        .collect();
    let (found, wanted) = (look.microvms().count(), wish.control_plane + wish.workers);
    if missing.is_empty() && found != wanted {
        missing.push(format!("the hosts have {found} microVMs for {wanted} machines"));
    }
    missing
}

fn nginx(workload: &Workload) -> Next {
    match workload {
        Workload::Unasked => Next::Wait(vec!["the cluster was not asked yet".into()]),
        Workload::Silent(why) => Next::Wait(vec![format!("the cluster does not answer: {why}")]),
        Workload::Seen { deployment: None, .. } => Next::Do(Step::Deploy),
        Workload::Seen { deployment: Some(deployment), .. } => {
            let mut missing: Vec<String> = untrue(deployment, "Available").into_iter().collect();
            let (ready, wanted) = (deployment["status"]["readyReplicas"].as_u64().unwrap_or(0), deployment["spec"]["replicas"].as_u64());
            if wanted.is_some_and(|wanted| ready < wanted) {
                missing.push(format!("{}: {ready} of {} pods are ready", named(deployment), wanted.unwrap_or(0)));
            }
            unless(missing)
        }
    }
}

fn service(workload: &Workload) -> Next {
    match workload {
        Workload::Seen { answer: Ok(()), .. } => Next::Over,
        Workload::Seen { answer: Err(why), .. } => Next::Wait(vec![format!("nginx does not answer through its Service: {why}")]),
        Workload::Silent(why) => Next::Wait(vec![format!("the cluster does not answer: {why}")]),
        Workload::Unasked => Next::Wait(vec!["the cluster was not asked yet".into()]),
    }
}

fn settled(workload: &Workload) -> Next {
    match workload {
        Workload::Seen { system, .. } => unless(system.iter().filter_map(unready).collect()),
        Workload::Silent(why) => Next::Wait(vec![format!("the cluster does not answer: {why}")]),
        Workload::Unasked => Next::Wait(vec!["the cluster was not asked yet".into()]),
    }
}

/// How many pods of a Deployment or DaemonSet are missing, if any are.
fn unready(owner: &Value) -> Option<String> {
    let (status, wanted) = (&owner["status"], &owner["spec"]["replicas"]);
    let [wanted, ready] =
        if wanted.is_u64() { [wanted, &status["readyReplicas"]] } else { [&status["desiredNumberScheduled"], &status["numberReady"]] };
    let [wanted, ready] = [wanted, ready].map(|number| number.as_u64().unwrap_or(0));
    (ready < wanted).then(|| format!("{}: {ready} of {wanted} pods are ready", named(owner)))
}

fn upgrade(wish: &Wish, look: &Look) -> Next {
    let version = wish.upgrade.as_deref().unwrap_or_default();
    if look.all("KubeadmControlPlane").any(|owner| owner["spec"]["version"] != version) {
        return Next::Do(Step::Upgrade);
    }
    let mut missing = control_plane(wish, look);
    missing.extend(machines(look, true).flat_map(|machine| other_version(machine, version)));
    unless(missing)
}

fn upgrade_workers(wish: &Wish, look: &Look) -> Next {
    let version = wish.upgrade.as_deref().unwrap_or_default();
    if look.all("MachineDeployment").any(|owner| owner["spec"]["template"]["spec"]["version"] != version) {
        return Next::Do(Step::UpgradeWorkers);
    }
    let mut missing = workers(wish, look);
    missing.extend(machines(look, false).flat_map(|machine| other_version(machine, version)));
    unless(missing)
}

/// What a machine is asked to have, and what its kubelet says of itself.
fn other_version(machine: &Value, version: &str) -> Vec<String> {
    let [asked, runs] =
        [&machine["spec"]["version"], &machine["status"]["nodeInfo"]["kubeletVersion"]].map(|value| value.as_str().unwrap_or("none"));
    let mut missing = Vec::new();
    if asked != version {
        missing.push(format!("{} is of version {asked}, not {version}", named(machine)));
    }
    if runs != asked {
        missing.push(format!("{} has a kubelet of version {runs}, not {asked}", named(machine)));
    }
    missing
}

fn replace(wish: &Wish, seen: &Seen) -> Next {
    let Some(lost) = &seen.lost else { return Next::Do(Step::Lose) };
    let there = machines(&seen.look, false).find(|machine| machine["metadata"]["name"].as_str() == Some(&lost.machine));
    let runs = seen.look.microvms().any(|microvm| microvm.uid == lost.uid && microvm.state == "CREATED");
    // A host starts one whose VMM died again, and its node comes back: it is lost only once that is of no use.
    if runs && there.is_some_and(|machine| machine["metadata"]["deletionTimestamp"].is_null()) {
        return Next::Do(Step::Kill);
    }
    let mut missing: Vec<String> =
        there.map(|machine| format!("{} lost its microVM and is still there", named(machine))).into_iter().collect();
    missing.extend(workers(wish, &seen.look));
    unless(missing)
}

fn delete(seen: &Seen) -> Next {
    let look = &seen.look;
    if look.cluster().is_some_and(|cluster| cluster["metadata"]["deletionTimestamp"].is_null()) {
        return Next::Do(Step::Delete);
    }
    let objects = look.objects.iter().map(|object| {
        let why = ["Deleting", "Ready"].iter().find_map(|kind| condition(object, kind)?["message"].as_str());
        match why.map(|why| why.trim().replace('\n', " ")).filter(|why| !why.is_empty()) {
            Some(why) => format!("{} is still there: {why}", named(object)),
            None => format!("{} is still there", named(object)),
        }
    });
    let hosts = look.hosts.iter().flat_map(|host| match &host.microvms {
        Err(why) => vec![format!("host {} does not list its microVMs: {why}", host.address)],
        Ok(microvms) => {
            let left = |microvm: &MicroVm| {
                format!("host {} still has the microVM {} ({}), {}", host.address, microvm.name, microvm.uid, microvm.state)
            };
            microvms.iter().map(left).collect()
        }
    });
    let missing: Vec<String> = objects.chain(hosts).collect();
    match missing.is_empty() {
        false => Next::Wait(missing),
        true if seen.namespace => Next::Do(Step::DeleteNamespace),
        true => Next::Over,
    }
}

#[cfg(test)]
mod tests;
