//! Why the runner could not do something.

use std::io;
use std::path::PathBuf;

use crate::capability::Lacking;
use crate::driver::{DriverKind, PlanError};
use crate::folder::FolderError;
use crate::process::ExitStatus;
use crate::runner::ShareError;
use crate::stop::StopError;

/// A run root cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {root} as the folder of running microVMs")]
pub struct RootError {
    /// The folder.
    pub root: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A VMM was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The driver is not on this host.
    #[error("this host has no driver {0}")]
    NoDriver(DriverKind),
    /// The driver cannot run such a machine. Trying again does not help.
    #[error(transparent)]
    Lacking(#[from] Lacking),
    /// The machine cannot be put into the VMM's words. Trying again does not help.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run folder cannot be.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Looking for an earlier process failed.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A folder is not served.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// A file could not be written.
    #[error("cannot prepare {path}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The binary does not start.
    #[error("cannot start {program}")]
    Start {
        /// The binary.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended at once.
    #[error("{driver} did not stay: {status}; it said: {said}")]
    Died {
        /// The driver.
        driver: DriverKind,
        /// How.
        status: ExitStatus,
        /// The last lines of its log.
        said: String,
    },
}

/// It cannot be told whether a VMM lives.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The lock cannot be looked at.
    #[error("cannot look at the lock {path}")]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Someone holds the lock and cannot be found.
    #[error("a process holds {path} and cannot be found by its mark: is it another user's? `fuser {path}` names it")]
    Hidden {
        /// The lock.
        path: PathBuf,
    },
    /// The run folder cannot be.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A microVM was not removed. What was removed stays so; call again for the rest.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Its process.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// It cannot be found.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Its files.
    #[error("cannot remove {path}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
