//! Who may do what at the same time. The system lets go of a lock when its process dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};

/// The lock of the store as a whole.
pub(super) const STORE: &str = "store.lock";

/// A file whose lock is held. Unlocking it, rather than only closing it, counts for a child process, too, that was just being started
/// and has the file open until it runs its own program.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Keeps what is in the store from being removed, as long as it lives.
///
/// Hold one from before an image is looked up until what is made of it is known to be in use.
#[derive(Debug)]
pub struct Hold {
    _file: Locked,
}

/// The right to make one thing.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Locked,
    _hold: Hold,
    key: String,
}

/// A folder to make something in. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Work {
    path: PathBuf,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Store {
    /// Keeps everything from being removed. Waits while something is.
    ///
    /// # Errors
    /// When the lock cannot be used.
    pub fn hold(&self) -> Result<Hold, StoreError> {
        let (path, file) = self.lock_file(STORE)?;
        file.lock_shared().map_err(|error| StoreError::at(&path, error))?;
        Ok(Hold { _file: Locked(file) })
    }

    /// The right to remove things, unless anything is held.
    pub(super) fn alone(&self) -> Result<Option<Hold>, StoreError> {
        let (path, file) = self.lock_file(STORE)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Hold { _file: Locked(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::at(&path, error)),
        }
    }

    /// Waits for the right to make something.
    pub(crate) fn lock(&self, key: &str) -> Result<Lock, StoreError> {
        let hold = self.hold()?;
        let (path, file) = self.lock_file(&format!("{key}.lock"))?;
        file.lock().map_err(|error| StoreError::at(&path, error))?;
        Ok(Lock { _file: Locked(file), _hold: hold, key: key.to_owned() })
    }

    /// The right to make something, unless somebody has it.
    pub(crate) fn try_lock(&self, key: &str) -> Result<Option<Lock>, StoreError> {
        let hold = self.hold()?;
        let (path, file) = self.lock_file(&format!("{key}.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: Locked(file), _hold: hold, key: key.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::at(&path, error)),
        }
    }

    /// A folder to work in. What an earlier holder of the lock left is removed.
    pub(crate) fn work(&self, lock: &Lock) -> Result<Work, StoreError> {
        let path = self.root.join("work").join(&lock.key);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| StoreError::at(&path, error))?;
        Ok(Work { path })
    }

    /// Removes the work of runs that died.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        for path in self.entries("work")? {
            let Some(key) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if self.try_lock(key)?.is_some() {
                let _ = fs::remove_dir_all(&path);
            }
        }
        Ok(())
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File), StoreError> {
        let path = self.root.join("locks").join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(|error| StoreError::at(&path, error)).map(|file| (path, file))
    }
}
