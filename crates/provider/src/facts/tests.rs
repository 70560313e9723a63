use capstead_capi::machine::Cluster as ClusterGate;
use capstead_capi::views;
use kube::Resource;
use serde_json::json;

use super::{ClusterFacts, LeanCluster, LeanMachine, MachineFacts};

fn machine(json: serde_json::Value) -> MachineFacts {
    serde_json::from_value::<LeanMachine>(json).expect("a Machine").into()
}

fn cluster(json: serde_json::Value) -> ClusterFacts {
    serde_json::from_value::<LeanCluster>(json).expect("a Cluster").into()
}

#[test]
fn a_machine_is_read_no_further_than_needed() {
    let object = json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine",
        "metadata": {
            "name": "m", "namespace": "n", "uid": "u", "resourceVersion": "7",
            "labels": {"cluster.x-k8s.io/control-plane": ""}, "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "clusterName": "c", "failureDomain": "zone", "bootstrap": {"dataSecretName": "s", "configRef": {"name": "x"}},
            "infrastructureRef": {"apiGroup": "cluster.x-k8s.io", "kind": "Machine", "name": "i"}, "version": "v1.36.3",
        },
        "status": {"phase": "Running", "nodeRef": {"name": "node"}},
    });
    let facts = machine(object);
    assert_eq!((facts.uid.as_str(), facts.cluster.as_str(), facts.control_plane), ("u", "c", true));
    assert_eq!((facts.failure_domain.as_deref(), facts.data_secret.as_deref()), (Some("zone"), Some("s")));
    assert_eq!(facts.node.as_deref(), Some("node"));
    assert_eq!(facts.infrastructure.to::<views::Machine>(), Some("i"));
    assert_eq!(facts.infrastructure.to::<views::Cluster>(), None, "of another kind");
}

#[test]
fn a_machine_without_anything_is_read_too() {
    let facts = machine(json!({"metadata": {}, "spec": {"failureDomain": ""}}));
    assert_eq!((facts.failure_domain, facts.data_secret, facts.control_plane, facts.node), (None, None, false, None));
    for status in [json!({}), json!({"nodeRef": {}}), json!({"nodeRef": {"name": ""}})] {
        assert_eq!(machine(json!({"metadata": {}, "spec": {}, "status": status})).node, None, "{status}");
    }
}

#[test]
fn a_cluster_opens_the_gate_when_its_infrastructure_is_there_or_never_was() {
    let reference = json!({"apiGroup": "g", "kind": "K", "name": "i"});
    let open = ClusterGate { paused: false, infrastructure_provisioned: true };
    let cases = [
        (json!({}), json!(null), open),
        (json!({"infrastructureRef": reference}), json!(null), ClusterGate::default()),
        (json!({"infrastructureRef": reference}), json!({"initialization": {}}), ClusterGate::default()),
        (json!({"infrastructureRef": reference}), json!({"initialization": {"infrastructureProvisioned": true}}), open),
        (json!({"paused": true}), json!(null), ClusterGate { paused: true, infrastructure_provisioned: true }),
    ];
    for (spec, status, gate) in cases {
        assert_eq!(cluster(json!({"metadata": {}, "spec": spec, "status": status})).gate, gate, "{spec} {status}");
    }
    let endpoint = |endpoint| cluster(json!({"metadata": {}, "spec": {"controlPlaneEndpoint": endpoint}})).endpoint;
    assert!(endpoint(json!({"host": "a", "port": 6443})).is_some());
    assert_eq!(endpoint(json!({"host": "a"})), None, "half of one");
}

#[test]
fn they_are_of_the_kinds_they_stand_for() {
    assert_eq!(LeanMachine::kind(&()), views::Machine::kind(&()));
    assert_eq!(LeanCluster::api_version(&()), views::Cluster::api_version(&()));
    assert_eq!(LeanCluster::plural(&()), views::Cluster::plural(&()));
}
