//! Clusters and their controllers.

use serde_json::Value;
use serde_json::json;

use crate::support::TestPlane;
use crate::support::until;

/// A Cluster with nothing but a control plane, in the newest version.
pub fn cluster(namespace: &str, name: &str) -> Value {
    let reference = json!({"apiGroup": "controlplane.cluster.x-k8s.io", "kind": "KubeadmControlPlane", "name": name});
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"controlPlaneRef": reference},
    })
}

/// A KubeadmControlPlane.
fn control_plane(namespace: &str, name: &str, replicas: u32) -> Value {
    let template = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "TestMachineTemplate", "name": name});
    json!({
        "apiVersion": "controlplane.cluster.x-k8s.io/v1beta2",
        "kind": "KubeadmControlPlane",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "version": "v1.36.0", "machineTemplate": {"spec": {"infrastructureRef": template}}},
    })
}

/// The least there can be: no infrastructure to wait for.
pub fn a_cluster_without_infrastructure_gets_its_conditions(plane: &TestPlane) {
    plane.kubectl(&["create", "namespace", "bare"]).ok();
    plane.apply(&cluster("bare", "one").to_string()).ok();
    wait_for(plane, "bare", "cluster", "the cluster has its conditions", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
            && is(cluster, "Paused", "False", "NotPaused")
            && is(cluster, "ControlPlaneAvailable", "False", "ObjectDoesNotExist")
            && is(cluster, "WorkersAvailable", "True", "NoWorkers")
            && is(cluster, "Available", "False", "NotAvailable")
    });
    delete_with_namespace(plane, "bare");
}

/// Core, the control plane provider and an infrastructure provider, which the test plays, bring a cluster as far as it goes without machines.
pub fn a_cluster_with_infrastructure_is_provisioned(plane: &TestPlane) {
    plane.kubectl(&["create", "namespace", "team"]).ok();
    let mut object = cluster("team", "one");
    object["spec"]["infrastructureRef"] = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "TestCluster", "name": "one"});
    let metadata = json!({"name": "one", "namespace": "team"});
    let infrastructure = json!({"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "TestCluster", "metadata": metadata});
    let template = json!({"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "TestMachineTemplate", "metadata": metadata});
    for object in [&object, &control_plane("team", "one", 1), &infrastructure, &template] {
        plane.apply(&object.to_string()).ok();
    }
    wait_for(plane, "team", "testcluster", "core owns the infrastructure", |object| owned(object, "Cluster"));
    wait_for(plane, "team", "cluster", "the cluster waits for it", |cluster| is(cluster, "InfrastructureReady", "False", "NotReady"));
    let endpoint = json!({"spec": {"controlPlaneEndpoint": {"host": "10.9.8.7", "port": 6443}}}).to_string();
    plane.kubectl(&["-n", "team", "patch", "testcluster", "one", "--type=merge", "-p", &endpoint]).ok();
    let ready = json!({"status": {"initialization": {"provisioned": true}}}).to_string();
    plane.kubectl(&["-n", "team", "patch", "testcluster", "one", "--type=merge", "--subresource=status", "-p", &ready]).ok();
    wait_for(plane, "team", "cluster", "the cluster is provisioned", |cluster| {
        cluster["status"]["phase"] == "Provisioned"
            && cluster["status"]["initialization"]["infrastructureProvisioned"] == true
            && cluster["spec"]["controlPlaneEndpoint"]["host"] == "10.9.8.7"
            && is(cluster, "InfrastructureReady", "True", "Ready")
    });
    // The control plane provider goes on from there: authorities, and a first machine, for which the bootstrap provider makes its data.
    wait_for(plane, "team", "kubeadmcontrolplane", "the control plane is owned and looked after", |object| {
        owned(object, "Cluster") && is(object, "Paused", "False", "NotPaused") && is(object, "CertificatesAvailable", "True", "Available")
    });
    let authority = plane.get(&["-n", "team", "secret", "one-ca"]);
    assert_eq!(authority["type"], "cluster.x-k8s.io/secret");
    delete_with_namespace(plane, "team");
}

fn wait_for(plane: &TestPlane, namespace: &str, kind: &str, what: &str, done: impl Fn(&Value) -> bool) {
    until(what, || {
        let object = plane.get(&["-n", namespace, kind, "one"]);
        if done(&object) { Ok(()) } else { Err(format!("{object:#}")) }
    });
}

fn owned(object: &Value, by: &str) -> bool {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|owner| owner["kind"] == by)
}

fn is(object: &Value, kind: &str, status: &str, reason: &str) -> bool {
    let condition = condition(object, kind);
    condition["status"] == status && condition["reason"] == reason
}

fn delete_with_namespace(plane: &TestPlane, namespace: &str) {
    plane.kubectl(&["-n", namespace, "delete", "cluster", "one", "--timeout=60s"]).ok();
    plane.kubectl(&["delete", "namespace", namespace, "--timeout=60s"]).ok();
    plane.kubectl(&["get", "namespace", namespace]).fails(1);
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

pub fn versions_are_converted(plane: &TestPlane) {
    plane.apply(&cluster("default", "new").to_string()).ok();
    let old = json!({
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "Cluster",
        "metadata": {"name": "old", "namespace": "default"},
        "spec": {
            "controlPlaneEndpoint": {"host": "10.1.2.3", "port": 6443},
            "controlPlaneRef": {"apiVersion": "controlplane.cluster.x-k8s.io/v1beta1", "kind": "KubeadmControlPlane", "name": "old"},
        },
    });
    plane.apply(&old.to_string()).ok();
    // Only the webhook knows that apiVersion became apiGroup, and which version the contract's label names for the way back.
    let read = |version: &str, name: &str| plane.get(&[&format!("clusters.{version}.cluster.x-k8s.io"), name]);
    let reference = &read("v1beta2", "old")["spec"]["controlPlaneRef"];
    assert_eq!(*reference, json!({"apiGroup": "controlplane.cluster.x-k8s.io", "kind": "KubeadmControlPlane", "name": "old"}));
    assert_eq!(read("v1beta2", "old")["spec"]["controlPlaneEndpoint"]["host"], "10.1.2.3");
    let reference = &read("v1beta1", "new")["spec"]["controlPlaneRef"];
    let version = reference["apiVersion"].as_str().unwrap_or_default();
    assert!(version.starts_with("controlplane.cluster.x-k8s.io/v1beta"), "{reference}");
    assert_eq!((&reference["namespace"], &reference["name"]), (&json!("default"), &json!("new")));
    // v1beta1 keeps its conditions where it always had them.
    until("the old version shows the new version's conditions", || {
        let cluster = read("v1beta1", "new");
        let mut conditions = cluster["status"]["v1beta2"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Paused").then_some(()).ok_or_else(|| format!("{cluster:#}"))
    });
    // The other two providers' webhooks, which are other processes.
    let config = json!({
        "apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1",
        "kind": "KubeadmConfig",
        "metadata": {"name": "old", "namespace": "default"},
        "spec": {"joinConfiguration": {"nodeRegistration": {"kubeletExtraArgs": {"v": "4"}}}},
    });
    plane.apply(&config.to_string()).ok();
    let config = plane.get(&["kubeadmconfigs.v1beta2.bootstrap.cluster.x-k8s.io", "old"]);
    let arguments = &config["spec"]["joinConfiguration"]["nodeRegistration"]["kubeletExtraArgs"];
    assert_eq!(*arguments, json!([{"name": "v", "value": "4"}]), "a map became a list");
    plane.apply(&control_plane("default", "new", 3).to_string()).ok();
    let object = plane.get(&["kubeadmcontrolplanes.v1beta1.controlplane.cluster.x-k8s.io", "new"]);
    assert_eq!(object["spec"]["machineTemplate"]["infrastructureRef"]["kind"], "TestMachineTemplate", "{object:#}");
    plane.kubectl(&["delete", "cluster", "old", "new", "--timeout=60s"]).ok();
    plane.kubectl(&["delete", "kubeadmconfig", "old", "--timeout=60s"]).ok();
}

pub fn admission_refuses_and_fills_in(plane: &TestPlane) {
    let mut empty = cluster("default", "empty");
    empty["spec"] = json!({"paused": true});
    // No schema says these things; each comes from another provider's webhook.
    let refused = plane.apply(&empty.to_string()).fails(1);
    assert!(refused.contains("one of spec.controlPlaneRef, spec.infrastructureRef or spec.topology"), "{refused}");
    plane.kubectl(&["get", "cluster", "empty"]).fails(1);

    let refused = plane.apply(&control_plane("default", "even", 2).to_string()).fails(1);
    assert!(refused.contains("cannot be an even number when etcd is stacked"), "{refused}");

    let config = json!({
        "apiVersion": "bootstrap.cluster.x-k8s.io/v1beta2",
        "kind": "KubeadmConfig",
        "metadata": {"name": "twice", "namespace": "default"},
        "spec": {"files": [{"path": "/a", "content": "b"}, {"path": "/a", "content": "c"}]},
    });
    let refused = plane.apply(&config.to_string()).fails(1);
    assert!(refused.contains("path property must be unique among all files"), "{refused}");

    // Only a version's `v` and the selector of a deployment tell that a defaulting webhook was there: no schema has them.
    let template = json!({
        "clusterName": "any",
        "version": "1.36.0",
        "bootstrap": {"dataSecretName": "none"},
        "infrastructureRef": {"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "TestMachineTemplate", "name": "any"},
    });
    let deployment = json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {"name": "workers", "namespace": "default"},
        "spec": {"clusterName": "any", "selector": {}, "template": {"spec": template}},
    });
    plane.apply(&deployment.to_string()).ok();
    let deployment = plane.get(&["machinedeployment", "workers"]);
    assert_eq!(deployment["spec"]["template"]["spec"]["version"], "v1.36.0");
    assert_eq!(deployment["spec"]["selector"]["matchLabels"]["cluster.x-k8s.io/deployment-name"], "workers");
    assert_eq!(deployment["spec"]["replicas"], 1);
    plane.kubectl(&["delete", "machinedeployment", "workers", "--timeout=60s"]).ok();
}

pub fn what_is_owned_goes_with_its_owner(plane: &TestPlane) {
    plane.kubectl(&["create", "configmap", "owner"]).ok();
    let owner = plane.get(&["configmap", "owner"]);
    let owned = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "owned",
            "namespace": "default",
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}],
        },
    });
    plane.apply(&owned.to_string()).ok();
    plane.kubectl(&["delete", "configmap", "owner"]).ok();
    until("what is owned is gone", || match plane.kubectl(&["get", "configmap", "owned"]) {
        ran if ran.code == Some(1) && ran.err.contains("NotFound") => Ok(()),
        ran => Err(format!("{ran:?}")),
    });
}
