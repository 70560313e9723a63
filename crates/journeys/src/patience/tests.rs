use super::*;

#[test]
fn kubeadm_gets_time_and_a_lone_control_plane_holds_no_elections() {
    let control_plane = |replicas: u64| {
        let scheduler = json!({"extraArgs": [{"name": "v", "value": "2"}, {"name": "leader-elect", "value": "true"}]});
        json!({"kind": "KubeadmControlPlane", "spec": {"replicas": replicas, "kubeadmConfigSpec": {"clusterConfiguration": {"scheduler": scheduler}}}})
    };
    let mut objects = vec![control_plane(1), control_plane(3), json!({"kind": "KubeadmConfigTemplate"}), json!({"kind": "Cluster"})];
    give(&mut objects);
    let kubeadm = &objects[0]["spec"]["kubeadmConfigSpec"];
    assert_eq!(kubeadm["initConfiguration"]["timeouts"]["kubernetesAPICallSeconds"], KUBEADM);
    assert_eq!(kubeadm["joinConfiguration"]["timeouts"]["discoverySeconds"], KUBEADM);
    let no_election = json!({"name": "leader-elect", "value": "false"});
    assert_eq!(kubeadm["clusterConfiguration"]["scheduler"]["extraArgs"], json!([{"name": "v", "value": "2"}, no_election]));
    assert_eq!(kubeadm["clusterConfiguration"]["controllerManager"]["extraArgs"], json!([no_election]));
    assert!(objects[1]["spec"]["kubeadmConfigSpec"]["clusterConfiguration"]["controllerManager"].is_null());
    let join = &objects[2]["spec"]["template"]["spec"]["joinConfiguration"];
    assert_eq!(join["timeouts"]["tlsBootstrapSeconds"], KUBEADM);
    assert_eq!(objects[3], json!({"kind": "Cluster"}));
    // Twice is once.
    let once = objects.clone();
    give(&mut objects);
    assert_eq!(objects, once);
}
