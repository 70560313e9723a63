//! A further provider: one file, its objects, its place in clusterctl's inventory.

use serde_json::json;

use crate::support::TestPlane;

const OBJECTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: second-manager}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: second-manager}
subjects: [{kind: ServiceAccount, name: second-manager, namespace: second-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: second-manager}
rules: [{apiGroups: [infrastructure.cluster.x-k8s.io], resources: [seconds], verbs: [get, list]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: second-manager, namespace: second-system}
spec: {selector: {}, template: {}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: seconds.infrastructure.cluster.x-k8s.io
  labels: {cluster.x-k8s.io/v1beta2: v1}
spec:
  group: infrastructure.cluster.x-k8s.io
  scope: Namespaced
  names: {kind: Second, listKind: SecondList, plural: seconds, singular: second}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: second-system}
"#;

/// A second etcd stands in for a manager: it takes ports, serves readiness, and ends when told.
#[test]
fn a_file_brings_a_further_provider() {
    let plane = TestPlane::new("provider");
    let bin = plane.scratch().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let etcd = plane.run(&["fetch", "etcd", "-o", "json"]).json();
    std::os::unix::fs::symlink(etcd[0]["path"].as_str().unwrap(), bin.join("second")).unwrap();
    let file = plane.scratch().join("second.yaml");
    let component = json!({
        "name": "second",
        "title": "Second",
        "after": ["kube-apiserver"],
        "afterObjectsOf": ["capi-core"],
        "binary": {"name": "second", "version": "v0.3.0"},
        "ports": {"client": {}, "peer": {}, "health": {}},
        "user": {"name": "system:serviceaccount:second-system:second-manager"},
        "args": [
            "--data-dir=${DATA}",
            "--listen-client-urls=http://127.0.0.1:${PORT_CLIENT}",
            "--advertise-client-urls=http://127.0.0.1:${PORT_CLIENT}",
            "--listen-peer-urls=http://127.0.0.1:${PORT_PEER}",
            "--listen-metrics-urls=http://127.0.0.1:${PORT_HEALTH}",
        ],
        "env": {"MADE_BY": "${KUBECONFIG}"},
        "ready": {"url": "http://127.0.0.1:${PORT_HEALTH}/readyz"},
        "objects": "second-objects.yaml",
        "provider": {"name": "second", "type": "InfrastructureProvider", "namespace": "second-system"},
    });
    std::fs::write(&file, component.to_string()).unwrap();
    let words = ["up", "--detach", "--without=capi-bootstrap-kubeadm,capi-control-plane-kubeadm", "--component", file.to_str().unwrap()];
    let up = || plane.run(&[&words[..], &["--bin-dir", bin.to_str().unwrap()]].concat());

    // What is wrong with a provider's files is said before anything starts, or by its name.
    let error = plane.run(&["up", "--detach", "--component", "/no/such.yaml"]).fails(1);
    assert!(error.contains("cannot read the component file /no/such.yaml"), "{error}");
    std::fs::write(plane.scratch().join("second-objects.yaml"), OBJECTS).unwrap();
    up().ok();

    let second = plane.component("second");
    assert_eq!((&second["version"], &second["source"], &second["ready"]), (&json!("v0.3.0"), &json!("path"), &json!(true)));
    let environ = std::fs::read(format!("/proc/{}/environ", second["pid"])).unwrap();
    let kubeconfig = plane.folder().join("components/second/kubeconfig");
    assert!(String::from_utf8_lossy(&environ).contains(&format!("MADE_BY={}", kubeconfig.display())));
    // Its objects are there, labelled as clusterctl would, whatever their order in the file; those for pods are left out.
    let crd = plane.get(&["crd", "seconds.infrastructure.cluster.x-k8s.io"]);
    assert_eq!(crd["metadata"]["labels"]["cluster.x-k8s.io/provider"], "infrastructure-second");
    assert_eq!(crd["metadata"]["labels"]["cluster.x-k8s.io/v1beta2"], "v1");
    plane.get(&["namespace", "second-system"]);
    let entry = plane.get(&["-n", "second-system", "providers.clusterctl.cluster.x-k8s.io", "infrastructure-second"]);
    assert_eq!((&entry["type"], &entry["version"]), (&json!("InfrastructureProvider"), &json!("v0.3.0")));
    // It acts under its own role, and no other.
    let kubectl = |words: &[&str]| plane.kubectl(&[&["--kubeconfig", kubeconfig.to_str().unwrap()], words].concat());
    kubectl(&["get", "seconds", "-A"]).ok();
    assert!(kubectl(&["get", "secrets", "-A"]).fails(1).contains("forbidden"));

    // A newer file is taken when the plane comes up next.
    std::fs::write(plane.scratch().join("second-objects.yaml"), OBJECTS.replace("[get, list]", "[get, list, delete]")).unwrap();
    plane.down();
    up().ok();
    assert_eq!(kubectl(&["auth", "can-i", "delete", "seconds.infrastructure.cluster.x-k8s.io"]).ok().trim(), "yes");
}
