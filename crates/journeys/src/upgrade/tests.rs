use serde_json::json;

use super::*;

fn objects() -> Vec<Value> {
    let reference = |name: &str| json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmMachineTemplate", "name": name});
    let template = |name: &str| json!({"kind": "MicrovmMachineTemplate", "metadata": {"name": name}, "spec": {"image": "new"}});
    let deployment = |name: &str| json!({"kind": "MachineDeployment", "metadata": {"name": name}, "spec": {"template": {"spec": {"version": "v1.36.3", "infrastructureRef": reference("a-md-0")}}}});
    let control_plane = json!({
        "kind": "KubeadmControlPlane", "metadata": {"name": "a"},
        "spec": {"version": "v1.36.3", "machineTemplate": {"spec": {"infrastructureRef": reference("a-control-plane")}}},
    });
    vec![control_plane, deployment("a-md-0"), deployment("a-md-1"), template("a-control-plane"), template("a-md-0")]
}

fn names(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())).collect()
}

#[test]
fn owners_get_a_machine_template_of_another_name() {
    let control_plane = raised(&objects(), "KubeadmControlPlane", "v1.36.3").unwrap();
    assert_eq!(names(&control_plane), ["MicrovmMachineTemplate a-control-plane-v1-36-3", "KubeadmControlPlane a"]);
    assert_eq!(control_plane[0]["spec"]["image"], "new");
    assert_eq!(control_plane[1]["spec"]["machineTemplate"]["spec"]["infrastructureRef"]["name"], "a-control-plane-v1-36-3");
    let workers = raised(&objects(), "MachineDeployment", "v1.36.3").unwrap();
    assert_eq!(names(&workers), ["MicrovmMachineTemplate a-md-0-v1-36-3", "MachineDeployment a-md-0", "MachineDeployment a-md-1"]);
    assert_eq!(workers[2]["spec"]["template"]["spec"]["infrastructureRef"]["name"], "a-md-0-v1-36-3");
}

#[test]
fn a_topology_raises_its_machines_by_itself() {
    let cluster = json!({"kind": "Cluster", "metadata": {"name": "a"}, "spec": {"topology": {"version": "v1.36.3"}}});
    let error = raised(&[cluster], "MachineDeployment", "v1.36.3").unwrap_err();
    assert!(error.to_string().contains("MachineDeployment"), "{error}");
}
