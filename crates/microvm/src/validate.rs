//! What is wrong with an object, beyond its schema: for the webhook, which refuses it, and for the reconcile, which waits.
//!
//! A rule that cluster-api-provider-microvm does not have is here only if a host would refuse the microVM anyway, or the contract asks for it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use capstead_capi::provider::InfraTemplate;
use capstead_engine::Violation;
use capstead_flintlock::{check_address, check_proxy};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::api::v1alpha2::{
    ExternalLoadBalancer, MicrovmCluster, MicrovmClusterSpec, MicrovmClusterTemplate, MicrovmMachine, MicrovmMachineTemplate,
    NetworkInterface, StaticPool, VmSpec,
};

/// The contract's limit for the name of a failure domain, which a host's endpoint is.
const LONGEST_ENDPOINT: usize = 256;

/// What is wrong with a cluster. A webhook asks only when the spec changes, or else an object from before a rule could never lose its finalizer.
#[must_use]
pub fn validate_cluster(new: &MicrovmCluster) -> Vec<Violation> {
    let Some(pool) = &new.spec.placement.static_pool else {
        return vec![Violation::new(
            "spec.placement",
            "is empty: you must supply configuration for a placement option, such as staticPool",
        )];
    };
    let mut violations = static_pool("spec", pool);
    violations.extend(proxy("spec", &new.spec));
    violations
}

/// Through what is no proxy no host is ever reached.
fn proxy(path: &str, spec: &MicrovmClusterSpec) -> Option<Violation> {
    let endpoint = &spec.microvm_proxy.as_ref()?.endpoint;
    let rule = || format!("must be the URL of an HTTP proxy, such as http://proxy:3128, not {endpoint:?}");
    check_proxy(endpoint).err().map(|_| Violation::new(format!("{path}.microvmProxy.endpoint"), rule()))
}

fn static_pool(path: &str, pool: &StaticPool) -> Vec<Violation> {
    let mut violations = Vec::new();
    if pool.hosts.is_empty() {
        violations.push(Violation::new(format!("{path}.placement.staticPool.hosts"), "must have at least one host"));
    }
    let mut known = BTreeSet::new();
    for (at, host) in pool.hosts.iter().enumerate() {
        let field = format!("{path}.placement.staticPool.hosts[{at}].endpoint");
        if check_address(&host.endpoint).is_err() {
            violations.push(Violation::new(field, format!("must be HOST:PORT, not {:?}", host.endpoint)));
        } else if host.endpoint.chars().count() > LONGEST_ENDPOINT {
            violations.push(Violation::new(field, format!("must not be longer than {LONGEST_ENDPOINT} characters")));
        } else if !known.insert(&host.endpoint) {
            violations.push(Violation::new(field, format!("must not name {} again", host.endpoint)));
        }
    }
    violations
}

/// What is wrong with a machine; `old` is what it was, when it is changed: of a spec only providerID changes, and only once.
#[must_use]
pub fn validate_machine(new: &MicrovmMachine, old: Option<&MicrovmMachine>) -> Vec<Violation> {
    let Some(old) = old else {
        return vm("spec", &new.spec.vm);
    };
    let mut violations = Vec::new();
    if new.spec.vm != old.spec.vm {
        violations
            .push(Violation::new("spec", "is immutable, but for providerID: delete the Machine, and another is made as it should be"));
    }
    if let Some(id) = &old.spec.provider_id
        && new.spec.provider_id.as_ref() != Some(id)
    {
        violations.push(Violation::new("spec.providerID", format!("is immutable once it is set; it is {id}")));
    }
    violations
}

/// What is wrong with a template of clusters; otherwise as [`validate_machine_template`]. Where microVMs are placed may be left to the patches
/// of a ClusterClass.
#[must_use]
pub fn validate_cluster_template(
    new: &MicrovmClusterTemplate,
    old: Option<&MicrovmClusterTemplate>,
    topology_dry_run: bool,
) -> Vec<Violation> {
    validate_template(new, old, topology_dry_run, |path, spec| {
        let mut violations = spec.placement.static_pool.as_ref().map(|pool| static_pool(path, pool)).unwrap_or_default();
        violations.extend(proxy(path, spec));
        violations
    })
}

/// What is wrong with a template of machines; `old` is what it was, when it is changed. `topology_dry_run` is
/// [`capstead_capi::meta::topology_dry_run`]: the topology controller tries changes that it then makes in a new template.
#[must_use]
pub fn validate_machine_template(
    new: &MicrovmMachineTemplate,
    old: Option<&MicrovmMachineTemplate>,
    topology_dry_run: bool,
) -> Vec<Violation> {
    validate_template(new, old, topology_dry_run, |path, spec| vm(path, &spec.vm))
}

fn validate_template<T: InfraTemplate<CloneSpec: PartialEq>>(
    new: &T,
    old: Option<&T>,
    topology_dry_run: bool,
    rules: impl FnOnce(&str, &T::CloneSpec) -> Vec<Violation>,
) -> Vec<Violation> {
    const PATH: &str = "spec.template.spec";
    let spec = &new.template().spec;
    match old {
        Some(old) if *spec == old.template().spec => Vec::new(),
        Some(_) if !topology_dry_run => {
            vec![Violation::new(PATH, "is immutable: make a new template, and name it where this one is named")]
        }
        _ => rules(PATH, spec),
    }
}

/// What is wrong with a load balancer: where nobody could ever be asked, no cluster is reached.
#[must_use]
pub fn validate_load_balancer(new: &ExternalLoadBalancer) -> Vec<Violation> {
    let endpoint = &new.spec.endpoint;
    let mut violations = Vec::new();
    if ServerName::try_from(endpoint.host.as_str()).is_err() {
        let rule = format!("must be a host name or an address, without scheme and port, not {:?}", endpoint.host);
        violations.push(Violation::new("spec.endpoint.host", rule));
    }
    if endpoint.port == 0 {
        violations.push(Violation::new("spec.endpoint.port", "must be 1 to 65535"));
    }
    if new.spec.cluster_name.is_empty() {
        violations.push(Violation::new("spec.clusterName", "must name a Cluster of the same namespace"));
    }
    violations
}

/// What hosts refuse (flintlock v0.11.0).
fn vm(path: &str, spec: &VmSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut rule = |holds: bool, field: &str, rule: &str| {
        if !holds {
            violations.push(Violation::new(format!("{path}.{field}"), rule));
        }
    };
    rule((1..=64).contains(&spec.vcpu), "vcpu", "must be 1 to 64");
    rule((1024..=32768).contains(&spec.memory_mb), "memoryMb", "must be 1024 to 32768");
    rule(!spec.kernel.image.is_empty(), "kernel.image", "must not be empty");
    let file = spec.kernel.filename.as_deref().unwrap_or_default();
    rule(!file.is_empty(), "kernel.filename", "must name the file in the kernel's image, such as boot/vmlinux");
    rule(!spec.network_interfaces.is_empty(), "networkInterfaces", "must have at least one interface");
    for (at, interface) in spec.network_interfaces.iter().enumerate() {
        let NetworkInterface { guest_device_name, guest_mac, address, .. } = interface;
        let field = |name: &str| format!("networkInterfaces[{at}].{name}");
        rule(is_device_name(guest_device_name), &field("guestDeviceName"), "must be a-z first, and then only a-z, 0-9 and _");
        let mac = guest_mac.as_deref().unwrap_or_default();
        rule(mac.is_empty() || is_mac(mac), &field("guestMac"), "must be a MAC address");
        let address = address.as_deref().unwrap_or_default();
        rule(address.is_empty() || cidr(address).is_some(), &field("address"), "must be an address in CIDR notation, such as 10.0.0.5/24");
    }
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let mut shared = 0;
    for (at, volume) in spec.volumes.iter().enumerate() {
        let is_shared = is_set(&volume.virtiofs_path);
        shared += usize::from(is_shared);
        rule(!(is_shared && is_set(&volume.image)), &format!("volumes[{at}]"), "must have image or virtiofsPath, not both");
    }
    rule(shared <= 1, "volumes", "must have virtiofsPath at most once");
    violations
}

fn is_device_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// As Go's `net.ParseMAC`: 6, 8 or 20 bytes, in pairs of digits or in fours.
fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize, counts: [usize; 3]| {
        let groups: Vec<&str> = text.split(separator).collect();
        counts.contains(&groups.len()) && groups.iter().all(|group| group.len() == digits && group.chars().all(|c| c.is_ascii_hexdigit()))
    };
    groups(':', 2, [6, 8, 20]) || groups('-', 2, [6, 8, 20]) || groups('.', 4, [3, 4, 10])
}

/// The address of `ADDRESS/PREFIX`.
pub(crate) fn cidr(text: &str) -> Option<IpAddr> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_prefix = prefix.chars().all(|c| c.is_ascii_digit()) && prefix.parse::<u8>().is_ok_and(|bits| bits <= most);
    is_prefix.then_some(address)
}

#[cfg(test)]
mod tests;
