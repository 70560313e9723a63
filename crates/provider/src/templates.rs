//! Templates tell what they offer: a status that follows from the spec alone.

use std::sync::Arc;
use std::time::Duration;

use capstead_capi::meta;
use capstead_engine::metrics::Metrics;
use capstead_engine::{Controller, Kind, Name, Object, Passed, Queue, Store, controller, watch};
use capstead_reconcile::{Look, Outcome, Timestamp, later};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use crate::manager::{ManagerError, Options};

/// Keeps the status of all templates of kind `T` as `status` has it; for a kind whose templates tell something, such as what the cluster autoscaler wants to
/// know before there is any machine. `name` is the field manager.
///
/// # Errors
/// When a worker panicked.
pub async fn templates<T: Kind>(
    client: &Client,
    metrics: &Metrics,
    options: &Options,
    name: &'static str,
    status: fn(&T) -> Value,
) -> Result<(), ManagerError> {
    let kind = T::kind(&()).to_ascii_lowercase();
    let queue = Arc::new(Queue::new(metrics.queue(&kind)));
    let store = Arc::new(Store::<T>::default());
    let api: Api<DeserializeGuard<T>> = match options.namespace.as_deref() {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let concerned = Arc::clone(&queue);
    let watched =
        watch::keep(api, Arc::clone(&store), lean::<T>, move |name: &Name, _: Option<&T>, _: Option<&T>| concerned.add(name.clone()));
    let teller = Teller { client: client.clone(), store, filter: options.watch_filter.clone(), manager: name, status };
    tokio::select! {
        () = watched => Ok(()),
        ended = controller::run(Arc::new(teller), queue, 1, metrics.controller(&kind)) => ended.map_err(ManagerError::Worker),
    }
}

fn lean<T: Resource>(mut object: T) -> T {
    object.meta_mut().managed_fields = None;
    object
}

struct Teller<T> {
    client: Client,
    store: Arc<Store<T>>,
    filter: String,
    manager: &'static str,
    status: fn(&T) -> Value,
}

/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

impl<T: Kind> Controller for Teller<T> {
    async fn pass(&self, name: &Name) -> Passed {
        let settled = Passed { look: Look::OnChange, failed: false };
        let Some(mut object) = Object::of(&self.client, &self.store, name, self.manager) else { return settled };
        let current = object.current();
        if current.meta().deletion_timestamp.is_some() || !meta::matches_watch_filter(&**current, &self.filter) {
            return settled;
        }
        let wanted = (self.status)(current);
        // What another wrote into other fields of it is left alone.
        let told = serde_json::to_value(&**current).map(|mut object| object["status"].take()).unwrap_or_default();
        if includes(&told, &wanted) {
            return settled;
        }
        match object.apply_status(&wanted).await {
            Outcome::Done => settled,
            Outcome::Gone => Passed { look: Look::At(later(Timestamp::now(), Duration::from_millis(500))), failed: false },
            outcome => {
                tracing::warn!(object = %name, kind = %T::kind(&()), ?outcome, "the status cannot be told");
                Passed { look: Look::At(later(Timestamp::now(), AGAIN)), failed: true }
            }
        }
    }
}

/// Whether everything of `part` is in `whole`.
fn includes(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| includes(whole, part)))
        }
        _ => whole == part || (whole.is_null() && *part == json!({})),
    }
}

#[cfg(test)]
mod tests;
