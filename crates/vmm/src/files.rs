//! Files in a folder that a VMM may write to as well: no symbolic link is followed there, whoever made it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Gid, OFlags, Uid, chownat};

use crate::user::User;

/// No symbolic link, and no waiting where a FIFO lies in place of a file.
fn careful(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// Makes a folder with this mode; one that is there gets the mode.
pub(crate) fn folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder"));
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Opens a log to append to, and makes it if need be.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    regular(careful(OpenOptions::new().append(true).create(true).mode(0o600)).open(path)?)
}

/// Opens a file to read.
pub(crate) fn read(path: &Path) -> io::Result<File> {
    regular(careful(OpenOptions::new().read(true)).open(path)?)
}

/// Writes a file in place of whatever has its name.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Makes a user the owner of a file or socket. One that has other names is left alone: whoever has those did not give it away.
pub(crate) fn give(path: &Path, user: &User) -> io::Result<()> {
    let file = OpenOptions::new().read(true).custom_flags((OFlags::PATH | OFlags::NOFOLLOW).bits().cast_signed()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() && !meta.file_type().is_socket() {
        return Err(io::Error::other("it is neither a regular file nor a socket"));
    }
    if meta.nlink() > 1 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    Ok(chownat(&file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

/// Removes a file. None is as good.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    gone(fs::remove_file(path))
}

/// Removes a folder with all in it. None is as good.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    gone(fs::remove_dir_all(path))
}

/// What is not there was removed already.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Takes the lock that a process holds for its life. `None` when another has it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)?.then_some(file))
}

/// Whether a process holds the lock.
pub(crate) fn locked(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().read(true).open(path) {
        // Shared, so that two who only look do not take each other for the process.
        Ok(file) => Ok(!flock(&file, FlockOperation::NonBlockingLockShared)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn flock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
