//! Runs fleets of simulated clusters through real Cluster API, and prints what that took: time, and memory, CPU, requests and writes of our processes
//! (the manager and the simulated hosts), beside what Cluster API's in-memory provider took on a machine like this (its clusters had one worker).
//!
//! `make bench` runs it for 50 and 200 clusters of 1 control plane machine and 3 workers, with a release build; `CLUSTERS=10,20` chooses others,
//! `CAPSTEAD=PATH` another build. Nothing is asserted: a figure is to be read, not to fail.

use std::error::Error;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

const WORKERS: &str = "3";

fn main() -> Outcome<()> {
    let counts = std::env::var("CLUSTERS").unwrap_or_else(|_| "50,200".into());
    for count in counts.split(',') {
        // A fresh plane each time: an API server never gives memory back.
        print(&fleet(count.trim())?);
    }
    println!("\none turn each; Cluster API's in-memory provider, clusters of 1 and 1 machines: 50 available after 340 s,");
    println!("0.45 s of CPU, 43 requests (deletion in part) and 2.2 MB grown a cluster; its peak with 50 was 170 MB.");
    Ok(())
}

fn fleet(count: &str) -> Outcome<Value> {
    let dir = tempfile::tempdir()?;
    let capstead = std::env::var("CAPSTEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_capstead").into());
    let mut command = Command::new(capstead);
    command.args(["lab", "fleet", "--name", "bench", "--clusters", count, "--workers", WORKERS, "--timeout", "60m", "--output", "json"]);
    let output = command.arg("--data-dir").arg(dir.path()).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout)?) } else { Err("the fleet did not become available".into()) }
}

fn print(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let row = |what: &str, value: f64, digits: usize| println!("  {what:<58}{value:>12.digits$}");
    let last = |stages: &Value, of: &str| stages.as_array().into_iter().flatten().last().map_or(f64::NAN, |stage| number(&stage[of]));
    println!("\n{} clusters of 1 control plane machine and {WORKERS} workers", report["asked"]["clusters"]);
    row("seconds to all available", number(&report["seconds"]), 1);
    row("seconds of a cluster, median", last(&report["clusters"], "p50"), 1);
    row("seconds of a machine, median", last(&report["machines"], "p50"), 1);
    let processes = || report["used"]["processes"].as_array().into_iter().flatten();
    for process in processes().filter(|process| process["ours"] == true) {
        let name = process["name"].as_str().unwrap_or_default();
        row(&format!("{name}: peak memory, MB"), number(&process["peakMemoryBytes"]) / 1e6, 1);
        row(&format!("{name}: CPU, s"), number(&process["cpuSeconds"]), 2);
    }
    let of_others =
        |field: &str| processes().filter(|process| process["ours"] == false).map(|process| number(&process[field])).sum::<f64>();
    row("the plane's other processes: peak memory, MB", of_others("peakMemoryBytes") / 1e6, 0);
    row("the plane's other processes: CPU, s", of_others("cpuSeconds"), 1);
    let each = &report["perCluster"];
    row("peak memory of ours a cluster, MB", number(&each["peakMemoryBytes"]) / 1e6, 2);
    row("memory of ours that a cluster adds, MB", number(&each["grownMemoryBytes"]) / 1e6, 2);
    row("CPU of ours a cluster, s", number(&each["cpuSeconds"]), 3);
    row("requests of the manager a cluster, events included", number(&each["requests"]), 1);
    row("writes of the manager a cluster, without events", number(&each["writes"]), 1);
    row("calls to hosts a cluster", number(&each["hostCalls"]), 1);
}
