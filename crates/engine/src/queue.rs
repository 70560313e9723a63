//! The work queue: names to look at, each at its time, none twice at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::QueueMetrics;

/// What is due when. Pure: time comes from outside.
#[derive(Debug)]
struct Schedule<K> {
    due: BTreeSet<(Instant, K)>,
    waiting: HashMap<K, Instant>,
    running: HashSet<K>,
    /// Asked for while running: comes back when done.
    again: HashMap<K, Instant>,
}

impl<K: Clone + Eq + Hash + Ord> Schedule<K> {
    fn new() -> Self {
        Self { due: BTreeSet::new(), waiting: HashMap::new(), running: HashSet::new(), again: HashMap::new() }
    }

    /// Asks for `key` at `at`, or earlier if it was asked for earlier. Returns whether it was not asked for before.
    fn add(&mut self, key: K, at: Instant) -> bool {
        if self.running.contains(&key) {
            let known = self.again.entry(key).or_insert(at);
            *known = at.min(*known);
            return false;
        }
        match self.waiting.get(&key).copied() {
            Some(earlier) if earlier <= at => false,
            known => {
                if let Some(later) = known {
                    self.due.remove(&(later, key.clone()));
                }
                self.due.insert((at, key.clone()));
                self.waiting.insert(key, at);
                known.is_none()
            }
        }
    }

    /// The key that is due longest, with its time; it then runs until [`Schedule::done`].
    fn take(&mut self, now: Instant) -> Option<(K, Instant)> {
        let (at, key) = self.due.first().filter(|(at, _)| *at <= now).cloned()?;
        self.due.remove(&(at, key.clone()));
        self.waiting.remove(&key);
        self.running.insert(key.clone());
        Some((key, at))
    }

    /// The key no longer runs.
    fn done(&mut self, key: &K) {
        self.running.remove(key);
        if let Some(at) = self.again.remove(key) {
            self.add(key.clone(), at);
        }
    }

    fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many are due now.
    fn depth(&self, now: Instant) -> usize {
        self.due.iter().take_while(|(at, _)| *at <= now).count()
    }
}

/// A queue that many ask and many work on.
#[derive(Debug)]
pub struct Queue<K> {
    schedule: Mutex<Schedule<K>>,
    changed: Notify,
    metrics: QueueMetrics,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new(metrics: QueueMetrics) -> Self {
        Self { schedule: Mutex::new(Schedule::new()), changed: Notify::new(), metrics }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule<K>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look at `key` now.
    pub fn add(&self, key: K) {
        self.add_at(key, Instant::now());
    }

    /// Asks for a look at `key` after a while.
    pub fn add_after(&self, key: K, wait: Duration) {
        self.add_at(key, Instant::now() + wait);
    }

    /// Counts a look that follows a failure.
    pub(crate) fn retried(&self) {
        self.metrics.retried();
    }

    fn add_at(&self, key: K, at: Instant) {
        if self.schedule().add(key, at) {
            self.metrics.added();
        }
        self.changed.notify_one();
    }

    /// Waits for the next key that is due. It is given to nobody else before [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let next = {
                let mut schedule = self.schedule();
                let now = Instant::now();
                if let Some((key, at)) = schedule.take(now) {
                    self.metrics.depth(schedule.depth(now));
                    // Another worker may have slept through the notice that this one got.
                    if schedule.next().is_some() {
                        self.changed.notify_one();
                    }
                    self.metrics.started(now - at);
                    return key;
                }
                schedule.next()
            };
            match next {
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => (),
                        () = self.changed.notified() => (),
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// The key's work is over.
    pub fn done(&self, key: &K, took: Duration) {
        self.schedule().done(key);
        self.metrics.finished(took);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
