//! Binaries that are there already: the given folder and the search path, and what version a binary is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Access, access};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::artifact::{Artifact, Probe};
use crate::chain;
use crate::child::Group;
use crate::progress::Reporter;

#[cfg(test)]
mod tests;

/// How long a binary may take to tell its version: generous, for a loaded machine and a cold disk.
const PROBE_TIME: Duration = Duration::from_secs(30);
/// How much of its output is read, of each stream.
const PROBE_OUTPUT: u64 = 64 * 1024;

/// Why no binary that was there already would do.
#[derive(Debug, Error)]
pub enum PathError {
    /// There is no such file.
    #[error("no executable `{name}` in {folders}")]
    NotFound {
        /// The file's name.
        name: String,
        /// Where it was looked for.
        folders: String,
    },
    /// There is one, but not of the wanted version, or it does not say.
    #[error("{}", said.join("; "))]
    WrongVersion {
        /// One line for each binary found.
        said: Vec<String>,
    },
}

/// Finds the artifact in the folder given by the user, else on the search path.
///
/// A binary on the search path was put there for other purposes, so it is only taken when it tells the wanted version. The folder was
/// given for this very purpose, so an artifact that has no probe is trusted there. Without a search path only that folder is looked at.
pub(crate) async fn find(
    artifact: &Artifact,
    bin_dir: Option<&Path>,
    search_path: Option<&OsStr>,
    report: Reporter<'_>,
) -> Result<PathBuf, PathError> {
    let mut said = Vec::new();
    let given = bin_dir.map(Path::to_path_buf);
    let trusted = search_path.filter(|_| artifact.probe.is_some());
    let on_path = trusted.map(std::env::split_paths).into_iter().flatten();
    for folder in given.into_iter().chain(on_path.filter(|folder| folder.is_absolute())) {
        let file = folder.join(&artifact.name);
        if !is_executable(&file) {
            continue;
        }
        match check(artifact, &file).await {
            Ok(()) => return Ok(file),
            Err(reason) => {
                report.message(format!("skipped: {reason}"));
                said.push(reason);
            }
        }
    }
    if said.is_empty() {
        let folders = match (bin_dir, trusted) {
            (Some(folder), Some(_)) => format!("{} or the search path", folder.display()),
            (Some(folder), None) => folder.display().to_string(),
            (None, Some(_)) => "the search path".to_owned(),
            (None, None) if search_path.is_none() => "any given folder (the search path is not used)".to_owned(),
            (None, None) => "any given folder (its version cannot be checked, so the search path is not used)".to_owned(),
        };
        Err(PathError::NotFound { name: artifact.name.clone(), folders })
    } else {
        Err(PathError::WrongVersion { said })
    }
}

/// Finds a program by name on a search path.
pub(crate) fn which(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

/// Asks a binary for its version, if the artifact says how. The error is one line that names the file.
pub(crate) async fn check(artifact: &Artifact, file: &Path) -> Result<(), String> {
    let Some(probe) = &artifact.probe else { return Ok(()) };
    let output = match tokio::time::timeout(PROBE_TIME, run(probe, file)).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{} cannot be run ({})", file.display(), chain(&error))),
        Err(_) => return Err(format!("{} did not tell its version within {} s", file.display(), PROBE_TIME.as_secs())),
    };
    if tells(&output, &artifact.expand(&probe.pattern)) {
        return Ok(());
    }
    let first = output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    let first: String = first.chars().take(120).collect();
    Err(format!("{} is not {} (it says: {first})", file.display(), artifact.version))
}

async fn run(probe: &Probe, file: &Path) -> std::io::Result<String> {
    let mut command = Command::new(file);
    command.args(&probe.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(&mut command).await?;
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read_some(stdout), read_some(stderr))?;
    // The pipes are closed, so one that still writes ends by SIGPIPE; the caller's deadline ends the rest.
    group.wait().await?;
    Ok(format!("{stdout}\n{stderr}"))
}

async fn read_some(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(PROBE_OUTPUT).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the output holds the wanted text, and a version at either end of it does not go on.
fn tells(output: &str, wanted: &str) -> bool {
    let open_start = wanted.starts_with(|c: char| c.is_ascii_alphanumeric());
    let open_end = wanted.ends_with(|c: char| c.is_ascii_alphanumeric());
    !wanted.is_empty()
        && output
            .match_indices(wanted)
            .any(|(at, _)| (!open_start || starts_here(&output[..at])) && (!open_end || ends_here(&output[at + wanted.len()..])))
}

/// `13.6.14` is not `3.6.14`, nor is `1.3.6.14`.
fn starts_here(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// `v1.36.30`, `v1.36.3.1`, `v1.36.3-rc.0` and `v1.36.3+k3s1` are not `v1.36.3`, but "v1.36.3." may end a sentence.
fn ends_here(after: &str) -> bool {
    let mut next = after.chars();
    match next.next() {
        Some('.' | '-' | '+') => !next.next().is_some_and(|c| c.is_ascii_alphanumeric()),
        Some(c) => !c.is_ascii_alphanumeric(),
        None => true,
    }
}
