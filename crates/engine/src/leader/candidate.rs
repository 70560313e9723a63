//! What a candidate knows and does next; no I/O and no clock of its own.

use std::time::Duration;
use std::time::Instant;

use super::Election;

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The resource version.
    pub(super) version: String,
    /// Empty when nobody holds it.
    pub(super) holder: String,
    /// How long its holder may be silent.
    pub(super) duration: Duration,
}

/// What to do with the lease that was observed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Another holds it.
    Wait,
    /// Write this candidate in, relying on the observed resource version (or absence).
    Take,
    /// Write that this candidate is still there, likewise.
    Renew,
}

/// A candidate's knowledge.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    identity: String,
    lease_duration: Duration,
    renew_deadline: Duration,
    /// The record as last observed, and when this very record was first observed here.
    seen: Option<(Record, Instant)>,
    /// When the last write that surely happened was begun.
    renewed: Option<Instant>,
}

impl Candidate {
    pub(super) fn new(election: &Election) -> Self {
        Self {
            identity: election.identity.clone(),
            lease_duration: election.lease_duration,
            renew_deadline: election.renew_deadline,
            seen: None,
            renewed: None,
        }
    }

    /// Takes in what the API server said; `None` is no Lease.
    pub(super) fn observe(&mut self, record: Option<Record>, now: Instant) {
        match record {
            None => self.seen = None,
            Some(record) if self.seen.as_ref().is_some_and(|(seen, _)| *seen == record) => {}
            Some(record) => self.seen = Some((record, now)),
        }
        // Whoever held the lease and sees it in other hands, or gone, leads no more.
        if !self.mine() {
            self.renewed = None;
        }
    }

    fn mine(&self) -> bool {
        self.seen.as_ref().is_some_and(|(record, _)| record.holder == self.identity)
    }

    pub(super) fn decide(&self, now: Instant) -> Step {
        let Some((record, since)) = &self.seen else { return Step::Take };
        if self.mine() {
            // A write whose reply was lost made it ours; that counts from the next write that is answered.
            return if self.renewed.is_some() { Step::Renew } else { Step::Take };
        }
        // The longer of both durations: the holder may be configured otherwise.
        let free = record.holder.is_empty() || now.duration_since(*since) > record.duration.max(self.lease_duration);
        if free { Step::Take } else { Step::Wait }
    }

    /// A write of this candidate, begun at `begun`, was answered with `record`.
    pub(super) fn written(&mut self, record: Record, begun: Instant) {
        self.seen = Some((record, begun));
        self.renewed = Some(begun);
    }

    /// Until when this candidate leads if nothing more is heard.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.renew_deadline)
    }

    pub(super) fn leads(&self, now: Instant) -> bool {
        self.leads_until().is_some_and(|until| now < until)
    }

    /// It leads no more, of its own will.
    pub(super) fn stop(&mut self) {
        self.renewed = None;
    }
}

#[cfg(test)]
mod tests;
