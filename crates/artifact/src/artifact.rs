//! What is wanted ([`Artifact`]), where it may come from ([`Source`]) and where it did come from ([`Origin`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// One wanted file and every way to get it. Written in the YAML of a component, so all of it is plain data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    /// The file's name, for example `kube-apiserver`: one path component.
    pub name: String,
    /// The wanted version as its project writes it, for example `v1.36.3`.
    pub version: String,
    /// How a binary tells its version. Without it nothing is taken from the search path, and nothing is checked elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// It is the running program itself, which is taken from nowhere else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub itself: bool,
    /// The OCI image that holds the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
    /// The Go package that builds the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<GoSource>,
}

/// How a binary tells its version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// The arguments to run it with, for example `["--version"]`.
    pub args: Vec<String>,
    /// Text the output must contain. `{version}` and `{bareVersion}` (without a leading `v`) are expanded. A version that goes on
    /// at either end (`v1.36.30` for `v1.36.3`) does not count.
    pub pattern: String,
}

/// A file in an OCI image. `{version}` and `{bareVersion}` are expanded in both fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSource {
    /// The image, for example `registry.k8s.io/kube-apiserver:{version}`, or with `@sha256:...` to pin its content.
    pub reference: String,
    /// The file's path in the image, for example `/usr/local/bin/kube-apiserver`. Links in the image are followed.
    pub file: String,
}

/// A Go main package in a pinned set of modules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoSource {
    /// The name of the pinned module set ([`GoModules`](crate::GoModules)).
    pub module: String,
    /// The main package's import path, for example `k8s.io/kubernetes/cmd/kube-apiserver`.
    pub package: String,
    /// `go build -ldflags`. `{version}` and `{bareVersion}` are expanded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ldflags: String,
    /// Some of it is C, which is linked in statically: gcc and libc's static library are needed, and nothing is built for another platform.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cgo: bool,
}

/// An [`Artifact`] that cannot be used as written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArtifactError {
    /// The name becomes a file name, so it must be exactly one path component.
    #[error("`{name}` is not a file name")]
    Name {
        /// The name as written.
        name: String,
    },
    /// The version is what everything else is checked against.
    #[error("artifact `{name}` has no version")]
    Version {
        /// The artifact.
        name: String,
    },
}

impl Artifact {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// When the name is not one path component, or the version is empty.
    pub fn validate(&self) -> Result<(), ArtifactError> {
        if matches!(self.name.as_str(), "" | "." | "..") || self.name.contains(['/', '\0']) {
            return Err(ArtifactError::Name { name: self.name.clone() });
        }
        if self.version.is_empty() {
            return Err(ArtifactError::Version { name: self.name.clone() });
        }
        Ok(())
    }

    /// Expands `{version}` and `{bareVersion}` in a text.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let bare = self.version.strip_prefix('v').unwrap_or(&self.version);
        text.replace("{version}", &self.version).replace("{bareVersion}", bare)
    }
}

/// Where an artifact may come from: the CLI's `--source`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The given folder, the search path, the cache, the OCI image, the Go build, in this order.
    #[default]
    Auto,
    /// Only the given folder and the search path.
    Path,
    /// The cache of what came from this OCI image, else the image.
    Oci,
    /// The cache of what came from this Go build, else the build.
    Go,
}

impl Source {
    /// Every value, in the order a help text should list them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Path, Self::Oci, Self::Go];

    /// The value as it is written on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Path => "path",
            Self::Oci => "oci",
            Self::Go => "go",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Source {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or_else(|| ParseSourceError { text: text.to_owned() })
    }
}

/// A text that names no [`Source`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a source: use auto, path, oci or go")]
pub struct ParseSourceError {
    text: String,
}

/// Where a fetched file came from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Origin {
    /// Found in the given folder or on the search path.
    Path,
    /// The running program.
    Itself,
    /// Taken out of an OCI image.
    Oci {
        /// The image as the artifact names it.
        reference: String,
        /// The digest of the image's manifest for the platform.
        digest: String,
    },
    /// Built with Go.
    Go {
        /// The pinned module set.
        module: String,
        /// The main package.
        package: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::Itself => f.write_str("this program"),
            Self::Oci { reference, .. } => write!(f, "OCI image {reference}"),
            Self::Go { package, .. } => write!(f, "Go build of {package}"),
        }
    }
}
