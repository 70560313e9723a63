//! Looking for one file in the layers of an image, without unpacking them.
//!
//! [`View`] merges the layers' tables of contents as the OCI image specification says (later layers hide earlier ones, whiteouts remove,
//! links are resolved inside the image), and then tells which entry of which layer holds the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

#[cfg(test)]
mod tests;

/// The most a layer may unpack to, in bytes: a small layer must not make us read for hours.
const LARGEST_LAYER: u64 = 16 << 30;
/// The most entries an image may have.
const MOST_ENTRIES: usize = 2_000_000;
/// The most links followed for one path, as in Linux.
const MOST_LINKS: usize = 40;

/// Why a file could not be taken out of an image.
#[derive(Debug, Error)]
pub enum LayerError {
    /// A layer cannot be read as a tar archive.
    #[error("layer {layer} cannot be read")]
    Read {
        /// Its place in the manifest, from 0.
        layer: usize,
        /// What went wrong.
        source: io::Error,
    },
    /// The image is beyond what is supported.
    #[error("the image has more than {MOST_ENTRIES} entries")]
    TooMany,
    /// The image has no such file.
    #[error("there is no file {} in the image", path.display())]
    NotFound {
        /// The path looked for.
        path: PathBuf,
    },
    /// The links to the file lead nowhere.
    #[error("{} in the image is a chain of more than {MOST_LINKS} links", path.display())]
    Links {
        /// The path looked for.
        path: PathBuf,
    },
    /// The file cannot be written to its new place.
    #[error("cannot write the file taken out of the image")]
    Write {
        /// What the system said.
        source: io::Error,
    },
}

/// Opens a layer, whichever way it is compressed: gzip, zstd or not at all. What it is, is told by its first bytes, because media types
/// are sometimes wrong.
///
/// # Errors
/// When the file cannot be read.
pub fn open(layer: File) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = BufReader::with_capacity(128 * 1024, layer);
    let start = reader.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader).take(LARGEST_LAYER))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(reader)?.take(LARGEST_LAYER))
    } else {
        Box::new(reader.take(LARGEST_LAYER))
    })
}

/// Where a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer's place in the manifest, from 0.
    pub layer: usize,
    /// The entry's place in the layer's archive, from 0.
    pub entry: usize,
    /// The content's size in bytes.
    pub size: u64,
}

#[derive(Clone, Debug)]
enum Node {
    Folder,
    File(Place),
    Link(PathBuf),
    /// A device or the like.
    Other,
}

/// What an archive says of one path.
enum Said {
    Node(Node),
    HardLink(PathBuf),
}

/// The merged tables of contents of an image's layers.
#[derive(Debug, Default)]
pub struct View {
    /// By path from the image's root. Paths sort by component, so a folder's content follows it.
    nodes: BTreeMap<PathBuf, Node>,
    layers: usize,
}

impl View {
    /// Puts the next layer, already decompressed, on top.
    ///
    /// # Errors
    /// When it cannot be read as an archive, or the image has too many entries.
    pub fn add(&mut self, layer: impl Read) -> Result<(), LayerError> {
        let number = self.layers;
        self.layers += 1;
        let broken = |source| LayerError::Read { layer: number, source };
        let mut archive = tar::Archive::new(layer);
        // A whiteout hides what is in the layers below, never what is beside it, so they are all done first.
        let mut said = Vec::new();
        for (entry, item) in archive.entries().map_err(broken)?.enumerate() {
            let item = item.map_err(broken)?;
            let Some(path) = inside(&item.path().map_err(broken)?) else { continue };
            let link = || item.link_name().map(|name| name.map(std::borrow::Cow::into_owned).unwrap_or_default()).map_err(broken);
            let kind = item.header().entry_type();
            let node = if kind.is_dir() {
                Said::Node(Node::Folder)
            } else if kind.is_symlink() {
                Said::Node(Node::Link(link()?))
            } else if kind.is_hard_link() {
                Said::HardLink(link()?)
            } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
                Said::Node(Node::File(Place { layer: number, entry, size: item.size() }))
            } else {
                Said::Node(Node::Other)
            };
            let hides = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(".wh."));
            match (hides, path.parent()) {
                (Some(".wh..opq"), Some(folder)) => self.clear(&self.real(folder)),
                (Some(name), Some(folder)) => self.remove(&self.real(folder).join(name)),
                _ => said.push((path, node)),
            }
            if self.nodes.len() + said.len() > MOST_ENTRIES {
                return Err(LayerError::TooMany);
            }
        }
        for (path, node) in said {
            let path = match (path.parent(), path.file_name()) {
                (Some(folder), Some(name)) => self.real(folder).join(name),
                _ => continue,
            };
            let node = match node {
                Said::Node(node) => node,
                Said::HardLink(target) => inside(&target)
                    .and_then(|target| self.nodes.get(&self.real(target.parent()?).join(target.file_name()?)).cloned())
                    .unwrap_or(Node::Other),
            };
            // A folder may be said again, or only after what is in it; anything else takes the place of all that was there.
            if !matches!((&node, self.nodes.get(&path)), (Node::Folder, Some(Node::Folder) | None)) {
                self.remove(&path);
            }
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    /// Forgets a path and everything below it.
    fn remove(&mut self, path: &Path) {
        self.clear(path);
        self.nodes.remove(path);
    }

    /// Forgets everything below a path.
    fn clear(&mut self, path: &Path) {
        let below = self.nodes.range(path.to_path_buf()..).skip_while(|(at, _)| *at == path);
        let gone: Vec<PathBuf> = below.take_while(|(at, _)| at.starts_with(path)).map(|(at, _)| at.clone()).collect();
        for at in gone {
            self.nodes.remove(&at);
        }
    }

    /// A folder's path with its links followed, as a runtime does when it unpacks into it. Links that go nowhere are kept as they are.
    fn real(&self, folder: &Path) -> PathBuf {
        self.follow(folder).unwrap_or_else(|_| folder.to_path_buf())
    }

    /// Follows all links of a path, never out of the image.
    fn follow(&self, path: &Path) -> Result<PathBuf, LayerError> {
        let mut todo: Vec<PathBuf> = components(path).rev().collect();
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == Path::new("..") {
                done.pop();
                continue;
            }
            let next = done.join(part);
            match self.nodes.get(&next) {
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(LayerError::Links { path: path.to_path_buf() });
                    }
                    if target.is_absolute() {
                        done = PathBuf::new();
                    }
                    todo.extend(components(target).rev());
                }
                _ => done = next,
            }
        }
        Ok(done)
    }

    /// Where the content of a file is, links followed.
    ///
    /// # Errors
    /// When there is no regular file by that path.
    pub fn find(&self, path: &Path) -> Result<Place, LayerError> {
        match self.nodes.get(&self.follow(path)?) {
            Some(Node::File(place)) => Ok(*place),
            _ => Err(LayerError::NotFound { path: path.to_path_buf() }),
        }
    }
}

/// Copies a file out of its layer, already decompressed.
///
/// # Errors
/// When the layer cannot be read or the file cannot be written.
pub fn copy(layer: impl Read, place: Place, out: &mut impl Write) -> Result<(), LayerError> {
    let broken = |source| LayerError::Read { layer: place.layer, source };
    let mut archive = tar::Archive::new(layer);
    let mut entry = match archive.entries().map_err(broken)?.nth(place.entry) {
        Some(entry) => entry.map_err(broken)?,
        None => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
    };
    let mut buffer = vec![0; 128 * 1024];
    let mut left = place.size;
    while left > 0 {
        match entry.read(&mut buffer).map_err(broken)? {
            0 => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
            count => {
                out.write_all(&buffer[..count]).map_err(|source| LayerError::Write { source })?;
                left = left.saturating_sub(count as u64);
            }
        }
    }
    out.flush().map_err(|source| LayerError::Write { source })
}

/// The names in a path, and `..` where it is.
fn components(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> + '_ {
    path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).map(|part| PathBuf::from(part.as_os_str()))
}

/// A path of an archive's entry as a path from the image's root. `None` for the root itself and for one that leaves it.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in components(path) {
        if part == Path::new("..") {
            return None;
        }
        clean.push(part);
    }
    (clean.as_os_str() != "").then_some(clean)
}
