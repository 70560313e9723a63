//! The table: each fault, and the condition that names it.

use capstead_lab::fault::Fault;
use capstead_lab::fault::Kind;
use jiff::SignedDuration;
use serde_json::Value;

use super::fleet::Fleet;
use super::fleet::PATIENCE;
use super::fleet::bad;
use crate::support::within;

/// A fault in a cluster of its own.
pub struct Row {
    pub fault: Fault,
    pub control_plane: u8,
    /// Whom it befalls, if that has to be said.
    victim: Victim,
    /// The kind of the object that tells it, its condition's type, status and reason, and a part of its message.
    told: [&'static str; 5],
}

#[derive(PartialEq)]
enum Victim {
    /// The whole cluster.
    All,
    /// A worker that joins while it lasts.
    NewWorker,
    /// A machine that is there.
    Worker,
    ControlPlane,
}

const fn row(kind: Kind, control_plane: u8, victim: Victim, told: [&'static str; 5]) -> Row {
    Row { fault: Fault::new(kind), control_plane, victim, told }
}

const fn by(mut row: Row, by: SignedDuration) -> Row {
    row.fault.by = Some(by);
    row
}

const SILENT: [&str; 5] = ["Machine", "NodeReady", "Unknown", "NodeReadyUnknown", "Kubelet stopped posting node status"];
const CUT_OFF: [&str; 5] = ["Cluster", "RemoteConnectionProbe", "False", "ProbeFailed", "Remote connection probe failed"];
const NO_NODE: [&str; 5] = ["Machine", "NodeHealthy", "Unknown", "InspectionFailed", "Waiting for a Node with spec.providerID microvm://"];
const NO_START: [&str; 5] = ["Machine", "HealthCheckSucceeded", "False", "NodeStartupTimeout", "Node failed to report startup in 30s"];
const NOT_PROBED: [&str; 5] = ["Machine", "EtcdPodHealthy", "False", "Provisioning", "Waiting for startup or readiness probes"];

pub static ROWS: [Row; 10] = [
    row(Kind::BootHangs, 1, Victim::NewWorker, NO_NODE),
    row(Kind::NeverJoins, 1, Victim::NewWorker, NO_START),
    row(Kind::NodeVanishes, 1, Victim::Worker, SILENT),
    row(Kind::Partition, 3, Victim::ControlPlane, SILENT),
    row(Kind::ApiSilent, 1, Victim::All, CUT_OFF),
    by(row(Kind::ApiSlow, 1, Victim::All, CUT_OFF), SignedDuration::from_secs(15)),
    row(Kind::Unreachable, 1, Victim::All, CUT_OFF),
    row(Kind::EtcdUnhealthy, 3, Victim::All, NOT_PROBED),
    row(Kind::QuorumLost, 3, Victim::All, CUT_OFF),
    by(row(Kind::ClockSkew, 1, Victim::All, CUT_OFF), SignedDuration::from_hours(-1)),
];

impl Row {
    /// The fault begins, is told, ends, and is forgotten.
    pub fn plays(&self, fleet: &Fleet) {
        let name = self.fault.kind.as_str();
        let machine = match self.victim {
            Victim::Worker | Victim::ControlPlane => Some(fleet.machine(name, self.victim == Victim::ControlPlane)),
            Victim::All | Victim::NewWorker => None,
        };
        if self.fault.kind == Kind::NeverJoins {
            fleet.heals_itself(name, 30);
        }
        let id = fleet.suffers(name, Fault { machine, ..self.fault.clone() });
        let began = fleet.seconds();
        if self.victim == Victim::NewWorker {
            fleet.scale(name, 2);
        }
        within(PATIENCE, &format!("{name} is told as {:?}", self.told), || {
            let objects = fleet.objects(name);
            if objects.iter().any(|(kind, object)| self.is_told(kind, object)) { Ok(()) } else { Err(bad(&objects)) }
        });
        if std::env::var_os("SHOW").is_some() {
            eprintln!("== {name}\n{}", bad(&fleet.objects(name)));
        }
        let told = fleet.seconds();
        fleet.ends(id);
        fleet.is_available(name);
        eprintln!(
            "{:6.1} s: {name} was told after {:.0} s, and had passed {:.0} s later",
            fleet.seconds(),
            told - began,
            fleet.seconds() - told
        );
    }

    fn is_told(&self, kind: &str, object: &Value) -> bool {
        let [of, what, status, reason, message] = self.told;
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let says = |condition: &Value| condition["message"].as_str().is_some_and(|text| text.contains(message));
        kind == of
            && conditions.any(|condition| {
                [&condition["type"], &condition["status"], &condition["reason"]] == [what, status, reason] && says(condition)
            })
    }
}

/// The table in the docs says the same.
pub fn is_in_the_docs() {
    let page = include_str!("../../../docs/src/reference/cluster-faults.md");
    for row in &ROWS {
        let [of, what, status, reason, message] = row.told;
        let line = format!("| `{}` | {of} | `{what}` | {status} | `{reason}` | {message} |", row.fault.kind);
        assert!(page.contains(&line), "the docs lack {line}");
    }
}
