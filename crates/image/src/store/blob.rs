//! Bytes by their digest.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::lock::Work;
use super::{Store, StoreError, sync_folder_of};
use crate::Digest;
use crate::digest::Hashing;

/// The permissions of what is in the store: anybody who can name it may read it, nobody may change it.
pub(super) const MODE: u32 = 0o444;

/// What bytes are said to be before they arrive.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Store {
    /// Where a blob is, or will be.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Whether a blob is there.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// A blob's bytes.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { digest: digest.clone() },
            _ => StoreError::at(&path, error),
        })
    }

    /// Takes bytes in. When they are not what is expected nothing is kept.
    pub(crate) fn put_blob(&self, work: &Work, bytes: impl Read, expected: Option<&Expected>) -> Result<(Digest, u64), StoreError> {
        let path = work.path().join("blob");
        // One byte more than expected is enough to know.
        let most = expected.map_or(u64::MAX, |expected| expected.size.saturating_add(1));
        let mut stream = Hashing::new(bytes.take(most));
        File::create(&path).and_then(|mut file| io::copy(&mut stream, &mut file)).map_err(|error| StoreError::at(&path, error))?;
        let (digest, size) = stream.finish();
        if let Some(expected) = expected {
            check(expected, &digest, size)?;
        }
        self.take_in(&path, &self.blob_path(&digest))?;
        Ok((digest, size))
    }

    /// Takes in a finished file that is known to be what it should be.
    pub(crate) fn take_in(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let take = || -> io::Result<()> {
            fs::set_permissions(from, Permissions::from_mode(MODE))?;
            File::open(from)?.sync_all()?;
            fs::rename(from, to)?;
            sync_folder_of(to)
        };
        take().map_err(|error| StoreError::at(to, error))
    }
}

/// Compares bytes with what they were said to be.
pub(crate) fn check(expected: &Expected, digest: &Digest, size: u64) -> Result<(), StoreError> {
    let what = || format!("blob {}", expected.digest);
    if size != expected.size {
        let got = if size > expected.size { "more".to_owned() } else { format!("{size} bytes") };
        return Err(StoreError::Mismatch { what: what(), expected: format!("{} bytes", expected.size), got });
    }
    if *digest != expected.digest {
        return Err(StoreError::Mismatch { what: what(), expected: expected.digest.to_string(), got: digest.to_string() });
    }
    Ok(())
}
