use serde::{Deserialize, Serialize};

use super::{CoreObject, CoreSpec, NameReference, ObjectReference, Rest};
use crate::condition::Conditions;
use crate::meta;

/// A claim for one IP address of a pool; one per address family.
pub type IpAddressClaim = CoreObject<IpAddressClaimSpec>;
/// An IP address handed out for a claim.
pub type IpAddress = CoreObject<IpAddressSpec>;

/// What an IPAddressClaim wants; immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddressClaimSpec {
    /// The cluster the address is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// The pool to take it from.
    pub pool_ref: ObjectReference,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for IpAddressClaimSpec {
    type Status = IpAddressClaimStatus;
    const GROUP: &str = meta::IPAM_GROUP;
    const KIND: &str = "IPAddressClaim";
    const PLURAL: &str = "ipaddressclaims";
}

/// What the IPAM provider reports of an IPAddressClaim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddressClaimStatus {
    /// Conditions; Ready is false with reason AllocationFailed, PoolNotReady or PoolExhausted.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// The IPAddress, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_ref: Option<NameReference>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// An address and what it was taken from; immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddressSpec {
    /// The claim it was made for.
    pub claim_ref: NameReference,
    /// The pool it was taken from.
    pub pool_ref: ObjectReference,
    /// The address.
    pub address: String,
    /// The length of the network's prefix, 0 to 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<i32>,
    /// The network's gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for IpAddressSpec {
    type Status = Rest;
    const GROUP: &str = meta::IPAM_GROUP;
    const KIND: &str = "IPAddress";
    const PLURAL: &str = "ipaddresses";
}
