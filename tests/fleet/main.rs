//! `capstead lab fleet` as people run it: clusters come up, change, and are left alone; the reports tell all of it, and nothing stays behind.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;

use support::TestPlane;
use support::random::setting;

fn stage<'a>(stages: &'a Value, name: &str) -> &'a Value {
    stages.as_array().unwrap().iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("no stage {name}: {stages}"))
}

#[test]
fn a_fleet_is_measured_and_taken_down() {
    let plane = TestPlane::new("fleet");
    let (json, html) = (plane.scratch().join("report.json"), plane.scratch().join("report.html"));
    let reports = ["--report", json.to_str().unwrap(), "--report", html.to_str().unwrap()];
    let size =
        ["lab", "fleet", "--name", &plane.name, "--clusters", "3", "--workers", "1", "--boot-delay", "200ms", "--kubeadm-delay", "500ms"];
    let churn = ["--churn", "scale=12/m,delete=6/m", "--churn-for", "20s", "--seed", "7", "--timeout", "10m"];
    let ran = plane.run(&[&size[..], &churn, &reports].concat());
    assert!(ran.err.contains("of 3 clusters"), "it says how far it is: {}", ran.err);
    let printed = ran.ok();
    assert!(printed.starts_with("3 clusters of 1 control plane machine and 1 worker: all available after"), "{printed}");
    assert!(printed.contains("Churn for 20 s: scaled 4 times"), "{printed}");

    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(
        (&report["available"], &report["tally"]["clustersAvailable"], &report["stuck"]),
        (&true.into(), &3.into(), &Value::Array(vec![]))
    );
    assert_eq!((&report["tally"]["machines"], &report["tally"]["available"]), (&6.into(), &6.into()));
    for name in ["infrastructureProvisioned", "controlPlaneInitialized", "available"] {
        assert_eq!(stage(&report["clusters"], name)["count"], 3);
    }
    // Cluster API writes conditions before node references, so which of the two is seen first is chance.
    for later in ["node", "ready", "available"] {
        let [earlier, later] = ["infrastructureProvisioned", later].map(|name| stage(&report["machines"], name));
        assert_eq!((&earlier["count"], &later["count"]), (&6.into(), &6.into()));
        assert!(earlier["p50"].as_f64().unwrap() > 0.0 && earlier["p50"].as_f64() <= later["p50"].as_f64(), "{earlier} {later}");
    }
    let processes = report["used"]["processes"].as_array().unwrap();
    assert_eq!(processes.iter().filter(|process| process["ours"] == true).count(), 2);
    assert!(processes.iter().all(|process| process["peakMemoryBytes"].as_u64() > Some(0)), "{processes:#?}");
    assert!(report["perCluster"]["requests"].as_f64() > Some(1.0) && report["perCluster"]["hostCalls"].as_f64() > Some(1.0), "{report:#}");
    let churned = &report["churn"];
    assert_eq!((&churned["scaled"], churned["recoveredAfter"].is_f64()), (&4.into(), true), "{churned:#}");
    assert!(churned["machinesMade"].as_u64() > Some(0) && churned["machinesGone"].as_u64() > Some(0), "{churned:#}");
    assert!(report["samples"].as_array().unwrap().len() > 10);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("Machines over time") && page.contains("Churn for 20 s"));
    assert!(!plane.folder().exists(), "the plane is taken down");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let plane = TestPlane::new("fleet-none");
    let refused = |words: &[&str], code: i32| plane.run(&[&["lab", "fleet", "--name", &plane.name], words].concat()).fails(code);
    for (words, why) in [
        (&["--clusters", "0"][..], "1..=1000"),
        (&["--clusters", "1001"], "1..=1000"),
        (&["--control-plane", "2"], "1, 3, 5 or 7"),
        (&["--churn", "grow=1/m", "--churn-for", "1m"], "scale and delete"),
        (&["--churn", "scale=1/m"], "--churn-for"),
        (&["--report", "fleet.pdf"], ".json or .html"),
    ] {
        let said = refused(words, 2);
        assert!(said.contains(why), "{words:?}: {said}");
    }
    assert!(refused(&["--clusters", "600", "--hosts", "1"], 1).contains("508 clusters"));
    assert!(refused(&["--report", "/no/such/folder/fleet.json"], 1).contains("/no/such/folder"));
    assert!(!plane.folder().exists());
}

/// 3 clusters of one control plane machine and 3 workers that are left alone for 20 s, or `CAPSTEAD_SOAK_CLUSTERS` for `CAPSTEAD_SOAK_SECONDS`.
/// Nothing of ours is written, but for Leases, which nobody has here.
#[test]
fn settled_clusters_cause_no_write() {
    let clusters = setting("CAPSTEAD_SOAK_CLUSTERS").unwrap_or(3).to_string();
    let settle = format!("{}s", setting("CAPSTEAD_SOAK_SECONDS").unwrap_or(20));
    let plane = TestPlane::new("fleet-settled");
    let words = ["lab", "fleet", "--name", &plane.name, "--clusters", &clusters, "--settle", &settle, "--timeout", "90m", "-o", "json"];
    let report = plane.run(&words).json();
    let settled = &report["settled"];
    assert_eq!(settled["writes"], 0, "{settled:#}");
    assert_eq!((&settled["changes"]["MicrovmCluster"], &settled["changes"]["MicrovmMachine"]), (&0.into(), &0.into()), "{settled:#}");
    assert_eq!(settled["workloadChanges"], 0, "{settled:#}");
    let cpu = |process: &Value| format!("{} {} s of CPU", process["name"], process["cpuSeconds"]);
    let used: Vec<String> = settled["used"]["processes"].as_array().unwrap().iter().map(cpu).collect();
    eprintln!("{clusters} clusters, available after {} s, left alone for {} s: {}", report["seconds"], settled["seconds"], used.join(", "));
}
