//! QEMU's `microvm` machine, by KVM or by software emulation (TCG).

mod args;
mod clock;
mod qmp;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Value, json};

pub use clock::tsc_khz;
pub use qmp::Qmp;

use crate::capability::Capabilities;
use crate::driver::{Accel, ControlError, Driver, DriverKind, GuestEvent, GuestState, LaunchPlan, PlanError};
use crate::folder::RunFolder;
use crate::machine::Machine;

/// How long a command may take. QEMU answers at once, but for a host that is short of processor time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The QEMU driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    /// The binary, `qemu-system-x86_64` (7.2 or newer).
    pub program: PathBuf,
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// Frequency of the host's time-stamp counter in kHz, which a guest under TCG sees as its own. Without it, such a guest measures it
    /// itself, and on a busy host hangs at that.
    pub tsc_khz: Option<u32>,
    /// QEMU's own system call filter.
    pub seccomp: bool,
}

impl Qemu {
    /// The driver for this host. For TCG, it measures the time-stamp counter, which takes 0.1 s, once.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, accel: Accel) -> Self {
        let tsc_khz = if accel == Accel::Tcg { tsc_khz() } else { None };
        Self { program: program.into(), accel, tsc_khz, seccomp: true }
    }

    async fn ask(&self, folder: &RunFolder, command: &str) -> Result<Value, ControlError> {
        let mut qmp = Qmp::connect(&folder.control(), PATIENCE).await?;
        qmp.execute(command, None).await
    }
}

impl Driver for Qemu {
    fn kind(&self) -> DriverKind {
        DriverKind::Qemu
    }

    fn accel(&self) -> Accel {
        self.accel
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            vcpus: 1..=64,
            memory_mib: 16..=1_048_576,
            // microvm has 24 virtio-mmio slots; one is the random number generator's.
            devices: 23,
            initrd: true,
            qcow2: true,
            tap: true,
            macvtap: true,
            user_network: true,
            socket_network: true,
            mtu: true,
            virtiofs: true,
            // microvm has a vhost device for it, which wants the host kernel's vsock; it is not wired up.
            vsock: false,
            metadata_service: false,
            console: true,
            reboot: true,
        }
    }

    fn plan(&self, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
        args::plan(self, machine, folder)
    }

    fn probe(&self, kernel: &Path, serial: &Path, _: &Path) -> LaunchPlan {
        args::probe(self, kernel, serial)
    }

    fn guest<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<GuestState, ControlError>> {
        Box::pin(async {
            let answer = self.ask(folder, "query-status").await?;
            state(&answer)
                .ok_or_else(|| ControlError::Garbled { during: "query-status".to_owned(), what: "it has no known status".to_owned() })
        })
    }

    fn press_power<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        Box::pin(async { self.ask(folder, "system_powerdown").await.map(drop) })
    }

    fn quit<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        Box::pin(async { self.ask(folder, "quit").await.map(drop) })
    }

    fn events<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<BoxStream<'static, GuestEvent>, ControlError>> {
        Box::pin(async {
            let qmp = Qmp::connect(&folder.events(), PATIENCE).await?;
            let events = stream::unfold(qmp, |mut qmp| async move { qmp.event().await.ok().map(|event| (event, qmp)) });
            Ok(events.map(|(name, data)| event(&name, &data)).boxed())
        })
    }
}

/// The answer to `query-status`. See `RunState` in QEMU's QAPI schema (7.2 to 10).
fn state(answer: &Value) -> Option<GuestState> {
    Some(match answer.get("status")?.as_str()? {
        "running" => GuestState::Running,
        "guest-panicked" => GuestState::Panicked,
        "shutdown" => GuestState::Down,
        "internal-error" | "io-error" | "watchdog" | "paused" | "suspended" | "prelaunch" | "debug" => GuestState::Paused,
        other => GuestState::Unknown(format!("QEMU says {other}")),
    })
}

/// What an event means. See `run-state.json` in QEMU's QAPI schema.
fn event(name: &str, data: &Value) -> GuestEvent {
    let reason = || data.get("reason").and_then(Value::as_str).unwrap_or("no reason told").to_owned();
    match name {
        "POWERDOWN" => GuestEvent::PowerButton,
        "SHUTDOWN" => GuestEvent::Shutdown(reason()),
        "RESET" => GuestEvent::Reset(reason()),
        "GUEST_PANICKED" => GuestEvent::Panicked,
        "STOP" => GuestEvent::Stopped,
        "RESUME" => GuestEvent::Resumed,
        other => GuestEvent::Other(other.to_owned()),
    }
}

/// The request that a command is.
fn request(id: u64, command: &str, arguments: Option<Value>) -> Value {
    match arguments {
        Some(arguments) => json!({"execute": command, "id": id, "arguments": arguments}),
        None => json!({"execute": command, "id": id}),
    }
}

#[cfg(test)]
mod tests;
