//! The inside of one guest that is to be a node, as one value.

mod questions;
mod read;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use capstead_preflight::machine::Unknown;
use capstead_preflight::observe::Seen;
use ipnet::IpNet;

use crate::finding::Evidence;
use crate::picture::Log;

pub use questions::questions;
pub use read::console;
pub use read::read;

/// What is known of a guest before it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// As people call it.
    pub name: String,
    /// The microVM's uid; empty where it is not known.
    pub uid: String,
    /// It is a Machine of a cluster, so it is to become a node.
    pub machine: bool,
    /// What its kubelet shall be told to be.
    pub provider_id: Option<String>,
    /// The control plane's address.
    pub vip: Option<IpAddr>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted.
    pub mount: String,
    /// Its size in KiB.
    pub size: u64,
    /// What is free of it in KiB.
    pub free: u64,
    /// Used inodes in percent; `None` where there is no such limit.
    pub inodes: Option<u8>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: String,
    /// It is a wire of its own: no loopback, no bridge, no pod's end.
    pub wire: bool,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
}

/// A systemd unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// There is such a unit.
    pub loaded: bool,
    /// `active`, `activating`, `failed`, …
    pub active: String,
    /// Why it ended.
    pub result: String,
    /// How often systemd started it anew.
    pub restarts: u32,
}

/// What cloud-init says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudInit {
    /// The stage that runs now.
    pub stage: Option<String>,
    /// All stages are through.
    pub done: bool,
    /// Where it has its data from.
    pub datasource: String,
    /// By stage, what went wrong.
    pub errors: Vec<(String, String)>,
}

/// The newest container of its name in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its pod.
    pub pod: String,
    /// Its own name.
    pub name: String,
    /// How often it was started anew.
    pub attempt: u64,
    /// It runs.
    pub running: bool,
}

/// What came of asking for an API's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `HOST:PORT`.
    pub address: String,
    /// The status of HTTP, or why there is none.
    pub answer: Result<u16, String>,
}

/// The node as its API server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// It is Ready.
    pub ready: bool,
    /// What its condition says.
    pub message: String,
    /// What it says to be.
    pub provider_id: String,
}

/// Everything that was seen in a guest. Its texts hold no secrets any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What was known before.
    pub subject: Subject,
    /// How it was looked at, for a person.
    pub by: String,
    /// It was asked itself; else there is only its console.
    pub inside: bool,
    /// By how many seconds its clock is ahead of ours.
    pub clock_ahead: Seen<i64>,
    /// For how many seconds it has run.
    pub uptime: Seen<u64>,
    /// Its file systems.
    pub disks: Seen<Vec<FileSystem>>,
    /// Its interfaces.
    pub links: Seen<Vec<Link>>,
    /// Servers of names that it asks.
    pub nameservers: Seen<Vec<String>>,
    /// The control plane's address as it was told.
    pub endpoint: Seen<String>,
    /// Whether that name means an address to it; `None` where it is no name.
    pub endpoint_resolves: Option<bool>,
    /// The MAC of who has the control plane's address on its network.
    pub vip_neighbour: Option<String>,
    /// The API server on it, where there is to be one.
    pub local_api: Option<Asked>,
    /// The API at the control plane's address.
    pub endpoint_api: Option<Asked>,
    /// Its units.
    pub units: BTreeMap<String, Unit>,
    /// cloud-init.
    pub cloud_init: Seen<CloudInit>,
    /// Cluster API's mark that kubeadm came to its end is there.
    pub bootstrapped: Seen<bool>,
    /// Names of its static pods' files.
    pub manifests: Seen<BTreeSet<String>>,
    /// Its containers.
    pub containers: Seen<Vec<Container>>,
    /// Names of its CNI's configuration files.
    pub cni: Seen<Vec<String>>,
    /// What the kubelet's flags say that it is.
    pub kubelet_provider_id: Option<String>,
    /// What its API server has of it.
    pub registered: Seen<Registered>,
    /// What it wrote.
    pub logs: Vec<Log>,
}

impl Node {
    /// Nothing is known.
    #[must_use]
    pub fn new(subject: Subject, by: &str) -> Self {
        fn unknown<T>() -> Seen<T> {
            Err(Unknown("it was not asked".into()))
        }
        Self {
            subject,
            by: by.to_owned(),
            inside: false,
            clock_ahead: unknown(),
            uptime: unknown(),
            disks: unknown(),
            links: unknown(),
            nameservers: unknown(),
            endpoint: unknown(),
            endpoint_resolves: None,
            vip_neighbour: None,
            local_api: None,
            endpoint_api: None,
            units: BTreeMap::new(),
            cloud_init: unknown(),
            bootstrapped: unknown(),
            manifests: unknown(),
            containers: unknown(),
            cni: unknown(),
            kubelet_provider_id: None,
            registered: unknown(),
            logs: Vec::new(),
        }
    }

    /// It is a node, and Ready: what its logs complain of has passed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.registered.as_ref().is_ok_and(|registered| registered.ready)
    }

    /// Whether it is to be a node: it is a Machine, or kubeadm or its files are there.
    #[must_use]
    pub fn is_to_be_node(&self) -> bool {
        self.subject.machine || self.manifests.is_ok() || self.units.get("kubelet").is_some_and(|unit| unit.loaded)
    }

    /// Whether an API server is to run on it.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.manifests.as_ref().is_ok_and(|manifests| manifests.contains("kube-apiserver"))
    }

    /// The control plane's address: as its Cluster says, else as it was told.
    #[must_use]
    pub fn vip(&self) -> Option<IpAddr> {
        self.subject.vip.or_else(|| host(self.endpoint.as_deref().ok()?).parse().ok())
    }

    /// Lines of logs whose source holds `source` that hold one of these texts, the newest first; those that say the same are told once.
    #[must_use]
    pub fn lines(&self, source: &str, texts: &[&str]) -> Vec<Evidence> {
        self.matching(source, |line| texts.iter().any(|text| line.contains(text)))
    }

    /// The same by any rule.
    #[must_use]
    pub fn matching(&self, source: &str, wanted: impl Fn(&str) -> bool) -> Vec<Evidence> {
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for log in self.logs.iter().filter(|log| log.source.contains(source) || log.source.starts_with(CONSOLE)) {
            for line in log.lines.iter().rev().filter(|line| wanted(line)) {
                // Times and process ids differ from one to the next.
                let shape: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
                if known.insert(shape) {
                    found.push(Evidence { source: log.source.clone(), said: line.trim().to_owned() });
                }
                if found.len() >= MOST_LINES {
                    return found;
                }
            }
        }
        found
    }

    /// The last lines of a log, the oldest first.
    #[must_use]
    pub fn last(&self, source: &str, count: usize) -> Vec<Evidence> {
        let Some(log) = self.logs.iter().rfind(|log| log.source.contains(source)) else { return Vec::new() };
        let last: Vec<&String> = log.lines.iter().rev().filter(|line| !line.trim().is_empty()).take(count).collect();
        last.into_iter().rev().map(|line| Evidence { source: log.source.clone(), said: line.trim().to_owned() }).collect()
    }
}

/// What a console's source begins with: anybody may have written there.
const CONSOLE: &str = "console of ";
/// Most lines that speak for one cause.
const MOST_LINES: usize = 12;

/// The host of `HOST:PORT`.
pub(crate) fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']'])
}

#[cfg(test)]
pub(crate) mod tests;
