//! Pictures for tests, of objects as API servers and hosts tell them.

use capstead_preflight::Report;
use capstead_preflight::Wish;
use capstead_preflight::judge_from_outside;
use capstead_preflight::observe::Api;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::Finding;
use crate::Object;
use crate::Picture;
use crate::diagnose;
use crate::picture::Host;
use crate::picture::Log;
use crate::picture::Management;
use crate::picture::MicroVm;

/// The host of most samples.
pub(crate) const HOST: &str = "10.0.0.5:9090";

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A time so many seconds ago, as the API server writes it.
pub(crate) fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

/// A condition that has been so for ten minutes.
pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(600), "observedGeneration": 1})
}

/// Metadata of an object of the cluster `one` in the namespace `team`.
pub(crate) fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": "team", "creationTimestamp": ago(900), "labels": {"cluster.x-k8s.io/cluster-name": "one"}})
}

pub(crate) fn control_plane(mut object: Value) -> Value {
    object["metadata"]["labels"]["cluster.x-k8s.io/control-plane"] = "".into();
    object
}

/// The Cluster, with this status of its probe and of its control plane.
pub(crate) fn cluster(probe: (&str, &str), initialized: &str) -> (&'static str, Value) {
    let conditions = json!([
        condition("RemoteConnectionProbe", probe.0, if probe.0 == "True" { "ProbeSucceeded" } else { "ProbeFailed" }, probe.1),
        condition("InfrastructureReady", "True", "Ready", ""),
        condition("ControlPlaneInitialized", initialized, if initialized == "True" { "Initialized" } else { "NotInitialized" }, ""),
    ]);
    let spec = json!({"controlPlaneEndpoint": {"host": "10.0.0.100", "port": 6443}});
    ("Cluster", json!({"metadata": metadata("one"), "spec": spec, "status": {"conditions": conditions}}))
}

pub(crate) fn microvm_cluster(hosts: &[&str]) -> (&'static str, Value) {
    let hosts: Vec<Value> = hosts.iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
    let spec = json!({"controlPlaneEndpoint": {"host": "10.0.0.100", "port": 6443}, "placement": {"staticPool": {"hosts": hosts}}});
    let status = json!({"initialization": {"provisioned": true}, "conditions": [condition("Ready", "True", "Ready", "")]});
    ("MicrovmCluster", json!({"metadata": metadata("one"), "spec": spec, "status": status}))
}

/// A MicrovmMachine whose Ready says this.
pub(crate) fn microvm_machine(name: &str, status: &str, reason: &str, message: &str) -> (&'static str, Value) {
    let conditions = json!([condition("Ready", status, reason, message), condition("Paused", "False", "NotPaused", "")]);
    ("MicrovmMachine", json!({"metadata": metadata(name), "spec": {"vcpu": 2, "memoryMb": 2048}, "status": {"conditions": conditions}}))
}

/// The Machine of the same name.
pub(crate) fn machine(name: &str, bootstrap: &Value) -> (&'static str, Value) {
    let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmMachine", "name": name});
    let spec = json!({"clusterName": "one", "version": "v1.36.3", "bootstrap": bootstrap, "infrastructureRef": reference});
    ("Machine", json!({"metadata": metadata(name), "spec": spec, "status": {"phase": "Pending"}}))
}

pub(crate) fn microvm(name: &str) -> MicroVm {
    MicroVm {
        uid: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        namespace: "team".into(),
        name: name.into(),
        state: "CREATED".into(),
        version: 2,
        ..MicroVm::default()
    }
}

/// A guest that wrote this.
pub(crate) fn guest(console: &str) -> MicroVm {
    MicroVm { console: console.lines().map(str::to_owned).collect(), ..microvm("a") }
}

pub(crate) fn api() -> Api {
    Api {
        address: HOST.into(),
        reached: Ok(()),
        tls: None,
        token: None,
        services: Ok(vec!["microvm.services.api.v1alpha1.MicroVM".into()]),
        microvms: Ok(1),
    }
}

pub(crate) fn seen_from_outside(api: Api) -> Report {
    let wish = Wish { grpc_endpoint: HOST.into(), ..Wish::default() };
    judge_from_outside(&wish, api)
}

pub(crate) fn host(report: Report, microvms: Vec<MicroVm>) -> Host {
    Host { name: HOST.into(), report, guarded: false, microvms }
}

pub(crate) fn log(source: &str, text: &str) -> Log {
    Log { source: source.into(), lines: text.lines().map(str::to_owned).collect(), first: 1 }
}

pub(crate) fn picture(objects: Vec<(&str, Value)>) -> Picture {
    let objects = objects.into_iter().map(|(kind, value)| Object::new(kind, value, now())).collect();
    Picture { management: Management::Seen { server: "https://127.0.0.1:6443".into(), objects }, ..Picture::new(now()) }
}

/// A cluster of which nothing bad is known.
pub(crate) fn healthy() -> Picture {
    let (kind, first) = microvm_machine("a", "True", "Ready", "");
    let objects = vec![
        cluster(("True", ""), "True"),
        microvm_cluster(&[HOST]),
        (kind, control_plane(first)),
        machine("a", &json!({"configRef": {"kind": "KubeadmConfig", "name": "a"}, "dataSecretName": "a"})),
        (
            "Deployment",
            json!({
                "metadata": {"name": "capmvm-controller-manager", "namespace": "capmvm-system", "labels": {"cluster.x-k8s.io/provider": "infrastructure-mvm"}},
                "status": {"conditions": [condition("Available", "True", "MinimumReplicasAvailable", "")]},
            }),
        ),
        (
            "ValidatingWebhookConfiguration",
            json!({
                "metadata": {"name": "capmvm-validating-webhook-configuration"},
                "webhooks": [{"name": "validation.microvmcluster", "clientConfig": {"url": "https://127.0.0.1:10800/validate", "caBundle": "Y2E="}}],
            }),
        ),
    ];
    let mut picture = picture(objects);
    picture.hosts.push(host(seen_from_outside(api()), vec![guest("[    0.0] Linux version 6.1\none login:")]));
    picture.reached.insert("10.0.0.100:6443".into(), crate::picture::Reach::Open);
    picture.reached.insert("127.0.0.1:10800".into(), crate::picture::Reach::Open);
    picture
}

/// What this rule finds.
pub(crate) fn found(picture: &Picture, id: &str) -> Vec<Finding> {
    diagnose(picture).findings.into_iter().filter(|finding| finding.id == id).collect()
}

/// The one thing that this rule finds.
#[track_caller]
pub(crate) fn the_one(picture: &Picture, id: &str) -> Finding {
    let mut found = found(picture, id);
    assert_eq!(found.len(), 1, "{id}: {found:#?}\n{:#?}", diagnose(picture));
    found.remove(0)
}

/// Who says it, and what.
pub(crate) fn evidence(finding: &Finding) -> Vec<(&str, &str)> {
    finding.evidence.iter().map(|evidence| (evidence.source.as_str(), evidence.said.as_str())).collect()
}
