//! Cloud Hypervisor, which needs KVM. Checked against its API definition 0.3.0 (`vmm/src/api/openapi/cloud-hypervisor.yaml`) and argument parser at
//! ae44c29; tested against a fake that takes nothing else.

mod args;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use hyper::Method;
use serde_json::Value;

use crate::capability::Capabilities;
use crate::driver::{Accel, ControlError, Driver, DriverKind, GuestState, LaunchPlan, PlanError};
use crate::folder::RunFolder;
use crate::http;
use crate::machine::Machine;

/// The Cloud Hypervisor driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudHypervisor {
    /// The binary, `cloud-hypervisor` or `cloud-hypervisor-static`.
    pub program: PathBuf,
}

impl CloudHypervisor {
    /// The driver with this binary.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

async fn put(folder: &RunFolder, path: &str) -> Result<(), ControlError> {
    http::call(&folder.control(), Method::PUT, path, None).await.map(drop)
}

impl Driver for CloudHypervisor {
    fn kind(&self) -> DriverKind {
        DriverKind::CloudHypervisor
    }

    fn accel(&self) -> Accel {
        Accel::Kvm
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            vcpus: 1..=255,
            memory_mib: 64..=1_048_576,
            // 32 slots of one PCI segment, less the bridge's, the random number generator's, vsock's, and some to spare.
            devices: 26,
            initrd: true,
            qcow2: true,
            tap: true,
            macvtap: true,
            user_network: false,
            socket_network: false,
            mtu: true,
            virtiofs: true,
            vsock: true,
            metadata_service: false,
            // Its serial port goes to a file or to a socket, not to both; the file keeps what was said before anyone listened.
            console: false,
            reboot: true,
        }
    }

    fn plan(&self, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
        args::plan(&self.program, machine, folder)
    }

    fn probe(&self, kernel: &Path, serial: &Path, dir: &Path) -> LaunchPlan {
        args::probe(&self.program, kernel, serial, dir)
    }

    fn guest<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<GuestState, ControlError>> {
        Box::pin(async {
            let answer = http::call(&folder.control(), Method::GET, "/api/v1/vm.info", None).await?;
            Ok(match answer.get("state").and_then(Value::as_str) {
                Some("Running") => GuestState::Running,
                Some("Paused" | "BreakPoint") => GuestState::Paused,
                Some("Shutdown") => GuestState::Down,
                other => GuestState::Unknown(format!("Cloud Hypervisor says {}", other.unwrap_or("nothing"))),
            })
        })
    }

    fn press_power<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        Box::pin(async { put(folder, "/api/v1/vm.power-button").await })
    }

    /// Shuts the machine down, so that its disks are written, and then the VMM.
    fn quit<'a>(&'a self, folder: &'a RunFolder) -> BoxFuture<'a, Result<(), ControlError>> {
        Box::pin(async {
            match put(folder, "/api/v1/vm.shutdown").await {
                // It is down already, or was never up.
                Ok(()) | Err(ControlError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
            match put(folder, "/api/v1/vmm.shutdown").await {
                // It may end before it has answered.
                Ok(()) | Err(ControlError::Broken { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

#[cfg(test)]
mod tests;
