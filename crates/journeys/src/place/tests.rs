use serde_json::Value;
use serde_json::json;

use super::*;

fn objects() -> Vec<Value> {
    vec![
        json!({"kind": "Cluster", "metadata": {"name": "a"}, "spec": {"clusterNetwork": {}}}),
        json!({"kind": "MicrovmCluster", "spec": {"placement": {"staticPool": {"basicAuthSecret": "s", "hosts": []}}}}),
        json!({"kind": "MachineDeployment", "metadata": {"name": "a-md-0"}, "spec": {"replicas": 9, "template": {"spec": {"version": "v1.36.3"}}}}),
        json!({"kind": "KubeadmConfigTemplate"}),
    ]
}

fn hosts(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("10.0.0.{n}:9090")).collect()
}

/// Name, host and number of all workers.
fn workers(objects: &[Value]) -> Vec<(&str, &str, u64)> {
    let deployments = objects.iter().filter(|object| object["kind"] == "MachineDeployment");
    let told = deployments.map(|deployment| {
        let host = deployment["spec"]["template"]["spec"]["failureDomain"].as_str();
        (deployment["metadata"]["name"].as_str().unwrap(), host.unwrap(), deployment["spec"]["replicas"].as_u64().unwrap())
    });
    told.collect()
}

#[test]
fn every_host_gets_a_machine() {
    let mut three = objects();
    place(&mut three, &hosts(3), 1, 2).unwrap();
    assert_eq!(workers(&three), [("a-md-0", "10.0.0.2:9090", 1), ("a-md-1", "10.0.0.3:9090", 1)]);
    let pool = &three[1]["spec"]["placement"]["staticPool"];
    assert_eq!(pool["basicAuthSecret"], "s", "what else is said of the pool stays");
    let allowed: Vec<&Value> = pool["hosts"].as_array().unwrap().iter().map(|host| &host["controlplaneAllowed"]).collect();
    assert_eq!(allowed, [true, false, false]);
    let kinds: Vec<&str> = three.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Cluster", "MicrovmCluster", "MachineDeployment", "MachineDeployment", "KubeadmConfigTemplate"]);

    let mut one = objects();
    place(&mut one, &hosts(1), 1, 1).unwrap();
    assert_eq!(workers(&one), [("a-md-0", "10.0.0.1:9090", 1)]);

    let mut many = objects();
    place(&mut many, &hosts(2), 3, 5).unwrap();
    assert_eq!(workers(&many), [("a-md-0", "10.0.0.2:9090", 3), ("a-md-1", "10.0.0.1:9090", 2)]);
}

#[test]
fn a_topology_has_its_own_places() {
    let deployments = json!([{"class": "worker", "name": "md-0", "replicas": 0}]);
    let topology = json!({"workers": {"machineDeployments": deployments}, "variables": [{"name": "hosts", "value": []}]});
    let mut objects = vec![json!({"kind": "ClusterClass"}), json!({"kind": "Cluster", "spec": {"topology": topology}})];
    place(&mut objects, &hosts(3), 1, 2).unwrap();
    let topology = &objects[1]["spec"]["topology"];
    assert_eq!(topology["variables"][0]["value"][2]["endpoint"], "10.0.0.3:9090");
    let expected = json!([
        {"class": "worker", "name": "md-0", "replicas": 1, "failureDomain": "10.0.0.2:9090"},
        {"class": "worker", "name": "md-1", "replicas": 1, "failureDomain": "10.0.0.3:9090"},
    ]);
    assert_eq!(topology["workers"]["machineDeployments"], expected);
}

#[test]
fn what_cannot_be_placed_is_told() {
    let error = place(&mut objects(), &hosts(4), 1, 2).unwrap_err();
    assert_eq!(error, PlaceError::TooMany { hosts: 4, machines: 3 });
    assert_eq!(place(&mut objects(), &[], 1, 2), Err(PlaceError::NoHosts));
    assert_eq!(place(&mut vec![json!({"kind": "Cluster"})], &hosts(1), 1, 1), Err(PlaceError::NoPlace));
    let mut two = objects();
    two.push(json!({"kind": "MachineDeployment"}));
    assert_eq!(place(&mut two, &hosts(1), 1, 1), Err(PlaceError::Deployments(2)));
    for (hosts, control_plane, workers) in [(1, 1, 1), (2, 1, 1), (3, 1, 2), (2, 3, 1), (6, 3, 3)] {
        assert_eq!(workers_for(hosts, control_plane), workers);
    }
}
