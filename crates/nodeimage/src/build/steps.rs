//! Doing steps, or taking their results from the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstead_artifact::Platform;
use capstead_image::Digest;
use serde::de::DeserializeOwned;

use super::base::Pulled;
use super::overlay::Overlay;
use super::{AboutBase, BuildError, Fetched, at, blocking, report_image};
use crate::cache::{Cache, Making, Taken};
use crate::file::{ContainerImage, Preload};
use crate::kernel::{self, KernelSpec};
use crate::layer::{Layer, Written};
use crate::oci::LayerFile;
use crate::output::ReportImage;
use crate::plan::{Action, Inputs, Step};
use crate::preload::{self, Archive, PreloadError};
use crate::root::Root;
use crate::{container, debian};

/// All that steps made.
pub(super) struct Done {
    pub(super) base: AboutBase,
    pub(super) layers: Vec<LayerFile>,
    pub(super) images: Vec<ReportImage>,
}

/// The steps of one image, in their order.
pub(super) struct Steps<'a> {
    cache: &'a Cache,
    inputs: &'a Inputs,
    epoch: u64,
    binaries: &'a BTreeMap<String, Fetched>,
    pulled: Option<Pulled>,
    /// What is known of the base once it is there.
    about: Option<AboutBase>,
    layers: Vec<LayerFile>,
    archives: Vec<Archive>,
    images: Vec<ReportImage>,
    /// Read when the first step needs it.
    root: Option<Arc<Root>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        cache: &'a Cache,
        inputs: &'a Inputs,
        epoch: u64,
        binaries: &'a BTreeMap<String, Fetched>,
        pulled: Option<Pulled>,
    ) -> Self {
        let (layers, archives, images) = (Vec::new(), Vec::new(), Vec::new());
        Self { cache, inputs, epoch, binaries, pulled, about: None, layers, archives, images, root: None }
    }

    /// Does a step, or takes its result from the cache.
    pub(super) async fn run(&mut self, step: &Step, waiting: impl FnMut()) -> Result<(), BuildError> {
        if let Action::Image { .. } = step.action {
            // Its layers are in the store of images.
            self.layers = self.pulled.take().map(|pulled| pulled.layers).unwrap_or_default();
            return Ok(());
        }
        let folder = match self.cache.take(&step.key, waiting).await? {
            Taken::There(folder) => folder,
            Taken::ToMake(making) => {
                self.make(step, &making).await?;
                making.finish()?
            }
        };
        match &step.action {
            Action::Image { .. } => {}
            Action::Debian { .. } => {
                self.layers.push(layer_of(&folder, &step.what)?);
                self.about = Some(read(&folder.join("about.json"))?);
            }
            Action::Container { image } => {
                let digest: Digest = read(&folder.join("digest.json"))?;
                self.archives.push(Archive { path: folder.join("image.tar"), names: image.names.clone() });
                self.images.push(report_image(&image.names, digest));
            }
            Action::Preload { .. } | Action::Overlay { .. } => self.layers.push(layer_of(&folder, &step.what)?),
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Done, BuildError> {
        let base = match self.about.take() {
            Some(about) => about,
            None => {
                let root = self.root(self.cache.root()).await?;
                blocking(move || AboutBase::of(&root)).await?
            }
        };
        Ok(Done { base, layers: self.layers, images: self.images })
    }

    /// The base as a tree. Only the base's own layers are there when it is first asked for.
    async fn root(&mut self, work: &Path) -> Result<Arc<Root>, BuildError> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        let layers: Vec<PathBuf> = self.layers.iter().map(|layer| layer.path.clone()).collect();
        let work = work.to_path_buf();
        let root = Arc::new(blocking(move || Root::read(&layers, &work)).await??);
        self.root = Some(root.clone());
        Ok(root)
    }

    async fn make(&mut self, step: &Step, making: &Making) -> Result<(), BuildError> {
        match &step.action {
            Action::Image { .. } => Ok(()),
            Action::Debian { debian, packages, kernel } => {
                let architecture = &self.inputs.platform.architecture;
                let wanted = debian::Wanted { debian, packages, kernel: kernel.as_ref(), architecture };
                self.debian(step, &wanted.arguments(), making).await
            }
            Action::Container { image } => self.container(image, making).await,
            Action::Overlay { folders, files, links, remove, units, binaries } => {
                let root = self.root(making.work()).await?;
                let (folders, files, links) = (folders.clone(), files.clone(), links.clone());
                let (remove, units) = (remove.clone(), units.clone());
                let (binaries, fetched) = (binaries.clone(), self.binaries.clone());
                let (result, epoch) = (making.result().to_path_buf(), self.epoch);
                blocking(move || {
                    let overlay =
                        Overlay { folders: &folders, files: &files, links: &links, remove: &remove, units: &units, binaries: &binaries };
                    write_layer(&overlay.layer(&root, &fetched)?, &result, epoch)
                })
                .await?
            }
            Action::Preload { preload, .. } => self.preload(*preload, making).await,
        }
    }

    async fn debian(&self, step: &Step, arguments: &[String], making: &Making) -> Result<(), BuildError> {
        let archive = making.work().join("debian.tar");
        debian::run(arguments, &archive, self.epoch).await.map_err(|source| BuildError::Command { what: step.what.clone(), source })?;
        let (work, result, epoch) = (making.work().to_path_buf(), making.result().to_path_buf(), self.epoch);
        blocking(move || {
            write_layer(&debian::layer(archive, &work)?, &result, epoch)?;
            let root = Root::read(&[result.join("layer.tar")], &work)?;
            write(&result.join("about.json"), &AboutBase::of(&root))
        })
        .await?
    }

    async fn container(&mut self, image: &ContainerImage, making: &Making) -> Result<(), BuildError> {
        let root = match image.files.iter().any(|part| part.root.is_some()) {
            true => Some(self.root(making.work()).await?),
            false => None,
        };
        let paths: BTreeMap<String, PathBuf> = self.binaries.iter().map(|(name, it)| (name.clone(), it.path.clone())).collect();
        let (image, result) = (image.clone(), making.result().to_path_buf());
        let (platform, epoch) = (self.inputs.platform.clone(), self.epoch);
        blocking(move || {
            let name = image.names.first().cloned().unwrap_or_default();
            let made = container::make(&image, &paths, root.as_deref(), &platform, epoch, &result);
            let (_, digest) = made.map_err(|source| BuildError::Container { name, source: Box::new(source) })?;
            write(&result.join("digest.json"), &digest)
        })
        .await?
    }

    async fn preload(&self, preload: Preload, making: &Making) -> Result<(), BuildError> {
        let layer = match preload {
            Preload::Archives => preload::archives(&self.archives),
            Preload::Store => {
                let platform = &self.inputs.platform;
                if !platform.is_host() {
                    return Err(PreloadError::Foreign { platform: platform.clone() }.into());
                }
                let program = |name: &str| self.binaries.get(name).map(|it| it.path.clone()).unwrap_or_else(|| PathBuf::from(name));
                preload::store(&self.archives, &program("containerd"), &program("ctr"), making.work()).await?
            }
        };
        let (result, epoch) = (making.result().to_path_buf(), self.epoch);
        blocking(move || write_layer(&layer, &result, epoch)).await?
    }
}

/// The kernel's layer, the packages it is of, and its release.
pub(super) async fn kernel(spec: &KernelSpec, platform: &Platform, making: &Making, what: &str) -> Result<(), BuildError> {
    let archive = making.work().join("parts.tar");
    let arguments = debian::parts(&spec.suite, &spec.mirrors, &platform.architecture, &[&spec.package, "busybox-static"]);
    debian::run(&arguments, &archive, spec.epoch).await.map_err(|source| BuildError::Command { what: what.to_owned(), source })?;
    let (work, result, spec) = (making.work().to_path_buf(), making.result().to_path_buf(), spec.clone());
    blocking(move || {
        let root = Root::read(&[archive], &work)?;
        let made = kernel::layer(&root, &spec)?;
        write_layer(&made.layer, &result, spec.epoch)?;
        for (name, text) in [("status", root.text("parts/status").unwrap_or_default()), ("release", made.release)] {
            let path = result.join(name);
            std::fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(())
    })
    .await?
}

fn write_layer(layer: &Layer, folder: &Path, epoch: u64) -> Result<(), BuildError> {
    let path = folder.join("layer.tar");
    let written = layer.write(&path, epoch).map_err(at(&path))?;
    write(&folder.join("layer.json"), &written)
}

/// A step's layer.
pub(super) fn layer_of(folder: &Path, what: &str) -> Result<LayerFile, BuildError> {
    let written: Written = read(&folder.join("layer.json"))?;
    Ok(LayerFile::plain(folder.join("layer.tar"), written, format!("capstead image build: {what}")))
}

fn write(path: &Path, value: &impl serde::Serialize) -> Result<(), BuildError> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    std::fs::write(path, text).map_err(at(path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, BuildError> {
    let text = std::fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&text).map_err(|error| at(path)(error.into()))
}
