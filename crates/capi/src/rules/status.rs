//! Rules for the status of kinds with a life cycle: InfraCluster, InfraMachine, InfraMachinePool.

use jiff::Timestamp;

use super::schema::if_present;
use super::{BOTH, Check, Finding, Level, ObjectView, Role, Rule, V1BETA1, V1BETA2, Verdict, VersionView};
use crate::condition::{self, Status, kind, reason};
use crate::meta::annotation;

const LIVING: &[Role] = &[Role::InfraCluster, Role::InfraMachine, Role::InfraMachinePool];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "status.initialization",
        title: "status.initialization.provisioned is a boolean",
        level: Level::Mandatory,
        applies_to: LIVING,
        contracts: V1BETA2,
        source: "infra-cluster, infra-machine, infra-machinepool: initialization completed",
        check: Check::Version(initialization),
    },
    Rule {
        id: "status.ready",
        title: "status.ready is a boolean",
        level: Level::Mandatory,
        applies_to: LIVING,
        contracts: V1BETA1,
        source: "infra-cluster, infra-machine, infra-machinepool: initialization completed, v1beta1",
        check: Check::Version(ready),
    },
    Rule {
        id: "status.conditions",
        title: "status.conditions is a list of conditions with the fields core reads",
        level: Level::Recommended,
        applies_to: LIVING,
        contracts: BOTH,
        source: "infra-cluster, infra-machine, infra-machinepool: conditions",
        check: Check::Version(conditions),
    },
    Rule {
        id: "status.conditions-keys",
        title: "status.conditions is a map by type, so that several writers do not undo each other",
        level: Level::Recommended,
        applies_to: LIVING,
        contracts: V1BETA2,
        source: "infra-cluster, infra-machine, infra-machinepool: conditions",
        check: Check::Version(conditions_keys),
    },
    Rule {
        id: "status.conditions-values",
        title: "every condition has a type and a status of True, False or Unknown",
        level: Level::Mandatory,
        applies_to: LIVING,
        contracts: BOTH,
        source: "util/conditions/getter.go",
        check: Check::Object(conditions_values),
    },
    Rule {
        id: "status.ready-condition",
        title: "an object with conditions has one of type Ready",
        level: Level::Recommended,
        applies_to: LIVING,
        contracts: BOTH,
        source: "infra-cluster, infra-machine, infra-machinepool: conditions",
        check: Check::Object(ready_condition),
    },
    Rule {
        id: "status.paused-condition",
        title: "the Paused condition has reason Paused or NotPaused and follows the paused annotation",
        level: Level::Recommended,
        applies_to: LIVING,
        contracts: V1BETA2,
        source: "infra-cluster, infra-machine, infra-machinepool: pausing",
        check: Check::Object(paused_condition),
    },
    Rule {
        id: "status.terminal-failures",
        title: "status has no failureReason and failureMessage, which have no effect any more",
        level: Level::Recommended,
        applies_to: LIVING,
        contracts: V1BETA2,
        source: "infra-cluster, infra-machine, infra-machinepool: terminal failures",
        check: Check::Version(terminal_failures),
    },
];

fn initialization(version: &VersionView) -> Verdict {
    version.schema.field("status.initialization.provisioned", "boolean", true).into()
}

fn ready(version: &VersionView) -> Verdict {
    version.schema.field("status.ready", "boolean", true).into()
}

fn conditions(version: &VersionView) -> Verdict {
    let Some(list) = version.schema.get("status.conditions") else {
        return Verdict::Fail(vec![version.schema.finding_at("status.conditions", "is missing")]);
    };
    let mut findings = list.typed("array");
    if findings.is_empty() {
        let item = list.items();
        findings.extend(item.typed("object"));
        for (field, type_, required) in [
            ("type", "string", true),
            ("status", "string", true),
            ("reason", "string", false),
            ("message", "string", false),
            ("lastTransitionTime", "string", false),
            ("observedGeneration", "integer", false),
        ] {
            findings.extend(item.field(field, type_, required));
        }
        if let Some(status) = item.get("status") {
            findings.extend(status.enumerated(&["True", "False", "Unknown"]));
        }
    }
    findings.into()
}

fn conditions_keys(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.conditions"), |list| keyed_by(list, "type"))
}

/// A finding unless the list is a map by this one field.
pub(super) fn keyed_by(list: &super::Schema, key: &str) -> Vec<Finding> {
    let is_map = list.keyword("x-kubernetes-list-type") == "map" && list.keyword("x-kubernetes-list-map-keys") == &serde_json::json!([key]);
    if is_map { Vec::new() } else { vec![list.finding(format!("is no map by {key} (list type and keys)"))] }
}

fn conditions_values(object: &ObjectView) -> Verdict {
    match condition::read(object.value, Timestamp::UNIX_EPOCH) {
        Ok(conditions) if conditions.is_empty() => Verdict::NotApplicable("the object has no conditions"),
        Ok(_) => Verdict::Pass,
        Err(error) => Verdict::Fail(vec![object.finding(&error.path, error.problem)]),
    }
}

/// The object's conditions, when they can be read and there are some.
fn readable(object: &ObjectView) -> Result<condition::Conditions, Verdict> {
    condition::read(object.value, Timestamp::UNIX_EPOCH)
        .ok()
        .filter(|conditions| !conditions.is_empty())
        .ok_or(Verdict::NotApplicable("the object has no readable conditions"))
}

fn ready_condition(object: &ObjectView) -> Verdict {
    match readable(object) {
        Err(verdict) => verdict,
        Ok(conditions) if conditions.get(kind::READY).is_some() => Verdict::Pass,
        Ok(_) => Verdict::Fail(vec![object.finding("status.conditions", "has no Ready condition")]),
    }
}

fn paused_condition(object: &ObjectView) -> Verdict {
    let conditions = match readable(object) {
        Ok(conditions) => conditions,
        Err(verdict) => return verdict,
    };
    let at = "status.conditions[Paused]";
    let annotated = object.value["metadata"]["annotations"].get(annotation::PAUSED).is_some();
    let Some(paused) = conditions.get(kind::PAUSED) else {
        return Verdict::Fail(vec![object.finding(at, "is missing")]);
    };
    let expected = match paused.status {
        Status::True => reason::PAUSED,
        Status::False if annotated => {
            return Verdict::Fail(vec![object.finding(at, "is False although the object has the paused annotation")]);
        }
        Status::False => reason::NOT_PAUSED,
        Status::Unknown => return Verdict::Fail(vec![object.finding(at, "is Unknown")]),
    };
    if paused.reason == expected {
        Verdict::Pass
    } else {
        Verdict::Fail(vec![object.finding(at, format!("has reason {}, not {expected}", paused.reason))])
    }
}

fn terminal_failures(version: &VersionView) -> Verdict {
    ["status.failureReason", "status.failureMessage"]
        .into_iter()
        .filter_map(|path| version.schema.get(path))
        .map(|field| field.finding("has no effect any more; use a condition"))
        .collect::<Vec<_>>()
        .into()
}
