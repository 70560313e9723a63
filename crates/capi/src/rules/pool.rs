//! Rules for InfraMachinePools.

use serde_json::Value;

use super::schema::if_present;
use super::{BOTH, Check, Level, ObjectView, Role, Rule, V1BETA2, Verdict, VersionView};

const INFRA_MACHINE_POOL: &[Role] = &[Role::InfraMachinePool];
const IDS: &str = "spec.providerIDList";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "infra-machine-pool.provider-id-list",
        title: "spec.providerIDList is a list of strings that may be missing at first",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: providerIDList",
        check: Check::Version(provider_id_list),
    },
    Rule {
        id: "infra-machine-pool.provider-id-list-values",
        title: "a provisioned pool with replicas lists provider ids of 1 to 512 characters; core waits for them",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: providerIDList",
        check: Check::Object(provider_id_list_values),
    },
    Rule {
        id: "infra-machine-pool.replicas",
        title: "status.replicas is an integer",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: replicas",
        check: Check::Version(replicas),
    },
    Rule {
        id: "infra-machine-pool.ready",
        title: "status.ready is there too: core v1.12 to v1.14 decides by it alone",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE_POOL,
        contracts: V1BETA2,
        source: "core/reconcilers/machinepool/machinepool_controller_phases.go",
        check: Check::Version(ready),
    },
    Rule {
        id: "infra-machine-pool.ready-values",
        title: "a provisioned pool is ready as well",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE_POOL,
        contracts: V1BETA2,
        source: "core/reconcilers/machinepool/machinepool_controller_phases.go",
        check: Check::Object(ready_values),
    },
    Rule {
        id: "infra-machine-pool.provider-id",
        title: "spec.providerID, the pool's own, is a string",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: providerID",
        check: Check::Version(provider_id),
    },
    Rule {
        id: "infra-machine-pool.instances",
        title: "status.instances is a list",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: instances",
        check: Check::Version(instances),
    },
    Rule {
        id: "infra-machine-pool.machine-kind",
        title: "status.infrastructureMachineKind is a string",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_POOL,
        contracts: BOTH,
        source: "infra-machinepool: MachinePoolMachines support",
        check: Check::Version(machine_kind),
    },
];

fn provider_id_list(version: &VersionView) -> Verdict {
    let mut findings = version.schema.field(IDS, "array", true);
    if let Some(list) = version.schema.get(IDS)
        && findings.is_empty()
    {
        findings.extend(list.items().typed("string"));
    }
    if let Some(spec) = version.schema.get("spec")
        && spec.requires("providerIDList")
    {
        findings.push(spec.finding("requires providerIDList, which a new pool lacks"));
    }
    findings.into()
}

fn provider_id_list_values(object: &ObjectView) -> Verdict {
    let replicas = object.field("status.replicas").and_then(Value::as_i64).unwrap_or_default();
    if !object.provisioned() || replicas == 0 {
        return Verdict::NotApplicable("the pool is not provisioned or has no replicas");
    }
    let ids = object.field(IDS).and_then(Value::as_array);
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        return Verdict::Fail(vec![object.finding(IDS, format!("is empty with {replicas} replicas"))]);
    };
    ids.iter()
        .enumerate()
        .filter(|(_, id)| {
            let length = id.as_str().map_or(0, |id| id.chars().count());
            !(1..=512).contains(&length)
        })
        .map(|(index, id)| object.finding(&format!("{IDS}[{index}]"), format!("is {id}")))
        .collect::<Vec<_>>()
        .into()
}

fn replicas(version: &VersionView) -> Verdict {
    version.schema.field("status.replicas", "integer", true).into()
}

fn ready(version: &VersionView) -> Verdict {
    version.schema.field("status.ready", "boolean", true).into()
}

fn ready_values(object: &ObjectView) -> Verdict {
    if !object.provisioned() {
        return Verdict::NotApplicable("the pool is not yet provisioned");
    }
    if object.field("status.ready") == Some(&Value::Bool(true)) {
        Verdict::Pass
    } else {
        Verdict::Fail(vec![object.finding("status.ready", "is not true although the pool is provisioned")])
    }
}

fn provider_id(version: &VersionView) -> Verdict {
    if_present(version.schema.get("spec.providerID"), |field| field.typed("string"))
}

fn instances(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.instances"), |field| field.typed("array"))
}

fn machine_kind(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.infrastructureMachineKind"), |field| field.typed("string"))
}
