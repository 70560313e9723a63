//! Where a host on this machine keeps things: `vm console`, `vm logs`, `image`.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::vm::HostFolders;
use crate::cli::vm::RunFolders;
use crate::config;

/// As `host run` has it.
const STATE: &str = "/var/lib/flintlock";

/// The folder of a host's records, disks and images: as told, else as flintlockd's configuration says, else where hosts have it.
pub fn state(folders: &HostFolders) -> anyhow::Result<PathBuf> {
    chosen(folders.state_dir.as_deref(), "state-dir", || PathBuf::from(STATE))
}

/// The folder of VMMs' sockets and logs.
pub fn run(folders: &RunFolders) -> anyhow::Result<PathBuf> {
    let state = state(&folders.folders)?;
    // Whoever names the state folder means that host, whatever the configuration of another says.
    if folders.run_dir.is_none() && folders.folders.state_dir.is_some() {
        return Ok(state.join("run"));
    }
    chosen(folders.run_dir.as_deref(), "run-dir", || state.join("run"))
}

/// The same; where nothing is told, the one of these that has the microVM.
pub fn run_of(folders: &RunFolders, others: &[PathBuf], uid: &str) -> anyhow::Result<PathBuf> {
    let told = folders.run_dir.is_some() || folders.folders.state_dir.is_some();
    match others.iter().find(|other| !told && other.join(uid).is_dir()) {
        Some(other) => Ok(other.clone()),
        None => run(folders),
    }
}

fn chosen(flag: Option<&Path>, key: &str, default: impl FnOnce() -> PathBuf) -> anyhow::Result<PathBuf> {
    let path = match flag {
        Some(path) => path.to_owned(),
        None => {
            let (_, mut values) = config::flintlockd().context("cannot read flintlockd's configuration")?;
            values.remove(key).filter(|value| !value.is_empty()).map_or_else(default, PathBuf::from)
        }
    };
    std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display()))
}
