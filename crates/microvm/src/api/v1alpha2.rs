//! Version `v1alpha2`, in which objects are stored; shaped for contract `v1beta2`.

#![expect(clippy::duplicated_attributes, reason = "each print column has a type of its own")]

use capstead_capi::Contract;
use capstead_capi::condition::Conditions;
use capstead_capi::crd::ContractKind;
use capstead_capi::provider::{
    InfraCluster, InfraClusterStatus, InfraMachine, InfraMachineStatus, InfraMachineTemplateStatus, InfraObject, InfraTemplate, Template,
    TemplateSpec,
};
use capstead_capi::types::{ApiEndpoint, ProviderId};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::common::*;

/// Wants a cluster of microVMs.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha2",
    kind = "MicrovmCluster",
    namespaced,
    derive = "PartialEq",
    status = "MicrovmClusterStatus",
    shortname = "mvmc",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Provisioned", type_ = "boolean", priority = 1, json_path = ".status.initialization.provisioned"),
    printcolumn(name = "Host", type_ = "string", priority = 1, json_path = ".spec.controlPlaneEndpoint.host"),
    printcolumn(name = "Port", type_ = "integer", priority = 1, json_path = ".spec.controlPlaneEndpoint.port"),
    printcolumn(name = "Message", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type=='Ready')].message"),
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

/// Reports a cluster of microVMs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MicrovmClusterStatus {
    /// What the contract reads.
    #[serde(flatten)]
    pub contract: InfraClusterStatus,
}

/// Wants clusters of microVMs alike: of it a ClusterClass makes the MicrovmCluster of each of its Clusters.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha2",
    kind = "MicrovmClusterTemplate",
    namespaced,
    derive = "PartialEq",
    shortname = "mvmct",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmClusterTemplateSpec {
    /// What each clone gets.
    #[serde(flatten)]
    pub contract: TemplateSpec<MicrovmClusterSpec>,
}

/// Wants a microVM.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha2",
    kind = "MicrovmMachine",
    namespaced,
    derive = "PartialEq",
    status = "MicrovmMachineStatus",
    shortname = "mvmm",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.vmState"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.failureDomain"),
    printcolumn(name = "ProviderID", type_ = "string", priority = 1, json_path = ".spec.providerID"),
    printcolumn(name = "Message", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type=='Ready')].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmMachineSpec {
    /// What the microVM shall be.
    #[serde(flatten)]
    pub vm: VmSpec,
    /// `microvm://<host>/<uid>`, as soon as the microVM is made.
    #[serde(rename = "providerID", default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
}

/// Reports a microVM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MicrovmMachineStatus {
    /// What the contract reads.
    #[serde(flatten)]
    pub contract: InfraMachineStatus,
    /// What the host says of the microVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_state: Option<VmState>,
}

/// What a host says of a microVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum VmState {
    /// It is being made.
    Pending,
    /// It was started. That it booted is not known.
    Running,
    /// It will never run.
    Failed,
    /// It is being deleted, or is.
    Deleted,
    /// It cannot be told.
    Unknown,
}

/// Wants microVMs alike.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha2",
    kind = "MicrovmMachineTemplate",
    namespaced,
    derive = "PartialEq",
    status = "MicrovmMachineTemplateStatus",
    shortname = "mvmmt",
    printcolumn(name = "vCPU", type_ = "integer", json_path = ".spec.template.spec.vcpu"),
    printcolumn(name = "MemoryMb", type_ = "integer", json_path = ".spec.template.spec.memoryMb"),
    printcolumn(name = "Image", type_ = "string", priority = 1, json_path = ".spec.template.spec.rootVolume.image"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct MicrovmMachineTemplateSpec {
    /// What each clone gets.
    #[serde(flatten)]
    pub contract: TemplateSpec<MicrovmMachineSpec>,
}

/// Reports what a microVM of the template offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MicrovmMachineTemplateStatus {
    /// What the contract and the cluster autoscaler read.
    #[serde(flatten)]
    pub contract: InfraMachineTemplateStatus,
}

/// Names a load balancer that somebody else made for a cluster's API servers. A MicrovmCluster without an endpoint takes this one.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "infrastructure.cluster.x-k8s.io",
    version = "v1alpha2",
    kind = "ExternalLoadBalancer",
    namespaced,
    derive = "PartialEq",
    status = "ExternalLoadBalancerStatus",
    shortname = "extlb",
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.endpoint.host"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterName"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Port", type_ = "integer", priority = 1, json_path = ".spec.endpoint.port"),
    printcolumn(name = "Message", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type=='Ready')].message"),
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
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
}

impl ExternalLoadBalancer {
    /// Where it is reached.
    #[must_use]
    pub fn endpoint(&self) -> ApiEndpoint {
        ApiEndpoint { host: self.spec.endpoint.host.clone(), port: self.spec.endpoint.port }
    }
}

macro_rules! contract_kind {
    ($($kind:ident = $finalizer:literal),*) => {$(
        impl ContractKind for $kind {
            const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
            const FINALIZER: &'static str = $finalizer;
        }
    )*};
}

contract_kind!(
    MicrovmCluster = "microvmcluster.infrastructure.cluster.x-k8s.io",
    MicrovmClusterTemplate = "microvmclustertemplate.infrastructure.cluster.x-k8s.io",
    MicrovmMachine = "microvmmachine.infrastructure.cluster.x-k8s.io",
    MicrovmMachineTemplate = "microvmmachinetemplate.infrastructure.cluster.x-k8s.io"
);

/// Core never refers to it. It owns nothing outside, so nothing ever keeps it.
impl ContractKind for ExternalLoadBalancer {
    const CONTRACTS: &'static [Contract] = &[];
    const FINALIZER: &'static str = "externalloadbalancer.infrastructure.cluster.x-k8s.io";
}

macro_rules! infra_object {
    ($($kind:ident: $status:ident),*) => {$(
        impl InfraObject for $kind {
            type Status = $status;

            fn contract_status(&self) -> Option<&$status> {
                Some(&self.status.as_ref()?.contract)
            }

            fn contract_status_mut(&mut self) -> &mut $status {
                &mut self.status.get_or_insert_default().contract
            }
        }
    )*};
}

infra_object!(MicrovmCluster: InfraClusterStatus, MicrovmMachine: InfraMachineStatus);

impl InfraCluster for MicrovmCluster {
    fn control_plane_endpoint(&self) -> Option<&ApiEndpoint> {
        self.spec.control_plane_endpoint.as_ref()
    }

    fn set_control_plane_endpoint(&mut self, endpoint: ApiEndpoint) {
        self.spec.control_plane_endpoint = Some(endpoint);
    }
}

impl InfraMachine for MicrovmMachine {
    fn provider_id(&self) -> Option<&ProviderId> {
        self.spec.provider_id.as_ref()
    }

    fn set_provider_id(&mut self, id: ProviderId) {
        self.spec.provider_id = Some(id);
    }
}

macro_rules! infra_template {
    ($($kind:ident: $spec:ident),*) => {$(
        impl InfraTemplate for $kind {
            type CloneSpec = $spec;

            fn template(&self) -> &Template<$spec> {
                &self.spec.contract.template
            }
        }
    )*};
}

infra_template!(MicrovmClusterTemplate: MicrovmClusterSpec, MicrovmMachineTemplate: MicrovmMachineSpec);
