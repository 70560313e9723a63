//! Container images made from programs and from parts of the base: one layer, no base of their own.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use capstead_artifact::Platform;
use capstead_image::Digest;
use thiserror::Error;

use crate::file::ContainerImage;
use crate::layer::{Content, Entry, Kind, Layer};
use crate::oci::{About, LayerFile, OciImage};
use crate::root::{Root, RootError};

#[cfg(test)]
mod tests;

/// Why a container image cannot be made.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// A part of the base cannot be taken.
    #[error("cannot take {path} out of the base")]
    Root {
        /// The part.
        path: String,
        /// Why.
        source: RootError,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The layer of a container image.
fn layer(image: &ContainerImage, binaries: &BTreeMap<String, PathBuf>, root: Option<&Root>) -> Result<Layer, ContainerError> {
    let mut layer = Layer::default();
    for part in &image.files {
        if let (Some(binary), Some(path)) = (&part.binary, &part.path) {
            // The rules see to it that it is there.
            let Some(from) = binaries.get(binary) else { continue };
            layer.put(path, Entry::new(Kind::File(Content::Path(from.clone())), 0o755));
        }
        if let (Some(content), Some(path)) = (&part.content, &part.path) {
            layer.put(path, Entry::new(Kind::File(Content::Bytes(content.clone().into_bytes())), 0o755));
        }
        if let (Some(from), Some(root)) = (&part.root, root) {
            let failed = |source| ContainerError::Root { path: from.clone(), source };
            let single = part.path.as_ref().filter(|_| root.find(from).is_some_and(|entry| matches!(entry.kind, Kind::File(_))));
            match single {
                // Under another name it comes alone where it needs nothing, else with its libraries.
                Some(path) => {
                    let mut taken = Layer::default();
                    root.take(from, &mut taken).map_err(failed)?;
                    if taken.files() > 1 {
                        root.take(from, &mut layer).map_err(failed)?;
                    }
                    layer.put(path, root.find(from).ok_or_else(|| failed(RootError::NotFound { path: from.clone() }))?);
                }
                None => root.take(from, &mut layer).map_err(failed)?,
            }
        }
    }
    Ok(layer)
}

/// Makes a container image: its layer in `folder`, and its archive at the path that is returned. Its manifest's digest, too.
pub(crate) fn make(
    image: &ContainerImage,
    binaries: &BTreeMap<String, PathBuf>,
    root: Option<&Root>,
    platform: &Platform,
    epoch: u64,
    folder: &Path,
) -> Result<(PathBuf, Digest), ContainerError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ContainerError::Io { path, source }
    };
    let path = folder.join("container.tar");
    let written = layer(image, binaries, root)?.write(&path, epoch).map_err(io(&path))?;
    let about = About {
        platform: platform.clone(),
        epoch,
        entrypoint: image.entrypoint.clone(),
        command: image.command.clone(),
        environment: image.environment.clone(),
        user: image.user.clone(),
        labels: BTreeMap::new(),
    };
    let made = OciImage::new(&about, vec![LayerFile::plain(path.clone(), written, "capstead image build")]);
    let archive = folder.join("image.tar");
    made.write_archive(&archive, &image.names).map_err(io(&archive))?;
    // The archive has it.
    std::fs::remove_file(&path).map_err(io(&path))?;
    Ok((archive, made.digest()))
}
