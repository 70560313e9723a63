use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine's address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MachineAddressType {
    /// The machine's host name.
    Hostname,
    /// An address reached from outside the cluster's network.
    #[serde(rename = "ExternalIP")]
    ExternalIp,
    /// An address reached inside the cluster's network.
    #[serde(rename = "InternalIP")]
    InternalIp,
    /// A DNS name reached from outside the cluster's network.
    #[serde(rename = "ExternalDNS")]
    ExternalDns,
    /// A DNS name reached inside the cluster's network.
    #[serde(rename = "InternalDNS")]
    InternalDns,
}

impl MachineAddressType {
    /// The names the contract knows.
    pub const NAMES: [&'static str; 5] = ["Hostname", "ExternalIP", "InternalIP", "ExternalDNS", "InternalDNS"];
}

/// An address of a machine, as in `status.addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct MachineAddress {
    /// What the address is.
    #[serde(rename = "type")]
    pub type_: MachineAddressType,
    /// The address, 1 to 256 characters.
    #[schemars(length(min = 1, max = 256))]
    pub address: String,
}

impl MachineAddress {
    /// An address of this type.
    #[must_use]
    pub fn new(type_: MachineAddressType, address: impl Into<String>) -> Self {
        Self { type_, address: address.into() }
    }
}
