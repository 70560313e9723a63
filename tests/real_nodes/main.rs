//! A cluster whose nodes are real: microVMs of our own host, emulated where there is no KVM, that kubeadm makes a control plane and a worker of through the
//! bootstrap provider's cloud-init.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../support/brought.rs"]
mod brought;
#[path = "../support/mod.rs"]
mod support;

use std::fs;

use serde_json::Value;
use support::TestPlane;

/// One cluster of one control plane and one worker, on one host.
const SUITE: &str = "flows: [{name: real, apiVersion: v1alpha2}]\nworkers: 1\nnginx: {replicas: 1}\n";

/// How each stage ended, with how long it took.
fn stages(out: &str) -> Vec<(String, Value)> {
    let entries: Vec<Value> = serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.iter().map(|entry| (format!("{} {}", text(&entry["part"]), text(&entry["stage"])), entry["ended"].clone())).collect()
}

#[test]
fn a_cluster_of_real_nodes_comes_up_serves_and_leaves_nothing() {
    let plane = TestPlane::new("real-nodes");
    let (artefacts, config) = (plane.scratch().join("artefacts"), plane.scratch().join("e2e.yaml"));
    fs::write(&config, SUITE).unwrap();
    let [folder, config] = [&artefacts, &config].map(|path| path.to_str().unwrap());
    let words =
        ["e2e", "--own-hosts=1", "--isolated", "--name", &plane.name, "-e2e.artefact-dir", folder, "-e2e.config", config, "-o", "json"];
    let clean = ["E2E_FLINTLOCK_HOSTS", "E2E_FLINTLOCK_HOST", "E2E_CAPMVM_VIP", "E2E_CONFIG"];
    let ran = clean.iter().fold(plane.command(&words), |command, name| command.without(name)).run();
    eprintln!("{}", ran.err);
    let stages = stages(&ran.out);
    for stage in ["template", "apply", "control-plane", "workers", "hosts", "nginx", "service", "delete"] {
        let ended = stages.iter().find(|(name, _)| *name == format!("real {stage}")).map(|(_, ended)| ended);
        assert_eq!(ended, Some(&Value::from("passed")), "{stage}: {ran:#?}");
    }
    ran.ok();
    let objects = fs::read_to_string(artefacts.join("clusters/real/workload-objects.txt")).unwrap();
    let (recorded, seen) = (brought::read(brought::RECORDED), brought::read(&objects));
    if let Some(file) = std::env::var_os("CAPSTEAD_RECORD") {
        fs::write(file, brought::record(&seen)).unwrap();
    }
    assert_eq!((brought::missing(&recorded, &seen), brought::missing(&seen, &recorded)), Default::default(), "as recorded: {objects}");
    assert_eq!(brought::turned(&recorded, &seen), [], "in that order: {objects}");
    assert!(!plane.folder().exists(), "plane, host, microVMs and their network are gone");
}
