//! The folder in which a host's microVMs outlive the simulator: a file for each, which holds its bootstrap data, so only the user may read it.

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_flintlock::types::MicroVm;
use prost::Message;
use serde::Deserialize;
use serde::Serialize;

use super::host::Remembered;

#[cfg(test)]
mod tests;

/// How a file's name ends.
const ENDING: &str = "json";

/// Why a host's memory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The folder or a file in it is out of reach.
    #[error("cannot read {path}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was not written by a simulator.
    #[error("{path} is no microVM that a simulator has remembered; remove it to go on without it")]
    Damaged {
        /// Which one.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct File {
    /// flintlock's message, in base64.
    microvm: String,
    mounts: Vec<(String, String)>,
}

/// A host's folder.
#[derive(Debug)]
pub(super) struct Memory(PathBuf);

impl Memory {
    /// The folder of the host with this number; made if it is not there.
    pub(super) fn of(state: &Path, host: usize) -> Result<Self, MemoryError> {
        let dir = state.join(format!("host-{host}"));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|source| MemoryError::Read { path: dir.clone(), source })?;
        Ok(Self(dir))
    }

    /// All that is remembered, the oldest first.
    pub(super) fn all(&self) -> Result<Vec<Remembered>, MemoryError> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            move |source| MemoryError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unread(&self.0))? {
            paths.push(entry.map_err(unread(&self.0))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
        // Uids begin with the time.
        paths.sort();
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).map_err(unread(&path))?;
            parse(&bytes).ok_or(MemoryError::Damaged { path })
        };
        paths.into_iter().map(read).collect()
    }

    /// Remembers a microVM, in place of what was remembered of it before.
    pub(super) fn keep(&self, uid: &str, remembered: &Remembered) -> io::Result<()> {
        let microvm = STANDARD.encode(remembered.microvm.encode_to_vec());
        let bytes = serde_json::to_vec(&File { microvm, mounts: remembered.mounts.clone() })?;
        let new = self.0.join(format!("{uid}.new"));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        fs::rename(new, self.path(uid))
    }

    /// Remembers it no more.
    pub(super) fn forget(&self, uid: &str) -> io::Result<()> {
        match fs::remove_file(self.path(uid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.0.join(format!("{uid}.{ENDING}"))
    }
}

fn parse(bytes: &[u8]) -> Option<Remembered> {
    let file: File = serde_json::from_slice(bytes).ok()?;
    let microvm = MicroVm::decode(STANDARD.decode(file.microvm).ok()?.as_slice()).ok()?;
    Some(Remembered { microvm, mounts: file.mounts })
}
