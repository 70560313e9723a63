//! What flintlock demands of a microVM, and how it words what is wrong. It names fields of a model of its own.
//!
//! The rules are those of flintlock v0.11.0, which a spec meets only once its defaults are filled in.

use crate::types::Kernel;
use crate::types::MicroVmSpec;
use crate::types::NetworkInterface;
use crate::types::Volume;
use crate::types::network_interface::IfaceType;

pub use text::cleaned;
use text::is_cidr;
use text::is_image;
use text::is_ip;
use text::is_mac;

mod text;

/// All that is wrong with a spec whose defaults are filled in, one a line, in the order of the model's fields; nothing if empty.
#[must_use]
pub fn failures(spec: &MicroVmSpec) -> String {
    let mut failures = Failures(Vec::new());
    // The kernel's rules are not applied to one that holds nothing at all; such a microVM is accepted.
    let kernel = spec.kernel.clone().unwrap_or_default();
    if !is_empty(&kernel) {
        failures.check("Spec.Kernel.Image", first([(kernel.image.is_empty(), "required"), (!is_image(&kernel.image), "imageURI")]));
        failures.check("Spec.Kernel.Filename", first([(kernel.filename().is_empty(), "required")]));
    }
    if let Some(initrd) = &spec.initrd {
        failures.check("Spec.Initrd.Image", first([(!is_image(&initrd.image), "imageURI")]));
    }
    failures.check("Spec.VCPU", first([(spec.vcpu < 1, "gte"), (spec.vcpu > 64, "lte")]));
    failures.check("Spec.MemoryInMb", first([(spec.memory_in_mb < 1024, "gte"), (spec.memory_in_mb > 32768, "lte")]));
    failures.check("Spec.NetworkInterfaces", first([(spec.interfaces.is_empty(), "required")]));
    for (n, interface) in spec.interfaces.iter().enumerate() {
        failures.interface(n, interface);
    }
    let root = spec.root_volume.as_ref();
    failures.check("Spec.RootVolume", first([(root.is_some_and(is_virtiofs), "novirtiofs")]));
    let virtiofs = spec.additional_volumes.iter().filter(|volume| is_virtiofs(volume));
    let both = virtiofs.clone().any(|volume| volume.source.as_ref().is_some_and(|source| source.container_source.is_some()));
    failures.check("Spec.AdditionalVolumes", first([(virtiofs.count() > 1, "onlyOneVirtioFS"), (both, "multipleVolSources")]));
    if spec.initrd.is_none() && root.is_none_or(says_nothing) {
        failures.check("Spec.root_volume", Some("volumeOrInitrdRequired"));
    }
    failures.0.join("\n")
}

/// A volume that holds nothing counts as none.
#[must_use]
pub fn says_nothing(volume: &Volume) -> bool {
    let source = volume.source.as_ref().is_some_and(|source| source.container_source.is_some() || source.virtiofs_source.is_some());
    let place = volume.mount_point().is_empty() && volume.partition_id().is_empty() && volume.size_in_mb() == 0;
    volume.id.is_empty() && !volume.is_read_only && !source && place
}

/// It is a shared folder.
#[must_use]
pub fn is_virtiofs(volume: &Volume) -> bool {
    volume.source.as_ref().is_some_and(|source| source.virtiofs_source.is_some())
}

fn is_empty(kernel: &Kernel) -> bool {
    kernel.image.is_empty() && kernel.filename().is_empty() && kernel.cmdline.is_empty() && !kernel.add_network_config
}

/// The first rule that is broken; the library that flintlock uses tells only that.
fn first<const N: usize>(rules: [(bool, &'static str); N]) -> Option<&'static str> {
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, rule)| rule)
}

struct Failures(Vec<String>);

impl Failures {
    fn check(&mut self, path: &str, broken: Option<&str>) {
        let Some(rule) = broken else { return };
        let field = path.rsplit('.').next().unwrap_or(path);
        self.0.push(format!("Key: 'MicroVM.{path}' Error:Field validation for '{field}' failed on the '{rule}' tag"));
    }

    fn interface(&mut self, n: usize, interface: &NetworkInterface) {
        let at = format!("Spec.NetworkInterfaces[{n}]");
        let name = interface.device_id.as_str();
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let named = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(letters);
        let rules = [(name.is_empty(), "required"), (name.contains(['/', '@']), "excludesall"), (!named, "guestDeviceName")];
        self.check(&format!("{at}.GuestDeviceName"), first(rules));
        self.check(&format!("{at}.GuestMAC"), first([(!interface.guest_mac().is_empty() && !is_mac(interface.guest_mac()), "mac")]));
        self.check(&format!("{at}.Type"), first([(IfaceType::try_from(interface.r#type).is_err(), "oneof")]));
        let Some(address) = &interface.address else { return };
        let at = format!("{at}.StaticAddress");
        self.check(&format!("{at}.Address"), first([(!is_cidr(&address.address), "cidr")]));
        self.check(&format!("{at}.Gateway"), first([(address.gateway.as_ref().is_some_and(|gateway| !is_cidr(gateway)), "cidr")]));
        for (n, nameserver) in address.nameservers.iter().enumerate() {
            self.check(&format!("{at}.Nameservers[{n}]"), first([(!is_ip(nameserver), "ip")]));
        }
    }
}
