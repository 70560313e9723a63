//! Image manifests, as far as disks need them.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::Digest;

/// The largest manifest read, in bytes, as registries have it.
pub(crate) const LARGEST: u64 = 4 << 20;
/// The most layers an image may have; overlayfs takes 500.
const MOST_LAYERS: usize = 1000;

/// What a manifest says of one of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// An image's manifest, OCI's or Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    /// Lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

impl Manifest {
    /// Reads a manifest.
    pub(crate) fn parse(text: &[u8], what: &str) -> Result<Self, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { what: what.to_owned(), reason };
        let manifest: Self = serde_json::from_slice(text).map_err(|error| damaged(format!("no image manifest: {error}")))?;
        if manifest.layers.len() > MOST_LAYERS {
            return Err(damaged(format!("{} layers, at most {MOST_LAYERS} are supported", manifest.layers.len())));
        }
        Ok(manifest)
    }

    /// The parts it names: the configuration and the layers.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// Bytes of all parts.
    pub(crate) fn size(&self) -> u64 {
        self.parts().fold(0, |sum, part| sum.saturating_add(part.size))
    }
}

impl Store {
    /// The manifest by that digest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Manifest, StoreError> {
        Manifest::parse(&self.manifest_text(digest)?, &format!("manifest {digest}"))
    }

    /// The same byte for byte, which is what the digest is of.
    pub(crate) fn manifest_text(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut text = Vec::new();
        let path = self.blob_path(digest);
        self.open_blob(digest)?.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| StoreError::at(&path, error))?;
        let got = Digest::of(&text);
        if got != *digest {
            return Err(StoreError::Mismatch { what: "the manifest".to_owned(), expected: digest.to_string(), got: got.to_string() });
        }
        Ok(text)
    }
}
