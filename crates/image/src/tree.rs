//! A file tree held as values: what an image's layers amount to, before anything of it is written anywhere.
//!
//! Contents are elsewhere, in one stream that [`Content`] points into. A hard link is a second name for the same [`Inode`].

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

#[cfg(test)]
mod tests;

/// The most symbolic links followed for one path, as in Linux.
const MOST_LINKS: usize = 40;
/// The most names gone through for one path, links' targets included: long targets of many links must not make us walk for hours.
const MOST_STEPS: usize = 2048;

/// Stands for one inode of one [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

/// Where a file's content is in the stream of contents, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder, and what is in it.
    Directory(BTreeMap<String, InodeId>),
    /// A regular file.
    File(Content),
    /// A symbolic link: its target, word for word.
    Symlink(String),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
}

/// What is known of an inode besides what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permissions, with the set-uid, set-gid and sticky bits: at most `0o7777`.
    pub mode: u32,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// When it was changed: seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// Extended attributes by full name, such as `security.capability`.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Default for Meta {
    fn default() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, modified: (0, 0), xattrs: BTreeMap::new() }
    }
}

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Permissions, owners and so on.
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FindError {
    /// There is nothing by that name.
    #[error("there is no {path} in the image")]
    NotFound {
        /// The path looked for.
        path: String,
    },
    /// Links lead to links without end.
    #[error("{path} in the image is a chain of more than {MOST_LINKS} links, or of very long ones")]
    Links {
        /// The path looked for.
        path: String,
    },
    /// It is there, but no regular file.
    #[error("{path} in the image is not a regular file")]
    NotAFile {
        /// The path looked for.
        path: String,
    },
}

/// A file tree. Its root is always a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    inodes: Vec<Inode>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { inodes: vec![Inode { meta: Meta::default(), kind: Kind::Directory(BTreeMap::new()) }] }
    }
}

impl Tree {
    /// The root folder.
    pub const ROOT: InodeId = InodeId(0);

    /// One of the tree's inodes.
    #[must_use]
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// What is in a folder, by name; of anything else, nothing.
    pub fn children(&self, id: InodeId) -> impl Iterator<Item = (&str, InodeId)> {
        let children = match &self.inode(id).kind {
            Kind::Directory(children) => Some(children),
            _ => None,
        };
        children.into_iter().flatten().map(|(name, child)| (name.as_str(), *child))
    }

    /// What a folder has by that name, links not followed.
    #[must_use]
    pub fn child(&self, folder: InodeId, name: &str) -> Option<InodeId> {
        match &self.inode(folder).kind {
            Kind::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    /// Whether it is a folder.
    pub(crate) fn is_folder(&self, id: InodeId) -> bool {
        matches!(self.inode(id).kind, Kind::Directory(_))
    }

    /// What is at a path, all links followed. A link leads where it would with this tree as `/`: never out of it.
    ///
    /// # Errors
    /// When there is nothing, or too many links.
    pub fn find(&self, path: &str) -> Result<InodeId, FindError> {
        match self.follow(path) {
            Ok(Followed { at, missing }) if missing.is_empty() => Ok(at.last().copied().unwrap_or(Self::ROOT)),
            Ok(_) => Err(FindError::NotFound { path: path.to_owned() }),
            Err(TooManyLinks) => Err(FindError::Links { path: path.to_owned() }),
        }
    }

    /// Where a regular file's content is, all links followed.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn file(&self, path: &str) -> Result<Content, FindError> {
        match self.inode(self.find(path)?).kind {
            Kind::File(content) => Ok(content),
            _ => Err(FindError::NotAFile { path: path.to_owned() }),
        }
    }

    /// How many inodes the tree has, each counted once whatever its names, and how many bytes their contents have.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut seen = BTreeSet::new();
        let mut todo = vec![Self::ROOT];
        let mut totals = Totals::default();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            totals.inodes += 1;
            if let Kind::File(content) = self.inode(id).kind {
                totals.bytes += content.size;
                totals.blocks += content.size.div_ceil(4096);
            }
            todo.extend(self.children(id).map(|(_, child)| child));
        }
        totals
    }

    pub(crate) fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }

    pub(crate) fn children_mut(&mut self, id: InodeId) -> Option<&mut BTreeMap<String, InodeId>> {
        match &mut self.inode_mut(id).kind {
            Kind::Directory(children) => Some(children),
            _ => None,
        }
    }

    /// A new inode without a name.
    pub(crate) fn add(&mut self, inode: Inode) -> InodeId {
        // Unpacking refuses more entries than an id can number.
        let id = InodeId(u32::try_from(self.inodes.len()).unwrap_or(u32::MAX));
        self.inodes.push(inode);
        id
    }

    /// Goes along a path as far as there is something, links followed.
    pub(crate) fn follow(&self, path: &str) -> Result<Followed, TooManyLinks> {
        let mut todo: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let mut at = Vec::new();
        let (mut links, mut steps) = (0, 0);
        // Names for which there is nothing yet: what follows them is taken as it is written.
        let mut missing: Vec<String> = Vec::new();
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > MOST_STEPS {
                return Err(TooManyLinks);
            }
            if part == ".." {
                if missing.pop().is_none() {
                    at.pop();
                }
                continue;
            }
            if !missing.is_empty() {
                missing.push(part);
                continue;
            }
            let folder = at.last().copied().unwrap_or(Self::ROOT);
            let Some(child) = self.child(folder, &part) else {
                missing.push(part);
                continue;
            };
            if let Kind::Symlink(target) = &self.inode(child).kind {
                links += 1;
                if links > MOST_LINKS {
                    return Err(TooManyLinks);
                }
                if target.starts_with('/') {
                    at.clear();
                }
                todo.extend(parts(target).rev().map(str::to_owned));
            } else {
                at.push(child);
            }
        }
        Ok(Followed { at, missing })
    }
}

/// What a tree amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files, folders, links and all else.
    pub inodes: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Blocks of 4096 bytes their contents take.
    pub blocks: u64,
}

/// How far a path led.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The inodes from the root's child down.
    pub(crate) at: Vec<InodeId>,
    /// The names that are left over, because nothing is there.
    pub(crate) missing: Vec<String>,
}

/// A chain of links has no end.
#[derive(Debug)]
pub(crate) struct TooManyLinks;

/// The names in a path, and `..` where it is.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}
