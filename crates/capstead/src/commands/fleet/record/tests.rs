use serde_json::json;

use super::*;

fn cluster(available: Option<&str>, message: &str) -> Value {
    let conditions: Vec<Value> = available
        .iter()
        .map(|status| json!({"type": "Available", "status": status, "reason": "NotAvailable", "message": message}))
        .collect();
    json!({"metadata": {"name": "a"}, "status": {"initialization": {"infrastructureProvisioned": true}, "conditions": conditions}})
}

fn machine(name: &str, conditions: &[&str]) -> Value {
    let conditions: Vec<Value> = conditions.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
    json!({"metadata": {"name": name}, "spec": {"clusterName": "a"}, "status": {"conditions": conditions}})
}

#[test]
fn a_cluster_waits_until_it_is_available_and_again_after() {
    let mut record = Record::default();
    record.saw(Kind::Cluster, &cluster(None, ""), 1.0);
    assert_eq!(
        record.stuck(5.0),
        [Stuck { cluster: "a".into(), seconds: 4.0, why: Why { reason: "NotReported".into(), message: String::new() } }]
    );
    record.saw(Kind::Cluster, &cluster(Some("False"), "* Workers:\n  * none"), 2.0);
    assert_eq!(record.stuck(5.0)[0].why, Why { reason: "NotAvailable".into(), message: "* Workers: * none".into() });
    assert_eq!(record.stuck(5.0)[0].seconds, 4.0, "it waits since it was made");
    record.saw(Kind::Cluster, &cluster(Some("True"), ""), 6.0);
    assert_eq!((record.stuck(7.0), record.tally().clusters_available), (vec![], 1));
    record.saw(Kind::Cluster, &cluster(Some("Unknown"), "lost"), 8.0);
    assert_eq!((record.stuck(9.0)[0].seconds, record.tally().clusters_available), (1.0, 0));
    assert_eq!(record.clusters["a"].available, Some(6.0), "the first time counts");
    assert_eq!(record.clusters["a"].infrastructure, Some(1.0));
}

#[test]
fn those_that_wait_longest_come_first() {
    let mut record = Record::default();
    for (name, at) in [("late", 5.0), ("early", 1.0), ("between", 3.0)] {
        record.saw(Kind::Cluster, &json!({"metadata": {"name": name}}), at);
    }
    let names: Vec<String> = record.stuck(9.0).into_iter().map(|stuck| stuck.cluster).collect();
    assert_eq!(names, ["early", "between", "late"]);
}

#[test]
fn a_machine_goes_through_its_stages() {
    let mut record = Record::default();
    let microvm = |owners: Value, done: bool| {
        json!({
            "metadata": {"name": "infra", "ownerReferences": owners}, "spec": {"providerID": "microvm://h/u"},
            "status": {"initialization": {"provisioned": done}},
        })
    };
    let owner = json!([{"kind": "MachineSet", "name": "set"}, {"kind": "Machine", "name": "m"}]);
    // The microVM may be told of before its Machine.
    record.saw(Kind::MicrovmMachine, &microvm(owner.clone(), true), 1.0);
    assert_eq!(record.tally().machines, 0);
    record.saw(Kind::Machine, &machine("m", &[]), 2.0);
    record.saw(Kind::MicrovmMachine, &microvm(owner, true), 3.0);
    record.saw(Kind::MicrovmMachine, &microvm(json!([]), true), 3.0);
    assert_eq!(record.tally(), Tally { machines: 1, provisioned: 1, ..Tally::default() });
    let mut with_node = machine("m", &["Ready"]);
    with_node["status"]["nodeRef"] = json!({"name": "m"});
    record.saw(Kind::Machine, &with_node, 4.0);
    record.saw(Kind::Machine, &machine("m", &["Ready", "Available"]), 5.0);
    let seen = &record.machines["m"];
    assert_eq!(
        (seen.created, seen.provisioned, seen.node, seen.ready, seen.available),
        (Some(2.0), Some(1.0), Some(4.0), Some(4.0), Some(5.0))
    );
    assert_eq!(record.changes, [(Kind::Machine, 3), (Kind::MicrovmMachine, 3)].into());
    record.saw(Kind::Machine, &machine("m", &[]), 6.0);
    assert!(!record.machines["m"].is_available && record.machines["m"].available == Some(5.0));
}

#[test]
fn workers_are_those_that_stay() {
    let mut record = Record::default();
    let mut control_plane = machine("c", &[]);
    control_plane["metadata"]["labels"] = json!({"cluster.x-k8s.io/control-plane": ""});
    let mut leaving = machine("l", &[]);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    for object in [control_plane, leaving, machine("w", &["Available"]), machine("x", &["Available"])] {
        record.saw(Kind::Machine, &object, 1.0);
    }
    record.gone(Kind::Machine, "x", 2.0);
    assert_eq!(record.workers(), ["w"]);
    assert_eq!((record.tally().machines, record.tally().available), (3, 1));
}

#[test]
fn what_a_new_listing_does_not_show_is_gone() {
    let mut record = Record::default();
    record.saw(Kind::Machine, &machine("a", &["Available"]), 1.0);
    record.saw(Kind::Machine, &machine("b", &["Available"]), 1.0);
    record.begins(Kind::Machine);
    record.saw(Kind::Machine, &machine("b", &["Available"]), 2.0);
    record.ends(Kind::Machine, 3.0);
    assert_eq!((record.machines["a"].gone, record.machines["b"].gone), (Some(3.0), None));
    assert_eq!(record.tally().available, 1);
    // A change outside of a listing says nothing of others.
    record.saw(Kind::Machine, &machine("b", &[]), 4.0);
    record.ends(Kind::Machine, 4.0);
    assert!(record.machines["b"].lives());
}
