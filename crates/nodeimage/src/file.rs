//! The file that says what is in an image. Written in YAML; all of it is plain data.

use std::collections::BTreeMap;

use capstead_artifact::{Artifact, GoSource, ImageSource, Probe};
use serde::{Deserialize, Serialize};

mod check;
mod load;
mod merge;
#[cfg(test)]
mod tests;

pub use check::Problem;
pub use load::{Loaded, ReadError, Values, load};

/// What is in an image, and where each part comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImageFile {
    /// The file this one builds upon: a built-in one by its name, or a path relative to this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Values for `${NAME}` in every text of the file.
    pub variables: BTreeMap<String, String>,
    /// What everything else is put upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Debian packages, as apt names them: `socat`, or `socat=1.7.4.4-2` for exactly that one.
    pub packages: Vec<String>,
    /// The kernel whose modules are in the image. The kernel itself comes from an image of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelModules>,
    /// Sets of Go modules of the user's, by name: folders with `go.mod` and `go.sum`, relative to the file.
    pub modules: BTreeMap<String, String>,
    /// Programs that are no Debian packages.
    pub binaries: Vec<Binary>,
    /// Folders that are there even if nothing is in them.
    pub folders: Vec<String>,
    /// Files to put there.
    pub files: Vec<FileEntry>,
    /// Symbolic links to put there.
    pub links: Vec<Link>,
    /// Paths to take away, with all that is below.
    pub remove: Vec<String>,
    /// What systemd does with its units.
    pub units: Units,
    /// Container images that are there before anything is pulled.
    pub images: Vec<ContainerImage>,
    /// How they get there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<Preload>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// No file is newer than this: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// What everything else is put upon: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Base {
    /// Debian, made from its packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debian: Option<Debian>,
    /// An image, by its reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Debian, made by mmdebstrap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Debian {
    /// The release, such as `bookworm`.
    pub suite: String,
    /// Where its packages are: URLs or lines of `sources.list`. Without any, what mmdebstrap takes by itself.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// Which packages are there without being asked for: mmdebstrap's `--variant`.
    #[serde(default = "minbase")]
    pub variant: String,
    /// Paths of packages that are left out, such as `/usr/share/doc/*`.
    #[serde(default)]
    pub exclude: Vec<String>,
}

fn minbase() -> String {
    "minbase".to_owned()
}

/// A kernel's modules and configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelModules {
    /// Debian's package of the kernel, or the one that always depends on the newest, such as `linux-image-cloud-amd64`.
    pub package: String,
    /// Folders below `kernel/` that are left out, such as `drivers/gpu`.
    #[serde(default)]
    pub drop: Vec<String>,
}

/// A program, and every way to get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binary {
    /// Its name.
    pub name: String,
    /// Its version, as its project writes it.
    pub version: String,
    /// Where it is in the image. Without it, it is only there for container images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How it tells its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// The OCI image that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
    /// The Go package that builds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<GoSource>,
}

impl Binary {
    /// As it is fetched.
    #[must_use]
    pub fn artifact(&self) -> Artifact {
        Artifact {
            name: self.name.clone(),
            version: self.version.clone(),
            probe: self.probe.clone(),
            itself: false,
            image: self.image.clone(),
            go: self.go.clone(),
        }
    }
}

/// A file to put there: one of `content` and `source`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Where it is in the image.
    pub path: String,
    /// Its permissions in octal digits.
    #[serde(default = "plain_mode")]
    pub mode: String,
    /// Its owner and group, in numbers.
    #[serde(default = "root_owner")]
    pub owner: String,
    /// What is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The file of this machine that is copied, relative to the file this is written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

fn plain_mode() -> String {
    "0644".to_owned()
}

fn root_owner() -> String {
    "0:0".to_owned()
}

impl FileEntry {
    /// Its permissions. Zero where they cannot be read, which the rules refuse.
    #[must_use]
    pub fn mode_bits(&self) -> u32 {
        check::mode(&self.mode).unwrap_or_default()
    }

    /// Its owner and group. Root where they cannot be read, which the rules refuse.
    #[must_use]
    pub fn owner_ids(&self) -> (u32, u32) {
        check::owner(&self.owner).unwrap_or_default()
    }
}

/// A symbolic link to put there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Where it is.
    pub path: String,
    /// Where it leads.
    pub target: String,
}

/// What systemd does with its units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Units {
    /// Started where their `[Install]` section says.
    pub enable: Vec<String>,
    /// Not started by themselves.
    pub disable: Vec<String>,
    /// Never started.
    pub mask: Vec<String>,
}

/// A container image that is made from files, of one layer and without a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerImage {
    /// What it is known by: references in full, with their tags.
    pub names: Vec<String>,
    /// What is in it.
    pub files: Vec<ImagePart>,
    /// What is run.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its environment, as `NAME=value`.
    #[serde(default)]
    pub environment: Vec<String>,
    /// The user it is run as.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

/// A part of a container image: one of `binary`, `root` and `content`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePart {
    /// A program from `binaries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// A file or folder of the base, with the links that lead to it and the shared libraries it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The text of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where it is in the container image. A part of the base is where it was, unless it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How container images get into a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preload {
    /// In containerd's store, imported when the image is built. Nothing is left to do at boot; but the store holds times, so
    /// its layer is another each time it is made anew.
    #[default]
    Store,
    /// As archives, which the first boot imports. The same inputs give the same digest.
    Archives,
}
