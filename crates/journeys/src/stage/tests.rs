use serde_json::Value;
use serde_json::json;

use super::*;
use crate::look::Host;

const WISH: Wish = Wish { control_plane: 1, workers: 1, answers: true, upgrade: None, replaces: false };

fn object(kind: &str, name: &str, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> =
        conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status, "reason": "Why", "message": "so"})).collect();
    json!({"kind": kind, "metadata": {"name": name, "labels": {}}, "status": {"conditions": conditions}})
}

fn machine(name: &str, control_plane: bool) -> Value {
    let mut machine = object("Machine", name, &[("InfrastructureReady", "True"), ("Ready", "True")]);
    machine["spec"] = json!({"providerID": format!("microvm://h/{name}")});
    if control_plane {
        machine["metadata"]["labels"] = json!({"cluster.x-k8s.io/control-plane": ""});
    }
    machine
}

fn host(address: &str, microvms: &[&str]) -> Host {
    let microvm = |name: &&str| MicroVm { uid: format!("uid-{name}"), name: (*name).into(), state: "CREATED".into() };
    Host { address: address.into(), microvms: Ok(microvms.iter().map(microvm).collect()) }
}

/// A cluster that is as wanted.
fn up() -> Seen {
    let objects = vec![
        object("Cluster", "a", &[("Available", "True")]),
        object("MicrovmCluster", "a", &[("Ready", "True")]),
        object("KubeadmControlPlane", "a", &[("Available", "True")]),
        object("MachineDeployment", "a-md-0", &[("Available", "True")]),
        machine("cp", true),
        machine("worker", false),
    ];
    let look = Look { objects, hosts: vec![host("h:1", &["cp"]), host("h:2", &["worker"])] };
    let deployment = object("Deployment", "nginx", &[("Available", "True")]);
    let workload = Workload::Seen { deployment: Some(Box::new(deployment)), answer: Ok(()), system: Vec::new() };
    Seen { applied: true, namespace: true, look, workload, lost: None }
}

/// What is missing.
fn missing(stage: Stage, seen: &Seen) -> Vec<String> {
    match stage.next(&WISH, seen) {
        Next::Wait(missing) => missing,
        next => panic!("{stage:?}: {next:?}"),
    }
}

#[test]
fn a_cluster_that_is_as_wanted_passes_up_to_its_end() {
    let seen = up();
    for stage in &Stage::ALL[..6] {
        assert_eq!(stage.next(&WISH, &seen), Next::Over, "{stage:?}");
    }
    assert_eq!(Stage::Delete.next(&WISH, &seen), Next::Do(Step::Delete));
}

#[test]
fn nothing_is_taken_for_granted() {
    let nothing = Seen::default();
    assert_eq!(Stage::Apply.next(&WISH, &nothing), Next::Do(Step::Apply));
    assert_eq!(missing(Stage::ControlPlane, &nothing), ["there are 0 control plane machines, not 1"]);
    assert_eq!(missing(Stage::Workers, &nothing), ["there are 0 workers, not 1"]);
    assert_eq!(missing(Stage::Hosts, &nothing), ["the hosts have 0 microVMs for 2 machines"]);
    assert_eq!(missing(Stage::Nginx, &nothing), ["the cluster was not asked yet"]);
    assert_eq!(missing(Stage::Service, &nothing), ["the cluster was not asked yet"]);
}

#[test]
fn the_first_trouble_of_a_machine_is_told() {
    let mut seen = up();
    seen.look.objects[4]["spec"] = json!({});
    seen.look.objects[4]["status"]["conditions"][0]["status"] = "False".into();
    seen.look.objects[4]["status"]["conditions"][1]["status"] = "False".into();
    let expected = ["Machine/cp: InfrastructureReady is False, Why: so", "Machine/cp: spec.providerID is not set"];
    assert_eq!(missing(Stage::ControlPlane, &seen), expected);
    let mut seen = up();
    seen.look.objects[5]["status"]["conditions"][1]["status"] = "False".into();
    seen.look.objects[3]["status"]["conditions"] = json!([]);
    let expected = ["Machine/worker: Ready is False, Why: so", "MachineDeployment/a-md-0: Available is not told"];
    assert_eq!(missing(Stage::Workers, &seen), expected);
    assert_eq!(Stage::ControlPlane.next(&WISH, &seen), Next::Over, "workers are no matter of the control plane");
}

#[test]
fn every_host_must_be_used_by_a_microvm_that_runs() {
    let mut seen = up();
    seen.look.hosts = vec![host("h:1", &["cp", "worker"]), host("h:2", &[])];
    assert_eq!(missing(Stage::Hosts, &seen), ["host h:2 was given and is not used: it runs no microVM of this cluster"]);
    let mut seen = up();
    seen.look.hosts[1] = host("h:2", &["worker", "twin"]);
    assert_eq!(missing(Stage::Hosts, &seen), ["the hosts have 3 microVMs for 2 machines"]);
    seen.look.hosts[1].microvms = Err("refused".into());
    assert_eq!(missing(Stage::Hosts, &seen), ["host h:2 does not list its microVMs: refused"]);
    let mut seen = up();
    let microvm = MicroVm { uid: "U".into(), name: "worker".into(), state: "FAILED".into() };
    seen.look.hosts[1].microvms = Ok(vec![microvm]);
    assert_eq!(missing(Stage::Hosts, &seen).len(), 1, "one that failed is no use");
}

#[test]
fn nginx_is_deployed_once_and_waited_for() {
    let mut seen = up();
    seen.workload = Workload::Silent("refused".into());
    assert_eq!(missing(Stage::Nginx, &seen), ["the cluster does not answer: refused"]);
    seen.workload = Workload::Seen { deployment: None, answer: Err("404".into()), system: Vec::new() };
    assert_eq!(Stage::Nginx.next(&WISH, &seen), Next::Do(Step::Deploy));
    assert_eq!(missing(Stage::Service, &seen), ["nginx does not answer through its Service: 404"]);
    let mut deployment = object("Deployment", "nginx", &[("Available", "True")]);
    deployment["spec"]["replicas"] = 2.into();
    deployment["status"]["readyReplicas"] = 1.into();
    seen.workload = Workload::Seen { deployment: Some(Box::new(deployment)), answer: Ok(()), system: Vec::new() };
    assert_eq!(missing(Stage::Nginx, &seen), ["Deployment/nginx: 1 of 2 pods are ready"]);
    assert_eq!(Stage::Service.left_out(&WISH), None);
    assert!(Stage::Service.left_out(&Wish { answers: false, ..WISH }).is_some());
}

#[test]
fn a_cluster_is_gone_when_nothing_is_left_anywhere() {
    let mut seen = up();
    seen.look.objects.truncate(2);
    seen.look.objects[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    seen.look.objects[1]["status"]["conditions"][0]["message"] = "".into();
    seen.look.hosts = vec![host("h:1", &["cp"]), host("h:2", &[])];
    let expected = ["Cluster/a is still there", "MicrovmCluster/a is still there", "host h:1 still has the microVM cp (uid-cp), CREATED"];
    assert_eq!(missing(Stage::Delete, &seen), expected);
    seen.look.objects.clear();
    seen.look.hosts[0].microvms = Err("refused".into());
    assert_eq!(missing(Stage::Delete, &seen), ["host h:1 does not list its microVMs: refused"], "who does not answer may have something");
    seen.look.hosts[0] = host("h:1", &[]);
    assert_eq!(Stage::Delete.next(&WISH, &seen), Next::Do(Step::DeleteNamespace));
    seen.namespace = false;
    assert_eq!(Stage::Delete.next(&WISH, &seen), Next::Over);
}

/// A cluster whose machines have that version.
fn of_version(version: &str) -> Seen {
    let mut seen = up();
    for object in &mut seen.look.objects {
        match object["kind"].as_str().unwrap() {
            "KubeadmControlPlane" => object["spec"] = json!({"version": version}),
            "MachineDeployment" => object["spec"] = json!({"template": {"spec": {"version": version}}}),
            "Machine" => {
                object["spec"]["version"] = version.into();
                object["status"]["nodeInfo"] = json!({"kubeletVersion": version});
            }
            _ => (),
        }
    }
    seen
}

#[test]
fn nothing_is_changed_before_all_that_belongs_to_the_cluster_runs() {
    let mut seen = up();
    let told = |seen: &mut Seen, system: [Value; 2]| {
        seen.workload = Workload::Seen { deployment: None, answer: Err("it was not asked".into()), system: system.into() };
        Stage::Settled.next(&WISH, seen)
    };
    let [mut coredns, mut proxy] = [object("Deployment", "coredns", &[]), object("DaemonSet", "kube-proxy", &[])];
    coredns["spec"]["replicas"] = 2.into();
    proxy["status"] = json!({"desiredNumberScheduled": 2, "numberReady": 1});
    let expected = ["Deployment/coredns: 0 of 2 pods are ready", "DaemonSet/kube-proxy: 1 of 2 pods are ready"];
    assert_eq!(told(&mut seen, [coredns.clone(), proxy.clone()]), Next::Wait(expected.map(str::to_owned).into()));
    coredns["status"]["readyReplicas"] = 2.into();
    proxy["status"]["numberReady"] = 2.into();
    assert_eq!(told(&mut seen, [coredns, proxy]), Next::Over);
    assert!(Stage::Settled.wants().system);
}

#[test]
fn an_upgrade_is_over_when_every_kubelet_says_so() {
    let wish = Wish { upgrade: Some("v1.36.3".into()), ..WISH };
    let mut seen = of_version("v1.35.4");
    assert_eq!(Stage::Upgrade.next(&wish, &seen), Next::Do(Step::Upgrade));
    assert_eq!(Stage::UpgradeWorkers.next(&wish, &seen), Next::Do(Step::UpgradeWorkers));
    seen.look.objects[2]["spec"]["version"] = "v1.36.3".into();
    assert_eq!(Stage::Upgrade.next(&wish, &seen), Next::Wait(vec!["Machine/cp is of version v1.35.4, not v1.36.3".into()]));
    seen.look.objects[4]["spec"]["version"] = "v1.36.3".into();
    assert_eq!(Stage::Upgrade.next(&wish, &seen), Next::Wait(vec!["Machine/cp has a kubelet of version v1.35.4, not v1.36.3".into()]));
    // The new one is there, and the old one is not gone yet.
    let mut new = of_version("v1.36.3");
    new.look.objects.push(of_version("v1.35.4").look.objects[5].clone());
    let expected = ["there are 2 workers, not 1", "Machine/worker is of version v1.35.4, not v1.36.3"];
    assert_eq!(Stage::UpgradeWorkers.next(&wish, &new), Next::Wait(expected.map(str::to_owned).into()));
    let done = of_version("v1.36.3");
    assert_eq!([Stage::Upgrade, Stage::UpgradeWorkers].map(|stage| stage.next(&wish, &done)), [Next::Over, Next::Over]);
}

#[test]
fn a_lost_worker_is_replaced_by_another() {
    let wish = Wish { replaces: true, ..WISH };
    let mut seen = up();
    assert_eq!(Stage::Replace.next(&wish, &seen), Next::Do(Step::Lose));
    seen.lost = Some(Lost { machine: "worker".into(), uid: "uid".into() });
    let waits = Next::Wait(vec!["Machine/worker lost its microVM and is still there".into()]);
    let run = |seen: &mut Seen, state: &str| {
        let microvm = MicroVm { uid: "uid".into(), name: "worker".into(), state: state.into() };
        seen.look.hosts = vec![Host { address: "a".into(), microvms: Ok(vec![microvm]) }];
    };
    // Each time its host has started it again.
    for (state, next) in
        [("CREATED", Next::Do(Step::Kill)), ("PENDING", waits.clone()), ("CREATED", Next::Do(Step::Kill)), ("FAILED", waits.clone())]
    {
        run(&mut seen, state);
        assert_eq!(Stage::Replace.next(&wish, &seen), next, "{state}");
    }
    run(&mut seen, "CREATED");
    seen.look.objects[5]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(Stage::Replace.next(&wish, &seen), waits, "it goes by itself");
    seen.look.objects[5] = machine("another", false);
    assert_eq!(Stage::Replace.next(&wish, &seen), Next::Over);
}

#[test]
fn a_cluster_goes_through_no_more_than_is_wished() {
    let names = |wish: &Wish| Stage::of(wish).map(Stage::name).collect::<Vec<_>>();
    let plain = ["apply", "control-plane", "workers", "hosts", "nginx", "service", "delete"];
    assert_eq!(names(&WISH), plain);
    let all = names(&Wish { upgrade: Some("v1.36.3".into()), replaces: true, ..WISH });
    assert_eq!(all[6..], ["settled", "upgrade", "upgrade-workers", "replace", "service-after", "delete"]);
}
