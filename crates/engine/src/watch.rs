//! Watching one kind.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{StreamExt, pin_mut};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::Name;
use crate::store::{Store, Version};

/// Keeps `store` as the API server has it, for ever. `keep` says what is to be known of an object; `changed` is told of each change that
/// is not the echo of an own write: name, value before, value now.
///
/// An object that cannot be read is logged and left as it was last understood; it stops nothing else. A broken watch is made again.
pub async fn keep<K, V>(
    api: Api<DeserializeGuard<K>>,
    store: Arc<Store<V>>,
    keep: impl Fn(K) -> V,
    changed: impl Fn(&Name, Option<&V>, Option<&V>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watcher(api, watcher::Config::default()).backoff(pauses());
    pin_mut!(events);
    let kind = K::kind(&());
    let mut listed = HashSet::new();
    let take = |object: DeserializeGuard<K>| {
        let name = Name::of(&object);
        let version = Version::read(object.meta().resource_version.as_deref());
        let uid = object.uid().unwrap_or_default();
        match object.0 {
            Err(invalid) => tracing::warn!(%kind, %name, error = invalid.error, "an object cannot be read, and is left as it was"),
            Ok(object) => {
                let value = Arc::new(keep(object));
                if let Some(before) = store.seen(&name, version, uid, Arc::clone(&value)) {
                    changed(&name, before.as_deref(), Some(&value));
                }
            }
        }
        name
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(take(object));
            }
            Ok(Event::InitDone) => {
                for (name, value) in store.complete(&listed) {
                    changed(&name, Some(&value), None);
                }
                listed = HashSet::new();
            }
            Ok(Event::Apply(object)) => {
                take(object);
            }
            Ok(Event::Delete(object)) => {
                let name = Name::of(&object);
                if let Some(value) = store.gone(&name, &object.uid().unwrap_or_default()) {
                    changed(&name, Some(&value), None);
                }
            }
            Err(error) => tracing::warn!(%kind, error = %crate::error_chain(&error), "a watch broke and is made again"),
        }
    }
}

/// Between tries to watch: short, for whoever waits for a change waits that long after an API server came back.
fn pauses() -> watcher::ExponentialBackoff {
    let (first, longest) = (Duration::from_millis(200), Duration::from_secs(5));
    ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest).with_jitter().without_max_times().into()
}
