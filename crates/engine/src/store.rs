//! What the watches of one kind have seen.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::Name;

/// Values of one kind by name. A value is what somebody needs to know of an object, often far less than the object.
pub struct Store<V> {
    entries: RwLock<HashMap<Name, Entry<V>>>,
    synced: watch::Sender<bool>,
}

struct Entry<V> {
    version: Version,
    uid: String,
    value: Arc<V>,
}

/// A resourceVersion. Since Kubernetes 1.35 they may be compared as numbers, and could in fact before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(Option<u64>);

impl Version {
    pub(crate) fn read(version: Option<&str>) -> Self {
        Self(version.and_then(|version| version.parse().ok()))
    }

    /// Whether this is surely older than or the same as `other`.
    fn is_no_news_to(self, other: Self) -> bool {
        matches!((self.0, other.0), (Some(this), Some(other)) if this <= other)
    }
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self { entries: RwLock::default(), synced: watch::Sender::new(false) }
    }
}

impl<V> fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("entries", &self.read().len()).finish_non_exhaustive()
    }
}

impl<V> Store<V> {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Name, Entry<V>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Name, Entry<V>>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<Arc<V>> {
        self.read().get(name).map(|entry| Arc::clone(&entry.value))
    }

    /// The names of all values that `wanted` wants.
    pub fn names(&self, mut wanted: impl FnMut(&V) -> bool) -> Vec<Name> {
        self.read().iter().filter(|(_, entry)| wanted(&entry.value)).map(|(name, _)| name.clone()).collect()
    }

    /// How many values `wanted` wants.
    pub fn count(&self, mut wanted: impl FnMut(&V) -> bool) -> usize {
        self.read().values().filter(|entry| wanted(&entry.value)).count()
    }

    /// Waits until everything that was there at the start has been seen.
    pub async fn synced(&self) {
        // The sender lives as long as the store.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Takes in what a watch says. Returns the value before; `None` when this is no news.
    pub(crate) fn seen(&self, name: &Name, version: Version, uid: String, value: Arc<V>) -> Option<Option<Arc<V>>> {
        let mut entries = self.write();
        let known = entries.get(name).filter(|known| known.uid == uid);
        if known.is_some_and(|known| version.is_no_news_to(known.version)) {
            return None;
        }
        let before = entries.insert(name.clone(), Entry { version, uid, value });
        Some(before.map(|entry| entry.value))
    }

    /// Takes in the reply to an own write, so that the next look does not wait for the watch. Only for an object that is still known: a reply that
    /// comes after the object went must not bring it back.
    pub(crate) fn wrote(&self, name: &Name, version: Version, uid: &str, value: Arc<V>) {
        if let Some(known) = self.write().get_mut(name)
            && known.uid == uid
            && !version.is_no_news_to(known.version)
        {
            known.version = version;
            known.value = value;
        }
    }

    /// Takes in that an object is gone. An object made again under the same name stays.
    pub(crate) fn gone(&self, name: &Name, uid: &str) -> Option<Arc<V>> {
        let mut entries = self.write();
        if entries.get(name).is_some_and(|known| known.uid == uid) { entries.remove(name).map(|entry| entry.value) } else { None }
    }

    /// Takes in that these are all there are, and that everything was seen. Returns what is gone.
    pub(crate) fn complete(&self, seen: &std::collections::HashSet<Name>) -> Vec<(Name, Arc<V>)> {
        let mut entries = self.write();
        let gone: Vec<Name> = entries.keys().filter(|name| !seen.contains(name)).cloned().collect();
        let gone = gone.into_iter().filter_map(|name| entries.remove(&name).map(|entry| (name, entry.value))).collect();
        drop(entries);
        self.synced.send_replace(true);
        gone
    }
}

#[cfg(test)]
mod tests;
