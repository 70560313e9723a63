//! What clusterctl and other tools rely on.

use serde_json::Value;
use serde_json::json;

use super::clusters::cluster;
use crate::support::TestPlane;
use crate::support::until;

/// Manager, provider type, clusterctl's label, and the account it acts as.
const MANAGERS: [(&str, &str, &str, &str); 3] = [
    ("capi-core", "CoreProvider", "cluster-api", "system:serviceaccount:capi-system:capi-manager"),
    (
        "capi-bootstrap-kubeadm",
        "BootstrapProvider",
        "bootstrap-kubeadm",
        "system:serviceaccount:capi-kubeadm-bootstrap-system:capi-kubeadm-bootstrap-manager",
    ),
    (
        "capi-control-plane-kubeadm",
        "ControlPlaneProvider",
        "control-plane-kubeadm",
        "system:serviceaccount:capi-kubeadm-control-plane-system:capi-kubeadm-control-plane-manager",
    ),
];

pub fn crds_are_labelled(plane: &TestPlane) {
    let crds = plane.get(&["crd"]);
    let name = |crd: &Value| crd["metadata"]["name"].as_str().unwrap().to_owned();
    for wanted in
        ["clusters.cluster.x-k8s.io", "kubeadmconfigs.bootstrap.cluster.x-k8s.io", "kubeadmcontrolplanes.controlplane.cluster.x-k8s.io"]
    {
        assert!(crds["items"].as_array().unwrap().iter().any(|crd| name(crd) == wanted), "no {wanted}");
    }
    for crd in crds["items"].as_array().unwrap() {
        let labels = &crd["metadata"]["labels"];
        assert_eq!(labels["clusterctl.cluster.x-k8s.io"], "", "{}", name(crd));
        let provider = labels["cluster.x-k8s.io/provider"].as_str();
        assert!(MANAGERS.iter().any(|(_, _, label, _)| provider == Some(label)), "{}: {labels}", name(crd));
        // Core finds a provider's versions by these; it needs none for its own kinds, and upstream gives them none.
        if provider == Some("cluster-api") {
            continue;
        }
        // The contract: a label for each contract version, naming API versions that are served.
        let contract = labels["cluster.x-k8s.io/v1beta2"].as_str().unwrap_or_default();
        let served = |version: &str| {
            crd["spec"]["versions"].as_array().unwrap().iter().any(|other| other["name"] == version && other["served"] == true)
        };
        assert!(contract.split('_').all(served), "{}: {labels}", name(crd));
    }
}

pub fn providers_are_in_clusterctls_inventory(plane: &TestPlane) {
    let providers = plane.get(&["-A", "providers.clusterctl.cluster.x-k8s.io"]);
    let mut found: Vec<(&str, &str)> = providers["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|provider| (provider["type"].as_str().unwrap(), provider["metadata"]["name"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    let mut wanted: Vec<(&str, &str)> = MANAGERS.iter().map(|(_, kind, label, _)| (*kind, *label)).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    for provider in providers["items"].as_array().unwrap() {
        assert_eq!(provider["version"], plane.component("capi-core")["version"], "{provider}");
    }
}

pub fn managers_act_under_their_own_roles(plane: &TestPlane) {
    for (component, _, _, account) in MANAGERS {
        let kubeconfig = plane.folder().join("components").join(component).join("kubeconfig");
        let kubectl = |words: &[&str]| plane.kubectl(&[&["--kubeconfig", kubeconfig.to_str().unwrap()], words].concat());
        let me = kubectl(&["auth", "whoami", "-o", "json"]).json();
        assert_eq!(me["status"]["userInfo"]["username"], account);
        let groups = me["status"]["userInfo"]["groups"].as_array().unwrap();
        assert!(!groups.contains(&json!("system:masters")), "{me}");
        assert_eq!(kubectl(&["auth", "can-i", "*", "*"]).code, Some(1), "{component} may do everything");
        let refused = kubectl(&["create", "clusterrolebinding", "mine", "--clusterrole=cluster-admin", "--user=me"]).fails(1);
        assert!(refused.contains("forbidden") && refused.contains(account), "{refused}");
        assert_eq!(kubectl(&["auth", "can-i", "watch", "clusters.cluster.x-k8s.io", "-A"]).ok().trim(), "yes");
        let asked = plane.kubectl(&["auth", "can-i", "*", "*", &format!("--as={account}")]);
        assert_eq!((asked.code, asked.out.trim()), (Some(1), "no"));
    }
    assert_eq!(plane.kubectl(&["auth", "can-i", "*", "*"]).ok().trim(), "yes", "the administrator may");
}

pub fn clusterctl_works(plane: &TestPlane) {
    let clusterctl = |words: &[&str]| plane.command(&[&["clusterctl"], words].concat()).env("CLUSTERCTL_DISABLE_VERSIONCHECK", "true");
    plane.apply(&cluster("default", "shown").to_string()).ok();
    until("clusterctl shows the cluster and its conditions", || {
        let shown = clusterctl(&["describe", "cluster", "shown", "--show-conditions", "all", "--color=false"]).run().ok();
        let head = shown.lines().any(|line| line.starts_with("Cluster") && line.contains("/shown"));
        let whole = head && ["InfrastructureReady", "ControlPlaneAvailable"].iter().all(|text| shown.contains(text));
        if whole { Ok(()) } else { Err(shown) }
    });
    plane.kubectl(&["delete", "cluster", "shown", "--timeout=60s"]).ok();

    let template = "name: ${NAME}\nworkers: ${WORKERS:=3}\n";
    let rendered = clusterctl(&["generate", "yaml", "--from", "-"]).env("NAME", "a").input(template).run().ok();
    assert_eq!(rendered, "name: a\nworkers: 3\n");
    let refused = clusterctl(&["generate", "yaml", "--from", "-"]).without("NAME").input(template).run().fails(1);
    assert!(refused.contains("NAME"), "{refused}");
    // Our own rendering is the same, without clusterctl.
    assert_eq!(plane.command(&["template", "render", "-", "--set", "NAME=a"]).input(template).run().ok(), rendered);
}

pub fn nothing_was_forbidden(plane: &TestPlane) {
    for (component, ..) in MANAGERS {
        let log = plane.run(&["logs", component]).ok();
        let refused: Vec<&str> = log.lines().filter(|line| line.contains("is forbidden")).collect();
        assert!(refused.is_empty(), "{component} lacks a right: {refused:#?}");
    }
}
