//! Up, up again, down, up, purge; in the background and in the foreground; one plane beside another.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::until;

#[test]
fn objects_outlive_down_and_nothing_outlives_purge() {
    let plane = TestPlane::new("life");
    plane.up();
    let (pids, supervisor, id) = (plane.pids(), plane.supervisor(), plane.id());
    assert_eq!(pids.len(), 6);

    // Twice is once.
    plane.up();
    assert_eq!((plane.pids(), plane.supervisor(), plane.id()), (pids, supervisor, id.clone()));
    let error = plane.run(&["up", "--detach", "--ephemeral"]).fails(1);
    assert!(error.contains("is up with other options"), "{error}");

    plane.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).ok();
    let ports = plane.ports();
    let authority = std::fs::read(plane.folder().join("pki/cluster-ca.crt")).unwrap();
    plane.down();
    assert_down(&plane, &id);
    for (name, (port, _)) in &ports {
        assert!(!kernel::listened(*port), "{name}: somebody still listens on {port}");
    }
    // Down is a state like another: it can be looked at, and had again.
    plane.down();
    let status = plane.run(&["status", "-o", "json"]);
    let status: serde_json::Value = {
        assert_eq!(status.code, Some(3));
        serde_json::from_str(&status.out).unwrap()
    };
    assert_eq!(status["ready"], false);
    assert_eq!(status["supervisor"]["running"], false);
    for component in status["components"].as_array().unwrap() {
        assert_eq!((&component["state"], &component["pid"]), (&"stopped".into(), &serde_json::Value::Null), "{component}");
    }
    assert!(plane.run(&["status"]).out.contains("The plane is down"));
    assert_eq!(plane.run(&["ls", "-o", "json"]).json()[0]["state"], "down");

    plane.up();
    assert_eq!(plane.id(), id, "it is the same plane");
    assert_eq!(plane.ports(), ports, "ports that are free are kept");
    assert_eq!(std::fs::read(plane.folder().join("pki/cluster-ca.crt")).unwrap(), authority);
    assert_eq!(plane.get(&["configmap", "kept"])["data"]["a"], "b");

    plane.run(&["down", "--purge"]).ok();
    assert_down(&plane, &id);
    assert!(!plane.folder().exists());
    let left: Vec<_> = std::fs::read_dir(plane.data_dir()).unwrap().filter_map(Result::ok).map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
    plane.run(&["status"]).fails(4);
}

#[test]
fn two_planes_live_side_by_side() {
    let one = TestPlane::new("one");
    let two = one.beside("two");
    one.run(&["up", "--detach", "--ephemeral"]).ok();
    two.run(&["up", "--detach", "--ephemeral"]).ok();
    let listed = one.run(&["ls", "-o", "json"]).json();
    let mut states: Vec<_> =
        listed.as_array().unwrap().iter().map(|p| (p["name"].as_str().unwrap(), p["state"].as_str().unwrap())).collect();
    states.sort_unstable();
    assert_eq!(states, [(one.name.as_str(), "ready"), (two.name.as_str(), "ready")]);
    let numbers = |plane: &TestPlane| plane.ports().into_values().map(|(port, _)| port).collect::<BTreeSet<_>>();
    assert!(numbers(&one).is_disjoint(&numbers(&two)));

    one.kubectl(&["create", "namespace", "only-in-one"]).ok();
    two.kubectl(&["get", "namespace", "only-in-one"]).fails(1);
    // The credentials of one open nothing of the other.
    let (port, _) = two.ports()["kube-apiserver/api"].clone();
    let refused = one.kubectl(&["--server", &format!("https://127.0.0.1:{port}"), "get", "namespaces"]).fails(1);
    assert!(refused.contains("certificate signed by unknown authority"), "{refused}");
    let refused =
        one.kubectl(&["--server", &format!("https://127.0.0.1:{port}"), "--insecure-skip-tls-verify", "get", "namespaces"]).fails(1);
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");

    let pids = two.pids();
    let id = one.id();
    one.run(&["down", "--purge"]).ok();
    assert_down(&one, &id);
    assert_eq!(two.pids(), pids, "the other one noticed nothing");
    assert_eq!(two.run(&["status"]).code, Some(0));
}

#[test]
fn in_the_foreground_an_interrupt_takes_it_down() {
    let plane = TestPlane::new("foreground");
    let mut up = plane.command(&["up"]).command;
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map(Result::unwrap).find(|line| line.contains("is ready"));
    assert!(ready.is_some(), "{:?}", up.wait_with_output());
    let (id, pids) = (plane.id(), plane.pids());
    assert_eq!(plane.run(&["status"]).code, Some(0));
    plane.kubectl(&["create", "namespace", "kept"]).ok();

    // In the foreground a supervisor that is killed is replaced without a command.
    let supervisor = plane.supervisor();
    kernel::kill(supervisor);
    until("another supervisor took over", || {
        let status = plane.status();
        let other = status["supervisor"]["pid"].as_u64() != Some(supervisor.into());
        if other && status["ready"] == true { Ok(()) } else { Err(format!("{status:#}")) }
    });
    assert_eq!(plane.pids(), pids);

    kernel::signal(up.id(), Signal::INT);
    let output = up.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("its objects are kept"), "{output:?}");
    assert_down(&plane, &id);
    assert!(pids.values().all(|pid| !kernel::alive(*pid)));

    plane.up();
    plane.get(&["namespace", "kept"]);
}

#[test]
fn an_interrupted_up_leaves_nothing_in_the_foreground() {
    let plane = TestPlane::new("interrupted");
    let mut up = plane.command(&["up"]).command;
    let up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = until("the first process runs", || {
        let id = plane.folder().join("plane.json").exists().then(|| plane.id()).ok_or("no plane")?;
        if kernel::processes(&id).is_empty() { Err("no process".into()) } else { Ok(id) }
    });
    kernel::signal(up.id(), Signal::INT);
    let output = up.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_down(&plane, &id);
}

#[test]
fn a_part_of_it_can_be_left_out() {
    let plane = TestPlane::new("part");
    let words = ["up", "--detach", "--without", "capi-bootstrap-kubeadm,capi-control-plane-kubeadm"];
    plane.run(&words).ok();
    let names: Vec<String> = plane.pids().into_keys().collect();
    assert_eq!(names, ["capi-core", "etcd", "kube-apiserver", "kube-controller-manager"]);
    plane.kubectl(&["get", "crd", "clusters.cluster.x-k8s.io"]).ok();
    plane.kubectl(&["get", "crd", "kubeadmconfigs.bootstrap.cluster.x-k8s.io"]).fails(1);
    // The same words again are no other options.
    let pids = plane.pids();
    plane.run(&words).ok();
    assert_eq!(plane.pids(), pids);
    // What it was made with is kept, and what is left out at first can come later.
    let pids = plane.down().up().pids();
    assert_eq!(pids.len(), 4);
    plane.down().run(&["up", "--detach", "--without="]).ok();
    assert_eq!(plane.pids().len(), 6);
    plane.kubectl(&["get", "crd", "kubeadmconfigs.bootstrap.cluster.x-k8s.io"]).ok();
}

fn assert_down(plane: &TestPlane, id: &str) {
    let left = plane.living(id);
    assert!(left.is_empty(), "still alive: {left:?}");
}
