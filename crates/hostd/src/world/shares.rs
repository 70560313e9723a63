//! Folders of the host that a guest mounts: which they are, and whether they may be shared.

use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use capstead_flintlock::rules::is_virtiofs;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::Volume;
use capstead_vmm::Runner;
use capstead_vmm::Share;

use crate::host::chain;
use crate::world::HostOptions;

#[cfg(test)]
mod tests;

/// What guests mount it by: flintlock's one name, as a microVM has one share at most.
const TAG: &str = "user";

/// The volumes that are folders, with their places among the additional ones.
pub(super) fn volumes(spec: &MicroVmSpec) -> impl Iterator<Item = (usize, &Volume)> {
    spec.additional_volumes.iter().enumerate().filter(|(_, volume)| is_virtiofs(volume))
}

/// What a microVM shares, by the folders' real paths: a symbolic link in an allowed folder leads to no other.
pub(super) fn shares(spec: &MicroVmSpec, options: &HostOptions) -> Result<Vec<Share>, String> {
    let share = |(n, volume): (usize, &Volume)| -> Result<Share, String> {
        let source = volume.source.as_ref().and_then(|source| source.virtiofs_source.as_deref()).unwrap_or_default();
        let folder = allowed(Path::new(source), &options.shared_folders).map_err(|cause| format!("{}: {cause}", field(n)))?;
        Ok(Share { tag: TAG.to_owned(), folder, read_only: volume.is_read_only })
    };
    volumes(spec).map(share).collect()
}

/// What cannot be served on this host, one entry each.
pub(super) fn unservable(spec: &MicroVmSpec, shares: &[Share], runner: &Runner) -> Vec<String> {
    let all = volumes(spec).zip(shares);
    all.filter_map(|((n, _), share)| Some(format!("{}: {}", field(n), chain(&runner.can_serve(share).err()?)))).collect()
}

fn field(n: usize) -> String {
    format!("additional_volumes[{n}].source.virtiofs_source")
}

fn allowed(source: &Path, folders: &[PathBuf]) -> Result<PathBuf, String> {
    let shown = source.display();
    if !source.is_absolute() || source.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{source:?} is no absolute path without '..'"));
    }
    if folders.is_empty() {
        return Err(format!("{shown}: this host shares none of its folders; it would with --virtiofs-allow"));
    }
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let elsewhere = || format!("{shown}: this host shares only folders below {}; --virtiofs-allow names more", names.join(", "));
    let real = match fs::canonicalize(source) {
        Ok(real) => real,
        // Whether there is something elsewhere is nobody's business.
        Err(_) if !folders.iter().any(|folder| source.starts_with(folder)) => return Err(elsewhere()),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    if !folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).any(|folder| real.starts_with(folder)) {
        return Err(elsewhere());
    }
    if real.is_dir() { Ok(real) } else { Err(format!("{shown}: is no folder")) }
}
