//! A microVM's run folder: what lies where, all of it derived from the uid.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::machine::Uid;

/// Longest path of a Unix socket in bytes: `sun_path` holds 108 with the NUL at its end.
const SOCKET_MAX: usize = 107;
/// What a VMM may append to the vsock's path: `_` and a port of up to 10 digits.
const VSOCK_SUFFIX: usize = 11;

/// The folder below the root with what only the host daemon may write. No uid begins with a dot.
const STATE: &str = ".state";

/// The folder `<root>/<uid>`, which is the VMM's own, and the files `<root>/.state/<uid>.*`, which are the daemon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    dir: PathBuf,
    state: PathBuf,
    uid: Uid,
}

/// The run folder cannot be where it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// Sockets would have names that the kernel does not take.
    #[error("{dir} is {over} bytes too long for the sockets in it ({SOCKET_MAX} bytes are the most): choose a shorter run folder")]
    TooLong {
        /// The microVM's folder.
        dir: PathBuf,
        /// How many bytes must go.
        over: usize,
    },
    /// A relative path means another folder to each process, and VMMs read `,` and other than UTF-8 their own way.
    #[error("the run folder {0} must be an absolute path of UTF-8 without comma, quote or white space")]
    Path(PathBuf),
}

impl RunFolder {
    /// The folder of a microVM. Nothing is touched.
    ///
    /// # Errors
    /// The root is no plain absolute path, or too long for sockets.
    pub fn new(root: &Path, uid: &Uid) -> Result<Self, FolderError> {
        let plain = root
            .to_str()
            .is_some_and(|text| !text.contains(|c: char| matches!(c, ',' | '"' | '\'') || c.is_whitespace() || c.is_control()));
        if !plain || !root.is_absolute() {
            return Err(FolderError::Path(root.to_owned()));
        }
        let folder = Self { dir: root.join(uid.as_ref()), state: root.join(STATE), uid: uid.clone() };
        let longest =
            [folder.control(), folder.events(), folder.console()].iter().map(|path| path.as_os_str().len()).max().unwrap_or_default();
        let longest = longest.max(folder.vsock().as_os_str().len() + VSOCK_SUFFIX);
        if longest > SOCKET_MAX {
            return Err(FolderError::TooLong { dir: folder.dir, over: longest - SOCKET_MAX });
        }
        Ok(folder)
    }

    /// The daemon's folder, mode 0700.
    #[must_use]
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The folder itself, mode 0700.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The VMM's control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// A second control socket for whoever waits for events, where the VMM has one.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.dir.join("events.sock")
    }

    /// The guest's serial console, for one client at a time: bytes both ways. Only with [`crate::Capabilities::console`].
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.dir.join("console.sock")
    }

    /// The vsock's Unix socket. See [`crate::Machine::vsock`].
    #[must_use]
    pub fn vsock(&self) -> PathBuf {
        self.dir.join("vsock.sock")
    }

    /// Everything the guest wrote to its serial console.
    #[must_use]
    pub fn serial_log(&self) -> PathBuf {
        self.dir.join("serial.log")
    }

    /// The VMM's own output.
    #[must_use]
    pub fn vmm_log(&self) -> PathBuf {
        self.dir.join("vmm.log")
    }

    /// Held locked by the VMM for as long as it lives.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join(format!("{}.lock", self.uid))
    }

    /// What is known of the process.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.state.join(format!("{}.json", self.uid))
    }

    /// The socket of the virtiofsd that serves this share, counted from 0.
    #[must_use]
    pub fn share(&self, index: usize) -> PathBuf {
        self.dir.join(format!("fs{index}.sock"))
    }

    /// The output of that virtiofsd, held locked for as long as it lives.
    #[must_use]
    pub(crate) fn share_log(&self, index: usize) -> PathBuf {
        self.state.join(format!("{}.fs{index}.log", self.uid))
    }

    /// The shares for which a virtiofsd was ever started since the last removal, with their logs.
    #[must_use]
    pub(crate) fn share_logs(&self) -> Vec<(usize, PathBuf)> {
        let prefix = format!("{}.fs", self.uid);
        let index = |name: &OsStr| name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".log")?.parse().ok();
        names(&self.state).filter_map(|name| index(&name)).map(|index| (index, self.share_log(index))).collect()
    }

    /// A file of the driver's own.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The sockets that a VMM makes, and would stumble over if an earlier one left them.
    #[must_use]
    pub fn sockets(&self) -> [PathBuf; 4] {
        [self.control(), self.events(), self.console(), self.vsock()]
    }
}

/// The uids that have something in this root: a folder, a record or a lock.
#[must_use]
pub(crate) fn uids(root: &Path) -> BTreeSet<Uid> {
    let folders = names(root).filter_map(|name| name.to_str()?.parse().ok());
    let state = names(&root.join(STATE)).filter_map(|name| name.to_str()?.split_once('.')?.0.parse().ok());
    folders.chain(state).collect()
}

fn names(dir: &Path) -> impl Iterator<Item = OsString> + use<> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.file_name())
}

#[cfg(test)]
mod tests;
