//! What a host remembers of a microVM: one value, one file.

use capstead_flintlock::json;
use capstead_flintlock::types::MicroVmSpec;
use capstead_reconcile::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::life::End;
use crate::life::Trouble;

/// The form of records that this program writes.
pub const FORMAT: u32 = 1;

/// A microVM as its host remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The form of the record.
    pub format: u32,
    /// The microVM's uid: 26 characters of Crockford's base 32, which begin with the time.
    pub uid: String,
    /// Grows with each change that clients can see.
    pub version: i32,
    /// Somebody had it deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The driver that runs it.
    pub driver: String,
    /// As it was accepted.
    #[serde(with = "spec")]
    pub spec: MicroVmSpec,
    /// Since when a process is known to have been launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched: Option<Timestamp>,
    /// What went wrong lately.
    #[serde(default, skip_serializing_if = "is_none")]
    pub trouble: Trouble,
}

impl Record {
    /// One that was just accepted.
    #[must_use]
    pub fn new(uid: String, driver: String, spec: MicroVmSpec) -> Self {
        Self { format: FORMAT, uid, version: 1, deleted: false, driver, spec, launched: None, trouble: Trouble::default() }
    }

    /// Somebody wants it gone. Whatever went wrong before counts no more.
    #[must_use]
    pub fn deleted(&self) -> Self {
        let trouble = if self.deleted { self.trouble.clone() } else { Trouble::default() };
        Self { deleted: true, trouble, ..self.clone() }.after(self)
    }

    /// A process was launched.
    #[must_use]
    pub fn adopted(&self, now: Timestamp) -> Self {
        Self { launched: Some(self.launched.unwrap_or(now)), ..self.clone() }.after(self)
    }

    /// Its process has ended.
    #[must_use]
    pub fn buried(&self, end: Option<&End>, now: Timestamp) -> Self {
        let trouble = self.launched.map_or_else(|| self.trouble.clone(), |launched| self.trouble.buried(end, launched, now));
        Self { launched: None, trouble, ..self.clone() }.after(self)
    }

    /// A step failed.
    #[must_use]
    pub fn failed(&self, cause: &str, hopeless: bool, now: Timestamp) -> Self {
        let trouble = if hopeless { self.trouble.hopeless(cause, now) } else { self.trouble.failed(cause, now) };
        Self { trouble, ..self.clone() }.after(self)
    }

    /// A change has a version of its own.
    fn after(mut self, before: &Self) -> Self {
        if self != *before {
            self.version = before.version.saturating_add(1);
        }
        self
    }
}

fn is_none(trouble: &Trouble) -> bool {
    *trouble == Trouble::default()
}

/// A spec, by protobuf's own mapping to JSON.
mod spec {
    use super::MicroVmSpec;
    use super::json;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;
    use serde::ser::Error;

    pub(super) fn serialize<S: Serializer>(spec: &MicroVmSpec, serializer: S) -> Result<S::Ok, S::Error> {
        json::write(spec, json::Form::Plain).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MicroVmSpec, D::Error> {
        json::read(deserializer, true)
    }
}
