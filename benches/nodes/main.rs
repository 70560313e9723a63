//! Makes a cluster of a control plane and a worker on microVMs of this machine, and prints how large a node's image is and how long each part took, beside the
//! same by hand: two nodes started with QEMU and kubeadm alone on two cores without KVM, without Cluster API, virtual address, network plugin or nginx.
//!
//! `make bench` runs it with a release build; `CAPSTEAD=PATH` chooses another. Nothing is asserted: a figure is to be read, not to fail.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SUITE: &str = "flows: [{name: nodes, apiVersion: v1alpha2}]\nworkers: 1\nnginx: {replicas: 1}\n";
/// By hand: a node's disk, in MB; seconds from the control plane's boot until kubeadm init was done, and until both nodes were ready.
const BY_HAND: (f64, f64, f64) = (1300.0, 84.0, 156.0);

fn main() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (config, file) = (dir.path().join("e2e.yaml"), dir.path().join("node.yaml"));
    std::fs::write(&config, SUITE)?;
    std::fs::write(&file, "extends: demo\n")?;
    let output = format!("oci:{}", dir.path().join("node").display());
    let image = run(&["image", "build", "node", "--file", text(&file)?, "--output", &output, "--format", "json"])?;
    let artefacts = dir.path().join("artefacts");
    let stages = run(&["e2e", "--own-hosts=1", "-e2e.config", text(&config)?, "-e2e.artefact-dir", text(&artefacts)?, "-o", "json"])?;
    let objects = std::fs::read_to_string(artefacts.join("clusters/nodes/objects.yaml"))?;
    print(&image, &stages, &objects)
}

fn text(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| "the temporary folder's name is no text".into())
}

fn run(words: &[&str]) -> Outcome<Value> {
    let capstead = std::env::var("CAPSTEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_capstead").into());
    let output = Command::new(capstead).args(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout)?)
    } else {
        Err(format!("capstead {} failed", words.join(" ")).into())
    }
}

fn print(image: &Value, stages: &Value, objects: &str) -> Outcome<()> {
    let row = |what: &str, value: f64, by_hand: Option<f64>| {
        let beside = by_hand.map(|by_hand| format!("{by_hand:>10.0}{:>8.2}", value / by_hand)).unwrap_or_default();
        println!("  {what:<58}{value:>10.0}{beside}");
    };
    let objects = yaml_serde::Deserializer::from_str(objects).map(Value::deserialize).collect::<Result<Vec<_>, _>>()?;
    let when = |kind: &str, condition: &str| -> Option<Timestamp> {
        let told = objects.iter().filter(|object| object["kind"] == kind).flat_map(|object| object["status"]["conditions"].as_array());
        let times = told.flatten().filter(|told| told["type"] == condition && told["status"] == "True");
        times.filter_map(|told| told["lastTransitionTime"].as_str()?.parse().ok()).min()
    };
    let boot = when("MicrovmMachine", "Ready").ok_or("no microVM was told as ready")?;
    let since = |time: Option<Timestamp>| time.map_or(f64::NAN, |time| time.duration_since(boot).as_secs_f64());
    println!("\n{:<60}{:>10}{:>10}{:>8}", "a control plane and a worker, one turn", "here", "by hand", "ratio");
    row("a node's image, MB", image["size"].as_f64().unwrap_or(f64::NAN) / 1e6, Some(BY_HAND.0));
    row("from boot to kubeadm init done, s", since(when("KubeadmControlPlane", "Initialized")), Some(BY_HAND.1));
    row("from boot to both nodes ready, s", since(when("Cluster", "Available")), Some(BY_HAND.2));
    for stage in stages.as_array().into_iter().flatten() {
        let name = format!("{}, s", stage["title"].as_str().unwrap_or_default());
        row(&name, stage["took"].as_f64().unwrap_or(f64::NAN), None);
    }
    Ok(())
}
