//! Layers into one [`Tree`], in memory, with the files' contents in one stream. Nothing is written by name, so nothing can be written
//! to the wrong place, and owners and devices need no privileges.
//!
//! The rules are the OCI image specification's: later layers hide earlier ones; `.wh.NAME` removes NAME, and `.wh..wh..opq` all, of what the
//! layers below put there, wherever in its layer it stands. As runtimes do, an entry's folder is found with links followed, as if the tree were `/`,
//! and a leading `/` means the tree's root.
//!
//! Refused are `..` in names, hard links to what is not there, entries below something that is no folder, kinds that no runtime makes,
//! names that are not UTF-8, and whatever exceeds the [`Limits`].

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::Limits;
use crate::tree::{Content, Inode, InodeId, Kind, Meta, Tree};
use archive::{Archive, ArchiveError, Entry, EntryKind};
use decompress::{Bounded, Excess};

pub(crate) mod archive;
pub(crate) mod decompress;
mod error;
#[cfg(test)]
mod tests;

pub use error::{Refusal, UnpackError};

/// What begins the name of an entry that hides another.
const WHITEOUT: &str = ".wh.";
/// What begins the names that AUFS keeps for itself; one of them hides all that is below.
const RESERVED: &str = ".wh..wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// The longest name of one entry in its folder, in bytes.
const LONGEST_NAME: usize = 255;

/// Puts layers on top of each other.
#[derive(Debug)]
pub struct Unpacker<W> {
    tree: Tree,
    contents: W,
    limits: Limits,
    /// Bytes written to `contents`.
    written: u64,
    layers: usize,
    entries: u64,
    unpacked: u64,
    memory: u64,
    /// The names the current layer has written: its whiteouts leave them alone.
    fresh: HashSet<(InodeId, String)>,
    /// The folders of which nothing is left but what the current layer has written.
    cleared: HashSet<InodeId>,
}

/// Why one entry failed, before it is said which.
enum Failure {
    Refused(Refusal),
    Read(io::Error),
    Write(io::Error),
}

impl From<Refusal> for Failure {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl<W: Write> Unpacker<W> {
    /// Begins with an empty tree. Files' contents are written to `contents`, one after another.
    pub fn new(contents: W, limits: Limits) -> Self {
        let (tree, fresh, cleared) = (Tree::default(), HashSet::new(), HashSet::new());
        Self { tree, contents, limits, written: 0, layers: 0, entries: 0, unpacked: 0, memory: 0, fresh, cleared }
    }

    /// Puts the next layer on top: a tar archive, compressed with gzip or zstd or not at all. It is read to its end.
    ///
    /// # Errors
    /// When it cannot be read, an entry breaks a rule, or contents cannot be written. The tree is of no use then.
    pub fn layer(&mut self, bytes: impl Read) -> Result<(), UnpackError> {
        let layer = self.layers;
        self.layers += 1;
        self.fresh.clear();
        self.cleared.clear();
        let excess = Rc::new(Cell::new(None));
        let mut current = Vec::new();
        let result = self.entries(bytes, &excess, &mut current);
        let refused = |why| UnpackError::Refused { layer, entry: shown(&current), why };
        match (result, excess.get()) {
            (Ok(()), _) => Ok(()),
            (_, Some(Excess::Bytes)) => Err(refused(Refusal::Bytes { limit: self.limits.bytes })),
            (_, Some(Excess::Ratio)) => Err(refused(Refusal::Ratio { limit: self.limits.ratio })),
            (Err(Failure::Refused(why)), _) => Err(refused(why)),
            (Err(Failure::Read(source)), _) => Err(UnpackError::Read { layer, source }),
            (Err(Failure::Write(source)), _) => Err(UnpackError::Write { layer, source }),
        }
    }

    /// The tree, and the stream its contents were written to.
    ///
    /// # Errors
    /// When what was written last does not arrive.
    pub fn finish(mut self) -> io::Result<(Tree, W)> {
        self.contents.flush()?;
        Ok((self.tree, self.contents))
    }

    fn entries(&mut self, bytes: impl Read, excess: &Rc<Cell<Option<Excess>>>, current: &mut Vec<u8>) -> Result<(), Failure> {
        let most = self.limits.bytes.saturating_sub(self.unpacked);
        let stream = Bounded::open(bytes, most, self.limits.ratio, excess.clone()).map_err(Failure::Read)?;
        let mut archive = Archive::new(stream, self.limits);
        loop {
            let entry = match archive.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(ArchiveError::Read(error)) => return Err(Failure::Read(error)),
                Err(ArchiveError::Refused { entry, why }) => {
                    *current = entry;
                    return Err(Failure::Refused(why));
                }
            };
            current.clone_from(&entry.path);
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Refusal::Entries { limit: self.limits.entries }.into());
            }
            self.entry(entry, &mut archive)?;
        }
        self.unpacked += archive.into_stream().unpacked();
        Ok(())
    }

    fn entry(&mut self, entry: Entry, content: &mut impl Read) -> Result<(), Failure> {
        let path = self.checked(&entry.path)?;
        if parts(&path).any(|part| part == "..") {
            return Err(Refusal::LeavesRoot.into());
        }
        let mut names: Vec<&str> = parts(&path).collect();
        if names.len() > self.limits.depth {
            return Err(Refusal::Depth { limit: self.limits.depth }.into());
        }
        if names.iter().any(|name| name.len() > LONGEST_NAME) {
            return Err(Refusal::Path { limit: LONGEST_NAME }.into());
        }
        let Some(name) = names.pop() else {
            return match entry.kind {
                EntryKind::Directory => self.meta(entry).map(|meta| self.tree.inode_mut(Tree::ROOT).meta = meta).map_err(Failure::from),
                _ => Err(Refusal::Root.into()),
            };
        };
        if names.iter().any(|name| name.starts_with(RESERVED)) || (name.starts_with(RESERVED) && name != OPAQUE) {
            // AUFS's own; runtimes pass over it, too.
            return Ok(());
        }
        if names.iter().any(|name| name.starts_with(WHITEOUT)) {
            return Err(Refusal::Whiteout.into());
        }
        let parent = names.join("/");
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.whiteout(&parent, name, hidden).map_err(Failure::from);
        }
        let link = self.checked(&entry.link)?;
        let folder = self.folder(&parent)?;
        let kind = match entry.kind {
            EntryKind::HardLink => {
                let target = self.target(&link)?;
                self.put(folder, name, target);
                return Ok(());
            }
            EntryKind::Directory => match self.tree.child(folder, name).filter(|id| self.tree.is_folder(*id)) {
                // Said again: only what is known of it changes.
                Some(there) => {
                    self.tree.inode_mut(there).meta = self.meta(entry)?;
                    self.fresh.insert((folder, name.to_owned()));
                    return Ok(());
                }
                None => Kind::Directory(BTreeMap::new()),
            },
            EntryKind::File => Kind::File(self.content(entry.size, content)?),
            EntryKind::Symlink if link.is_empty() => return Err(Refusal::EmptyTarget.into()),
            EntryKind::Symlink => Kind::Symlink(link),
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            EntryKind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
        };
        let meta = self.meta(entry)?;
        let id = self.tree.add(Inode { meta, kind });
        self.put(folder, name, id);
        Ok(())
    }

    /// A path or target as text, within the limits. What it takes is counted.
    fn checked(&mut self, bytes: &[u8]) -> Result<String, Refusal> {
        if bytes.len() > self.limits.path {
            return Err(Refusal::Path { limit: self.limits.path });
        }
        if bytes.contains(&0) {
            return Err(Refusal::ZeroByte);
        }
        self.remember(bytes.len())?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Refusal::NotUtf8)
    }

    fn remember(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.memory += bytes as u64;
        if self.memory > self.limits.memory {
            return Err(Refusal::Memory { limit: self.limits.memory });
        }
        Ok(())
    }

    fn meta(&mut self, entry: Entry) -> Result<Meta, Refusal> {
        let mut xattrs = BTreeMap::new();
        for (name, value) in entry.xattrs {
            self.remember(name.len() + value.len())?;
            xattrs.insert(String::from_utf8(name).map_err(|_| Refusal::NotUtf8)?, value);
        }
        Ok(Meta { mode: entry.mode, uid: entry.uid, gid: entry.gid, modified: entry.modified, xattrs })
    }

    /// The folder at a path, links followed; made where it is missing.
    fn folder(&mut self, path: &str) -> Result<InodeId, Refusal> {
        let followed = self.tree.follow(path).map_err(|_| Refusal::Links)?;
        // A link's target may be longer than any path may be.
        if followed.at.len() + followed.missing.len() >= self.limits.depth {
            return Err(Refusal::Depth { limit: self.limits.depth });
        }
        let mut folder = followed.at.last().copied().unwrap_or(Tree::ROOT);
        if !self.tree.is_folder(folder) {
            return Err(Refusal::NotAFolder);
        }
        for name in followed.missing {
            if name.len() > LONGEST_NAME {
                return Err(Refusal::Path { limit: LONGEST_NAME });
            }
            // A link that an entry goes through may name what no entry may.
            if name.starts_with(WHITEOUT) {
                return Err(Refusal::Whiteout);
            }
            self.remember(name.len())?;
            let made = self.tree.add(Inode { meta: Meta::default(), kind: Kind::Directory(BTreeMap::new()) });
            self.put(folder, &name, made);
            folder = made;
        }
        Ok(folder)
    }

    /// What a hard link leads to: links are followed up to its last name, and not there.
    fn target(&self, link: &str) -> Result<InodeId, Refusal> {
        let mut names: Vec<&str> = parts(link).collect();
        if names.contains(&"..") {
            return Err(Refusal::LeavesRoot);
        }
        let missing = || Refusal::NoTarget { target: shown(link.as_bytes()) };
        let name = names.pop().ok_or_else(missing)?;
        let followed = self.tree.follow(&names.join("/")).map_err(|_| Refusal::Links)?;
        if !followed.missing.is_empty() {
            return Err(missing());
        }
        let folder = followed.at.last().copied().unwrap_or(Tree::ROOT);
        let target = self.tree.child(folder, name).ok_or_else(missing)?;
        if self.tree.is_folder(target) {
            return Err(Refusal::LinkToFolder { target: shown(link.as_bytes()) });
        }
        Ok(target)
    }

    /// Gives something a name, in place of what had it.
    fn put(&mut self, folder: InodeId, name: &str, id: InodeId) {
        if let Some(children) = self.tree.children_mut(folder) {
            children.insert(name.to_owned(), id);
        }
        self.fresh.insert((folder, name.to_owned()));
    }

    /// Copies a file's content to the stream of contents.
    fn content(&mut self, size: u64, from: &mut impl Read) -> Result<Content, Failure> {
        if size > self.limits.file {
            return Err(Refusal::File { size, limit: self.limits.file }.into());
        }
        let content = Content { offset: self.written, size };
        let mut buffer = vec![0; usize::try_from(size.min(256 * 1024)).unwrap_or_default()];
        let mut left = size;
        while left > 0 {
            match from.read(&mut buffer) {
                Ok(0) => return Err(Failure::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.contents.write_all(&buffer[..count]).map_err(Failure::Write)?;
                    left = left.saturating_sub(count as u64);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Read(error)),
            }
        }
        Ok(content)
    }

    /// Hides what the layers below have.
    fn whiteout(&mut self, parent: &str, name: &str, hidden: &str) -> Result<(), Refusal> {
        if matches!(hidden, "" | "." | "..") {
            return Err(Refusal::Whiteout);
        }
        let followed = self.tree.follow(parent).map_err(|_| Refusal::Links)?;
        if !followed.missing.is_empty() {
            // Nothing is there to hide; a folder that says it is opaque may still come.
            return Ok(());
        }
        let folder = followed.at.last().copied().unwrap_or(Tree::ROOT);
        if name == OPAQUE {
            self.clear(folder);
            return Ok(());
        }
        if let Some(id) = self.tree.child(folder, hidden) {
            let kept = self.clear(id) || self.fresh.contains(&(folder, hidden.to_owned()));
            if !kept && let Some(children) = self.tree.children_mut(folder) {
                children.remove(hidden);
            }
        }
        Ok(())
    }

    /// Removes from a folder all that the current layer has not written. Whether anything is left.
    fn clear(&mut self, folder: InodeId) -> bool {
        if !self.tree.is_folder(folder) {
            return false;
        }
        // What came since is the current layer's own, and need not be gone through again for each whiteout.
        if !self.cleared.insert(folder) {
            return self.tree.children(folder).next().is_some();
        }
        // No deeper than the limit of depth.
        let all: Vec<(String, InodeId)> = self.tree.children(folder).map(|(name, id)| (name.to_owned(), id)).collect();
        let mut left = false;
        for (name, id) in all {
            let below = self.clear(id);
            let key = (folder, name);
            if below || self.fresh.contains(&key) {
                left = true;
            } else if let Some(children) = self.tree.children_mut(folder) {
                children.remove(&key.1);
            }
        }
        left
    }
}

/// Unpacks one layer and forgets it: what a fuzzer calls.
///
/// # Errors
/// As [`Unpacker::layer`].
pub fn check_layer(bytes: &[u8], limits: Limits) -> Result<Tree, UnpackError> {
    let mut unpacker = Unpacker::new(io::sink(), limits);
    unpacker.layer(bytes)?;
    unpacker.finish().map(|(tree, _)| tree).map_err(|source| UnpackError::Write { layer: 0, source })
}

/// The names in a path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// A name of unknown origin, fit for a message.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(200).flat_map(char::escape_debug).collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    shown
}
