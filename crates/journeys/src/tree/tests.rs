use serde_json::Value;
use serde_json::json;

use super::*;
use crate::look::Host;
use crate::look::MicroVm;

fn object(kind: &str, name: &str, owner: Option<&str>) -> Value {
    let owners: Vec<Value> = owner.into_iter().map(|uid| json!({"uid": uid, "kind": uid.split('/').next()})).collect();
    json!({"kind": kind, "metadata": {"name": name, "uid": format!("{kind}/{name}"), "labels": {}, "ownerReferences": owners}})
}

fn told(mut object: Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let condition =
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    match object["status"]["conditions"].as_array_mut() {
        Some(conditions) => conditions.push(condition),
        None => object["status"] = json!({"conditions": [condition]}),
    }
    object
}

/// A cluster whose control plane machine is on its way.
fn look() -> Look {
    let mut member =
        told(object("Machine", "demo-cp-1", Some("KubeadmControlPlane/demo-cp")), "Ready", "Unknown", "ReadyUnknown", "* A:\n  * B");
    member["metadata"]["labels"] = json!({"cluster.x-k8s.io/control-plane": ""});
    let objects = vec![
        told(object("Cluster", "demo", None), "Available", "False", "NotAvailable", "waits"),
        told(object("MicrovmCluster", "demo", Some("Cluster/demo")), "Ready", "True", "Provisioned", ""),
        object("KubeadmControlPlane", "demo-cp", Some("Cluster/demo")),
        told(member, "InfrastructureReady", "False", "WaitingForInfrastructureReady", "the host\nis slow"),
        object("MicrovmMachine", "demo-cp-1", Some("Machine/demo-cp-1")),
        object("MachineDeployment", "demo-md-0", Some("Cluster/demo")),
    ];
    Look { objects, hosts: Vec::new() }
}

fn ready() -> Look {
    let mut look = look();
    let machine = &mut look.objects[3];
    machine["spec"] = json!({"providerID": "microvm://h:1/U1"});
    machine["status"]["conditions"][1]["status"] = "True".into();
    look.objects[4]["spec"] = json!({"providerID": "microvm://h:1/U1"});
    look
}

#[test]
fn objects_stand_under_their_owners() {
    let rows = rows(&look());
    let shown: Vec<String> = rows.iter().map(|row| format!("{}{} {} {}", row.branch, row.object, row.ready, row.note)).collect();
    let expected = [
        "Cluster/demo False waits",
        "├─MicrovmCluster/demo True ",
        "├─KubeadmControlPlane/demo-cp  ",
        "│ └─Machine/demo-cp-1 Unknown * A:",
        "│   └─MicrovmMachine/demo-cp-1  ",
        "└─MachineDeployment/demo-md-0  ",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn what_is_made_twice_over_stands_under_its_machine() {
    let mut look = look();
    let owners =
        json!([{"uid": "KubeadmControlPlane/demo-cp", "kind": "KubeadmControlPlane"}, {"uid": "Machine/demo-cp-1", "kind": "Machine"}]);
    look.objects[4]["metadata"]["ownerReferences"] = owners;
    let rows = rows(&look);
    assert_eq!(rows.iter().filter(|row| row.object == "MicrovmMachine/demo-cp-1").count(), 1);
    assert!(rows.iter().any(|row| row.branch == "│   └─"));
}

#[test]
fn what_is_missing_is_said() {
    let host = "Machine/demo-cp-1: InfrastructureReady is False, WaitingForInfrastructureReady: the host is slow";
    let id = "Machine/demo-cp-1: spec.providerID is not set";
    let cluster = "Cluster/demo: Available is False, NotAvailable: waits";
    let unready = "Machine/demo-cp-1: Ready is Unknown, ReadyUnknown: * A:   * B";
    assert_eq!(missing(&look()), [host, id, cluster, unready]);
    assert_eq!(missing(&Look::default()), ["there is no control plane Machine yet"]);
    let mut early = look();
    early.objects.truncate(1);
    assert_eq!(missing(&early), ["there is no control plane Machine yet", cluster]);
    assert_eq!(missing(&ready()), [cluster, unready], "workers may be missing still");
    let mut available = ready();
    available.objects[0]["status"]["conditions"][0]["status"] = "True".into();
    assert_eq!(missing(&available), Vec::<String>::new());
}

#[test]
fn machines_whose_microvm_is_gone_are_lost() {
    assert_eq!(lost(&look()), Vec::<String>::new(), "it has none yet");
    let mut look = ready();
    assert_eq!(lost(&look), Vec::<String>::new(), "its host was not asked");
    look.hosts = vec![Host { address: "h:1".into(), microvms: Err("no answer".into()) }];
    assert_eq!(lost(&look), Vec::<String>::new(), "its host does not answer");
    look.hosts[0].microvms = Ok(Vec::new());
    assert_eq!(lost(&look), ["MicrovmMachine/demo-cp-1"]);
    look.hosts[0].microvms = Ok(vec![MicroVm { uid: "U1".into(), name: "demo-cp-1".into(), state: "CREATED".into() }]);
    assert_eq!(lost(&look), Vec::<String>::new());
}
