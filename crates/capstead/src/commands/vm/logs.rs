//! `vm logs`, and where a microVM on this machine has its run folder.

use std::io::ErrorKind;

use anyhow::Context;
use anyhow::bail;
use capstead_vmm::RunFolder;
use capstead_vmm::Uid;

use super::access;
use super::find;
use super::name;
use super::state;
use super::uid;
use crate::cli::vm::HostArgs;
use crate::cli::vm::RunFolders;
use crate::cli::vm::Target;
use crate::cli::vm::VmLogs;
use crate::commands::folders;
use crate::commands::follow;

/// A microVM of this machine.
pub struct Here {
    /// Its run folder.
    pub folder: RunFolder,
    /// As people call it.
    pub name: String,
    /// What runs it, if its host was asked.
    pub driver: Option<String>,
}

/// Shows what a microVM has written.
pub async fn run(args: &VmLogs) -> anyhow::Result<()> {
    let here = here(&args.target, &args.folders, &args.host).await?;
    let log = if args.vmm { here.folder.vmm_log() } else { here.folder.serial_log() };
    let last = args.tail.map(|lines| capstead_vmm::tail(&log, lines));
    follow::show(&log, last, args.follow, || here.folder.dir().exists())
}

/// Finds a microVM's run folder. Its host is asked only if it is not named by its uid.
pub async fn here(target: &Target, folders: &RunFolders, host: &HostArgs) -> anyhow::Result<Here> {
    let root = folders::run(folders)?;
    let named = &target.microvm;
    let folder = |uid: &str| -> anyhow::Result<RunFolder> {
        let uid: Uid = uid.parse().with_context(|| format!("{uid:?} cannot be a folder's name"))?;
        Ok(RunFolder::new(&root, &uid)?)
    };
    if find::is_uid(named) {
        let folder = folder(named)?;
        if folder.dir().exists() {
            return Ok(Here { folder, name: named.clone(), driver: None });
        }
    }
    let microvm = find::one(&access::client(host)?, named, target.namespace.as_deref()).await?;
    let folder = folder(uid(&microvm))?;
    let name = name(&microvm);
    match std::fs::metadata(folder.dir()) {
        Ok(_) => (),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("{} is not for you to see: run this as the user that runs the host, as with sudo", root.display())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let state = state(&microvm).map_or("in no known state", |state| state.as_str_name());
            bail!(
                "microVM {name} has no folder in {}: it was not started yet (it is {state}), or its host, {}, runs on another machine or keeps its \
                 folders elsewhere; this works on the host's own machine, with its --state-dir or --run-dir",
                root.display(),
                host.host
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", folder.dir().display())),
    }
    let driver = microvm.spec.and_then(|spec| spec.provider).filter(|driver| !driver.is_empty());
    Ok(Here { folder, name, driver })
}
