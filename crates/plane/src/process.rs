//! Processes of the plane: found by their mark, started under a lock they inherit, ended through a descriptor that cannot mean another process.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;

use crate::pidfd::PidFd;

/// Environment variable with the plane's identity.
const PLANE: &str = "CAPSTEAD_PLANE";
/// Environment variable with the component's name.
const COMPONENT: &str = "CAPSTEAD_COMPONENT";
/// Environment variable with the digest of the command and its files.
const DIGEST: &str = "CAPSTEAD_DIGEST";

/// The mark that each process of a plane carries in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The plane's identity.
    pub plane: String,
    /// The component's name.
    pub component: String,
    /// The digest of what was started.
    pub digest: String,
}

impl Mark {
    fn read(pid: u32) -> Option<Self> {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let get = |name: &str| {
            let prefix = format!("{name}=");
            environ
                .split(|b| *b == 0)
                .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))
                .map(|value| String::from_utf8_lossy(value).into_owned())
        };
        Some(Self { plane: get(PLANE)?, component: get(COMPONENT)?, digest: get(DIGEST)? })
    }
}

/// A living process that carries a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub pid: u32,
    /// Its mark.
    pub mark: Mark,
}

/// Living processes of this plane, by process id. Zombies are not living.
#[must_use]
pub fn find(plane: &str) -> Vec<Found> {
    find_by(|found| found.mark.plane == plane)
}

/// Living processes of any plane that work in this folder or below.
#[must_use]
pub fn find_in(dir: &Path) -> Vec<Found> {
    find_by(|found| fs::read_link(format!("/proc/{}/cwd", found.pid)).is_ok_and(|cwd| cwd.starts_with(dir)))
}

fn find_by(wanted: impl Fn(&Found) -> bool) -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let found = pids.filter_map(|pid| Some(Found { pid, mark: Mark::read(pid)? }));
    let mut found: Vec<Found> = found.filter(|found| wanted(found) && alive(found.pid)).collect();
    found.sort_by_key(|found| found.pid);
    found
}

/// Whether the process exists and is no zombie.
#[must_use]
pub fn alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The command in parentheses may hold anything, so look behind the last one.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Whether the process was started with this argument.
#[must_use]
pub fn has_argument(pid: u32, argument: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == argument.as_bytes()))
}

/// Whether the process has this file open.
#[must_use]
pub fn has_open(pid: u32, path: &Path) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let wanted = fs::canonicalize(path).ok();
    fds.into_iter().any(|fd| wanted.is_some() && fs::read_link(fd.path()).ok() == wanted)
}

/// Resident memory in bytes, as the kernel counts it.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// A command to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment beside the mark and what every process gets.
    pub env: BTreeMap<String, String>,
    /// Its working folder.
    pub dir: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// The mark.
    pub mark: Mark,
}

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// One lives already.
    #[error("another process of it holds {0}")]
    Locked(PathBuf),
    /// A file is in the way.
    #[error(transparent)]
    Files(#[from] crate::layout::LayoutError),
    /// The binary does not start.
    #[error("cannot start {program}")]
    Start {
        /// The binary.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Starts a process in a session of its own, so that it outlives the supervisor and no terminal reaches it.
///
/// The lock file becomes its standard input: the kernel keeps the lock for as long as the process lives, whatever becomes of us, even between fork and exec.
///
/// # Errors
/// Another process holds the lock, or the binary does not start.
pub fn launch(launch: &Launch, lock: &Path) -> Result<Held, LaunchError> {
    let lock_file = crate::layout::try_lock(lock)?.ok_or_else(|| LaunchError::Locked(lock.to_owned()))?;
    let log = crate::layout::append_private(&launch.log)?;
    let err = log.try_clone().map_err(crate::layout::failed("open", &launch.log))?;
    let mut command = Command::new(&launch.program);
    command
        .arg0(&launch.mark.component)
        .args(&launch.args)
        .current_dir(&launch.dir)
        .stdin(Stdio::from(lock_file))
        .stdout(log)
        .stderr(err)
        .env_clear();
    for name in ["PATH", "HOME", "LANG", "TZ", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mark = [(PLANE, &launch.mark.plane), (COMPONENT, &launch.mark.component), (DIGEST, &launch.mark.digest)];
    command.envs(&launch.env).envs(mark).process_group(0);
    let child = command.spawn().map_err(|source| LaunchError::Start { program: launch.program.clone(), source })?;
    let pid = child.id();
    Held::of(pid, launch.mark.clone(), Some(child)).map_err(|source| LaunchError::Start { program: launch.program.clone(), source })
}

/// A process whose end will be heard.
#[derive(Debug)]
pub struct Held {
    pid: u32,
    mark: Mark,
    fd: PidFd,
    /// Present when it is our child, which must be reaped.
    child: Option<Child>,
}

impl Held {
    /// Holds a process that was found. `None` when it is gone, or another process has its id now.
    #[must_use]
    pub fn adopt(found: &Found) -> Option<Self> {
        let held = Self::of(found.pid, found.mark.clone(), None).ok()?;
        // The descriptor is fixed to one process, so what is read after opening it is about that one.
        (Mark::read(found.pid).as_ref() == Some(&found.mark)).then_some(held)
    }

    fn of(pid: u32, mark: Mark, child: Option<Child>) -> io::Result<Self> {
        Ok(Self { pid, mark, fd: PidFd::open(pid)?, child })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its mark.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Waits until it has ended. Dropping the wait changes nothing.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub async fn ended(&mut self) -> io::Result<End> {
        self.fd.ended().await?;
        Ok(End(self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())))
    }

    /// Asks it to end, waits for up to `grace`, then kills it and waits again.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<End> {
        self.fd.signal(Signal::TERM)?;
        if let Ok(end) = tokio::time::timeout(grace, self.ended()).await {
            return end;
        }
        self.fd.signal(Signal::KILL)?;
        self.ended().await
    }
}

/// Asks a process to end. One that is gone is no error.
///
/// # Errors
/// It may not be signalled.
pub fn terminate(pid: u32) -> io::Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match rustix::process::kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How a process ended; the status is known only of children.
#[derive(Clone, Copy, Debug)]
pub struct End(Option<ExitStatus>);

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => write!(f, "it ended"),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "it ended with exit code {code}"),
                (None, Some(signal)) => write!(f, "it was ended by signal {signal}"),
                (None, None) => write!(f, "it ended: {status}"),
            },
        }
    }
}

/// The last lines of a log that tell something to people: without the stacks of a Go program that panicked, which hide what it said.
#[must_use]
pub fn last_words(path: &Path, lines: usize) -> Vec<String> {
    let all = log_tail(path, usize::MAX);
    // A stack is a head and pairs of lines: a call, and where it is, indented.
    let below = all.iter().skip(1).map(String::as_str).chain([""]);
    let stack = |line: &str, next: &str| line.starts_with("goroutine ") || line.starts_with('\t') || next.starts_with('\t');
    let told: Vec<&String> =
        all.iter().zip(below).filter(|(line, next)| !line.trim().is_empty() && !stack(line, next)).map(|(line, _)| line).collect();
    told[told.len().saturating_sub(lines)..].iter().map(|line| (*line).clone()).collect()
}

/// The last lines of a log, at most `lines` of the last 64 KiB.
#[must_use]
pub fn log_tail(path: &Path, lines: usize) -> Vec<String> {
    use std::io::Read;
    use std::io::Seek;
    const WINDOW: u64 = 64 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(size.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.take(WINDOW).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests;
