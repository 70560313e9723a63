//! An image of somebody else's as the base.

use std::path::PathBuf;

use capstead_artifact::Progress;
use capstead_image::pull::pull as pull_image;
use capstead_image::store::{Store, Stored};
use capstead_image::{Digest, Reference};
use serde::Deserialize;

use super::{BuildError, Options, at};
use crate::layer::Written;
use crate::oci::LayerFile;

/// A base that is here.
#[derive(Clone, Debug)]
pub(crate) struct Pulled {
    /// The manifest's.
    pub(crate) digest: Digest,
    pub(crate) layers: Vec<LayerFile>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Part,
    layers: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

/// Pulls the base into the store of images, where its layers stay.
pub(crate) async fn pull(reference: &str, options: &Options, progress: &dyn Progress) -> Result<Pulled, BuildError> {
    let store = Store::open(&options.cache_root.join("images"))?;
    let mut pulling = options.pull.clone();
    pulling.platform = options.fetch.platform.clone();
    let parsed: Reference = reference.parse()?;
    // What is in the file by now is meant.
    pulling.always |= parsed.is_local();
    let image = pull_image(&store, &parsed, &pulling, progress).await?;
    let Stored::Image { manifest: digest } = image.stored else {
        return Err(BuildError::Base { reference: reference.to_owned(), reason: "it is a single file, without layers".to_owned() });
    };
    let blob = |digest: &Digest| -> PathBuf { store.root().join("blobs/sha256").join(digest.hex()) };
    let wrong = |error: serde_json::Error| BuildError::Base { reference: reference.to_owned(), reason: error.to_string() };
    let read = |digest: &Digest| {
        let path = blob(digest);
        std::fs::read(&path).map_err(at(&path))
    };
    let manifest: Manifest = serde_json::from_slice(&read(&digest)?).map_err(wrong)?;
    let config: Config = serde_json::from_slice(&read(&manifest.config.digest)?).map_err(wrong)?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        let reason = "its configuration and its manifest have different numbers of layers".to_owned();
        return Err(BuildError::Base { reference: reference.to_owned(), reason });
    }
    let layers = manifest.layers.into_iter().zip(config.rootfs.diff_ids).map(|(part, diff_id)| LayerFile {
        path: blob(&part.digest),
        media_type: oci_type(&part.media_type),
        written: Written { digest: part.digest, size: part.size },
        diff_id,
        made_by: format!("base {reference}"),
    });
    Ok(Pulled { layers: layers.collect(), digest })
}

/// OCI's name for what Docker calls by another.
fn oci_type(media_type: &str) -> String {
    let plain = "application/vnd.oci.image.layer.v1.tar";
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => format!("{plain}+gzip"),
        "application/vnd.docker.image.rootfs.diff.tar" | "" => plain.to_owned(),
        other => other.to_owned(),
    }
}
