//! A microVM's own disk from one that several share, without copying what nobody changes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use thiserror::Error;

use crate::store::sync_folder_of;

mod qcow2;
#[cfg(test)]
mod tests;

pub use qcow2::QcowError;

/// How a disk shares what it has in common with the disk it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The file system shares the blocks (btrfs, XFS). Raw.
    Reflink,
    /// It holds only what differs, and names the other disk, which must stay. qcow2.
    Overlay,
    /// A copy with its holes. Raw.
    Copy,
}

/// The form of a disk image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The disk's bytes.
    Raw,
    /// QEMU's format.
    Qcow2,
}

/// A microVM's own disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloned {
    /// The image.
    pub path: PathBuf,
    /// Its form.
    pub format: Format,
    /// How it was made now; `None` when it was there already.
    pub made: Option<Method>,
}

/// Why a disk could not be made.
#[derive(Debug, Error)]
pub enum CloneError {
    /// The disk to make it from cannot be read.
    #[error("cannot read the disk {}", path.display())]
    Base {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk cannot be written.
    #[error("cannot write the disk {}", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An overlay cannot describe it.
    #[error("cannot lay {} over its base", path.display())]
    Overlay {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: QcowError,
    },
    /// Something else has the name already.
    #[error("{} is there already, as something that is no disk", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
}

/// Makes `target` a disk that begins as `base` is, a raw image, and is independent from then on. It is `size` bytes large, or as large as
/// `base` if that is larger. The best method is taken that works: a reflink; an overlay if `qcow2` says that the VMM reads them; a copy.
///
/// When `target` is there, it is left as it is: what has that name is whole, because it was renamed to it. Until then it is
/// `target` with `.part` appended, which a later call begins anew, and [`remove`] removes.
///
/// # Errors
/// When a disk cannot be read or written.
pub fn clone_disk(base: &Path, target: &Path, size: u64, qcow2: bool) -> Result<Cloned, CloneError> {
    let written = |source| CloneError::Write { path: target.to_path_buf(), source };
    match fs::symlink_metadata(target) {
        Ok(meta) if !meta.is_file() => return Err(CloneError::InTheWay { path: target.to_path_buf() }),
        Ok(_) => {
            let format = format_of(target).map_err(written)?;
            return Ok(Cloned { path: target.to_path_buf(), format, made: None });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(written(error)),
    }
    let read = |source| CloneError::Base { path: base.to_path_buf(), source };
    // An overlay names its base by a path that must mean the same for the VMM.
    let base_path = fs::canonicalize(base).map_err(read)?;
    let from = File::open(&base_path).map_err(read)?;
    let size = from.metadata().map_err(read)?.len().max(size);
    let unfinished = unfinished(target);
    let _ = fs::remove_file(&unfinished);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(&unfinished).map_err(written)?;
    let method = if rustix::fs::ioctl_ficlone(&file, &from).is_ok() {
        file.set_len(size).map_err(written)?;
        Method::Reflink
    } else if qcow2 {
        let header = qcow2::overlay(&base_path, size).map_err(|source| CloneError::Overlay { path: target.to_path_buf(), source })?;
        file.write_all(&header).map_err(written)?;
        Method::Overlay
    } else {
        file.set_len(size).map_err(written)?;
        copy_data(&from, &file).map_err(written)?;
        Method::Copy
    };
    file.sync_all().and_then(|()| fs::rename(&unfinished, target)).and_then(|()| sync_folder_of(target)).map_err(written)?;
    let format = if method == Method::Overlay { Format::Qcow2 } else { Format::Raw };
    Ok(Cloned { path: target.to_path_buf(), format, made: Some(method) })
}

/// Makes an empty disk of `size` bytes, a raw image without contents, unless it is there.
///
/// # Errors
/// When it cannot be written.
pub fn blank_disk(target: &Path, size: u64) -> Result<(), CloneError> {
    let written = |source| CloneError::Write { path: target.to_path_buf(), source };
    if target.is_file() {
        return Ok(());
    }
    let unfinished = unfinished(target);
    let make = || -> io::Result<()> {
        let file = File::create(&unfinished)?;
        file.set_len(size)?;
        file.sync_all()?;
        fs::rename(&unfinished, target)?;
        sync_folder_of(target)
    };
    make().map_err(written)
}

/// Removes a disk, and what a call that died left of it. It is no error when there is none.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(target: &Path) -> Result<(), CloneError> {
    for path in [unfinished(target), target.to_path_buf()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(CloneError::Write { path, source: error }),
            _ => {}
        }
    }
    Ok(())
}

/// The name of a disk that is not whole yet.
fn unfinished(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn format_of(path: &Path) -> io::Result<Format> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(if magic == qcow2::MAGIC { Format::Qcow2 } else { Format::Raw })
}

/// Makes an empty file the same as another: sharing its blocks where the file system can, else with a copy that has the same holes.
pub(crate) fn copy_whole(from: &File, to: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    to.set_len(from.metadata()?.len())?;
    copy_data(from, to)
}

/// Copies what is there and leaves holes where nothing is.
fn copy_data(from: &File, to: &File) -> io::Result<()> {
    let end = from.metadata()?.len();
    let mut at = 0;
    while at < end {
        let data = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole is left.
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            // A file system that does not tell holes apart has data all over.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => at,
            Err(error) => return Err(error.into()),
        };
        let hole = rustix::fs::seek(from, SeekFrom::Hole(data)).unwrap_or(end);
        copy_part(from, to, data, hole)?;
        at = hole;
    }
    Ok(())
}

/// Copies a part, in the kernel where that works.
fn copy_part(from: &File, to: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
        let (mut read, mut write) = (at, at);
        let count = match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), left) {
            Ok(count) if count > 0 => count,
            Ok(_) | Err(rustix::io::Errno::XDEV | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => {
                buffer.resize(1 << 20, 0);
                let part = left.min(buffer.len());
                from.read_exact_at(&mut buffer[..part], at)?;
                to.write_all_at(&buffer[..part], at)?;
                part
            }
            Err(error) => return Err(error.into()),
        };
        at += count as u64;
    }
    Ok(())
}
