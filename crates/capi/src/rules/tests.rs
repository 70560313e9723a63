mod broken;
mod provider;

use std::collections::{BTreeMap, BTreeSet};

use provider::{crd, objects};
use serde_json::Value;

use super::*;
use crate::crd::{Conversion, CrdBuilder};
use crate::sample;

fn rule(id: &str) -> &'static Rule {
    rules().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no rule {id}"))
}

fn judge(rule: &Rule, role: Role, crd: &Value, objects: &[Value]) -> Verdict {
    rule.judge(&Subject { role, crd, objects })
}

#[test]
fn ids_are_unique_and_the_order_is_stable() {
    let ids: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().count());
    let listing: Vec<_> = rules()
        .map(|rule| {
            let contracts: Vec<_> = rule.contracts.iter().map(|contract| contract.name()).collect();
            format!("{:?} {} [{}]: {}", rule.level, rule.id, contracts.join(" "), rule.title)
        })
        .collect();
    insta::assert_snapshot!(listing.join("\n"));
}

#[test]
fn a_good_provider_breaks_no_rule_and_meets_every_one() {
    let mut met = BTreeSet::new();
    for role in Role::ALL {
        let (crd, objects) = (crd(role), objects(role));
        for rule in rules() {
            match judge(rule, role, &crd, &objects) {
                Verdict::Pass => drop(met.insert(rule.id)),
                Verdict::Fail(findings) => panic!("{role:?} breaks {}: {findings:?}", rule.id),
                Verdict::NotApplicable(_) => {}
            }
        }
    }
    let all: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    assert_eq!(met, all);
}

/// Each broken provider differs from the good one in one place, is found out by the rule it breaks, and the finding names the place.
#[test]
fn every_rule_finds_its_broken_providers() {
    let mut broken: BTreeMap<&str, usize> = BTreeMap::new();
    for case in broken::cases() {
        let (mut crd, mut objects) = (crd(case.role), objects(case.role));
        let rule = rule(case.rule);
        assert_eq!(judge(rule, case.role, &crd, &objects), Verdict::Pass, "{} before", case.rule);
        case.apply(&mut crd, &mut objects);
        let Verdict::Fail(findings) = judge(rule, case.role, &crd, &objects) else {
            panic!("{} does not see {:?}", case.rule, case.edit);
        };
        let places: Vec<_> = findings.iter().map(|finding| finding.at.as_str()).collect();
        assert!(places.contains(&case.at), "{} with {:?} finds {findings:?}, nothing at {}", case.rule, case.edit, case.at);
        *broken.entry(case.rule).or_default() += 1;
    }
    for rule in rules() {
        assert!(broken.contains_key(rule.id), "no broken provider for {}", rule.id);
    }
}

#[test]
fn optional_features_left_out_are_no_failure() {
    let mut crd = crd(Role::InfraCluster);
    for version in [0, 1] {
        let properties = &mut crd["spec"]["versions"][version]["schema"]["openAPIV3Schema"]["properties"];
        properties["spec"]["properties"].as_object_mut().unwrap().remove("controlPlaneEndpoint");
        properties["status"]["properties"].as_object_mut().unwrap().remove("failureDomains");
    }
    for id in ["infra-cluster.endpoint", "infra-cluster.failure-domains", "infra-cluster.failure-domains-v1beta1"] {
        assert!(matches!(judge(rule(id), Role::InfraCluster, &crd, &[]), Verdict::NotApplicable(_)), "{id}");
    }
}

#[test]
fn rules_of_other_kinds_contracts_and_absent_objects_do_not_apply() {
    let crd = crd(Role::InfraMachine);
    assert!(matches!(judge(rule("infra-cluster.endpoint"), Role::InfraMachine, &crd, &[]), Verdict::NotApplicable(_)));
    assert!(matches!(judge(rule("infra-machine.provider-id-values"), Role::InfraMachine, &crd, &[]), Verdict::NotApplicable(_)));
    let mut unlabelled = crd.clone();
    unlabelled["metadata"]["labels"] = Value::Null;
    assert!(matches!(judge(rule("status.initialization"), Role::InfraMachine, &unlabelled, &[]), Verdict::NotApplicable(_)));
    assert!(judge(rule("crd.contract-label"), Role::InfraMachine, &unlabelled, &[]).is_fail());
}

#[test]
fn every_version_a_label_lists_is_judged_by_that_contract() {
    // The known defect: a version shaped for the older contract is listed under the newer one.
    let mut crd = crd(Role::InfraCluster);
    crd["metadata"]["labels"][Contract::V1Beta2.label()] = "v1alpha1_v1".into();
    for id in ["status.initialization", "infra-cluster.failure-domains"] {
        let verdict = judge(rule(id), Role::InfraCluster, &crd, &[]);
        let Verdict::Fail(findings) = verdict else { panic!("{id}: {verdict:?}") };
        assert!(findings.iter().all(|finding| finding.at.starts_with("v1alpha1: ")), "{findings:?}");
    }
}

#[test]
fn nothing_in_a_malformed_crd_or_object_stops_a_judge() {
    for junk in [Value::Null, Value::from(1), Value::from("x"), serde_json::json!([]), serde_json::json!({"spec": [], "metadata": 3})] {
        for role in Role::ALL {
            for rule in rules() {
                judge(rule, role, &junk, std::slice::from_ref(&junk));
                judge(rule, role, &crd(role), std::slice::from_ref(&junk));
            }
        }
    }
}

#[test]
fn definitions_made_here_keep_the_rules() {
    let machine =
        CrdBuilder::stored::<sample::FooMachine>().and::<sample::v1alpha1::FooMachine>().conversion(Conversion::Unchanged).build().unwrap();
    let cluster = crate::crd::crd::<sample::FooCluster>().unwrap();
    let template = crate::crd::crd::<sample::FooMachineTemplate>().unwrap();
    for (role, crd, excused) in [
        // The sample's first version reports no conditions.
        (Role::InfraMachine, machine, vec!["status.conditions"]),
        (Role::InfraCluster, cluster, vec![]),
        (Role::InfraMachineTemplate, template, vec![]),
    ] {
        let crd = serde_json::to_value(crd).unwrap();
        for rule in rules() {
            let verdict = judge(rule, role, &crd, &[]);
            assert_eq!(verdict.is_fail(), excused.contains(&rule.id), "{role:?} {}: {verdict:?}", rule.id);
        }
    }
}
