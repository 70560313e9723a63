//! MicroVMs as people look at them. Pure.

use std::net::Ipv4Addr;

use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::Volume;
use capstead_flintlock::types::network_interface::IfaceType;
use jiff::Timestamp;
use ulid::Ulid;

use super::cause;
use super::state;
use super::uid;
use crate::output;

/// A row for each.
pub fn list(all: &[MicroVm], wide: bool, now: Timestamp) -> String {
    let none = MicroVmSpec::default();
    let rows = all.iter().map(|microvm| {
        let spec = microvm.spec.as_ref().unwrap_or(&none);
        let why = cause(microvm).lines().next().unwrap_or_default();
        [
            spec.namespace.clone(),
            spec.id.clone(),
            shown(microvm),
            dash(spec.provider()),
            dash(&addresses(microvm).join(",")),
            age(uid(microvm), now),
            dash(why),
            dash(uid(microvm)),
            format!("{}×{} MiB", spec.vcpu, spec.memory_in_mb),
        ]
    });
    let [namespace, name, state, driver, addresses, age, why] = ["NAMESPACE", "NAME", "STATE", "DRIVER", "ADDRESSES", "AGE", "WHY"];
    if wide {
        let rows = rows.map(|[a, b, c, d, e, f, why, uid, size]| [a, b, uid, c, d, size, e, f, why]);
        return output::table([namespace, name, "UID", state, driver, "SIZE", addresses, age, why], rows);
    }
    output::table([namespace, name, state, driver, addresses, age, why], rows.map(|[a, b, c, d, e, f, why, ..]| [a, b, c, d, e, f, why]))
}

/// All that matters of one.
pub fn details(microvm: &MicroVm, now: Timestamp) -> String {
    let none = MicroVmSpec::default();
    let spec = microvm.spec.as_ref().unwrap_or(&none);
    let kernel = spec.kernel.clone().unwrap_or_default();
    let file = |image: &str, file: &str| if file.is_empty() { image.to_owned() } else { format!("{image} {file}") };
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        let pair = |(key, value): (&String, &String)| if value.is_empty() { key.clone() } else { format!("{key}={value}") };
        pairs.iter().map(pair).collect::<Vec<_>>().join(" ")
    };
    let retries = microvm.status.as_ref().map_or(0, |status| status.retry);
    let mut rows = vec![
        ("Name", spec.id.clone()),
        ("Namespace", spec.namespace.clone()),
        ("Uid", uid(microvm).to_owned()),
        ("State", shown(microvm)),
        ("Why", cause(microvm).to_owned()),
        ("Tries", if retries > 0 { retries.to_string() } else { String::new() }),
        ("Driver", spec.provider().to_owned()),
        ("Age", age(uid(microvm), now)),
        ("Processors", spec.vcpu.to_string()),
        ("Memory", format!("{} MiB", spec.memory_in_mb)),
        ("Kernel", file(&kernel.image, kernel.filename())),
        ("Parameters", pairs(&kernel.cmdline)),
        ("Initrd", spec.initrd.as_ref().map(|initrd| file(&initrd.image, initrd.filename())).unwrap_or_default()),
        ("Root", spec.root_volume.as_ref().map(volume).unwrap_or_default()),
    ];
    rows.extend(spec.additional_volumes.iter().map(|it| ("Volume", volume(it))));
    rows.extend(spec.interfaces.iter().map(|it| ("Network", interface(it, microvm))));
    rows.push(("Metadata", spec.metadata.keys().cloned().collect::<Vec<_>>().join(" ")));
    rows.push(("Labels", pairs(&spec.labels)));
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or_default() + 3;
    let line = |(key, value): (&str, String)| {
        let indented = value.lines().collect::<Vec<_>>().join(&format!("\n{:width$}", ""));
        format!("{key:width$}{indented}")
    };
    rows.into_iter().filter(|(_, value)| !value.is_empty()).map(line).collect::<Vec<_>>().join("\n")
}

/// Where it is reached: its static addresses, and ports of the host's machine that lead to it (`127.0.0.1:40022->22`).
pub fn addresses(microvm: &MicroVm) -> Vec<String> {
    let interfaces = microvm.spec.iter().flat_map(|spec| &spec.interfaces);
    let fixed = interfaces.filter_map(static_address).map(str::to_owned);
    fixed.chain(forwards(microvm)).collect()
}

/// An interface's static address, without its network's length. A link-local one is that of Firecracker's metadata service, which nobody reaches the guest by.
pub fn static_address(interface: &NetworkInterface) -> Option<&str> {
    let address = interface.address.as_ref()?.address.split('/').next()?;
    let is_local = address.parse::<Ipv4Addr>().is_ok_and(|address| address.is_link_local());
    Some(address).filter(|address| !address.is_empty() && !is_local)
}

/// Ports of the host's machine that lead to the microVM.
pub fn forwards(microvm: &MicroVm) -> impl Iterator<Item = String> {
    let told = microvm.status.iter().flat_map(|status| status.network_interfaces.values());
    // A host names the device there; one that has none, and forwards, names those.
    told.flat_map(|interface| interface.host_device_name.split(',')).filter(|name| name.contains("->")).map(str::to_owned)
}

fn interface(interface: &NetworkInterface, microvm: &MicroVm) -> String {
    let bridge = interface.overrides.as_ref().map(|overrides| overrides.bridge_name()).unwrap_or_default();
    let kind = match IfaceType::try_from(interface.r#type) {
        Ok(IfaceType::Macvtap) => "macvtap".to_owned(),
        _ if bridge.is_empty() => "tap".to_owned(),
        _ => format!("tap on {bridge}"),
    };
    let told = microvm.status.as_ref().and_then(|status| status.network_interfaces.get(&interface.device_id));
    let address = interface.address.as_ref();
    let mac = told.map(|told| told.mac_address.as_str()).filter(|mac| !mac.is_empty()).unwrap_or(interface.guest_mac());
    let words = [
        interface.device_id.clone(),
        kind,
        told.map(|told| told.host_device_name.clone()).unwrap_or_default(),
        mac.to_owned(),
        address.map(|address| address.address.clone()).unwrap_or_default(),
        address.and_then(|address| address.gateway.as_ref()).map(|gateway| format!("by {gateway}")).unwrap_or_default(),
    ];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn volume(volume: &Volume) -> String {
    let source = volume.source.clone().unwrap_or_default();
    let from = source.container_source.or_else(|| source.virtiofs_source.map(|folder| format!("virtiofs:{folder}"))).unwrap_or_default();
    let mut text = format!("{} {from}", volume.id);
    if volume.size_in_mb() > 0 {
        text += &format!(", {} MiB", volume.size_in_mb());
    }
    if !volume.mount_point().is_empty() {
        text += &format!(", on {}", volume.mount_point());
    }
    if volume.is_read_only {
        text += ", read-only";
    }
    text
}

/// The state, by the protocol's name.
fn shown(microvm: &MicroVm) -> String {
    state(microvm).map_or("-", |state| state.as_str_name()).to_owned()
}

/// A uid begins with the time.
fn age(uid: &str, now: Timestamp) -> String {
    let Ok(ulid) = Ulid::from_string(uid) else { return "-".to_owned() };
    let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
    output::age(now.saturating_sub(ulid.timestamp_ms()) / 1_000)
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
