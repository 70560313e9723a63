//! What the kernel says of processes, listeners and files.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::process::Pid;
use rustix::process::Signal;

/// Living processes whose environment says that they belong to this plane, by process id; the value is the component.
pub fn processes(plane: &str) -> BTreeMap<u32, String> {
    let of = |pid: u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let entries: Vec<String> = environ.split(|b| *b == 0).map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
        let get = |name: &str| entries.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
        (get("CAPSTEAD_PLANE")? == plane && alive(pid)).then(|| get("CAPSTEAD_COMPONENT").unwrap_or_default())
    };
    pids().into_iter().filter_map(|pid| Some((pid, of(pid)?))).collect()
}

/// Living processes with this text among their arguments.
pub fn running_with(argument: &str) -> Vec<u32> {
    let has = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|arg| arg == argument.as_bytes()) && alive(*pid)
    };
    pids().into_iter().filter(has).collect()
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether it exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Sends a signal; one that is gone already is fine.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => (),
        Err(error) => panic!("cannot signal {pid:?}: {error}"),
    }
}

/// What a process has in memory that no file holds, in bytes.
pub fn anonymous_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// kill -9.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// TCP addresses that a process listens on.
pub fn listeners(pid: u32) -> Vec<(IpAddr, u16)> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).map(|fds| fds.filter_map(Result::ok).collect()).unwrap_or_else(|_| Vec::new());
    let sockets: Vec<String> = fds.iter().filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_str()?.to_owned())).collect();
    let own = |inode: &str| sockets.contains(&format!("socket:[{inode}]"));
    all_listeners().into_iter().filter(|(_, inode)| own(inode)).map(|(address, _)| address).collect()
}

/// Whether anybody listens on this port.
pub fn listened(port: u16) -> bool {
    all_listeners().iter().any(|((_, listening), _)| *listening == port)
}

fn all_listeners() -> Vec<((IpAddr, u16), String)> {
    let read = |table: &str| fs::read_to_string(table).unwrap_or_default();
    let text = [read("/proc/net/tcp"), read("/proc/net/tcp6")].concat();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let listening = *fields.get(3)? == "0A";
        listening.then_some(())?;
        Some(((ip(address)?, u16::from_str_radix(port, 16).ok()?), (*fields.get(9)?).to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// From the kernel's form: 32-bit words in the byte order of the machine.
fn ip(text: &str) -> Option<IpAddr> {
    let words = text.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
    }
}

/// Everything below a folder, and itself, with its permission bits. Links are not followed.
pub fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        // Files come and go while a plane runs.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()));
        }
        found.push((path, about.permissions().mode() & 0o777));
    }
    found
}
