use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sample;

mod objects;

const OLD: &str = "infrastructure.cluster.x-k8s.io/v1alpha1";
const NEW: &str = "infrastructure.cluster.x-k8s.io/v1alpha2";

fn to(api_version: &str, object: &Value) -> Value {
    convert(object.clone(), api_version).unwrap()
}

fn saved(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][ANNOTATION].as_str()
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3})
}

fn cluster() -> Value {
    let mut cluster = serde_json::to_value(sample::cluster()).unwrap();
    cluster["status"] = json!({
        "initialization": {"provisioned": true},
        "failureDomains": [{"name": "10.0.0.1:9090", "controlPlane": true}, {"name": "10.0.0.2:9090", "controlPlane": false}],
        "conditions": [condition("Ready", "False", "Provisioning"), condition("Paused", "False", "NotPaused")],
    });
    cluster
}

fn machine() -> Value {
    let mut machine = serde_json::to_value(sample::machine()).unwrap();
    machine["spec"]["providerID"] = json!("microvm://10.0.0.1:9090/01HZX");
    machine["status"] = json!({
        "initialization": {"provisioned": true},
        "failureDomain": "10.0.0.1:9090",
        "addresses": [{"type": "InternalIP", "address": "10.1.0.5"}],
        "vmState": "failed",
        "conditions": [condition("Ready", "False", "MachineFailed")],
    });
    machine
}

fn cluster_template() -> Value {
    serde_json::to_value(sample::cluster_template()).unwrap()
}

fn template() -> Value {
    let mut template = serde_json::to_value(sample::template()).unwrap();
    template["status"] = json!({"capacity": {"cpu": "2", "memory": "2Gi"}, "nodeInfo": {"architecture": "amd64"}});
    template
}

fn load_balancer() -> Value {
    let mut balancer = serde_json::to_value(sample::load_balancer()).unwrap();
    let silent = condition("LoadBalancerAvailable", "False", "LoadBalancerNotAvailable");
    balancer["status"] = json!({"ready": false, "conditions": [condition("Ready", "True", "Ready"), silent]});
    balancer
}

#[test]
fn a_cluster_in_the_older_version() {
    insta::assert_json_snapshot!(to(OLD, &cluster()));
}

#[test]
fn a_machine_in_the_older_version() {
    insta::assert_json_snapshot!(to(OLD, &machine()));
}

#[test]
fn a_template_in_the_older_version() {
    insta::assert_json_snapshot!(to(OLD, &template()));
}

#[test]
fn a_template_of_clusters_in_the_older_version() {
    insta::assert_json_snapshot!(to(OLD, &cluster_template()));
}

#[test]
fn a_load_balancer_in_the_older_version() {
    insta::assert_json_snapshot!(to(OLD, &load_balancer()));
}

#[test]
fn upstreams_own_objects_need_no_annotation() {
    let machine = json!({
        "apiVersion": OLD, "kind": "MicrovmMachine", "metadata": {"name": "m", "annotations": {"a": "b"}},
        "spec": sample::machine_spec(),
        "status": {"ready": false, "vmState": "pending"},
    });
    let new = to(NEW, &machine);
    assert_eq!((saved(&new), &new["metadata"], &new["apiVersion"]), (None, &machine["metadata"], &json!(NEW)));
    assert_eq!(new["status"], json!({"vmState": "pending"}));
    assert_eq!(to(NEW, &new), new, "the same version is no conversion");
}

#[test]
fn whoever_changes_a_field_meanwhile_wins_and_the_rest_is_restored() {
    let mut old = to(OLD, &machine());
    assert!(saved(&old).is_some());
    old["spec"]["labels"] = json!({"rack": "8"});
    old["status"]["conditions"][0]["reason"] = json!("DeletionFailed");
    let new = to(NEW, &old);
    assert_eq!(new["spec"]["labels"], json!({"rack": "8"}));
    assert_eq!(new["status"]["conditions"][0]["reason"], json!("DeletionFailed"));
    assert_eq!(new["status"]["failureDomain"], json!("10.0.0.1:9090"));
    assert_eq!(saved(&new), None);

    // The other way round: an endpoint that only the older version can hold.
    let mut cluster = json!({
        "apiVersion": OLD, "kind": "MicrovmCluster", "metadata": {"name": "c"},
        "spec": {"placement": {}, "controlPlaneEndpoint": {"host": "", "port": 0}},
    });
    let mut new = to(NEW, &cluster);
    assert_eq!(new["spec"]["controlPlaneEndpoint"], Value::Null);
    assert_eq!(to(OLD, &new), cluster);
    new["spec"]["controlPlaneEndpoint"] = json!({"host": "h", "port": 6443});
    cluster["spec"]["controlPlaneEndpoint"] = json!({"host": "h", "port": 6443});
    assert_eq!(to(OLD, &new), cluster);
}

#[test]
fn a_tampered_annotation_counts_for_nothing() {
    let unfit = [r#"[{"at":"/spec","is":7}]"#, r#"[{"at":"/status/ready","was":true,"is":[]}]"#, r#"[{"at":"/spec/unknown","is":[]}]"#];
    for data in ["", "[", "{}", r#"[{"at":"x"}]"#].into_iter().chain(unfit) {
        let mut old = to(OLD, &machine());
        let plain = {
            old["metadata"].as_object_mut().unwrap().remove("annotations");
            to(NEW, &old)
        };
        old["metadata"]["annotations"] = json!({ANNOTATION: data});
        assert_eq!(to(NEW, &old), plain, "{data}");
    }
}

#[test]
fn what_cannot_be_converted_is_named() {
    let error = |object: Value, to: &str| convert(object, to).unwrap_err().to_string();
    let machine = machine();
    let other = |field: &str, value: &str| {
        let mut object = machine.clone();
        object[field] = value.into();
        object
    };
    assert_eq!(error(json!([]), OLD), "the object has no fields");
    assert_eq!(error(json!({"apiVersion": OLD}), OLD), "the object has no kind");
    assert!(error(other("kind", "Secret"), OLD).starts_with("Secret is not a kind"));
    assert!(error(other("apiVersion", "v1"), OLD).starts_with("v1 is neither"));
    assert!(
        error(machine.clone(), "infrastructure.cluster.x-k8s.io/v1beta1").starts_with("infrastructure.cluster.x-k8s.io/v1beta1 is neither")
    );
    assert_eq!(error(other("spec", "x"), OLD), format!("this is no MicrovmMachine of {NEW}"));
    let mut nameless = machine.clone();
    nameless["metadata"] = Value::Null;
    assert_eq!(error(nameless, OLD), "the object has no metadata");
}

#[test]
fn severity_goes_by_status_and_reason() {
    let severity = |type_: &str, status: &str, reason: &str| {
        let mut cluster = cluster();
        cluster["status"]["conditions"] = json!([condition(type_, status, reason)]);
        to(OLD, &cluster)["status"]["conditions"][0]["severity"].as_str().map(str::to_owned)
    };
    assert_eq!(severity("Ready", "False", "MachineFailed").as_deref(), Some("Error"));
    assert_eq!(severity("Ready", "False", "Provisioning").as_deref(), Some("Info"));
    assert_eq!(severity("Ready", "True", "Ready"), None);
    assert_eq!(severity("Ready", "Unknown", "HostUnreachable"), None);
    assert_eq!(severity("Paused", "False", "NotPaused"), None);
}

/// There and back again is where it was, annotations included.
fn round_trip(object: &Value, other: &str) -> Result<(), TestCaseError> {
    let there = convert(object.clone(), other).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let back = convert(there, object["apiVersion"].as_str().unwrap_or_default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&back, object);
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_lost_from_the_older_version(object in objects::old()) {
        round_trip(&object, NEW)?;
    }

    #[test]
    fn nothing_is_lost_from_the_newer_version(object in objects::new()) {
        round_trip(&object, OLD)?;
    }
}
