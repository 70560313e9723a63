//! Whether a driver works, found out by doing: it runs [`crate::guest::PROBE`].

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::driver::{Accel, Driver, DriverKind};
use crate::files;
use crate::guest;
use crate::logs;
use crate::spawn;
use crate::user::User;

/// How long a driver with KVM gets.
pub const KVM_DEADLINE: Duration = Duration::from_secs(2);
/// How long emulation gets, which takes 0.2 s of processor time, however long that is on a busy host.
pub const TCG_DEADLINE: Duration = Duration::from_secs(20);

/// What a probe found out.
#[derive(Debug)]
pub struct Probe {
    /// The driver.
    pub driver: DriverKind,
    /// What ran the guest.
    pub accel: Accel,
    /// How long the guest took, or why it did not run.
    pub result: Result<Duration, ProbeError>,
}

/// Why a driver does not work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The binary is not there, or does not start.
    #[error("{program} does not start")]
    Start {
        /// The binary.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The folder for it cannot be used.
    #[error("there is no place to probe in")]
    Files(#[from] io::Error),
    /// The guest did not come to its end.
    #[error("a guest of a few instructions did not end within {0:?}")]
    Hangs(Duration),
    /// The VMM ended before the guest had run.
    #[error("the guest did not run: {status}; {said}")]
    Ended {
        /// The exit code or signal.
        status: String,
        /// The VMM's last words.
        said: String,
    },
}

/// Probes a driver, within the deadline for its kind. The VMM is killed then; it is not waited for, since a broken `/dev/kvm` may hold it.
pub async fn probe(driver: &dyn Driver) -> Probe {
    probe_as(driver, None).await
}

/// As [`probe`], by this user. It takes root.
pub async fn probe_as(driver: &dyn Driver, user: Option<&User>) -> Probe {
    let deadline = match driver.accel() {
        Accel::Kvm => KVM_DEADLINE,
        Accel::Tcg => TCG_DEADLINE,
    };
    Probe { driver: driver.kind(), accel: driver.accel(), result: run(driver, deadline, user).await }
}

/// As [`probe`], with another deadline.
pub async fn probe_within(driver: &dyn Driver, deadline: Duration) -> Probe {
    Probe { driver: driver.kind(), accel: driver.accel(), result: run(driver, deadline, None).await }
}

async fn run(driver: &dyn Driver, deadline: Duration, user: Option<&User>) -> Result<Duration, ProbeError> {
    let scratch = tempfile::Builder::new().prefix("capstead-probe-").tempdir()?;
    let dir = scratch.path();
    let (kernel, serial, log) = (dir.join("guest"), dir.join("serial"), dir.join("log"));
    std::fs::write(&kernel, guest::elf(guest::PROBE))?;
    let plan = driver.probe(&kernel, &serial, dir);
    for (path, bytes) in &plan.files {
        std::fs::write(path, bytes)?;
    }
    if let Some(user) = user {
        let files = plan.files.iter().map(|(path, _)| path.as_path());
        files.chain([kernel.as_path()]).try_for_each(|path| files::give(path, user))?;
        std::os::unix::fs::lchown(dir, Some(user.uid), Some(user.gid))?;
    }
    let err = std::fs::File::create(&log)?;
    let out = match &plan.stdout {
        Some(path) => std::fs::File::create(path)?,
        None => err.try_clone()?,
    };
    let mut command = Command::from(spawn::command(&plan, &[], user));
    command.stdin(Stdio::null()).stdout(out).stderr(err).current_dir(dir).process_group(0).kill_on_drop(true);
    let start = Instant::now();
    let failed = |source| ProbeError::Start { program: plan.program.display().to_string(), source };
    let mut child = command.spawn().map_err(failed)?;
    let Ok(status) = tokio::time::timeout(deadline, child.wait()).await else { return Err(ProbeError::Hangs(deadline)) };
    let took = start.elapsed();
    let status = status.map_err(failed)?;
    if said_hello(&serial) {
        return Ok(took);
    }
    let status = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    Err(ProbeError::Ended { status, said: logs::tail(&log, 4).join(" / ") })
}

/// VMMs may write lines of their own to the same place.
fn said_hello(serial: &Path) -> bool {
    logs::tail(serial, 64).iter().any(|line| line.contains(guest::GREETING.trim_end()))
}

/// The best driver of those that work: the processor before emulation, then the order of [`DriverKind`].
#[must_use]
pub fn best(probes: &[Probe]) -> Option<&Probe> {
    probes.iter().filter(|probe| probe.result.is_ok()).min_by_key(|probe| (probe.accel, probe.driver))
}
