//! Starting a VMM, or what serves its shares, so that it outlives the daemon: one job, done on a thread that is confined and then ends.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::confine::{self, Confinement};
use crate::driver::LaunchPlan;
use crate::files;
use crate::folder::RunFolder;
use crate::process::Mark;
use crate::user::User;

/// Opens the devices and becomes the VMM: the standard library closes every descriptor but three at exec, and to do otherwise takes `unsafe`.
fn shell(devices: &[PathBuf]) -> String {
    let opened = (LaunchPlan::FIRST_FD..).take(devices.len()).map(|fd| format!(" {fd}<>\"$CAPSTEAD_VMM_FD{fd}\""));
    format!("exec \"$0\" \"$@\"{}", opened.collect::<String>())
}

/// The command of a plan, after the words that `enter` other namespaces. What those and devices take is done before it becomes the user's.
pub(crate) fn command(plan: &LaunchPlan, enter: &[String], user: Option<&User>) -> Command {
    let shell = (!plan.devices.is_empty()).then(|| ["/bin/sh".into(), "-c".into(), shell(&plan.devices)]);
    let user = user.map(User::become_it).unwrap_or_default();
    let words = enter.iter().cloned().chain(shell.into_iter().flatten()).chain(user).map(OsString::from);
    let mut words = words.chain([plan.program.clone().into_os_string()]);
    // There is always a program.
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(&plan.args).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    for (fd, device) in (LaunchPlan::FIRST_FD..).zip(&plan.devices) {
        command.env(format!("CAPSTEAD_VMM_FD{fd}"), device);
    }
    command
}

/// The first file of that name on the search path; an absolute name as it is.
pub(crate) fn resolve(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file()).unwrap_or_else(|| program.to_owned())
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: u32,
    /// What could not be confined, and why.
    pub(crate) unconfined: Vec<String>,
}

/// The standard streams of a process. One of them is a file that is locked: the kernel keeps the lock for as long as the process lives, whatever becomes
/// of us, even between fork and exec.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) input: OwnedFd,
    pub(crate) output: File,
    pub(crate) errors: File,
}

impl Streams {
    /// A VMM's, with the lock as its input: an empty file reads as `/dev/null` does.
    pub(crate) fn of_vmm(plan: &LaunchPlan, folder: &RunFolder, lock: File) -> io::Result<Self> {
        let errors = files::append(&folder.vmm_log())?;
        let output = plan.stdout.as_deref().map_or_else(|| errors.try_clone(), files::append)?;
        Ok(Self { input: lock.into(), output, errors })
    }
}

/// Starts it, in a process group of its own.
pub(crate) fn spawn(
    plan: &LaunchPlan,
    enter: &[String],
    folder: &RunFolder,
    mark: &Mark,
    streams: Streams,
    confinement: &Confinement,
) -> io::Result<Spawned> {
    let user = confinement.user.as_ref().filter(|_| rustix::process::geteuid().is_root());
    let mut command = command(plan, enter, user);
    command.stdin(Stdio::from(streams.input)).stdout(streams.output).stderr(streams.errors);
    command.current_dir(folder.dir()).envs(mark.variables()).process_group(0);
    let mut unconfined = Vec::new();
    if let (None, Some(wanted)) = (user, &confinement.user) {
        unconfined.push(format!("it runs as this user and not as {wanted}: the daemon is not root"));
    }
    let mut reads = plan.reads.clone();
    reads.push(resolve(&plan.program));
    let mut writes: Vec<PathBuf> = plan.writes.iter().chain(&plan.devices).cloned().collect();
    writes.push(folder.dir().to_owned());
    let landlock = confinement.landlock && enter.is_empty();
    if confinement.landlock && !landlock {
        unconfined.push("it is not restricted to its own files: landlock keeps a process out of another's namespaces".to_owned());
    }
    // Landlock restricts a thread and its children, so a thread of its own leaves the daemon as it was.
    let started = std::thread::Builder::new().name("vmm-start".to_owned()).spawn(move || {
        let skipped = if landlock { confine::restrict_thread(&reads, &writes).err() } else { None };
        command.spawn().map(|child| (child.id(), skipped))
    })?;
    let (pid, skipped) = started.join().map_err(|_| io::Error::other("the starting thread panicked"))??;
    unconfined.extend(skipped.map(|why| format!("it is not restricted to its own files: {why}")));
    if let Some(parent) = &confinement.cgroup
        && let Err(error) = confine::enter_cgroup(parent, &mark.uid, pid)
    {
        unconfined.push(format!("it has no cgroup of its own below {}: {error}", parent.display()));
    }
    Ok(Spawned { pid, unconfined })
}
