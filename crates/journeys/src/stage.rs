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
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 7] = [Self::Apply, Self::ControlPlane, Self::Workers, Self::Hosts, Self::Nginx, Self::Service, Self::Delete];

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
            Self::Delete => "the cluster is gone, and nothing is left on the hosts",
        }
    }

    /// How long it takes: on simulated hosts, and on emulated microVMs on two cores. No promise, only what a spectator may expect.
    #[must_use]
    pub fn expected(self, simulated: bool) -> Duration {
        let (simulated_s, real_s) = match self {
            Self::Apply => (2, 2),
            Self::ControlPlane => (35, 180),
            Self::Workers => (10, 120),
            Self::Hosts | Self::Service => (1, 2),
            Self::Nginx => (2, 30),
            Self::Delete => (15, 30),
        };
        Duration::from_secs(if simulated { simulated_s } else { real_s })
    }

    /// What must be looked at.
    #[must_use]
    pub fn wants(self) -> Wants {
        Wants { workload: matches!(self, Self::Nginx | Self::Service), answer: self == Self::Service }
    }

    /// Why it is not gone through at all.
    #[must_use]
    pub fn left_out(self, wish: &Wish) -> Option<&'static str> {
        (self == Self::Service && !wish.answers).then_some("no container runs on simulated hosts, so nobody is there to answer")
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
            Self::Service => service(&seen.workload),
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
