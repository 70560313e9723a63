//! Images out of registries.

use std::path::Path;

use capstead_artifact::Progress;
use capstead_artifact::oci::{OciDescriptor, OciError, Registry};
use futures::{StreamExt, TryStreamExt, stream};

use super::{PullError, PullOptions, Telling, finish, locked};
use crate::Digest;
use crate::store::{Image, Manifest, Store, StoreError, Work};

/// How many parts are on their way at a time, as containerd has it.
const AT_ONCE: usize = 3;

/// What may go wrong with one part.
enum Failure {
    Registry(OciError),
    Store(StoreError),
}

pub(super) async fn pull(
    store: &Store,
    name: &str,
    options: &PullOptions,
    progress: &dyn Progress,
    work: &Work,
) -> Result<Image, PullError> {
    let failed = |failure| match failure {
        Failure::Registry(source) => PullError::Registry { reference: name.to_owned(), source },
        Failure::Store(source) => PullError::Store { reference: name.to_owned(), source },
    };
    let refused = |source| failed(Failure::Registry(source));
    let stored = |source| failed(Failure::Store(source));
    let registry = Registry::connect(name, &options.mirrors).await.map_err(refused)?;
    let image = registry.image(&options.platform).await.map_err(refused)?;
    let found = Digest::of(&image.bytes);
    if found.to_string() != image.digest {
        let (expected, got) = (image.digest, found.to_string());
        return Err(stored(StoreError::Mismatch { what: format!("the manifest of {name}"), expected, got }));
    }
    let manifest = Manifest::parse(&image.bytes, &format!("the manifest of {name}")).map_err(stored)?;
    let (size, limit) = (manifest.size(), options.limits.bytes);
    if size > limit {
        return Err(PullError::TooLarge { reference: name.to_owned(), size, limit });
    }
    let telling = Telling::start(progress, name, format!("pulling {name}"), Some(size));
    let mut parts: Vec<(Digest, OciDescriptor)> = Vec::new();
    for (part, descriptor) in manifest.parts().zip(std::iter::once(&image.manifest.config).chain(&image.manifest.layers)) {
        // A layer may be named twice.
        if parts.iter().all(|(digest, _)| *digest != part.digest) {
            parts.push((part.digest.clone(), descriptor.clone()));
        }
    }
    stream::iter(parts.into_iter().enumerate())
        .map(|(number, (digest, descriptor))| {
            let path = work.path().join(number.to_string());
            let (registry, telling) = (&registry, &telling);
            async move { fetch(store, registry, &digest, &descriptor, &path, telling).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await
        .map_err(failed)?;
    finish(store, work, name, &image.bytes, size).map_err(stored)
}

async fn fetch(
    store: &Store,
    registry: &Registry,
    digest: &Digest,
    descriptor: &OciDescriptor,
    path: &Path,
    telling: &Telling<'_>,
) -> Result<(), Failure> {
    let size = u64::try_from(descriptor.size).unwrap_or_default();
    let key = format!("blob-{}", digest.hex());
    let (_lock, _) = locked(store, &key, || {}).await.map_err(Failure::Store)?;
    if store.has_blob(digest) {
        telling.advance(size);
        return Ok(());
    }
    let at = |error| Failure::Store(StoreError::at(path, error));
    let mut file = tokio::fs::File::create(path).await.map_err(at)?;
    registry.blob(descriptor, &mut file, |amount| telling.advance(amount)).await.map_err(Failure::Registry)?;
    drop(file);
    // It is synced to disk, which may take long.
    let (taking, from, to) = (store.clone(), path.to_path_buf(), store.blob_path(digest));
    let taken = tokio::task::spawn_blocking(move || taking.take_in(&from, &to)).await;
    taken.unwrap_or_else(|_| Err(StoreError::at(path, std::io::ErrorKind::Interrupted.into()))).map_err(Failure::Store)
}
