//! Firecracker, which needs KVM. Checked against its API definition 1.17.0-dev (`src/firecracker/swagger/firecracker.yaml`) and argument parser at
//! 81b38b9; tested against a fake that takes nothing else.

mod config;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capabilities;
use crate::driver::{Accel, ControlError, Driver, DriverKind, GuestState, LaunchPlan, PlanError};
use crate::folder::RunFolder;
use crate::http;
use crate::machine::Machine;

/// The Firecracker driver. It gives the machine by a configuration file, so that it boots at once, and keeps the API socket for what comes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firecracker {
    /// The binary, `firecracker` (1.12 or newer for the probe, 1.0 or newer for the rest; an MTU takes 1.17).
    pub program: PathBuf,
}

impl Firecracker {
    /// The driver with this binary.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl Driver for Firecracker {
    fn kind(&self) -> DriverKind {
        DriverKind::Firecracker
    }

    fn accel(&self) -> Accel {
        Accel::Kvm
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            vcpus: 1..=32,
            memory_mib: 16..=1_048_576,
            // Interrupt lines 5 to 23, less one for the serial port, vsock and entropy each.
            devices: 16,
            initrd: true,
            qcow2: false,
            tap: true,
            macvtap: false,
            user_network: false,
            socket_network: false,
            mtu: true,
            virtiofs: false,
            vsock: true,
            metadata_service: true,
            // The serial console is its standard input and output, and those go to files.
            console: false,
            // It ends when the guest reboots, and does not tell that from a shutdown.
            reboot: false,
        }
    }

    fn plan(&self, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
        config::plan(&self.program, machine, folder)
    }

    fn probe(&self, kernel: &Path, serial: &Path, dir: &Path) -> LaunchPlan {
        config::probe(&self.program, kernel, serial, dir)
    }

    fn guest<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<GuestState, ControlError>> {
        Box::pin(async {
            let answer = http::call(&folder.control(), Method::GET, "/", None).await?;
            Ok(match answer.get("state").and_then(Value::as_str) {
                Some("Running") => GuestState::Running,
                Some("Paused") => GuestState::Paused,
                other => GuestState::Unknown(format!("Firecracker says {}", other.unwrap_or("nothing"))),
            })
        })
    }

    /// Firecracker has no power button: Ctrl-Alt-Del reboots a guest that obeys it, and a reboot ends Firecracker.
    fn press_power<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        let action = json!({"action_type": "SendCtrlAltDel"});
        Box::pin(async move { http::call(&folder.control(), Method::PUT, "/actions", Some(action)).await.map(drop) })
    }

    /// Firecracker has no such command; SIGTERM is as good, since it keeps no state that wants to be written.
    fn quit<'a>(&'a self, _: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        Box::pin(async { Err(ControlError::Unsupported(DriverKind::Firecracker, "command to end")) })
    }
}

#[cfg(test)]
mod tests;
