use serde::{Deserialize, Serialize};

use super::{CoreObject, CoreSpec, ObjectReference, Rest};
use crate::condition::Conditions;
use crate::types::{ApiEndpoint, FailureDomains};

/// A cluster.
pub type Cluster = CoreObject<ClusterSpec>;

/// What a Cluster wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Pauses every controller of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Networks of the workload cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_network: Option<ClusterNetwork>,
    /// Where the API server is reached: set by the user, or copied by core from the InfraCluster or the control plane.
    #[serde(default, skip_serializing_if = "ApiEndpoint::is_unset")]
    pub control_plane_endpoint: ApiEndpoint,
    /// The control plane object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_ref: Option<ObjectReference>,
    /// The InfraCluster. Without one the cluster's infrastructure counts as provisioned at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure_ref: Option<ObjectReference>,
    /// The ClusterClass the cluster is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl CoreSpec for ClusterSpec {
    type Status = ClusterStatus;
    const KIND: &str = "Cluster";
    const PLURAL: &str = "clusters";
}

/// Networks of a workload cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNetwork {
    /// The port the API server should bind to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_server_port: Option<u16>,
    /// Ranges of Service addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<NetworkRanges>,
    /// Ranges of Pod addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<NetworkRanges>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Ranges of addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRanges {
    /// The ranges, in CIDR notation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cidr_blocks: Vec<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The ClusterClass of a cluster and what it asks of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// The ClusterClass.
    pub class_ref: ClusterClassRef,
    /// The Kubernetes version, with a leading `v`.
    pub version: String,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A reference to a ClusterClass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterClassRef {
    /// Its name.
    pub name: String,
    /// Its namespace, when another than the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What core reports of a Cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// The one-way marks of the first provisioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<ClusterInitialization>,
    /// Failure domains, copied from the InfraCluster.
    #[serde(default, skip_serializing_if = "FailureDomains::is_empty")]
    pub failure_domains: FailureDomains,
    /// A word for people: Pending, Provisioning, Provisioned, Deleting, Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The one-way marks of a cluster's first provisioning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInitialization {
    /// The InfraCluster was provisioned; machines may be made from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure_provisioned: Option<bool>,
    /// The control plane takes requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_initialized: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Cluster {
    /// Whether core has seen the infrastructure provisioned; InfraMachines wait for it.
    #[must_use]
    pub fn infrastructure_provisioned(&self) -> bool {
        self.initialization().is_some_and(|marks| marks.infrastructure_provisioned == Some(true))
    }

    /// Whether the control plane has once taken requests.
    #[must_use]
    pub fn control_plane_initialized(&self) -> bool {
        self.initialization().is_some_and(|marks| marks.control_plane_initialized == Some(true))
    }

    fn initialization(&self) -> Option<&ClusterInitialization> {
        self.status.as_ref()?.initialization.as_ref()
    }
}
