use std::collections::BTreeSet;

use serde_json::json;

use super::diagnose;
use super::rules;
use crate::Severity;
use crate::picture::Unseen;
use crate::sample::healthy;
use crate::sample::log;
use crate::sample::microvm_machine;
use crate::sample::picture;

const PAGE: &str = include_str!("../../../../docs/src/reference/doctor.md");

#[test]
fn of_what_is_well_nothing_is_found() {
    let diagnosis = diagnose(&healthy());
    assert_eq!(diagnosis.findings, []);
    assert!(diagnosis.ok);
    assert_eq!(diagnosis.exit_code(), 0);
    assert_eq!(
        diagnosis.looked,
        ["management cluster https://127.0.0.1:6443 (6 objects)", "host 10.0.0.5:9090 (microVMs: 1, consoles: 1)"]
    );
}

#[test]
fn what_could_not_be_seen_is_no_health() {
    let mut picture = healthy();
    picture.unseen.push(Unseen { what: "objects of the kind Machine".into(), why: "forbidden".into() });
    let diagnosis = diagnose(&picture);
    assert!(!diagnosis.ok);
    assert_eq!(diagnosis.exit_code(), 2);
}

#[test]
fn the_worst_comes_first_with_the_symptom_as_people_know_it() {
    let mut picture = picture(vec![microvm_machine("a", "False", "MachineFailed", "microVM x on host h failed")]);
    picture.logs.push(log("kube-apiserver", "I1122 warnings.go] unrecognized format \"int32\""));
    let diagnosis = diagnose(&picture);
    let told: Vec<_> = diagnosis.findings.iter().map(|finding| (finding.id.as_str(), finding.severity)).collect();
    assert_eq!(told, [("machine-lost", Severity::Error), ("unrecognized-format", Severity::Note)]);
    assert_eq!(diagnosis.findings[0].symptom, "a MicroVM is FAILED, or gone");
    assert!(diagnosis.findings.iter().all(|finding| !finding.cause.is_empty() && !finding.fix.is_empty() && !finding.evidence.is_empty()));
}

#[test]
fn nothing_that_is_told_makes_it_panic() {
    let hosts = json!([1, {"endpoint": 2}, {"endpoint": "a"}]);
    let spec = json!({"controlPlaneEndpoint": {"host": 1, "port": "x"}, "bootstrap": [], "version": "v..", "placement": {"staticPool": {"hosts": hosts}}});
    let reference = json!({"infrastructureRef": {"kind": "MicrovmMachine"}, "bootstrap": {"configRef": {"name": "a"}}, "version": "v1"});
    let status = json!({"conditions": [{"type": "Ready", "status": "False"}, {"type": "RemoteConnectionProbe", "status": "Unknown"}], "containerStatuses": [1]});
    let odd = [
        json!(null),
        json!([]),
        json!({"metadata": [], "spec": spec, "status": status, "webhooks": [1, {"clientConfig": 3}]}),
        json!({"metadata": {"labels": [], "creationTimestamp": "now"}, "spec": reference, "status": status}),
    ];
    for kind in
        ["Cluster", "Machine", "KubeadmConfig", "MicrovmCluster", "MicrovmMachine", "Deployment", "Pod", "MutatingWebhookConfiguration"]
    {
        for value in &odd {
            // That it ends is what is asked for.
            let _ = diagnose(&picture(vec![(kind, value.clone()), ("MicrovmMachine", odd[2].clone()), ("Cluster", odd[3].clone())]));
        }
    }
}

#[test]
fn rules_have_names_of_their_own_and_the_reference_has_them_all() {
    let ids: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().count());
    for rule in rules() {
        let row = format!("| `{}` | {} |", rule.id, rule.symptom);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "docs/src/reference/doctor.md lacks a row that begins with:\n{row}");
    }
}

#[test]
fn each_heading_of_the_guides_leads_to_rules_that_exist() {
    let ids: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    let (_, table) = PAGE.split_once("## From the guides' headings to rules").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Heading")).collect();
    assert!(rows.len() > 20, "{rows:#?}");
    for row in rows {
        let cell = row.split(" | ").nth(1).unwrap_or_default();
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(named.iter().all(|id| ids.contains(id)), "{row}");
        assert!(!named.is_empty(), "no rule: {row}");
    }
}
