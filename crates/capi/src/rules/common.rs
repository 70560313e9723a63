//! Rules for every kind core interacts with: how the CRD is found and which version is read.

use kube::core::Version;

use super::{BOTH, Check, Finding, Level, Role, Rule, Subject, V1BETA2, Verdict, VersionView};
use crate::{Contract, contract, plural};

const WITH_STATUS: &[Role] = &[Role::InfraCluster, Role::InfraMachine, Role::InfraMachinePool];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "crd.scope",
        title: "the CRD is namespaced",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: All resources: scope",
        check: Check::Crd(scope),
    },
    Rule {
        id: "crd.name",
        title: "the CRD is named <plural>.<group> with the plural core computes from the kind",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "internal/contract/version.go, util/contract: CalculateCRDName",
        check: Check::Crd(name),
    },
    Rule {
        id: "crd.list-kind",
        title: "the list kind is the kind with List appended",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: resource and List resource definition",
        check: Check::Crd(list_kind),
    },
    Rule {
        id: "crd.object-meta",
        title: "objects have standard apiVersion, kind and metadata",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: All resources: TypeMeta and ObjectMeta field",
        check: Check::Version(object_meta),
    },
    Rule {
        id: "crd.contract-label",
        title: "the CRD has a label that lists API versions for a contract core accepts",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: All resources: APIVersion field value",
        check: Check::Crd(contract_label),
    },
    Rule {
        id: "crd.contract-label-v1beta2",
        title: "the CRD has a label for contract v1beta2; core v1.16 accepts no other",
        level: Level::Recommended,
        applies_to: &Role::ALL,
        contracts: V1BETA2,
        source: "infra-cluster, infra-machine: All resources: APIVersion field value",
        check: Check::Crd(contract_label_v1beta2),
    },
    Rule {
        id: "crd.contract-label-syntax",
        title: "a contract label is a list of distinct Kubernetes versions joined by underscores, at most 63 characters long",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: All resources: APIVersion field value",
        check: Check::Crd(contract_label_syntax),
    },
    Rule {
        id: "crd.contract-label-versions",
        title: "every version a contract label lists is served",
        level: Level::Mandatory,
        applies_to: &Role::ALL,
        contracts: BOTH,
        source: "infra-cluster, infra-machine: All resources: APIVersion field value",
        check: Check::Crd(contract_label_versions),
    },
    Rule {
        id: "crd.status-subresource",
        title: "status is a subresource",
        level: Level::Recommended,
        applies_to: WITH_STATUS,
        contracts: BOTH,
        source: "infra-cluster: InfraCluster, InfraClusterList resource definition",
        check: Check::Version(status_subresource),
    },
];

fn scope(subject: &Subject) -> Verdict {
    match subject.crd["spec"]["scope"].as_str() {
        Some("Namespaced") => Verdict::Pass,
        scope => Verdict::Fail(vec![Finding::new("spec.scope", format!("is {}, not Namespaced", scope.unwrap_or("missing")))]),
    }
}

fn name(subject: &Subject) -> Verdict {
    let spec = &subject.crd["spec"];
    let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else {
        return Verdict::Fail(vec![Finding::new("spec", "lacks group or names.kind")]);
    };
    let plural = plural::pluralize(&kind.to_lowercase());
    let expected = plural::crd_name(group, kind);
    let mut findings = Vec::new();
    for (at, found, expected) in
        [("metadata.name", &subject.crd["metadata"]["name"], &expected), ("spec.names.plural", &spec["names"]["plural"], &plural)]
    {
        if found.as_str() != Some(expected) {
            findings.push(Finding::new(at, format!("is {found}, not {expected}")));
        }
    }
    findings.into()
}

fn list_kind(subject: &Subject) -> Verdict {
    let names = &subject.crd["spec"]["names"];
    let expected = format!("{}List", names["kind"].as_str().unwrap_or_default());
    match names["listKind"].as_str() {
        // The API server's default is the right one.
        None => Verdict::Pass,
        Some(found) if found == expected => Verdict::Pass,
        Some(found) => Verdict::Fail(vec![Finding::new("spec.names.listKind", format!("is {found}, not {expected}"))]),
    }
}

fn object_meta(version: &VersionView) -> Verdict {
    // The API server adds what a schema leaves out.
    [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")]
        .into_iter()
        .flat_map(|(field, type_)| version.schema.field(field, type_, false))
        .collect::<Vec<_>>()
        .into()
}

fn contract_label(subject: &Subject) -> Verdict {
    if Contract::ALL.into_iter().any(|contract| subject.label(contract).is_some()) {
        return Verdict::Pass;
    }
    let labels = Contract::ALL.map(Contract::label).join(" nor ");
    Verdict::Fail(vec![Finding::new("metadata.labels", format!("has neither {labels}: core finds no version"))])
}

fn contract_label_v1beta2(subject: &Subject) -> Verdict {
    match subject.label(Contract::V1Beta2) {
        Some(_) => Verdict::Pass,
        None => Verdict::Fail(vec![Finding::new("metadata.labels", format!("lacks {}", Contract::V1Beta2.label()))]),
    }
}

/// Judges each contract label there is.
fn each_label(subject: &Subject, check: impl Fn(&str) -> Vec<String>) -> Verdict {
    Contract::ALL
        .into_iter()
        .filter_map(|contract| {
            let findings = check(subject.label(contract)?).into_iter();
            let at = format!("metadata.labels[{}]", contract.label());
            Some(Verdict::from(findings.map(|problem| Finding::new(&at, problem)).collect::<Vec<_>>()))
        })
        .reduce(Verdict::and)
        .unwrap_or(Verdict::NotApplicable("there is no contract label"))
}

fn contract_label_syntax(subject: &Subject) -> Verdict {
    each_label(subject, |value| {
        let mut problems = Vec::new();
        if value.len() > 63 {
            problems.push(format!("has {} characters, more than 63", value.len()));
        }
        let mut seen = Vec::new();
        for version in contract::listed(value) {
            if matches!(Version::parse(version), Version::Nonconformant(_)) {
                problems.push(format!("lists {version:?}, which is no Kubernetes version"));
            } else if seen.contains(&version) {
                problems.push(format!("lists {version} twice"));
            }
            seen.push(version);
        }
        problems
    })
}

fn contract_label_versions(subject: &Subject) -> Verdict {
    each_label(subject, |value| {
        contract::listed(value)
            .filter_map(|version| {
                let entry = subject.entries().find(|(name, _)| *name == version);
                match entry {
                    None => Some(format!("lists {version}, which the CRD does not have")),
                    Some((_, entry)) if entry["served"] != true => Some(format!("lists {version}, which is not served")),
                    Some(_) => None,
                }
            })
            .collect()
    })
}

fn status_subresource(version: &VersionView) -> Verdict {
    if version.entry["subresources"]["status"].is_object() {
        Verdict::Pass
    } else {
        Verdict::Fail(vec![version.schema.finding_at("status", "is no subresource")])
    }
}
