//! What a fetch tells while it works. Showing it is the caller's job.

use std::time::{Duration, Instant};

/// One thing that happened to one artifact. Between [`Event::Started`] and [`Event::Finished`] there is one piece of work at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece of work began.
    Started {
        /// What it is, for example `pulling registry.k8s.io/etcd:3.6.14`.
        what: String,
        /// Bytes to come, when that is known.
        total: Option<u64>,
    },
    /// Some of it is done.
    Advanced {
        /// Bytes when [`Event::Started`] told a total, else packages compiled; since the last event.
        amount: u64,
    },
    /// Something worth a line: a wait, a module being downloaded, a source skipped.
    Message {
        /// The line, without an end of line.
        text: String,
    },
    /// The piece of work ended, well or not: the outcome is the fetch's result.
    Finished {
        /// How long it took.
        elapsed: Duration,
    },
}

/// Listens to fetches, several at once: `artifact` tells them apart.
pub trait Progress: Send + Sync {
    /// Something happened. Called from the fetching task, so it must return quickly.
    fn event(&self, artifact: &str, event: Event);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn event(&self, _artifact: &str, _event: Event) {}
}

impl<F: Fn(&str, Event) + Send + Sync> Progress for F {
    fn event(&self, artifact: &str, event: Event) {
        self(artifact, event);
    }
}

/// A listener bound to one artifact.
#[derive(Clone, Copy)]
pub(crate) struct Reporter<'a> {
    artifact: &'a str,
    progress: &'a dyn Progress,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(artifact: &'a str, progress: &'a dyn Progress) -> Self {
        Self { artifact, progress }
    }

    pub(crate) fn message(&self, text: impl Into<String>) {
        self.progress.event(self.artifact, Event::Message { text: text.into() });
    }

    /// Begins a piece of work, which ends when the answer is dropped.
    pub(crate) fn start(self, what: impl Into<String>, total: Option<u64>) -> Work<'a> {
        self.progress.event(self.artifact, Event::Started { what: what.into(), total });
        Work { reporter: self, began: Instant::now() }
    }
}

/// A piece of work under way.
pub(crate) struct Work<'a> {
    reporter: Reporter<'a>,
    began: Instant,
}

impl Work<'_> {
    pub(crate) fn advance(&self, amount: u64) {
        self.reporter.progress.event(self.reporter.artifact, Event::Advanced { amount });
    }

    pub(crate) fn message(&self, text: impl Into<String>) {
        self.reporter.message(text);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.reporter.progress.event(self.reporter.artifact, Event::Finished { elapsed: self.began.elapsed() });
    }
}
