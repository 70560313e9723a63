//! Rules for InfraMachines.

use serde_json::Value;

use super::schema::if_present;
use super::{BOTH, Check, Level, ObjectView, Role, Rule, V1BETA1, V1BETA2, Verdict, VersionView};
use crate::types::MachineAddressType;

const INFRA_MACHINE: &[Role] = &[Role::InfraMachine];
const PROVIDER_ID: &str = "spec.providerID";
const ADDRESSES: &str = "status.addresses";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "infra-machine.provider-id",
        title: "spec.providerID is a string that may be missing at first",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE,
        contracts: BOTH,
        source: "infra-machine: provider ID",
        check: Check::Version(provider_id),
    },
    Rule {
        id: "infra-machine.provider-id-limits",
        title: "spec.providerID is limited to 1 to 512 characters",
        level: Level::Recommended,
        applies_to: INFRA_MACHINE,
        contracts: V1BETA2,
        source: "infra-machine: provider ID",
        check: Check::Version(provider_id_limits),
    },
    Rule {
        id: "infra-machine.provider-id-values",
        title: "a provisioned object has a provider id of 1 to 512 characters; core waits for both",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE,
        contracts: BOTH,
        source: "infra-machine: provider ID",
        check: Check::Object(provider_id_values),
    },
    Rule {
        id: "infra-machine.failure-domain",
        title: "status.failureDomain is a string",
        level: Level::Optional,
        applies_to: INFRA_MACHINE,
        contracts: V1BETA2,
        source: "infra-machine: failure domain",
        check: Check::Version(failure_domain),
    },
    Rule {
        id: "infra-machine.failure-domain-v1beta1",
        title: "spec.failureDomain is a string",
        level: Level::Optional,
        applies_to: INFRA_MACHINE,
        contracts: V1BETA1,
        source: "infra-machine: failure domain, v1beta1",
        check: Check::Version(failure_domain_v1beta1),
    },
    Rule {
        id: "infra-machine.no-failure-domain-in-spec",
        title: "spec.failureDomain is gone; core still copies it into the Machine",
        level: Level::Recommended,
        applies_to: INFRA_MACHINE,
        contracts: V1BETA2,
        source: "infra-machine: failure domain",
        check: Check::Version(no_failure_domain_in_spec),
    },
    Rule {
        id: "infra-machine.addresses",
        title: "status.addresses is a list of type and address",
        level: Level::Optional,
        applies_to: INFRA_MACHINE,
        contracts: BOTH,
        source: "infra-machine: addresses",
        check: Check::Version(addresses),
    },
    Rule {
        id: "infra-machine.addresses-values",
        title: "every address has a known type and 1 to 256 characters",
        level: Level::Mandatory,
        applies_to: INFRA_MACHINE,
        contracts: BOTH,
        source: "infra-machine: addresses",
        check: Check::Object(addresses_values),
    },
    Rule {
        id: "infra-machine.interruptible",
        title: "status.interruptible is a boolean",
        level: Level::Optional,
        applies_to: INFRA_MACHINE,
        contracts: BOTH,
        source: "core/reconcilers/machine: interruptible label of Nodes",
        check: Check::Version(interruptible),
    },
];

fn provider_id(version: &VersionView) -> Verdict {
    let mut findings = version.schema.field(PROVIDER_ID, "string", true);
    if let Some(spec) = version.schema.get("spec")
        && spec.requires("providerID")
    {
        findings.push(spec.finding("requires providerID, which a clone of a template lacks"));
    }
    findings.into()
}

fn provider_id_limits(version: &VersionView) -> Verdict {
    if_present(version.schema.get(PROVIDER_ID), |id| id.length(512))
}

fn provider_id_values(object: &ObjectView) -> Verdict {
    if !object.provisioned() {
        return Verdict::NotApplicable("the object is not yet provisioned");
    }
    match object.field(PROVIDER_ID).and_then(Value::as_str) {
        Some(id) if (1..=512).contains(&id.chars().count()) => Verdict::Pass,
        Some(id) => Verdict::Fail(vec![object.finding(PROVIDER_ID, format!("has {} characters, not 1 to 512", id.chars().count()))]),
        None => Verdict::Fail(vec![object.finding(PROVIDER_ID, format!("is missing although {} is true", object.provisioned_path()))]),
    }
}

fn failure_domain(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.failureDomain"), |field| field.typed("string"))
}

fn failure_domain_v1beta1(version: &VersionView) -> Verdict {
    if_present(version.schema.get("spec.failureDomain"), |field| field.typed("string"))
}

fn no_failure_domain_in_spec(version: &VersionView) -> Verdict {
    version
        .schema
        .get("spec.failureDomain")
        .map(|field| field.finding("is read and copied back; report status.failureDomain"))
        .into_iter()
        .collect::<Vec<_>>()
        .into()
}

fn addresses(version: &VersionView) -> Verdict {
    if_present(version.schema.get(ADDRESSES), |list| {
        let findings = list.typed("array");
        if !findings.is_empty() {
            return findings;
        }
        let item = list.items();
        let mut findings = [item.field("type", "string", true), item.field("address", "string", true)].concat();
        if let Some(type_) = item.get("type") {
            findings.extend(type_.enumerated(&MachineAddressType::NAMES));
        }
        findings
    })
}

fn addresses_values(object: &ObjectView) -> Verdict {
    let Some(list) = object.field(ADDRESSES).and_then(Value::as_array) else {
        return Verdict::NotApplicable("the object has no addresses");
    };
    let mut findings = Vec::new();
    for (index, address) in list.iter().enumerate() {
        let at = |field: &str| format!("{ADDRESSES}[{index}].{field}");
        let type_ = address["type"].as_str().unwrap_or_default();
        if !MachineAddressType::NAMES.contains(&type_) {
            findings.push(object.finding(&at("type"), format!("is {}", address["type"])));
        }
        let length = address["address"].as_str().map_or(0, |text| text.chars().count());
        if !(1..=256).contains(&length) {
            findings.push(object.finding(&at("address"), format!("has {length} characters, not 1 to 256")));
        }
    }
    findings.into()
}

fn interruptible(version: &VersionView) -> Verdict {
    if_present(version.schema.get("status.interruptible"), |field| field.typed("boolean"))
}
