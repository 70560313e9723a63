//! Looking at a plane that is up: status, ls, logs, kubeconfig, and what the kernel says of it.

use std::net::Ipv4Addr;

use serde_json::Value;
use serde_json::json;

use crate::support::Capstead;
use crate::support::TestPlane;
use crate::support::kernel;

const COMPONENTS: [&str; 6] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "capi-core", "capi-bootstrap-kubeadm", "capi-control-plane-kubeadm"];

#[test]
fn a_plane_that_is_up_shows_itself_truly() {
    let plane = TestPlane::new("looks");
    plane.up();
    status(&plane);
    ls(&plane);
    logs(&plane);
    kubeconfig(&plane);
    merge(&plane);
    nothing_foreign_is_overwritten(&plane);
    listeners(&plane);
    private_files(&plane);
}

fn status(plane: &TestPlane) {
    let status = plane.run(&["status", "-o", "json"]).json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&status), ["components", "name", "ready", "supervisor"]);
    assert_eq!((&status["name"], &status["ready"]), (&json!(plane.name), &json!(true)));
    let names: Vec<&str> = status["components"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, COMPONENTS);
    for component in status["components"].as_array().unwrap() {
        assert_eq!(
            keys(component),
            ["memoryBytes", "name", "pid", "ports", "ready", "restarts", "source", "state", "version"],
            "messages and logs are only of those in trouble"
        );
        assert_eq!((&component["state"], &component["ready"]), (&json!("ready"), &json!(true)), "{component}");
        assert_eq!(component["restarts"], 0, "{component}");
        assert!(component["memoryBytes"].as_u64().unwrap() > 10_000_000, "{component}");
        assert!(component["version"].as_str().unwrap().starts_with('v'), "{component}");
        assert!(["path", "oci", "go"].contains(&component["source"].as_str().unwrap()), "{component}");
        assert!(!component["ports"].as_array().unwrap().is_empty(), "{component}");
        for port in component["ports"].as_array().unwrap() {
            assert_eq!(keys(port), ["address", "name", "port"]);
        }
        let pid = u32::try_from(component["pid"].as_u64().unwrap()).unwrap();
        assert_eq!(kernel::processes(&plane.id()).get(&pid).map(String::as_str), component["name"].as_str());
    }
    let supervisor = &status["supervisor"];
    assert_eq!(supervisor["running"], true);
    let resident = supervisor["memoryBytes"].as_u64().unwrap();
    // Its own, without the pages of its binary: those all processes of it share, and a build for tests has twice as many as one that is shipped.
    let own = kernel::anonymous_memory(plane.supervisor());
    assert!(own < 10_000_000 && own < resident, "the supervisor takes {own} bytes, {resident} with its binary");

    let yaml: Value = yaml_serde::from_str(&plane.run(&["status", "-o", "yaml"]).ok()).unwrap();
    assert_eq!(yaml["components"].as_array().unwrap().len(), COMPONENTS.len());
    assert_eq!(yaml["components"][1]["pid"], status["components"][1]["pid"]);
    let table = plane.run(&["status"]).ok();
    assert!(table.starts_with("COMPONENT"), "{table}");
    for (name, pid) in plane.pids() {
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(&name)).unwrap_or_else(|| panic!("{name}: {table}"));
        assert!(row.contains(" ready ") && row.contains(&format!(" {pid} ")), "{row}");
    }
}

fn ls(plane: &TestPlane) {
    let listed = plane.run(&["ls", "-o", "json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed[0]["name"], &listed[0]["state"], &listed[0]["ready"]), (&json!(plane.name), &json!("ready"), &json!(6)));
    let table = plane.run(&["ls"]).ok();
    assert!(table.starts_with("NAME") && table.contains(&plane.name) && table.contains("6/6"), "{table}");
}

fn logs(plane: &TestPlane) {
    let core = plane.run(&["logs", "capi-core"]).ok();
    assert!(core.contains("Starting manager") || core.contains("starting manager"), "{core}");
    let tail = plane.run(&["logs", "capi-core", "--tail", "2"]).ok();
    assert_eq!(tail.lines().count(), 2, "{tail}");
    let supervisor = plane.run(&["logs", "supervisor"]).ok();
    for component in COMPONENTS {
        let started = supervisor.lines().filter(|line| line.contains("started") && line.contains(component)).count();
        assert_eq!(started, 1, "{component}: {supervisor}");
    }
    let error = plane.run(&["logs", "ectd"]).fails(1);
    assert!(error.contains("has no component \"ectd\"") && error.contains("there are etcd, ") && error.contains("supervisor"), "{error}");
}

fn kubeconfig(plane: &TestPlane) {
    let text = plane.run(&["kubeconfig"]).ok();
    let path = plane.run(&["kubeconfig", "--path"]).ok();
    assert_eq!(std::fs::read_to_string(path.trim()).unwrap().trim(), text.trim());
    let config: Value = yaml_serde::from_str(&text).unwrap();
    let (port, _) = plane.ports()["kube-apiserver/api"].clone();
    assert_eq!(config["clusters"][0]["cluster"]["server"], format!("https://127.0.0.1:{port}"));
    // From standard input of another program: nothing in it may point elsewhere.
    let elsewhere = plane.scratch().join("elsewhere");
    std::fs::write(&elsewhere, &text).unwrap();
    let namespaces = plane.kubectl(&["--kubeconfig", elsewhere.to_str().unwrap(), "get", "namespaces", "-o", "name"]).ok();
    assert!(namespaces.contains("namespace/capi-system"), "{namespaces}");
}

fn merge(plane: &TestPlane) {
    let users = plane.scratch().join("kube/config");
    let second = plane.scratch().join("second");
    std::fs::write(&second, "never touched").unwrap();
    let list = std::env::join_paths([&users, &second]).unwrap();
    let merge = || plane.command(&["kubeconfig", "--merge"]).env("KUBECONFIG", &list).run();
    merge().ok();
    let read = || -> Value { yaml_serde::from_str(&std::fs::read_to_string(&users).unwrap()).unwrap() };
    let context = format!("capstead-{}", plane.name);
    assert_eq!(read()["current-context"], context);
    // What was there is kept, and merging again changes nothing.
    let mut config = read();
    config["current-context"] = json!("work");
    config["contexts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "team"}}));
    config["clusters"].as_array_mut().unwrap().push(json!({"name": "work", "cluster": {"server": "https://work.test"}}));
    config["preferences"] = json!({"colors": true});
    std::fs::write(&users, yaml_serde::to_string(&config).unwrap()).unwrap();
    merge().ok();
    let merged = read();
    assert_eq!(merged["current-context"], context);
    assert_eq!(merged["preferences"]["colors"], true);
    let names = |kind: &str| merged[kind].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names("clusters"), ["work", &context]);
    assert_eq!(names("contexts"), ["work", &context]);
    assert_eq!(names("users"), [&context]);
    assert_eq!(std::fs::read_to_string(&second).unwrap(), "never touched");
    let users = users.to_str().unwrap();
    let namespaces = plane.kubectl(&["--kubeconfig", users, "--context", &context, "get", "namespaces", "-o", "name"]).ok();
    assert!(namespaces.contains("namespace/capi-system"), "{namespaces}");
}

fn nothing_foreign_is_overwritten(plane: &TestPlane) {
    let context = format!("capstead-{}", plane.name);
    let foreign = plane.scratch().join("foreign");
    let entries = [
        format!("clusters: [{{name: {context}, cluster: {{server: https://other.test, certificate-authority-data: AAAA}}}}]\n"),
        format!("users: [{{name: {context}, user: {{token: secret}}}}]\n"),
        "this is: [no kubeconfig".to_owned(),
    ];
    for text in entries {
        std::fs::write(&foreign, &text).unwrap();
        let error = plane.command(&["kubeconfig", "--merge"]).env("KUBECONFIG", &foreign).run().fails(1);
        assert!(error.contains("it was left as it is") && error.contains(foreign.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read_to_string(&foreign).unwrap(), text);
    }
}

fn listeners(plane: &TestPlane) {
    let ports = plane.ports();
    for (component, pid) in plane.pids() {
        let heard = kernel::listeners(pid);
        for (address, port) in &heard {
            let named = ports.iter().find(|(name, (number, _))| name.split('/').next() == Some(&component) && number == port);
            let (_, (_, said)) = named.unwrap_or_else(|| panic!("{component} listens on {address}:{port}, and status does not say so"));
            assert!(said == "*" || *address == Ipv4Addr::LOCALHOST, "{component} listens on {address}:{port}, status says {said}");
        }
        let said = ports.iter().filter(|(name, _)| name.split('/').next() == Some(&component));
        for (name, (port, _)) in said {
            assert!(heard.iter().any(|(_, number)| number == port), "nobody listens on {name} {port}: {heard:?}");
        }
    }
    assert_eq!(kernel::listeners(plane.supervisor()), [], "the supervisor listens");
    let everywhere: Vec<&String> = ports.iter().filter(|(_, (_, address))| address == "*").map(|(name, _)| name).collect();
    assert_eq!(everywhere, ["capi-bootstrap-kubeadm/webhook", "capi-control-plane-kubeadm/webhook", "capi-core/webhook"]);
}

fn private_files(plane: &TestPlane) {
    let files = kernel::modes(&plane.folder());
    assert!(files.iter().any(|(path, _)| path.ends_with("pki/admin.key")), "{files:?}");
    let open: Vec<_> = files.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "open to others: {open:?}");
    let anonymous = Capstead::new(plane.scratch(), ["--version"]).run().ok();
    assert!(anonymous.starts_with("capstead 0."), "{anonymous}");
}
