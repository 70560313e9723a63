//! Version `v1alpha1`, as cluster-api-provider-microvm v0.10 serves it; shaped for contract `v1beta1`.
//! [`MicrovmClusterTemplate`], which upstream does not have, is spelt in its way.

#![expect(clippy::duplicated_attributes, reason = "each print column has a type of its own")]

use std::collections::BTreeMap;

use capstead_capi::Contract;
use capstead_capi::crd::ContractKind;
use capstead_capi::types::MachineAddress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::common::*;
use super::v1alpha2;

/// Wants a cluster of microVMs.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha1",
    kind = "MicrovmCluster",
    namespaced,
    derive = "PartialEq",
    status = "MicrovmClusterStatus",
    shortname = "mvmc",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "Host", type_ = "string", priority = 1, json_path = ".spec.controlPlaneEndpoint.host"),
    printcolumn(name = "Port", type_ = "integer", priority = 1, json_path = ".spec.controlPlaneEndpoint.port"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MicrovmClusterSpec {
    /// Where the cluster's API server is reached; needed here, on the Cluster, or by an ExternalLoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_endpoint: Option<ApiEndpoint>,
    /// Who may log in over SSH, on machines that say nothing about it.
    #[serde(rename = "sshPublicKeys", default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_public_keys: Vec<SshPublicKey>,
    /// Where microVMs are placed.
    pub placement: Placement,
    /// The proxy through which the hosts are reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microvm_proxy: Option<Proxy>,
    /// The Secret, in the same namespace, for TLS to the hosts: `ca.crt` of who vouches for them, `tls.crt` and `tls.key` of the client where they ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<String>,
}

/// Where an API server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiEndpoint {
    /// Host name or address; empty while unknown.
    #[schemars(length(max = 512))]
    pub host: String,
    /// Port; 0 while unknown.
    pub port: i32,
}

/// Reports a cluster of microVMs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MicrovmClusterStatus {
    /// Whether machines can be made.
    #[serde(default)]
    pub ready: bool,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The hosts, by endpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failure_domains: BTreeMap<String, FailureDomain>,
}

/// A failure domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureDomain {
    /// Whether control plane machines may be placed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<bool>,
    /// Free attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A condition of contract `v1beta1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 256))]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// How bad it is when False: `Error`, `Warning` or `Info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub severity: Option<String>,
    /// When the status last changed.
    pub last_transition_time: Time,
    /// Why it has this status, in CamelCase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub reason: Option<String>,
    /// Details for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10240))]
    pub message: Option<String>,
}

/// Wants clusters of microVMs alike: of it a ClusterClass makes the MicrovmCluster of each of its Clusters.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha1",
    kind = "MicrovmClusterTemplate",
    namespaced,
    derive = "PartialEq",
    shortname = "mvmct",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmClusterTemplateSpec {
    /// What each clone gets.
    pub template: Template<MicrovmClusterSpec>,
}

/// Wants a microVM.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha1",
    kind = "MicrovmMachine",
    namespaced,
    derive = "PartialEq",
    status = "MicrovmMachineStatus",
    shortname = "mvmm",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.vmState"),
    printcolumn(name = "ProviderID", type_ = "string", json_path = ".spec.providerID"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmMachineSpec {
    /// What the microVM shall be.
    #[serde(flatten)]
    pub vm: VmSpec,
    /// `microvm://<host>/<uid>`, as soon as the microVM is made.
    #[serde(rename = "providerID", default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// Reports a microVM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MicrovmMachineStatus {
    /// Whether the microVM was made.
    #[serde(default)]
    pub ready: bool,
    /// `pending`, `running`, `failed`, `deleted` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_state: Option<String>,
    /// The machine's addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<MachineAddress>,
    /// Why the machine failed for good, in one word; never set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// Why the machine failed for good; never set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Wants microVMs alike.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha1",
    kind = "MicrovmMachineTemplate",
    namespaced,
    derive = "PartialEq",
    shortname = "mvmmt",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmMachineTemplateSpec {
    /// What each clone gets.
    pub template: Template<MicrovmMachineSpec>,
}

/// Names a load balancer that somebody else made for a cluster's API servers. A MicrovmCluster without an endpoint takes this one.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha1",
    kind = "ExternalLoadBalancer",
    namespaced,
    derive = "PartialEq",
    status = "ExternalLoadBalancerStatus",
    shortname = "extlb",
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.endpoint.host"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterName"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "Port", type_ = "integer", priority = 1, json_path = ".spec.endpoint.port"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ExternalLoadBalancerSpec {
    /// Where it is reached.
    pub endpoint: LoadBalancerEndpoint,
    /// The Cluster, in the same namespace, whose control plane is behind it; never another.
    #[schemars(length(min = 1))]
    pub cluster_name: String,
}

/// Reports a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalLoadBalancerStatus {
    /// Whether the cluster is reached through it, and it answers.
    #[serde(default)]
    pub ready: bool,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What each clone of a template gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template<S> {
    /// Labels and annotations of a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// The clone's spec.
    pub spec: S,
}

/// Labels and annotations of a template's clones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

macro_rules! contract_kind {
    ($($kind:ident),*) => {$(
        impl ContractKind for $kind {
            const CONTRACTS: &'static [Contract] = &[Contract::V1Beta1];
            const FINALIZER: &'static str = v1alpha2::$kind::FINALIZER;
        }
    )*};
}

contract_kind!(MicrovmCluster, MicrovmClusterTemplate, MicrovmMachine, MicrovmMachineTemplate);

/// Core never refers to it.
impl ContractKind for ExternalLoadBalancer {
    const CONTRACTS: &'static [Contract] = &[];
    const FINALIZER: &'static str = v1alpha2::ExternalLoadBalancer::FINALIZER;
}
