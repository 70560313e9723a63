//! VMM processes, and what serves their shares: found by the mark in their environment, held by a descriptor that cannot mean another process.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::driver::DriverKind;
use crate::machine::Uid;
use crate::sys::PidFd;

/// Environment variable with the run root: which host daemon it belongs to.
const ROOT: &str = "CAPSTEAD_VMM_ROOT";
/// Environment variable with the microVM's uid.
const UID: &str = "CAPSTEAD_VMM_UID";
/// Environment variable with the driver.
const DRIVER: &str = "CAPSTEAD_VMM_DRIVER";
/// Environment variable of a virtiofsd with the share that it serves.
const SHARE: &str = "CAPSTEAD_VMM_SHARE";

/// The mark that each VMM process, and each virtiofsd of a VMM's, carries in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run root.
    pub root: String,
    /// The microVM.
    pub uid: Uid,
    /// The driver.
    pub driver: DriverKind,
    /// The share that it serves, counted from 0; `None` for the VMM itself.
    pub share: Option<usize>,
}

impl Mark {
    /// As environment variables.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let own = [(ROOT, self.root.clone()), (UID, self.uid.to_string()), (DRIVER, self.driver.to_string())];
        own.into_iter().chain(self.share.map(|index| (SHARE, index.to_string()))).collect()
    }

    fn parse(environ: &[u8]) -> Option<Self> {
        let get = |name: &str| {
            let value = environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
            std::str::from_utf8(value).ok()
        };
        let share = get(SHARE).map(str::parse).transpose().ok()?;
        Some(Self { root: get(ROOT)?.to_owned(), uid: get(UID)?.parse().ok()?, driver: get(DRIVER)?.parse().ok()?, share })
    }

    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/environ")).ok()?)
    }
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// One letter: `R`, `S`, `D`, `Z`…
    pub(crate) state: char,
    /// Processor time used, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// When it started, in clock ticks after the kernel.
    pub(crate) start: u64,
}

impl Stat {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The command in parentheses may hold anything, so look behind the last one.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        // Counted as proc_pid_stat(5) does, the state is field 3: 14 and 15 are the times, 22 is the start.
        Some(Self { state: fields.first()?.chars().next()?, cpu_ticks: number(11)? + number(12)?, start: number(19)? })
    }

    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn alive(self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// A living process as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub pid: u32,
    /// When it started, in clock ticks after the kernel. Together with the id it means one process until the next boot.
    pub start: u64,
    /// Its mark.
    pub mark: Mark,
}

impl Found {
    /// The process that has this id now, if it lives and carries a mark.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid).filter(|stat| stat.alive())?;
        Some(Self { pid, start: stat.start, mark: Mark::of(pid)? })
    }
}

/// The living processes of a run root, VMMs and those that serve shares, by process id.
pub(crate) fn scan(root: &str) -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Found> = pids.filter_map(Found::of).filter(|found| found.mark.root == root).collect();
    found.sort_by_key(|found| found.pid);
    found
}

/// A VMM process whose end will be heard, and which signals cannot miss.
#[derive(Debug)]
pub struct Process {
    found: Found,
    fd: PidFd,
}

impl Process {
    /// Holds a process that was found. `None` when it is gone, or another has its id now.
    pub(crate) fn adopt(found: Found) -> Option<Self> {
        let fd = PidFd::open(found.pid).ok()?;
        // The descriptor is fixed to one process, so what is read after opening it is about that one, if it still lives.
        (Found::of(found.pid).as_ref() == Some(&found)).then_some(Self { found, fd })
    }

    /// Holds a child that was just started. Its id is its own until it is waited for; its environment cannot be read for a moment during exec.
    pub(crate) fn child(pid: u32, mark: Mark) -> io::Result<Self> {
        let fd = PidFd::open(pid)?;
        let stat = Stat::of(pid).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in /proc"))?;
        Ok(Self { found: Found { pid, start: stat.start, mark }, fd })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.found.pid
    }

    /// When it started, in clock ticks after the kernel.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.found.start
    }

    /// The microVM.
    #[must_use]
    pub fn uid(&self) -> &Uid {
        &self.found.mark.uid
    }

    /// The driver.
    #[must_use]
    pub fn driver(&self) -> DriverKind {
        self.found.mark.driver
    }

    /// The share that it serves; `None` for a VMM.
    pub(crate) fn share(&self) -> Option<usize> {
        self.found.mark.share
    }

    /// Waits until it has ended. Dropping the wait changes nothing; many may wait, and one of them is told how it ended.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub async fn ended(&self) -> io::Result<ExitStatus> {
        self.fd.ended().await
    }

    /// As [`Process::ended`], up to a limit; `None` when it lives on.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub async fn ended_within(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        tokio::time::timeout(limit, self.ended()).await.ok().transpose()
    }

    /// Asks it to end by SIGTERM. One that is gone is no error.
    ///
    /// # Errors
    /// It may not be signalled.
    pub fn terminate(&self) -> io::Result<()> {
        self.fd.signal(Signal::TERM)
    }

    /// Kills it. One that is gone is no error.
    ///
    /// # Errors
    /// It may not be signalled.
    pub fn kill(&self) -> io::Result<()> {
        self.fd.signal(Signal::KILL)
    }

    /// Processor time that it has used, if it lives.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = Stat::of(self.found.pid).filter(|stat| stat.start == self.found.start)?;
        // The kernel tells user space 100 ticks a second on every architecture that Rust supports here.
        Some(Duration::from_millis(stat.cpu_ticks * 10))
    }
}

/// How a process ended. It is known only to the parent: not of a process that outlived the daemon that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitStatus {
    /// By itself, with this code; 0 is what a guest's shutdown gives.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody told.
    Unknown,
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "it ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::Unknown => f.write_str("it ended"),
        }
    }
}

/// What is written down of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The format, 1.
    pub(crate) version: u32,
    /// The driver.
    pub(crate) driver: DriverKind,
    /// The kernel's boot id: after another boot, ids and start times mean nothing.
    pub(crate) boot: String,
    /// Process id; absent while it is being started.
    pub(crate) pid: Option<u32>,
    /// Start time in ticks; absent likewise.
    pub(crate) start: Option<u64>,
    /// How it ended, where that was heard.
    pub(crate) exit: Option<ExitStatus>,
    /// How many bytes the console's log held before: what its guest wrote comes after.
    #[serde(default)]
    pub(crate) console: u64,
}

impl Record {
    pub(crate) const VERSION: u32 = 1;

    /// Reads a record. One that is missing, cut short or of another format is as good as none: the process is found without it.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok().filter(|meta| meta.len() < 64 * 1024)?;
        let record: Self = meta.is_file().then(|| fs::read(path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())?;
        (record.version == Self::VERSION).then_some(record)
    }

    /// Writes it beside and renames it, so that no reader sees half of it.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("json.new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(&beside, path)
    }
}

/// The kernel's boot id.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
