//! What was built, and where it goes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use capstead_artifact::Progress;
use capstead_artifact::oci::Mirrors;
use capstead_image::pull::{PullError, PullOptions, pull};
use capstead_image::push::{PushError, push};
use capstead_image::store::{Store, StoreError};
use capstead_image::{Digest, Reference};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::build::{BuildError, blocking};
use crate::cache::Cache;
use crate::oci::{Compression, LayerFile, OciImage, replaceable, write_document};
use crate::sbom::{self, Contents, DebianPackage};

#[cfg(test)]
mod tests;

/// What images are called in archives, which have no registry to be called by.
const LOCAL: &str = "capstead.local";

/// An image that is whole, in the cache.
#[derive(Debug)]
pub struct Built {
    pub(crate) image: OciImage,
    pub(crate) tag: Option<String>,
    pub(crate) report: Report,
    pub(crate) contents: Contents,
    pub(crate) epoch: u64,
    /// Keeps what its layers are in the place where they are.
    pub(crate) cache: Option<Cache>,
}

/// What is in an image: the manifest that lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its name.
    pub name: String,
    /// What it is for, as `linux/amd64`.
    pub platform: String,
    /// The release of the kernel that is in it, or whose modules are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The files it was built from.
    pub from: Vec<String>,
    /// The values of their variables.
    pub variables: BTreeMap<String, String>,
    /// Debian's packages.
    pub packages: Vec<DebianPackage>,
    /// Programs.
    pub binaries: Vec<ReportBinary>,
    /// Container images.
    pub images: Vec<ReportImage>,
    /// Layers, lowest first.
    pub layers: Vec<ReportLayer>,
    /// Steps, and what their results are known by.
    pub steps: Vec<ReportStep>,
}

/// A program in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportBinary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is, unless it is only in container images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its content's digest.
    pub digest: Digest,
    /// Where it came from.
    pub from: String,
}

/// A container image in a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportImage {
    /// Its names.
    pub names: Vec<String>,
    /// Its manifest's digest.
    pub digest: Digest,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportLayer {
    /// The digest of its archive, however it is packed.
    pub diff_id: Digest,
    /// Its bytes.
    pub size: u64,
    /// What made it.
    pub what: String,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStep {
    /// What it is.
    pub what: String,
    /// What its result is known by.
    pub key: Digest,
}

/// An image that was handed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Where to, in its plain form.
    pub reference: String,
    /// The manifest's digest. How layers are packed goes into it.
    pub digest: Digest,
    /// The configuration's digest: the same however layers are packed.
    pub image_id: Digest,
    /// Bytes of all layers.
    pub size: u64,
    /// The documents beside it.
    pub documents: Vec<PathBuf>,
}

/// How to hand an image on.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// How layers are packed. Archives of Docker's form have them as they are.
    pub compression: Compression,
    /// What the documents' names begin with: `.manifest.json` and `.spdx.json` are added. For folders and archives it is their own path
    /// unless said otherwise; for registries there are none unless said.
    pub documents: Option<PathBuf>,
    /// Where registries are really asked.
    pub mirrors: Mirrors,
}

/// Why an image could not be handed on.
#[derive(Debug, Error)]
pub enum OutputError {
    /// A raw file is no image.
    #[error("{reference} is no place for an image: write oci:DIR, oci-archive:FILE, docker-archive:FILE or HOST/REPOSITORY:TAG")]
    Form {
        /// The reference.
        reference: String,
    },
    /// What an image's digest is shows when it is built.
    #[error("{reference} has a digest, which is only known when the image is built: name a tag")]
    Digest {
        /// The reference.
        reference: String,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be prepared for a registry.
    #[error("cannot prepare the image for {reference}")]
    Store {
        /// Where to.
        reference: String,
        /// Why.
        source: StoreError,
    },
    /// As [`OutputError::Store`].
    #[error("cannot prepare the image for {reference}")]
    Pull {
        /// Where to.
        reference: String,
        /// Why.
        source: Box<PullError>,
    },
    /// The registry did not take it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The work was given up: the process is ending.
    #[error("writing the image was stopped")]
    Stopped,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_path_buf();
    move |source| OutputError::Io { path, source }
}

/// Refuses a place where no image can be put, as far as that can be told before there is one.
///
/// # Errors
/// When it is none for an image, or something else is there.
pub fn possible(to: &Reference) -> Result<(), OutputError> {
    match to {
        Reference::File { .. } => Err(OutputError::Form { reference: to.to_string() }),
        Reference::Registry(reference) if reference.digest.is_some() => Err(OutputError::Digest { reference: to.to_string() }),
        Reference::Registry(_) => Ok(()),
        Reference::OciLayout { path, .. } => replaceable(path).map_err(at(path)),
        Reference::OciArchive { path, .. } | Reference::DockerArchive { path, .. } if path.is_dir() => {
            Err(at(path)(io::ErrorKind::IsADirectory.into()))
        }
        Reference::OciArchive { .. } | Reference::DockerArchive { .. } => Ok(()),
    }
}

impl Built {
    /// What is in it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The manifest's digest with layers that are not compressed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.image.digest()
    }

    /// Its SBOM, in SPDX 2.3.
    #[must_use]
    pub fn sbom(&self) -> serde_json::Value {
        // By the configuration's digest, which is the same wherever the image goes.
        sbom::document(&self.contents, &Digest::of(&self.image.config), self.epoch)
    }

    /// Hands it on. `work` is a folder for what is only needed meanwhile, on a disk with room for the image; without one it is the cache's.
    ///
    /// # Errors
    /// When it cannot be written, or the registry does not take it.
    pub async fn write(
        &self,
        to: &Reference,
        work: Option<&Path>,
        options: &OutputOptions,
        progress: &dyn Progress,
    ) -> Result<Written, OutputError> {
        possible(to)?;
        let work = work.map(Path::to_path_buf).or_else(|| Some(self.cache.as_ref()?.output())).unwrap_or_else(std::env::temp_dir);
        let work = work.as_path();
        let folder = tempfile::Builder::new().prefix("output-").tempdir_in(work).map_err(at(work))?;
        let compression = match to {
            Reference::DockerArchive { .. } => Compression::None,
            _ => options.compression,
        };
        let image = self.packed(compression, folder.path()).await?;
        let (target, tagged, scratch) = (to.clone(), self.names(to), folder.path().to_path_buf());
        let writing = image.clone();
        let path = blocking(move || write(&writing, &target, &tagged, &scratch)).await.map_err(|_: BuildError| OutputError::Stopped)??;
        if let Reference::Registry(_) = to {
            self.push(to, &path, folder.path(), options, progress).await?;
        }
        let stem = match to {
            Reference::Registry(_) => options.documents.clone(),
            _ => Some(options.documents.clone().unwrap_or(path)),
        };
        let documents = match stem {
            Some(stem) => self.documents(&stem, &image)?,
            None => Vec::new(),
        };
        let (digest, image_id, size) = (image.digest(), Digest::of(&image.config), image.size());
        Ok(Written { reference: to.to_string(), digest, image_id, size, documents })
    }

    async fn packed(&self, compression: Compression, folder: &Path) -> Result<OciImage, OutputError> {
        if compression == Compression::None {
            return Ok(self.image.clone());
        }
        let (layers, folder) = (self.image.layers.clone(), folder.to_path_buf());
        let packing = move || {
            let pack = |layer: LayerFile| {
                let path = layer.path.clone();
                layer.compressed(compression, &folder).map_err(at(&path))
            };
            layers.into_iter().map(pack).collect::<Result<Vec<_>, _>>()
        };
        let layers = blocking(packing).await.map_err(|_| OutputError::Stopped)??;
        Ok(self.image.with_layers(layers))
    }

    /// What the image is called in a folder or an archive.
    fn names(&self, to: &Reference) -> Vec<String> {
        let tag = match to {
            Reference::OciLayout { tag, .. } | Reference::OciArchive { tag, .. } | Reference::DockerArchive { tag, .. } => tag.clone(),
            _ => None,
        };
        let tag = tag.or_else(|| self.tag.clone()).unwrap_or_else(|| "latest".to_owned());
        // A name with a registry is whole.
        let name = if self.report.name.contains('/') { self.report.name.clone() } else { format!("{LOCAL}/{}", self.report.name) };
        vec![format!("{name}:{tag}")]
    }

    /// A registry takes images out of a store, so there is one for as long as that takes.
    async fn push(
        &self,
        to: &Reference,
        layout: &Path,
        work: &Path,
        options: &OutputOptions,
        progress: &dyn Progress,
    ) -> Result<(), OutputError> {
        let reference = to.to_string();
        let stored = |source| OutputError::Store { reference: reference.clone(), source };
        let store = Store::open(&work.join("store")).map_err(stored)?;
        let from = Reference::OciLayout { path: layout.to_path_buf(), tag: None };
        let image = pull(&store, &from, &PullOptions::default(), progress)
            .await
            .map_err(|source| OutputError::Pull { reference: reference.clone(), source: Box::new(source) })?;
        push(&store, &image, to, &options.mirrors, progress).await?;
        Ok(())
    }

    fn documents(&self, stem: &Path, image: &OciImage) -> Result<Vec<PathBuf>, OutputError> {
        let mut report = serde_json::to_value(&self.report).unwrap_or_default();
        report["digest"] = serde_json::json!(image.digest());
        report["imageId"] = serde_json::json!(Digest::of(&image.config));
        let beside = |ending: &str| {
            let mut name = stem.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let documents = [(beside(".manifest.json"), report), (beside(".spdx.json"), self.sbom())];
        for (path, value) in &documents {
            let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
            text.push(b'\n');
            write_document(path, &text).map_err(at(path))?;
        }
        Ok(documents.map(|(path, _)| path).to_vec())
    }
}

/// Writes what the reference names; for a registry, a layout to push from. Where it is.
fn write(image: &OciImage, to: &Reference, names: &[String], scratch: &Path) -> Result<PathBuf, OutputError> {
    let path = match to {
        Reference::OciLayout { path, .. } | Reference::OciArchive { path, .. } | Reference::DockerArchive { path, .. } => path.clone(),
        _ => scratch.join("layout"),
    };
    let written = match to {
        Reference::OciArchive { .. } => image.write_archive(&path, names).map(drop),
        Reference::DockerArchive { .. } => image.write_docker_archive(&path, names).map(drop),
        _ => image.write_layout(&path, names),
    };
    written.map_err(at(&path)).map(|()| path)
}
