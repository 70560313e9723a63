//! Conditions of the metav1 shape, as contract `v1beta2` wants them.
//!
//! A controller says what it found as a [`Report`] and [`Conditions::set`]s it: the transition time moves only with the status, the list
//! keeps core's order, and setting what is already there changes nothing, so a status patch at rest is empty.

pub mod kind;
mod read;
pub mod reason;
mod summary;

use std::fmt;

use capstead_reconcile::{Finding, Truth};
use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use read::{ReadError, read};
pub use summary::Summary;

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can say.
    Unknown,
}

impl Status {
    /// The status as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which status of a condition is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// True is good, as for Ready.
    Positive,
    /// False is good, as for Deleting and Paused.
    Negative,
}

impl Polarity {
    /// The polarity of a standard condition type; all others count as positive.
    #[must_use]
    pub fn of(type_: &str) -> Self {
        if kind::NEGATIVE.contains(&type_) { Self::Negative } else { Self::Positive }
    }
}

/// A condition: one aspect of an object's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(max = 316), regex(pattern = TYPE_PATTERN))]
    pub type_: String,
    /// Whether it holds.
    pub status: Status,
    /// The generation of the object it was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When the status last changed, to the second.
    pub last_transition_time: Time,
    /// Why it has this status, as one CamelCase word; never empty.
    #[schemars(length(min = 1, max = 1024), regex(pattern = REASON_PATTERN))]
    pub reason: String,
    /// Details for people; may be empty.
    #[schemars(length(max = 32768))]
    pub message: String,
}

const TYPE_PATTERN: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
const REASON_PATTERN: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// What a controller found, to be set as a condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// The condition's type.
    pub type_: String,
    /// Its status.
    pub status: Status,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

impl Report {
    /// A finding without message.
    #[must_use]
    pub fn new(type_: impl Into<String>, status: Status, reason: impl Into<String>) -> Self {
        Self { type_: type_.into(), status, reason: reason.into(), message: String::new() }
    }

    /// The same finding with details for people. Deterministic text only: a message that changes at every look is a write at every look.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The Paused condition.
    #[must_use]
    pub fn paused(paused: bool) -> Self {
        let reason = if paused { reason::PAUSED } else { reason::NOT_PAUSED };
        Self::new(kind::PAUSED, paused.into(), reason)
    }
}

/// A planner's finding, in the contract's words.
impl From<&Finding> for Report {
    fn from(finding: &Finding) -> Self {
        let status = match finding.truth {
            Truth::True => Status::True,
            Truth::False => Status::False,
            Truth::Unknown => Status::Unknown,
        };
        Self::new(finding.about.clone(), status, finding.reason.clone()).message(finding.message.clone())
    }
}

/// An object's conditions: each type once, in core's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"], "maxItems" = 32))]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }

    /// The condition of this type.
    #[must_use]
    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether the condition is there and True.
    #[must_use]
    pub fn is_true(&self, type_: &str) -> bool {
        self.get(type_).is_some_and(|condition| condition.status == Status::True)
    }

    /// Whether the condition is there and False. A missing condition is neither true nor false.
    #[must_use]
    pub fn is_false(&self, type_: &str) -> bool {
        self.get(type_).is_some_and(|condition| condition.status == Status::False)
    }

    /// Sets a condition and says whether anything changed.
    ///
    /// `generation` is the object's, `now` becomes the transition time (to the second) of a new condition or a changed status; all else
    /// keeps the time it has.
    pub fn set(&mut self, report: Report, generation: Option<i64>, now: Timestamp) -> bool {
        let known = self.0.iter_mut().find(|condition| condition.type_ == report.type_);
        let since = match &known {
            Some(condition) if condition.status == report.status => condition.last_transition_time.clone(),
            _ => Time(to_second(now)),
        };
        let condition = Condition {
            type_: report.type_,
            status: report.status,
            observed_generation: generation,
            last_transition_time: since,
            reason: report.reason,
            message: report.message,
        };
        match known {
            Some(known) if *known == condition => return false,
            Some(known) => *known = condition,
            None => self.0.push(condition),
        }
        self.sort();
        true
    }

    /// Drops the condition of this type and says whether there was one.
    pub fn remove(&mut self, type_: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|condition| condition.type_ != type_);
        self.0.len() != before
    }

    /// Core's order: Available and Ready first, Paused and Deleting last, the known ones between as core lists them, all others by name.
    fn sort(&mut self) {
        self.0.sort_by(|a, b| (kind::rank(&a.type_), &a.type_).cmp(&(kind::rank(&b.type_), &b.type_)));
    }
}

/// Of several conditions with one type the last stays.
impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        let mut all = Self::default();
        for condition in conditions {
            all.remove(&condition.type_);
            all.0.push(condition);
        }
        all.sort();
        all
    }
}

/// The time cut to the second, as the API server keeps it.
fn to_second(time: Timestamp) -> Timestamp {
    time.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor)).unwrap_or(time)
}

#[cfg(test)]
mod tests;
