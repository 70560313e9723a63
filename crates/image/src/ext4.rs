//! A [`Tree`] as an ext4 image, without mounting and without privileges: the file system is computed and written, not made by a kernel.
//!
//! The same tree and options give the same bytes. Nothing is taken from the clock or from chance. The image is made at its full size at once,
//! with holes where nothing is, so it takes no more room than its contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mkext4::{FsBuilder, InodeCount, InodeHandle, RegionSink, SpecialKind};
use thiserror::Error;

use crate::part::Part;
use crate::tree::{Content, InodeId, Kind, Meta, Tree};

mod acl;
#[cfg(test)]
mod tests;

const BLOCK: u64 = 4096;
const MIB: u64 = 1 << 20;
/// Below this there is no room for a journal.
const SMALLEST: u64 = 16 * MIB;
/// The times ext4 can hold: from 1901 to 2446.
const TIMES: std::ops::RangeInclusive<i64> = -(1 << 31)..=(1 << 34) - (1 << 31) - 1;
/// The file system's own folder, which is there already.
const LOST_AND_FOUND: &str = "lost+found";

/// The size of a disk for which none is asked for, in MiB, as the thin devices of upstream's documents have it. Holes take no room.
pub const DEFAULT_SIZE_MIB: u32 = 10 * 1024;

/// The largest disk, in MiB. Beyond it the layout alone takes much memory, and a mistyped size should not.
pub const LARGEST_SIZE_MIB: u32 = 1 << 20;

/// How to make an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its size in MiB, from 16 to [`LARGEST_SIZE_MIB`]; less is taken for 16.
    pub size_mib: u32,
    /// The file system's UUID.
    pub uuid: [u8; 16],
    /// Its label, at most 16 bytes; often empty.
    pub label: String,
}

/// Why an image could not be made.
#[derive(Debug, Error)]
pub enum Ext4Error {
    /// The tree does not fit.
    #[error("the image needs at least {needed} MiB, but its disk is to have {size_mib}: ask for a larger size")]
    TooSmall {
        /// The size asked for, in MiB.
        size_mib: u32,
        /// The least that may do, in MiB.
        needed: u64,
    },
    /// Nobody needs that much.
    #[error("a disk of {size_mib} MiB is too large: at most {LARGEST_SIZE_MIB} are supported")]
    TooLarge {
        /// The size asked for, in MiB.
        size_mib: u32,
    },
    /// One thing in the tree is beyond what ext4 can hold.
    #[error("ext4 cannot hold `{path}` ({reason})")]
    Entry {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system cannot be laid out.
    #[error("cannot lay out the file system ({reason})")]
    Layout {
        /// Why.
        reason: String,
    },
    /// The image cannot be written, or the contents cannot be read.
    #[error("cannot write the disk {}", path.display())]
    Io {
        /// The image's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The size in MiB that holds a tree when none is asked for: the default, or the next power of two that leaves a quarter free.
#[must_use]
pub fn size_for(tree: &Tree) -> u32 {
    let mut size = DEFAULT_SIZE_MIB;
    while least(tree) > u64::from(size) / 4 * 3 && size < LARGEST_SIZE_MIB {
        size = (size * 2).next_power_of_two();
    }
    size
}

/// What a tree takes at least, in MiB.
fn least(tree: &Tree) -> u64 {
    let totals = tree.totals();
    (totals.blocks * BLOCK + totals.inodes * 256).div_ceil(MIB)
}

/// Writes a tree as an ext4 image to a file, which is replaced if it is there. The contents are read from `contents`.
///
/// When it returns the image is on disk. When it fails, what the file holds is of no use.
///
/// # Errors
/// When the tree does not fit or cannot be held by ext4, or a file cannot be read or written.
pub fn write(tree: &Tree, contents: &File, path: &Path, options: &Options) -> Result<(), Ext4Error> {
    if options.size_mib > LARGEST_SIZE_MIB {
        return Err(Ext4Error::TooLarge { size_mib: options.size_mib });
    }
    let size = (u64::from(options.size_mib) * MIB).max(SMALLEST);
    let needed = least(tree);
    let too_small = || Ext4Error::TooSmall { size_mib: options.size_mib, needed };
    if needed * MIB > size {
        return Err(too_small());
    }
    let failed = |source| Ext4Error::Io { path: path.to_path_buf(), source };
    let mut fs = mkext4::Options::new(size, options.uuid, 0);
    // mke2fs's ratio, and room for as many files again.
    let inodes = (size / 16384).max(tree.totals().inodes * 2 + 1024);
    fs.inodes = InodeCount::Exact(u32::try_from(inodes).unwrap_or(u32::MAX));
    fs.label = (!options.label.is_empty()).then(|| options.label.clone());
    fs.reserved_percent = 1;
    let layout = |reason: mkext4::Error| Ext4Error::Layout { reason: reason.to_string() };
    let mut builder = FsBuilder::new(fs).map_err(layout)?;
    let fills = declare(tree, &mut builder)?;
    let sealed = match builder.seal() {
        Ok(sealed) => sealed,
        // Close to the limit only the layout itself can tell.
        Err(mkext4::Error::Invalid(_)) if needed * MIB + size / 8 > size => return Err(too_small()),
        Err(error) => return Err(layout(error)),
    };
    let file = File::create(path).and_then(|file| file.set_len(sealed.image_len()).map(|()| file)).map_err(failed)?;
    let emitted = |error| match error {
        mkext4::Error::Io(source) => failed(source),
        other => layout(other),
    };
    let mut writer = sealed.writer(Sink { file: &file }).map_err(emitted)?;
    for (handle, content) in fills {
        let mut from = Part { file: contents, at: content.offset, left: content.size };
        writer.fill(handle, &mut from).map_err(emitted)?;
    }
    writer.finish().map_err(emitted)?;
    file.sync_all().map_err(failed)
}

/// Tells the builder of everything in the tree. What is to be filled, in the order of its places on disk.
fn declare(tree: &Tree, builder: &mut FsBuilder) -> Result<Vec<(InodeHandle, Content)>, Ext4Error> {
    let mut fills = Vec::new();
    let mut known = BTreeMap::from([(Tree::ROOT, mkext4::ROOT)]);
    dress(builder, mkext4::ROOT, &tree.inode(Tree::ROOT).meta).map_err(|error| entry("/", &error))?;
    builder.set_meta(mkext4::ROOT, meta_of(&tree.inode(Tree::ROOT).meta)).map_err(|error| entry("/", &error))?;
    let mut folders = vec![(Tree::ROOT, mkext4::ROOT, String::new())];
    while let Some((folder, handle, path)) = folders.pop() {
        for (name, id) in tree.children(folder) {
            if folder == Tree::ROOT && name == LOST_AND_FOUND {
                continue;
            }
            let path = format!("{path}/{name}");
            let made = add(tree, builder, handle, name, id, &mut known).map_err(|error| entry(&path, &error))?;
            match (&tree.inode(id).kind, made) {
                (Kind::Directory(_), Some(made)) => folders.push((id, made, path)),
                (Kind::File(content), Some(made)) if content.size > 0 => fills.push((made, *content)),
                _ => {}
            }
        }
    }
    Ok(fills)
}

/// Declares one name. Its handle, unless it is a further name of what was declared before.
fn add(
    tree: &Tree,
    builder: &mut FsBuilder,
    folder: InodeHandle,
    name: &str,
    id: InodeId,
    known: &mut BTreeMap<InodeId, InodeHandle>,
) -> mkext4::Result<Option<InodeHandle>> {
    if let Some(there) = known.get(&id) {
        return builder.hardlink(folder, name, *there).map(|()| None);
    }
    let inode = tree.inode(id);
    let meta = meta_of(&inode.meta);
    let handle = match &inode.kind {
        Kind::Directory(_) => builder.mkdir(folder, name, meta)?,
        Kind::File(content) => builder.file(folder, name, meta, content.size)?,
        Kind::Symlink(target) => builder.symlink(folder, name, target, mkext4::Meta { mode: 0o777, ..meta })?,
        Kind::Fifo => builder.mknod(folder, name, meta, SpecialKind::Fifo)?,
        Kind::CharDevice { major, minor } => builder.mknod(folder, name, meta, SpecialKind::Char { major: *major, minor: *minor })?,
        Kind::BlockDevice { major, minor } => builder.mknod(folder, name, meta, SpecialKind::Block { major: *major, minor: *minor })?,
    };
    dress(builder, handle, &inode.meta)?;
    known.insert(id, handle);
    Ok(Some(handle))
}

/// Sets extended attributes. Those of namespaces that Linux has not for ext4 are left out: nothing could read them.
fn dress(builder: &mut FsBuilder, handle: InodeHandle, meta: &Meta) -> mkext4::Result<()> {
    for (name, value) in &meta.xattrs {
        match name.as_str() {
            "system.posix_acl_access" | "system.posix_acl_default" => {
                let value = acl::on_disk(value).ok_or_else(|| mkext4::Error::Invalid(format!("{name} is no access control list")))?;
                builder.set_xattr(handle, name, &value)?;
            }
            _ if ["user.", "trusted.", "security."].iter().any(|space| name.starts_with(space)) => {
                builder.set_xattr(handle, name, value)?;
            }
            _ => tracing::debug!(name, "an extended attribute that ext4 does not have is left out"),
        }
    }
    Ok(())
}

fn meta_of(meta: &Meta) -> mkext4::Meta {
    let (seconds, nanoseconds) = meta.modified;
    let seconds = seconds.clamp(*TIMES.start(), *TIMES.end());
    mkext4::Meta::new(u16::try_from(meta.mode & 0o7777).unwrap_or_default(), meta.uid, meta.gid, (seconds, nanoseconds.min(999_999_999)))
}

fn entry(path: &str, error: &mkext4::Error) -> Ext4Error {
    Ext4Error::Entry { path: path.to_owned(), reason: error.to_string() }
}

/// Writes what is not zero: the file has holes everywhere else.
struct Sink<'a> {
    file: &'a File,
}

impl RegionSink for Sink<'_> {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let block = BLOCK as usize;
        let mut at = 0;
        while at < bytes.len() {
            let blank = |from: usize| bytes[from..bytes.len().min(from + block)].iter().all(|byte| *byte == 0);
            let start = at;
            while at < bytes.len() && !blank(at) {
                at += block;
            }
            let end = at.min(bytes.len());
            self.file.write_all_at(&bytes[start..end], offset + start as u64)?;
            while at < bytes.len() && blank(at) {
                at += block;
            }
        }
        Ok(())
    }

    fn zeros(&mut self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }
}
