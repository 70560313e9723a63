//! The seam between the drivers: what one kind of VMM does in its own way. What is the same for all is in [`crate::Runner`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::folder::RunFolder;
use crate::machine::{CommandLineError, Machine};

/// The kinds of VMM, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// Firecracker.
    Firecracker,
    /// Cloud Hypervisor.
    CloudHypervisor,
    /// QEMU.
    Qemu,
}

impl DriverKind {
    /// The name in specs and records: flintlock's for the first two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firecracker => "firecracker",
            Self::CloudHypervisor => "cloudhypervisor",
            Self::Qemu => "qemu",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No driver has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no driver: there are firecracker, cloudhypervisor and qemu")]
pub struct DriverKindError(String);

impl FromStr for DriverKind {
    type Err = DriverKindError;

    fn from_str(text: &str) -> Result<Self, DriverKindError> {
        let all = [Self::Firecracker, Self::CloudHypervisor, Self::Qemu];
        all.into_iter().find(|kind| kind.name() == text).ok_or_else(|| DriverKindError(text.chars().take(80).collect()))
    }
}

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The processor, by `/dev/kvm`.
    Kvm,
    /// QEMU's software emulation, which works everywhere.
    Tcg,
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// How to start a VMM: what a pure function says, and the runner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPlan {
    /// The binary, a path or a name on the search path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Files to write before: path and content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Devices that the process gets opened, as descriptors from [`LaunchPlan::FIRST_FD`] on.
    pub devices: Vec<PathBuf>,
    /// Where standard output goes, if not to the VMM's log.
    pub stdout: Option<PathBuf>,
    /// What the process reads, beside the system's own files: for the sandbox.
    pub reads: Vec<PathBuf>,
    /// What the process writes, beside its run folder: for the sandbox.
    pub writes: Vec<PathBuf>,
}

impl LaunchPlan {
    /// The descriptor of the first of [`LaunchPlan::devices`].
    pub const FIRST_FD: usize = 3;
    /// Most [`LaunchPlan::devices`], because a POSIX shell opens them, and it takes descriptors of one digit.
    pub const MAX_DEVICES: usize = 7;
}

/// A machine cannot be put into the driver's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Its kernel parameters.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// A path that the VMM would misread.
    #[error("{0:?} cannot be named to the VMM: use a path of UTF-8 without comma, quote or control character")]
    Path(PathBuf),
    /// A label that the VMM would misread.
    #[error("`{0}` is no label for a device: it takes 1 to 32 ASCII letters, digits and underscores")]
    Label(String),
    /// Too many macvtap devices.
    #[error("{0} macvtap devices are wanted; {max} are the most", max = LaunchPlan::MAX_DEVICES)]
    Devices(usize),
    /// The driver has no way to do it; [`crate::check`] says so before.
    #[error("{0} is not supported by {1}")]
    Unsupported(&'static str, DriverKind),
}

/// What the VMM says about its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestState {
    /// The process lives and its control socket does not answer yet, or not at the moment.
    Unknown(String),
    /// It runs.
    Running,
    /// It stands still.
    Paused,
    /// Its kernel panicked, and it stands still. It does not come back by itself.
    Panicked,
    /// It has shut down and the process has not ended.
    Down,
}

impl fmt::Display for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "unknown ({why})"),
            Self::Running => f.write_str("running"),
            Self::Paused => f.write_str("paused"),
            Self::Panicked => f.write_str("panicked"),
            Self::Down => f.write_str("down"),
        }
    }
}

/// Something that happened to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// It was asked to shut down.
    PowerButton,
    /// It shuts down, and the process ends; with the VMM's word for the reason.
    Shutdown(String),
    /// It was reset, and comes up again.
    Reset(String),
    /// Its kernel panicked.
    Panicked,
    /// It stands still.
    Stopped,
    /// It runs again.
    Resumed,
    /// Something else, by the VMM's name for it.
    Other(String),
}

/// The VMM could not be asked or told something.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody answers on the socket.
    #[error("cannot reach the VMM at {path}")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the VMM ended the conversation during {during}")]
    Broken {
        /// The command.
        during: String,
        /// Why, where known.
        source: Option<std::io::Error>,
    },
    /// No answer in time.
    #[error("the VMM did not answer {during} within {limit:?}")]
    Timeout {
        /// The command.
        during: String,
        /// The limit.
        limit: std::time::Duration,
    },
    /// It answered something that makes no sense.
    #[error("the VMM's answer to {during} cannot be understood: {what}")]
    Garbled {
        /// The command.
        during: String,
        /// What was wrong with it.
        what: String,
    },
    /// It refused.
    #[error("the VMM refused {during}: {why}")]
    Refused {
        /// The command.
        during: String,
        /// Its own words.
        why: String,
    },
    /// The driver cannot do that.
    #[error("{0} has no {1}")]
    Unsupported(DriverKind, &'static str),
}

/// A kind of VMM. Plans are pure; the rest talks to the control socket of a process that runs.
pub trait Driver: fmt::Debug + Send + Sync {
    /// Which one.
    fn kind(&self) -> DriverKind;

    /// What runs the guest's instructions.
    fn accel(&self) -> Accel;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// How to start it for a machine that it can run. The driver's own kernel parameters come first, and give way to the machine's of the same name.
    ///
    /// # Errors
    /// The machine cannot be put into the VMM's words.
    fn plan(&self, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError>;

    /// How to start it with the bare guest in `kernel`, whose serial output goes to the file `serial`; nothing else is written but in `dir`.
    fn probe(&self, kernel: &Path, serial: &Path, dir: &Path) -> LaunchPlan;

    /// How the guest is.
    fn guest<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<GuestState, ControlError>>;

    /// Presses the guest's power button (or what it has in place of one). That the guest obeys is not promised.
    fn press_power<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>>;

    /// Tells the VMM to end in order, without the guest's doing.
    fn quit<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>>;

    /// What happens to the guest from now on, until the VMM ends; for one listener at a time.
    fn events<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<BoxStream<'static, GuestEvent>, ControlError>> {
        let _ = folder;
        let kind = self.kind();
        Box::pin(async move { Err(ControlError::Unsupported(kind, "events")) })
    }
}

/// A path as a VMM's option takes it.
///
/// # Errors
/// It holds what options are split at, or is no UTF-8.
pub(crate) fn plain_path(path: &Path) -> Result<&str, PlanError> {
    let plain = path.to_str().filter(|text| !text.is_empty() && !text.contains(|c: char| matches!(c, ',' | '"' | '\'') || c.is_control()));
    plain.ok_or_else(|| PlanError::Path(path.to_owned()))
}

/// A label as VMMs take it.
///
/// # Errors
/// It holds something else.
pub(crate) fn plain_label(label: &str) -> Result<&str, PlanError> {
    let plain = (1..=32).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { Ok(label) } else { Err(PlanError::Label(label.chars().take(80).collect())) }
}

/// The files of a network interface that a sandboxed VMM must reach: for sockets, their folders, since a socket is made in one.
pub(crate) fn nic_files(host: &crate::machine::HostNic) -> Vec<PathBuf> {
    use crate::machine::HostNic;
    let folder = |path: &PathBuf| path.parent().map(Path::to_owned);
    match host {
        HostNic::Tap(_) | HostNic::User(_) => Vec::new(),
        HostNic::Macvtap(device) => vec![device.clone()],
        HostNic::Stream(path) => folder(path).into_iter().collect(),
        HostNic::Dgram { local, remote } => [local, remote].into_iter().filter_map(folder).collect(),
    }
}
