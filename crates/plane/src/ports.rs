//! Choosing ports, and telling who has one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::TcpListener;
use std::ops::Range;

use crate::lifecycle::Taken;

/// Ports by name.
pub type Ports = BTreeMap<String, u16>;

/// Where ports are looked for: above the well-known ones and, on Linux's default settings, below those the kernel gives to outgoing connections.
/// 20000 and up are left to Cluster API's in-memory provider.
const RANGE: Range<u16> = 10_000..19_000;

/// No port is free.
#[derive(Debug, thiserror::Error)]
#[error("no port between {} and {} is free", RANGE.start, RANGE.end - 1)]
pub struct NoFreePort;

/// A port to choose: whether it must be free on all addresses, and the number it had before.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// It is listened on at all addresses, not at loopback alone.
    pub all_addresses: bool,
    /// The number it had, which it keeps if that is free.
    pub before: Option<u16>,
}

/// Chooses a free port for each want. `claimed` ones are left alone even if free: other planes that are down own them. `seed` spreads planes over the range.
///
/// # Errors
/// There are not enough free ports.
pub fn choose(wants: &BTreeMap<String, Want>, claimed: &BTreeSet<u16>, seed: u64) -> Result<Ports, NoFreePort> {
    let mut used = claimed.clone();
    let mut ports = Ports::new();
    for (name, want) in wants {
        if let Some(port) = want.before.filter(|port| !used.contains(port) && free(*port, want.all_addresses)) {
            used.insert(port);
            ports.insert(name.clone(), port);
        }
    }
    let start = u16::try_from(seed % (RANGE.len() as u64)).unwrap_or(0);
    let mut candidates = (RANGE.start + start..RANGE.end).chain(RANGE.start..RANGE.start + start);
    for (name, want) in wants.iter().filter(|(name, _)| !ports.contains_key(*name)).collect::<Vec<_>>() {
        let port = candidates.find(|port| !used.contains(port) && free(*port, want.all_addresses)).ok_or(NoFreePort)?;
        ports.insert(name.clone(), port);
    }
    Ok(ports)
}

/// Whether a listener could be opened now.
#[must_use]
pub fn free(port: u16, all_addresses: bool) -> bool {
    if all_addresses {
        // Go listens on both families with one socket; either may be off on this machine.
        let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
        v6.is_ok() || (no_such_address(&v6) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok())
    } else {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    }
}

fn no_such_address(bound: &std::io::Result<TcpListener>) -> bool {
    bound.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::AddrInUse)
}

/// The first of these ports that somebody listens on, and who that is.
#[must_use]
pub fn taken(ports: impl IntoIterator<Item = (u16, bool)>) -> Option<Taken> {
    let (port, _) = ports.into_iter().find(|(port, all)| !free(*port, *all))?;
    Some(Taken { port, by: listener(port).unwrap_or_else(|| "a process of another user".into()) })
}

/// The process that listens on a TCP port, as `name (pid N)`, if this user may see it.
fn listener(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
    let wanted = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find_map(|pid| {
        let mut fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
        fds.any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.to_str() == Some(&wanted))).then_some(())?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(format!("{} (pid {pid})", name.trim()))
    })
}

/// The inode of the socket in state LISTEN (0A) on `port`, from the text of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        (u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == "0A").then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests;
