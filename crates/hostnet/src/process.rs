//! Processes of ours: found by a mark, started under a lock they inherit, ended through a descriptor that cannot mean another process.
//!
//! The mark stands in the environment and, for programs that hide theirs (passt is not dumpable), in the first argument.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use serde::Deserialize;
use serde::Serialize;

/// Environment variable with the mark.
const VARIABLE: &str = "CAPSTEAD_HOSTNET";
/// How long another call of ours may hold the lock of a process that does not show yet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process has to end by itself.
const GRACE: Duration = Duration::from_secs(3);
/// How often a condition is looked at that nobody tells.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// passt, for one interface of a microVM.
    Passt,
    /// Holds the namespaces of a LAN.
    Lan,
    /// slirp4netns, a LAN's way out.
    Uplink,
}

impl Role {
    fn text(self) -> &'static str {
        match self {
            Self::Passt => "passt",
            Self::Lan => "lan",
            Self::Uplink => "uplink",
        }
    }
}

/// Whose process it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessMark {
    /// Which daemon on this host.
    pub instance: String,
    /// What it does.
    pub role: Role,
    /// The microVM's uid and the interface's position (`uid.0`), or the name of the LAN.
    pub of: String,
}

impl ProcessMark {
    fn text(&self) -> String {
        format!("capstead-hostnet:{}:{}:{}", self.instance, self.role.text(), self.of)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("capstead-hostnet:")?.splitn(3, ':');
        let instance = parts.next()?.to_owned();
        let role = parts.next()?;
        let role = [Role::Passt, Role::Lan, Role::Uplink].into_iter().find(|known| known.text() == role)?;
        Some(Self { instance, role, of: parts.next()?.to_owned() })
    }

    fn read(pid: u32) -> Option<Self> {
        let read = |file: &str, prefix: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let words = bytes.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok());
            words.filter_map(|word| word.strip_prefix(prefix)).find_map(Self::parse)
        };
        read("environ", &format!("{VARIABLE}=")).or_else(|| read("cmdline", &format!("{} ", Role::Passt.text())))
    }
}

/// A living process of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedProcess {
    /// Process id.
    pub pid: u32,
    /// Its mark.
    pub mark: ProcessMark,
}

/// The living processes of an instance, by process id. Zombies are not living.
#[must_use]
pub fn list(instance: &str) -> Vec<OwnedProcess> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = pids.filter_map(|pid| Some(OwnedProcess { pid, mark: ProcessMark::read(pid)? }));
    let mut found: Vec<_> = marked.filter(|found| found.mark.instance == instance && ours(found.pid) && alive(found.pid)).collect();
    found.sort_by_key(|found| found.pid);
    found
}

/// The process with this mark.
#[must_use]
pub(crate) fn find(mark: &ProcessMark) -> Option<OwnedProcess> {
    list(&mark.instance).into_iter().find(|found| found.mark == *mark)
}

/// Whether we started it: anybody can write a mark. It runs as our user or, where we are root and it may run as another, its standard input is a
/// private file of ours.
fn ours(pid: u32) -> bool {
    let me = rustix::process::geteuid();
    if me.is_root() {
        return fs::metadata(format!("/proc/{pid}/fd/0")).is_ok_and(|file| file.is_file() && file.uid() == 0 && file.mode() & 0o077 == 0);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse::<u32>().ok());
    uid == Some(me.as_raw())
}

fn alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The command in parentheses may hold anything, so look behind the last one.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// A process cannot be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A file is in the way.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program is not there, or does not start.
    #[error("cannot start {program}; it is in the package {package}")]
    Start {
        /// The program.
        program: &'static str,
        /// Where to get it.
        package: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program ended, or did not do in time what it is for.
    #[error("{program} did not {what}: {said}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it is for.
        what: &'static str,
        /// The last of what it said.
        said: String,
    },
    /// A process that does not show its mark holds the lock.
    #[error("another process holds {0}, and does not show whose it is")]
    Locked(PathBuf),
    /// It cannot be ended.
    #[error("cannot end the process {pid}")]
    Stop {
        /// Process id.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

pub(crate) fn file_failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ProcessError {
    let path = path.to_owned();
    move |source| ProcessError::File { what, path, source }
}

/// A process that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub program: &'static str,
    pub package: &'static str,
    pub args: Vec<OsString>,
    pub mark: ProcessMark,
    /// Where its lock and log are: `<files>.lock`, `<files>.log`.
    pub files: PathBuf,
}

impl Launch {
    fn lock(&self) -> PathBuf {
        self.files.with_extension("lock")
    }

    fn log(&self) -> PathBuf {
        self.files.with_extension("log")
    }

    /// Finds the process, or starts it. `prepare` runs before a start, while the lock is held.
    ///
    /// The lock file becomes its standard input: the kernel keeps the lock as long as the process lives, even between fork and exec. So there is
    /// never a second one.
    pub(crate) async fn ensure(&self, prepare: impl FnOnce() -> Result<(), ProcessError>) -> Result<OwnedProcess, ProcessError> {
        let path = self.lock();
        let deadline = Instant::now() + PATIENCE;
        let lock = loop {
            if let Some(found) = find(&self.mark) {
                return Ok(found);
            }
            let open = || OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
            let file = open().map_err(file_failed("open", &path))?;
            match file.try_lock() {
                Ok(()) => break file,
                Err(fs::TryLockError::Error(source)) => return Err(file_failed("lock", &path)(source)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() > deadline => return Err(ProcessError::Locked(path)),
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            }
        };
        prepare()?;
        self.start(lock)
    }

    fn start(&self, lock: File) -> Result<OwnedProcess, ProcessError> {
        let path = self.log();
        let log = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).map_err(file_failed("open", &path))?;
        let errors = log.try_clone().map_err(file_failed("open", &path))?;
        let mark = self.mark.text();
        let mut command = tokio::process::Command::new(self.program);
        if self.mark.role == Role::Passt {
            // passt tells by its name whether it is passt or pasta, wherever in the name that stands.
            command.arg0(format!("{} {mark}", Role::Passt.text()));
        }
        command.args(&self.args);
        command.stdin(Stdio::from(lock)).stdout(log).stderr(errors).env_clear().env(VARIABLE, &mark).process_group(0);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let child = command.spawn().map_err(|source| ProcessError::Start { program: self.program, package: self.package, source })?;
        // It outlives us; when it ends before us, tokio reaps it.
        Ok(OwnedProcess { pid: child.id().unwrap_or_default(), mark: self.mark.clone() })
    }

    /// Waits until `ready`, while the process lives.
    pub(crate) async fn wait(&self, what: &'static str, found: &OwnedProcess, mut ready: impl FnMut() -> bool) -> Result<(), ProcessError> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            if !alive(found.pid) || Instant::now() > deadline {
                return Err(self.failed(what));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// That it did not do what it is for, with its last words.
    pub(crate) fn failed(&self, what: &'static str) -> ProcessError {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("to syslog")).collect();
        let said = lines[lines.len().saturating_sub(3)..].join("; ");
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
        ProcessError::Failed { program: self.program, what, said }
    }
}

/// Ends a process, first gently, and waits until it has ended. One that is gone is no error.
pub(crate) async fn stop(found: &OwnedProcess) -> Result<(), ProcessError> {
    let found = found.clone();
    let pid = found.pid;
    let stopped = tokio::task::spawn_blocking(move || stop_now(&found)).await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    stopped.map_err(|source| ProcessError::Stop { pid, source })
}

fn stop_now(found: &OwnedProcess) -> io::Result<()> {
    let pid = i32::try_from(found.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        other => other?,
    };
    // The descriptor is fixed to one process, so what is read after opening it is about that one.
    if ProcessMark::read(found.pid).as_ref() != Some(&found.mark) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        match rustix::process::pidfd_send_signal(&fd, signal) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            other => other?,
        }
        let limit = Timespec { tv_sec: GRACE.as_secs().cast_signed(), tv_nsec: 0 };
        if rustix::io::retry_on_intr(|| rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)))? > 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Removes lock and log of a process that has ended.
pub(crate) fn forget(files: &Path) -> Result<(), ProcessError> {
    for extension in ["lock", "log"] {
        let path = files.with_extension(extension);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(file_failed("remove", &path)(source)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
