//! From the store to a registry.

use std::io;

use capstead_artifact::Progress;
use capstead_artifact::oci::{Mirrors, OciError, Registry};
use futures::{StreamExt, TryStreamExt, stream};
use thiserror::Error;

use crate::Digest;
use crate::pull::Telling;
use crate::reference::Reference;
use crate::store::{Hold, Image, Manifest, Store, StoreError, Stored};

/// How many parts are on their way at a time.
const AT_ONCE: usize = 3;

/// Why an image could not be pushed.
#[derive(Debug, Error)]
pub enum PushError {
    /// The registry.
    #[error("cannot push {reference}")]
    Registry {
        /// Where to.
        reference: String,
        /// Why.
        source: OciError,
    },
    /// The store.
    #[error("cannot read {reference} from the image store")]
    Store {
        /// The image.
        reference: String,
        /// Why.
        source: StoreError,
    },
    /// A raw file has no manifest.
    #[error("{reference} is a single file, not an image of layers: registries take images")]
    File {
        /// The image.
        reference: String,
    },
    /// There is no registry in the reference.
    #[error("{reference} is not in a registry: name one to push to, as HOST/REPOSITORY:TAG")]
    Local {
        /// Where to.
        reference: String,
    },
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest, which is the same wherever the image is.
    pub digest: Digest,
    /// Bytes that were sent; the registry had the others.
    pub sent: u64,
}

/// Sends an image of the store to a registry, under a reference of its own. Parts that the registry has are not sent.
///
/// `progress` hears how far it is, under the target's plain form.
///
/// # Errors
/// When the image is not whole, or is a raw file, or the registry cannot be reached or refuses it.
pub async fn push(
    store: &Store,
    image: &Image,
    target: &Reference,
    mirrors: &Mirrors,
    progress: &dyn Progress,
) -> Result<Pushed, PushError> {
    let to = target.to_string();
    let from = &image.reference;
    let stored = |source| PushError::Store { reference: from.clone(), source };
    let refused = |source| PushError::Registry { reference: to.clone(), source };
    if target.is_local() {
        return Err(PushError::Local { reference: to });
    }
    let Stored::Image { manifest: digest } = &image.stored else { return Err(PushError::File { reference: from.clone() }) };
    let _hold = hold(store).await.map_err(stored)?;
    let text = store.manifest_text(digest).map_err(stored)?;
    let manifest = Manifest::parse(&text, &format!("manifest {digest}")).map_err(stored)?;
    let registry = Registry::connect_to_push(&to, mirrors).await.map_err(refused)?;

    let mut parts: Vec<(Digest, u64)> = Vec::new();
    for part in manifest.parts() {
        // A layer may be named twice.
        if parts.iter().all(|(digest, _)| *digest != part.digest) {
            parts.push((part.digest.clone(), part.size));
        }
    }
    let total = parts.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    let telling = Telling::start(progress, &to, format!("pushing {to}"), Some(total));
    let sent = stream::iter(parts)
        .map(|(digest, size)| {
            let (registry, telling) = (&registry, &telling);
            async move {
                let name = digest.to_string();
                if registry.has_blob(&name).await.map_err(refused)? {
                    telling.advance(size);
                    return Ok(0);
                }
                let file = store.open_blob(&digest).map_err(stored)?;
                registry
                    .push_blob(&name, size, tokio::fs::File::from_std(file), |amount| telling.advance(amount))
                    .await
                    .map_err(refused)?;
                Ok::<u64, PushError>(size)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0_u64, |sum, size| async move { Ok(sum.saturating_add(size)) })
        .await?;
    registry.push_manifest(text, &manifest.media_type).await.map_err(refused)?;
    Ok(Pushed { digest: digest.clone(), sent })
}

/// Nothing is removed while it is being sent. Waiting for that blocks a thread.
async fn hold(store: &Store) -> Result<Hold, StoreError> {
    let holding = store.clone();
    let held = tokio::task::spawn_blocking(move || holding.hold()).await;
    held.unwrap_or_else(|_| Err(StoreError::at(store.root(), io::ErrorKind::Interrupted.into())))
}
