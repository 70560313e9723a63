//! A release as clusterctl takes it, and the image that it names: made of what lies in the repository, without Docker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use capstead_artifact::NoProgress;
use capstead_nodeimage::output::OutputOptions;
use capstead_nodeimage::program::ProgramImage;
use capstead_nodeimage::program::program;
use serde::Deserialize;

use crate::components;

/// clusterctl's folder for the provider, which its users call `microvm`.
const LABEL: &str = "infrastructure-microvm";
/// The contract that the provider keeps.
const CONTRACT: &str = "v1beta2";

/// The arguments of `cargo xtask release`.
#[derive(clap::Args)]
pub struct Release {
    /// The release's version, as v0.11.0
    #[arg(long)]
    version: String,
    /// Where it goes
    #[arg(long, default_value = "target/release-files", value_name = "DIR")]
    output: PathBuf,
    /// The image that the Deployment names, without its tag
    #[arg(long, default_value = "ghcr.io/capstead/capstead")]
    image: String,
    /// The program to put into the image [default: built now, optimised]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    release_series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    major: u64,
    minor: u64,
    contract: String,
}

impl Release {
    /// Makes `DIR/infrastructure-microvm/VERSION/` and the OCI layout `DIR/image`.
    pub fn make(&self, root: &Path) -> anyhow::Result<()> {
        let folder = self.output.join(LABEL).join(&self.version);
        let files = files(root, &self.version, &self.image)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (name, text) in &files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("made {} files in {}", files.len(), folder.display());
        let program = match &self.binary {
            Some(binary) => binary.clone(),
            None => build(root)?,
        };
        let digest = self.image(&program)?;
        println!("made the image {}:{} ({digest}) in {}", self.image, self.version, self.output.join("image").display());
        Ok(())
    }

    fn image(&self, binary: &Path) -> anyhow::Result<String> {
        let labels = [
            ("org.opencontainers.image.source", env!("CARGO_PKG_REPOSITORY")),
            ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE")),
            ("org.opencontainers.image.version", &self.version),
        ];
        let labels: BTreeMap<String, String> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let image = ProgramImage {
            name: &self.image,
            tag: &self.version,
            program: binary,
            path: "/usr/bin/capstead",
            // As the Deployment has it.
            user: "65532:65532",
            labels,
        };
        let work = tempfile::tempdir_in(&self.output)?;
        let built = program(&image, work.path())?;
        let to = format!("oci:{}", self.output.join("image").display()).parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let written = runtime.block_on(built.write(&to, Some(work.path()), &OutputOptions::default(), &NoProgress))?;
        Ok(written.digest.to_string())
    }
}

/// The files of a release, by name.
fn files(root: &Path, version: &str, image: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let deploy = root.join("deploy/microvm");
    let metadata = read(&deploy.join("metadata.yaml"))?;
    check(&metadata, version)?;
    let mut files = BTreeMap::from([
        ("infrastructure-components.yaml".to_owned(), components::microvm(Some(&format!("{image}:{version}")))?),
        ("metadata.yaml".to_owned(), metadata),
        ("service-monitor.yaml".to_owned(), read(&deploy.join("service-monitor.yaml"))?),
    ]);
    let templates = root.join("templates/microvm");
    for entry in fs::read_dir(&templates).with_context(|| format!("cannot read {}", templates.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && (name.starts_with("cluster-template") || name.starts_with("clusterclass-")) {
            files.insert(name, read(&path)?);
        }
    }
    Ok(files)
}

/// A version that clusterctl would not find in the metadata, or with another contract, is no release.
fn check(metadata: &str, version: &str) -> anyhow::Result<()> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let plain = version.strip_prefix('v').map(|plain| plain.split_once('-').map_or(plain, |(plain, _)| plain));
    let mut parts = plain.unwrap_or_default().split('.');
    let (major, minor, patch) = (number(parts.next()), number(parts.next()), number(parts.next()));
    let (Some(major), Some(minor), Some(_), None) = (major, minor, patch, parts.next()) else {
        bail!("{version} is no version such as v0.11.0");
    };
    let metadata: Metadata = yaml_serde::from_str(metadata).context("metadata.yaml cannot be read")?;
    let series = metadata.release_series.iter().find(|series| (series.major, series.minor) == (major, minor));
    let series = series.with_context(|| format!("add the series {major}.{minor} to deploy/microvm/metadata.yaml"))?;
    ensure!(
        series.contract == CONTRACT,
        "the series {major}.{minor} has the contract {}, which this provider does not keep",
        series.contract
    );
    Ok(())
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--locked", "--release", "--package", "capstead", "--bin", "capstead"]);
    ensure!(command.status().context("cannot run cargo")?.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/capstead"))
}

#[cfg(test)]
mod tests;
