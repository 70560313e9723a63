//! kill -9 of everything there is.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::ONLY_ETCD;
use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::until;

#[test]
fn what_is_killed_comes_back_and_nothing_is_lost() {
    let plane = TestPlane::new("kills");
    plane.up();
    let id = plane.id();

    // Without its supervisor a plane goes on, and another takes over what runs.
    let (pids, supervisor) = (plane.pids(), plane.supervisor());
    kernel::kill(supervisor);
    until("the supervisor is gone", || if kernel::alive(supervisor) { Err("alive".into()) } else { Ok(()) });
    let status = plane.run(&["status"]).fails_with_output(3);
    assert!(status.contains("The supervisor is not running, its processes are"), "{status}");
    assert_eq!(plane.status()["supervisor"]["running"], false);
    assert_eq!(plane.pids(), pids);
    assert_eq!(plane.run(&["ls", "-o", "json"]).json()[0]["state"], "unsupervised");
    plane.kubectl(&["create", "configmap", "unsupervised"]).ok();
    plane.up();
    assert_eq!(plane.pids(), pids, "adopted, not started again");
    assert_ne!(plane.supervisor(), supervisor);
    let log = plane.run(&["logs", "supervisor"]).ok();
    assert_eq!(log.lines().filter(|line| line.contains(" adopted ")).count(), pids.len(), "{log}");

    // Each component in turn; the next one only when all is well again.
    for (component, pid) in &pids {
        let object = format!("before-{component}");
        plane.kubectl(&["create", "configmap", &object]).ok();
        let before = plane.component(component)["restarts"].as_u64().unwrap();
        kernel::kill(plane.pids()[component]);
        until("it was started again and all is well", || {
            let status = plane.status();
            let this = status["components"].as_array().unwrap().iter().find(|other| other["name"] == **component).unwrap();
            let again = this["restarts"] == before + 1 && this["pid"].as_u64() != Some(u64::from(*pid));
            if again && status["ready"] == true { Ok(()) } else { Err(format!("{status:#}")) }
        });
        assert!(!kernel::alive(*pid));
    }
    assert_eq!(kernel::processes(&id).len(), pids.len(), "one process each");
    for name in pids.keys().map(|component| format!("before-{component}")).chain(["unsupervised".to_owned()]) {
        plane.get(&["configmap", &name]);
    }
    // Webhooks and controllers are there as before, not only processes.
    let refused = plane.apply(
        &json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": {"name": "empty"}, "spec": {"paused": true}})
            .to_string(),
    );
    assert!(refused.fails(1).contains("must be set"));

    // Taken down without a supervisor.
    kernel::kill(plane.supervisor());
    plane.down();
    assert!(plane.living(&id).is_empty(), "{:?}", plane.living(&id));
}

#[test]
fn a_component_that_keeps_ending_is_named_with_its_last_words() {
    let plane = TestPlane::new("ending");
    let bin = plane.scratch().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = bin.join("sulky");
    std::fs::write(&script, "#!/bin/sh\necho it is too cold here\necho no thanks >&2\nexit 7\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = plane.scratch().join("sulky.yaml");
    let component = json!({
        "name": "sulky", "title": "Sulky", "after": ["etcd"], "binary": {"name": "sulky", "version": "v1"},
        "ports": {"health": {}}, "ready": {"url": "http://127.0.0.1:${PORT_HEALTH}/"},
    });
    std::fs::write(&file, component.to_string()).unwrap();
    let words = ["up", "--detach", ONLY_ETCD, "--component", file.to_str().unwrap(), "--bin-dir", bin.to_str().unwrap()];
    // Whatever the caller's binaries are for, here they come from the folder and the cache.
    let up = || plane.command(&words).run();
    let error = up().fails(3);
    assert!(error.contains("the plane cannot become ready"), "{error}");
    assert!(error.contains("sulky: ended 4 times in a row") && error.contains("exit code 7"), "{error}");
    assert!(error.contains("it is too cold here") && error.contains("no thanks"), "{error}");
    assert!(!error.contains("etcd:"), "etcd is well: {error}");
    let component = plane.component("sulky");
    assert_eq!((&component["state"], &component["ready"]), (&json!("failing"), &json!(false)));
    assert!(component["restarts"].as_u64().unwrap() >= 3, "{component}");
    let log = component["log"].as_array().unwrap();
    assert!(log.contains(&json!("no thanks")) && log.contains(&json!("it is too cold here")), "{component}");
    assert_eq!(plane.component("etcd")["ready"], true);
    let table = plane.run(&["status"]).fails_with_output(3);
    assert!(table.contains("failing") && table.contains("no thanks"), "{table}");
    assert!(plane.run(&["logs", "sulky"]).ok().lines().filter(|line| *line == "no thanks").count() >= 4);
    // The supervisor goes on trying, more and more seldom, and `up` again says the same.
    assert!(up().fails(3).contains("no thanks"));
    // A binary that is gone is another trouble than one that ends.
    std::fs::remove_file(&script).unwrap();
    until("status says what is missing", || {
        let component = plane.component("sulky");
        if component["message"].to_string().contains("cannot fetch its binary") { Ok(()) } else { Err(component.to_string()) }
    });
}
