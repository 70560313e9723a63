//! Binaries: `fetch`, and running kubectl and clusterctl against a plane.

use std::os::unix::process::CommandExt;
use std::path::Path;

use anyhow::Context;
use capstead_artifact::Artifact;
use capstead_artifact::FetchOptions;
use capstead_artifact::Fetched;
use capstead_artifact::Store;
use capstead_plane::Choices;
use capstead_plane::Options;
use capstead_plane::Plane;
use capstead_plane::builtin;
use serde::Serialize;

use super::image::build::cached;
use super::layout;
use super::real::IMAGE;
use crate::cli::Binaries;
use crate::cli::Fetch;
use crate::cli::Kubectl;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

/// Fetches artifacts one after another: downloads and builds each use what the machine has.
pub async fn fetch_all(cache: &Path, artifacts: &[Artifact], options: &FetchOptions, bars: &Bars) -> anyhow::Result<Vec<Fetched>> {
    let store = Store::open(cache)?;
    let mut fetched = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        // Dropping a fetch ends all that it started: a Go build has its own processes.
        fetched.push(tokio::select! {
            done = store.fetch(artifact, options, bars) => done?,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted while fetching {}; the next run begins it again", artifact.name),
        });
    }
    Ok(fetched)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    version: String,
    source: String,
    path: String,
}

/// Fetches what a plane runs.
pub async fn fetch_components(config: &Config, binaries: &Binaries, cache: &Path) -> anyhow::Result<()> {
    let components = builtin::components(config.capi_version(binaries).as_deref())?;
    let artifacts: Vec<Artifact> = components.into_iter().map(|component| component.binary).collect();
    let bars = Bars::new();
    let fetched = fetch_all(cache, &artifacts, &options(config, binaries)?, &bars).await;
    bars.clear();
    fetched.map(drop)
}

fn options(config: &Config, binaries: &Binaries) -> anyhow::Result<FetchOptions> {
    let choices = Choices {
        source: config.source(&binaries.sources),
        bin_dir: config.bin_dir(&binaries.sources)?,
        registry_mirrors: config.registry_mirrors(&binaries.sources),
        ..Choices::default()
    };
    Ok(choices.over(Options::default()).fetch()?)
}

/// Fetches binaries before they are needed.
pub async fn fetch(config: &Config, args: &Fetch) -> anyhow::Result<()> {
    let version = config.capi_version(&args.binaries);
    let components = builtin::components(version.as_deref())?.into_iter().map(|component| component.binary);
    let all: Vec<Artifact> = components.chain(builtin::tools(version.as_deref())?).collect();
    if let Some(name) = args.names.iter().find(|name| !all.iter().any(|artifact| artifact.name == **name)) {
        let known: Vec<&str> = all.iter().map(|artifact| artifact.name.as_str()).collect();
        anyhow::bail!("there is no binary {name:?}; there are {}", known.join(", "));
    }
    let wanted: Vec<Artifact> = all.into_iter().filter(|artifact| args.names.is_empty() || args.names.contains(&artifact.name)).collect();
    let options = options(config, &args.binaries)?;
    let bars = Bars::new();
    let fetched = fetch_all(&config.cache_dir(args.cache_dir.as_ref())?, &wanted, &options, &bars).await?;
    bars.clear();
    if args.nodes {
        eprintln!("Building a node image and a kernel, unless they are there.");
        cached(config, IMAGE, args.cache_dir.as_ref(), &args.binaries.sources).await?;
    }
    let rows: Vec<Row> = wanted.iter().zip(fetched).map(|(artifact, fetched)| row(artifact, &fetched)).collect();
    output::print(args.output, &rows, || {
        let cells = rows.iter().map(|row| [row.name.clone(), row.version.clone(), row.source.clone(), row.path.clone()]);
        output::table(["NAME", "VERSION", "SOURCE", "PATH"], cells)
    })
}

fn row(artifact: &Artifact, fetched: &Fetched) -> Row {
    Row {
        name: artifact.name.clone(),
        version: fetched.version.clone(),
        source: fetched.source.to_string(),
        path: fetched.path.display().to_string(),
    }
}

/// Becomes a tool that talks to a plane.
pub async fn exec(config: &Config, tool: &str, args: Kubectl) -> anyhow::Result<()> {
    let layout = layout(config, &args.which)?;
    let plane = Plane::load(&layout)?;
    let all = builtin::tools(plane.options.capi_version.as_deref())?;
    let artifact = all.iter().find(|artifact| artifact.name == tool).with_context(|| format!("{tool} is not built in"))?;
    let bars = Bars::new();
    let cache = config.cache_dir(args.which.cache_dir.as_ref())?;
    let fetched = fetch_all(&cache, std::slice::from_ref(artifact), &plane.options.fetch()?, &bars).await?;
    bars.clear();
    let program = fetched.first().map(|fetched| &fetched.path).context("nothing was fetched")?;
    let mut command = std::process::Command::new(program);
    command.arg0(tool).args(args.args).env("KUBECONFIG", layout.kubeconfig());
    // The plane pins clusterctl's version; asking the network for a newer one only costs time.
    if std::env::var_os("CLUSTERCTL_DISABLE_VERSIONCHECK").is_none() {
        command.env("CLUSTERCTL_DISABLE_VERSIONCHECK", "true");
    }
    // exec only returns if it fails.
    Err(command.exec()).with_context(|| format!("cannot run {}", program.display()))
}
