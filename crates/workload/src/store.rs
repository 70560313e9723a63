//! The objects of one cluster, as an API server keeps them: versions, preconditions, finalizers, owners, and a history for watches.
//!
//! Pure: no clock, no randomness, no I/O. Objects are kept as JSON text, which is a tenth of a parsed tree and what clients are sent anyway.

mod delete;
mod history;
mod metadata;
mod object;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use jiff::Timestamp;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::watch;

pub use delete::Deleted;
pub use delete::Deletion;
pub use history::Event;
pub use history::Expired;
pub use object::Object;
pub use write::Part;
pub use write::WriteError;

use history::History;

/// A name within a resource: namespace (empty for cluster-wide ones) and name.
type Name = (Box<str>, Box<str>);

/// The objects of one cluster.
///
/// A resource is named `plural` in the core group, else `plural.group`: `pods`, `deployments.apps`.
pub struct Store {
    seed: u64,
    /// Names and uids made so far.
    made: u64,
    revision: u64,
    objects: BTreeMap<Arc<str>, BTreeMap<Name, Arc<Object>>>,
    history: History,
    changed: watch::Sender<u64>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("revision", &self.revision).field("objects", &self.len()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store. The same seed and the same calls in the same order bring the same uids.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // 0 means "any version" to clients, so the first version is 1.
        let revision = 1;
        let changed = watch::Sender::new(revision);
        Self { seed, made: 0, revision, objects: BTreeMap::new(), history: History::new(revision), changed }
    }

    /// The latest resourceVersion.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object of that name; `namespace` is empty for cluster-wide resources.
    #[must_use]
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(resource)?.get(&(namespace.into(), name.into()))
    }

    /// The objects of a resource, in a namespace or in all, by namespace and name.
    pub fn list<'a>(&'a self, resource: &str, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Object>> {
        let from: Name = (namespace.unwrap_or_default().into(), "".into());
        let found = self.objects.get(resource).into_iter().flat_map(move |objects| objects.range(from.clone()..));
        found.take_while(move |((at, _), _)| namespace.is_none_or(|namespace| **at == *namespace)).map(|(_, object)| object)
    }

    /// Every object.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().flat_map(BTreeMap::values)
    }

    /// What changed after `revision`, oldest first.
    ///
    /// # Errors
    /// When that is too long ago.
    pub fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Event>, Expired> {
        self.history.since(revision)
    }

    /// Tells the latest resourceVersion whenever it has grown; [`Store::since`] has the rest.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Forgets the history, as a compaction of etcd does: watches from an earlier version are told that it is too old.
    pub fn compact(&mut self) {
        self.history = History::new(self.revision);
    }

    /// A copy to try something on; nobody who watches this store is told.
    #[must_use]
    pub fn trial(&self) -> Self {
        Self {
            seed: self.seed,
            made: self.made,
            revision: self.revision,
            objects: self.objects.clone(),
            history: History::new(self.revision),
            changed: watch::Sender::new(self.revision),
        }
    }

    /// 16 bytes that this store has not made before.
    fn fresh(&mut self) -> [u8; 16] {
        self.made += 1;
        let digest = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(self.made.to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }

    /// Puts `value` there as a new version.
    fn commit(&mut self, resource: &str, mut value: Value) -> Arc<Object> {
        self.revision += 1;
        metadata::set(&mut value, "resourceVersion", Value::String(self.revision.to_string()));
        let resource = self.resource(resource);
        let object = Arc::new(Object::new(Arc::clone(&resource), self.revision, &value));
        let name = (object.namespace().into(), object.name().into());
        let previous = self.objects.entry(resource).or_default().insert(name, Arc::clone(&object));
        self.told(Event { object: Arc::clone(&object), previous, deleted: false });
        object
    }

    /// Takes an object away. Its last version tells when.
    fn take(&mut self, object: &Arc<Object>) -> Arc<Object> {
        self.revision += 1;
        if let Some(objects) = self.objects.get_mut(object.resource()) {
            objects.remove(&(object.namespace().into(), object.name().into()));
        }
        let mut value = object.value();
        metadata::set(&mut value, "resourceVersion", Value::String(self.revision.to_string()));
        let last = Arc::new(Object::new(Arc::clone(object.resource_shared()), self.revision, &value));
        self.told(Event { object: Arc::clone(&last), previous: Some(Arc::clone(object)), deleted: true });
        last
    }

    fn told(&mut self, event: Event) {
        self.history.push(event);
        self.changed.send_replace(self.revision);
    }

    /// The one shared copy of a resource's name.
    fn resource(&self, resource: &str) -> Arc<str> {
        self.objects.get_key_value(resource).map_or_else(|| Arc::from(resource), |(shared, _)| Arc::clone(shared))
    }
}

/// A store that several hold.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// Shares a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// The store, for this caller alone. Never hold it over an `.await`.
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        // Every change of a store is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As Kubernetes writes times in metadata.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
