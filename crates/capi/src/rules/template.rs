//! Rules for templates.

use serde_json::Value;

use super::schema::if_present;
use super::{BOTH, Check, Finding, Level, ObjectView, Role, Rule, Subject, Verdict, VersionView};
use crate::types::Architecture;

const TEMPLATES: &[Role] = &[Role::InfraClusterTemplate, Role::InfraMachineTemplate, Role::InfraMachinePoolTemplate];
/// Templates the topology controller rotates when their content changes. An InfraClusterTemplate's is patched into the InfraCluster instead.
const ROTATED: &[Role] = &[Role::InfraMachineTemplate, Role::InfraMachinePoolTemplate];
const INFRA_MACHINE_TEMPLATE: &[Role] = &[Role::InfraMachineTemplate];
const CAPACITY: &str = "status.capacity";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "template.kind",
        title: "a template's kind ends in Template; core takes that off to get the kind to clone",
        level: Level::Mandatory,
        applies_to: TEMPLATES,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: template resource definition",
        check: Check::Crd(kind),
    },
    Rule {
        id: "template.spec",
        title: "spec.template.spec is an object",
        level: Level::Mandatory,
        applies_to: TEMPLATES,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: template resource definition",
        check: Check::Version(spec),
    },
    Rule {
        id: "template.metadata",
        title: "spec.template.metadata has labels and annotations for clones",
        level: Level::Optional,
        applies_to: TEMPLATES,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: template resource definition",
        check: Check::Version(metadata),
    },
    Rule {
        id: "template.dry-run",
        title: "no schema rule compares with the old object: it cannot see the topology controller's dry run, so ClusterClass changes fail",
        level: Level::Optional,
        applies_to: ROTATED,
        contracts: BOTH,
        source: "infra-machine: InfraMachineTemplate: support for SSA dry run",
        check: Check::Version(dry_run),
    },
    Rule {
        id: "infra-machine-template.capacity",
        title: "status.capacity is a map of quantities",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_TEMPLATE,
        contracts: BOTH,
        source: "infra-machine: support cluster autoscaling from zero",
        check: Check::Version(capacity),
    },
    Rule {
        id: "infra-machine-template.capacity-values",
        title: "status.capacity has cpu and memory; the autoscaler needs both",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_TEMPLATE,
        contracts: BOTH,
        source: "infra-machine: support cluster autoscaling from zero",
        check: Check::Object(capacity_values),
    },
    Rule {
        id: "infra-machine-template.node-info",
        title: "status.nodeInfo has architecture and operatingSystem by Kubernetes' names",
        level: Level::Optional,
        applies_to: INFRA_MACHINE_TEMPLATE,
        contracts: BOTH,
        source: "infra-machine: support cluster autoscaling from zero",
        check: Check::Version(node_info),
    },
];

fn kind(subject: &Subject) -> Verdict {
    let kind = &subject.crd["spec"]["names"]["kind"];
    match kind.as_str() {
        Some(name) if name.ends_with("Template") => Verdict::Pass,
        _ => Verdict::Fail(vec![Finding::new("spec.names.kind", format!("is {kind}, which does not end in Template"))]),
    }
}

fn spec(version: &VersionView) -> Verdict {
    version.schema.field("spec.template.spec", "object", true).into()
}

fn metadata(version: &VersionView) -> Verdict {
    if_present(version.schema.get("spec.template.metadata"), |metadata| {
        let mut findings = metadata.typed("object");
        for field in ["labels", "annotations"] {
            match metadata.get(field) {
                Some(map) => {
                    findings.extend(map.typed("object"));
                    findings.extend(map.values().typed("string"));
                }
                None => findings.push(metadata.finding_at(field, "is missing")),
            }
        }
        findings
    })
}

fn dry_run(version: &VersionView) -> Verdict {
    version.schema.transition_rules().into()
}

fn capacity(version: &VersionView) -> Verdict {
    if_present(version.schema.get(CAPACITY), |map| {
        let mut findings = map.typed("object");
        let values = map.values();
        let quantity = values.keyword("x-kubernetes-int-or-string") == true || values.keyword("type") == "string";
        if !quantity {
            findings.push(values.finding("is no quantity (integer or string)"));
        }
        findings
    })
}

fn capacity_values(object: &ObjectView) -> Verdict {
    let Some(capacity) = object.field(CAPACITY) else {
        return Verdict::NotApplicable("the object has no capacity");
    };
    ["cpu", "memory"]
        .into_iter()
        .filter(|name| !is_quantity(&capacity[*name]))
        .map(|name| object.finding(&format!("{CAPACITY}.{name}"), format!("is {}, no quantity", capacity[name])))
        .collect::<Vec<_>>()
        .into()
}

/// Whether the value begins like a quantity; the API server knows the whole grammar.
fn is_quantity(value: &Value) -> bool {
    value.is_u64() || value.as_str().is_some_and(|text| text.starts_with(|first: char| first.is_ascii_digit()))
}

fn node_info(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.nodeInfo"), |info| {
        let mut findings =
            [info.typed("object"), info.field("architecture", "string", false), info.field("operatingSystem", "string", false)].concat();
        if let Some(architecture) = info.get("architecture") {
            findings.extend(architecture.enumerated(&Architecture::NAMES));
        }
        findings
    })
}
