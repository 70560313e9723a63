//! The layers of ARCHITECTURE.md: a crate may depend only on crates below it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use anyhow::bail;
use serde::Deserialize;

/// Lowest first. Crates of one layer do not know one another.
const LAYERS: [&[&str]; 10] = [
    &["capstead-reconcile", "capstead-template", "capstead-artifact"],
    &["capstead-capi"],
    &["capstead-engine", "capstead-flintlock", "capstead-hostnet", "capstead-image", "capstead-vmm", "capstead-workload"],
    &["capstead-provider"],
    &["capstead-plane", "capstead-lab", "capstead-hostd", "capstead-nodeimage", "capstead-preflight"],
    &["capstead-microvm"],
    &["capstead-doctor"],
    &["capstead-journeys"],
    &["capstead"],
    &["xtask"],
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// Checks every crate of the workspace.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root).output()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")?;
    let rank: BTreeMap<&str, usize> = LAYERS.iter().enumerate().flat_map(|(n, layer)| layer.iter().map(move |name| (*name, n))).collect();
    for package in &metadata.packages {
        let own = rank
            .get(package.name.as_str())
            .with_context(|| format!("{} has no layer; give it one in xtask/src/layers.rs", package.name))?;
        // Tests may reach sideways, never the shipped code.
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
            if rank.get(dependency.name.as_str()).is_some_and(|other| other >= own) {
                bail!("{} may not depend on {}: it is not of a lower layer", package.name, dependency.name);
            }
        }
    }
    println!("{} crates keep to their layers", metadata.packages.len());
    Ok(())
}
