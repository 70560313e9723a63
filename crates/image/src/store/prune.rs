//! What may go.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::Digest;

/// What microVMs use. It is kept, with all it was made from.
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

impl Store {
    /// Forgets a reference. Its parts go with the next [`Store::prune`]. `false` when there was none.
    ///
    /// # Errors
    /// When it is in use, or cannot be removed.
    pub fn remove(&self, reference: &str, in_use: &InUse) -> Result<bool, StoreError> {
        let image = self.get(reference)?;
        let used = |digest: &Digest| in_use.digests.contains(digest);
        if in_use.references.contains(reference) || image.as_ref().is_some_and(|image| used(image.stored.digest())) {
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
        let mut pruned = Pruned::default();
        let mut roots = in_use.digests.clone();
        for image in self.list()? {
            let digest = image.stored.digest();
            if unused && !in_use.references.contains(&image.reference) && !in_use.digests.contains(digest) {
                remove_file(&self.record(&image.reference))?;
                pruned.references.push(image.reference);
            } else {
                roots.insert(digest.clone());
            }
        }
        // Nobody has a lock but while holding the store, and we have that alone.
        for path in self.entries("locks")?.into_iter().chain(self.entries("images")?) {
            let needed = path.ends_with(super::lock::STORE) || path.extension().is_some_and(|extension| extension == "json");
            if !needed {
                remove_file(&path)?;
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
        let mut doomed = self.entries("work")?;
        for path in self.entries("blobs/sha256")? {
            let digest = path.file_name().and_then(|name| format!("sha256:{}", name.to_str()?).parse::<Digest>().ok());
            if digest.is_none_or(|digest| !kept.contains(&digest)) {
                doomed.push(path);
            }
        }
        for folder in ["disks", "files"] {
            doomed.extend(self.entries(folder)?.into_iter().filter(|path| made_of(path).is_none_or(|digest| !roots.contains(&digest))));
        }
        for path in doomed {
            if let Some(freed) = remove_file(&path)? {
                pruned.bytes += freed;
                pruned.files.push(path);
            }
        }
        Ok(pruned)
    }

    /// A manifest is small; a disk or kernel is not read to find out.
    fn is_manifest(&self, digest: &Digest) -> bool {
        fs::metadata(self.blob_path(digest)).is_ok_and(|meta| meta.len() <= super::manifest::LARGEST)
    }
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
