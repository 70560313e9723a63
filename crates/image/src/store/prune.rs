//! What may go.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::Digest;

/// What microVMs use. It is kept, with all it was made from.
///
/// What has another name outside of the store, as disks and kernels of microVMs have, counts as used without being told of here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// References that microVMs name, pulled or not.
    pub references: BTreeSet<String>,
    /// What disks and files that microVMs have open were made from: [`super::Disk::digest`].
    pub digests: BTreeSet<Digest>,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// References that stand for nothing any more.
    pub references: Vec<String>,
    /// Files removed.
    pub files: Vec<PathBuf>,
    /// Bytes that are free again.
    pub bytes: u64,
}

/// What is to go.
#[derive(Default)]
struct Doomed {
    references: Vec<String>,
    /// Removing one frees nothing worth a word.
    locks: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Store {
    /// Forgets a reference. Its parts go with the next [`Store::prune`]. `false` when there was none.
    ///
    /// # Errors
    /// When it is in use, or cannot be removed.
    pub fn remove(&self, reference: &str, in_use: &InUse) -> Result<bool, StoreError> {
        let used = |image: &super::Image| {
            Ok::<_, StoreError>(in_use.digests.contains(image.stored.digest()) || self.linked()?.contains(image.stored.digest()))
        };
        let image = self.get(reference)?;
        if in_use.references.contains(reference) || image.as_ref().map(used).transpose()? == Some(true) {
            return Err(StoreError::InUse { reference: reference.to_owned() });
        }
        remove_file(&self.record(reference)).map(|freed| freed.is_some())
    }

    /// Removes what no reference stands for and no microVM uses; with `unused`, references that no microVM uses as well.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while anything is being made or [held](Store::hold): nothing is removed then.
    pub fn prune(&self, in_use: &InUse, unused: bool) -> Result<Pruned, StoreError> {
        let Some(_alone) = self.alone()? else { return Err(StoreError::Busy) };
        let doomed = self.doomed(in_use, unused)?;
        for reference in &doomed.references {
            remove_file(&self.record(reference))?;
        }
        for path in &doomed.locks {
            remove_file(path)?;
        }
        let mut pruned = Pruned { references: doomed.references, ..Pruned::default() };
        for path in doomed.files {
            if let Some(freed) = remove_file(&path)? {
                pruned.bytes += freed;
                pruned.files.push(path);
            }
        }
        Ok(pruned)
    }

    /// What [`Store::prune`] would remove now.
    ///
    /// # Errors
    /// As there.
    pub fn prunable(&self, in_use: &InUse, unused: bool) -> Result<Pruned, StoreError> {
        let Some(_alone) = self.alone()? else { return Err(StoreError::Busy) };
        let Doomed { references, files, .. } = self.doomed(in_use, unused)?;
        let found = files.iter().filter_map(|path| fs::symlink_metadata(path).ok()).filter(|meta| !meta.is_dir());
        let bytes = found.map(|meta| meta.blocks() * 512).sum();
        Ok(Pruned { references, files, bytes })
    }

    /// What may go, looked up while nobody else does anything.
    fn doomed(&self, in_use: &InUse, unused: bool) -> Result<Doomed, StoreError> {
        let mut doomed = Doomed::default();
        let mut used = in_use.digests.clone();
        used.extend(self.linked()?);
        let mut roots = used.clone();
        for image in self.list()? {
            let digest = image.stored.digest();
            if unused && !in_use.references.contains(&image.reference) && !used.contains(digest) {
                doomed.references.push(image.reference);
            } else {
                roots.insert(digest.clone());
            }
        }
        // Nobody has a lock but while holding the store, and we have that alone.
        for path in self.entries("locks")?.into_iter().chain(self.entries("images")?) {
            let needed = path.ends_with(super::lock::STORE) || path.extension().is_some_and(|extension| extension == "json");
            if !needed {
                doomed.locks.push(path);
            }
        }
        let mut kept = roots.clone();
        for image in &roots {
            // A raw file is no manifest, and one that is damaged names no parts.
            if self.is_manifest(image)
                && let Ok(manifest) = self.manifest(image)
            {
                kept.extend(manifest.parts().map(|part| part.digest.clone()));
            }
        }
        doomed.files = self.entries("work")?;
        for path in self.entries("blobs/sha256")? {
            if blob(&path).is_none_or(|digest| !kept.contains(&digest)) {
                doomed.files.push(path);
            }
        }
        for folder in ["disks", "files"] {
            let unwanted = |path: &PathBuf| made_of(path).is_none_or(|digest| !roots.contains(&digest));
            doomed.files.extend(self.entries(folder)?.into_iter().filter(unwanted));
        }
        Ok(doomed)
    }

    /// What has another name outside of the store: a microVM's disk rests on it, or its kernel is it.
    fn linked(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut linked = BTreeSet::new();
        for folder in ["disks", "files", "blobs/sha256"] {
            for path in self.entries(folder)? {
                if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && meta.nlink() > 1) {
                    linked.extend(if folder == "blobs/sha256" { blob(&path) } else { made_of(&path) });
                }
            }
        }
        Ok(linked)
    }

    /// A manifest is small; a disk or kernel is not read to find out.
    fn is_manifest(&self, digest: &Digest) -> bool {
        fs::metadata(self.blob_path(digest)).is_ok_and(|meta| meta.len() <= super::manifest::LARGEST)
    }
}

/// What a blob holds, by its name.
fn blob(path: &Path) -> Option<Digest> {
    format!("sha256:{}", path.file_name()?.to_str()?).parse().ok()
}

/// What a disk or file was made from, by its name: `<hex>-...`.
pub(super) fn made_of(path: &Path) -> Option<Digest> {
    let (hex, _) = path.file_name()?.to_str()?.split_once('-')?;
    format!("sha256:{hex}").parse().ok()
}

/// Removes a file or a folder of work. The bytes it took, or `None` when it was not there.
fn remove_file(path: &Path) -> Result<Option<u64>, StoreError> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(StoreError::at(path, error)),
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).map(|()| Some(0)).or_else(gone),
        Ok(meta) => fs::remove_file(path).map(|()| Some(meta.blocks() * 512)).or_else(gone),
        Err(error) => gone(error),
    }
}
