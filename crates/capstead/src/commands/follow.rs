//! Showing a file that grows: `logs`, `vm logs`.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::OFlags;

/// How often a followed file is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// Shows all that is in a file, or these last lines of it; then, if it shall, what comes after, as long as anything is to come.
pub fn show(path: &Path, last: Option<Vec<String>>, follow: bool, to_come: impl Fn() -> bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let mut at = 0;
    if let Some(lines) = last {
        at = std::fs::metadata(path).map_or(0, |file| file.len());
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
    loop {
        // Asked before the file is read: what was written last is shown.
        let more = follow && to_come();
        at = copy_from(path, at, &mut out)?;
        out.flush()?;
        if !more {
            return Ok(());
        }
        std::thread::sleep(FOLLOW);
    }
}

/// Copies what stands in the file from `at` on, and returns where it ends. A file that became shorter is read from its beginning.
fn copy_from(path: &Path, at: u64, out: &mut impl Write) -> anyhow::Result<u64> {
    let mut file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let size = file.metadata()?.len();
    let at = if size < at { 0 } else { at };
    file.seek(io::SeekFrom::Start(at))?;
    Ok(at + io::copy(&mut file.take(size - at), out)?)
}

/// A VMM may write to the folder that its log is in: what a link leads to is not shown, and a FIFO is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let careful = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(careful).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[cfg(test)]
mod tests;
