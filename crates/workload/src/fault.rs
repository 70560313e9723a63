//! What goes wrong in clusters while somebody wants it to: a value that says which fault holds, and where.
//!
//! The same seed, the same faults in the same order and the same machines give the same victims: whether a fault hits is a matter of its number and of who is asked
//! about, not of when.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::cluster::MachineId;
use crate::cluster::Trouble;
use crate::cluster::Troubles;
use crate::etcd::Health;
use crate::number::number;

#[cfg(test)]
mod tests;

/// The most faults at a time.
pub const MOST: usize = 1000;
/// How late a slow API answers, unless said otherwise.
const SLOW: SignedDuration = SignedDuration::from_secs(2);
/// The latest.
const SLOWEST: SignedDuration = SignedDuration::from_mins(10);
/// How far clocks are off at most.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 20);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// A machine that boots comes no further until this ends.
    BootHangs,
    /// kubeadm of a machine that boots fails, and is not run again.
    NeverJoins,
    /// A machine is off; it boots again when this ends.
    NodeVanishes,
    /// A machine runs, but neither its cluster nor its peers hear it.
    Partition,
    /// The API server takes requests, and answers none until this ends.
    ApiSilent,
    /// The API server answers late, by [`Fault::by`].
    ApiSlow,
    /// Connections to the control plane endpoint from outside are refused. Within the cluster all is well.
    Unreachable,
    /// As many members of etcd as the quorum can spare, but at least one, do not hear their peers.
    EtcdUnhealthy,
    /// The majority of etcd's members is down, so the API server is too.
    QuorumLost,
    /// The cluster's clocks are ahead by [`Fault::by`], or behind if it is negative.
    ClockSkew,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BootHangs,
        Self::NeverJoins,
        Self::NodeVanishes,
        Self::Partition,
        Self::ApiSilent,
        Self::ApiSlow,
        Self::Unreachable,
        Self::EtcdUnhealthy,
        Self::QuorumLost,
        Self::ClockSkew,
    ];

    /// Its name on the command line and over HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BootHangs => "boot-hangs",
            Self::NeverJoins => "never-joins",
            Self::NodeVanishes => "node-vanishes",
            Self::Partition => "partition",
            Self::ApiSilent => "api-silent",
            Self::ApiSlow => "api-slow",
            Self::Unreachable => "unreachable",
            Self::EtcdUnhealthy => "etcd-unhealthy",
            Self::QuorumLost => "quorum-lost",
            Self::ClockSkew => "clock-skew",
        }
    }

    /// Whether it happens to machines one by one. Else it happens to a whole cluster.
    #[must_use]
    pub const fn of_machines(self) -> bool {
        matches!(self, Self::BootHangs | Self::NeverJoins | Self::NodeVanishes | Self::Partition)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| FaultError::Unknown(text.to_owned()))
    }
}

impl TryFrom<String> for Kind {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

/// Why something is no fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("there is no fault {0:?}; there are {kinds}", kinds = Kind::ALL.map(Kind::as_str).join(", "))]
    Unknown(String),
    /// Not a part of anything.
    #[error("rate: {0} is not between 0 and 1")]
    Rate(String),
    /// It happens to whole clusters.
    #[error("machine: {0} happens to a whole cluster, not to one machine")]
    Machine(Kind),
    /// It has no extent.
    #[error("by: {0} has no extent; only api-slow and clock-skew have one")]
    NoExtent(Kind),
    /// Its extent is missing or too large.
    #[error("by: {0} needs {1}")]
    Extent(Kind, &'static str),
    /// It would be over at once.
    #[error("for: it has to last longer than 0 s, and at most a year")]
    Lasting,
    /// There are too many.
    #[error("there are {MOST} faults already")]
    TooMany,
}

/// One fault, as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// In the cluster with this name, or at this control plane endpoint (`HOST:PORT`); in all, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// For the machine whose Node has this name; for all, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// For which part of these, 0 to 1. Which ones is settled by the seed.
    #[serde(default = "all")]
    pub rate: f64,
    /// How late an answer is, or how far clocks are ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<SignedDuration>,
    /// How long it lasts; until it is removed, when `None`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<SignedDuration>,
}

const fn all() -> f64 {
    1.0
}

impl Fault {
    /// This, everywhere, until it is removed.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind, cluster: None, machine: None, rate: 1.0, by: None, lasting: None }
    }

    /// Checks that it makes sense, and fills in what was left open.
    ///
    /// # Errors
    ///
    /// What does not, and why.
    fn checked(mut self) -> Result<Self, FaultError> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(FaultError::Rate(self.rate.to_string()));
        }
        if self.machine.is_some() && !self.kind.of_machines() && self.kind != Kind::EtcdUnhealthy {
            return Err(FaultError::Machine(self.kind));
        }
        let year = SignedDuration::from_hours(24 * 366);
        if self.lasting.is_some_and(|lasting| !lasting.is_positive() || lasting > year) {
            return Err(FaultError::Lasting);
        }
        match (self.kind, self.by) {
            (Kind::ApiSlow, by) => {
                let by = by.unwrap_or(SLOW);
                if !by.is_positive() || by > SLOWEST {
                    return Err(FaultError::Extent(self.kind, "how late answers are, up to 10m"));
                }
                self.by = Some(by);
            }
            (Kind::ClockSkew, Some(by)) if !by.is_zero() && by.abs() <= FARTHEST => {}
            (Kind::ClockSkew, _) => {
                return Err(FaultError::Extent(self.kind, "how far clocks are ahead, or behind as -1h, up to 20 years"));
            }
            (kind, Some(_)) => return Err(FaultError::NoExtent(kind)),
            (_, None) => {}
        }
        Ok(self)
    }
}

/// A fault that holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// By which it is removed.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub fault: Fault,
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A cluster, as faults know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As kubeadm's configuration calls it.
    pub name: String,
    /// `HOST:PORT` of its control plane.
    pub endpoint: String,
}

/// A machine of a cluster, as faults know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// What its maker calls it.
    pub id: MachineId,
    /// Its Node.
    pub node: String,
    /// Whether a member of etcd is on it.
    pub etcd: bool,
}

/// All faults that hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    seed: u64,
    last: u64,
    active: BTreeMap<u64, Active>,
}

impl Faults {
    /// None yet. The seed settles whom those with a rate hit.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, last: 0, active: BTreeMap::new() }
    }

    /// From now on this goes wrong, too.
    ///
    /// # Errors
    ///
    /// When it is no fault.
    pub fn add(&mut self, fault: Fault, now: Timestamp) -> Result<Active, FaultError> {
        if self.active.len() >= MOST {
            return Err(FaultError::TooMany);
        }
        let fault = fault.checked()?;
        let until = fault.lasting.map(|lasting| now.saturating_add(lasting)).transpose().map_err(|_| FaultError::Lasting)?;
        self.last += 1;
        let active = Active { id: self.last, fault, since: now, until };
        self.active.insert(active.id, active.clone());
        Ok(active)
    }

    /// A fault ends. `false` if there is none with that number.
    pub fn remove(&mut self, id: u64) -> bool {
        self.active.remove(&id).is_some()
    }

    /// All end.
    pub fn clear(&mut self) {
        self.active.clear();
    }

    /// Those that hold, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Active> {
        self.active.values()
    }

    /// The newest fault of this kind that this whole cluster has.
    #[must_use]
    pub fn cluster(&self, kind: Kind, place: &Place) -> Option<&Active> {
        self.active
            .values()
            .rev()
            .find(|active| active.fault.kind == kind && is_at(active, Some(place)) && self.hits(active, &place.endpoint))
    }

    /// Whether this machine has a fault of this kind. A machine may boot before there is a cluster.
    #[must_use]
    pub fn machine(&self, kind: Kind, place: Option<&Place>, id: &str, node: &str) -> bool {
        let named = |active: &Active| active.fault.machine.as_ref().is_none_or(|machine| machine == node);
        self.active.values().any(|active| active.fault.kind == kind && is_at(active, place) && named(active) && self.hits(active, id))
    }

    /// All that befalls a cluster with these machines.
    #[must_use]
    pub fn troubles(&self, place: &Place, machines: &[Victim]) -> Troubles {
        let mut troubles = Troubles::default();
        if self.active.is_empty() {
            return troubles;
        }
        troubles.clock = self.cluster(Kind::ClockSkew, place).and_then(|active| active.fault.by).unwrap_or_default();
        for machine in machines {
            let has = |kind| self.machine(kind, Some(place), &machine.id, &machine.node);
            let trouble = Trouble { off: has(Kind::NodeVanishes), cut_off: has(Kind::Partition), etcd: Health::Running };
            troubles.machines.insert(machine.id.clone(), trouble);
        }
        let members: Vec<&Victim> = machines.iter().filter(|machine| machine.etcd).collect();
        let majority = members.len() / 2 + 1;
        for (kind, health) in [(Kind::EtcdUnhealthy, Health::Isolated), (Kind::QuorumLost, Health::Stopped)] {
            let held = self.active.values().filter(|active| active.fault.kind == kind && is_at(active, Some(place)));
            for active in held.filter(|active| self.hits(active, &place.endpoint)) {
                let mut struck = members.clone();
                struck.retain(|member| active.fault.machine.as_ref().is_none_or(|machine| *machine == member.node));
                struck.sort_by_key(|member| self.lot(active.id, &member.id));
                struck.truncate(if kind == Kind::QuorumLost { majority } else { members.len().saturating_sub(majority).max(1) });
                for member in struck {
                    troubles.machines.entry(member.id.clone()).or_default().etcd = health;
                }
            }
        }
        troubles
    }

    fn hits(&self, active: &Active, whom: &str) -> bool {
        // 53 bits are what a float holds.
        #[allow(clippy::cast_precision_loss, reason = "no precision is lost below 2^53")]
        let drawn = (self.lot(active.id, whom) >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < active.fault.rate
    }

    /// What somebody draws for a fault: always the same.
    fn lot(&self, id: u64, whom: &str) -> u64 {
        number(&[&self.seed.to_string(), &id.to_string(), whom])
    }
}

/// Whether a fault holds at this place.
fn is_at(active: &Active, place: Option<&Place>) -> bool {
    let here = |named: &String| place.is_some_and(|place| *named == place.name || *named == place.endpoint);
    active.fault.cluster.as_ref().is_none_or(here)
}
