//! What a template tells of the machines that are made of it.

use capstead_capi::provider::{InfraMachineTemplateStatus, InfraTemplate};
use capstead_capi::types::{Architecture, Capacity, NodeInfo};
use serde_json::Value;

use crate::api::v1alpha2::MicrovmMachineTemplate;

/// The label of nodes, and so of a template's machines, with the architecture.
const ARCHITECTURE: &str = "kubernetes.io/arch";

/// What the cluster autoscaler reads to scale from zero. The architecture is told only where a label of the template's machines says it: hosts do not.
#[must_use]
pub fn status(template: &MicrovmMachineTemplate) -> InfraMachineTemplateStatus {
    let template = template.template();
    let vm = &template.spec.vm;
    let capacity = Capacity::default().with("cpu", vm.vcpu.to_string()).with("memory", format!("{}Mi", vm.memory_mb));
    let labelled = template.metadata.as_ref().and_then(|metadata| metadata.labels.get(ARCHITECTURE));
    let architecture = labelled.and_then(|name| serde_json::from_value::<Architecture>(Value::String(name.clone())).ok());
    let node_info = NodeInfo { architecture, operating_system: Some("linux".into()) };
    InfraMachineTemplateStatus { capacity, node_info: Some(node_info) }
}

/// The same as the API server takes it.
#[must_use]
pub fn told(template: &MicrovmMachineTemplate) -> Value {
    serde_json::to_value(status(template)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
