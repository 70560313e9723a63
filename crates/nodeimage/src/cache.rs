//! Results of steps, by key: a folder for each, which has its name only when it is whole.
//!
//! ```text
//! steps/<hex>/   a step's result
//! locks/<hex>    held while it is made
//! locks/builds   held by every build until its image is handed on: alone by one that makes steps anew, as it replaces what others use
//! work/<hex>/    what a step writes until it is whole; belongs to the holder of the lock
//! output/        what is only needed while an image is handed on
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capstead_image::Digest;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// How often a waiting build looks whether it is its turn.
const LOCK_POLL: Duration = Duration::from_millis(200);
const BUILDS: &str = "builds";
const OUTPUT: &str = "output";

/// The cache cannot be used.
#[derive(Debug, Error)]
#[error("cannot use {} in the cache", path.display())]
pub struct CacheError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_path_buf();
    move |source| CacheError { path, source }
}

/// Results of steps.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    /// Make every step, whatever is there.
    anew: bool,
    /// The lock of builds.
    held: Option<Arc<File>>,
}

impl Cache {
    /// The cache as it is; looking makes nothing.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf(), anew: false, held: None }
    }

    /// Opens it, making its folders, and removes what dead builds left.
    pub(crate) fn open(root: &Path) -> Result<Self, CacheError> {
        let cache = Self::at(root);
        for name in ["steps", "locks", "work", OUTPUT] {
            let folder = root.join(name);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        cache.sweep("work", |name| name.to_owned())?;
        cache.sweep(OUTPUT, |_| BUILDS.to_owned())?;
        Ok(cache)
    }

    /// Removes what lies in a folder and whose lock nobody holds.
    fn sweep(&self, folder: &str, lock: impl Fn(&str) -> String) -> Result<(), CacheError> {
        let folder = self.root.join(folder);
        for entry in fs::read_dir(&folder).map_err(at(&folder))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let lock = self.lock_file(&lock(&name))?;
            if lock.try_lock().is_ok() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// The cache for one build. One that makes steps anew waits for all others, and they for it; `waiting` is called once, if so.
    pub(crate) async fn build(mut self, anew: bool, waiting: impl FnMut()) -> Result<Self, CacheError> {
        let lock = self.lock_file(BUILDS)?;
        self.locked(|| if anew { lock.try_lock() } else { lock.try_lock_shared() }, waiting).await?;
        self.anew = anew;
        self.held = Some(Arc::new(lock));
        Ok(self)
    }

    /// The folder: a place for files without a name.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A place for what is only needed while an image is handed on.
    pub(crate) fn output(&self) -> PathBuf {
        self.root.join(OUTPUT)
    }

    /// A step's result, if it is there.
    pub(crate) fn get(&self, key: &Digest) -> Option<PathBuf> {
        Some(self.root.join("steps").join(key.hex())).filter(|path| path.is_dir())
    }

    /// Whether a step has to be made.
    pub(crate) fn lacks(&self, key: &Digest) -> bool {
        self.anew || self.get(key).is_none()
    }

    /// A step's result, or the right to make it: of two builds that want it, one makes it and the other waits.
    pub(crate) async fn take(&self, key: &Digest, waiting: impl FnMut()) -> Result<Taken, CacheError> {
        if !self.anew
            && let Some(folder) = self.get(key)
        {
            return Ok(Taken::There(folder));
        }
        let lock = self.lock_file(key.hex())?;
        self.locked(|| lock.try_lock(), waiting).await?;
        if !self.anew
            && let Some(folder) = self.get(key)
        {
            return Ok(Taken::There(folder));
        }
        let work = self.root.join("work").join(key.hex());
        let _ = fs::remove_dir_all(&work);
        let result = work.join("result");
        fs::create_dir_all(&result).map_err(at(&result))?;
        Ok(Taken::ToMake(Making { _lock: lock, work, result, name: self.root.join("steps").join(key.hex()) }))
    }

    /// Waits for a lock. Looking again and again, unlike waiting in the kernel, ends at once when the caller gives up.
    async fn locked(&self, try_lock: impl Fn() -> Result<(), TryLockError>, mut waiting: impl FnMut()) -> Result<(), CacheError> {
        let mut said = false;
        loop {
            match try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(at(&self.root)(error)),
            }
            if !said {
                waiting();
            }
            said = true;
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    fn lock_file(&self, name: &str) -> Result<File, CacheError> {
        let path = self.root.join("locks").join(name);
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(at(&path))
    }
}

/// A step's result, or the right to make it.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The folder with the result.
    There(PathBuf),
    /// A folder to make it in.
    ToMake(Making),
}

/// A result in the making. Dropped before it is whole, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Making {
    _lock: File,
    work: PathBuf,
    result: PathBuf,
    name: PathBuf,
}

impl Making {
    /// Where to work.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Where the result goes.
    pub(crate) fn result(&self) -> &Path {
        &self.result
    }

    /// Gives the result its name, in place of one that was made before.
    pub(crate) fn finish(self) -> Result<PathBuf, CacheError> {
        if self.name.exists() {
            // It goes with the folder to work in. Nobody uses it, as the build that makes things anew is alone.
            fs::rename(&self.name, self.work.join("before")).map_err(at(&self.name))?;
        }
        fs::rename(&self.result, &self.name).map_err(at(&self.name))?;
        let parent = self.name.parent().unwrap_or(&self.name);
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))?;
        Ok(self.name.clone())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.work);
    }
}
