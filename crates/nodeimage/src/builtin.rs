//! What is compiled in: files to build upon, versions that go together, pinned Go modules.

use std::collections::BTreeMap;

use capstead_artifact::{GoModules, Platform};
use thiserror::Error;

#[cfg(test)]
mod tests;

const FILES: [(&str, &str); 2] = [("node", include_str!("builtin/node.yaml")), ("demo", include_str!("builtin/demo.yaml"))];
const VERSIONS: &str = include_str!("builtin/versions.yaml");

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        vec![$(GoModules {
            name: $name.into(),
            go_mod: include_str!(concat!("../../../tools/node/", $name, "/go.mod")).into(),
            go_sum: include_str!(concat!("../../../tools/node/", $name, "/go.sum")).into(),
        }),+]
    };
}

/// A Kubernetes version that a node cannot be built of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VersionError {
    /// It is no version.
    #[error("`{asked}` is not a version of Kubernetes, such as v1.36.3")]
    NotAVersion {
        /// What was asked for.
        asked: String,
    },
    /// Its parts are not pinned.
    #[error(
        "Kubernetes {asked} is not built in; there are {}. For another, name its modules and what goes with it in a file of your own",
        known.join(", ")
    )]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No image is built for it.
    #[error("nodes are built for linux/amd64 and linux/arm64, not for {platform}")]
    Platform {
        /// What was asked for.
        platform: Platform,
    },
}

/// The names of the built-in files.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// A built-in file's text: an example for the user's own.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The Go modules of what only nodes have. Those of etcd and of the newest Kubernetes are the plane's.
#[must_use]
pub fn modules() -> Vec<GoModules> {
    modules![
        "containerd-2.3",
        "cni-plugins-1.9",
        "coredns-1.13",
        "coredns-1.14",
        "cri-tools-1.36",
        "flannel-0.26",
        "kubernetes-1.35",
        "kubernetes-node-1.35",
        "kubernetes-node-1.36",
    ]
}

/// The Kubernetes versions that are built in, the default first.
#[must_use]
pub fn kubernetes_versions() -> Vec<String> {
    releases().into_iter().filter_map(|mut release| release.remove("KUBERNETES_VERSION")).collect()
}

/// The variables of a node with that Kubernetes version (`v1.36.3`, `1.36.3`, or `None` for the default) for that platform.
/// With a file of the user's it may be a version that is not built in: the file has to name what goes with it.
///
/// # Errors
/// When there is no such version, or no node for that platform.
pub fn node_variables(kubernetes: Option<&str>, platform: &Platform, own_file: bool) -> Result<BTreeMap<String, String>, VersionError> {
    let mut releases = releases();
    let mut variables = match kubernetes {
        None => releases.into_iter().next().unwrap_or_default(),
        Some(asked) => {
            let version = format!("v{}", asked.trim_start_matches('v'));
            let is = |release: &BTreeMap<String, String>| release.get("KUBERNETES_VERSION") == Some(&version);
            match releases.iter().position(is) {
                Some(at) => releases.swap_remove(at),
                None if own_file => BTreeMap::from([("KUBERNETES_VERSION".to_owned(), version)]),
                None => return Err(VersionError::Unknown { asked: version, known: kubernetes_versions() }),
            }
        }
    };
    let version = variables.get("KUBERNETES_VERSION").cloned().unwrap_or_default();
    variables.extend(derived(&version, platform)?);
    Ok(variables)
}

/// What follows from a version and a platform alone.
///
/// # Errors
/// When it is no version, or there is no node for that platform.
fn derived(version: &str, platform: &Platform) -> Result<BTreeMap<String, String>, VersionError> {
    let numbers: Vec<&str> = version.trim_start_matches('v').splitn(3, '.').collect();
    let [major, minor, _] = numbers[..] else { return Err(VersionError::NotAVersion { asked: version.to_owned() }) };
    let multiarch = match (platform.os.as_str(), platform.architecture.as_str()) {
        ("linux", "amd64") => "x86_64-linux-gnu",
        ("linux", "arm64") => "aarch64-linux-gnu",
        _ => return Err(VersionError::Platform { platform: platform.clone() }),
    };
    let pairs = [
        ("KUBERNETES_SERIES", format!("{major}.{minor}")),
        ("KUBERNETES_MAJOR", major.to_owned()),
        ("KUBERNETES_MINOR", minor.to_owned()),
        ("ARCH", platform.architecture.clone()),
        ("MULTIARCH", multiarch.to_owned()),
    ];
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn releases() -> Vec<BTreeMap<String, String>> {
    // A test reads it; a broken build has no versions.
    yaml_serde::from_str(VERSIONS).unwrap_or_default()
}
