use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn made() -> Vec<Value> {
    let conversion = Conversion::Webhook { namespace: "capmvm-system".into(), name: "capmvm-webhook-service".into() };
    crds(&conversion).unwrap().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect()
}

/// Each field of a schema in one line: path, type, and what limits it.
fn lines(path: &str, schema: &Value, required: bool, all: &mut Vec<String>) {
    let mut line = format!("{path} {}", schema["type"].as_str().unwrap_or("any"));
    if required {
        line += " required";
    }
    for (key, value) in schema.as_object().unwrap() {
        if !["type", "description", "properties", "items", "additionalProperties", "required"].contains(&key.as_str()) {
            line += &format!(" {key}={value}");
        }
    }
    all.push(line);
    let needed = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        lines(&format!("{path}.{name}"), field, needed(name), all);
    }
    for (suffix, part) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
        if part.is_object() {
            lines(&format!("{path}{suffix}"), part, false, all);
        }
    }
}

#[test]
fn every_field_of_every_version() {
    let mut all = Vec::new();
    for crd in made() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let root = format!("{} {}", crd["spec"]["names"]["kind"].as_str().unwrap(), version["name"].as_str().unwrap());
            all.push(format!("# {root}"));
            for part in ["spec", "status"] {
                let schema = &version["schema"]["openAPIV3Schema"]["properties"][part];
                if schema.is_object() {
                    lines(part, schema, false, &mut all);
                }
            }
        }
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn names_labels_and_versions() {
    let names: Vec<_> = made()
        .iter()
        .map(|crd| {
            let labels = &crd["metadata"]["labels"];
            let versions = crd["spec"]["versions"].as_array().unwrap();
            let stored: Vec<_> = versions.iter().filter(|known| known["storage"] == true).map(|known| known["name"].clone()).collect();
            assert!(versions.iter().all(|known| known["served"] == true));
            assert_eq!(crd["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["path"], "/convert");
            assert_eq!(stored, ["v1alpha2"]);
            let contract = |version: &str| labels[format!("cluster.x-k8s.io/{version}")].as_str().unwrap_or("none").to_owned();
            format!(
                "{} {} {} {}",
                crd["metadata"]["name"].as_str().unwrap(),
                crd["spec"]["names"]["shortNames"],
                contract("v1beta1"),
                contract("v1beta2")
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            r#"microvmclusters.infrastructure.cluster.x-k8s.io ["mvmc"] v1alpha1 v1alpha2"#,
            r#"microvmclustertemplates.infrastructure.cluster.x-k8s.io ["mvmct"] v1alpha1 v1alpha2"#,
            r#"microvmmachines.infrastructure.cluster.x-k8s.io ["mvmm"] v1alpha1 v1alpha2"#,
            r#"microvmmachinetemplates.infrastructure.cluster.x-k8s.io ["mvmmt"] v1alpha1 v1alpha2"#,
            r#"externalloadbalancers.infrastructure.cluster.x-k8s.io ["extlb"] none none"#,
        ]
    );
}

#[test]
fn the_api_server_knows_every_format_and_every_field_has_a_type() {
    fn walk(schema: &Value, formats: &mut BTreeSet<String>) {
        let typed = schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true;
        assert!(typed, "not structural: {schema}");
        formats.extend(schema["format"].as_str().map(str::to_owned));
        let parts = schema["properties"].as_object().into_iter().flat_map(|fields| fields.values());
        for part in parts.chain([&schema["items"], &schema["additionalProperties"]]).filter(|part| part.is_object()) {
            walk(part, formats);
        }
    }
    let mut formats = BTreeSet::new();
    for crd in made() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            walk(&version["schema"]["openAPIV3Schema"], &mut formats);
        }
    }
    assert_eq!(formats.into_iter().collect::<Vec<_>>(), ["date-time", "int32", "int64"]);
}

#[test]
fn the_definitions_break_no_rule_of_the_contract() {
    use capstead_capi::rules::{Role, Subject, rules};
    let roles = [Role::InfraCluster, Role::InfraClusterTemplate, Role::InfraMachine, Role::InfraMachineTemplate];
    for (crd, role) in made().iter().zip(roles) {
        let subject = Subject { role, crd, objects: &[] };
        let broken: Vec<_> = rules().filter(|rule| rule.judge(&subject).is_fail()).map(|rule| rule.id).collect();
        assert_eq!(broken, [""; 0], "{role:?}");
    }
}

#[test]
fn kinds_are_shown_by_category_and_with_columns() {
    for crd in made() {
        assert_eq!(crd["spec"]["names"]["categories"], serde_json::json!(["cluster-api"]));
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let columns = version["additionalPrinterColumns"].as_array().unwrap();
            assert_eq!(columns.last().unwrap()["name"], "Age");
        }
    }
}
