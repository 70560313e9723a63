//! From a reference to an image in the store: out of a registry, a folder, an archive or a file.
//!
//! Every part is checked against its digest and size before it gets its name. Two that pull one image at once share the work; so do two
//! images that have a layer in common. Dropping the future of a pull from a registry stops it; what was whole by then is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use capstead_artifact::oci::{Mirrors, OciError};
use capstead_artifact::{Event, Platform, Progress};
use thiserror::Error;

use crate::Limits;
use crate::reference::Reference;
use crate::store::{Image, Lock, Store, StoreError, Stored, Work, record_key};

mod files;
mod local;
mod registry;
#[cfg(test)]
mod tests;

/// How often a waiting pull looks whether it is its turn. Looking, unlike waiting in the kernel, ends at once when the caller gives up.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// Where registries are really asked.
    pub mirrors: Mirrors,
    /// Which of an image's platforms is wanted; this machine's by default.
    pub platform: Platform,
    /// What an image may take.
    pub limits: Limits,
    /// Ask again for what is there already: a tag may stand for something else by now.
    pub always: bool,
}

/// Why an image could not be pulled.
#[derive(Debug, Error)]
pub enum PullError {
    /// The registry.
    #[error("cannot pull {reference}")]
    Registry {
        /// The reference.
        reference: String,
        /// Why.
        source: OciError,
    },
    /// The store.
    #[error("cannot store {reference}")]
    Store {
        /// The reference.
        reference: String,
        /// Why.
        source: StoreError,
    },
    /// A file of this host cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder or an archive is not what it should be.
    #[error("{} is not what it should be: {reason}", path.display())]
    Layout {
        /// The folder or archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest announces more than is allowed.
    #[error("{reference} has {size} bytes: at most {limit} are allowed")]
    TooLarge {
        /// The reference.
        reference: String,
        /// Its size as announced.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// The work was given up: the process is ending.
    #[error("pulling {reference} was stopped")]
    Stopped {
        /// The reference.
        reference: String,
    },
}

/// Gets an image into the store, unless it is there.
///
/// `progress` hears how far it is, under the reference's plain form.
///
/// # Errors
/// When the image cannot be had, or is not what its digests say, or cannot be stored.
pub async fn pull(store: &Store, reference: &Reference, options: &PullOptions, progress: &dyn Progress) -> Result<Image, PullError> {
    let name = reference.to_string();
    let stored = |source| PullError::Store { reference: name.clone(), source };
    let there = || -> Result<Option<Image>, PullError> {
        let image = store.get(&name).map_err(stored)?;
        Ok(image.filter(|image| store.is_whole(&image.stored)))
    };
    if !options.always
        && let Some(image) = there()?
    {
        return Ok(image);
    }
    let (lock, waited) = locked(store, &record_key(&name), || {
        progress.event(&name, Event::Message { text: format!("waiting for another pull of {name}") });
    })
    .await
    .map_err(stored)?;
    // What another brought while this one waited is as new as what it would bring itself.
    if (waited || !options.always)
        && let Some(image) = there()?
    {
        return Ok(image);
    }
    let work = store.work(&lock).map_err(stored)?;
    if let Reference::Registry(_) = reference {
        return registry::pull(store, &name, options, progress, &work).await;
    }
    let telling = Telling::start(progress, &name, format!("reading {name}"), None);
    let (store, reference, options) = (store.clone(), reference.clone(), options.clone());
    // The lock goes along: the thread works on if the caller gives up.
    let read = tokio::task::spawn_blocking(move || local::import(&store, &reference, &options, (lock, work)));
    let result = read.await.unwrap_or_else(|_| Err(PullError::Stopped { reference: name.clone() }));
    drop(telling);
    result
}

/// Waits for the right to make something, saying so. Whether it had to wait.
async fn locked(store: &Store, key: &str, mut tell: impl FnMut()) -> Result<(Lock, bool), StoreError> {
    let mut waited = false;
    loop {
        if let Some(lock) = store.try_lock(key)? {
            return Ok((lock, waited));
        }
        if !waited {
            tell();
        }
        waited = true;
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// A piece of work that is told of, until it is dropped.
pub(crate) struct Telling<'a> {
    progress: &'a dyn Progress,
    name: &'a str,
    began: Instant,
}

impl<'a> Telling<'a> {
    pub(crate) fn start(progress: &'a dyn Progress, name: &'a str, what: String, total: Option<u64>) -> Self {
        progress.event(name, Event::Started { what, total });
        Self { progress, name, began: Instant::now() }
    }

    pub(crate) fn advance(&self, amount: u64) {
        self.progress.event(self.name, Event::Advanced { amount });
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.progress.event(self.name, Event::Finished { elapsed: self.began.elapsed() });
    }
}

/// Stores a manifest whose parts are all there, and makes the reference stand for it.
fn finish(store: &Store, work: &Work, name: &str, manifest: &[u8], size: u64) -> Result<Image, StoreError> {
    let (digest, _) = store.put_blob(work, manifest, None)?;
    let image = Image::new(name.to_owned(), Stored::Image { manifest: digest }, size);
    store.put(&image)?;
    Ok(image)
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> PullError {
    let path = path.to_path_buf();
    move |source| PullError::Read { path: path.clone(), source }
}
