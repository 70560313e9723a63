//! Which machines are placed where, as this process has seen it: the loads that placement goes by.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use capstead_capi::lifecycle::Blocked;
use capstead_engine::Name;

use crate::placement::Load;

/// Every machine's host: where its claim says, or where it will be placed. The latter is booked, so that many that come at once do not all choose the
/// same host.
#[derive(Debug, Default)]
pub(crate) struct Placed(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    machines: HashMap<Name, Place>,
    /// How many of them are on a host.
    on: HashMap<String, usize>,
    /// How many of the control plane of a cluster are on a host.
    control_planes: HashMap<(Siblings, String), usize>,
    /// Those that found every host full.
    waiting: BTreeSet<Name>,
}

/// The control plane machines of one cluster, by namespace and name.
type Siblings = (String, String);

#[derive(Debug)]
struct Place {
    host: String,
    /// Of a control plane machine.
    siblings: Option<Siblings>,
}

/// A machine that is placed, or to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) name: &'a Name,
    pub(crate) cluster: &'a str,
    pub(crate) control_plane: bool,
}

impl Placed {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of where a machine is.
    pub(crate) fn is_at(&self, who: Who<'_>, host: &str) {
        let mut places = self.places();
        places.waiting.remove(who.name);
        if places.machines.get(who.name).is_none_or(|place| place.host != host) {
            places.take(who.name);
            places.put(who, host);
        }
    }

    /// Has `choose` choose a host by the loads without this machine, and books it.
    pub(crate) fn book(
        &self,
        who: Who<'_>,
        is_down: impl Fn(&str) -> bool,
        choose: impl FnOnce(&dyn Fn(&str) -> Load) -> Result<String, Blocked>,
    ) -> Result<String, Blocked> {
        let mut places = self.places();
        places.take(who.name);
        let siblings = who.siblings();
        let chosen = choose(&|host| Load {
            machines: places.on.get(host).copied().unwrap_or_default(),
            control_planes: places.control_planes.get(&(siblings.clone(), host.to_owned())).copied().unwrap_or_default(),
            down: is_down(host),
        });
        match &chosen {
            Ok(host) => {
                places.waiting.remove(who.name);
                places.put(who, host);
            }
            Err(_) => drop(places.waiting.insert(who.name.clone())),
        }
        chosen
    }

    /// The machine is gone. Returns who may now find a place.
    pub(crate) fn forget(&self, name: &Name) -> BTreeSet<Name> {
        let mut places = self.places();
        places.waiting.remove(name);
        if places.take(name) { std::mem::take(&mut places.waiting) } else { BTreeSet::new() }
    }
}

impl Who<'_> {
    fn siblings(&self) -> Siblings {
        (self.name.namespace.clone(), self.cluster.to_owned())
    }
}

impl Places {
    /// Counts a machine that is nowhere yet.
    fn put(&mut self, who: Who<'_>, host: &str) {
        let siblings = who.control_plane.then(|| who.siblings());
        *self.on.entry(host.to_owned()).or_default() += 1;
        if let Some(siblings) = siblings.clone() {
            *self.control_planes.entry((siblings, host.to_owned())).or_default() += 1;
        }
        self.machines.insert(who.name.clone(), Place { host: host.to_owned(), siblings });
    }

    /// Counts a machine no more; `false` if it was nowhere.
    fn take(&mut self, name: &Name) -> bool {
        let Some(Place { host, siblings }) = self.machines.remove(name) else { return false };
        if let Some(siblings) = siblings {
            one_less(self.control_planes.entry((siblings, host.clone())));
        }
        one_less(self.on.entry(host));
        true
    }
}

/// A count of zero is none.
fn one_less<K>(count: Entry<'_, K, usize>) {
    if let Entry::Occupied(mut count) = count {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests;
