use super::*;

/// What a worker's kubeadm is told.
fn join_of(template: &Value) -> &Value {
    &template["spec"]["template"]["spec"]
}

#[test]
fn kubeadm_gets_time_and_a_lone_control_plane_holds_no_elections() {
    let control_plane = |replicas: u64| {
        let scheduler = json!({"extraArgs": [{"name": "v", "value": "2"}, {"name": "leader-elect", "value": "true"}]});
        json!({"kind": "KubeadmControlPlane", "spec": {"replicas": replicas, "kubeadmConfigSpec": {"clusterConfiguration": {"scheduler": scheduler}}}})
    };
    let mut objects = vec![control_plane(1), control_plane(3), json!({"kind": "KubeadmConfigTemplate"}), json!({"kind": "Cluster"})];
    give(&mut objects, false);
    let kubeadm = &objects[0]["spec"]["kubeadmConfigSpec"];
    assert_eq!(kubeadm["initConfiguration"]["timeouts"]["kubernetesAPICallSeconds"], KUBEADM);
    assert_eq!(kubeadm["joinConfiguration"]["timeouts"]["discoverySeconds"], KUBEADM);
    let no_election = json!({"name": "leader-elect", "value": "false"});
    assert_eq!(kubeadm["clusterConfiguration"]["scheduler"]["extraArgs"], json!([{"name": "v", "value": "2"}, no_election]));
    assert_eq!(kubeadm["clusterConfiguration"]["controllerManager"]["extraArgs"], json!([no_election]));
    assert_eq!(kubeadm["joinConfiguration"]["patches"]["directory"], PATCHES);
    let file = &kubeadm["files"][1];
    assert_eq!(file["path"], "/etc/kubernetes/patches/kube-apiserver+strategic.json");
    let pod: Value = serde_json::from_str(file["content"].as_str().unwrap()).unwrap();
    assert_eq!(pod["spec"]["containers"][0]["livenessProbe"]["failureThreshold"], SILENT);
    assert_eq!(pod["spec"]["containers"][0]["readinessProbe"], json!({"periodSeconds": ASK}));
    let unasked = kubeadm["files"][2]["content"].as_str().unwrap();
    assert!(
        unasked.contains("kube-controller-manager") && !unasked.contains("readinessProbe"),
        "a probe that asks nobody is refused: {unasked}"
    );
    let controller_manager =
        |object: &Value| object["spec"]["kubeadmConfigSpec"]["clusterConfiguration"]["controllerManager"]["extraArgs"].to_string();
    assert!(controller_manager(&objects[1]).contains("60s"), "of three, one is the leader");
    let mut rolled = vec![control_plane(1)];
    give(&mut rolled, true);
    assert!(controller_manager(&rolled[0]).contains("60s"), "while it is rolled, there are two");
    let etcd = |object: &Value| object["spec"]["kubeadmConfigSpec"]["clusterConfiguration"]["etcd"]["local"]["extraArgs"].clone();
    let slow = json!([{"name": "heartbeat-interval", "value": "1000"}, {"name": "election-timeout", "value": "10000"}]);
    assert_eq!((etcd(&objects[0]), etcd(&objects[1]), etcd(&rolled[0])), (Value::Null, slow.clone(), slow));
    let join = &objects[2]["spec"]["template"]["spec"]["joinConfiguration"];
    assert_eq!(join["timeouts"]["tlsBootstrapSeconds"], KUBEADM);
    let kubelet = json!({
        "path": "/etc/systemd/system/kubelet.service.d/slow.conf", "owner": "root:root", "permissions": "0600",
        "content": "[Service]\nEnvironment=GOGC=400\n",
    });
    assert!([join_of(&objects[2]), kubeadm].iter().all(|kubeadm| kubeadm["files"].as_array().unwrap().contains(&kubelet)));
    assert_eq!(join_of(&objects[2])["preKubeadmCommands"], json!([RELOAD]));
    assert_eq!(objects[3], json!({"kind": "Cluster"}));
    // Twice is once.
    let once = objects.clone();
    give(&mut objects, false);
    assert_eq!(objects, once);
}
