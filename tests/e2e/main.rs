//! The acceptance suite as its users run it: on simulated hosts, on hosts that are given, and on hosts that refuse.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../support/brought.rs"]
mod brought;
mod makefile;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use capstead_lab::Nodes;
use capstead_lab::flintlock::FaultKind;
use capstead_lab::flintlock::Faults;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Simulator;
use capstead_lab::workloads;
use serde::Deserialize;
use serde_json::Value;
use support::Ran;
use support::TestPlane;

/// The suite on a plane of its own name, in this artefact folder.
fn e2e(plane: &TestPlane, artefacts: &Path, words: &[&str]) -> Ran {
    let folder = artefacts.to_str().unwrap();
    let own = ["e2e", "--name", &plane.name, "-e2e.artefact-dir", folder, "-o", "json"];
    let clean = ["E2E_FLINTLOCK_HOSTS", "E2E_FLINTLOCK_HOST", "E2E_CAPMVM_VIP", "E2E_CONFIG"];
    clean.iter().fold(plane.command(&[&own, words].concat()), |command, name| command.without(name)).run()
}

/// The stages by `part stage`, each with how it ended.
fn stages(out: &str) -> Vec<(String, String)> {
    let entries: Vec<Value> = serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let ended = |ended: &Value| ended.as_str().map_or_else(|| ended.as_object().unwrap().keys().next().unwrap().clone(), str::to_owned);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.iter().map(|entry| (format!("{} {}", text(&entry["part"]), text(&entry["stage"])), ended(&entry["ended"]))).collect()
}

fn ended<'a>(stages: &'a [(String, String)], name: &str) -> &'a str {
    stages.iter().find(|(known, _)| known == name).map_or_else(|| panic!("no {name} in {stages:?}"), |(_, ended)| ended)
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml_serde::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|value| !value.is_null())
        .collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Python has an XML parser at hand: attributes of the root, and messages of failures.
fn junit(path: &Path) -> Value {
    let script = "import json,sys,xml.etree.ElementTree as t; r=t.parse(sys.argv[1]).getroot(); \
                  print(json.dumps({'all': r.attrib, 'failures': [f.attrib['message'] for f in r.iter('failure')], 'cases': len(list(r.iter('testcase')))}))";
    let output = Command::new("python3").arg("-c").arg(script).arg(path).output().expect("python3 reads the report");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn endpoints(objects: &[Value]) -> Vec<String> {
    let cluster = of_kind(objects, "MicrovmCluster")[0];
    let hosts = cluster["spec"]["placement"]["staticPool"]["hosts"].as_array().unwrap();
    hosts.iter().map(|host| host["endpoint"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn both_versions_pass_on_simulated_hosts_and_leave_nothing() {
    let plane = TestPlane::new("e2e-mock");
    let artefacts = plane.scratch().join("artefacts");
    let report = plane.scratch().join("e2e.xml");
    let ran = e2e(&plane, &artefacts, &["-e2e.use-flintlock-mock", "--junit", report.to_str().unwrap()]);
    let told = ran.err.clone();
    let out = ran.ok();
    let stages = stages(&out);
    for flow in ["v1alpha1", "v1alpha2"] {
        for stage in ["template", "apply", "control-plane", "workers", "hosts", "nginx", "delete"] {
            assert_eq!(ended(&stages, &format!("{flow} {stage}")), "passed", "{flow} {stage}: {out}");
        }
        assert_eq!(ended(&stages, &format!("{flow} service")), "skipped", "no container runs, and nothing is said to answer");
        assert!(told.contains(&format!("{flow} nginx: nginx runs in the cluster; took")), "progress: {told}");
    }
    assert_eq!((ended(&stages, "suite plane"), ended(&stages, "suite plane-down")), ("passed", "passed"));
    assert!(!plane.folder().exists(), "the plane is gone");

    let env = fs::read_to_string(artefacts.join("e2e-management-cluster.env")).unwrap();
    let script = ". \"$1\"; printf '%s\\n' \"$E2E_MANAGEMENT_KUBECONFIG\" \"$E2E_MANAGEMENT_CONTEXT\" \"$E2E_MANAGEMENT_CLUSTER_NAME\"";
    let sourced = Command::new("sh").args(["-c", script, "sh"]).arg(artefacts.join("e2e-management-cluster.env")).output().unwrap();
    let kubeconfig = plane.folder().join("kubeconfig");
    let expected = format!("{}\ncapstead-{1}\n{1}\n", kubeconfig.display(), plane.name);
    assert_eq!(String::from_utf8_lossy(&sourced.stdout), expected, "{env}");

    for flow in ["v1alpha1", "v1alpha2"] {
        let own = artefacts.join("clusters").join(flow);
        let (raw, full) = (documents(&own.join("cluster-template-raw.yaml")), documents(&own.join("cluster-template.yaml")));
        assert_eq!((endpoints(&raw).len(), endpoints(&full).len()), (1, 3), "the hosts are put into what was generated");
        let version = format!("infrastructure.cluster.x-k8s.io/{flow}");
        for kind in ["MicrovmCluster", "MicrovmMachineTemplate"] {
            assert!(of_kind(&full, kind).iter().all(|object| object["apiVersion"] == version), "{full:#?}");
        }
        let objects = documents(&own.join("objects.yaml"));
        let machines = of_kind(&objects, "MicrovmMachine");
        assert_eq!(machines.len(), 3);
        let ids: Vec<&str> = machines.iter().map(|machine| machine["spec"]["providerID"].as_str().unwrap()).collect();
        for host in endpoints(&full) {
            assert_eq!(ids.iter().filter(|id| id.starts_with(&format!("microvm://{host}/"))).count(), 1, "{host}: {ids:?}");
        }
        assert!(of_kind(&objects, "KubeadmConfig").iter().all(|object| object["spec"].is_null()), "no token is kept");
        let inside = documents(&own.join("workload.yaml"));
        assert_eq!(of_kind(&inside, "Node").len(), 3, "{inside:#?}");
        let nginx = of_kind(&inside, "Pod").into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == "nginx").count();
        assert_eq!(nginx, 2);
        assert!(!documents(&own.join("events.yaml")).is_empty());
        as_real_nodes(&fs::read_to_string(own.join("workload-objects.txt")).unwrap());
        assert!(fs::read_to_string(own.join("hosts.txt")).unwrap().contains("CREATED"));
    }
    let latest = fs::read_to_string(artefacts.join("cluster-template.yaml")).unwrap();
    assert_eq!(latest, fs::read_to_string(artefacts.join("clusters/v1alpha2/cluster-template.yaml")).unwrap());
    for log in ["capstead-microvm", "capi-core", "kube-apiserver", "simulated-hosts", "supervisor"] {
        assert!(artefacts.join(format!("logs/{log}.log")).exists(), "{log}");
    }
    let report = junit(&report);
    assert_eq!((&report["all"]["tests"], &report["all"]["failures"], &report["all"]["skipped"]), (&"18".into(), &"0".into(), &"2".into()));
    assert_eq!(report["cases"], 18);
}

#[test]
fn a_cluster_is_upgraded_and_a_lost_worker_replaced() {
    let plane = TestPlane::new("e2e-upgrade");
    let (artefacts, config) = (plane.scratch().join("artefacts"), plane.scratch().join("e2e.yaml"));
    // As `make e2e-upgrade` runs it on real nodes.
    fs::write(&config, format!("{}mockHosts: 2\n", include_str!("upgrade.yaml"))).unwrap();
    let out = e2e(&plane, &artefacts, &["-e2e.use-flintlock-mock", "-e2e.config", config.to_str().unwrap()]).ok();
    let stages = stages(&out);
    for stage in ["apply", "control-plane", "workers", "hosts", "nginx", "upgrade", "upgrade-workers", "replace", "delete"] {
        assert_eq!(ended(&stages, &format!("upgrade {stage}")), "passed", "{stage}: {out}");
    }
    let own = artefacts.join("clusters/upgrade");
    let first = documents(&own.join("cluster-template.yaml"));
    assert_eq!(of_kind(&first, "KubeadmControlPlane")[0]["spec"]["version"], "v1.35.4");
    let objects = documents(&own.join("objects.yaml"));
    let versions: Vec<&Value> =
        of_kind(&objects, "Machine").into_iter().map(|machine| &machine["status"]["nodeInfo"]["kubeletVersion"]).collect();
    assert_eq!(versions, ["v1.36.3", "v1.36.3"]);
    let events = fs::read_to_string(own.join("events.yaml")).unwrap();
    assert!(events.contains("MachineVanished"), "the loss is told: {events}");
}

/// What real nodes bring and simulated ones do not, and why nobody misses it.
const NOT_SIMULATED: [&str; 7] = [
    // Its machines' certificates are made with them.
    "CertificateSigningRequest csr-*",
    // The API server's own, for what the simulated one has not: aggregation, tokens of old, other API servers, kube-proxy's view of Services.
    "ConfigMap kube-system/extension-apiserver-authentication",
    "ConfigMap kube-system/kube-apiserver-legacy-service-account-token-tracking",
    "EndpointSlice default/kubernetes",
    "EndpointSlice kube-system/kube-dns-*",
    "Lease kube-system/apiserver-*",
    "Role kube-system/extension-apiserver-authentication-reader",
];

/// The simulated nodes brought what real ones do, and in an order that kubeadm's steps can have.
fn as_real_nodes(objects: &str) {
    let (recorded, seen) = (brought::read(brought::RECORDED), brought::read(objects));
    let known: BTreeSet<&str> = NOT_SIMULATED.into();
    assert_eq!(brought::missing(&recorded, &seen), known, "{objects}");
    assert_eq!(brought::missing(&seen, &recorded), BTreeSet::new(), "{objects}");
    // kubeadm makes a token of its own, which nobody uses. The lab's first is that of the first machine that joins.
    let turned: Vec<_> = brought::turned(&recorded, &seen).into_iter().filter(|(first, _)| !first.contains("bootstrap-token")).collect();
    assert_eq!(turned, [], "{objects}");
    assert_eq!(brought::read(&brought::record(&recorded)), recorded, "a recording is read as it was written");
}

/// Hosts of the test itself, two of them.
fn simulator(faults: Faults) -> (tokio::runtime::Runtime, Simulator) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let inside = runtime.enter();
    let options = Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        hosts: 2,
        faults,
        guests: Some(std::sync::Arc::new(Nodes::new(workloads::Settings::default()))),
        ..Options::default()
    };
    let simulator = Simulator::start(options).unwrap();
    drop(inside);
    (runtime, simulator)
}

/// A configuration of one flow, for hosts on which no container runs.
fn config(plane: &TestPlane) -> PathBuf {
    let file = plane.scratch().join("e2e.yaml");
    let text = "flows: [{name: only, apiVersion: v1alpha2}]\nnginx: {answers: false}\nintervals: {default/wait-control-plane: [20s, 1s]}\n";
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn hosts_that_refuse_make_it_fail_with_the_cause_and_artefacts() {
    let plane = TestPlane::new("e2e-refused");
    let artefacts = plane.scratch().join("artefacts");
    let report = plane.scratch().join("e2e.xml");
    // Every microVM fails: its host says so.
    let (_runtime, simulator) = simulator(Faults::default().with(FaultKind::Failed, 1.0).unwrap());
    let hosts: Vec<String> = simulator.hosts().iter().map(|host| host.address().to_string()).collect();
    let config = config(&plane);
    let [hosts, config] = [format!("-e2e.flintlock-hosts={}", hosts.join(",")), format!("-e2e.config={}", config.display())];
    let words = [hosts.as_str(), &config, "-e2e.capmvm.vip-address=127.203.7.9", "--junit", report.to_str().unwrap()];
    let ran = e2e(&plane, &artefacts, &words);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let stages = stages(&ran.out);
    let ends =
        ["apply", "control-plane", "workers", "hosts", "nginx", "service", "delete"].map(|stage| ended(&stages, &format!("only {stage}")));
    assert_eq!(ends, ["passed", "failed", "skipped", "skipped", "skipped", "skipped", "passed"], "{ran:#?}");
    let cause = "error: only control-plane: after 20 s this is not met:";
    assert!(ran.err.contains(cause), "{ran:#?}");
    assert!(ran.err.contains("Machine/only-") && ran.err.contains("InfrastructureReady is False"), "{ran:#?}");
    assert!(ran.err.contains(&format!("The artefacts are in {}", artefacts.display())), "{ran:#?}");
    assert!(!plane.folder().exists(), "the plane is gone");
    assert_eq!(simulator.hosts().iter().map(|host| host.microvms().len()).sum::<usize>(), 0, "nothing is left on the hosts");

    let objects = documents(&artefacts.join("clusters/only/objects.yaml"));
    assert!(!of_kind(&objects, "MicrovmMachine").is_empty());
    assert!(artefacts.join("logs/capstead-microvm.log").exists());
    let doctor = fs::read_to_string(artefacts.join("clusters/only/doctor.txt")).unwrap();
    assert!(doctor.contains("only-") && ran.err.contains(doctor.trim()), "{doctor}");
    let report = junit(&report);
    assert_eq!(report["all"]["failures"], "1");
    assert_eq!(report["failures"][0], "after 20 s this is not met:");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_begun() {
    let plane = TestPlane::new("e2e-wrong");
    let artefacts = plane.scratch().join("artefacts");
    for (words, expected) in [
        (&[][..], "no hosts: give addresses with -e2e.flintlock-hosts"),
        (&["-e2e.use-flintlock-mock", "-e2e.capmvm.kubernetes-version", "1.23.10"], "Cluster API supports v1.31.0 at least"),
        (&["-e2e.use-flintlock-mock", "-e2e.config=config/e2e_conf_v1beta2.yaml"], "-e2e.config: cannot read config/e2e_conf_v1beta2.yaml"),
    ] {
        let error = e2e(&plane, &artefacts, words).fails(2);
        assert!(error.contains(expected), "{error}");
    }
    assert!(!plane.folder().exists() && !artefacts.exists());
}
