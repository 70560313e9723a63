//! From the spec that a client sends to the one that the host keeps: defaults, rules, and which driver runs it. Pure.
//!
//! The rules and their words are flintlock's ([`rules`]). What flintlock lets pass and then fails of for ever, or would lead out of a folder, is refused too,
//! in words of our own that name field and rule.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_flintlock::rules;
use capstead_flintlock::rules::cleaned;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::StaticAddress;
use capstead_flintlock::types::Volume;
use capstead_hostnet::check;
use capstead_hostnet::check::Invalid;
use capstead_image::Reference;

use crate::refusal::Refusal;

/// The longest name and namespace, as Kubernetes has it.
const LONGEST_NAME: usize = 253;
/// The largest volume that is made of an image, [`capstead_image::ext4::LARGEST_SIZE_MIB`].
const LARGEST_VOLUME_MB: i32 = 1 << 20;
/// The largest whose source is a disk itself: what an ext4 file system of 4 KiB blocks holds without 64-bit features, 16 TiB.
const LARGEST_DISK_MB: i32 = 16 << 20;
/// The most of all metadata values, in bytes as sent.
const MOST_METADATA: usize = 2 << 20;
/// Documents that cloud-init reads, which must be base64.
const DOCUMENTS: [&str; 4] = ["meta-data", "user-data", "vendor-data", "network-config"];

/// What there is to run microVMs.
pub trait Drivers {
    /// Its name when a spec names none.
    fn default_name(&self) -> &str;
    /// The driver of that name; `None` if there is none here.
    fn find(&self, name: &str) -> Option<&str>;
    /// All that run here.
    fn names(&self) -> Vec<&str>;
    /// What a spec asks for that the driver lacks, and who has it, one entry each.
    fn lacking(&self, name: &str, spec: &MicroVmSpec) -> Vec<String>;
}

/// A spec that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// With its defaults, without a uid.
    pub spec: MicroVmSpec,
    /// Who runs it.
    pub driver: String,
}

/// Fills in defaults and checks.
///
/// # Errors
///
/// All that is wrong, in one text.
pub fn accept(sent: MicroVmSpec, drivers: &impl Drivers) -> Result<Accepted, Refusal> {
    if sent.id.is_empty() {
        return Err(Refusal::invalid("converting request: creating vmid from spec: name is required"));
    }
    let refuse = |text: String| Refusal::invalid(format!("creating microvm: {text}"));
    let wanted = sent.provider.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| drivers.default_name().to_owned());
    let spec = filled(sent);

    let mut failures: Vec<String> = rules::failures(&spec).lines().map(str::to_owned).collect();
    // What flintlock's rules refuse already is told once.
    if !failures.iter().any(|failure| failure.contains("NetworkInterfaces")) {
        failures.extend(network_failures(&spec).iter().map(ToString::to_string));
    }
    failures.extend(own_failures(&spec));
    if !failures.is_empty() {
        let failures = failures.join("\n");
        return Err(refuse(format!("an error occurred when attempting to validate microvm spec: validation failures found: {failures}")));
    }
    let Some(driver) = drivers.find(&wanted).map(str::to_owned) else {
        return Err(refuse(format!("microvm provider {wanted} isn't available; this host has: {}", drivers.names().join(", "))));
    };
    let lacking = drivers.lacking(&driver, &spec);
    if !lacking.is_empty() {
        return Err(refuse(lacking.join("; ")));
    }
    Ok(Accepted { spec, driver })
}

/// With defaults, and references as flintlock reads them. The uid is the host's to give.
fn filled(sent: MicroVmSpec) -> MicroVmSpec {
    let or = |value: i32, default: i32| if value == 0 { default } else { value };
    let clean = |reference: &mut String| *reference = cleaned(reference);
    let mut spec = MicroVmSpec { vcpu: or(sent.vcpu, 2), memory_in_mb: or(sent.memory_in_mb, 1024), ..sent };
    if spec.namespace.is_empty() {
        "default".clone_into(&mut spec.namespace);
    }
    (spec.uid, spec.created_at, spec.updated_at, spec.deleted_at) = (None, None, None, None);
    spec.root_volume = spec.root_volume.filter(|volume| !rules::says_nothing(volume));
    spec.kernel.iter_mut().for_each(|kernel| clean(&mut kernel.image));
    spec.initrd.iter_mut().for_each(|initrd| clean(&mut initrd.image));
    let volumes = spec.root_volume.iter_mut().chain(&mut spec.additional_volumes);
    volumes.filter_map(|volume| volume.source.as_mut()?.container_source.as_mut()).for_each(clean);
    spec
}

/// What is wrong by rules that flintlock does not have.
fn own_failures(spec: &MicroVmSpec) -> Vec<String> {
    let mut failures = Vec::new();
    let mut check = |broken: bool, text: String| failures.extend(broken.then_some(text));
    for (field, name) in [("id", &spec.id), ("namespace", &spec.namespace)] {
        let bad =
            name.len() > LONGEST_NAME || name.contains('/') || name.chars().any(char::is_control) || [".", ".."].contains(&name.as_str());
        check(bad, format!("{field}: must be at most {LONGEST_NAME} bytes without '/' and control characters, and not . or .."));
    }
    let kernel = spec.kernel.as_ref();
    let named = kernel.is_some_and(|kernel| !kernel.image.is_empty() && !kernel.filename().is_empty());
    check(!named, "kernel: needs an image and a filename in it".to_owned());
    let files = kernel.map(|kernel| ("kernel.filename", kernel.filename())).into_iter();
    for (field, path) in files.chain(spec.initrd.as_ref().map(|initrd| ("initrd.filename", initrd.filename()))) {
        check(path.split('/').any(|part| part == "..") || path.contains('\0'), format!("{field}: must not have '..' in it"));
    }
    check(
        spec.initrd.as_ref().is_some_and(|initrd| initrd.filename().is_empty()),
        "initrd.filename: is required, as there is no default for it".to_owned(),
    );

    for (n, interface) in spec.interfaces.iter().enumerate() {
        let nameless = interface.overrides.as_ref().is_some_and(|overrides| overrides.bridge_name().is_empty());
        check(nameless, format!("interfaces[{n}].overrides.bridge_name: is required where overrides are given"));
    }
    let mut ids = BTreeSet::new();
    let root = spec.root_volume.iter().map(|volume| ("root_volume".to_owned(), volume));
    let additional = spec.additional_volumes.iter().enumerate().map(|(n, volume)| (format!("additional_volumes[{n}]"), volume));
    for (at, volume) in root.chain(additional) {
        check(!ids.insert(&volume.id), format!("{at}.id: {:?} is there twice", volume.id));
        check(volume_without_source(volume), format!("{at}.source: needs a container_source or a virtiofs_source"));
        let (size, largest) = (volume.size_in_mb(), if is_disk(volume) { LARGEST_DISK_MB } else { LARGEST_VOLUME_MB });
        check(!(0..=largest).contains(&size), format!("{at}.size_in_mb: {size} is not between 0 and {largest}"));
    }
    for (key, value) in &spec.metadata {
        let bad = key.is_empty() || key.contains(['/', '\0']) || key == "." || key == "..";
        check(bad, format!("metadata: {key:?} is no name of a document"));
        let lines: String = value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let document = DOCUMENTS.contains(&key.as_str());
        check(document && STANDARD.decode(lines).is_err(), format!("metadata[{key}]: must be base64"));
    }
    let bytes: usize = spec.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    check(bytes > MOST_METADATA, format!("metadata: {bytes} bytes are more than {MOST_METADATA}"));
    failures
}

/// What is wrong with interfaces by the rules of the host's network, which would fail later of what flintlock lets pass.
fn network_failures(spec: &MicroVmSpec) -> Vec<Invalid> {
    let (mut failures, mut known) = (Vec::new(), Vec::new());
    for (n, interface) in spec.interfaces.iter().enumerate() {
        let asked = Some(interface.guest_mac()).filter(|mac| !mac.is_empty());
        let mac = asked.map(|mac| check::mac(&format!("interfaces[{n}].guest_mac"), mac)).transpose();
        known.push((interface.device_id.as_str(), mac.as_ref().ok().copied().flatten()));
        failures.extend(mac.err());
        if let Some(StaticAddress { address, gateway, nameservers }) = interface.address.clone() {
            let address = check::StaticAddress { address, gateway, nameservers };
            failures.extend(check::static_address(&format!("interfaces[{n}].address"), &address).err());
        }
    }
    failures.extend(check::interfaces(known).err());
    failures
}

/// Whether the volume begins as a raw disk, which has no file system of ours in it.
fn is_disk(volume: &Volume) -> bool {
    let source = volume.source.as_ref().and_then(|source| source.container_source.as_deref());
    matches!(source.map(str::parse), Some(Ok(Reference::File { .. })))
}

fn volume_without_source(volume: &Volume) -> bool {
    let source = volume.source.as_ref();
    let said = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
    !source.is_some_and(|source| said(source.container_source.as_ref()) || said(source.virtiofs_source.as_ref()))
}

#[cfg(test)]
pub(crate) mod tests;
