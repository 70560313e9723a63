//! Ending a VMM: gracefully, then firmly, each step with its time.

use std::io;
use std::time::Duration;

use crate::driver::{ControlError, Driver};
use crate::folder::RunFolder;
use crate::machine::Uid;
use crate::process::{ExitStatus, Process};
use crate::runner::{FindError, Runner, told};

/// How long a VMM gets to end by its own command.
const QUIT: Duration = Duration::from_secs(5);
/// How long it gets after SIGTERM.
const TERMINATE: Duration = Duration::from_secs(3);
/// How long the kernel gets after SIGKILL.
pub(crate) const KILL: Duration = Duration::from_secs(10);

/// What it took to end a VMM, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// It did not live.
    Nothing,
    /// The guest shut down when asked to.
    PowerButton,
    /// The VMM was told to end.
    Quit,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A VMM that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// What it took.
    pub by: Means,
    /// How the process ended, where that is known.
    pub status: ExitStatus,
    /// What milder means said when they failed.
    pub refused: Vec<String>,
}

/// A VMM could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It cannot be found.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It may not be signalled, or not be waited for.
    #[error("cannot end the process {pid} of microVM {uid}")]
    Signal {
        /// The microVM.
        uid: Uid,
        /// Its process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// SIGKILL did not end it in time: it hangs in the kernel.
    #[error("the process {pid} of microVM {uid} hangs in the kernel and took no SIGKILL within {KILL:?}")]
    Undying {
        /// The microVM.
        uid: Uid,
        /// Its process.
        pid: u32,
    },
    /// The VMM does not answer, or refuses.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Runner {
    /// Asks the guest to shut down, and does not wait. One that does not live is no error, nor is asking twice.
    ///
    /// # Errors
    /// It cannot be found or asked.
    pub async fn press_power(&self, uid: &Uid) -> Result<(), StopError> {
        let folder = self.folder(uid).map_err(FindError::from)?;
        let Some(process) = self.find(uid).await? else { return Ok(()) };
        match self.driver(process.driver()) {
            Some(driver) => Ok(driver.press_power(&folder).await?),
            None => Ok(()),
        }
    }

    /// Ends the microVM's VMM: the guest gets `grace` to shut down, then the VMM is told to end, then SIGTERM, then SIGKILL.
    /// One that does not live is ended already.
    ///
    /// # Errors
    /// It cannot be found, signalled, or hangs in the kernel.
    pub async fn shutdown(&self, uid: &Uid, grace: Duration) -> Result<Stopped, StopError> {
        let stopped = self.end(uid, Means::PowerButton, grace).await?;
        self.end_shares(uid).await?;
        Ok(stopped)
    }

    /// Kills the microVM's VMM. One that does not live is killed already.
    ///
    /// # Errors
    /// It cannot be found, signalled, or hangs in the kernel.
    pub async fn kill(&self, uid: &Uid) -> Result<Stopped, StopError> {
        let stopped = self.end(uid, Means::Kill, Duration::ZERO).await?;
        self.end_shares(uid).await?;
        Ok(stopped)
    }

    async fn end(&self, uid: &Uid, mildest: Means, grace: Duration) -> Result<Stopped, StopError> {
        let folder = self.folder(uid).map_err(FindError::from)?;
        let nothing = Stopped { by: Means::Nothing, status: ExitStatus::Unknown, refused: Vec::new() };
        let Some(process) = self.find(uid).await? else { return Ok(nothing) };
        let driver = self.driver(process.driver());
        let failed = |source| StopError::Signal { uid: uid.clone(), pid: process.pid(), source };
        let mut refused = Vec::new();
        for (means, patience) in [(Means::PowerButton, grace), (Means::Quit, QUIT), (Means::Terminate, TERMINATE), (Means::Kill, KILL)]
            .into_iter()
            .filter(|(means, _)| *means >= mildest)
        {
            match apply(means, driver, &process, &folder).await {
                Ok(()) => {}
                // The milder means may fail: the next one follows at once.
                Err(Refusal::Control(error)) => {
                    refused.push(told(&error));
                    if process.ended_within(Duration::ZERO).await.map_err(failed)?.is_none() {
                        continue;
                    }
                }
                Err(Refusal::NoDriver) => continue,
                Err(Refusal::Signal(source)) => return Err(failed(source)),
            }
            if let Some(status) = process.ended_within(patience).await.map_err(failed)? {
                self.note_exit(&folder, status);
                return Ok(Stopped { by: means, status, refused });
            }
        }
        Err(StopError::Undying { uid: uid.clone(), pid: process.pid() })
    }
}

enum Refusal {
    Control(ControlError),
    Signal(io::Error),
    NoDriver,
}

async fn apply(means: Means, driver: Option<&dyn Driver>, process: &Process, folder: &RunFolder) -> Result<(), Refusal> {
    match (means, driver) {
        (Means::Nothing, _) => Ok(()),
        (Means::Terminate, _) => process.terminate().map_err(Refusal::Signal),
        (Means::Kill, _) => process.kill().map_err(Refusal::Signal),
        (_, None) => Err(Refusal::NoDriver),
        (Means::PowerButton, Some(driver)) => driver.press_power(folder).await.map_err(Refusal::Control),
        (Means::Quit, Some(driver)) => driver.quit(folder).await.map_err(Refusal::Control),
    }
}
