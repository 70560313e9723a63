//! One rule for each symptom as people meet it.

mod bootstrap;
mod endpoint;
mod guest;
mod host;
mod lines;
mod machine;
mod management;
mod node;
mod pool;
mod prepared;
mod webhook;

use jiff::Timestamp;

pub use guest::addresses_on_console;

use crate::finding::Diagnosis;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::picture::Management;
use crate::picture::Picture;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, which stays the same.
    pub id: &'static str,
    /// The symptom as people meet it, in the words that they see where there are such.
    pub symptom: &'static str,
    find: fn(&Picture) -> Vec<Finding>,
}

/// How long what comes about by itself may take until it counts as held up, in seconds.
const PATIENCE: i64 = 120;

/// An error if it has been so for long, else what may pass by itself.
fn lasting(picture: &Picture, since: Option<Timestamp>) -> Severity {
    match since {
        Some(since) if picture.seconds_since(since) < PATIENCE => Severity::Note,
        _ => Severity::Error,
    }
}

/// All rules, in the order in which one thing rests on another.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let all: [&'static [Rule]; 11] = [
        management::RULES,
        webhook::RULES,
        pool::RULES,
        host::RULES,
        prepared::RULES,
        bootstrap::RULES,
        machine::RULES,
        node::RULES,
        guest::RULES,
        endpoint::RULES,
        lines::RULES,
    ];
    all.into_iter().flatten()
}

/// Looks for causes.
#[must_use]
pub fn diagnose(picture: &Picture) -> Diagnosis {
    let named = |rule: &Rule, finding: Finding| Finding { id: rule.id.into(), symptom: rule.symptom.into(), ..finding };
    let mut findings: Vec<Finding> =
        rules().flat_map(|rule| (rule.find)(picture).into_iter().map(move |finding| named(rule, finding))).collect();
    // Stable: of what is as bad, that comes first which the other may rest on.
    findings.sort_by_key(|finding| finding.severity);
    let ok = findings.iter().all(|finding| finding.severity == Severity::Note) && picture.unseen.is_empty();
    Diagnosis { ok, looked: looked(picture), findings, unseen: picture.unseen.clone() }
}

fn looked(picture: &Picture) -> Vec<String> {
    let management = match &picture.management {
        Management::Seen { server, objects } => Some(format!("management cluster {server} ({} objects)", objects.len())),
        Management::NotAsked | Management::Unreachable { .. } => None,
    };
    let hosts = picture.hosts.iter().map(|host| {
        let consoles = host.microvms.iter().filter(|microvm| !microvm.console.is_empty()).count();
        match (host.microvms.len(), consoles) {
            (0, _) => format!("host {}", host.name),
            (all, 0) => format!("host {} (microVMs: {all})", host.name),
            (all, some) => format!("host {} (microVMs: {all}, consoles: {some})", host.name),
        }
    });
    let nodes = picture.nodes.iter().map(|node| format!("{} (by {})", node.subject.name, node.by));
    let logs = picture.logs.iter().map(|log| log.source.clone());
    management.into_iter().chain(hosts).chain(nodes).chain(logs).collect()
}

#[cfg(test)]
mod tests;
