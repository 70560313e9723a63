//! Simulated hosts as their users meet them: the real, unmodified grpcurl against `capstead lab flintlock`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod grpcurl;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use support::Capstead;
use support::until;

const SERVICE: &str = "microvm.services.api.v1alpha1.MicroVM";

/// A running `capstead lab flintlock`, stopped when dropped.
struct Lab {
    process: Child,
    listening: Value,
    _home: tempfile::TempDir,
}

impl Lab {
    fn start(flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let args = [&["lab", "flintlock", "--listen", "127.0.0.1:0", "--output", "json"], flags].concat();
        let mut command = Capstead::new(home.path(), args).command;
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        // The pipe stays open: the value ends before the process does.
        let out = serde_json::Deserializer::from_reader(process.stdout.take().unwrap());
        let listening = out.into_iter().next().unwrap().unwrap();
        Self { process, listening, _home: home }
    }

    fn address(&self) -> &str {
        self.listening["hosts"][0]["address"].as_str().unwrap()
    }

    /// grpcurl with a method of the service; `data` is JSON.
    fn call(&self, method: &str, data: &Value) -> grpcurl::Said {
        grpcurl::run(&["-plaintext", "-d", &data.to_string(), self.address(), &format!("{SERVICE}/{method}")])
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spec() -> Value {
    json!({
        "id": "m1", "namespace": "team",
        "kernel": { "image": "ghcr.io/example/kernel:1", "filename": "boot/vmlinux" },
        "rootVolume": { "id": "root", "source": { "containerSource": "ghcr.io/example/os:1" } },
        "interfaces": [{ "deviceId": "eth1", "type": "TAP" }],
        "metadata": { "user-data": "I2Nsb3VkLWNvbmZpZwo=" },
    })
}

#[test]
fn grpcurl_finds_its_way_by_reflection() {
    let lab = Lab::start(&[]);
    let list = grpcurl::run(&["-plaintext", lab.address(), "list"]).ok();
    let mut services: Vec<&str> = list.lines().collect();
    services.sort_unstable();
    let reflection = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    assert_eq!(services, [&["grpc.health.v1.Health"], &reflection[..], &[SERVICE]].concat());
    let methods = grpcurl::run(&["-plaintext", lab.address(), "list", SERVICE]).ok();
    assert_eq!(
        methods.lines().map(|line| line.rsplit('.').next().unwrap()).collect::<Vec<_>>(),
        ["CreateMicroVM", "DeleteMicroVM", "GetMicroVM", "ListMicroVMs", "ListMicroVMsStream"]
    );
    let described = grpcurl::run(&["-plaintext", lab.address(), "describe", "flintlock.types.MicroVMSpec"]).ok();
    assert!(described.contains("optional string uid = 15;"), "{described}");
    for service in ["", SERVICE] {
        let data = json!({ "service": service }).to_string();
        let health = grpcurl::run(&["-plaintext", "-d", &data, lab.address(), "grpc.health.v1.Health/Check"]).json();
        assert_eq!(health, json!({ "status": "SERVING" }), "{service:?}");
    }
}

#[test]
fn grpcurl_sees_a_microvm_from_create_to_gone() {
    let lab = Lab::start(&["--boot-delay", "0s", "--delete-delay", "100ms"]);
    let made = lab.call("CreateMicroVM", &json!({ "microvm": spec() })).json();
    let microvm = &made["microvm"];
    let uid = microvm["spec"]["uid"].as_str().unwrap().to_owned();
    assert_eq!((uid.len(), &microvm["version"], microvm["status"].get("state")), (26, &json!(1), None));
    assert_eq!(microvm["spec"]["metadata"]["user-data"], "I2Nsb3VkLWNvbmZpZwo=");
    assert_eq!(microvm["spec"]["interfaces"][0]["deviceId"], "eth0");

    let get = |state: &str| {
        until(state, || {
            let said = lab.call("GetMicroVM", &json!({ "uid": uid })).json();
            if said["microvm"]["status"]["state"] == state { Ok(said) } else { Err(format!("{said:#}")) }
        })
    };
    let created = get("CREATED");
    assert_eq!((&created["microvm"]["version"], &created["microvm"]["spec"]), (&json!(2), &microvm["spec"]));
    for namespace in ["team", ""] {
        let listed = lab.call("ListMicroVMs", &json!({ "namespace": namespace })).json();
        assert_eq!(listed["microvm"], json!([created["microvm"]]));
    }
    assert_eq!(lab.call("ListMicroVMs", &json!({ "namespace": "other" })).json(), json!({}));
    assert_eq!(lab.call("ListMicroVMsStream", &json!({ "namespace": "team" })).json(), created);

    assert_eq!(lab.call("DeleteMicroVM", &json!({ "uid": uid })).json(), json!({}));
    let gone = until("it is gone", || {
        let said = lab.call("GetMicroVM", &json!({ "uid": uid }));
        if said.succeeded() { Err(format!("{said:?}")) } else { Ok(said.error()) }
    });
    let text = format!("getting microvm: error attempting to locate microvm with uid: {uid}: microvm spec //{uid} not found");
    assert_eq!(gone, ("Unknown".to_owned(), text));
}

#[test]
fn grpcurl_is_told_what_upstream_would_tell() {
    let lab = Lab::start(&[]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut spec = spec();
        change(&mut spec);
        json!({ "microvm": spec })
    };
    let create = |request: &Value| lab.call("CreateMicroVM", request).error();
    let says = |code: &str, text: &str| (code.to_owned(), text.to_owned());
    assert_eq!(create(&json!({})), says("InvalidArgument", "invalid create microvm request: MicroVMSpec required"));
    let nameless = create(&with(&|spec| spec["id"] = "".into()));
    assert_eq!(nameless, says("Unknown", "converting request: creating vmid from spec: name is required"));
    let macvtap = with(&|spec| spec["interfaces"][0]["type"] = "MACVTAP".into());
    assert_eq!(create(&macvtap), says("Unknown", "creating microvm: macvtap network interfaces not supported by the microvm provider"));
    let (code, text) = create(&with(&|spec| spec["vcpu"] = 65.into()));
    let rule = "validation failures found: Key: 'MicroVM.Spec.VCPU' Error:Field validation for 'VCPU' failed on the 'lte' tag";
    assert!(code == "Unknown" && text.ends_with(rule), "{text}");
    for (method, request) in [("GetMicroVM", json!({})), ("DeleteMicroVM", json!({})), ("ListMicroVMsStream", json!({}))] {
        assert_eq!(lab.call(method, &request).error(), says("InvalidArgument", "invalid request"), "{method}");
    }
    let (code, text) = lab.call("DeleteMicroVM", &json!({ "uid": "u" })).error();
    assert_eq!((code, text), says("Unknown", "deleting microvm: checking to see if spec exists: microvm spec //u not found"));

    let lab = Lab::start(&["--default-provider", "cloudhypervisor"]);
    let made = lab.call("CreateMicroVM", &macvtap).json();
    assert_eq!(made["microvm"]["spec"]["interfaces"].as_array().unwrap().len(), 1);
}

#[test]
fn faults_come_from_the_command_line() {
    let lab = Lab::start(&["--fault", "unavailable=100%", "--metrics-address", "127.0.0.1:0"]);
    let answer = lab.call("ListMicroVMs", &json!({})).error();
    assert_eq!(answer, ("Unavailable".to_owned(), "simulated fault: unavailable".to_owned()));
    assert!(lab.listening["metricsAddress"].as_str().unwrap().starts_with("127.0.0.1:"));

    let home = tempfile::tempdir().unwrap();
    let fails = |flags: &[&str], code| Capstead::new(home.path(), [&["lab", "flintlock"], flags].concat()).run().fails(code);
    let error = fails(&["--fault", "fire=1"], 2);
    assert!(error.contains("there are unavailable, slow, lost-reply, late-create, failed, vanished"), "{error}");
    let error = fails(&["--boot-delay", "soon"], 2);
    assert!(error.contains("300ms, 3s or 1m is expected"), "{error}");
    let error = fails(&["--listen", "0.0.0.0:0"], 1);
    assert!(error.contains("--insecure") && error.contains("not a loopback address"), "{error}");
    let error = fails(&["--listen", lab.address()], 1);
    assert!(error.contains(&format!("cannot listen on {}", lab.address())), "{error}");
}

#[test]
fn faults_come_and_go_while_it_runs() {
    let lab = Lab::start(&["--metrics-address", "127.0.0.1:0"]);
    let address = lab.listening["metricsAddress"].as_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let fault = |words: &[&str]| Capstead::new(home.path(), [&["lab", "fault"], words].concat()).env("CAPSTEAD_LAB", address).run();
    let listed = || fault(&["ls", "-o", "json"]).json();
    assert_eq!(listed(), json!({"clusters": [], "hosts": {}}));

    let added = fault(&["add", "clock-skew", "--cluster", "blue", "--by", "-1h", "--for", "5m", "-o", "json"]).json();
    assert_eq!(added["clusters"][0]["id"], 1);
    fault(&["add", "node-vanishes", "--machine", "w-1", "--rate", "30%"]).ok();
    fault(&["add", "unavailable", "--rate", "1"]).ok();
    assert_eq!(lab.call("ListMicroVMs", &json!({})).error().0, "Unavailable");
    let table = fault(&["ls"]).ok();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = table.lines().map(words).collect();
    assert_eq!(lines[0], ["ID", "KIND", "CLUSTER", "MACHINE", "RATE", "BY", "LEFT"]);
    assert_eq!(lines[1][..6], ["1", "clock-skew", "blue", "-", "100", "%"]);
    assert_eq!(lines[2], ["2", "node-vanishes", "all", "w-1", "30", "%", "-", "-"]);
    assert_eq!(lines[3][..5], ["unavailable", "unavailable", "hosts", "-", "100"]);

    fault(&["rm", "2", "unavailable"]).ok();
    assert_eq!(lab.call("ListMicroVMs", &json!({})).json(), json!({}));
    assert_eq!(listed()["clusters"].as_array().unwrap().len(), 1);
    fault(&["rm", "--all"]).ok();
    assert_eq!(listed(), json!({"clusters": [], "hosts": {}}));
    fault(&["add", "api-silent", "--for", "1ms"]).ok();
    until("it ends by itself", || if listed()["clusters"] == json!([]) { Ok(()) } else { Err(listed().to_string()) });

    let fails = |words: &[&str], code| fault(words).fails(code);
    let error = fails(&["add", "fire"], 2);
    assert!(error.contains("there are boot-hangs, never-joins") && error.contains("vanished"), "{error}");
    let error = fails(&["add", "clock-skew"], 1);
    assert!(error.contains("by: clock-skew needs how far clocks are ahead"), "{error}");
    let error = fails(&["add", "slow", "--cluster", "blue"], 1);
    assert!(error.contains("slow is a fault of hosts: it takes no --cluster"), "{error}");
    let error = fails(&["rm", "7"], 1);
    assert!(error.contains("there is no fault 7"), "{error}");
    let error = fails(&["rm", "failed"], 1);
    assert!(error.contains("no host has the fault failed"), "{error}");
    let error = fails(&["rm"], 2);
    assert!(error.contains("required"), "{error}");
    let error = Capstead::new(home.path(), ["lab", "fault", "ls", "--address", "127.0.0.1:1"]).run().fails(1);
    assert!(error.contains("the simulator at 127.0.0.1:1 does not answer"), "{error}");
}

#[test]
fn each_host_is_told_in_a_line_until_a_signal_ends_it() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let home = tempfile::tempdir().unwrap();
        let args = ["lab", "flintlock", "--listen", "127.0.0.1:0", "--hosts", "2", "--metrics-address", "127.0.0.1:0"];
        let mut process = Capstead::new(home.path(), args).command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lab = Lab { process, listening: Value::Null, _home: home };
        for start in ["host 1 listening on 127.0.0.1:", "host 2 listening on 127.0.0.1:", "metrics listening on 127.0.0.1:"] {
            let line = lines.next().unwrap().unwrap();
            assert!(line.starts_with(start), "{line}");
            let address = line.rsplit(' ').next().unwrap();
            std::net::TcpStream::connect(address).unwrap();
        }
        assert_eq!(lab.signal(signal), Some(0));
    }
}
