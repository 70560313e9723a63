//! The processes of one host: started once, found again, watched and ended, whichever driver they are of.
//!
//! The VMM's lock says whether one lives, its record says which, and its mark in `/proc` says so where the record does not. So every call
//! finds what an earlier one made, also one that was cut off between any two steps.

mod error;
mod shares;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use error::{FindError, LaunchError, RemoveError, RootError};
pub use shares::{Ended, ShareError};

use crate::capability::{self, Capabilities};
use crate::confine::{self, Confinement};
use crate::driver::{Driver, DriverKind, GuestState, LaunchPlan};
use crate::files;
use crate::folder::{self, FolderError, RunFolder};
use crate::logs;
use crate::machine::{Machine, Uid};
use crate::process::{self, ExitStatus, Found, Mark, Process, Record};
use crate::spawn::{self, Streams};
use crate::user::User;
use crate::virtiofsd::{NoVirtiofsd, Virtiofsd};

/// How long a process may hold the lock and not be seen: between fork and exec it has no mark yet.
const SETTLE: Duration = Duration::from_secs(10);
/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How much a VMM's last words are.
const LAST_WORDS: usize = 8;

/// The VMMs of one host daemon, below one run root.
#[derive(Clone, Debug)]
pub struct Runner {
    root: PathBuf,
    name: String,
    drivers: Vec<Arc<dyn Driver>>,
    virtiofsd: Result<Virtiofsd, NoVirtiofsd>,
    confinement: Confinement,
}

/// A launch that was successful.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub process: Process,
    /// Whether it was found and not started.
    pub adopted: bool,
    /// What the host could not confine, and why.
    pub unconfined: Vec<String>,
}

/// What is seen of a microVM's process.
#[derive(Debug)]
pub enum Observation {
    /// None was started, as far as can be known.
    Absent,
    /// It lives.
    Running {
        /// The process.
        process: Process,
        /// The guest in it.
        guest: GuestState,
    },
    /// It was started, and lives no more.
    Exited {
        /// How it ended, where that is known.
        status: ExitStatus,
        /// The last lines of its log.
        said: Vec<String>,
    },
}

impl Runner {
    /// A runner on this folder, which is made if need be, with the drivers of this host.
    ///
    /// # Errors
    /// The folder cannot be made or used.
    pub fn new(root: &Path, drivers: Vec<Arc<dyn Driver>>, confinement: Confinement) -> Result<Self, RootError> {
        let failed = |source| RootError { root: root.to_owned(), source };
        // Others may pass through, to the folders that are theirs.
        files::folder(root, 0o711).map_err(failed)?;
        // One folder has one name in every process's mark.
        let root = fs::canonicalize(root).map_err(failed)?;
        // What no microVM could run in is told at once. Uids of hosts are ULIDs.
        let uid = "0".repeat(26).parse().map_err(|error| failed(io::Error::other(error)))?;
        RunFolder::new(&root, &uid).map_err(|error| failed(io::Error::other(error)))?;
        let name = root.to_str().ok_or_else(|| failed(io::Error::other("its path is no UTF-8")))?.to_owned();
        Ok(Self { root, name, drivers, virtiofsd: Err(NoVirtiofsd::Off), confinement })
    }

    /// With what serves shares, or why there is nothing.
    #[must_use]
    pub fn with_virtiofsd(self, virtiofsd: Result<Virtiofsd, NoVirtiofsd>) -> Self {
        Self { virtiofsd, ..self }
    }

    /// The run root, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a microVM.
    ///
    /// # Errors
    /// The root is too long for sockets.
    pub fn folder(&self, uid: &Uid) -> Result<RunFolder, FolderError> {
        RunFolder::new(&self.root, uid)
    }

    /// The driver of that kind.
    #[must_use]
    pub fn driver(&self, kind: DriverKind) -> Option<&dyn Driver> {
        self.drivers.iter().find(|driver| driver.kind() == kind).map(AsRef::as_ref)
    }

    /// What the drivers of this host can do.
    #[must_use]
    pub fn capabilities(&self) -> Vec<(DriverKind, Capabilities)> {
        self.drivers.iter().map(|driver| (driver.kind(), driver.capabilities())).collect()
    }

    /// Starts the machine's VMM, or finds it: called twice, or again after a crash at any point, there is one process.
    /// That the process started does not say that the guest did: see [`Runner::observe`].
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub async fn launch(&self, machine: &Machine, kind: DriverKind) -> Result<Launched, LaunchError> {
        let driver = self.driver(kind).ok_or(LaunchError::NoDriver(kind))?;
        capability::check(machine, kind, &self.capabilities())?;
        let folder = self.folder(&machine.uid)?;
        let plan = driver.plan(machine, &folder)?;
        self.make_folders(&folder).map_err(files_error(folder.dir()))?;
        let deadline = Instant::now() + SETTLE;
        let lock = loop {
            if let Some(process) = self.find(&machine.uid).await? {
                return Ok(Launched { process, adopted: true, unconfined: Vec::new() });
            }
            match files::lock(&folder.lock()).map_err(files_error(&folder.lock()))? {
                Some(lock) => break lock,
                None if Instant::now() > deadline => return Err(FindError::Hidden { path: folder.lock() }.into()),
                None => tokio::time::sleep(LOOK).await,
            }
        };
        // A process whose lock file was removed under it is no less alive.
        if let Some(process) = self.marked(&machine.uid) {
            self.remember(&folder, &process);
            return Ok(Launched { process, adopted: true, unconfined: Vec::new() });
        }
        match self.start_all(machine, kind, plan, &folder, lock).await {
            Err(error) => {
                if let Err(left) = self.end_shares(&machine.uid).await {
                    tracing::warn!(uid = %machine.uid, error = told(&left), "a virtiofsd is left of a VMM that did not start");
                }
                Err(error)
            }
            launched => launched,
        }
    }

    /// The shares first: the VMM wants to reach them when it starts.
    async fn start_all(
        &self,
        machine: &Machine,
        kind: DriverKind,
        plan: LaunchPlan,
        folder: &RunFolder,
        lock: fs::File,
    ) -> Result<Launched, LaunchError> {
        let mut unconfined = self.serve_shares(machine, kind, folder).await?;
        let launched = self.start(machine, kind, plan, folder, lock).await?;
        unconfined.extend(launched.unconfined);
        Ok(Launched { unconfined, ..launched })
    }

    async fn start(
        &self,
        machine: &Machine,
        kind: DriverKind,
        plan: LaunchPlan,
        folder: &RunFolder,
        lock: fs::File,
    ) -> Result<Launched, LaunchError> {
        for socket in folder.sockets() {
            files::remove(&socket).map_err(files_error(&socket))?;
        }
        for (path, bytes) in &plan.files {
            files::replace(path, bytes).map_err(files_error(path))?;
            self.give(path).map_err(files_error(path))?;
        }
        let own = machine.disks.iter().map(|disk| disk.path.as_path()).filter(|path| path.is_file());
        for path in own.chain(Some(folder.serial_log().as_path()).filter(|log| log.is_file())) {
            self.give(path).map_err(files_error(path))?;
        }
        let console = logs::size(&folder.serial_log());
        let mut record =
            Record { version: Record::VERSION, driver: kind, boot: process::boot_id(), pid: None, start: None, exit: None, console };
        record.write(&folder.record()).map_err(files_error(&folder.record()))?;
        let mark = Mark { root: self.name.clone(), uid: machine.uid.clone(), driver: kind, share: None };
        let (program, at, confinement, enter) = (plan.program.clone(), folder.clone(), self.confinement.clone(), machine.enter.clone());
        let own = mark.clone();
        let start = move || spawn::spawn(&plan, &enter, &at, &own, Streams::of_vmm(&plan, &at, lock)?, &confinement);
        let spawned = tokio::task::spawn_blocking(start).await;
        let start_error = |source| LaunchError::Start { program, source };
        let spawned = match spawned {
            Ok(spawned) => spawned.and_then(|spawned| Ok((Process::child(spawned.pid, mark)?, spawned.unconfined))),
            Err(join) => Err(io::Error::other(join)),
        };
        let (process, unconfined) = spawned.map_err(start_error)?;
        if let Ok(Some(status)) = process.ended_within(Duration::ZERO).await {
            record.exit = Some(status);
            record.write(&folder.record()).map_err(files_error(&folder.record()))?;
            let said = logs::tail(&folder.vmm_log(), LAST_WORDS).join(" / ");
            return Err(LaunchError::Died { driver: kind, status, said });
        }
        record.pid = Some(process.pid());
        record.start = Some(process.start());
        record.write(&folder.record()).map_err(files_error(&folder.record()))?;
        Ok(Launched { process, adopted: false, unconfined })
    }

    fn make_folders(&self, folder: &RunFolder) -> io::Result<()> {
        files::folder(folder.state(), 0o700)?;
        files::folder(folder.dir(), 0o700)?;
        match self.owner() {
            Some(user) => std::os::unix::fs::lchown(folder.dir(), Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// Whose the files of VMMs are, if not ours.
    fn owner(&self) -> Option<&User> {
        self.confinement.user.as_ref().filter(|_| rustix::process::geteuid().is_root())
    }

    /// Gives a file to the VMM's user.
    fn give(&self, path: &Path) -> io::Result<()> {
        self.owner().map_or(Ok(()), |user| files::give(path, user))
    }

    /// The microVM's living process, if it has one.
    ///
    /// # Errors
    /// Someone holds the lock and cannot be found.
    pub async fn find(&self, uid: &Uid) -> Result<Option<Process>, FindError> {
        let folder = self.folder(uid)?;
        let path = folder.lock();
        let recorded = || Record::read(&folder.record()).and_then(|record| self.recorded(uid, &record)).and_then(Process::adopt);
        let deadline = Instant::now() + SETTLE;
        loop {
            if let Some(process) = recorded() {
                return Ok(Some(process));
            }
            if !files::locked(&path).map_err(|source| FindError::Lock { path: path.clone(), source })? {
                return Ok(None);
            }
            if let Some(process) = self.marked(uid) {
                self.remember(&folder, &process);
                return Ok(Some(process));
            }
            if Instant::now() > deadline {
                return Err(FindError::Hidden { path });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The living process with the microVM's mark.
    fn marked(&self, uid: &Uid) -> Option<Process> {
        self.scan().into_iter().filter(|found| found.mark.uid == *uid).find_map(Process::adopt)
    }

    /// Writes down a process that was found by its mark. Without it, the next one looks for the mark again.
    fn remember(&self, folder: &RunFolder, process: &Process) {
        let record = Record {
            version: Record::VERSION,
            driver: process.driver(),
            boot: process::boot_id(),
            pid: Some(process.pid()),
            start: Some(process.start()),
            exit: None,
            console: Record::read(&folder.record()).map_or(0, |record| record.console),
        };
        if let Err(error) = record.write(&folder.record()) {
            tracing::warn!(path = %folder.record().display(), %error, "cannot write down which process a VMM is");
        }
    }

    /// The living process that the record means.
    fn recorded(&self, uid: &Uid, record: &Record) -> Option<Found> {
        let found = Found::of(record.pid?)?;
        (Some(found.start) == record.start && found.mark.uid == *uid && found.mark.root == self.name).then_some(found)
    }

    /// What is seen of the microVM: its process, and its guest by the VMM's own word.
    ///
    /// # Errors
    /// It cannot be told whether a process lives. That the VMM does not answer is no error.
    pub async fn observe(&self, uid: &Uid) -> Result<Observation, FindError> {
        let folder = self.folder(uid)?;
        if let Some(process) = self.find(uid).await? {
            let guest = match self.driver(process.driver()) {
                Some(driver) => driver.guest(&folder).await.unwrap_or_else(|error| GuestState::Unknown(told(&error))),
                None => GuestState::Unknown(format!("this host has no driver {} any more", process.driver())),
            };
            // It may have ended while it was asked.
            match process.ended_within(Duration::ZERO).await {
                Ok(Some(status)) => self.note_exit(&folder, status),
                _ => return Ok(Observation::Running { process, guest }),
            }
        }
        let Some(mut record) = Record::read(&folder.record()) else { return Ok(Observation::Absent) };
        if record.exit.is_none()
            && record.boot == process::boot_id()
            && let Some(status) = record.pid.and_then(reap)
        {
            self.note_exit(&folder, status);
            record.exit = Some(status);
        }
        let said = logs::tail(&folder.vmm_log(), LAST_WORDS);
        Ok(Observation::Exited { status: record.exit.unwrap_or(ExitStatus::Unknown), said })
    }

    /// Writes down how the process ended, if that is known and not written yet: the kernel tells it once.
    pub(crate) fn note_exit(&self, folder: &RunFolder, status: ExitStatus) {
        let Some(record) = Record::read(&folder.record()).filter(|record| record.exit.is_none()) else { return };
        if status == ExitStatus::Unknown {
            return;
        }
        let noted = Record { exit: Some(status), ..record }.write(&folder.record());
        if let Err(error) = noted {
            tracing::warn!(path = %folder.record().display(), %error, "cannot write down how a VMM ended");
        }
    }

    /// The living VMM processes of this root, also those of microVMs that nobody remembers.
    #[must_use]
    pub fn scan(&self) -> Vec<Found> {
        process::scan(&self.name).into_iter().filter(|found| found.mark.share.is_none()).collect()
    }

    /// Every microVM that has a process, a folder, a record or a cgroup here: what a sweep for leaks compares with what should be.
    #[must_use]
    pub fn list(&self) -> BTreeSet<Uid> {
        let processes = process::scan(&self.name).into_iter().map(|found| found.mark.uid);
        let groups = self.confinement.cgroup.iter().flat_map(|parent| confine::cgroups(parent));
        processes.chain(groups).chain(folder::uids(&self.root)).collect()
    }

    /// Removes everything of a microVM: processes (killed), cgroup, folder with logs, record. What is not there is removed already.
    ///
    /// # Errors
    /// The process cannot be killed, or a file cannot be removed.
    pub async fn remove(&self, uid: &Uid) -> Result<(), RemoveError> {
        let folder = self.folder(uid).map_err(FindError::from)?;
        self.kill(uid).await?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| RemoveError::Files { path, source }
        };
        if let Some(parent) = &self.confinement.cgroup {
            confine::remove_cgroup(parent, uid).map_err(failed(&parent.join(uid.as_ref())))?;
        }
        files::remove_folder(folder.dir()).map_err(failed(folder.dir()))?;
        for (_, log) in folder.share_logs() {
            files::remove(&log).map_err(failed(&log))?;
        }
        files::remove(&folder.record()).map_err(failed(&folder.record()))?;
        files::remove(&folder.lock()).map_err(failed(&folder.lock()))
    }
}

fn files_error(path: &Path) -> impl FnOnce(io::Error) -> LaunchError + use<> {
    let path = path.to_owned();
    move |source| LaunchError::Files { path, source }
}

/// How a child of ours ended that nobody waited for.
fn reap(pid: u32) -> Option<ExitStatus> {
    crate::sys::PidFd::open(pid).ok()?.reap()
}

/// An error and everything below it on one line, outermost first.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
