//! Rules for InfraClusters.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::{Schema, if_present};
use super::status::keyed_by;
use super::{BOTH, Check, Finding, Level, ObjectView, Role, Rule, V1BETA1, V1BETA2, Verdict, VersionView};
use crate::Contract;
use crate::meta::annotation;
use crate::types::{ApiEndpoint, FailureDomains};

const INFRA_CLUSTER: &[Role] = &[Role::InfraCluster];
const ENDPOINT: &str = "spec.controlPlaneEndpoint";
const DOMAINS: &str = "status.failureDomains";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "infra-cluster.endpoint",
        title: "spec.controlPlaneEndpoint has a string host and an integer port",
        level: Level::Optional,
        applies_to: INFRA_CLUSTER,
        contracts: BOTH,
        source: "infra-cluster: control plane endpoint",
        check: Check::Version(endpoint),
    },
    Rule {
        id: "infra-cluster.endpoint-optional",
        title: "host and port can be left out of spec.controlPlaneEndpoint while unknown, and are limited when set",
        level: Level::Recommended,
        applies_to: INFRA_CLUSTER,
        contracts: V1BETA2,
        source: "infra-cluster: control plane endpoint",
        check: Check::Version(endpoint_optional),
    },
    Rule {
        id: "infra-cluster.endpoint-values",
        title: "a provisioned object's endpoint has a host of 1 to 512 characters and a port of 1 to 65535",
        level: Level::Mandatory,
        applies_to: INFRA_CLUSTER,
        contracts: BOTH,
        source: "infra-cluster: control plane endpoint",
        check: Check::Object(endpoint_values),
    },
    Rule {
        id: "infra-cluster.failure-domains",
        title: "status.failureDomains is a list of name, controlPlane and attributes",
        level: Level::Optional,
        applies_to: INFRA_CLUSTER,
        contracts: V1BETA2,
        source: "infra-cluster: failure domains",
        check: Check::Version(failure_domains),
    },
    Rule {
        id: "infra-cluster.failure-domains-keys",
        title: "status.failureDomains is a map by name",
        level: Level::Recommended,
        applies_to: INFRA_CLUSTER,
        contracts: V1BETA2,
        source: "infra-cluster: failure domains",
        check: Check::Version(failure_domains_keys),
    },
    Rule {
        id: "infra-cluster.failure-domains-v1beta1",
        title: "status.failureDomains is a map of names to controlPlane and attributes",
        level: Level::Optional,
        applies_to: INFRA_CLUSTER,
        contracts: V1BETA1,
        source: "infra-cluster: failure domains, v1beta1",
        check: Check::Version(failure_domains_v1beta1),
    },
    Rule {
        id: "infra-cluster.failure-domains-values",
        title: "failure domains are at most 100, each with a name of its own of 1 to 256 characters",
        level: Level::Mandatory,
        applies_to: INFRA_CLUSTER,
        contracts: BOTH,
        source: "infra-cluster: failure domains",
        check: Check::Object(failure_domains_values),
    },
    Rule {
        id: "infra-cluster.managed-by",
        title: "external management is marked by an annotation, not by a label",
        level: Level::Mandatory,
        applies_to: INFRA_CLUSTER,
        contracts: BOTH,
        source: "infra-cluster: Externally managed infrastructure; util/annotations/helpers.go",
        check: Check::Object(managed_by),
    },
];

fn endpoint(version: &VersionView) -> Verdict {
    if_present(version.schema.get(ENDPOINT), |endpoint| {
        [endpoint.typed("object"), endpoint.field("host", "string", true), endpoint.field("port", "integer", true)].concat()
    })
}

fn endpoint_optional(version: &VersionView) -> Verdict {
    if_present(version.schema.get(ENDPOINT), |endpoint| {
        let mut findings = endpoint.bound("minProperties", 1.0, 1.0);
        for field in ["host", "port"] {
            if endpoint.requires(field) {
                findings.push(endpoint.finding(format!("requires {field}")));
            }
        }
        if let Some(host) = endpoint.get("host") {
            findings.extend(host.length(512));
        }
        if let Some(port) = endpoint.get("port") {
            findings.extend(port.bound("minimum", 1.0, 65535.0));
            findings.extend(port.bound("maximum", 1.0, 65535.0));
        }
        findings
    })
}

fn endpoint_values(object: &ObjectView) -> Verdict {
    let Some(value) = object.field(ENDPOINT) else {
        return Verdict::NotApplicable("the object has no endpoint");
    };
    let endpoint: ApiEndpoint = match serde_json::from_value(value.clone()) {
        Ok(endpoint) => endpoint,
        Err(error) => return Verdict::Fail(vec![object.finding(ENDPOINT, format!("is {error}"))]),
    };
    if !object.provisioned() {
        return Verdict::NotApplicable("the object is not yet provisioned");
    }
    // Unset, it may come from the user or the control plane.
    if endpoint.is_unset() {
        return Verdict::NotApplicable("the object has no endpoint");
    }
    match ApiEndpoint::new(endpoint.host, endpoint.port) {
        Ok(_) => Verdict::Pass,
        Err(error) => Verdict::Fail(vec![object.finding(ENDPOINT, error.to_string())]),
    }
}

/// Findings unless the schema is a failure domain without its name.
fn domain(item: &Schema) -> Vec<Finding> {
    let mut findings = [item.typed("object"), item.field("controlPlane", "boolean", false)].concat();
    if let Some(attributes) = item.get("attributes") {
        findings.extend(attributes.typed("object"));
        findings.extend(attributes.values().typed("string"));
    }
    findings
}

fn failure_domains(version: &VersionView) -> Verdict {
    if_present(version.schema.get(DOMAINS), |list| {
        let findings = list.typed("array");
        if !findings.is_empty() {
            return findings;
        }
        let item = list.items();
        [item.field("name", "string", true), domain(&item)].concat()
    })
}

fn failure_domains_keys(version: &VersionView) -> Verdict {
    if_present(version.schema.get(DOMAINS), |list| keyed_by(list, "name"))
}

fn failure_domains_v1beta1(version: &VersionView) -> Verdict {
    if_present(version.schema.get(DOMAINS), |map| {
        let findings = map.typed("object");
        if findings.is_empty() { domain(&map.values()) } else { findings }
    })
}

fn failure_domains_values(object: &ObjectView) -> Verdict {
    let Some(value) = object.field(DOMAINS) else {
        return Verdict::NotApplicable("the object has no failure domains");
    };
    if let Err(error) = FailureDomains::read(value, object.contract) {
        return Verdict::Fail(vec![object.finding(DOMAINS, format!("is no {} of failure domains: {}", error.shape, error.source))]);
    }
    // Read again by hand: the type drops doubles.
    let names: Vec<&str> = match (object.contract, value) {
        (Contract::V1Beta1, Value::Object(map)) => map.keys().map(String::as_str).collect(),
        (_, Value::Array(list)) => list.iter().filter_map(|domain| domain["name"].as_str()).collect(),
        _ => Vec::new(),
    };
    let mut findings = Vec::new();
    if names.len() > 100 {
        findings.push(object.finding(DOMAINS, format!("has {} entries", names.len())));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        if !(1..=256).contains(&name.chars().count()) {
            findings.push(object.finding(DOMAINS, format!("has the name {name:?}")));
        }
        if !seen.insert(name) {
            findings.push(object.finding(DOMAINS, format!("has {name:?} twice")));
        }
    }
    findings.into()
}

fn managed_by(object: &ObjectView) -> Verdict {
    let metadata = &object.value["metadata"];
    let (annotated, labelled) =
        (metadata["annotations"].get(annotation::MANAGED_BY).is_some(), metadata["labels"].get(annotation::MANAGED_BY).is_some());
    match (annotated, labelled) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Fail(vec![
            object.finding("metadata.labels", format!("has {}, which counts as annotation only", annotation::MANAGED_BY)),
        ]),
        (false, false) => Verdict::NotApplicable("the object is not externally managed"),
    }
}
