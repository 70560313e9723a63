//! What both versions share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wants a microVM, but for its providerID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmSpec {
    /// The host's VMM: `firecracker` or `cloudhypervisor`, or any other the host knows. The host chooses when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Number of virtual CPUs.
    #[schemars(range(min = 1))]
    pub vcpu: i64,
    /// Memory in MiB.
    #[schemars(range(min = 1024))]
    pub memory_mb: i64,
    /// The disk with the operating system.
    pub root_volume: Volume,
    /// More disks and shared folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The kernel to boot.
    pub kernel: ContainerFile,
    /// Additions to the kernel's command line; an empty value adds the bare name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kernel_cmdline: BTreeMap<String, String>,
    /// The initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<ContainerFile>,
    /// The guest's network interfaces.
    #[schemars(length(min = 1))]
    pub network_interfaces: Vec<NetworkInterface>,
    /// Labels of the microVM at its host; flintlock up to v0.11.0 drops them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who may log in over SSH; instead of, not besides, what the MicrovmCluster says.
    #[serde(rename = "sshPublicKeys", default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_public_keys: Vec<SshPublicKey>,
}

/// A disk or a shared folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name, unique in the microVM.
    pub id: String,
    /// The OCI image with the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether the guest may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// Where the guest mounts it; the root volume is mounted at `/` whatever this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_point: Option<String>,
    /// A folder of the host that is shared with the guest by virtiofs, instead of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtiofs_path: Option<String>,
}

/// A file in an OCI image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerFile {
    /// The image's reference.
    pub image: String,
    /// The file's path in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A network interface of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// The guest's name for it, such as `eth1`.
    pub guest_device_name: String,
    /// Its MAC address; one is made when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<String>,
    /// How the host attaches it to its network.
    #[serde(rename = "type")]
    pub type_: InterfaceType,
    /// A static address in CIDR notation; by DHCP when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// How a host attaches an interface to its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum InterfaceType {
    /// On the parent interface; not with Firecracker (flintlock v0.7.0 and later).
    Macvtap,
    /// In the host's bridge.
    Tap,
}

/// Who may log in over SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshPublicKey {
    /// The guest's user.
    pub user: String,
    /// The user's public keys, as lines of `authorized_keys`.
    pub authorized_keys: Vec<String>,
}

/// Where microVMs are placed: exactly one option.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// A fixed set of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_pool: Option<StaticPool>,
}

/// A fixed set of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticPool {
    /// The hosts; each is a failure domain of the cluster.
    #[schemars(length(min = 1))]
    pub hosts: Vec<Host>,
    /// The Secret, in the same namespace, with the hosts' basic auth tokens: the key is a host's name or address without port, with dashes for the colons of an IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth_secret: Option<String>,
    /// How a host is chosen for a machine whose Machine names no failure domain: `Hash` when absent. A host that does not answer is avoided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// How a host is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Strategy {
    /// By checksum of the machine's name.
    #[default]
    Hash,
    /// Where there are fewest machines; control planes of a cluster on different hosts first of all.
    Spread,
    /// Where there are most machines, up to the host's `maxMicrovms`.
    Pack,
}

/// A host that speaks the flintlock protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// A word for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its gRPC API is reached, as `HOST:PORT`; also the name of the failure domain.
    pub endpoint: String,
    /// Whether control plane machines may be placed here.
    #[serde(rename = "controlplaneAllowed", default = "yes")]
    pub controlplane_allowed: bool,
    /// The most machines that are placed here; as many as come, when absent.
    #[serde(rename = "maxMicrovms", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_microvms: Option<i32>,
}

/// An HTTP CONNECT proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proxy {
    /// Its URL, of which host and port count.
    pub endpoint: String,
}

/// Where a load balancer is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadBalancerEndpoint {
    /// Host name or address.
    #[schemars(length(min = 1, max = 512))]
    pub host: String,
    /// Port.
    #[serde(default = "api_port")]
    #[schemars(with = "i32", range(min = 1, max = 65535))]
    pub port: u16,
}

fn api_port() -> u16 {
    6443
}

fn yes() -> bool {
    true
}
