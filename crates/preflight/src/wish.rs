//! What kind of host a machine is to be. Both the check and the preparation go by it.

use std::net::Ipv4Addr;
use std::str::FromStr;

pub use ipnet::Ipv4Net;
use serde::Deserialize;
use serde::Serialize;

/// What runs microVMs on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Capstead's own daemon.
    #[default]
    Capstead,
    /// Upstream's flintlockd, with a containerd and a device-mapper thin pool of its own.
    Flintlock,
}

/// How microVMs reach the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Taps on a bridge.
    Bridge,
    /// Macvtaps on a parent interface.
    Macvtap,
    /// By the VMM itself or a LAN without privileges.
    #[default]
    User,
}

/// Where packages come from, written as `manager`, `none`, or a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Packages {
    /// The distribution's package manager.
    #[default]
    Manager,
    /// A folder of `.deb` files on the host; all of them are installed.
    Folder(String),
    /// They are not looked after.
    None,
}

/// It says nowhere that packages could come from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packages come from `manager`, from `none`, or from a folder of the host, as /root/packages; not from {0:?}")]
pub struct PackagesError(String);

impl FromStr for Packages {
    type Err = PackagesError;

    fn from_str(text: &str) -> Result<Self, PackagesError> {
        match text {
            "manager" => Ok(Self::Manager),
            "none" => Ok(Self::None),
            folder if folder.starts_with('/') => Ok(Self::Folder(folder.to_owned())),
            other => Err(PackagesError(other.to_owned())),
        }
    }
}

impl TryFrom<String> for Packages {
    type Error = PackagesError;

    fn try_from(text: String) -> Result<Self, PackagesError> {
        text.parse()
    }
}

impl From<Packages> for String {
    fn from(packages: Packages) -> Self {
        match packages {
            Packages::Manager => "manager".into(),
            Packages::Folder(folder) => folder,
            Packages::None => "none".into(),
        }
    }
}

/// The containerd that belongs to flintlockd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Containerd {
    /// Its unit.
    pub unit: String,
    /// Its configuration.
    pub config: String,
    /// Its socket.
    pub socket: String,
    /// Its folder.
    pub root: String,
    /// The namespace of microVMs.
    pub namespace: String,
    /// The thin pool of its devmapper snapshotter.
    pub pool: String,
    /// Size of the pool's data in GiB, in a sparse file.
    pub pool_gib: u32,
}

impl Default for Containerd {
    fn default() -> Self {
        Self {
            unit: "containerd-dev.service".into(),
            config: "/etc/containerd/config-dev.toml".into(),
            socket: "/run/containerd-dev/containerd.sock".into(),
            root: "/var/lib/containerd-dev".into(),
            namespace: "flintlock".into(),
            pool: "flintlock-dev-thinpool".into(),
            pool_gib: 100,
        }
    }
}

/// The wish. Its default is a host without privileges, as the daemon's own default is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wish {
    /// What runs microVMs.
    pub runtime: Runtime,
    /// How they reach the network.
    pub network: Network,
    /// The bridge for taps.
    pub bridge_name: String,
    /// The parent for macvtaps. For [`Network::Bridge`], an interface that is to be a port of the bridge.
    pub parent_iface: Option<String>,
    /// The microVMs' network. The host has its first address.
    pub subnet: Option<Ipv4Net>,
    /// The host gives addresses of the subnet by DHCP.
    pub dhcp: bool,
    /// The interface through which the subnet reaches the world, by NAT.
    pub nat_via: Option<String>,
    /// A virtual address of the subnet that DHCP leaves alone.
    pub vip: Option<Ipv4Addr>,
    /// Where the daemon serves gRPC.
    pub grpc_endpoint: String,
    /// Further flags of the daemon.
    pub daemon_flags: Vec<String>,
    /// The daemon's program on the host; without it `/usr/local/bin/capstead` or `/usr/local/bin/flintlockd`.
    pub daemon: Option<String>,
    /// Where the daemon keeps its state.
    pub state_dir: String,
    /// Images that are to be there before the first microVM.
    pub images: Vec<String>,
    /// Registries that are asked whether they are reached: hosts, with a port if it is not 443.
    pub registries: Vec<String>,
    /// Where packages come from.
    pub packages: Packages,
    /// The containerd that belongs to flintlockd.
    pub containerd: Containerd,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            runtime: Runtime::default(),
            network: Network::default(),
            bridge_name: "br-mvm".into(),
            parent_iface: None,
            subnet: None,
            dhcp: false,
            nat_via: None,
            vip: None,
            grpc_endpoint: "0.0.0.0:9090".into(),
            daemon_flags: Vec::new(),
            daemon: None,
            state_dir: "/var/lib/flintlock".into(),
            images: Vec::new(),
            registries: Vec::new(),
            packages: Packages::default(),
            containerd: Containerd::default(),
        }
    }
}

/// Who VMMs run as where the daemon is root and nobody says otherwise, if there is such a user.
pub const VMM_USER: &str = "capstead-vmm";

/// The host's own interface on the microVMs' network where they have macvtaps: a parent and its macvtaps do not hear each other, two children do.
pub const MACVTAP_GATEWAY: &str = "capstead-gw";

impl Wish {
    /// The daemon's unit.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.runtime {
            Runtime::Capstead => "capstead-host.service",
            Runtime::Flintlock => "flintlockd.service",
        }
    }

    /// The daemon's program.
    #[must_use]
    pub fn program(&self) -> &str {
        self.daemon.as_deref().unwrap_or(match self.runtime {
            Runtime::Capstead => "/usr/local/bin/capstead",
            Runtime::Flintlock => "/usr/local/bin/flintlockd",
        })
    }

    /// The gRPC port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.grpc_endpoint.rsplit_once(':')?.1.parse().ok()
    }

    /// Whether others than this host are to reach the daemon.
    #[must_use]
    pub fn serves_others(&self) -> bool {
        let host = self.grpc_endpoint.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        !(host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()))
    }

    /// The host's own address in the subnet.
    #[must_use]
    pub fn gateway(&self) -> Option<Ipv4Net> {
        let subnet = self.subnet?;
        Ipv4Net::new(subnet.hosts().next()?, subnet.prefix_len()).ok()
    }

    /// The interface on which the host has that address.
    #[must_use]
    pub fn gateway_link(&self) -> Option<&str> {
        match self.network {
            Network::Bridge => Some(&self.bridge_name),
            Network::Macvtap if self.subnet.is_some() => Some(MACVTAP_GATEWAY),
            Network::Macvtap | Network::User => None,
        }
    }

    /// Kernel modules without which it does not work, by the kernel's names.
    #[must_use]
    pub fn modules(&self) -> Vec<&'static str> {
        let network: &[_] = match self.network {
            Network::Bridge => &["bridge", "tun"],
            Network::Macvtap => &["macvlan", "macvtap"],
            Network::User => &["tun"],
        };
        let runtime: &[_] = if self.runtime == Runtime::Flintlock { &["dm_thin_pool", "loop"] } else { &[] };
        [network, runtime].concat()
    }
}

/// The value of a flag among words of a command: `--name value`, `--name=value`.
pub(crate) fn flag<'a>(words: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let mut words = words.skip_while(|word| word.trim_start_matches('-').split('=').next() != Some(name));
    words.next().and_then(|word| word.split_once('=').map(|(_, value)| value).or_else(|| words.next()))
}

#[cfg(test)]
mod tests;
