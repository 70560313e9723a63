//! Files by name, out of a folder or an archive of this host.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{PullError, unreadable};
use crate::Limits;
use crate::store::Work;
use crate::unpack::archive::{Archive, ArchiveError, EntryKind};
use crate::unpack::decompress::Bounded;

/// Where files are.
pub(super) enum Files {
    Folder(PathBuf),
    Archive {
        /// As the user named it.
        path: PathBuf,
        file: File,
        /// Where each file begins, and how long it is; a link has what it leads to.
        index: BTreeMap<String, (u64, u64)>,
    },
}

impl Files {
    /// Reads an archive's table of contents. A compressed archive is decompressed into the folder of work first.
    pub(super) fn archive(path: &Path, work: &Work, limits: Limits) -> Result<Self, PullError> {
        let failed = unreadable(path);
        let wrong = |reason: String| PullError::Layout { path: path.to_path_buf(), reason };
        let mut file = regular(path)?;
        let mut magic = [0; 4];
        let read = file.read(&mut magic).map_err(&failed)?;
        file.rewind().map_err(&failed)?;
        if magic[..read].starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd] {
            let excess = Rc::new(Cell::new(None));
            let mut stream = Bounded::open(file, limits.bytes, limits.ratio, excess.clone()).map_err(&failed)?;
            let mut plain = tempfile::tempfile_in(work.path()).map_err(unreadable(work.path()))?;
            let copied = io::copy(&mut stream, &mut plain);
            if excess.get().is_some() {
                return Err(wrong("it unpacks to more than is allowed".to_owned()));
            }
            copied.and_then(|_| plain.rewind()).map_err(&failed)?;
            file = plain;
        }
        let (mut index, mut links) = (BTreeMap::new(), Vec::new());
        let mut archive = Archive::new(BufReader::with_capacity(1 << 20, &file), limits);
        loop {
            let entry = match archive.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(ArchiveError::Read(source)) => return Err(failed(source)),
                Err(ArchiveError::Refused { entry, why }) => {
                    return Err(wrong(format!("`{}` {why}", String::from_utf8_lossy(&entry).escape_debug())));
                }
            };
            if (index.len() + links.len()) as u64 >= limits.entries {
                return Err(wrong(format!("it has more than {} entries", limits.entries)));
            }
            let name = plain(&String::from_utf8_lossy(&entry.path));
            let target = String::from_utf8_lossy(&entry.link).into_owned();
            match entry.kind {
                EntryKind::File => drop(index.insert(name, (archive.position(), entry.size))),
                EntryKind::HardLink => links.push((name, plain(&target))),
                // Relative to where it is.
                EntryKind::Symlink => {
                    let target = plain(&format!("{name}/../{target}"));
                    links.push((name, target));
                }
                _ => {}
            }
        }
        for (name, target) in links {
            if let Some(place) = index.get(&target).copied() {
                index.insert(name, place);
            }
        }
        drop(archive);
        Ok(Self::Archive { path: path.to_path_buf(), file, index })
    }

    /// The folder or archive.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive { path, .. } => path,
        }
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> PullError {
        PullError::Layout { path: self.path().to_path_buf(), reason: reason.into() }
    }

    /// A file's content. Names come from digests and fixed texts, or are only looked up in an index: none leads out of a folder.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read + '_>, PullError> {
        match self {
            Self::Folder(folder) => Ok(Box::new(regular(&folder.join(name))?)),
            Self::Archive { path, file, index } => {
                let (at, size) = *index.get(&plain(name)).ok_or_else(|| self.wrong(format!("it has no file {name}")))?;
                // One stream at a time: they share the file's position.
                let mut file = file;
                file.seek(SeekFrom::Start(at)).map_err(unreadable(path))?;
                Ok(Box::new(file.take(size)))
            }
        }
    }

    /// A small file's content.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, PullError> {
        let mut text = Vec::new();
        self.open(name)?.take(most + 1).read_to_end(&mut text).map_err(unreadable(self.path()))?;
        if text.len() as u64 > most { Err(self.wrong(format!("{name} is larger than {most} bytes"))) } else { Ok(text) }
    }
}

/// Opens a regular file; opening anything else could wait for ever.
pub(super) fn regular(path: &Path) -> Result<File, PullError> {
    let meta = std::fs::metadata(path).map_err(unreadable(path))?;
    if !meta.is_file() {
        return Err(PullError::Layout { path: path.to_path_buf(), reason: "it is not a regular file".to_owned() });
    }
    File::open(path).map_err(unreadable(path))
}

/// A name without `.` and `..`.
fn plain(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
