//! What can go wrong, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

#[cfg(test)]
mod tests;

/// A way in which a simulated host misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A call, listings included, is answered with code `Unavailable`, and nothing is done.
    Unavailable,
    /// A call, listings included, is carried out at once and answered late.
    Slow,
    /// A create or delete is carried out and answered with code `Unavailable`.
    LostReply,
    /// A create is answered with code `Unavailable` or `DeadlineExceeded`; the microVM appears some seconds later.
    LateCreate,
    /// A microVM becomes `FAILED` instead of `CREATED`.
    Failed,
    /// A `CREATED` microVM disappears by itself.
    Vanished,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Unavailable, Self::Slow, Self::LostReply, Self::LateCreate, Self::Failed, Self::Vanished];

    /// Its name on the command line, over HTTP and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::LostReply => "lost-reply",
            Self::LateCreate => "late-create",
            Self::Failed => "failed",
            Self::Vanished => "vanished",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FaultKind {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| FaultError::Unknown(text.to_owned()))
    }
}

/// What is not a fault.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("there is no fault {0:?}; there are {kinds}", kinds = FaultKind::ALL.map(FaultKind::as_str).join(", "))]
    Unknown(String),
    /// There is no `=`.
    #[error("{0:?} is not KIND=RATE, such as unavailable=5%")]
    Form(String),
    /// Not a number, or outside 0 to 1.
    #[error("{0:?} is not a rate: 0 to 1, or 0% to 100%")]
    Rate(String),
}

/// One fault and how often it happens, as `unavailable=0.05` or `unavailable=5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// To which part of the calls or microVMs, 0 to 1.
    pub rate: f64,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (kind, rate) = text.split_once('=').ok_or_else(|| FaultError::Form(text.to_owned()))?;
        let kind = kind.parse()?;
        Ok(Self { kind, rate: self::rate(rate)? })
    }
}

/// A rate, as `0.05` or `5%`.
///
/// # Errors
///
/// When it is none.
pub fn rate(text: &str) -> Result<f64, FaultError> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.parse().map(|percent: f64| percent / 100.0),
        None => text.parse(),
    };
    number.ok().filter(is_rate).ok_or_else(|| FaultError::Rate(text.to_owned()))
}

fn is_rate(rate: &f64) -> bool {
    (0.0..=1.0).contains(rate)
}

/// How often each fault happens; not at all if not named. In JSON a map of kind to rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
pub struct Faults(BTreeMap<FaultKind, f64>);

impl Faults {
    /// The same with one fault at this rate, 0 to 1.
    ///
    /// # Errors
    ///
    /// When `rate` is no rate.
    pub fn with(mut self, kind: FaultKind, rate: f64) -> Result<Self, FaultError> {
        if !is_rate(&rate) {
            return Err(FaultError::Rate(rate.to_string()));
        }
        self.0.insert(kind, rate);
        Ok(self)
    }

    /// How often this one happens, 0 to 1.
    #[must_use]
    pub fn rate(&self, kind: FaultKind) -> f64 {
        self.0.get(&kind).copied().unwrap_or_default()
    }
}

/// A later one of the same kind counts.
impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().map(|fault| (fault.kind, fault.rate)).collect())
    }
}

impl TryFrom<BTreeMap<String, f64>> for Faults {
    type Error = FaultError;

    fn try_from(map: BTreeMap<String, f64>) -> Result<Self, FaultError> {
        map.into_iter().try_fold(Self::default(), |faults, (kind, rate)| faults.with(kind.parse()?, rate))
    }
}

impl From<Faults> for BTreeMap<String, f64> {
    fn from(faults: Faults) -> Self {
        faults.0.into_iter().map(|(kind, rate)| (kind.to_string(), rate)).collect()
    }
}
