//! What a host is asked to make of a MicrovmMachine: what cluster-api-provider-microvm asks for, and the ownership token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_capi::ownership::Claim;
use capstead_flintlock::types;
use kube::ResourceExt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api::v1alpha2::{ContainerFile, InterfaceType, MicrovmCluster, MicrovmMachine, NetworkInterface, SshPublicKey, Volume};

/// The metadata key of the ownership token. Metadata, because hosts keep and return it; labels they drop.
pub const TOKEN: &str = "capstead-ownership-token";
/// The label with the Cluster's name.
pub const CLUSTER_LABEL: &str = "cluster-name";

/// Why there is no text for the guest.
#[derive(Debug, thiserror::Error)]
#[error("{document} cannot be written as YAML")]
pub struct SpecError {
    /// Which text: `vendor-data` or `meta-data`.
    pub document: &'static str,
    /// Why not.
    pub source: yaml_serde::Error,
}

/// What a machine is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The machine.
    pub machine: &'a MicrovmMachine,
    /// The cluster's infrastructure.
    pub infrastructure: &'a MicrovmCluster,
    /// The name of the Cluster.
    pub cluster: &'a str,
    /// The claim stored with the machine: its token, and its host.
    pub claim: &'a Claim,
    /// The bootstrap data, a cloud-init document.
    pub bootstrap: &'a [u8],
}

/// The microVM to ask a host for. The same inputs give the same microVM, so that a second try differs in nothing from the first.
///
/// Numbers that the protocol cannot hold become the largest it can, which hosts refuse.
///
/// # Errors
/// When a document for the guest cannot be written.
pub fn spec(of: &Inputs<'_>) -> Result<types::MicroVmSpec, SpecError> {
    let (name, namespace) = (of.machine.name_any(), of.machine.namespace().unwrap_or_default());
    let vm = &of.machine.spec.vm;
    let number = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let mut labels = vm.labels.clone();
    labels.insert(CLUSTER_LABEL.into(), of.cluster.into());
    let users = if vm.ssh_public_keys.is_empty() { &of.infrastructure.spec.ssh_public_keys } else { &vm.ssh_public_keys };
    let metadata = [
        ("user-data", STANDARD.encode(of.bootstrap)),
        ("vendor-data", STANDARD.encode(vendor_data(&name, users)?)),
        ("meta-data", STANDARD.encode(meta_data(&name, &of.claim.placement)?)),
        (TOKEN, token(&of.claim.token)),
    ];
    let mac = |device: &str| mac(&of.claim.token, &namespace, &name, device);
    let ContainerFile { image, filename } = vm.kernel.clone();
    Ok(types::MicroVmSpec {
        labels,
        vcpu: number(vm.vcpu),
        memory_in_mb: number(vm.memory_mb),
        kernel: Some(types::Kernel {
            image,
            cmdline: vm.kernel_cmdline.clone(),
            filename: Some(filename.unwrap_or_default()),
            add_network_config: true,
        }),
        initrd: vm.initrd.clone().map(|ContainerFile { image, filename }| types::Initrd { image, filename }),
        root_volume: Some(root_volume(&vm.root_volume)),
        additional_volumes: vm.volumes.iter().map(volume).collect(),
        interfaces: vm.network_interfaces.iter().map(|known| interface(known, mac)).collect(),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        provider: Some(vm.provider.clone().unwrap_or_default()),
        id: name,
        namespace,
        ..types::MicroVmSpec::default()
    })
}

/// An ownership token as metadata holds it.
#[must_use]
pub fn token(token: &str) -> String {
    STANDARD.encode(token)
}

/// Neither mount point nor shared folder: no host takes them of a root volume.
fn root_volume(root: &Volume) -> types::Volume {
    types::Volume {
        id: root.id.clone(),
        is_read_only: root.read_only,
        source: Some(types::VolumeSource { container_source: Some(root.image.clone().unwrap_or_default()), virtiofs_source: None }),
        ..types::Volume::default()
    }
}

fn volume(volume: &Volume) -> types::Volume {
    types::Volume {
        id: volume.id.clone(),
        is_read_only: volume.read_only,
        mount_point: set(&volume.mount_point),
        source: Some(types::VolumeSource { container_source: set(&volume.image), virtiofs_source: set(&volume.virtiofs_path) }),
        ..types::Volume::default()
    }
}

fn interface(interface: &NetworkInterface, mac: impl Fn(&str) -> String) -> types::NetworkInterface {
    let type_ = match interface.type_ {
        InterfaceType::Macvtap => types::network_interface::IfaceType::Macvtap,
        InterfaceType::Tap => types::network_interface::IfaceType::Tap,
    };
    types::NetworkInterface {
        device_id: interface.guest_device_name.clone(),
        r#type: type_.into(),
        guest_mac: Some(set(&interface.guest_mac).unwrap_or_else(|| mac(&interface.guest_device_name))),
        address: set(&interface.address).map(|address| types::StaticAddress { address, ..types::StaticAddress::default() }),
        overrides: None,
    }
}

/// Upstream takes an empty text for none.
fn set(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// A locally administered unicast address. Not random, or tries would differ; the token alone will not do, for a copied manifest copies it.
fn mac(token: &str, namespace: &str, name: &str, device: &str) -> String {
    let digest = Sha256::digest([token, namespace, name, device].join("\0"));
    let first = (digest[0] & 0b1111_1100) | 0b0000_0010;
    std::iter::once(&first).chain(&digest[1..6]).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[derive(Serialize)]
struct VendorData<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User<'a>>,
    final_message: &'static str,
    bootcmd: [&'static str; 1],
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    ssh_authorized_keys: &'a [String],
}

#[derive(Serialize)]
struct MetaData<'a> {
    local_hostname: &'a str,
    platform: &'static str,
    vm_host: &'a str,
}

fn vendor_data(name: &str, users: &[SshPublicKey]) -> Result<String, SpecError> {
    let users = users.iter().map(|known| User { name: &known.user, ssh_authorized_keys: &known.authorized_keys }).collect();
    let data = VendorData {
        hostname: name,
        users,
        final_message: "The Liquid Metal booted system is good to go after $UPTIME seconds",
        bootcmd: ["ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"],
    };
    let yaml = yaml_serde::to_string(&data).map_err(|source| SpecError { document: "vendor-data", source })?;
    // cloud-init goes by the first line.
    Ok(format!("#cloud-config\n{yaml}"))
}

/// The host adds `instance_id`, the microVM's uid; kubelet's provider id is made of it and `vm_host`.
fn meta_data(name: &str, host: &str) -> Result<String, SpecError> {
    let data = MetaData { local_hostname: name, platform: "liquid_metal", vm_host: host };
    yaml_serde::to_string(&data).map_err(|source| SpecError { document: "meta-data", source })
}

#[cfg(test)]
mod tests;
