//! The cache on disk: files by content, and small records that say which recipe made which file.
//!
//! ```text
//! blobs/sha256/<hex>   the files: read-only, executable
//! index/<key>.json     one record for each recipe
//! locks/<key>.lock     held while an artifact is being fetched; never removed, so two runs always mean the same lock
//! work/<key>/...       what a fetch writes until it is whole; belongs to the holder of the lock of the same key
//! ```
//!
//! A file enters `blobs` by rename once it is whole and on disk, so a run that dies leaves nothing but its `work` folder, which the
//! next run to hold the lock removes.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use thiserror::Error;

use crate::artifact::{Artifact, Origin};
use crate::platform::Platform;
use crate::progress::Reporter;

#[cfg(test)]
mod tests;

/// Counts up when a record's meaning changes: a record of another format is not read.
const FORMAT: u32 = 1;
/// How often a waiting run looks whether the lock is free.
const LOCK_POLL: Duration = Duration::from_millis(100);
/// The permissions of a cached file: its owner may read and run it, nobody may change it.
const BLOB_MODE: u32 = 0o500;

/// Where the cache is unless the user says otherwise: `$CAPSTEAD_CACHE_DIR`, else `$XDG_CACHE_HOME/capstead`, else
/// `~/.cache/capstead`. `None` when there is no home folder either.
#[must_use]
pub fn default_cache_root() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("CAPSTEAD_CACHE_DIR")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join("capstead")))
        .or_else(|| folder("HOME").map(|path| path.join(".cache/capstead")))
}

/// The cache itself does not work. Nothing can be fetched then, so no other source is tried.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Something that is not a folder is where a folder is needed.
    #[error("{} is not a folder: remove it, or name another cache folder with CAPSTEAD_CACHE_DIR", path.display())]
    NotAFolder {
        /// The path in the way.
        path: PathBuf,
    },
    /// The folder is another user's, who could put anything there for us to run.
    #[error(
        "the cache folder {} belongs to user id {owner}, not to {user}: name another with CAPSTEAD_CACHE_DIR, or give it back with chown",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user this program runs as.
        user: u32,
    },
    /// The path cannot be written to.
    #[error("{} cannot be written to: allow it, or name another cache folder with CAPSTEAD_CACHE_DIR", path.display())]
    NotWritable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, the quota or the limit on a file's size is used up.
    #[error("no room left to write {}: free some, or name a cache folder on another disk with CAPSTEAD_CACHE_DIR", path.display())]
    Full {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else the file system refused.
    #[error("cannot use {} in the cache", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CacheError {
    /// Sorts a refusal by what the user can do about it.
    pub(crate) fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => Self::NotAFolder { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }
}

/// Everything that decides what a file in the cache is. Its hash is the record's name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) platform: Platform,
    pub(crate) made: Made,
}

/// The part of a recipe that tells one way of making a file from another.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "by", rename_all = "camelCase")]
pub(crate) enum Made {
    #[serde(rename_all = "camelCase")]
    Oci { reference: String, file: String },
    #[serde(rename_all = "camelCase")]
    Go {
        package: String,
        ldflags: String,
        // What was built before there was C is as it was.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        cgo: bool,
        go_mod: String,
        go_sum: String,
    },
}

impl Recipe {
    fn key(&self) -> String {
        hash_parts(&[&serde_json::to_string(self).unwrap_or_default()])
    }
}

/// What the cache knows of one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    format: u32,
    name: String,
    version: String,
    platform: Platform,
    pub(crate) origin: Origin,
    /// `sha256:<hex>`.
    pub(crate) digest: String,
    stamp: Stamp,
}

/// What a file that nobody touched keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stamp {
    size: u64,
    /// Seconds and nanoseconds since the epoch.
    modified: (i64, i64),
    mode: u32,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        if !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { size: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()), mode: meta.mode() & 0o7777 })
    }
}

/// What a look into the cache found.
#[derive(Debug)]
pub(crate) enum Look {
    /// The file, untouched since it was put there.
    Hit(PathBuf, Record),
    /// There is a record, but the file is gone or was touched: [`Cache::examine`] decides.
    Suspect(Record),
    /// Nothing.
    Miss,
}

/// The folders of a cache.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache as it is, to look into: nothing is made.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// Makes the folders, private to the user, and clears what dead runs left.
    pub(crate) fn open(root: &Path) -> Result<Self, CacheError> {
        let cache = Self::at(root);
        make_folder(root)?;
        let meta = fs::metadata(root).map_err(|error| CacheError::at(root, error))?;
        let user = rustix::process::geteuid().as_raw();
        if meta.uid() != user && user != 0 {
            return Err(CacheError::Foreign { path: root.to_path_buf(), owner: meta.uid(), user });
        }
        for name in ["blobs", "blobs/sha256", "index", "locks", "work"] {
            let folder = root.join(name);
            make_folder(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(|error| CacheError::at(&folder, error))?;
        }
        cache.sweep()?;
        Ok(cache)
    }

    /// Removes the work of runs that died: whoever holds the lock of a key owns its work folder.
    fn sweep(&self) -> Result<(), CacheError> {
        let work = self.root.join("work");
        let entries = fs::read_dir(&work).map_err(|error| CacheError::at(&work, error))?;
        for entry in entries.flatten() {
            let Some(key) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let lock = self.open_lock(&key)?;
            if lock.try_lock().is_ok() {
                // A run that still writes there (an orphaned build) only delays this to the next time.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap_or(digest))
    }

    fn index(&self, recipe: &Recipe) -> PathBuf {
        self.root.join("index").join(format!("{}.json", recipe.key()))
    }

    /// Looks a recipe up, and at the file's size, time and permissions.
    pub(crate) fn look(&self, recipe: &Recipe) -> Look {
        let Ok(text) = fs::read(self.index(recipe)) else { return Look::Miss };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { return Look::Miss };
        let hex = record.digest.strip_prefix("sha256:").unwrap_or_default();
        if record.format != FORMAT || hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Look::Miss;
        }
        let path = self.blob(&record.digest);
        match Stamp::of(&path) {
            Ok(stamp) if stamp == record.stamp => Look::Hit(path, record),
            _ => Look::Suspect(record),
        }
    }

    /// Reads a touched file whole. A sound one gets its stamp back, a damaged one is removed: the error says what was wrong with it.
    /// The caller holds the artifact's lock.
    pub(crate) fn examine(&self, recipe: &Recipe, mut record: Record) -> Result<Result<(PathBuf, Record), String>, CacheError> {
        let path = self.blob(&record.digest);
        let wrong = match Stamp::of(&path).and_then(|_| digest_of(&path)) {
            Ok(digest) if digest == record.digest => {
                fs::set_permissions(&path, Permissions::from_mode(BLOB_MODE)).map_err(|error| CacheError::at(&path, error))?;
                record.stamp = Stamp::of(&path).map_err(|error| CacheError::at(&path, error))?;
                self.write_record(recipe, &record)?;
                return Ok(Ok((path, record)));
            }
            Ok(_) => "is damaged",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is gone",
            Err(error) => return Err(CacheError::at(&path, error)),
        };
        for stale in [&path, &self.index(recipe)] {
            match fs::remove_file(stale) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(CacheError::at(stale, error)),
                _ => {}
            }
        }
        Ok(Err(format!("{} {wrong}", path.display())))
    }

    /// Takes a finished file into the cache. The caller holds the artifact's lock.
    pub(crate) fn put(&self, recipe: &Recipe, file: &Path, digest: String, origin: Origin) -> Result<(PathBuf, Record), CacheError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |error| CacheError::at(&path, error)
        };
        fs::set_permissions(file, Permissions::from_mode(BLOB_MODE)).map_err(at(file))?;
        File::open(file).and_then(|file| file.sync_all()).map_err(at(file))?;
        let blob = self.blob(&digest);
        fs::rename(file, &blob).map_err(at(&blob))?;
        sync_folder_of(&blob)?;
        let record = Record {
            format: FORMAT,
            name: recipe.name.clone(),
            version: recipe.version.clone(),
            platform: recipe.platform.clone(),
            origin,
            digest,
            stamp: Stamp::of(&blob).map_err(at(&blob))?,
        };
        self.write_record(recipe, &record)?;
        Ok((blob, record))
    }

    fn write_record(&self, recipe: &Recipe, record: &Record) -> Result<(), CacheError> {
        let path = self.index(recipe);
        let write = || -> io::Result<()> {
            // In the index folder: the lock keeps others away from this name, and a leftover is overwritten.
            let unfinished = path.with_extension("tmp");
            let mut file = File::create(&unfinished)?;
            file.write_all(serde_json::to_string_pretty(record)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(|error| CacheError::at(&path, error))?;
        sync_folder_of(&path)
    }

    fn open_lock(&self, key: &str) -> Result<File, CacheError> {
        let path = self.root.join("locks").join(format!("{key}.lock"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(|error| CacheError::at(&path, error))
    }

    /// Waits for a lock, saying so, and takes it. It is let go when dropped, and by the system when this process dies.
    pub(crate) async fn lock(&self, key: &str, what: &str, report: Reporter<'_>) -> Result<Lock, CacheError> {
        let mut file = self.open_lock(key)?;
        let mut said = false;
        // Looking again and again, unlike waiting in the kernel, ends at once when the caller gives up.
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if said => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    // Empty between taking the lock and writing this.
                    let holder =
                        Some(holder.trim()).filter(|id| !id.is_empty()).map_or("another process".to_owned(), |id| format!("process {id}"));
                    report.message(format!("waiting for {holder} to finish {what}"));
                    said = true;
                }
                Err(TryLockError::Error(error)) => return Err(CacheError::at(&self.root.join("locks"), error)),
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
        // For the message above only.
        let _ = file.set_len(0).and_then(|()| io::Seek::rewind(&mut file)).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }

    /// A folder to work in, for the holder of the lock of that key. What an earlier holder left is removed.
    pub(crate) fn work(&self, key: &str, _lock: &Lock) -> Result<Work, CacheError> {
        let parent = self.root.join("work").join(key);
        let _ = fs::remove_dir_all(&parent);
        make_folder(&parent)?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&parent).map_err(|error| CacheError::at(&parent, error))?;
        Ok(Work { folder, parent })
    }
}

/// A lock held.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// A folder to work in, removed when dropped. Each run has one of its own name, so an orphan of a killed run cannot write into it.
#[derive(Debug)]
pub(crate) struct Work {
    folder: TempDir,
    parent: PathBuf,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = fs::remove_dir_all(&self.parent);
    }
}

/// The lock of an artifact: one for all the ways to make it, so that two runs never both try them.
pub(crate) fn artifact_key(artifact: &Artifact, platform: &Platform) -> String {
    hash_parts(&[&artifact.name, &artifact.version, &platform.to_string()])
}

/// The SHA-256 of a list of texts, in hex. Each is preceded by its length, so no two lists run together.
fn hash_parts(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// `sha256:<hex>` of a text.
pub(crate) fn digest_of_text(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

/// `sha256:<hex>` of a file.
pub(crate) fn digest_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut part = vec![0; 256 * 1024];
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => hasher.update(&part[..read]),
        }
    }
    Ok(format!("sha256:{}", hex(&hasher.finalize())))
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn make_folder(path: &Path) -> Result<(), CacheError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| CacheError::at(path, error))
}

fn sync_folder_of(path: &Path) -> Result<(), CacheError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| CacheError::at(folder, error))
}
