//! The host: its records, one task for each microVM, and what the service asks of both.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_reconcile::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::accept::Drivers;
use crate::accept::accept;
use crate::effects::Effects;
use crate::machine;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::records::RecordError;
use crate::records::Records;
use crate::refusal::Refusal;
use crate::table::Created;
use crate::table::Table;
use crate::trace::Trace;
use crate::view::Shown;
use crate::view::view;

/// How a host behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After how many failures in a row a microVM is given up.
    pub most_failures: u32,
    /// How long a guest may take to shut down before its VMM is killed.
    pub grace: Duration,
}

impl Default for Settings {
    /// As flintlock's: 10 tries more, 10 s.
    fn default() -> Self {
        Self { most_failures: 10, grace: Duration::from_secs(10) }
    }
}

/// A host and its microVMs. Their VMMs outlive it.
#[derive(Debug)]
pub struct Host<E> {
    effects: E,
    settings: Settings,
    records: Records,
    metrics: Metrics,
    table: Mutex<Table>,
    tasks: Mutex<HashMap<String, Task>>,
}

/// What there is to say to and of the task of one microVM.
#[derive(Debug)]
struct Task {
    shown: Shown,
    wake: Arc<Notify>,
    handle: Option<JoinHandle<()>>,
    /// Of the call for which something is being done.
    trace: Trace,
}

impl<E: Effects + Drivers> Host<E> {
    /// Carries out a create.
    ///
    /// # Errors
    ///
    /// The spec is refused, its name is taken, or the record cannot be written.
    pub fn create(self: &Arc<Self>, spec: Option<MicroVmSpec>) -> Result<MicroVm, Refusal> {
        let spec = spec.ok_or_else(|| Refusal::invalid("invalid create microvm request: MicroVMSpec required"))?;
        let accepted = accept(spec, &self.effects)?;
        let mut table = lock(&self.table);
        let random = rand::random();
        match table.create(accepted, Timestamp::now(), random)? {
            Created::Existing(uid) => {
                drop(table);
                self.get(&uid)
            }
            Created::New(record) => {
                // On disk before anything is made under its name, and before anybody hears of it.
                self.records.write(&record).map_err(|error| Refusal::internal(format!("creating microvm: {}", chain(&error))))?;
                table.put(record.clone());
                drop(table);
                self.begin(&record);
                Ok(view(&record, &Shown::at_first(&record)))
            }
        }
    }
}

impl<E: Effects> Host<E> {
    /// A host with the records of this folder, whose microVMs it looks after at once. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. A record that cannot be is told in the log, and what it names is left alone.
    pub fn start(effects: E, settings: Settings, records: Records, metrics: Metrics) -> Result<Arc<Self>, RecordError> {
        let (known, unread) = records.all()?;
        for error in unread {
            tracing::error!(error = chain(&error), "a microVM is not looked after");
        }
        let mut table = Table::default();
        known.iter().for_each(|record| table.put(record.clone()));
        let host = Arc::new(Self { effects, settings, records, metrics, table: Mutex::new(table), tasks: Mutex::default() });
        known.iter().for_each(|record| host.begin(record));
        Ok(host)
    }

    /// Looks after nothing any more. The VMMs go on.
    pub fn stop(&self) {
        for task in lock(&self.tasks).values_mut() {
            task.handle.take().iter().for_each(JoinHandle::abort);
        }
    }

    fn begin(self: &Arc<Self>, record: &Record) {
        let task = Task { shown: Shown::at_first(record), wake: Arc::default(), handle: None, trace: Trace::current() };
        let mut tasks = lock(&self.tasks);
        let task = tasks.entry(record.uid.clone()).or_insert(task);
        // Held until the handle is stored, so the task finds itself there.
        task.handle = Some(tokio::spawn(machine::keep(Arc::clone(self), record.uid.clone())));
    }

    /// Takes a delete on. A second one changes nothing.
    ///
    /// # Errors
    ///
    /// There is no such microVM, or the record cannot be written.
    pub fn delete(&self, uid: &str) -> Result<(), Refusal> {
        let mut table = lock(&self.table);
        let record = table.get(uid, "deleting microvm: checking to see if spec exists")?;
        let deleted = record.deleted();
        if deleted != *record {
            self.records.write(&deleted).map_err(|error| Refusal::internal(format!("deleting microvm: {}", chain(&error))))?;
            table.put(deleted);
        }
        drop(table);
        if let Some(task) = lock(&self.tasks).get_mut(uid) {
            task.trace = Trace::current();
            task.wake.notify_one();
        }
        Ok(())
    }

    /// A microVM as clients see it.
    ///
    /// # Errors
    ///
    /// There is no such microVM.
    pub fn get(&self, uid: &str) -> Result<MicroVm, Refusal> {
        let doing = format!("getting microvm: error attempting to locate microvm with uid: {uid}");
        let table = lock(&self.table);
        Ok(self.view(table.get(uid, &doing)?))
    }

    /// All microVMs of this namespace and name; either is any when empty.
    #[must_use]
    pub fn list(&self, namespace: &str, name: &str) -> Vec<MicroVm> {
        lock(&self.table).list(namespace, name).map(|record| self.view(record)).collect()
    }

    fn view(&self, record: &Record) -> MicroVm {
        let shown = lock(&self.tasks).get(&record.uid).map_or_else(|| Shown::at_first(record), |task| task.shown.clone());
        view(record, &shown)
    }

    /// What reaches outside.
    #[must_use]
    pub fn effects(&self) -> &E {
        &self.effects
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The metrics of now.
    pub(crate) fn metrics_text(&self) -> Result<String, std::fmt::Error> {
        let table = lock(&self.table);
        let tasks = lock(&self.tasks);
        let state = |record: &Record| match tasks.get(&record.uid) {
            Some(task) if !record.deleted => task.shown.state,
            _ => Shown::at_first(record).state,
        };
        self.metrics.text(table.list("", "").map(|record| (state(record), record.driver.clone())))
    }

    pub(crate) fn most_failures(&self) -> u32 {
        self.settings.most_failures
    }

    pub(crate) fn grace(&self) -> Duration {
        self.settings.grace
    }

    pub(crate) fn record(&self, uid: &str) -> Option<Record> {
        lock(&self.table).get(uid, "").ok().cloned()
    }

    /// Keeps what a task noted. On a full disk it is kept in memory alone: whatever it says is found out again after a restart.
    pub(crate) fn keep_record(&self, record: Record) {
        let mut table = lock(&self.table);
        if table.get(&record.uid, "").is_ok_and(|known| *known == record) {
            return;
        }
        if let Err(error) = self.records.write(&record) {
            tracing::warn!(uid = record.uid, error = chain(&error), "cannot write down what became of a microVM");
        }
        table.put(record);
    }

    /// Removes the record: the microVM is gone.
    pub(crate) fn forget(&self, uid: &str) -> Result<(), String> {
        let mut table = lock(&self.table);
        self.records.remove(uid).map_err(|error| chain(&error))?;
        table.remove(uid);
        lock(&self.tasks).remove(uid);
        Ok(())
    }

    pub(crate) fn show(&self, uid: &str, shown: Shown) {
        if let Some(task) = lock(&self.tasks).get_mut(uid) {
            task.shown = shown;
        }
    }

    /// The trace of the call for which something is done for this microVM now.
    pub(crate) fn trace(&self, uid: &str) -> Trace {
        lock(&self.tasks).get(uid).map(|task| task.trace.clone()).unwrap_or_default()
    }

    /// All that a call wanted is done: what comes next has another cause.
    pub(crate) fn settled(&self, uid: &str) {
        if let Some(task) = lock(&self.tasks).get_mut(uid) {
            task.trace = Trace::default();
        }
    }

    /// Waits until somebody wants something of this microVM, or it is time.
    pub(crate) async fn rest(&self, uid: &str, until: Option<Timestamp>) {
        let Some(wake) = lock(&self.tasks).get(uid).map(|task| Arc::clone(&task.wake)) else { return };
        match until {
            None => wake.notified().await,
            Some(until) => {
                let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
                // An error only tells that it is time.
                let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), wake.notified()).await;
            }
        }
    }

    /// Waits until a microVM that was not to go is to go.
    pub(crate) async fn turned(&self, uid: &str, deleted: bool) {
        if deleted {
            return std::future::pending().await;
        }
        while self.record(uid).is_some_and(|record| !record.deleted) {
            self.rest(uid, None).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error and what is below it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
pub(crate) mod tests;
