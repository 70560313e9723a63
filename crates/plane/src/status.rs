//! What a plane is doing: kept by the supervisor in `status.json`, checked against the kernel when it is read.

use std::fs;

use serde::Deserialize;
use serde::Serialize;

use crate::layout::Layout;
use crate::layout::LayoutError;
use crate::plane::Plane;
use crate::process;

/// The argument by which a supervisor's process is known: the command that is given to [`crate::operate::start_supervisor`] has it.
pub const SUPERVISE: &str = "supervise";

/// What a plane is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The plane's name.
    pub name: String,
    /// The supervisor.
    pub supervisor: Supervisor,
    /// Whether every component is ready and the supervisor is there.
    pub ready: bool,
    /// Its components, in order of need.
    pub components: Vec<ComponentStatus>,
}

/// The supervisor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Supervisor {
    /// Whether it lives.
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
}

/// What a component is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its binary came from: `path`, `oci`, `go`; with where it was found.
    pub source: String,
    /// Its process.
    pub pid: Option<u32>,
    /// What it is doing.
    pub state: State,
    /// Whether it is ready.
    pub ready: bool,
    /// Starts after the first, since the plane was brought up.
    pub restarts: u32,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// Its ports.
    pub ports: Vec<PortStatus>,
    /// What it waits for, or what is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Its last log lines, if it keeps ending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// What it is for.
    pub name: String,
    /// Its number.
    pub port: u16,
    /// `127.0.0.1`, or `*` where the component cannot be told to keep to loopback.
    pub address: String,
}

/// What a component is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It does not run and is not meant to.
    #[default]
    Stopped,
    /// It waits for another component, a port, or its backoff.
    Waiting,
    /// Its binary is being fetched.
    Fetching,
    /// Its objects are being installed.
    Installing,
    /// It runs and is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It keeps ending, or cannot start.
    Failing,
    /// It is being stopped.
    Stopping,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Fetching => "fetching",
            Self::Installing => "installing",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failing => "failing",
            Self::Stopping => "stopping",
        })
    }
}

impl Status {
    /// Reads what a plane is doing. What the file says of processes is checked: a supervisor that was killed cannot have said so.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(layout: &Layout, plane: &Plane) -> Result<Self, LayoutError> {
        let mut status = Self::written(layout).unwrap_or_else(|| Self::blank(plane));
        // Not by its lock: whoever only looks must not be in the way of one that starts.
        status.supervisor.running = status.supervisor.pid.is_some_and(|pid| process::alive(pid) && process::has_argument(pid, SUPERVISE));
        status.supervisor.memory_bytes = status.supervisor.pid.filter(|_| status.supervisor.running).and_then(process::resident_bytes);
        let processes = process::find(&plane.id);
        for component in &mut status.components {
            let found = processes.iter().find(|found| found.mark.component == component.name);
            let known = found.is_some_and(|found| Some(found.pid) == component.pid);
            component.pid = found.map(|found| found.pid);
            component.memory_bytes = component.pid.and_then(process::resident_bytes);
            if !known {
                component.ready = false;
                if !status.supervisor.running {
                    component.state = if component.pid.is_some() { State::Starting } else { State::Stopped };
                } else if component.state == State::Ready {
                    component.state = State::Starting;
                }
            }
        }
        status.ready = status.supervisor.running && status.components.iter().all(|component| component.ready);
        Ok(status)
    }

    /// What the supervisor wrote last; `None` if it is not readable, which only means that nothing is known yet.
    pub(crate) fn written(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.status_file()).ok()?).ok()
    }

    /// Restarts counted before, by component.
    pub(crate) fn restarts_before(layout: &Layout, component: &str) -> u32 {
        let written = Self::written(layout).unwrap_or_default();
        written.components.iter().find(|other| other.name == component).map_or(0, |component| component.restarts)
    }

    /// Nothing known yet.
    pub(crate) fn blank(plane: &Plane) -> Self {
        let component = |component: &crate::Component| ComponentStatus {
            name: component.name.clone(),
            version: component.binary.version.clone(),
            ports: plane.listeners(component).map(|(name, port, all)| port_status(name, port, all)).collect(),
            ..ComponentStatus::default()
        };
        Self { name: plane.name.clone(), components: plane.components.iter().map(component).collect(), ..Self::default() }
    }
}

fn port_status(name: &str, port: u16, all: bool) -> PortStatus {
    PortStatus { name: name.into(), port, address: if all { "*" } else { "127.0.0.1" }.into() }
}
