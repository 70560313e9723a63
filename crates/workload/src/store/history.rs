//! What changed lately.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Object;

/// Events kept.
const EVENTS: usize = 2048;
/// Bytes of JSON kept alive by them. A watch that is further behind lists again.
const BYTES: usize = 256 * 1024;

/// The history does not reach back that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    /// What was asked for.
    pub asked: u64,
    /// The oldest that a watch may begin at.
    pub oldest: u64,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Event {
    /// The new version, or the last if it was deleted.
    pub object: Arc<Object>,
    /// The version before; `None` if it was created.
    pub previous: Option<Arc<Object>>,
    /// Whether it is gone.
    pub deleted: bool,
}

impl Event {
    fn bytes(&self) -> usize {
        self.object.json().len()
    }
}

#[derive(Debug)]
pub(super) struct History {
    /// Everything after this version is known.
    from: u64,
    bytes: usize,
    events: VecDeque<Event>,
}

impl History {
    pub(super) fn new(from: u64) -> Self {
        Self { from, bytes: 0, events: VecDeque::new() }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        // The newest stays, however large, so that a watch which keeps up never expires.
        while self.events.len() > 1 && (self.events.len() > EVENTS || self.bytes > BYTES) {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.from = oldest.object.revision();
        }
    }

    pub(super) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Event>, Expired> {
        if revision < self.from {
            return Err(Expired { asked: revision, oldest: self.from });
        }
        let first = self.events.partition_point(|event| event.object.revision() <= revision);
        Ok(self.events.range(first..))
    }
}
