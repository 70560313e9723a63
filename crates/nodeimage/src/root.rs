//! The file tree that layers amount to, to look things up in and to take things out of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstead_image::Limits;
use capstead_image::tree::{Inode, InodeId, Kind as TreeKind, Tree};
use capstead_image::unpack::{UnpackError, Unpacker};
use thiserror::Error;

use crate::elf;
use crate::layer::{self, Content, Entry, Kind, Layer};

#[cfg(test)]
mod tests;

/// The most symbolic links followed for one path, as in Linux.
const MOST_LINKS: usize = 40;
/// The largest program that is looked into for the libraries it needs, in bytes.
const LARGEST_PROGRAM: u64 = 256 << 20;

/// Why a root file system cannot be read, or something cannot be taken out of it.
#[derive(Debug, Error)]
pub enum RootError {
    /// A layer breaks a rule.
    #[error("the layer {} cannot be used", path.display())]
    Layer {
        /// The layer's archive.
        path: PathBuf,
        /// Why.
        source: UnpackError,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing by that name.
    #[error("there is no {path} in the base: is its package in `packages`?")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The links have no end.
    #[error("{path} in the base is a chain of links without end")]
    Links {
        /// The path.
        path: String,
    },
    /// A program needs a library that is not there.
    #[error("{program} in the base needs the library {library}, which is in none of its folders")]
    Library {
        /// The program.
        program: String,
        /// The library.
        library: String,
    },
}

/// A tree, and where its files' contents are.
#[derive(Debug)]
pub(crate) struct Root {
    tree: Tree,
    contents: Arc<File>,
}

impl Root {
    /// Reads layers, lowest first. Contents are written to a file in `work` that has no name.
    pub(crate) fn read(layers: &[PathBuf], work: &Path) -> Result<Self, RootError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| RootError::Io { path, source }
        };
        let contents = tempfile::tempfile_in(work).map_err(at(work))?;
        let mut unpacker = Unpacker::new(BufWriter::with_capacity(1 << 20, contents), Limits::default());
        for path in layers {
            let file = File::open(path).map_err(at(path))?;
            unpacker.layer(BufReader::with_capacity(1 << 20, file)).map_err(|source| RootError::Layer { path: path.clone(), source })?;
        }
        let (tree, contents) = unpacker.finish().map_err(at(work))?;
        let contents = contents.into_inner().map_err(|error| at(work)(error.into_error()))?;
        Ok(Self { tree, contents: Arc::new(contents) })
    }

    /// Everything as one layer, but for what `leave_out` says yes to, and all that is below it.
    pub(crate) fn layer(&self, leave_out: impl Fn(&str) -> bool) -> Layer {
        let mut layer = Layer::default();
        let mut known: BTreeMap<InodeId, String> = BTreeMap::new();
        // Depth first in the order of names, so that the first name of a file with several comes first in the archive, too.
        let mut todo = vec![(String::new(), Tree::ROOT)];
        while let Some((path, id)) = todo.pop() {
            let mut below: Vec<(String, InodeId)> = Vec::new();
            for (name, child) in self.tree.children(id) {
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                if !leave_out(&path) {
                    below.push((path, child));
                }
            }
            todo.extend(below.into_iter().rev());
            if path.is_empty() {
                continue;
            }
            let mut entry = self.entry(id);
            if !matches!(entry.kind, Kind::Folder) {
                match known.get(&id) {
                    // An archive's links lead backwards.
                    Some(first) if *first < path => entry.kind = Kind::HardLink(first.clone()),
                    Some(later) => {
                        let mut link = entry.clone();
                        link.kind = Kind::HardLink(path.clone());
                        layer.put_alone(&later.clone(), link);
                        known.insert(id, path.clone());
                    }
                    None => drop(known.insert(id, path.clone())),
                }
            }
            layer.put_alone(&path, entry);
        }
        layer
    }

    fn entry(&self, id: InodeId) -> Entry {
        let Inode { meta, kind } = self.tree.inode(id);
        let kind = match kind {
            TreeKind::Directory(_) => Kind::Folder,
            TreeKind::File(content) => {
                Kind::File(Content::Part { file: self.contents.clone(), offset: content.offset, size: content.size })
            }
            TreeKind::Symlink(target) => Kind::Symlink(target.clone()),
            TreeKind::Fifo => Kind::Fifo,
            TreeKind::CharDevice { major, minor } => Kind::CharDevice { major: *major, minor: *minor },
            TreeKind::BlockDevice { major, minor } => Kind::BlockDevice { major: *major, minor: *minor },
        };
        Entry { kind, mode: meta.mode, owner: (meta.uid, meta.gid), modified: Some(meta.modified.0), xattrs: meta.xattrs.clone() }
    }

    /// The entry at a path, links followed.
    pub(crate) fn find(&self, path: &str) -> Option<Entry> {
        self.tree.find(path).ok().map(|id| self.entry(id))
    }

    /// A text at a path, links followed.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let Kind::File(content) = self.find(path)?.kind else { return None };
        layer::read(&content, 64 << 20).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder, links followed.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(id) = self.tree.find(path) else { return Vec::new() };
        self.tree.children(id).map(|(name, _)| name.to_owned()).collect()
    }

    /// Where a path really is: the links above it followed, and its last name, too, if `last`. `passed` hears of each link on the way.
    fn place(&self, path: &str, last: bool, passed: &mut dyn FnMut(&str, InodeId)) -> Result<String, RootError> {
        let mut todo: Vec<String> = path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned).collect();
        let mut at: Vec<String> = Vec::new();
        let mut folders = vec![Some(Tree::ROOT)];
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                at.pop();
                if folders.len() > 1 {
                    folders.pop();
                }
                continue;
            }
            let child = folders.last().copied().flatten().and_then(|folder| self.tree.child(folder, &part));
            if let Some(id) = child
                && let TreeKind::Symlink(target) = &self.tree.inode(id).kind
                && (last || !todo.is_empty())
            {
                links += 1;
                if links > MOST_LINKS {
                    return Err(RootError::Links { path: path.to_owned() });
                }
                passed(&join(&at, &part), id);
                if target.starts_with('/') {
                    at.clear();
                    folders.truncate(1);
                }
                todo.extend(target.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned));
            } else {
                at.push(part);
                folders.push(child);
            }
        }
        Ok(at.join("/"))
    }

    /// Where something new at a path has to go, so that no link above it is in its way. And the folders above it that are not there yet.
    pub(crate) fn resolve(&self, path: &str) -> Result<(String, Vec<String>), RootError> {
        let place = self.place(path, false, &mut |_, _| {})?;
        let missing = place.match_indices('/').map(|(at, _)| place[..at].to_owned());
        let missing = missing.filter(|folder| self.tree.find(folder).is_err()).collect();
        Ok((place, missing))
    }

    /// Copies a file or a folder into a layer: with the links that lead to it, and the libraries its programs need.
    pub(crate) fn take(&self, path: &str, layer: &mut Layer) -> Result<(), RootError> {
        let mut todo = vec![path.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(path) = todo.pop() {
            let mut links: Vec<(String, InodeId)> = Vec::new();
            let place = self.place(&path, true, &mut |link, id| links.push((link.to_owned(), id)))?;
            for (link, id) in links {
                layer.put(&link, self.entry(id));
            }
            if !seen.insert(place.clone()) {
                continue;
            }
            let id = self.tree.find(&place).map_err(|_| RootError::NotFound { path: path.clone() })?;
            let entry = self.entry(id);
            match &entry.kind {
                Kind::Folder => todo.extend(self.tree.children(id).map(|(name, _)| format!("{place}/{name}"))),
                Kind::File(content) => {
                    for library in self.libraries(&place, content)? {
                        todo.push(library);
                    }
                }
                _ => {}
            }
            if !layer.contains(&place) || !matches!(entry.kind, Kind::Folder) {
                layer.put(&place, entry);
            }
        }
        Ok(())
    }

    /// The paths of what a program is linked with.
    fn libraries(&self, program: &str, content: &Content) -> Result<Vec<String>, RootError> {
        let io = |source| RootError::Io { path: PathBuf::from(program), source };
        if !layer::read(content, 4).map_err(io)?.starts_with(b"\x7fELF") {
            return Ok(Vec::new());
        }
        let Some(needed) = elf::needed(&layer::read(content, LARGEST_PROGRAM).map_err(io)?) else { return Ok(Vec::new()) };
        let mut found: Vec<String> = needed.interpreter.into_iter().collect();
        for library in needed.libraries {
            let place = elf::FOLDERS.iter().map(|folder| format!("{folder}/{library}")).find(|path| self.tree.find(path).is_ok());
            found.push(place.ok_or_else(|| RootError::Library { program: program.to_owned(), library })?);
        }
        Ok(found)
    }
}

fn join(folders: &[String], name: &str) -> String {
    if folders.is_empty() { name.to_owned() } else { format!("{}/{name}", folders.join("/")) }
}
