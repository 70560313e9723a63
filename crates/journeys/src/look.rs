//! What is seen of a cluster: its objects on the management cluster, and the microVMs on its hosts.

use serde::Serialize;
use serde_json::Value;

/// Everything there is to see, at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The Cluster and what belongs to it, each with its kind.
    pub objects: Vec<Value>,
    /// The hosts, in the order in which they were given.
    pub hosts: Vec<Host>,
}

/// A flintlock host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `HOST:PORT`.
    pub address: String,
    /// What it lists of the cluster's namespace, or why it does not.
    pub microvms: Result<Vec<MicroVm>, String>,
}

/// A microVM as its host tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MicroVm {
    /// What the host names it by.
    pub uid: String,
    /// Its MicrovmMachine.
    pub name: String,
    /// `CREATED` is running.
    pub state: String,
}

impl Look {
    /// The Cluster, where there is one.
    #[must_use]
    pub fn cluster(&self) -> Option<&Value> {
        self.objects.iter().find(|object| object["kind"] == "Cluster")
    }

    /// All objects of a kind.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The microVMs of all hosts that told of theirs.
    pub fn microvms(&self) -> impl Iterator<Item = &MicroVm> {
        self.hosts.iter().filter_map(|host| host.microvms.as_ref().ok()).flatten()
    }
}
