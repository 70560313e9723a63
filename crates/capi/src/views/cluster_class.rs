use serde::{Deserialize, Serialize};

use super::{CoreObject, CoreSpec, Rest, VersionedReference};

/// A class of clusters: templates and the variables that fill them.
pub type ClusterClass = CoreObject<ClusterClassSpec>;

/// What a ClusterClass is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterClassSpec {
    /// The InfraClusterTemplate.
    pub infrastructure: ClassTemplate,
    /// The control plane.
    pub control_plane: ControlPlaneClass,
    /// The classes of workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersClass>,
    /// All other fields, among them variables and patches.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for ClusterClassSpec {
    type Status = Rest;
    const KIND: &str = "ClusterClass";
    const PLURAL: &str = "clusterclasses";
}

/// A template of a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassTemplate {
    /// The template.
    pub template_ref: VersionedReference,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The control plane of a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneClass {
    /// The control plane template.
    pub template_ref: VersionedReference,
    /// The InfraMachineTemplate of control plane machines, when the control plane has machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_infrastructure: Option<ClassTemplate>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The classes of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkersClass {
    /// Classes of MachineDeployments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine_deployments: Vec<WorkerClass>,
    /// Classes of MachinePools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine_pools: Vec<WorkerClass>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A class of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerClass {
    /// The class's name.
    pub class: String,
    /// The bootstrap template.
    pub bootstrap: ClassTemplate,
    /// The InfraMachineTemplate or InfraMachinePoolTemplate.
    pub infrastructure: ClassTemplate,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}
