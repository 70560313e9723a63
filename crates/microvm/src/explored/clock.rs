//! Time, in few steps.
//!
//! It is always [`NOW`]; when time passes, all that is known moves into the past. No two things that are timed happen at the same time, as on a real clock,
//! but how many milliseconds lie between them matters to nobody: within a step only their order is kept. So there are finitely many states.

use std::collections::BTreeMap;
use std::time::Duration;

use capstead_capi::ownership::Grounds;
use capstead_reconcile::{Again, Timestamp};

use super::world::{Call, Known, Lab, Running};

pub(super) const NOW: Timestamp = Timestamp::constant(1_000_000, 0);
/// Long past.
pub(super) const FAR: Timestamp = Timestamp::constant(900_000, 0);

/// The ends of the steps in the past and to come, in ms: the cache's and the keeper's waits, and one that is sooner than all of them. Time within one
/// never adds up: many short waits are always shorter than one long one.
const PAST: [i64; 5] = [-30_000, -3_000, -2_000, -1_000, -250];
/// Where a host never comes back, the shortest of the waits that go on for ever must add up.
const LONG_PAST: [i64; 8] = [-30_000, -3_000, -2_500, -2_000, -1_500, -1_000, -500, -250];
const TO_COME: [i64; 7] = [SOON, 250, 500, 1_000, 2_000, 4_000, 31_000];
/// Due at once, after something that is timed.
const SOON: i64 = 50;

pub(super) fn after(wait: Duration) -> Timestamp {
    NOW.checked_add(wait).expect("in range")
}

fn offset(time: Timestamp) -> i64 {
    time.as_millisecond() - NOW.as_millisecond()
}

fn at(offset: i64) -> Timestamp {
    Timestamp::from_millisecond(NOW.as_millisecond() + offset).expect("in range")
}

/// The latest time of the step that this one is in.
fn step(offset: i64, past: &[i64]) -> i64 {
    if offset <= 0 {
        // A few milliseconds less are no less: else what happens again and again would never be long past.
        past.iter().copied().find(|end| offset <= end + SOON).unwrap_or(0)
    } else {
        TO_COME.into_iter().find(|end| offset <= *end).unwrap_or(offset)
    }
}

impl Lab {
    /// Everything that is timed.
    fn times(&mut self) -> Vec<&mut Timestamp> {
        let mut times = vec![&mut self.since];
        for slot in &mut self.slots {
            let mut knowns = Vec::new();
            times.extend(&mut slot.queue);
            if let Some(running) = &mut slot.running {
                let Running { known, again, reply, .. } = running;
                times.extend(again.iter_mut().flat_map(Again::times));
                times.extend(reply.as_mut().map(|reply| &mut reply.began));
                knowns.push(known);
            }
            knowns.extend(&mut slot.known);
            for Known { again, grounds, .. } in knowns {
                times.extend(again.iter_mut().flat_map(Again::times));
                if let Grounds::After(time) = grounds {
                    times.push(time);
                }
            }
        }
        for host in &mut self.hosts {
            times.extend(host.flying.iter_mut().map(|flight| &mut flight.deadline));
            times.extend(host.cache.times());
            times.extend(host.sleep.iter_mut().flatten());
            match &mut host.call {
                None => (),
                Some(Call::List { began, .. }) => times.push(began),
                Some(Call::Get(gets)) => times.extend(gets.iter_mut().map(|get| &mut get.began)),
            }
        }
        // "Any" is no time.
        times.retain(|time| **time != Timestamp::MIN);
        times
    }

    /// Now, like no other time known.
    pub(super) fn stamp(&mut self) -> Timestamp {
        self.pass_to(at(1));
        NOW
    }

    pub(super) fn pass_to(&mut self, time: Timestamp) {
        let passed = offset(time);
        for time in self.times() {
            *time = at(offset(*time) - passed);
        }
    }

    pub(super) fn normalise(&mut self) {
        let past: &[i64] = if self.has.lost { &LONG_PAST } else { &PAST };
        let mut times = self.times();
        let mut steps: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut known: Vec<i64> = times.iter().map(|time| offset(**time)).collect();
        known.sort_unstable();
        known.dedup();
        for offset in known {
            steps.entry(step(offset, past)).or_default().push(offset);
        }
        for time in &mut times {
            let before = offset(**time);
            let top = step(before, past);
            let peers = &steps[&top];
            let rank = i64::try_from(peers.iter().filter(|peer| **peer > before).count()).expect("few");
            let top = if top == SOON { i64::try_from(peers.len()).expect("few") } else { top };
            **time = at(top - rank);
        }
    }
}
