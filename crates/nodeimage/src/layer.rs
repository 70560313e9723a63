//! One layer of an image: names and what they stand for, written as a tar archive whose bytes depend on nothing else.
//!
//! Entries are sorted by name, so a folder comes before what is in it. No time is newer than the image's epoch, and names of users are not written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstead_image::Digest;
use capstead_image::part::Part;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

#[cfg(test)]
mod tests;

/// Where a file's content is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file of its own.
    Path(PathBuf),
    /// In a part of a file.
    Part { file: Arc<File>, offset: u64, size: u64 },
}

/// What an entry is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Folder,
    File(Content),
    Symlink(String),
    /// Another name of an entry of the same layer.
    HardLink(String),
    Fifo,
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds since 1970; the epoch where none is known.
    pub(crate) modified: Option<i64>,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    pub(crate) fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, owner: (0, 0), modified: None, xattrs: BTreeMap::new() }
    }

    pub(crate) fn folder() -> Self {
        Self::new(Kind::Folder, 0o755)
    }

    pub(crate) fn link(target: impl Into<String>) -> Self {
        Self::new(Kind::Symlink(target.into()), 0o777)
    }

    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::new(Kind::File(Content::Bytes(bytes.into())), mode)
    }
}

/// A layer that is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Of the archive's bytes.
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A layer in the making. Names have no leading `/`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// Puts an entry there, in place of what had its name. Folders above it are made where they are missing.
    pub(crate) fn put(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert_with(Entry::folder);
        }
        self.put_alone(path, entry);
    }

    /// Puts an entry there, and nothing above it: what is below has its folder.
    pub(crate) fn put_alone(&mut self, path: &str, entry: Entry) {
        self.entries.insert(path.trim_matches('/').to_owned(), entry);
    }

    /// Takes away what is at a path in the layers below.
    pub(crate) fn hide(&mut self, path: &str) {
        let path = path.trim_matches('/');
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let separator = if folder.is_empty() { "" } else { "/" };
        self.put_alone(&format!("{folder}{separator}.wh.{name}"), Entry::bytes([], 0o644));
    }

    /// Leaves an entry alone out: whatever has that name below stays as it is.
    pub(crate) fn forget(&mut self, path: &str) {
        self.entries.remove(path.trim_matches('/'));
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(path.trim_matches('/'))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.trim_matches('/'))
    }

    /// How many regular files there are.
    pub(crate) fn files(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.kind, Kind::File(_))).count()
    }

    /// Writes the archive to a file.
    pub(crate) fn write(&self, path: &Path, epoch: u64) -> io::Result<Written> {
        let file = File::create(path)?;
        let mut stream = Hashing::new(BufWriter::with_capacity(1 << 20, file));
        for (name, entry) in &self.entries {
            write_entry(&mut stream, name, entry, epoch)?;
        }
        // An archive ends with two empty blocks.
        stream.write_all(&[0; 1024])?;
        let (mut inner, written) = stream.finish();
        inner.flush()?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(written)
    }
}

fn write_entry(stream: &mut impl Write, name: &str, entry: &Entry, epoch: u64) -> io::Result<()> {
    let name = if matches!(entry.kind, Kind::Folder) { format!("{name}/") } else { name.to_owned() };
    let mut header = Header::new_ustar();
    header.set_mode(entry.mode & 0o7777);
    let mut records: Vec<(String, Vec<u8>)> = Vec::new();
    let (uid, gid) = (u64::from(entry.owner.0), u64::from(entry.owner.1));
    // What eight digits cannot hold goes into a record of its own.
    for (key, id) in [("uid", uid), ("gid", gid)] {
        if id > 0o7_777_777 {
            records.push((key.to_owned(), id.to_string().into_bytes()));
        }
    }
    header.set_uid(uid.min(0o7_777_777));
    header.set_gid(gid.min(0o7_777_777));
    let newest = i64::try_from(epoch).unwrap_or(i64::MAX);
    header.set_mtime(u64::try_from(entry.modified.unwrap_or(newest).min(newest)).unwrap_or_default());
    let mut size = 0;
    let mut link = None;
    header.set_entry_type(match &entry.kind {
        Kind::Folder => EntryType::Directory,
        Kind::File(content) => {
            size = length(content)?;
            EntryType::Regular
        }
        Kind::Symlink(target) => {
            link = Some(target);
            EntryType::Symlink
        }
        Kind::HardLink(target) => {
            link = Some(target);
            EntryType::Link
        }
        Kind::Fifo => EntryType::Fifo,
        Kind::CharDevice { .. } => EntryType::Char,
        Kind::BlockDevice { .. } => EntryType::Block,
    });
    if let Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } = entry.kind {
        header.set_device_major(major)?;
        header.set_device_minor(minor)?;
    }
    if size > 0o77_777_777_777 {
        records.push(("size".to_owned(), size.to_string().into_bytes()));
        header.set_size(0);
    } else {
        header.set_size(size);
    }
    let old = header.as_old_mut();
    set_name(&mut old.name, name.as_bytes(), "path", &mut records);
    if let Some(link) = link {
        set_name(&mut old.linkname, link.as_bytes(), "linkpath", &mut records);
    }
    records.extend(entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.clone())));
    if !records.is_empty() {
        write_records(stream, &records)?;
    }
    header.set_cksum();
    stream.write_all(header.as_bytes())?;
    if let Kind::File(content) = &entry.kind {
        copy(content, size, stream)?;
        fill(stream, size)?;
    }
    Ok(())
}

/// Writes a name into its field, or, where it is too long, into a record.
fn set_name(field: &mut [u8; 100], name: &[u8], key: &str, records: &mut Vec<(String, Vec<u8>)>) {
    let short = name.len().min(field.len());
    field[..short].copy_from_slice(&name[..short]);
    if name.len() > field.len() || !name.is_ascii() {
        records.push((key.to_owned(), name.to_vec()));
    }
}

/// A PAX header: what the entry that follows has besides.
fn write_records(stream: &mut impl Write, records: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        // The length counts its own digits.
        let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap_or(rest);
        write!(text, "{length} {key}=")?;
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_path("PaxHeaders")?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(text.len() as u64);
    header.set_cksum();
    stream.write_all(header.as_bytes())?;
    stream.write_all(&text)?;
    fill(stream, text.len() as u64)
}

fn length(content: &Content) -> io::Result<u64> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.len() as u64),
        Content::Path(path) => std::fs::metadata(path).map(|meta| meta.len()).map_err(|error| named(path, &error)),
        Content::Part { size, .. } => Ok(*size),
    }
}

fn copy(content: &Content, size: u64, to: &mut impl Write) -> io::Result<()> {
    let copied = match content {
        Content::Bytes(bytes) => return to.write_all(bytes),
        Content::Path(path) => {
            let file = File::open(path).map_err(|error| named(path, &error))?;
            io::copy(&mut io::BufReader::with_capacity(1 << 20, file.take(size)), to)?
        }
        Content::Part { file, offset, .. } => io::copy(&mut Part { file, at: *offset, left: size }, to)?,
    };
    // It became shorter since its header was written.
    if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The content itself, for those who need to look into it. Nothing beyond `most` bytes is read.
pub(crate) fn read(content: &Content, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    copy(content, length(content)?.min(most), &mut bytes)?;
    Ok(bytes)
}

fn fill(stream: &mut impl Write, size: u64) -> io::Result<()> {
    let rest = usize::try_from((512 - size % 512) % 512).unwrap_or_default();
    stream.write_all(&[0; 512][..rest])
}

/// Passes bytes on and knows their digest.
pub(crate) struct Hashing<W> {
    stream: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(stream: W) -> Self {
        Self { stream, hasher: Sha256::new(), size: 0 }
    }

    pub(crate) fn finish(self) -> (W, Written) {
        (self.stream, Written { digest: digest_of_hash(self.hasher), size: self.size })
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn digest_of_hash(hasher: Sha256) -> Digest {
    use std::fmt::Write;
    let mut text = "sha256:".to_owned();
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    // Such a text is always a digest.
    text.parse().unwrap_or_else(|_| Digest::of(&[]))
}

/// The digest and size of a file.
pub(crate) fn digest_file(path: &Path) -> io::Result<Written> {
    let mut stream = Hashing::new(io::sink());
    let mut file = File::open(path)?;
    io::copy(&mut file, &mut stream)?;
    Ok(stream.finish().1)
}
