//! The folders of the host that a guest mounts: each is served by a virtiofsd of its own, which is started before the VMM and ends with it.
//!
//! It gets a socket that listens already as its standard input, so that a VMM never comes too early, and its log as its output, locked.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, select_all};
use futures::{FutureExt, future};
use tokio::time::Instant;

use super::{FindError, LOOK, Runner, SETTLE, told};
use crate::confine::Confinement;
use crate::driver::DriverKind;
use crate::files;
use crate::folder::RunFolder;
use crate::logs;
use crate::machine::{Machine, Share, Uid};
use crate::process::{self, ExitStatus, Mark, Process};
use crate::spawn::{self, Streams};
use crate::stop::{self, StopError};
use crate::virtiofsd::{Unservable, Virtiofsd};

/// What both makes of virtiofsd say once nothing more can go wrong.
const WAITS: &str = "Waiting for vhost-user socket connection";
/// How long it may take to say so. One that says something else is taken at its life.
const START: Duration = Duration::from_secs(2);
/// How long a VMM may go on without its virtiofsd, which ends as soon as a VMM that ends has let go of it.
const ALONE: Duration = Duration::from_secs(5);
/// How much a virtiofsd's last words are.
const LAST_WORDS: usize = 3;

/// A folder is not served.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Nobody here can do it. Trying again does not help.
    #[error(transparent)]
    Unservable(#[from] Unservable),
    /// A file could not be prepared.
    #[error("cannot prepare {path}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program does not start.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended at once.
    #[error("virtiofsd did not serve {folder}: {status}; it said: {said}")]
    Died {
        /// The folder.
        folder: PathBuf,
        /// How.
        status: ExitStatus,
        /// The last of its log.
        said: String,
    },
    /// One of an earlier VMM cannot be ended.
    #[error(transparent)]
    Stop(#[from] StopError),
}

/// A VMM that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Why it was killed, if it was because a folder of its guest's was served no more.
    pub unserved: Option<String>,
}

impl Runner {
    /// Whether a folder can be served so.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn can_serve(&self, share: &Share) -> Result<(), Unservable> {
        self.server()?.plan(share).map(drop)
    }

    fn server(&self) -> Result<&Virtiofsd, Unservable> {
        self.virtiofsd.as_ref().map_err(|none| none.clone().into())
    }

    /// Serves what the machine shares. Call it with the machine's lock held, when no VMM of its lives. Gives what could not be confined.
    pub(super) async fn serve_shares(&self, machine: &Machine, kind: DriverKind, folder: &RunFolder) -> Result<Vec<String>, ShareError> {
        self.end_shares(&machine.uid).await?;
        for (_, log) in folder.share_logs() {
            files::remove(&log).map_err(failed(&log))?;
        }
        let mut unconfined = Vec::new();
        for (index, share) in machine.shares.iter().enumerate() {
            let mark = Mark { root: self.name.clone(), uid: machine.uid.clone(), driver: kind, share: Some(index) };
            unconfined.extend(self.serve(share, mark, index, folder).await?);
        }
        Ok(unconfined)
    }

    async fn serve(&self, share: &Share, mark: Mark, index: usize, folder: &RunFolder) -> Result<Vec<String>, ShareError> {
        let virtiofsd = self.server()?;
        let plan = virtiofsd.plan(share)?;
        let (socket, path) = (folder.share(index), folder.share_log(index));
        files::remove(&socket).map_err(failed(&socket))?;
        let listener = UnixListener::bind(&socket).map_err(failed(&socket))?;
        self.give(&socket).map_err(failed(&socket))?;
        let log = files::lock(&path).and_then(|log| log.ok_or_else(|| io::ErrorKind::WouldBlock.into())).map_err(failed(&path))?;
        let streams = Streams { input: listener.into(), output: log.try_clone().map_err(failed(&path))?, errors: log };

        // It keeps the daemon's user, to give files their owners; its own sandbox and landlock exclude each other.
        let landlock = self.confinement.landlock && virtiofsd.wants_landlock();
        let confinement = Confinement { landlock, user: None, ..self.confinement.clone() };
        let (program, at, own) = (virtiofsd.program().to_owned(), folder.clone(), mark.clone());
        let started = tokio::task::spawn_blocking(move || spawn::spawn(&plan, &[], &at, &own, streams, &confinement)).await;
        let spawned = started.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let held = spawned.and_then(|spawned| Ok((Process::child(spawned.pid, mark)?, spawned.unconfined)));
        let (process, unconfined) = held.map_err(|source| ShareError::Start { program, source })?;
        if let Some(status) = ended_before_it_waits(&process, &path).await {
            return Err(ShareError::Died { folder: share.folder.clone(), status, said: last_words(&path) });
        }
        // Whoever else waits for its end, the kernel wants somebody who does.
        tokio::spawn(async move { process.ended().await });
        Ok(unconfined.into_iter().map(|why| format!("virtiofsd: {why}")).collect())
    }

    /// The living processes that serve the microVM's shares. One share may have two: virtiofsd's sandbox is a child of its.
    fn share_processes(&self, uid: &Uid) -> Vec<Process> {
        let ours = process::scan(&self.name).into_iter().filter(|found| found.mark.share.is_some() && found.mark.uid == *uid);
        ours.filter_map(Process::adopt).collect()
    }

    /// Ends what serves the microVM's shares. That there is none is no error.
    ///
    /// # Errors
    /// One cannot be found, signalled, or hangs in the kernel.
    pub(crate) async fn end_shares(&self, uid: &Uid) -> Result<(), StopError> {
        let logs = self.folder(uid).map_err(FindError::from)?.share_logs();
        if logs.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + SETTLE;
        loop {
            for process in self.share_processes(uid) {
                let failed = |source| StopError::Signal { uid: uid.clone(), pid: process.pid(), source };
                process.kill().map_err(failed)?;
                if process.ended_within(stop::KILL).await.map_err(failed)?.is_none() {
                    return Err(StopError::Undying { uid: uid.clone(), pid: process.pid() });
                }
            }
            // One that was just forked shows no mark yet.
            let Some(path) = first_locked(&logs)? else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(FindError::Hidden { path }.into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the microVM's VMM has ended, and with it what served its shares. A guest whose folder is served no more would wait for it for ever, so
    /// its VMM is killed then.
    ///
    /// # Errors
    /// The kernel refuses to tell, or to kill.
    pub async fn ended(&self, process: &Process) -> io::Result<Ended> {
        let ended = self.ended_or_unserved(process).await?;
        // By itself a virtiofsd ends only with a VMM that had come to it.
        if let Err(error) = self.end_shares(process.uid()).await {
            tracing::warn!(uid = %process.uid(), error = told(&error), "a virtiofsd is left of a VMM that has ended");
        }
        Ok(ended)
    }

    async fn ended_or_unserved(&self, process: &Process) -> io::Result<Ended> {
        let unserved = tokio::select! {
            biased;
            status = process.ended() => return Ok(Ended { status: status?, unserved: None }),
            said = self.unserved(process.uid()) => said,
        };
        if let Some(status) = process.ended_within(ALONE).await? {
            return Ok(Ended { status, unserved: None });
        }
        process.kill()?;
        Ok(Ended { status: process.ended().await?, unserved: Some(format!("virtiofsd ended; it said: {unserved}")) })
    }

    /// Waits until one of the microVM's folders is served no more, and gives its virtiofsd's last words; for ever, if there is none.
    async fn unserved(&self, uid: &Uid) -> String {
        let logs = self.folder(uid).map(|folder| folder.share_logs()).unwrap_or_default();
        let processes = if logs.is_empty() { Vec::new() } else { self.share_processes(uid) };
        let mut ends: Vec<BoxFuture<'_, &PathBuf>> = Vec::new();
        for (index, log) in &logs {
            // A lock that cannot be looked at tells nothing.
            if !files::locked(log).unwrap_or(true) {
                ends.push(future::ready(log).boxed());
            }
            let serving = processes.iter().filter(|process| process.share() == Some(*index));
            ends.extend(serving.map(|process| process.ended().map(move |_| log).boxed()));
        }
        if ends.is_empty() { future::pending().await } else { last_words(select_all(ends).await.0) }
    }
}

/// How it ended, unless it came to wait for its VMM.
async fn ended_before_it_waits(process: &Process, log: &Path) -> Option<ExitStatus> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline && !logs::tail(log, LAST_WORDS).iter().any(|line| line.contains(WAITS)) {
        if let Ok(Some(status)) = process.ended_within(LOOK).await {
            return Some(status);
        }
    }
    None
}

fn last_words(log: &Path) -> String {
    logs::tail(log, LAST_WORDS).join(" / ")
}

fn first_locked(logs: &[(usize, PathBuf)]) -> Result<Option<PathBuf>, FindError> {
    for (_, path) in logs {
        if files::locked(path).map_err(|source| FindError::Lock { path: path.clone(), source })? {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ShareError + use<> {
    let path = path.to_owned();
    move |source| ShareError::Files { path, source }
}
