//! Typed access to a provider's own kinds.
//!
//! A provider flattens the contract's status into its own and implements one small trait per kind; life cycles then work on any provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Conditions, Report};
use crate::crd::ContractKind;
use crate::meta;
use crate::types::{ApiEndpoint, Capacity, FailureDomains, MachineAddress, NodeInfo, ProviderId};

mod template;

pub use template::{InfraTemplate, Template, TemplateMetadata, TemplateSpec};

/// The marks of an infrastructure object's first provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct Initialization {
    /// Whether the infrastructure was once fully provisioned. Core takes it over when true and never takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<bool>,
}

/// What contract `v1beta2` reads from an InfraCluster's status; to be flattened into the provider's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraClusterStatus {
    /// The marks of the first provisioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<Initialization>,
    /// All failure domains, at every write: core empties its list when they are missing.
    #[serde(default, skip_serializing_if = "FailureDomains::is_empty")]
    pub failure_domains: FailureDomains,
    /// Conditions; Ready becomes the Cluster's InfrastructureReady.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
}

/// What contract `v1beta2` reads from an InfraMachine's status; to be flattened into the provider's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraMachineStatus {
    /// The marks of the first provisioning. Core goes on only with `spec.providerID` set as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<Initialization>,
    /// Where the machine was placed, 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub failure_domain: Option<String>,
    /// The machine's addresses, at most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub addresses: Vec<MachineAddress>,
    /// Conditions; Ready becomes the Machine's InfrastructureReady.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
}

/// What the cluster autoscaler reads from an InfraMachineTemplate's status to scale from zero; to be flattened into the provider's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraMachineTemplateStatus {
    /// What a machine of the template offers.
    #[serde(default, skip_serializing_if = "Capacity::is_empty")]
    pub capacity: Capacity,
    /// What a node of the template will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_info: Option<NodeInfo>,
}

/// What InfraClusters and InfraMachines share: marks and conditions.
pub trait InfraStatus: Default {
    /// The marks of the first provisioning.
    fn initialization(&self) -> Option<&Initialization>;
    /// The same, to be written.
    fn initialization_mut(&mut self) -> &mut Option<Initialization>;
    /// The conditions.
    fn conditions(&self) -> &Conditions;
    /// The same, to be written.
    fn conditions_mut(&mut self) -> &mut Conditions;
}

/// An infrastructure object with a life cycle: an InfraCluster or InfraMachine.
pub trait InfraObject: ContractKind {
    /// The contract's part of the status.
    type Status: InfraStatus;

    /// The contract's part of the status; `None` before anything was reported.
    fn contract_status(&self) -> Option<&Self::Status>;

    /// The contract's part of the status, made when missing.
    fn contract_status_mut(&mut self) -> &mut Self::Status;

    /// Whether the infrastructure was once fully provisioned.
    fn provisioned(&self) -> bool {
        self.contract_status().and_then(|status| status.initialization()).is_some_and(|marks| marks.provisioned == Some(true))
    }

    /// Marks the infrastructure as provisioned. There is no way back: core does not take one.
    fn set_provisioned(&mut self) {
        *self.contract_status_mut().initialization_mut() = Some(Initialization { provisioned: Some(true) });
    }

    /// Sets a condition for the object's present generation; see [`Conditions::set`].
    fn set_condition(&mut self, report: Report, now: jiff::Timestamp) -> bool {
        let generation = self.meta().generation;
        self.contract_status_mut().conditions_mut().set(report, generation, now)
    }

    /// Whether the kind's finalizer is on the object; nothing outside may be made before it is stored.
    fn has_finalizer(&self) -> bool {
        meta::has_finalizer(self, Self::FINALIZER)
    }
}

/// An InfraCluster: what a cluster's machines share.
pub trait InfraCluster: InfraObject<Status = InfraClusterStatus> {
    /// `spec.controlPlaneEndpoint`.
    fn control_plane_endpoint(&self) -> Option<&ApiEndpoint>;

    /// Writes `spec.controlPlaneEndpoint`; it lives in the spec because status does not survive a move.
    fn set_control_plane_endpoint(&mut self, endpoint: ApiEndpoint);
}

/// An InfraMachine: the infrastructure of one machine.
pub trait InfraMachine: InfraObject<Status = InfraMachineStatus> {
    /// `spec.providerID`.
    fn provider_id(&self) -> Option<&ProviderId>;

    /// Writes `spec.providerID`; it must equal the Node's byte for byte.
    fn set_provider_id(&mut self, id: ProviderId);
}

macro_rules! infra_status {
    ($($status:ty),*) => {$(
        impl InfraStatus for $status {
            fn initialization(&self) -> Option<&Initialization> {
                self.initialization.as_ref()
            }

            fn initialization_mut(&mut self) -> &mut Option<Initialization> {
                &mut self.initialization
            }

            fn conditions(&self) -> &Conditions {
                &self.conditions
            }

            fn conditions_mut(&mut self) -> &mut Conditions {
                &mut self.conditions
            }
        }
    )*};
}

infra_status!(InfraClusterStatus, InfraMachineStatus);

#[cfg(test)]
mod tests;
