use serde::{Deserialize, Serialize};

use super::{CoreObject, CoreSpec, NameReference, ObjectReference, Rest};
use crate::condition::Conditions;
use crate::types::{MachineAddress, ProviderId};

/// A machine: one Node of a cluster.
pub type Machine = CoreObject<MachineSpec>;

/// What a Machine wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineSpec {
    /// The cluster it belongs to.
    pub cluster_name: String,
    /// Where its bootstrap data comes from.
    pub bootstrap: Bootstrap,
    /// Its InfraMachine.
    pub infrastructure_ref: ObjectReference,
    /// The Kubernetes version, with a leading `v`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The provider id, copied by core from the InfraMachine.
    #[serde(rename = "providerID", default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// Where it should be placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_domain: Option<String>,
    /// How long deletion may wait for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<MachineDeletion>,
    /// Taints core puts on the Node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<MachineTaint>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for MachineSpec {
    type Status = MachineStatus;
    const KIND: &str = "Machine";
    const PLURAL: &str = "machines";
}

/// Where a machine's bootstrap data comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The bootstrap provider's object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_ref: Option<ObjectReference>,
    /// The Secret with the data, in the machine's namespace; absent until there is data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_secret_name: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// How long a machine's deletion may wait for what, in seconds; 0 means without limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineDeletion {
    /// For draining the Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_drain_timeout_seconds: Option<i32>,
    /// For volumes to be detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_volume_detach_timeout_seconds: Option<i32>,
    /// For deleting the Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_deletion_timeout_seconds: Option<i32>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A taint core puts on a machine's Node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineTaint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// `Always` or `OnInitialization`.
    pub propagation: String,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What core reports of a Machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// The one-way marks of the first provisioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<MachineInitialization>,
    /// The Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ref: Option<NameReference>,
    /// Addresses, copied from the InfraMachine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<MachineAddress>,
    /// Where it was placed, copied from the InfraMachine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_domain: Option<String>,
    /// A word for people: Pending, Provisioning, Provisioned, Running, Deleting, Failed and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The one-way marks of a machine's (or machine pool's) first provisioning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineInitialization {
    /// The InfraMachine was provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure_provisioned: Option<bool>,
    /// There is bootstrap data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_data_secret_created: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}
