//! All microVMs of a host, and what a call makes of them. Pure: records are changed here and written elsewhere.

use std::collections::BTreeMap;

use capstead_flintlock::types::MicroVmSpec;
use capstead_reconcile::Timestamp;
use ulid::Ulid;

use crate::accept::Accepted;
use crate::record::Record;
use crate::refusal::Refusal;

/// The records, by uid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    records: BTreeMap<String, Record>,
    /// By namespace and name: no two microVMs have both alike, but for those that are being deleted.
    uids: BTreeMap<(String, String), String>,
}

/// What a create comes to.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made, written and gone")]
pub enum Created {
    /// This is to be written, and then put.
    New(Record),
    /// There is one like it, with this uid: the same client asks again.
    Existing(String),
}

impl Table {
    /// What is to be done for a create. `random` makes the uid its own.
    ///
    /// # Errors
    ///
    /// Another microVM has the name, and is to stay.
    pub fn create(&self, accepted: Accepted, now: Timestamp, random: u128) -> Result<Created, Refusal> {
        let Accepted { mut spec, driver } = accepted;
        if let Some(known) = self.named(&spec.namespace, &spec.id) {
            if asked(&known.spec) == asked(&spec) && known.driver == driver {
                return Ok(Created::Existing(known.uid.clone()));
            }
            let message =
                format!("creating microvm: microvm {}/{} already exists with uid {}, and another spec", spec.namespace, spec.id, known.uid);
            return Err(Refusal { code: tonic::Code::AlreadyExists, message });
        }
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let uid = Ulid::from_parts(milliseconds, random).to_string();
        spec.uid = Some(uid.clone());
        spec.created_at = Some(proto_time(now));
        Ok(Created::New(Record::new(uid, driver, spec)))
    }

    /// Puts a record in, in place of the one before.
    pub fn put(&mut self, record: Record) {
        if record.deleted {
            self.free_name(&record);
        } else {
            self.uids.insert((record.spec.namespace.clone(), record.spec.id.clone()), record.uid.clone());
        }
        self.records.insert(record.uid.clone(), record);
    }

    /// Another microVM may have its name from now on, unless another has it already.
    fn free_name(&mut self, record: &Record) {
        let name = (record.spec.namespace.clone(), record.spec.id.clone());
        if self.uids.get(&name) == Some(&record.uid) {
            self.uids.remove(&name);
        }
    }

    /// Forgets a microVM.
    pub fn remove(&mut self, uid: &str) {
        if let Some(record) = self.records.remove(uid) {
            self.free_name(&record);
        }
    }

    /// The microVM with this uid.
    ///
    /// # Errors
    ///
    /// There is none, or none is named. `doing` is what flintlock says before that.
    pub fn get(&self, uid: &str, doing: &str) -> Result<&Record, Refusal> {
        if uid.is_empty() {
            return Err(Refusal::nameless());
        }
        self.records.get(uid).ok_or_else(|| Refusal::unknown_uid(doing, uid))
    }

    /// All that have this namespace and name; either is any when empty. The oldest first.
    pub fn list<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Record> {
        let wanted = move |record: &&Record| {
            (namespace.is_empty() || record.spec.namespace == namespace) && (name.is_empty() || record.spec.id == name)
        };
        self.records.values().filter(wanted)
    }

    /// The one that has this name, and is to stay.
    fn named(&self, namespace: &str, name: &str) -> Option<&Record> {
        self.records.get(self.uids.get(&(namespace.to_owned(), name.to_owned()))?)
    }
}

/// What of a spec a client has asked for.
fn asked(spec: &MicroVmSpec) -> MicroVmSpec {
    let mut spec = MicroVmSpec { uid: None, created_at: None, updated_at: None, deleted_at: None, provider: None, ..spec.clone() };
    // Upstream's CAPMVM makes them up anew at each try, so it would never hear of what an earlier try has made.
    let made_up = |mac: &str| mac.get(..2).and_then(|first| u8::from_str_radix(first, 16).ok()).is_some_and(|first| first & 2 != 0);
    for interface in spec.interfaces.iter_mut().filter(|interface| made_up(interface.guest_mac())) {
        interface.guest_mac = None;
    }
    spec
}

/// Protobuf's form of a time.
pub(crate) fn proto_time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

#[cfg(test)]
mod tests;
