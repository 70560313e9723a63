//! virtiofsd, the program that serves a host folder to a guest: which one this host has, and how it is started.
//!
//! There are two: the one of the virtiofs project, in Rust, and the older one that came with QEMU up to 7.2 (Debian 12 has that). Both are checked against
//! the programs: 1.14.0, and QEMU's of 7.2.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::driver::{LaunchPlan, PlanError, plain_path};
use crate::machine::Share;

/// Where distributions put it, off the search path.
const FOLDERS: [&str; 3] = ["/usr/libexec", "/usr/lib", "/usr/lib/qemu"];
/// How long it may take to print its options.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of that is read.
const LONGEST_HELP: usize = 64 * 1024;
/// Bits of a process's capabilities, see capabilities(7).
const SYS_CHROOT: u64 = 1 << 18;
const SYS_ADMIN: u64 = 1 << 21;

/// A virtiofsd that works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Virtiofsd {
    program: PathBuf,
    make: Make,
    read_only: bool,
    sandbox: Sandbox,
}

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    /// The virtiofs project's.
    Rust,
    /// QEMU's.
    Qemu,
}

/// What keeps it within the folder that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sandbox {
    /// Namespaces of its own, with the folder as their root.
    Namespace,
    /// The folder as its root.
    Chroot,
    /// Nothing of its own: landlock, where the kernel has it.
    None,
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "namespace",
            Self::Chroot => "chroot",
            Self::None => "none",
        })
    }
}

/// Why no folder can be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoVirtiofsd {
    /// Nobody looked for one, or it was switched off.
    #[error("virtiofsd is switched off on this host")]
    Off,
    /// There is none.
    #[error("this host has no {program}: install virtiofsd (Debian 13: the package virtiofsd; Debian 12: qemu-system-common)")]
    Missing {
        /// What was looked for.
        program: PathBuf,
    },
    /// It does not run, or is something else.
    #[error("{program} is no virtiofsd that works here: {why}")]
    Broken {
        /// The program.
        program: PathBuf,
        /// Why.
        why: String,
    },
    /// It needs privileges that we do not have.
    #[error(
        "{program} is QEMU's own virtiofsd, which runs only as root: install the one of the virtiofs project, or run the daemon as root"
    )]
    Privileges {
        /// The program.
        program: PathBuf,
    },
}

/// A folder cannot be served as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unservable {
    /// There is nobody to serve it.
    #[error(transparent)]
    NoVirtiofsd(#[from] NoVirtiofsd),
    /// Its path cannot be told to the program.
    #[error(transparent)]
    Path(#[from] PlanError),
    /// The program cannot keep a guest from writing.
    #[error("{program} cannot keep a guest from writing: install a newer virtiofsd for read-only folders")]
    ReadOnly {
        /// The program.
        program: PathBuf,
    },
}

impl Virtiofsd {
    /// Finds it, and how it is to be called. A bare name is looked for on the search path and where distributions put virtiofsd; an empty one is none.
    ///
    /// # Errors
    /// See [`NoVirtiofsd`].
    pub async fn find(program: &Path) -> Result<Self, NoVirtiofsd> {
        if program.as_os_str().is_empty() {
            return Err(NoVirtiofsd::Off);
        }
        let program = located(program).ok_or_else(|| NoVirtiofsd::Missing { program: program.to_owned() })?;
        let broken = |why: String| NoVirtiofsd::Broken { program: program.clone(), why };
        let mut help = tokio::process::Command::new(&program);
        help.arg("--help").stdin(Stdio::null()).kill_on_drop(true);
        let help = tokio::time::timeout(PATIENCE, help.output()).await;
        let help =
            help.map_err(|_| broken("it did not print its options in time".to_owned()))?.map_err(|error| broken(error.to_string()))?;
        let text: Vec<u8> = help.stdout.into_iter().chain(help.stderr).take(LONGEST_HELP).collect();
        Self::told(program, &String::from_utf8_lossy(&text), Sandbox::here())
    }

    /// What its own words say of it.
    fn told(program: PathBuf, help: &str, sandbox: Sandbox) -> Result<Self, NoVirtiofsd> {
        let make = if help.contains("--shared-dir") {
            Make::Rust
        } else if help.contains("-o source=") {
            Make::Qemu
        } else {
            return Err(NoVirtiofsd::Broken { program, why: "its options are others".to_owned() });
        };
        if make == Make::Qemu && sandbox == Sandbox::None {
            return Err(NoVirtiofsd::Privileges { program });
        }
        Ok(Self { program, make, read_only: help.contains("--readonly"), sandbox })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whether it takes landlock to keep it within the folder.
    pub(crate) fn wants_landlock(&self) -> bool {
        self.sandbox == Sandbox::None
    }

    /// How to start it for a share. Its standard input is a socket that listens already.
    pub(crate) fn plan(&self, share: &Share) -> Result<LaunchPlan, Unservable> {
        let (folder, sandbox) = (plain_path(&share.folder)?, self.sandbox);
        if share.read_only && !self.read_only {
            return Err(Unservable::ReadOnly { program: self.program.clone() });
        }
        // As flintlock: what one side writes the other sees at once.
        let mut args = vec!["--fd=0".to_owned()];
        match self.make {
            Make::Rust => {
                args.extend([format!("--shared-dir={folder}"), format!("--sandbox={sandbox}")]);
                args.extend(["--cache=never", "--announce-submounts", "--allow-direct-io"].map(str::to_owned));
            }
            Make::Qemu => {
                args.extend(["-o".to_owned(), format!("source={folder},sandbox={sandbox},cache=none,announce_submounts,allow_direct_io")]);
            }
        }
        args.extend(share.read_only.then(|| "--readonly".to_owned()));
        // It opens files by the descriptors that it has of them, which are in /proc.
        let (mut reads, mut writes) = (vec![PathBuf::from("/proc")], Vec::new());
        let reach = if share.read_only { &mut reads } else { &mut writes };
        reach.push(share.folder.clone());
        Ok(LaunchPlan { program: self.program.clone(), args, files: Vec::new(), devices: Vec::new(), stdout: None, reads, writes })
    }
}

impl Sandbox {
    /// The best that this process may set up.
    fn here() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
        Self::of(rustix::process::geteuid().is_root(), effective.unwrap_or_default())
    }

    fn of(root: bool, capabilities: u64) -> Self {
        match root {
            true if capabilities & SYS_ADMIN != 0 => Self::Namespace,
            true if capabilities & SYS_CHROOT != 0 => Self::Chroot,
            _ => Self::None,
        }
    }
}

fn located(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests;
