//! Debian root file systems, by mmdebstrap: without root where the system has user namespaces for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::command::{self, CommandError};
use crate::file::{Debian, KernelModules};
use crate::layer::Layer;
use crate::root::Root;

#[cfg(test)]
mod tests;

/// Takes packages apart, in mmdebstrap's hook.
pub(crate) const UNPACK: &str = include_str!("debian/unpack.sh");

/// What mmdebstrap is asked to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) debian: &'a Debian,
    pub(crate) packages: &'a [String],
    pub(crate) kernel: Option<&'a KernelModules>,
    /// Debian's name of the architecture, which is Go's for all we build for.
    pub(crate) architecture: &'a str,
}

impl Wanted<'_> {
    /// The arguments: the archive goes to standard output.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--quiet".to_owned(),
            "--format=tar".to_owned(),
            format!("--variant={}", self.debian.variant),
            format!("--architectures={}", self.architecture),
            "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        ];
        if !self.packages.is_empty() {
            arguments.push(format!("--include={}", self.packages.join(",")));
        }
        arguments.extend(self.debian.exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
        if let Some(kernel) = self.kernel {
            arguments.push(format!("--customize-hook={}", hook("modules", &[&kernel.package], &kernel.drop)));
        }
        arguments.push(self.debian.suite.clone());
        arguments.push("-".to_owned());
        arguments.extend(self.debian.mirrors.iter().cloned());
        arguments
    }
}

/// The arguments that bring packages' files and nothing else: they are taken apart, and installed nowhere.
pub(crate) fn parts(suite: &str, mirrors: &[String], architecture: &str, packages: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--format=tar".to_owned(),
        "--variant=custom".to_owned(),
        format!("--architectures={architecture}"),
        format!("--customize-hook={}", hook("parts", packages, &[])),
        suite.to_owned(),
        "-".to_owned(),
    ];
    arguments.extend(mirrors.iter().cloned());
    arguments
}

/// The script with its arguments, as one text: a file of ours could not be read by the users that mmdebstrap becomes.
fn hook(what: &str, packages: &[&str], drop: &[String]) -> String {
    // The rules of the file leave no character here that means something to a shell.
    format!("set -- \"$1\" {what} '{}' '{}'\n{UNPACK}", packages.join(" "), drop.join(" "))
}

/// What makes it.
const PROGRAM: &str = "mmdebstrap";
const HINT: &str = "install the package mmdebstrap, and uidmap to do without root";

/// Refuses where mmdebstrap is not there: it should be known before much time is spent on what comes first.
pub(crate) fn installed() -> Result<(), CommandError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file()) {
        return Ok(());
    }
    Err(CommandError::NotInstalled { program: PROGRAM.to_owned(), hint: HINT })
}

/// Runs mmdebstrap, and keeps what it makes in a file.
pub(crate) async fn run(arguments: &[String], to: &Path, epoch: u64) -> Result<(), CommandError> {
    let file = std::fs::File::create(to).map_err(|source| CommandError::Io { path: to.to_path_buf(), source })?;
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("SOURCE_DATE_EPOCH", epoch.to_string()).stdin(Stdio::null()).stdout(file);
    command::run(PROGRAM, HINT, command).await
}

/// What differs from one run to the next, or belongs to a machine and not to an image.
const PASSING: [&str; 12] = [
    "etc/hostname",
    "etc/resolv.conf",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/lib/systemd/catalog/database",
    "var/lib/systemd/random-seed",
    "var/lib/dpkg/lock",
    "etc/.pwd.lock",
];
/// Folders that stay, but empty.
const EMPTIED: [&str; 4] = ["run/", "tmp/", "var/cache/apt/", "var/lib/apt/lists/"];
/// Folders below it stay, and its logs do not.
const LOGS: &str = "var/log/";

/// Whether a path of a new root file system is left out of the image.
pub(crate) fn is_passing(path: &str) -> bool {
    let key = path.strip_prefix("etc/ssh/").is_some_and(|name| name.starts_with("ssh_host_"));
    let log = path.strip_prefix(LOGS).is_some_and(|name| name.ends_with(".log") || name.contains(".log."));
    key || log || PASSING.contains(&path) || EMPTIED.iter().any(|folder| path.starts_with(folder))
}

/// The archive mmdebstrap made, as one layer that says the same however often it is made.
pub(crate) fn layer(archive: PathBuf, work: &Path) -> Result<Layer, crate::root::RootError> {
    let root = Root::read(&[archive], work)?;
    let mut layer = root.layer(is_passing);
    // systemd writes it at the first boot; empty means that there is none yet.
    layer.put("etc/machine-id", crate::layer::Entry::bytes([], 0o444));
    Ok(layer)
}
