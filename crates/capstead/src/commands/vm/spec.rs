//! From a file and flags to a spec. Pure.

use anyhow::Context;
use anyhow::bail;
use capstead_flintlock::json;
use capstead_flintlock::types::Initrd;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::NetworkOverrides;
use capstead_flintlock::types::StaticAddress;
use capstead_flintlock::types::Volume;
use capstead_flintlock::types::VolumeSource as Source;
use capstead_flintlock::types::network_interface::IfaceType;
use serde_json::Value;

use super::documents;
use super::documents::Documents;
use crate::cli::vm::Attachment;
use crate::cli::vm::Network;
use crate::cli::vm::VmCreate;
use crate::cli::vm::VolumeArg;
use crate::cli::vm::VolumeSource;

/// Upstream's images, as the templates of clusters have them.
const KERNEL: &str = "ghcr.io/liquidmetal-dev/kernel-bin:5.10.77";
const KERNEL_FILE: &str = "boot/vmlinux";
const ROOT: &str = "ghcr.io/liquidmetal-dev/ubuntu:22.04";

/// Reads a spec, alone or within what grpcurl sends (`microvm`) or `vm get` prints (`spec`).
pub fn read(text: &str) -> anyhow::Result<MicroVmSpec> {
    // JSON is YAML, too.
    let mut value: Value = yaml_serde::from_str(text).context("it is neither YAML nor JSON")?;
    for around in ["microvm", "spec"] {
        if let Some(inner) = value.get_mut(around) {
            value = inner.take();
        }
    }
    let spec: MicroVmSpec = json::read(value, true)?;
    // What the host gave to the microVM that a spec was printed of is not the new one's.
    Ok(MicroVmSpec { uid: None, created_at: None, updated_at: None, deleted_at: None, ..spec })
}

/// The spec that flags ask for: over a file's, which is whole, or with defaults.
pub fn spec(
    begin: Option<MicroVmSpec>,
    args: &VmCreate,
    documents: &Documents,
    made_up: impl FnOnce() -> String,
) -> anyhow::Result<MicroVmSpec> {
    let mut spec = begin.clone().unwrap_or_else(default);
    if let Some(name) = &args.name {
        spec.id.clone_from(name);
    }
    if spec.id.is_empty() {
        spec.id = made_up();
    }
    if let Some(namespace) = &args.namespace {
        spec.namespace.clone_from(namespace);
    }
    if spec.namespace.is_empty() {
        "default".clone_into(&mut spec.namespace);
    }
    spec.vcpu = args.vcpu.unwrap_or(spec.vcpu);
    spec.memory_in_mb = args.memory.unwrap_or(spec.memory_in_mb);
    kernel(&mut spec, args)?;
    root(&mut spec, args)?;
    for given in &args.volume {
        let volume = volume(given);
        match spec.additional_volumes.iter_mut().find(|known| known.id == volume.id) {
            Some(known) => *known = volume,
            None => spec.additional_volumes.push(volume),
        }
    }
    if !args.network.is_empty() {
        spec.interfaces = args.network.iter().enumerate().map(|(n, network)| interface(n, network)).collect();
    }
    spec.labels.extend(args.label.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
    if let Some(provider) = &args.provider {
        spec.provider = Some(provider.clone());
    }
    // A guest of a file without a word about its host name has none, unless a flag says so.
    let named = (begin.is_none() && !documents.further.contains_key("meta-data")).then(|| spec.id.clone());
    let hostname = args.hostname.clone().or(named);
    documents::add(&mut spec.metadata, documents, hostname.as_deref())?;
    Ok(spec)
}

fn default() -> MicroVmSpec {
    let mut spec = MicroVmSpec { vcpu: 2, memory_in_mb: 1024, ..MicroVmSpec::default() };
    let kernel = spec.kernel.get_or_insert_default();
    KERNEL.clone_into(&mut kernel.image);
    kernel.filename = Some(KERNEL_FILE.to_owned());
    kernel.add_network_config = true;
    spec.root_volume = Some(Volume { id: "root".to_owned(), source: image(ROOT), ..Volume::default() });
    spec.interfaces = vec![NetworkInterface { device_id: device(0), r#type: IfaceType::Tap as i32, ..NetworkInterface::default() }];
    spec
}

fn kernel(spec: &mut MicroVmSpec, args: &VmCreate) -> anyhow::Result<()> {
    if args.kernel.is_some() || args.kernel_file.is_some() || !args.cmdline.is_empty() {
        let kernel = spec.kernel.get_or_insert_default();
        if let Some(image) = &args.kernel {
            kernel.image.clone_from(image);
        }
        kernel.filename = args.kernel_file.clone().or(kernel.filename.take());
        for parameter in &args.cmdline {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            kernel.cmdline.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(image) = &args.initrd {
        spec.initrd = Some(Initrd { image: image.clone(), filename: args.initrd_file.clone() });
    } else if let Some(file) = &args.initrd_file {
        let Some(initrd) = &mut spec.initrd else { bail!("--initrd-file needs --initrd: the image that it is in") };
        initrd.filename = Some(file.clone());
    }
    Ok(())
}

fn root(spec: &mut MicroVmSpec, args: &VmCreate) -> anyhow::Result<()> {
    if let Some(reference) = &args.root {
        let root = spec.root_volume.get_or_insert_with(|| Volume { id: "root".to_owned(), ..Volume::default() });
        root.source = image(reference);
    }
    if let Some(size) = args.root_size {
        let Some(root) = &mut spec.root_volume else { bail!("--root-size needs --root: the file has no root volume") };
        root.size_in_mb = Some(size);
    }
    Ok(())
}

fn image(reference: &str) -> Option<Source> {
    Some(Source { container_source: Some(reference.to_owned()), virtiofs_source: None })
}

fn volume(given: &VolumeArg) -> Volume {
    let source = match &given.source {
        VolumeSource::Image(reference) => image(reference),
        VolumeSource::Virtiofs(folder) => Some(Source { container_source: None, virtiofs_source: Some(folder.clone()) }),
    };
    let VolumeArg { id, mount, size, read_only, .. } = given.clone();
    Volume { id, source, mount_point: mount, size_in_mb: size, is_read_only: read_only, ..Volume::default() }
}

fn interface(n: usize, network: &Network) -> NetworkInterface {
    let Network { attachment, name, mac, ip, gateway, dns } = network.clone();
    let bridge = match &attachment {
        Attachment::Bridge(bridge) => Some(NetworkOverrides { bridge_name: Some(bridge.clone()) }),
        _ => None,
    };
    let kind = if attachment == Attachment::Macvtap { IfaceType::Macvtap } else { IfaceType::Tap };
    NetworkInterface {
        device_id: name.unwrap_or_else(|| device(n)),
        r#type: kind as i32,
        guest_mac: mac,
        address: ip.map(|address| StaticAddress { address, gateway, nameservers: dns }),
        overrides: bridge,
    }
}

/// Upstream's Firecracker has its metadata service on eth0.
fn device(n: usize) -> String {
    format!("eth{}", n + 1)
}

#[cfg(test)]
mod tests;
