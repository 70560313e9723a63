use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use super::{CoreObject, CoreSpec, MachineInitialization, MachineSpec, Rest, VersionedReference};
use crate::condition::Conditions;
use crate::types::ProviderId;

/// A set of alike machines.
pub type MachineSet = CoreObject<MachineSetSpec>;
/// A rolling-out set of alike machines.
pub type MachineDeployment = CoreObject<MachineDeploymentSpec>;
/// A pool of machines the infrastructure itself scales.
pub type MachinePool = CoreObject<MachinePoolSpec>;
/// A check that has unhealthy machines replaced.
pub type MachineHealthCheck = CoreObject<MachineHealthCheckSpec>;

/// What the machines of a set are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineTemplate {
    /// The machines' spec.
    pub spec: MachineSpec,
    /// All other fields, among them `metadata` with labels and annotations.
    #[serde(flatten)]
    pub rest: Rest,
}

/// How many machines there are in which state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// All machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Machines whose Ready condition is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Machines whose Available condition is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
    /// Machines whose UpToDate condition is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date_replicas: Option<i32>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What a MachineSet wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineSetSpec {
    /// The cluster it belongs to.
    pub cluster_name: String,
    /// How many machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// What each machine is made from.
    pub template: MachineTemplate,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for MachineSetSpec {
    type Status = ReplicaStatus;
    const KIND: &str = "MachineSet";
    const PLURAL: &str = "machinesets";
}

/// What a MachineDeployment wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineDeploymentSpec {
    /// The cluster it belongs to.
    pub cluster_name: String,
    /// How many machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// What each machine is made from.
    pub template: MachineTemplate,
    /// Whether rolling out is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for MachineDeploymentSpec {
    type Status = ReplicaStatus;
    const KIND: &str = "MachineDeployment";
    const PLURAL: &str = "machinedeployments";
}

/// What a MachinePool wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachinePoolSpec {
    /// The cluster it belongs to.
    pub cluster_name: String,
    /// How many machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// What the machines are made from; `infrastructureRef` is the InfraMachinePool.
    pub template: MachineTemplate,
    /// The machines' provider ids, copied from the InfraMachinePool.
    #[serde(rename = "providerIDList", default, skip_serializing_if = "Vec::is_empty")]
    pub provider_id_list: Vec<ProviderId>,
    /// Where machines should be placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_domains: Vec<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for MachinePoolSpec {
    type Status = MachinePoolStatus;
    const KIND: &str = "MachinePool";
    const PLURAL: &str = "machinepools";
}

/// What core reports of a MachinePool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachinePoolStatus {
    /// The marks of provisioning. Here `infrastructureProvisioned` can turn false again: it follows the InfraMachinePool's `status.ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<MachineInitialization>,
    /// Conditions and counts.
    #[serde(flatten)]
    pub replicas: ReplicaStatus,
}

/// What a MachineHealthCheck wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineHealthCheckSpec {
    /// The cluster whose machines it checks.
    pub cluster_name: String,
    /// The machines it checks.
    pub selector: LabelSelector,
    /// What becomes of unhealthy machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<HealthCheckRemediation>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for MachineHealthCheckSpec {
    type Status = Rest;
    const KIND: &str = "MachineHealthCheck";
    const PLURAL: &str = "machinehealthchecks";
}

/// What becomes of unhealthy machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRemediation {
    /// A provider's remediation template, cloned per unhealthy machine; without one the Machine is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<VersionedReference>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}
