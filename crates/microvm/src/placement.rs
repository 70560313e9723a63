//! On which host of the pool a machine is placed.

use capstead_capi::lifecycle::Blocked;
use capstead_capi::machine::Subject;

use crate::api::common::Strategy;
use crate::machine::{Host, NO_HOST, POOL, Wish};

/// What is known of a host when a machine is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Machines that are placed there, of all clusters.
    pub(crate) machines: usize,
    /// Control plane machines of the same cluster among them.
    pub(crate) control_planes: usize,
    /// Whether it is known not to answer.
    pub(crate) down: bool,
}

/// The host for a machine that is to be placed nowhere in particular.
///
/// Control plane machines go to hosts that allow them, if any does. A host that is down is avoided while there is another, and a full one always.
/// The same machine is given the same host as long as the loads are the same.
///
/// # Errors
/// When no host can take it.
pub(crate) fn choose(subject: &Subject<'_>, wish: &Wish, load: impl Fn(&str) -> Load) -> Result<String, Blocked> {
    let is_allowed = |host: &&Host| host.control_plane_allowed || !subject.control_plane;
    let mut hosts: Vec<&Host> = wish.hosts.iter().filter(is_allowed).collect();
    if hosts.is_empty() {
        hosts = wish.hosts.iter().collect();
    }
    if hosts.is_empty() {
        return Err(Blocked::new(NO_HOST, POOL, "names no host"));
    }
    let mut loads: Vec<(&str, Load)> = Vec::new();
    for host in hosts {
        let load = load(&host.endpoint);
        if host.most.is_none_or(|most| load.machines < most) {
            loads.push((&host.endpoint, load));
        }
    }
    loads.sort_unstable_by_key(|(host, _)| *host);
    let chosen = match wish.strategy {
        Strategy::Hash => {
            // Upstream's choice, whatever becomes of other hosts; only where that one is down, another.
            let up = || loads.iter().filter(|(_, load)| !load.down).copied().collect::<Vec<_>>();
            let first = by_name(subject.name, &loads);
            first.filter(|(_, load)| !load.down).or_else(|| by_name(subject.name, &up())).or(first)
        }
        Strategy::Spread => loads.iter().copied().min_by_key(|(host, load)| {
            let control_planes = if subject.control_plane { load.control_planes } else { 0 };
            (load.down, control_planes, load.machines, crc32fast::hash(format!("{}/{host}", subject.name).as_bytes()))
        }),
        Strategy::Pack => loads.iter().copied().min_by_key(|(host, load)| (load.down, std::cmp::Reverse(load.machines), *host)),
    };
    let full = || Blocked::new(NO_HOST, POOL, "has no host that takes one more machine: each holds its maxMicrovms");
    chosen.map(|(host, _)| host.to_owned()).ok_or_else(full)
}

/// By checksum of the name over the sorted hosts.
fn by_name<'a>(name: &str, hosts: &[(&'a str, Load)]) -> Option<(&'a str, Load)> {
    let sum = u64::from(crc32fast::hash(name.as_bytes()));
    hosts.get(usize::try_from(sum.checked_rem(hosts.len() as u64)?).ok()?).copied()
}

#[cfg(test)]
mod tests;
