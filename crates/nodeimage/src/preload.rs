//! Container images in a node: in containerd's store already, or as archives that the first boot takes in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use capstead_artifact::Platform;
use thiserror::Error;
use tokio::process::Command;

use crate::command::{self, CommandError};
use crate::layer::{Content, Entry, Kind, Layer};
use crate::root::{Root, RootError};

/// Where archives wait for the first boot.
const ARCHIVES: &str = "var/lib/capstead/images";
/// Runs where the user is root, by nature or in a namespace.
const STORE: &str = include_str!("preload/store.sh");
/// Takes archives in at the first boot.
const UNIT: &str = include_str!("preload/capstead-preload.service");
const IMPORT: &str = include_str!("preload/import.sh");

/// Why container images cannot be put into a node.
#[derive(Debug, Error)]
pub enum PreloadError {
    /// containerd did not take them.
    #[error("containerd cannot take the images in (with `preload: archives` the first boot does it instead)")]
    Command(#[from] CommandError),
    /// Another platform's containerd.
    #[error(
        "containerd for {platform} cannot be run here to take the images in: write `preload: archives`, with which the first boot does it"
    )]
    Foreign {
        /// What the image is for.
        platform: Platform,
    },
    /// Its store cannot be read.
    #[error("containerd's store cannot be read")]
    Root(#[from] RootError),
    /// A file cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An archive, and what its image is known by in the node.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    pub(crate) names: Vec<String>,
}

/// A layer with the archives, and what takes them in.
pub(crate) fn archives(archives: &[Archive]) -> Layer {
    let mut layer = Layer::default();
    let mut names = Vec::new();
    for (number, archive) in archives.iter().enumerate() {
        layer.put(&format!("{ARCHIVES}/{number:03}.tar"), Entry::new(Kind::File(Content::Path(archive.path.clone())), 0o644));
        names.extend(archive.names.iter().map(String::as_str));
    }
    layer.put(&format!("{ARCHIVES}/names"), Entry::bytes(names.join("\n") + "\n", 0o644));
    layer.put("usr/lib/capstead/import", Entry::bytes(IMPORT, 0o755));
    layer.put("etc/systemd/system/capstead-preload.service", Entry::bytes(UNIT, 0o644));
    layer.put(
        "etc/systemd/system/multi-user.target.wants/capstead-preload.service",
        Entry::link("/etc/systemd/system/capstead-preload.service"),
    );
    layer
}

/// A layer with containerd's store: containerd is run here, on a folder of its own, and takes the archives in.
pub(crate) async fn store(archives: &[Archive], containerd: &Path, ctr: &Path, work: &Path) -> Result<Layer, PreloadError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PreloadError::Io { path, source }
    };
    let script = work.join("store.sh");
    fs::write(&script, STORE).map_err(at(&script))?;
    let list = work.join("archives");
    let mut lines = String::new();
    for (number, archive) in archives.iter().enumerate() {
        // Under names that hold nothing a shell would split.
        let link = work.join(format!("{number:03}.tar"));
        std::os::unix::fs::symlink(&archive.path, &link).map_err(at(&link))?;
        lines.push_str(&format!("{number:03}.tar {}\n", archive.names.join(" ")));
    }
    fs::write(&list, lines).map_err(at(&list))?;
    let tar = work.join("store.tar");
    let output = fs::File::create(&tar).map_err(at(&tar))?;
    let mut command = Command::new("unshare");
    // Without root: one user more than our own is needed for what belongs to others, and mounts must not be seen outside.
    if rustix::process::geteuid().is_root() {
        command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    } else {
        command.args(["--map-root-user", "--map-auto", "--mount", "--pid", "--fork", "--kill-child"]);
    }
    command.arg("sh").arg(&script).arg(work).arg(containerd).arg(ctr).stdin(Stdio::null()).stdout(output);
    command::run("unshare", "it is in the package util-linux", command).await?;
    let root = Root::read(&[tar], work)?;
    let mut layer = root.layer(|_| false);
    for folder in ["var", "var/lib"] {
        // The node's own.
        layer.forget(folder);
    }
    Ok(layer)
}
