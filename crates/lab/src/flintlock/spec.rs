//! From the spec that a client sends to the one that flintlock keeps and shows.

use std::fmt;
use std::str::FromStr;

use capstead_flintlock::rules;
use capstead_flintlock::rules::cleaned;
use capstead_flintlock::types::Initrd;
use capstead_flintlock::types::Kernel;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::StaticAddress;
use capstead_flintlock::types::Volume;
use capstead_flintlock::types::VolumeSource;
use capstead_flintlock::types::network_interface::IfaceType;

use super::documents;
use super::host::Refusal;

/// The interface through which a guest of Firecracker reads its metadata.
const METADATA_INTERFACE: &str = "eth0";

/// What runs the microVMs of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Knows neither macvtap interfaces nor virtiofs; its guests get an interface more, for metadata.
    #[default]
    Firecracker,
    /// Knows all that the protocol knows.
    CloudHypervisor,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Firecracker, Self::CloudHypervisor];

    /// Its name in the protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firecracker => "firecracker",
            Self::CloudHypervisor => "cloudhypervisor",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|provider| provider.as_str() == text);
        found.ok_or_else(|| format!("there is no provider {text:?}; there are {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// A spec that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    /// As every answer shows it.
    pub(super) spec: MicroVmSpec,
    /// Device and mount point of additional volumes, which no answer shows.
    pub(super) mounts: Vec<(String, String)>,
}

/// Fills in defaults, checks, and changes what flintlock changes. `uid` becomes the microVM's.
pub(super) fn accept(sent: MicroVmSpec, default_provider: Provider, uid: &str) -> Result<Accepted, Refusal> {
    if sent.id.is_empty() {
        return Err(Refusal::unknown("converting request: creating vmid from spec: name is required"));
    }
    if sent.interfaces.iter().filter_map(|interface| interface.overrides.as_ref()).any(|overrides| overrides.bridge_name.is_none()) {
        return Err(Refusal::unavailable("flintlockd would crash of an interface with `overrides` but no `bridge_name`"));
    }
    let refuse = |text: String| Refusal::unknown(&format!("creating microvm: {text}"));
    let wanted = sent.provider.clone().filter(|name| !name.is_empty());
    let mounts = mounts(&sent.additional_volumes);
    let mut spec = shown(sent, uid);

    let failures = rules::failures(&spec);
    if !failures.is_empty() {
        let text = format!("an error occurred when attempting to validate microvm spec: validation failures found: {failures}");
        return Err(refuse(text));
    }
    let provider = match wanted {
        Some(name) => name.parse().map_err(|_| refuse(format!("microvm provider {name} isn't available")))?,
        None => default_provider,
    };
    if provider == Provider::Firecracker {
        if spec.interfaces.iter().any(|interface| interface.r#type == IfaceType::Macvtap as i32) {
            return Err(refuse("macvtap network interfaces not supported by the microvm provider".to_owned()));
        }
        if spec.additional_volumes.iter().any(rules::is_virtiofs) {
            return Err(refuse("virtiofs not supported by the microvm provider".to_owned()));
        }
    }
    let meta_data = spec.metadata.get("meta-data").map_or("", String::as_str);
    let changed = documents::with_instance_id(meta_data, uid).map_err(|error| refuse(format!("adding instance data: {error}")))?;
    if let Some(changed) = changed {
        spec.metadata.insert("meta-data".to_owned(), changed);
    }
    if provider == Provider::Firecracker && !spec.interfaces.iter().any(|interface| interface.device_id == METADATA_INTERFACE) {
        spec.interfaces.insert(0, metadata_interface());
    }
    spec.root_volume = spec.root_volume.filter(|volume| !rules::says_nothing(volume)).map(shown_volume);
    spec.additional_volumes = spec.additional_volumes.into_iter().map(shown_volume).collect();
    Ok(Accepted { spec, mounts })
}

/// What flintlock keeps of a spec, with defaults; volumes still as they were sent, for the rules look at all of them.
fn shown(sent: MicroVmSpec, uid: &str) -> MicroVmSpec {
    let kernel = sent.kernel.unwrap_or_default();
    let or = |value: i32, default: i32| if value == 0 { default } else { value };
    MicroVmSpec {
        id: sent.id,
        namespace: if sent.namespace.is_empty() { "default".to_owned() } else { sent.namespace },
        vcpu: or(sent.vcpu, 2),
        memory_in_mb: or(sent.memory_in_mb, 1024),
        kernel: Some(Kernel {
            image: cleaned(&kernel.image),
            filename: Some(kernel.filename.unwrap_or_default()),
            cmdline: kernel.cmdline,
            add_network_config: kernel.add_network_config,
        }),
        initrd: sent.initrd.map(|initrd| Initrd { image: cleaned(&initrd.image), filename: Some(initrd.filename.unwrap_or_default()) }),
        root_volume: sent.root_volume,
        additional_volumes: sent.additional_volumes,
        interfaces: sent.interfaces.into_iter().map(shown_interface).collect(),
        metadata: sent.metadata,
        uid: Some(uid.to_owned()),
        allow_guest_agent: sent.allow_guest_agent,
        ..MicroVmSpec::default()
    }
}

fn shown_interface(sent: NetworkInterface) -> NetworkInterface {
    NetworkInterface { guest_mac: Some(sent.guest_mac.unwrap_or_default()), overrides: None, ..sent }
}

fn shown_volume(sent: Volume) -> Volume {
    let source = sent.source.unwrap_or_default();
    Volume {
        id: sent.id,
        is_read_only: sent.is_read_only,
        mount_point: None,
        source: Some(VolumeSource {
            container_source: source.container_source.as_deref().map(cleaned),
            virtiofs_source: source.virtiofs_source,
        }),
        partition_id: Some(sent.partition_id.unwrap_or_default()),
        size_in_mb: Some(sent.size_in_mb.unwrap_or_default()),
    }
}

fn metadata_interface() -> NetworkInterface {
    NetworkInterface {
        device_id: METADATA_INTERFACE.to_owned(),
        r#type: IfaceType::Tap as i32,
        guest_mac: Some("AA:FF:00:00:00:01".to_owned()),
        address: Some(StaticAddress { address: "169.254.0.1/16".to_owned(), ..StaticAddress::default() }),
        overrides: None,
    }
}

/// The root volume is `vda`, so the first additional one is `vdb`.
fn mounts(volumes: &[Volume]) -> Vec<(String, String)> {
    let devices = ('b'..='z').map(|letter| format!("vd{letter}"));
    devices
        .zip(volumes)
        .filter(|(_, volume)| !volume.mount_point().is_empty())
        .map(|(device, volume)| (device, volume.mount_point().to_owned()))
        .collect()
}
