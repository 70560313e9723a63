//! What a VMM may reach: landlock, an unprivileged user, a cgroup of its own. Each is an option, and what the host lacks is told, not hidden.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
};

use crate::files;
use crate::machine::Uid;
use crate::user::User;

/// How VMMs are confined. The default confines nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Only the system's libraries, the VMM's own files and its devices can be reached (Linux 5.13 and newer with landlock).
    pub landlock: bool,
    /// Who to run as, where the daemon is root. Taps and `/dev/kvm` must be open to that user; disks are given to it.
    pub user: Option<User>,
    /// A cgroup v2 folder that the daemon may write to; each VMM gets one of its own below it.
    pub cgroup: Option<PathBuf>,
}

/// What every VMM reads: its libraries and firmware, and what name look-ups need.
const SYSTEM: [&str; 15] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/opt",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/qemu",
    "/sys/devices/system",
];

/// Devices that VMMs open.
const DEVICES: [&str; 6] = ["/dev/kvm", "/dev/net/tun", "/dev/vhost-net", "/dev/null", "/dev/urandom", "/dev/random"];

/// Restricts this thread, and what it starts, to these paths. There is no way back, so call it on a thread that is about to end.
///
/// # Errors
/// Why it is not restricted: the kernel has no landlock, or refuses.
pub(crate) fn restrict_thread(reads: &[PathBuf], writes: &[PathBuf]) -> Result<(), String> {
    // Version 5 restricts ioctl on devices too; an older kernel restricts what it knows.
    let all = AccessFs::from_all(ABI::V5);
    let read = AccessFs::from_read(ABI::V5);
    let system = SYSTEM.iter().map(PathBuf::from).chain(reads.iter().cloned());
    let own = DEVICES.iter().map(PathBuf::from).chain(writes.iter().cloned());
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(Ruleset::create)
        .and_then(|set| set.add_rules(path_beneath_rules(system, read)))
        .and_then(|set| set.add_rules(path_beneath_rules(own, all)))
        .and_then(|set| set.restrict_self());
    match restricted {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => Err("the kernel has no landlock".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts a process into `<parent>/<uid>`, which is made if need be.
///
/// # Errors
/// The parent is no cgroup v2, or may not be written to.
pub(crate) fn enter_cgroup(parent: &Path, uid: &Uid, pid: u32) -> io::Result<()> {
    if !parent.join("cgroup.procs").exists() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it is no cgroup v2 folder"));
    }
    let own = parent.join(uid.as_ref());
    if let Err(error) = fs::create_dir(&own)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    OpenOptions::new().write(true).open(own.join("cgroup.procs"))?.write_all(pid.to_string().as_bytes())
}

/// Removes the empty `<parent>/<uid>`. None is as good.
///
/// # Errors
/// A process is still in it.
pub(crate) fn remove_cgroup(parent: &Path, uid: &Uid) -> io::Result<()> {
    files::gone(fs::remove_dir(parent.join(uid.as_ref())))
}

/// The microVMs that have a cgroup below this one.
pub(crate) fn cgroups(parent: &Path) -> Vec<Uid> {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
