//! What is made of images: disks and files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::blob::{Expected, check};
use super::lock::Work;
use super::{Image, Store, StoreError, Stored};
use crate::digest::Hashing;
use crate::tree::{Content, Tree};
use crate::unpack::Unpacker;
use crate::{Digest, Limits, ext4};

/// A disk to make microVMs' disks from. Never written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// A raw image.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// What it was made from: to be named as in use for as long as a copy depends on it.
    pub digest: Digest,
}

impl Store {
    /// The image as an ext4 disk of a size in MiB; `None` is for the size that suits it, at least [`ext4::DEFAULT_SIZE_MIB`].
    /// Made once for each size. Whoever asks while it is being made waits for it.
    ///
    /// A raw file is taken as the disk that it is; its size is its own.
    ///
    /// # Errors
    /// When the image cannot be unpacked, does not fit, or cannot be written.
    pub fn disk(&self, image: &Image, size_mib: Option<u32>, limits: Limits) -> Result<Disk, StoreError> {
        let manifest = match &image.stored {
            Stored::Image { manifest } => manifest,
            Stored::File { blob } => return self.found(self.blob_path(blob), blob),
        };
        let size_name = size_mib.map_or_else(|| "auto".to_owned(), |size| size.to_string());
        let name = format!("{}-{size_name}", manifest.hex());
        let path = self.root.join("disks").join(format!("{name}.ext4"));
        let lock = self.lock(&format!("disk-{name}"))?;
        if !path.is_file() {
            let work = self.work(&lock)?;
            let (tree, contents) = self.unpack(manifest, &work, limits)?;
            let options =
                ext4::Options { size_mib: size_mib.unwrap_or_else(|| ext4::size_for(&tree)), uuid: manifest.uuid(), label: String::new() };
            let unfinished = work.path().join("disk");
            ext4::write(&tree, &contents, &unfinished, &options).map_err(|source| match source {
                ext4::Ext4Error::Io { path, source } => StoreError::at(&path, source),
                source => StoreError::Disk { source },
            })?;
            self.take_in(&unfinished, &path)?;
        }
        self.found(path, manifest)
    }

    /// A file out of an image, such as a kernel, by its path; links in the image are followed, never out of it. Taken out once.
    ///
    /// A raw file has no files in it: it stands for itself, and the path must be empty.
    ///
    /// # Errors
    /// When there is no such file, the image cannot be unpacked, or the file cannot be written.
    pub fn file(&self, image: &Image, path: &str, limits: Limits) -> Result<PathBuf, StoreError> {
        let manifest = match &image.stored {
            Stored::Image { manifest } => manifest,
            Stored::File { blob } if path.is_empty() => return self.found(self.blob_path(blob), blob).map(|disk| disk.path),
            Stored::File { .. } => return Err(StoreError::NoTree { reference: image.reference.clone(), path: path.to_owned() }),
        };
        let name = format!("{}-{}", manifest.hex(), Digest::of(path.as_bytes()).hex());
        let taken = self.root.join("files").join(&name);
        let lock = self.lock(&format!("file-{name}"))?;
        if !taken.is_file() {
            let work = self.work(&lock)?;
            let (tree, contents) = self.unpack(manifest, &work, limits)?;
            let content = tree.file(path).map_err(|source| StoreError::Find { source })?;
            let unfinished = work.path().join("file");
            copy_out(&contents, content, &unfinished)?;
            self.take_in(&unfinished, &taken)?;
        }
        Ok(taken)
    }

    /// The image's files as a tree, and a file that holds their contents and goes when it is closed.
    fn unpack(&self, manifest: &Digest, work: &Work, limits: Limits) -> Result<(Tree, File), StoreError> {
        let path = work.path();
        let contents = tempfile::tempfile_in(path).map_err(|error| StoreError::at(path, error))?;
        let mut unpacker = Unpacker::new(BufWriter::with_capacity(256 * 1024, contents), limits);
        for layer in self.manifest(manifest)?.layers {
            let mut stream = Hashing::new(self.open_blob(&layer.digest)?);
            unpacker.layer(&mut stream).map_err(|source| StoreError::Unpack { source })?;
            // What follows the archive's end counts, too.
            io::copy(&mut stream, &mut io::sink()).map_err(|error| StoreError::at(&self.blob_path(&layer.digest), error))?;
            let (digest, size) = stream.finish();
            check(&Expected { digest: layer.digest, size: layer.size }, &digest, size)?;
        }
        let (tree, contents) = unpacker.finish().map_err(|error| StoreError::at(path, error))?;
        let contents = contents.into_inner().map_err(|error| StoreError::at(path, error.into_error()))?;
        Ok((tree, contents))
    }

    fn found(&self, path: PathBuf, digest: &Digest) -> Result<Disk, StoreError> {
        let meta = fs::metadata(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { digest: digest.clone() },
            _ => StoreError::at(&path, error),
        })?;
        Ok(Disk { path, size: meta.len(), digest: digest.clone() })
    }
}

/// Copies one file's content out of the stream of contents.
fn copy_out(contents: &File, content: Content, to: &std::path::Path) -> Result<(), StoreError> {
    let copy = || -> io::Result<()> {
        let mut out = File::create(to)?;
        let mut buffer = vec![0; 256 * 1024];
        let (mut at, end) = (content.offset, content.offset + content.size);
        while at < end {
            let most = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            match contents.read_at(&mut buffer[..most], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    out.write_all(&buffer[..count])?;
                    at += count as u64;
                }
            }
        }
        Ok(())
    };
    copy().map_err(|error| StoreError::at(to, error))
}
