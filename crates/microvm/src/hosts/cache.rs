//! What is known of one host: the last listing, and what was heard of single microVMs since. Pure: time and answers come from outside.
//!
//! Two things are kept apart. A *look* is only as good as the time it *began*, and a newer one is never replaced by an older one. And a host that fails
//! once is not down: what was seen before stays true until it failed for [`GRACE`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use capstead_engine::Name;
use capstead_reconcile::{Timestamp, later};

use crate::machine::{Microvm, Observed, State};

/// Between looks at a microVM that is on its way to another state.
const POLL: Duration = Duration::from_millis(250);
/// Between listings of a host where nothing is on its way, at least.
const SETTLED: Duration = Duration::from_secs(30);
/// And for each microVM of the host: a listing brings them all, so what is asked of a host in the background stays the same however many it holds.
const SETTLED_EACH: Duration = Duration::from_millis(600);
/// At most.
const SETTLED_MOST: Duration = Duration::from_secs(600);
/// Between tries at a host that fails.
const RETRY: Duration = Duration::from_secs(1);
/// How long a host may fail before what was seen of it counts no more.
const GRACE: Duration = Duration::from_secs(3);
/// A listing costs a host about as much as it takes; this many times that long it is left in peace.
const PEACE: u32 = 4;
/// So few microVMs are always looked at one by one.
const FEW: usize = 8;

/// What is known of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cache {
    listing: Option<Listing>,
    failing: Option<Failing>,
    records: BTreeMap<Name, Record>,
    /// Machines somebody reconciles here.
    interest: BTreeSet<Name>,
    /// Those that need a look that began at or after this time.
    wanted: BTreeMap<Name, Timestamp>,
    /// Those with a microVM on its way to another state.
    moving: BTreeSet<Name>,
    /// Whether a call other than a listing failed.
    doubt: bool,
    /// Nothing is asked of the host before this.
    peace: Option<Timestamp>,
    /// The longest wait between listings that was right since the last one: a fleet that goes is not listed the more often the less there is of it.
    rest: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Listing {
    began: Timestamp,
    namespaces: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Failing {
    since: Timestamp,
    /// When the last try began.
    last: Timestamp,
    cause: String,
    /// Whether it was told as down.
    told: bool,
}

/// What is known of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    looked: Timestamp,
    microvms: Vec<Held>,
}

/// A microVM and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    /// As metadata holds it; empty where they hold none, as those of upstream's machines.
    pub(crate) token: String,
    pub(crate) microvm: Microvm,
}

/// By what a machine knows its own among the microVMs of its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    pub(crate) token: &'a str,
    /// The one it is known by, if it is; the only one that need not carry a token.
    pub(crate) uid: Option<&'a str>,
}

impl Own<'_> {
    fn is(self, held: &Held) -> bool {
        if held.token.is_empty() { self.uid == Some(held.microvm.uid.as_str()) } else { held.token == self.token }
    }
}

/// What to ask of the host now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// All microVMs of these namespaces.
    List(BTreeSet<String>),
    /// Single machines': the microVM with this uid or, where that is not known, all that have the machine's name.
    Get(Vec<(Name, Option<String>)>),
    /// Nothing before this time, or before there is news.
    Rest(Option<Timestamp>),
}

/// What a look at one microVM found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Got {
    There(Microvm),
    Gone,
    /// The host did not say.
    Failed,
}

impl Cache {
    /// What is there of a machine whose claim has this token, and when that look began; `None` when a look is wanted first: it is then asked for.
    pub(crate) fn look(&mut self, name: &Name, own: Own<'_>, not_before: Option<Timestamp>) -> Option<(Timestamp, Observed)> {
        // While nobody asked, it may have come back.
        if self.interest.is_empty() {
            self.failing = None;
        }
        self.interest.insert(name.clone());
        if let Some(failing) = &self.failing
            && (failing.told || !self.covers(name))
        {
            if not_before.is_none_or(|time| failing.last >= time) {
                return Some((failing.last, Observed::Unreachable { cause: failing.cause.clone() }));
            }
        } else if let Some(looked) = self.looked(name)
            && not_before.is_none_or(|time| looked >= time)
        {
            let own = |record: &Record| record.microvms.iter().filter(|held| own.is(held)).map(|held| held.microvm.clone()).collect();
            self.settle(name);
            return Some((looked, Observed::Seen(self.records.get(name).map(own).unwrap_or_default())));
        }
        let wanted = not_before.unwrap_or(Timestamp::MIN);
        self.wanted.entry(name.clone()).and_modify(|known| *known = wanted.max(*known)).or_insert(wanted);
        None
    }

    /// Why the host does not answer, if it was told as down. Of one that nobody asks nothing is known.
    pub(crate) fn down(&self) -> Option<&str> {
        if self.interest.is_empty() {
            return None;
        }
        self.failing.as_ref().filter(|failing| failing.told).map(|failing| failing.cause.as_str())
    }

    fn covers(&self, name: &Name) -> bool {
        self.listing.as_ref().is_some_and(|listing| listing.namespaces.contains(&name.namespace))
    }

    /// When the newest look at this machine began; `None` when there was none.
    fn looked(&self, name: &Name) -> Option<Timestamp> {
        let listed = self.listing.as_ref().filter(|_| self.covers(name))?.began;
        Some(self.records.get(name).map_or(listed, |record| record.looked.max(listed)))
    }

    /// Notes whether the machine's microVMs are on their way to another state.
    fn settle(&mut self, name: &Name) {
        let moves = |record: &Record| record.microvms.iter().any(|held| matches!(held.microvm.state, State::Pending | State::Deleting));
        if self.interest.contains(name) && self.records.get(name).is_some_and(moves) {
            self.moving.insert(name.clone());
        } else {
            self.moving.remove(name);
        }
    }

    /// The machine is gone.
    pub(crate) fn forget(&mut self, name: &Name) {
        self.interest.remove(name);
        self.wanted.remove(name);
        self.moving.remove(name);
        self.records.remove(name);
    }

    /// What to ask of the host now.
    pub(crate) fn errand(&self, now: Timestamp) -> Errand {
        if self.interest.is_empty() {
            return Errand::Rest(None);
        }
        if let Some(peace) = self.peace.filter(|peace| now < *peace) {
            return Errand::Rest(Some(peace));
        }
        let namespaces: BTreeSet<String> = self.interest.iter().map(|name| name.namespace.clone()).collect();
        let Some(listing) = self.listing.as_ref().filter(|listing| self.failing.is_none() && namespaces.is_subset(&listing.namespaces))
        else {
            return Errand::List(namespaces);
        };
        let mut waiting = Vec::new();
        let mut next = later(listing.began, self.rest.max(self.settled()));
        let blind = self.doubt || now >= next;
        for name in self.wanted.keys() {
            waiting.push((name.clone(), self.one(name)));
        }
        for name in self.moving.iter().filter(|name| !self.wanted.contains_key(*name)) {
            let due = later(self.looked(name).unwrap_or(listing.began), POLL);
            if due > now {
                next = next.min(due);
            } else {
                waiting.push((name.clone(), self.one(name)));
            }
        }
        // One listing brings as much as a look at every microVM of the host.
        if blind || waiting.len() > FEW.max(self.records.len() / 2) {
            return Errand::List(namespaces);
        }
        if waiting.is_empty() { Errand::Rest(Some(next)) } else { Errand::Get(waiting) }
    }

    /// Between listings where nothing is on its way.
    fn settled(&self) -> Duration {
        let count = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        SETTLED_EACH.saturating_mul(count).clamp(SETTLED, SETTLED_MOST)
    }

    /// The machine's only microVM.
    fn one(&self, name: &Name) -> Option<String> {
        match self.records.get(name)?.microvms.as_slice() {
            [held] => Some(held.microvm.uid.clone()),
            _ => None,
        }
    }

    /// Takes in a listing that began then and ended now. Returns whom it concerns.
    pub(crate) fn listed(
        &mut self,
        namespaces: BTreeSet<String>,
        began: Timestamp,
        now: Timestamp,
        answer: Result<Vec<(Name, Held)>, String>,
    ) -> Vec<Name> {
        let took = Duration::try_from(now.duration_since(began)).unwrap_or_default();
        self.doubt = false;
        match answer {
            Err(cause) => {
                self.peace = Some(later(began, RETRY).max(now));
                self.failed(cause, began)
            }
            // What began before the last one shows nothing new.
            Ok(_) if self.listing.as_ref().is_some_and(|known| known.began > began && namespaces.is_subset(&known.namespaces)) => {
                Vec::new()
            }
            Ok(listed) => {
                self.peace = Some(later(now, took.saturating_mul(PEACE).min(SETTLED)));
                let recovered = self.failing.take().is_some_and(|failing| failing.told);
                let first = self.listing.as_ref().is_none_or(|listing| !namespaces.is_subset(&listing.namespaces));
                self.listing = Some(Listing { began, namespaces });
                let mut concerned = self.take(listed, began);
                self.rest = self.settled();
                if recovered || first {
                    concerned.extend(self.interest.iter().cloned());
                }
                concerned.extend(self.satisfied(began));
                concerned.into_iter().collect()
            }
        }
    }

    /// Puts a listing in the place of what was known before it began. Returns who is shown something else than before.
    fn take(&mut self, listed: Vec<(Name, Held)>, began: Timestamp) -> BTreeSet<Name> {
        let mut records: BTreeMap<Name, Record> = BTreeMap::new();
        for (name, held) in listed {
            records.entry(name).or_insert_with(|| Record { looked: began, microvms: Vec::new() }).microvms.push(held);
        }
        let mut changed: BTreeSet<Name> = records.keys().filter(|name| !self.records.contains_key(*name)).cloned().collect();
        for (name, known) in std::mem::take(&mut self.records) {
            if known.looked > began {
                changed.remove(&name);
                records.insert(name, known);
            } else if records.get(&name).map_or(&[][..], |record| &record.microvms) != known.microvms {
                changed.insert(name);
            }
        }
        self.records = records;
        changed.retain(|name| self.interest.contains(name));
        changed.iter().for_each(|name| self.settle(name));
        changed
    }

    /// Whoever waits for a look that began then waits no more.
    fn satisfied(&mut self, began: Timestamp) -> Vec<Name> {
        let satisfied: Vec<Name> = self.wanted.iter().filter(|(_, wanted)| began >= **wanted).map(|(name, _)| name.clone()).collect();
        for name in &satisfied {
            self.wanted.remove(name);
        }
        satisfied
    }

    fn failed(&mut self, cause: String, began: Timestamp) -> Vec<Name> {
        let failing = self.failing.get_or_insert_with(|| Failing { since: began, last: began, cause: cause.clone(), told: false });
        failing.last = began;
        let news = failing.told && failing.cause != cause;
        failing.cause = cause;
        let blind = self.listing.is_none();
        let down = blind || began >= later(failing.since, GRACE);
        if (down && !failing.told) || news {
            failing.told = true;
            self.wanted.clear();
            return self.interest.iter().cloned().collect();
        }
        if failing.told { self.satisfied(began) } else { Vec::new() }
    }

    /// Takes in a look at one microVM. Returns whether it concerns the machine.
    pub(crate) fn got(&mut self, name: &Name, uid: &str, began: Timestamp, got: Got) -> bool {
        if got == Got::Failed {
            self.doubted(began);
            return false;
        }
        if !self.records.contains_key(name) {
            return self.waits_no_more(name, began);
        }
        self.learn(name, began, |microvms| match got {
            Got::There(now) => {
                microvms.iter_mut().filter(|held| held.microvm.uid == uid).for_each(|held| held.microvm.clone_from(&now));
            }
            Got::Gone | Got::Failed => microvms.retain(|held| held.microvm.uid != uid),
        })
    }

    /// Takes in a look at all microVMs of one machine's name; `None` when the host did not say. Returns whether it concerns the machine.
    pub(crate) fn found(&mut self, name: &Name, began: Timestamp, found: Option<Vec<Held>>) -> bool {
        let Some(found) = found else {
            self.doubted(began);
            return false;
        };
        // Who forgot the machine meanwhile wants to know no more.
        if !self.interest.contains(name) {
            return false;
        }
        self.learn(name, began, |microvms| *microvms = found)
    }

    /// Takes in what a look at one machine showed, unless something newer is known. Returns whether it concerns the machine.
    fn learn(&mut self, name: &Name, began: Timestamp, change: impl FnOnce(&mut Vec<Held>)) -> bool {
        let listed = self.listing.as_ref().map_or(Timestamp::MIN, |listing| listing.began);
        let record = self.records.entry(name.clone()).or_insert_with(|| Record { looked: listed, microvms: Vec::new() });
        let mut changed = false;
        if record.looked <= began {
            let before = record.microvms.clone();
            change(&mut record.microvms);
            changed = record.microvms != before;
            record.looked = began;
            self.settle(name);
        }
        self.waits_no_more(name, began) || changed
    }

    /// The machine waits no more for a look that began then. `false` if it did not, or waits for a newer one.
    fn waits_no_more(&mut self, name: &Name, began: Timestamp) -> bool {
        self.wanted.get(name).is_some_and(|wanted| began >= *wanted) && self.wanted.remove(name).is_some()
    }

    /// Takes in that a call failed for now: a listing tells whether the host fails or the call did.
    pub(crate) fn doubted(&mut self, began: Timestamp) {
        // Those who keep trying meanwhile must not put that listing off.
        if !std::mem::replace(&mut self.doubt, true) {
            self.peace = Some(later(began, RETRY).max(self.peace.unwrap_or(Timestamp::MIN)));
        }
    }

    /// Takes in the answer to a create.
    pub(crate) fn created(&mut self, name: &Name, held: Held, now: Timestamp) {
        let record = self.records.entry(name.clone()).or_default();
        record.looked = now;
        record.microvms.retain(|known| known.microvm.uid != held.microvm.uid);
        record.microvms.push(held);
        self.settle(name);
        self.rest = self.rest.max(self.settled());
    }

    /// Takes in that a delete was accepted.
    pub(crate) fn deleting(&mut self, name: &Name, uid: &str) {
        if let Some(record) = self.records.get_mut(name) {
            record.microvms.iter_mut().filter(|held| held.microvm.uid == uid).for_each(|held| held.microvm.state = State::Deleting);
        }
        self.settle(name);
    }

    /// Every time in it: the explorer measures them from now, so that there are finitely many.
    #[cfg(test)]
    pub(crate) fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let failing = self.failing.iter_mut().flat_map(|failing| [&mut failing.since, &mut failing.last]);
        let looked = self.records.values_mut().map(|record| &mut record.looked);
        let began = self.listing.iter_mut().map(|listing| &mut listing.began);
        began.chain(failing).chain(looked).chain(self.wanted.values_mut()).chain(&mut self.peace)
    }

    /// Drops what is over then and says nothing any more.
    #[cfg(test)]
    pub(crate) fn rested(&mut self, now: Timestamp) {
        self.peace = self.peace.filter(|peace| now < *peace);
    }
}

#[cfg(test)]
mod tests;
