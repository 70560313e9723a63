//! Images on this host: what was pulled, and what was made of it.
//!
//! ```text
//! blobs/sha256/<hex>            manifests, configurations, layers, raw disks; named by what they hold
//! images/<key>.json             one record for each reference: which manifest, or which raw file, it stands for
//! disks/<hex>-<size>.ext4       root disks, by manifest and size
//! files/<hex>-<key>             files taken out of images (kernels, initrds), by manifest and path
//! locks/<key>.lock              held while something is made; removed only while nobody holds any, so two runs always mean the same lock
//! locks/store.lock              held shared while anything is made or about to be used, and alone by whoever removes things
//! work/<key>/                   what is being made; belongs to the holder of the lock of the same key
//! ```
//!
//! Whatever has its final name is whole and on disk: it is written in `work`, synced, and renamed. A run that dies leaves its `work` folder,
//! which the next one removes. All but pulling blocks the calling thread.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;
use crate::ext4::Ext4Error;
use crate::tree::FindError;
use crate::unpack::UnpackError;

mod blob;
mod lock;
mod make;
mod manifest;
mod prune;
#[cfg(test)]
mod tests;

pub(crate) use blob::{Expected, check};
pub use lock::Hold;
pub(crate) use lock::{Lock, Work};
pub use make::Disk;
pub(crate) use manifest::{Descriptor, LARGEST as LARGEST_MANIFEST, Manifest};
pub use prune::{InUse, Pruned};

/// Counts up when a record's meaning changes: a record of another format is not read.
const FORMAT: u32 = 1;

/// Why the store could not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No room.
    #[error("no room left to write {}: remove images, or put the store on a larger disk", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system refused.
    #[error("cannot use {} in the image store", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such image.
    #[error("there is no image {reference} on this host: pull it first")]
    NotFound {
        /// The reference.
        reference: String,
    },
    /// The image is in use.
    #[error("image {reference} is in use by a microVM")]
    InUse {
        /// The reference.
        reference: String,
    },
    /// Something is being made, so nothing can be removed now.
    #[error("images are being made or used right now: try again later")]
    Busy,
    /// Bytes are not what they were said to be.
    #[error("{what} is not what it should be: expected {expected}, got {got}")]
    Mismatch {
        /// What was looked at.
        what: String,
        /// The digest or size expected.
        expected: String,
        /// The digest or size found.
        got: String,
    },
    /// A part of an image is gone.
    #[error("{digest}, a part of the image, is gone from the store: pull the image again")]
    Missing {
        /// The part.
        digest: Digest,
    },
    /// A record or manifest cannot be read.
    #[error("{what} cannot be read ({reason})")]
    Damaged {
        /// Which.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is a single file, and so has no files in it.
    #[error("{reference} is a single file, not an image with files: leave out `{path}`")]
    NoTree {
        /// The reference.
        reference: String,
        /// The file asked for.
        path: String,
    },
    /// A layer cannot be unpacked.
    #[error("the image cannot be unpacked")]
    Unpack {
        /// Why.
        source: UnpackError,
    },
    /// A file is not in the image.
    #[error("the file cannot be taken out of the image")]
    Find {
        /// Why.
        source: FindError,
    },
    /// A disk cannot be made.
    #[error("the disk cannot be made")]
    Disk {
        /// Why.
        source: Ext4Error,
    },
}

impl StoreError {
    /// Sorts a refusal by what the user can do about it.
    pub(crate) fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }
}

/// What a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Stored {
    /// An image of layers.
    Image {
        /// The digest of its manifest for this platform.
        manifest: Digest,
    },
    /// A raw file: a disk, a kernel or an initrd.
    File {
        /// The digest of its bytes.
        blob: Digest,
    },
}

impl Stored {
    /// What disks and files made of it are known by.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Image { manifest } => manifest,
            Self::File { blob } => blob,
        }
    }
}

/// An image on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    format: u32,
    /// The reference it was pulled by, in its plain form.
    pub reference: String,
    /// What that stood for.
    pub stored: Stored,
    /// Bytes of its parts as pulled.
    pub size: u64,
    /// When it was pulled: seconds since 1970.
    pub pulled: u64,
}

impl Image {
    /// A record as it is written now.
    pub(crate) fn new(reference: String, stored: Stored, size: u64) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self { format: FORMAT, reference, stored, size, pulled: now.map(|since| since.as_secs()).unwrap_or_default() }
    }
}

/// All that is known of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Its record.
    pub image: Image,
    /// Its layers, lowest first: digests and bytes.
    pub layers: Vec<(Digest, u64)>,
    /// Disks and files made of it, by path, with the bytes they take on disk.
    pub made: Vec<(PathBuf, u64)>,
}

/// A folder of images. Cheap to clone; several may mean the same folder, in several processes.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store, making its folders, and removes what dead runs left.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self { root: root.to_path_buf() };
        for name in ["blobs/sha256", "images", "disks", "files", "locks", "work"] {
            let folder = root.join(name);
            // A VMM that runs as another user must reach disks and kernels; names are digests, and cannot be listed.
            let made = DirBuilder::new().recursive(true).mode(0o711).create(&folder);
            made.map_err(|error| StoreError::at(&folder, error))?;
        }
        store.sweep()?;
        Ok(store)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The image pulled by that reference, if any.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn get(&self, reference: &str) -> Result<Option<Image>, StoreError> {
        self.read_record(&self.record(reference))
    }

    /// All images, by reference.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        let mut images = Vec::new();
        for path in self.entries("images")? {
            if path.extension().is_some_and(|extension| extension == "json") {
                images.extend(self.read_record(&path)?);
            }
        }
        images.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(images)
    }

    /// Looks at one image.
    ///
    /// # Errors
    /// When there is no such image, or its manifest cannot be read.
    pub fn inspect(&self, reference: &str) -> Result<Inspection, StoreError> {
        let image = self.get(reference)?.ok_or_else(|| StoreError::NotFound { reference: reference.to_owned() })?;
        let layers = match &image.stored {
            Stored::Image { manifest } => self.manifest(manifest)?.layers.into_iter().map(|layer| (layer.digest, layer.size)).collect(),
            Stored::File { blob } => vec![(blob.clone(), image.size)],
        };
        let mut made = Vec::new();
        for folder in ["disks", "files"] {
            for path in self.entries(folder)? {
                if prune::made_of(&path).as_ref() == Some(image.stored.digest()) {
                    made.extend(fs::metadata(&path).ok().map(|meta| (path, meta.blocks() * 512)));
                }
            }
        }
        Ok(Inspection { image, layers, made })
    }

    /// Makes another reference stand for what one stands for.
    ///
    /// # Errors
    /// When there is no such image, or the record cannot be written.
    pub fn name(&self, reference: &str, other: &str) -> Result<Image, StoreError> {
        let _lock = self.lock(&record_key(other))?;
        let image = self.get(reference)?.ok_or_else(|| StoreError::NotFound { reference: reference.to_owned() })?;
        let named = Image { reference: other.to_owned(), ..image };
        self.put(&named)?;
        Ok(named)
    }

    /// Whether all parts of an image are there.
    pub(crate) fn is_whole(&self, stored: &Stored) -> bool {
        match stored {
            Stored::Image { manifest } => self.manifest(manifest).is_ok_and(|it| it.parts().all(|part| self.has_blob(&part.digest))),
            Stored::File { blob } => self.has_blob(blob),
        }
    }

    /// Makes a reference stand for something, in place of what it stood for before.
    pub(crate) fn put(&self, image: &Image) -> Result<(), StoreError> {
        let path = self.record(&image.reference);
        let text = serde_json::to_vec_pretty(image).map_err(|error| StoreError::at(&path, error.into()))?;
        // A name of its own in its folder: the lock of the reference keeps others away, and a leftover is overwritten.
        write_whole(&path, |file| file.write_all(&text))
    }

    fn record(&self, reference: &str) -> PathBuf {
        self.root.join("images").join(format!("{}.json", Digest::of(reference.as_bytes()).hex()))
    }

    fn read_record(&self, path: &Path) -> Result<Option<Image>, StoreError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::at(path, error)),
        };
        let damaged = |reason: String| StoreError::Damaged { what: path.display().to_string(), reason };
        let image: Image = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if image.format != FORMAT {
            return Err(damaged(format!("its format is {}, not {FORMAT}", image.format)));
        }
        Ok(Some(image))
    }

    fn entries(&self, folder: &str) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.root.join(folder);
        let read = || -> io::Result<Vec<PathBuf>> { fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect() };
        let mut paths = read().map_err(|error| StoreError::at(&folder, error))?;
        paths.sort();
        Ok(paths)
    }

    /// Every file below the store that is not part of what is documented above, for a sweep to compare. Empty when all is well.
    ///
    /// # Errors
    /// When the folders cannot be read.
    pub fn strays(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut strays = self.entries("work")?;
        let known: BTreeSet<Digest> = self.list()?.iter().map(|image| image.stored.digest().clone()).collect();
        for folder in ["disks", "files"] {
            strays.extend(
                self.entries(folder)?.into_iter().filter(|path| prune::made_of(path).is_none_or(|digest| !known.contains(&digest))),
            );
        }
        Ok(strays)
    }
}

/// The key of the lock for a reference's record.
pub(crate) fn record_key(reference: &str) -> String {
    format!("pull-{}", Digest::of(reference.as_bytes()).hex())
}

/// Writes a file so that its name only ever stands for the whole of it: beside it first, then synced and renamed.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let unfinished = path.with_extension("part");
    let result = File::create(&unfinished).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder_of(path)
    });
    result.map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        StoreError::at(path, error)
    })
}

/// A rename is on disk when its folder is.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
