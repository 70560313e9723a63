//! What works, but is unwise: said to whoever applies it, and refused to nobody.

use capstead_capi::provider::InfraTemplate;

use crate::api::v1alpha2::{InterfaceType, MicrovmCluster, MicrovmMachine, MicrovmMachineTemplate, VmSpec};

/// How hosts are asked for Firecracker.
const FIRECRACKER: &str = "firecracker";
/// The interface that Firecracker hosts make for metadata.
const METADATA_INTERFACE: &str = "eth0";

/// Of a cluster.
#[must_use]
pub fn warn_cluster(cluster: &MicrovmCluster) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(pool) = &cluster.spec.placement.static_pool else { return warnings };
    let is_set = |name: &Option<String>| name.as_deref().is_some_and(|name| !name.is_empty());
    if is_set(&pool.basic_auth_secret) && !is_set(&cluster.spec.tls_secret_ref) {
        warnings.push("spec.placement.staticPool.basicAuthSecret: without spec.tlsSecretRef the tokens are sent in clear".to_owned());
    }
    if !pool.hosts.iter().any(|host| host.controlplane_allowed) {
        warnings.push("spec.placement.staticPool.hosts: no host has controlplaneAllowed, so control planes are placed on all".to_owned());
    }
    warnings
}

/// Of a machine.
#[must_use]
pub fn warn_machine(machine: &MicrovmMachine) -> Vec<String> {
    vm("spec", &machine.spec.vm)
}

/// Of a template of machines.
#[must_use]
pub fn warn_machine_template(template: &MicrovmMachineTemplate) -> Vec<String> {
    const PATH: &str = "spec.template.spec";
    let spec = &template.template().spec.vm;
    let mut warnings = vm(PATH, spec);
    for (at, interface) in spec.network_interfaces.iter().enumerate() {
        for (field, value) in [("address", &interface.address), ("guestMac", &interface.guest_mac)] {
            if value.as_deref().is_some_and(|value| !value.is_empty()) {
                warnings.push(format!("{PATH}.networkInterfaces[{at}].{field}: all machines of this template get the same"));
            }
        }
    }
    warnings
}

fn vm(path: &str, spec: &VmSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if spec.provider.as_deref() != Some(FIRECRACKER) {
        return warnings;
    }
    for (at, interface) in spec.network_interfaces.iter().enumerate() {
        let field = format!("{path}.networkInterfaces[{at}]");
        if interface.type_ == InterfaceType::Macvtap {
            warnings.push(format!("{field}.type: Firecracker hosts refuse macvtap since flintlock v0.7.0; use tap"));
        }
        if interface.guest_device_name == METADATA_INTERFACE {
            warnings.push(format!("{field}.guestDeviceName: Firecracker hosts give the guest its metadata by {METADATA_INTERFACE}"));
        }
    }
    if spec.volumes.iter().any(|volume| volume.virtiofs_path.as_deref().is_some_and(|path| !path.is_empty())) {
        warnings.push(format!("{path}.volumes: Firecracker cannot share folders, so hosts refuse virtiofsPath"));
    }
    warnings
}

#[cfg(test)]
mod tests;
