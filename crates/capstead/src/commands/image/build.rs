//! `capstead image build`: images of nodes and of kernels.

mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use capstead_artifact::FetchOptions;
use capstead_artifact::Platform;
use capstead_image::Reference;
use capstead_image::pull::PullOptions;
use capstead_image::store::InUse;
use capstead_image::store::Store;
use capstead_nodeimage::Compression;
use capstead_nodeimage::build;
use capstead_nodeimage::build::BuildError;
use capstead_nodeimage::build::Options;
use capstead_nodeimage::file::Values;
use capstead_nodeimage::file::load;
use capstead_nodeimage::forecast;
use capstead_nodeimage::forecast::Forecast;
use capstead_nodeimage::kernel::KernelSpec;
use capstead_nodeimage::output::Built;
use capstead_nodeimage::output::OutputOptions;
use capstead_nodeimage::output::ReportImage;
use capstead_nodeimage::output::ReportLayer;
use capstead_nodeimage::output::Written;
use capstead_nodeimage::output::possible;
use capstead_plane::Choices;
use serde::Serialize;

use super::mirrors;
use super::reference;
use super::take;
use crate::cli::Sources;
use crate::cli::image::build::BuildKernel;
use crate::cli::image::build::BuildNode;
use crate::cli::image::build::Building;
use crate::cli::image::build::CompressionArg;
use crate::cli::image::build::ImageBuild;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

/// What images are called; the built-in file of nodes has the same name.
const NODE: &str = "node";
const KERNEL: &str = "kernel";

/// Runs a command.
pub async fn run(config: &Config, command: ImageBuild) -> anyhow::Result<()> {
    match command {
        ImageBuild::Node(args) => node(config, &args).await,
        ImageBuild::Kernel(args) => kernel(config, &args).await,
    }
}

async fn node(config: &Config, args: &BuildNode) -> anyhow::Result<()> {
    let target = target(args.building.output.as_deref(), NODE)?;
    let version = config.kubernetes(args.kubernetes.as_ref());
    let defaults = capstead_nodeimage::node_variables(version.as_deref(), &Platform::host(), args.file.is_some())?;
    let values = Values {
        defaults,
        set: args.set.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        mirrors: config.debian_mirrors(&args.building.debian_mirror),
    };
    let loaded = load(args.file.as_deref(), NODE, &values)?;
    let options = options(config, args.building.cache_dir.as_ref(), args.building.no_cache, fetching(config, &args.sources)?)?;
    if args.building.dry_run {
        return foretell(&args.building, &target, &forecast::node(&loaded, NODE, &options).await?);
    }
    let bars = Bars::new();
    carry_out(&args.building, &target, &options, &bars, build::node(&loaded, NODE, &options, &bars)).await
}

async fn kernel(config: &Config, args: &BuildKernel) -> anyhow::Result<()> {
    let target = target(args.building.output.as_deref(), KERNEL)?;
    let mut spec = KernelSpec { mirrors: config.debian_mirrors(&args.building.debian_mirror), ..KernelSpec::default() };
    if let Some(suite) = &args.suite {
        spec.suite.clone_from(suite);
    }
    if let Some(package) = &args.package {
        spec.package.clone_from(package);
    }
    spec.modules.extend(args.module.iter().cloned());
    let fetch = FetchOptions { mirrors: mirrors(config, &args.mirroring.registry_mirror)?, ..FetchOptions::default() };
    let options = options(config, args.building.cache_dir.as_ref(), args.building.no_cache, fetch)?;
    if args.building.dry_run {
        return foretell(&args.building, &target, &forecast::kernel(&spec, KERNEL, &options)?);
    }
    let bars = Bars::new();
    carry_out(&args.building, &target, &options, &bars, build::kernel(&spec, KERNEL, &options, &bars)).await
}

/// Builds a node by a built-in file, of this version of Kubernetes, and takes it into a host's store, if it is not there. Tells what it is called there.
pub async fn stored_node(
    config: &Config,
    file: &str,
    version: &str,
    cache_dir: Option<&PathBuf>,
    sources: &Sources,
    store: &Store,
) -> anyhow::Result<String> {
    let (built, options) = built_node(config, file, Some(version), cache_dir, sources).await?;
    keep(&built, &options, store).await
}

/// The same for the kernel.
pub async fn stored_kernel(config: &Config, cache_dir: Option<&PathBuf>, sources: &Sources, store: &Store) -> anyhow::Result<String> {
    let (built, options) = built_kernel(config, cache_dir, sources).await?;
    keep(&built, &options, store).await
}

/// Builds a node by a built-in file, and a kernel, unless they are in the cache.
pub async fn cached(config: &Config, file: &str, cache_dir: Option<&PathBuf>, sources: &Sources) -> anyhow::Result<()> {
    built_kernel(config, cache_dir, sources).await.context("the kernel")?;
    built_node(config, file, None, cache_dir, sources).await.context("the node")?;
    Ok(())
}

async fn built_node(
    config: &Config,
    file: &str,
    version: Option<&str>,
    cache_dir: Option<&PathBuf>,
    sources: &Sources,
) -> anyhow::Result<(Built, Options)> {
    let version = version.map(str::to_owned).or_else(|| config.kubernetes(None));
    let values = Values {
        defaults: capstead_nodeimage::node_variables(version.as_deref(), &Platform::host(), false)?,
        set: BTreeMap::new(),
        mirrors: config.debian_mirrors(&[]),
    };
    let fetch = fetching(config, sources)?;
    let options = options(config, cache_dir, false, fetch)?;
    let bars = Bars::new();
    let built = build::node(&load(None, file, &values)?, file, &options, &bars).await;
    bars.clear();
    Ok((built?, options))
}

async fn built_kernel(config: &Config, cache_dir: Option<&PathBuf>, sources: &Sources) -> anyhow::Result<(Built, Options)> {
    let spec = KernelSpec { mirrors: config.debian_mirrors(&[]), ..KernelSpec::default() };
    let options = options(config, cache_dir, false, fetching(config, sources)?)?;
    let bars = Bars::new();
    let built = build::kernel(&spec, KERNEL, &options, &bars).await;
    bars.clear();
    Ok((built?, options))
}

/// Takes an image into a store under a name that has its digest.
async fn keep(built: &Built, options: &Options, store: &Store) -> anyhow::Result<String> {
    let report = built.report();
    let digest = built.digest().to_string();
    let tag = digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect::<String>();
    let name = format!("capstead.local/{}:{tag}", report.name);
    if store.get(&name)?.is_none() {
        let folder = tempfile::tempdir_in(&options.cache_root).context("cannot make a folder in the cache")?;
        let layout = reference(&format!("oci:{}", folder.path().join("image").display()))?;
        let handing = OutputOptions { compression: Compression::None, documents: None, mirrors: options.fetch.mirrors.clone() };
        let bars = Bars::new();
        let written = built.write(&layout, None, &handing, &bars).await;
        bars.clear();
        written?;
        take(store, &layout, &options.pull).await?;
        store.name(&layout.to_string(), &name)?;
        store.remove(&layout.to_string(), &InUse::default())?;
    }
    Ok(name)
}

/// The version of Kubernetes that nodes have where nothing else is said.
pub fn node_version(config: &Config) -> anyhow::Result<String> {
    variable(config.kubernetes(None).as_deref(), "KUBERNETES_VERSION")
}

/// The tag of CoreDNS in nodes of this version of Kubernetes.
pub fn coredns_tag(version: &str) -> anyhow::Result<String> {
    variable(Some(version), "COREDNS_VERSION")
}

fn variable(version: Option<&str>, name: &str) -> anyhow::Result<String> {
    let mut variables = capstead_nodeimage::node_variables(version, &Platform::host(), false)?;
    variables.remove(name).with_context(|| format!("a node has no {name}"))
}

/// Where the image goes. What cannot be is refused before anything is done.
fn target(output: Option<&str>, name: &str) -> anyhow::Result<Reference> {
    let default = format!("oci:{name}");
    let text = output.unwrap_or(&default);
    if ["table", "json", "yaml"].contains(&text) {
        bail!("--output {text}: it says where the image goes; how the result is printed is said by -o {text}");
    }
    let target = reference(text).context("--output")?;
    possible(&target).context("--output")?;
    Ok(target)
}

/// How a node's binaries are fetched: as a plane's, with the modules of what only nodes have besides.
fn fetching(config: &Config, sources: &Sources) -> anyhow::Result<FetchOptions> {
    let choices = Choices {
        source: config.source(sources),
        bin_dir: config.bin_dir(sources)?,
        registry_mirrors: config.registry_mirrors(sources),
        ..Choices::default()
    };
    let mut fetch = choices.over(capstead_plane::Options::default()).fetch()?;
    fetch.modules.to_mut().extend(capstead_nodeimage::modules());
    Ok(fetch)
}

fn options(config: &Config, cache_dir: Option<&PathBuf>, anew: bool, fetch: FetchOptions) -> anyhow::Result<Options> {
    let pull = PullOptions { mirrors: fetch.mirrors.clone(), always: anew, ..PullOptions::default() };
    Ok(Options { cache_root: config.cache_dir(cache_dir)?, fetch, pull, anew })
}

/// Builds, hands the image on, and tells what came of it.
async fn carry_out(
    args: &Building,
    target: &Reference,
    options: &Options,
    bars: &Bars,
    building: impl Future<Output = Result<Built, BuildError>>,
) -> anyhow::Result<()> {
    let compression = match args.compression {
        Some(CompressionArg::Plain) => Compression::None,
        Some(CompressionArg::Zstd) => Compression::Zstd,
        None if target.is_local() => Compression::None,
        None => Compression::Zstd,
    };
    let handing = OutputOptions { compression, documents: args.documents.clone(), mirrors: options.fetch.mirrors.clone() };
    let all = async {
        let built = building.await?;
        let written = built.write(target, None, &handing, bars).await?;
        anyhow::Ok((built, written))
    };
    let done = tokio::select! {
        done = all => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted; the next run goes on from what was whole by then")),
    };
    bars.clear();
    let (built, written) = done?;
    let told = Told::of(&built, &written);
    output::print(args.format, &told, || table::built(&told))
}

/// Tells what a build would do.
fn foretell(args: &Building, target: &Reference, forecast: &Forecast) -> anyhow::Result<()> {
    let foretold = Foretold { reference: target.to_string(), forecast };
    output::print(args.format, &foretold, || table::foretold(&foretold))
}

/// What was built.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    name: &'a str,
    platform: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes: Option<&'a str>,
    /// The release of the kernel, or of the one whose modules are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a str>,
    #[serde(flatten)]
    written: &'a Written,
    layers: &'a [ReportLayer],
    images: &'a [ReportImage],
}

impl<'a> Told<'a> {
    fn of(built: &'a Built, written: &'a Written) -> Self {
        let report = built.report();
        Self {
            name: &report.name,
            platform: &report.platform,
            kubernetes: report.variables.get("KUBERNETES_VERSION").map(String::as_str),
            kernel: report.kernel.as_deref(),
            written,
            layers: &report.layers,
            images: &report.images,
        }
    }
}

/// What would be built, and where it would go.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Foretold<'a> {
    reference: String,
    #[serde(flatten)]
    forecast: &'a Forecast,
}

#[cfg(test)]
mod tests;
