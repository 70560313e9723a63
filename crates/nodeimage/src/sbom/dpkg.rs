//! Debian's packages, from dpkg's own list.

use serde::{Deserialize, Serialize};

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DebianPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is built for; `all` for anything.
    pub architecture: String,
    /// The package it is built from, where that has another name, with its version where that differs, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
}

/// The packages in `var/lib/dpkg/status`, by name. Those that are no longer there, and only left their configuration, are not.
#[must_use]
pub fn packages(status: &str) -> Vec<DebianPackage> {
    let mut packages: Vec<DebianPackage> = status.split("\n\n").filter_map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

fn package(paragraph: &str) -> Option<DebianPackage> {
    let field = |name: &str| {
        // A line that begins with a space goes on with the field above.
        let line = paragraph.lines().find(|line| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name)))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let there = field("Status").is_some_and(|status| matches!(status.rsplit(' ').next(), Some("installed" | "unpacked")));
    if !there {
        return None;
    }
    Some(DebianPackage {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
        source: field("Source"),
        maintainer: field("Maintainer"),
    })
}
