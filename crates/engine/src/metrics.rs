//! Metrics under the names that controller-runtime's users know, so that their dashboards and alerts go on working.

mod process;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::family::MetricConstructor;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use process::Process;

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How one reconciliation ended; the `result` label of `controller_runtime_reconcile_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reconciled {
    /// Nothing is left to do.
    Success,
    /// It failed and is tried again with backoff.
    Error,
    /// It is to run again at once.
    Requeue,
    /// It is to run again at a stated time.
    RequeueAfter,
}

impl Reconciled {
    const ALL: [Self; 4] = [Self::Success, Self::Error, Self::Requeue, Self::RequeueAfter];

    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    controller: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByController {
    controller: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByName {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRequest {
    code: String,
    host: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWebhook {
    webhook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWebhookCode {
    webhook: String,
    code: u16,
}

/// A histogram over these upper bounds, in seconds.
#[derive(Clone, Copy, Debug)]
struct Seconds(&'static [f64]);

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// controller-runtime's buckets for reconciliations.
const RECONCILE: Seconds = Seconds(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0,
    3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
]);
/// controller-runtime's buckets for work queues: powers of ten from 10 ns.
const QUEUE: Seconds = Seconds(&[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0]);
/// controller-runtime's buckets for webhooks.
const WEBHOOK: Seconds =
    Seconds(&[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0]);

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;
type Spread<L> = Family<L, Histogram, Seconds>;

#[derive(Clone, Debug)]
struct Families {
    reconciles: Family<ByResult, Count>,
    reconcile_errors: Family<ByController, Count>,
    reconcile_time: Spread<ByController>,
    workers: Family<ByController, Level>,
    active: Family<ByController, Level>,
    depth: Family<ByName, Level>,
    adds: Family<ByName, Count>,
    retries: Family<ByName, Count>,
    waited: Spread<ByName>,
    worked: Spread<ByName>,
    requests: Family<ByRequest, Count>,
    leader: Family<ByName, Level>,
    webhooks: Family<ByWebhookCode, Count>,
    webhook_time: Spread<ByWebhook>,
}

/// A registry with nothing in it but what the system tells of this process.
#[must_use]
pub fn process() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process));
    registry
}

/// The process's metrics. Clones share the same values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    families: Families,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Every metric of the engine and of the process, all at nothing.
    #[must_use]
    pub fn new() -> Self {
        let families = Families {
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_time: Family::new_with_constructor(RECONCILE),
            workers: Family::default(),
            active: Family::default(),
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(QUEUE),
            worked: Family::new_with_constructor(QUEUE),
            requests: Family::default(),
            leader: Family::default(),
            webhooks: Family::default(),
            webhook_time: Family::new_with_constructor(WEBHOOK),
        };
        let mut registry = process();
        let f = families.clone();
        // The encoder appends `_total` to counters.
        registry.register("controller_runtime_reconcile", "Reconciliations per controller and result", f.reconciles);
        registry.register("controller_runtime_reconcile_errors", "Failed reconciliations per controller", f.reconcile_errors);
        registry.register("controller_runtime_reconcile_time_seconds", "Length of reconciliations per controller", f.reconcile_time);
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Most reconciliations at the same time per controller",
            f.workers,
        );
        registry.register("controller_runtime_active_workers", "Reconciliations running now per controller", f.active);
        registry.register("workqueue_depth", "Objects waiting in the work queue", f.depth);
        registry.register("workqueue_adds", "Objects added to the work queue", f.adds);
        registry.register("workqueue_retries", "Objects added again after a failure", f.retries);
        registry.register("workqueue_queue_duration_seconds", "How long an object waits in the work queue", f.waited);
        registry.register("workqueue_work_duration_seconds", "How long an object from the work queue is worked on", f.worked);
        registry.register("rest_client_requests", "Requests to the API server by code, method and host", f.requests);
        registry.register("leader_election_master_status", "Whether this process holds the lease: 1 it does, 0 it does not", f.leader);
        registry.register("controller_runtime_webhook_requests", "Webhook requests by path and HTTP status code", f.webhooks);
        registry.register("controller_runtime_webhook_latency_seconds", "Length of webhook requests by path", f.webhook_time);
        Self { registry: Arc::new(Mutex::new(registry)), families }
    }

    /// The metrics of one controller, with its counters at zero from now on so that rates are right from the first event.
    #[must_use]
    pub fn controller(&self, name: &str) -> ControllerMetrics {
        let f = &self.families;
        let label = ByController { controller: name.to_owned() };
        let results = Reconciled::ALL
            .map(|result| f.reconciles.get_or_create_owned(&ByResult { controller: name.to_owned(), result: result.label() }));
        ControllerMetrics {
            results,
            errors: f.reconcile_errors.get_or_create_owned(&label),
            time: f.reconcile_time.get_or_create_owned(&label),
            workers: f.workers.get_or_create_owned(&label),
            active: f.active.get_or_create_owned(&label),
        }
    }

    /// The metrics of one work queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> QueueMetrics {
        let f = &self.families;
        let label = ByName { name: name.to_owned() };
        QueueMetrics {
            depth: f.depth.get_or_create_owned(&label),
            adds: f.adds.get_or_create_owned(&label),
            retries: f.retries.get_or_create_owned(&label),
            waited: f.waited.get_or_create_owned(&label),
            worked: f.worked.get_or_create_owned(&label),
        }
    }

    /// Counts a request to an API server. `code` is the HTTP status, or `<error>` when there was no reply.
    pub fn request(&self, method: &str, host: &str, code: &str) {
        let label = ByRequest { code: code.to_owned(), host: host.to_owned(), method: method.to_owned() };
        self.families.requests.get_or_create(&label).inc();
    }

    /// Tells whether this process holds the lease `name`.
    pub fn leading(&self, name: &str, leading: bool) {
        self.families.leader.get_or_create(&ByName { name: name.to_owned() }).set(i64::from(leading));
    }

    /// Counts a webhook request at a registered path, answered with this HTTP status after `took`.
    pub fn webhook(&self, path: &str, code: u16, took: Duration) {
        self.families.webhooks.get_or_create(&ByWebhookCode { webhook: path.to_owned(), code }).inc();
        self.families.webhook_time.get_or_create(&ByWebhook { webhook: path.to_owned() }).observe(took.as_secs_f64());
    }

    /// Adds a provider's own metrics. Names must be new; the encoder appends `_total` to counters.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics as text of the type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Only if a metric added by [`Metrics::register`] fails to be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut buffer = String::new();
        text::encode(&mut buffer, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(buffer)
    }
}

/// The metrics of one controller. Clones share the same values.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    results: [Count; 4],
    errors: Count,
    time: Histogram,
    workers: Level,
    active: Level,
}

impl ControllerMetrics {
    /// Tells how many objects may be worked on at the same time.
    pub fn max_concurrent(&self, workers: usize) {
        self.workers.set(i64::try_from(workers).unwrap_or(i64::MAX));
    }

    /// A worker has begun with an object.
    pub fn worker_started(&self) {
        self.active.inc();
    }

    /// A worker is done with an object, whatever came of it.
    pub fn worker_finished(&self) {
        self.active.dec();
    }

    /// A reconciliation has ended after `took`.
    pub fn reconciled(&self, result: Reconciled, took: Duration) {
        self.results[result as usize].inc();
        if result == Reconciled::Error {
            self.errors.inc();
        }
        self.time.observe(took.as_secs_f64());
    }
}

/// The metrics of one work queue. Clones share the same values.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    depth: Level,
    adds: Count,
    retries: Count,
    waited: Histogram,
    worked: Histogram,
}

impl QueueMetrics {
    /// An object was added.
    pub fn added(&self) {
        self.adds.inc();
    }

    /// An object was added again because it failed.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// So many objects wait now.
    pub fn depth(&self, waiting: usize) {
        self.depth.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Work on an object has begun after it had waited so long.
    pub fn started(&self, waited: Duration) {
        self.waited.observe(waited.as_secs_f64());
    }

    /// Work on an object has ended after so long.
    pub fn finished(&self, took: Duration) {
        self.worked.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
