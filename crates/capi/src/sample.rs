//! A small provider, for tests: each kind the way a provider would write it.

#![expect(clippy::duplicated_attributes, reason = "each print column has a type of its own")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Contract;
use crate::crd::ContractKind;
use crate::provider::{
    InfraCluster, InfraClusterStatus, InfraMachine, InfraMachineStatus, InfraMachineTemplateStatus, InfraObject, InfraTemplate, Template,
    TemplateSpec,
};
use crate::types::{ApiEndpoint, ProviderId};

pub const FINALIZER: &str = "foomachine.infrastructure.example.com";

/// Wants a cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "infrastructure.example.com", version = "v1alpha2", kind = "FooCluster", namespaced, status = "FooClusterStatus")]
#[serde(rename_all = "camelCase")]
pub struct FooClusterSpec {
    /// Where the API server is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_endpoint: Option<ApiEndpoint>,
}

/// Reports a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FooClusterStatus {
    #[serde(flatten)]
    pub contract: InfraClusterStatus,
}

impl ContractKind for FooCluster {
    const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
    const FINALIZER: &'static str = "foocluster.infrastructure.example.com";
}

impl InfraObject for FooCluster {
    type Status = InfraClusterStatus;

    fn contract_status(&self) -> Option<&InfraClusterStatus> {
        Some(&self.status.as_ref()?.contract)
    }

    fn contract_status_mut(&mut self) -> &mut InfraClusterStatus {
        &mut self.status.get_or_insert_default().contract
    }
}

impl InfraCluster for FooCluster {
    fn control_plane_endpoint(&self) -> Option<&ApiEndpoint> {
        self.spec.control_plane_endpoint.as_ref()
    }

    fn set_control_plane_endpoint(&mut self, endpoint: ApiEndpoint) {
        self.spec.control_plane_endpoint = Some(endpoint);
    }
}

/// Wants a machine.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "infrastructure.example.com",
    version = "v1alpha2",
    kind = "FooMachine",
    namespaced,
    status = "FooMachineStatus",
    shortname = "foom",
    category = "foo",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status")
)]
#[serde(rename_all = "camelCase")]
pub struct FooMachineSpec {
    /// The machine's name in the outside world.
    #[serde(rename = "providerID", default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// Virtual processors.
    #[x_kube(validation = Rule::new("self % 2 == 0").message("an even number"))]
    pub vcpu: i32,
}

/// Reports a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FooMachineStatus {
    #[serde(flatten)]
    pub contract: InfraMachineStatus,
    /// The host the machine runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl ContractKind for FooMachine {
    const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
    const FINALIZER: &'static str = FINALIZER;
}

impl InfraObject for FooMachine {
    type Status = InfraMachineStatus;

    fn contract_status(&self) -> Option<&InfraMachineStatus> {
        Some(&self.status.as_ref()?.contract)
    }

    fn contract_status_mut(&mut self) -> &mut InfraMachineStatus {
        &mut self.status.get_or_insert_default().contract
    }
}

impl InfraMachine for FooMachine {
    fn provider_id(&self) -> Option<&ProviderId> {
        self.spec.provider_id.as_ref()
    }

    fn set_provider_id(&mut self, id: ProviderId) {
        self.spec.provider_id = Some(id);
    }
}

/// Wants machines alike.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "infrastructure.example.com",
    version = "v1alpha2",
    kind = "FooMachineTemplate",
    namespaced,
    status = "InfraMachineTemplateStatus"
)]
pub struct FooMachineTemplateSpec {
    #[serde(flatten)]
    pub contract: TemplateSpec<FooMachineSpec>,
}

impl ContractKind for FooMachineTemplate {
    const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
    const FINALIZER: &'static str = "foomachinetemplate.infrastructure.example.com";
}

impl InfraTemplate for FooMachineTemplate {
    type CloneSpec = FooMachineSpec;

    fn template(&self) -> &Template<FooMachineSpec> {
        &self.spec.contract.template
    }
}

/// The machine's first version, shaped for the older contract.
pub mod v1alpha1 {
    use super::*;

    /// Wants a machine.
    #[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[kube(
        group = "infrastructure.example.com",
        version = "v1alpha1",
        kind = "FooMachine",
        namespaced,
        status = "FooMachineStatus",
        deprecated = "use v1alpha2"
    )]
    pub struct FooMachineSpec {
        /// The machine's name in the outside world.
        #[serde(rename = "providerID")]
        pub provider_id: Option<ProviderId>,
    }

    /// Reports a machine.
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub struct FooMachineStatus {
        /// Whether the machine is provisioned.
        #[serde(default)]
        pub ready: bool,
    }

    impl ContractKind for FooMachine {
        const CONTRACTS: &'static [Contract] = &[Contract::V1Beta1];
        const FINALIZER: &'static str = FINALIZER;
    }
}
