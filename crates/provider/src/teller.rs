//! Kinds of which something is told, and for which nothing is made and nothing is taken away.

use std::sync::Arc;
use std::time::Duration;

use capstead_capi::meta;
use capstead_engine::metrics::Metrics;
use capstead_engine::{Controller, Kind, Name, Object, Passed, Queue, Store, controller, watch};
use capstead_reconcile::{Look, Outcome, Plan, Timestamp, later};
use kube::{Client, Resource};
use serde_json::Value;

use crate::manager::{ManagerError, Options, Wake, api, lean};

/// Tells something of all objects of a kind. It looks at what is known already, and decides; [`tell`] does the rest: watch, gates, writes.
pub trait Teller: Send + Sync + 'static {
    /// The kind, in its storage version.
    type Object: Kind;

    /// Those that are known.
    fn objects(&self) -> &Objects<Self::Object>;

    /// What is to be written to an object that is not being deleted.
    fn plan(&self, name: &Name, object: &Self::Object) -> Plan<Write>;

    /// An object came, changed or went, and not by an own write. Who tells of each object by itself leaves it as it is.
    fn changed(&self, _name: &Name, _before: Option<&Self::Object>, _now: Option<&Self::Object>) {}
}

/// A write to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A JSON merge patch of metadata.
    Metadata(Value),
    /// The whole of what we say in status.
    Status(Value),
}

/// The objects of a kind as the API server has them, and how to ask for another look at one.
#[derive(Debug)]
pub struct Objects<K> {
    /// What the watch knows.
    pub store: Arc<Store<K>>,
    /// The queue.
    pub wake: Wake,
}

impl<K: Kind> Objects<K> {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { store: Arc::default(), wake: Wake(Arc::new(Queue::new(metrics.queue(&word::<K>())))) }
    }
}

/// The kind as metrics name it.
fn word<K: Kind>() -> String {
    K::kind(&()).to_ascii_lowercase()
}

/// Has `teller` tell of all objects of its kind, for ever. `name` is the field manager.
///
/// # Errors
/// When a worker panicked.
pub async fn tell<T: Teller>(
    client: &Client,
    metrics: &Metrics,
    options: &Options,
    name: &'static str,
    teller: Arc<T>,
) -> Result<(), ManagerError> {
    let Objects { store, wake: Wake(queue) } = teller.objects();
    let (store, queue, concerned) = (Arc::clone(store), Arc::clone(queue), Arc::clone(&teller));
    let watched = watch::keep(
        api(client, options.namespace.as_deref()),
        Arc::clone(&store),
        lean,
        move |name: &Name, before: Option<&T::Object>, now: Option<&T::Object>| {
            concerned.objects().wake.wake(name.clone());
            concerned.changed(name, before, now);
        },
    );
    let telling = Telling { client: client.clone(), filter: options.watch_filter.clone(), manager: name, teller };
    let told = async {
        store.synced().await;
        controller::run(Arc::new(telling), queue, 1, metrics.controller(&word::<T::Object>())).await
    };
    tokio::select! {
        () = watched => Ok(()),
        ended = told => ended.map_err(ManagerError::Worker),
    }
}

struct Telling<T> {
    client: Client,
    filter: String,
    manager: &'static str,
    teller: Arc<T>,
}

/// After a conflict: the watch brings the news sooner, as a rule.
const CONFLICT: Duration = Duration::from_millis(500);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

impl<T: Teller> Controller for Telling<T> {
    async fn pass(&self, name: &Name) -> Passed {
        let settled = Passed { look: Look::OnChange, failed: false };
        let Some(mut object) = Object::of(&self.client, &self.teller.objects().store, name, self.manager) else { return settled };
        let current = object.current();
        if current.meta().deletion_timestamp.is_some() || !meta::matches_watch_filter(&**current, &self.filter) {
            return settled;
        }
        let plan = self.teller.plan(name, current);
        tracing::debug!(object = %name, kind = %T::Object::kind(&()), steps = ?plan.steps, waits = ?plan.waits, "planned");
        for write in plan.steps {
            let outcome = match write {
                Write::Metadata(patch) => object.merge(patch).await,
                Write::Status(status) => object.apply_status(&status).await,
            };
            match outcome {
                Outcome::Done => (),
                Outcome::Gone => return Passed { look: Look::At(later(Timestamp::now(), CONFLICT)), failed: false },
                outcome => {
                    tracing::warn!(object = %name, kind = %T::Object::kind(&()), ?outcome, "what is to be told cannot be written");
                    return Passed { look: Look::At(later(Timestamp::now(), AGAIN)), failed: true };
                }
            }
        }
        settled
    }
}
