//! The demo as a newcomer runs it, and what a cluster on simulated hosts leaves behind: nothing.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod generate;
#[path = "../support/mod.rs"]
mod support;
mod vip;

use std::io::Read;
use std::io::Write;

use serde_json::Value;
use support::TestPlane;
use support::until;

/// A request to the simulated hosts, answered in JSON.
fn lab(plane: &TestPlane, method: &str, path: &str, body: &str) -> Value {
    let (port, _) = plane.ports()["simulated-hosts/control"].clone();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: lab\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// What the simulated hosts have, by their own account.
fn microvms(plane: &TestPlane) -> Vec<Value> {
    lab(plane, "GET", "/microvms", "").as_array().unwrap().clone()
}

fn items(plane: &TestPlane, kind: &str) -> Vec<Value> {
    plane.get(&["-A", kind])["items"].as_array().unwrap().clone()
}

/// The uid part of the provider ids of all Machines that have one.
fn uids(plane: &TestPlane) -> Vec<String> {
    let machines = items(plane, "machines");
    let ids = machines.iter().filter_map(|machine| machine["spec"]["providerID"].as_str());
    let uids = ids.map(|id| id.strip_prefix("microvm://127.0.0.1:").unwrap().split_once('/').unwrap().1.to_owned());
    sorted(uids.collect())
}

fn sorted(mut uids: Vec<String>) -> Vec<String> {
    uids.sort();
    uids
}

fn on_hosts(plane: &TestPlane) -> Vec<String> {
    sorted(microvms(plane).iter().map(|microvm| microvm["uid"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_cluster_comes_up_on_simulated_hosts_and_leaves_nothing() {
    let plane = TestPlane::new("demo");
    let demo = || plane.run(&["demo", "--simulated", "--name", &plane.name]);

    let ran = demo();
    assert!(ran.err.contains("MicrovmCluster/demo: ready"), "progress, a line for each change: {ran:#?}");
    let out = ran.ok();
    assert!(out.contains("Cluster/demo") && out.contains("└─") && out.contains("CREATED"), "{out}");
    assert!(out.contains(&format!("capstead down --name {} --purge", plane.name)), "{out}");
    let table = plane.kubectl(&["get", "machines", "-A", "-o", "wide"]).ok();
    assert!(table.contains("microvm://127.0.0.1:"), "{table}");
    let first = uids(&plane);
    assert_eq!((first.len(), on_hosts(&plane)), (2, first.clone()), "one microVM for each machine");
    assert!(out.contains("The cluster is available after"), "{out}");
    let kubeconfig = plane.scratch().join("demo.kubeconfig");
    std::fs::write(&kubeconfig, plane.run(&["clusterctl", "get", "kubeconfig", "demo"]).ok()).unwrap();
    let nodes = plane.kubectl(&["--kubeconfig", kubeconfig.to_str().unwrap(), "get", "nodes"]).ok();
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 2, "{nodes}");

    // Again, on a plane that is up: the same machines.
    demo().ok();
    assert_eq!((uids(&plane), on_hosts(&plane)), (first.clone(), first.clone()));

    // Down and up again: the same machines, and their cluster is made again.
    plane.down();
    demo().ok();
    assert_eq!((uids(&plane), on_hosts(&plane)), (first.clone(), first.clone()));
    let nodes = plane.kubectl(&["--kubeconfig", kubeconfig.to_str().unwrap(), "get", "nodes"]).ok();
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 2, "{nodes}");

    // Hosts that forgot everything: other machines.
    plane.down();
    std::fs::remove_dir_all(plane.folder().join("components/simulated-hosts/data")).unwrap();
    let ran = demo();
    assert!(ran.err.contains("were started anew"), "{ran:#?}");
    ran.ok();
    let second = uids(&plane);
    assert!(second.len() == 2 && second != first, "{first:?}, then {second:?}");
    assert_eq!(on_hosts(&plane), second);

    // With another number of hosts it must be down first.
    let error = plane.run(&["demo", "--simulated", "--name", &plane.name, "--hosts", "3"]).fails(1);
    assert!(error.contains("other options"), "{error}");

    plane.kubectl(&["delete", "cluster", "demo", "--timeout=120s"]).ok();
    until("nothing is left of the cluster", || {
        let left: Vec<Value> = ["microvmclusters", "microvmmachines", "microvmmachinetemplates", "machines"]
            .iter()
            .flat_map(|kind| items(&plane, kind))
            .collect();
        let microvms = microvms(&plane);
        if left.is_empty() && microvms.is_empty() { Ok(()) } else { Err(format!("{left:#?} {microvms:#?}")) }
    });

    // Hosts that do not answer: it says what is not met, and where to look.
    lab(&plane, "PUT", "/faults", r#"{"unavailable": 1}"#);
    let error = plane.run(&["demo", "--simulated", "--name", &plane.name, "--timeout", "15"]).fails(1);
    assert!(error.contains("after 15 s this is not met:\n  Machine/demo-control-plane-"), "{error}");
    assert!(error.contains("spec.providerID is not set") && error.contains("capstead logs capstead-microvm --name"), "{error}");
    plane.down();
}

#[test]
fn a_demo_that_is_not_there_is_down() {
    let home = tempfile::tempdir().unwrap();
    let demo =
        |words: &[&str]| support::Capstead::new(home.path(), [&["demo"], words].concat()).env("CAPSTEAD_DATA_DIR", home.path()).run();
    assert!(demo(&["--down"]).ok().contains("The demo \"demo\" is down"));
    assert!(support::entries(home.path()).iter().all(|entry| entry != "demo"), "{:?}", support::entries(home.path()));
    assert!(demo(&["--down", "--simulated"]).fails(2).contains("cannot be used with"));
}
