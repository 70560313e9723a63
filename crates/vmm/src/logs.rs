//! The logs of a microVM, which the guest fills as it likes.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::files;

/// Most bytes that [`tail`] reads.
const WINDOW: u64 = 64 * 1024;

/// The last lines of a log, at most `lines` of the last 64 KiB. A log that cannot be read has none.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let text = end(path, WINDOW).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

fn end(path: &Path, window: u64) -> io::Result<Vec<u8>> {
    let mut file = files::read(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(window)))?;
    let mut bytes = Vec::new();
    file.take(window).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a log holds from `begin` on, at most `max` bytes. A log that is shorter than that began anew, and is read from its beginning.
///
/// # Errors
/// It cannot be read.
pub(crate) fn part(path: &Path, begin: u64, max: u64) -> io::Result<String> {
    let mut file = files::read(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(if begin > size { 0 } else { begin }))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How many bytes a log holds. One that is not there holds none.
pub(crate) fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map(|meta| meta.len()).unwrap_or_default()
}

/// Bounds a log that a process appends to: when it is larger than `max` bytes, its second half moves to the same name with `.1` at the end,
/// and the log begins anew. What the process writes in between may be lost. A log that is not there is small enough.
///
/// # Errors
/// The file system refuses.
pub fn trim(path: &Path, max: u64) -> io::Result<bool> {
    let size = match fs::symlink_metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if size <= max {
        return Ok(false);
    }
    let kept = end(path, max / 2)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    files::replace(Path::new(&name), &kept)?;
    // Every writer appends, so the next byte lands at the new beginning.
    let log = files::append(path)?;
    log.set_len(0)?;
    (&log).flush()?;
    Ok(true)
}

#[cfg(test)]
mod tests;
