//! Controllers: workers that take names from a queue and look at them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use capstead_reconcile::{Look, Timestamp};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::Name;
use crate::metrics::{ControllerMetrics, Reconciled};
use crate::queue::Queue;

/// What looks after the objects of one kind.
pub trait Controller: Send + Sync + 'static {
    /// Looks at one object: observes, plans, applies. Never called twice at once for one name.
    fn pass(&self, name: &Name) -> impl Future<Output = Passed> + Send;
}

/// How a pass went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When to look again.
    pub look: Look,
    /// Whether something went wrong.
    pub failed: bool,
}

/// Works on `queue` with `workers` tasks, for ever.
///
/// # Errors
/// When a task panicked: a bug after which nothing is certain.
pub async fn run<C: Controller>(
    controller: Arc<C>,
    queue: Arc<Queue<Name>>,
    workers: usize,
    metrics: ControllerMetrics,
) -> Result<(), tokio::task::JoinError> {
    metrics.max_concurrent(workers);
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (controller, queue, metrics) = (Arc::clone(&controller), Arc::clone(&queue), metrics.clone());
        tasks.spawn(async move {
            loop {
                let name = queue.next().await;
                metrics.worker_started();
                let began = Instant::now();
                let span = tracing::debug_span!("reconcile", object = %name);
                let passed = controller.pass(&name).instrument(span).await;
                let took = began.elapsed();
                metrics.worker_finished();
                metrics.reconciled(reconciled(passed), took);
                if passed.failed {
                    queue.retried();
                }
                match passed.look {
                    Look::Now => queue.add(name.clone()),
                    Look::At(time) => queue.add_after(name.clone(), until(time, Timestamp::now())),
                    Look::OnChange => (),
                }
                queue.done(&name, took);
            }
        });
    }
    // Workers never end but by a panic.
    match tasks.join_next().await {
        Some(ended) => ended,
        None => Ok(()),
    }
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default()
}

fn reconciled(passed: Passed) -> Reconciled {
    match passed {
        Passed { failed: true, .. } => Reconciled::Error,
        Passed { look: Look::Now, .. } => Reconciled::Requeue,
        Passed { look: Look::At(_), .. } => Reconciled::RequeueAfter,
        Passed { look: Look::OnChange, .. } => Reconciled::Success,
    }
}
