//! Running other programs: their last words in the error, and nothing left behind when they are given up.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How much of what a failed program said is kept.
const TAIL_LINES: usize = 25;

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It is not there.
    #[error("there is no `{program}` on the search path: {hint}")]
    NotInstalled {
        /// The program.
        program: String,
        /// What to do.
        hint: &'static str,
    },
    /// It cannot be run.
    #[error("cannot run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    #[error("`{program}` failed ({status}):\n{tail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it said.
        tail: String,
    },
    /// Its output cannot be kept.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Ends a program with all that it started, unless it has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // It may be gone already, which is as good.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Runs a program to its end. Its messages are kept for the error; dropping the future ends it.
pub(crate) async fn run(program: &str, hint: &'static str, mut command: Command) -> Result<(), CommandError> {
    command.stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CommandError::NotInstalled { program: program.to_owned(), hint },
        _ => CommandError::Run { program: program.to_owned(), source },
    })?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let refused = |source| CommandError::Run { program: program.to_owned(), source };
    let mut tail = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(refused)? {
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(String::from_utf8_lossy(&line).trim_end().chars().take(400).collect::<String>());
        }
    }
    let status = child.wait().await.map_err(refused)?;
    group.0 = None;
    if status.success() {
        return Ok(());
    }
    Err(CommandError::Failed { program: program.to_owned(), status, tail: Vec::from(tail).join("\n") })
}
