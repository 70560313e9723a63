//! `capstead image`: the images of a host on this machine, and building some.

pub mod build;
mod in_use;
mod table;

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use capstead_artifact::oci::Mirrors;
use capstead_image::Reference;
use capstead_image::pull::PullOptions;
use capstead_image::pull::pull;
use capstead_image::push::push;
use capstead_image::store::Image as Stored;
use capstead_image::store::InUse;
use capstead_image::store::Pruned;
use capstead_image::store::Store;
use capstead_image::store::StoreError;
use jiff::Timestamp;
use serde::Serialize;

use super::folders;
use crate::cli::image::Image;
use crate::cli::image::ImageImport;
use crate::cli::image::ImageInspect;
use crate::cli::image::ImageLs;
use crate::cli::image::ImagePrune;
use crate::cli::image::ImagePull;
use crate::cli::image::ImagePush;
use crate::cli::image::ImageRm;
use crate::cli::vm::HostFolders;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

use in_use::Users;

/// The forms of images that are files.
const FILES: [&str; 4] = ["oci:", "oci-archive:", "docker-archive:", "file:"];

/// Runs a command.
pub async fn run(config: &Config, command: Image) -> anyhow::Result<()> {
    match command {
        Image::Pull(args) => pull_all(config, &args).await,
        Image::Import(args) => import(&args).await,
        Image::Ls(args) => ls(&args),
        Image::Rm(args) => rm(&args),
        Image::Prune(args) => prune(&args),
        Image::Inspect(args) => inspect(&args),
        Image::Push(args) => send(config, &args).await,
        Image::Build(command) => build::run(config, command).await,
    }
}

async fn pull_all(config: &Config, args: &ImagePull) -> anyhow::Result<()> {
    let references: Vec<Reference> = args.images.iter().map(|text| reference(text)).collect::<anyhow::Result<_>>()?;
    let options =
        PullOptions { mirrors: mirrors(config, &args.mirroring.registry_mirror)?, always: !args.if_missing, ..PullOptions::default() };
    let store = Store::open(&images(&args.folders)?).context("--state-dir names another store")?;
    let mut pulled = Vec::new();
    for reference in &references {
        pulled.push(take(&store, reference, &options).await?);
    }
    print_images(args.output, &pulled)
}

async fn import(args: &ImageImport) -> anyhow::Result<()> {
    let source = reference(&args.source)?;
    if !source.is_local() {
        bail!("{source} is in a registry: `capstead image pull {source}` gets it");
    }
    let name = args.name.as_deref().map(reference).transpose()?;
    if let Some(name) = name.as_ref().filter(|name| name.is_local()) {
        bail!("--as {name}: a name as of a registry is expected, HOST/REPOSITORY:TAG");
    }
    let store = Store::open(&images(&args.folders)?).context("--state-dir names another store")?;
    // What is in the file by now is meant.
    let options = PullOptions { always: true, ..PullOptions::default() };
    let from = source.to_string();
    let known = store.get(&from)?.is_some();
    let mut image = take(&store, &source, &options).await?;
    if let Some(name) = name {
        image = store.name(&from, &name.to_string())?;
        if !known {
            store.remove(&from, &InUse::default())?;
        }
    }
    print_images(args.output, &[image])
}

/// Gets one image into the store, with progress.
async fn take(store: &Store, reference: &Reference, options: &PullOptions) -> anyhow::Result<Stored> {
    let bars = Bars::new();
    let taken = tokio::select! {
        taken = pull(store, reference, options, &bars) => taken.map_err(anyhow::Error::from),
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted while getting {reference}; the next run keeps what was whole")),
    };
    bars.clear();
    taken
}

fn ls(args: &ImageLs) -> anyhow::Result<()> {
    let state = folders::state(&args.folders)?;
    let (store, users) = (opened(&args.folders)?, Users::read(&state)?);
    let images = store.list()?;
    let listed: Vec<Listed> = images.iter().map(|image| Listed { image, used_by: users.of_image(&image.reference) }).collect();
    output::print(args.output, &listed, || table::list(&listed, Timestamp::now()))
}

fn rm(args: &ImageRm) -> anyhow::Result<()> {
    let state = folders::state(&args.folders)?;
    let (store, users) = (opened(&args.folders)?, Users::read(&state)?);
    let in_use = users.in_use();
    let references: Vec<String> = args.images.iter().map(|text| Ok(reference(text)?.to_string())).collect::<anyhow::Result<_>>()?;
    for name in &references {
        if store.get(name)?.is_none() {
            return Err(StoreError::NotFound { reference: name.clone() }.into());
        }
    }
    for name in &references {
        store.remove(name, &in_use).with_context(|| match users.of_image(name).as_slice() {
            [] => format!("{name} stays"),
            users => format!("{name} stays, as these microVMs name it: {}", users.join(", ")),
        })?;
    }
    match store.prune(&in_use, false) {
        Ok(pruned) => output::line(&format!("forgot {}; {} are free again", references.join(", "), output::bytes(pruned.bytes))),
        Err(StoreError::Busy) => output::line(&format!(
            "forgot {}; images are being made or used right now, so their parts go with the next `capstead image prune`",
            references.join(", ")
        )),
        Err(error) => Err(error.into()),
    }
}

fn prune(args: &ImagePrune) -> anyhow::Result<()> {
    let state = folders::state(&args.folders)?;
    let (store, in_use) = (opened(&args.folders)?, Users::read(&state)?.in_use());
    let pruned = if args.dry_run { store.prunable(&in_use, args.all) } else { store.prune(&in_use, args.all) }?;
    let told = Told::of(&pruned, store.root());
    output::print(args.output, &told, || table::pruned(&told, args.dry_run))
}

fn inspect(args: &ImageInspect) -> anyhow::Result<()> {
    let inspection = opened(&args.folders)?.inspect(&reference(&args.image)?.to_string())?;
    output::print(args.output, &inspection, || table::details(&inspection, Timestamp::now()))
}

async fn send(config: &Config, args: &ImagePush) -> anyhow::Result<()> {
    let source = reference(&args.image)?;
    let target = args.target.as_deref().map_or_else(|| Ok(source.clone()), reference)?;
    let mirrors = mirrors(config, &args.mirroring.registry_mirror)?;
    let store = opened(&args.folders)?;
    let name = source.to_string();
    let image = store.get(&name)?.ok_or(StoreError::NotFound { reference: name })?;
    let bars = Bars::new();
    let pushed = tokio::select! {
        pushed = push(&store, &image, &target, &mirrors, &bars) => pushed.map_err(anyhow::Error::from),
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted while pushing {target}; the registry keeps what was whole")),
    };
    bars.clear();
    let pushed = pushed?;
    output::line(&format!("{target} is {} there; {} were sent", pushed.digest, output::bytes(pushed.sent)))
}

/// An image of the store, and who has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(flatten)]
    image: &'a Stored,
    used_by: Vec<String>,
}

/// What went, or would.
#[derive(Serialize)]
struct Told {
    images: Vec<String>,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Told {
    fn of(pruned: &Pruned, root: &Path) -> Self {
        let within = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_owned();
        Self { images: pruned.references.clone(), files: pruned.files.iter().map(within).collect(), bytes: pruned.bytes }
    }
}

fn print_images(output: crate::cli::Output, images: &[Stored]) -> anyhow::Result<()> {
    output::print(output, &images, || table::taken(images))
}

/// Reads a reference; the path in one may be relative here.
fn reference(text: &str) -> anyhow::Result<Reference> {
    for form in FILES {
        if let Some(path) = text.strip_prefix(form)
            && !path.is_empty()
        {
            let path = std::path::absolute(path).with_context(|| format!("cannot find {path}"))?;
            return Ok(format!("{form}{}", path.display()).parse()?);
        }
    }
    Ok(text.parse()?)
}

fn mirrors(config: &Config, flag: &[String]) -> anyhow::Result<Mirrors> {
    config.mirrors(flag).unwrap_or_default().parse().context("--registry-mirror")
}

fn images(folders: &HostFolders) -> anyhow::Result<PathBuf> {
    Ok(folders::state(folders)?.join("images"))
}

/// The store that is there; looking makes none.
fn opened(folders: &HostFolders) -> anyhow::Result<Store> {
    let root = images(folders)?;
    match std::fs::metadata(&root) {
        Ok(_) => Store::open(&root).context("--state-dir names another store, and the user that runs the host may use this one"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("there are no images in {}: --state-dir names another host's folder", root.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", root.display())),
    }
}

#[cfg(test)]
mod tests;
