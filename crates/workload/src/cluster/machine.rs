//! Machines: what they are, what keeps them from their work, and what of that others notice.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::SignedDuration;
use semver::Version;

use crate::etcd::Health;
use crate::guest::kubeadm::Node;

/// What a machine is, beyond its bootstrap data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// How it is reached in its cluster.
    pub address: IpAddr,
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// `status.nodeInfo.systemUUID`, or whatever tells machines apart.
    pub uuid: String,
}

/// A machine, by what its maker calls it.
pub type MachineId = String;

/// What keeps a machine from its work, although it is not down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// It does not run.
    pub off: bool,
    /// It runs, but nobody in its cluster hears it.
    pub cut_off: bool,
    /// Of its member of etcd.
    pub etcd: Health,
}

/// What befalls a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// A machine that is not named has none.
    pub machines: BTreeMap<MachineId, Trouble>,
    /// How far its clocks are ahead.
    pub clock: SignedDuration,
}

/// A machine that has joined.
#[derive(Debug)]
pub struct Machine {
    pub node: Node,
    pub host: Host,
    pub kubelet: Version,
    pub control_plane: Option<u16>,
    pub member: Option<u64>,
    pub pod_cidr: Option<String>,
    pub up: bool,
    /// It never comes back.
    pub gone: bool,
    pub trouble: Trouble,
    /// What its kubelet last found of its member of etcd.
    pub well: bool,
    /// Counts how often it was heard no more and again, so that what was settled before does not come to pass after.
    pub round: u64,
}

impl Machine {
    /// Its kubelet and its API server work, as far as its cluster can tell.
    pub fn heard(&self) -> bool {
        self.up && !self.trouble.off && !self.trouble.cut_off
    }

    /// How its member of etcd is.
    pub fn health(&self) -> Health {
        if !self.up || self.trouble.off {
            Health::Stopped
        } else if self.trouble.cut_off {
            Health::Isolated
        } else {
            self.trouble.etcd
        }
    }
}

/// Where peers and clients reach a member.
pub fn urls(host: &Host) -> (Vec<String>, Vec<String>) {
    (vec![url(host, 2380)], vec![url(host, 2379)])
}

/// Where a port of a machine is.
pub fn url(host: &Host, port: u16) -> String {
    format!("https://{}", std::net::SocketAddr::new(host.address, port))
}
