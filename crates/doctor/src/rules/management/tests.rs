use serde_json::Value;
use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::picture::Management;
use crate::sample::ago;
use crate::sample::condition;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::log;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::the_one;

#[test]
fn a_management_cluster_that_does_not_answer_is_told() {
    let management = Management::Unreachable { server: "https://127.0.0.1:6443".into(), why: "Connection refused (os error 111)".into() };
    let finding = the_one(&Picture { management, ..Picture::new(now()) }, "management-cluster");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "https://127.0.0.1:6443"));
    assert_eq!(evidence(&finding), [("https://127.0.0.1:6443", "Connection refused (os error 111)")]);

    let mut picture = Picture::new(now());
    picture.logs.push(log("e2e.log", "STEP: init\nFAIL: failed to connect to the management cluster: dial tcp 127.0.0.1:41321"));
    assert_eq!(the_one(&picture, "management-cluster").evidence[0].source, "e2e.log, line 2");
}

const NAMESPACE: &str = "capmvm-system";

fn labels() -> Value {
    json!({"cluster.x-k8s.io/provider": "infrastructure-mvm"})
}

/// A manager that is not available, and what else there is.
fn manager(others: Vec<(&'static str, Value)>) -> Picture {
    let told = condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
    let deployment = json!({
        "metadata": {"name": "capmvm-controller-manager", "namespace": NAMESPACE, "labels": labels()},
        "status": {"replicas": 1, "unavailableReplicas": 1, "conditions": [told]},
    });
    picture([vec![("Deployment", deployment)], others].concat())
}

fn pod(status: Value) -> (&'static str, Value) {
    ("Pod", json!({"metadata": {"name": "capmvm-controller-manager-abc", "namespace": NAMESPACE, "labels": labels()}, "status": status}))
}

fn waiting(reason: &str, message: &str) -> (&'static str, Value) {
    pod(
        json!({"phase": "Pending", "containerStatuses": [{"name": "manager", "state": {"waiting": {"reason": reason, "message": message}}}]}),
    )
}

fn certificate(status: &str) -> (&'static str, Value) {
    let told = condition("Ready", status, "DoesNotExist", "Issuing certificate as Secret does not exist");
    ("Certificate", json!({"metadata": {"name": "capmvm-serving-cert", "namespace": NAMESPACE}, "status": {"conditions": [told]}}))
}

#[test]
fn what_keeps_a_manager_from_being_ready_is_told() {
    type Case<'a> = (Vec<(&'static str, Value)>, &'a str, &'a str);
    let homeless = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint");
    let cases: [Case<'_>; 6] = [
        (vec![pod(json!({"phase": "Pending", "conditions": [homeless]}))], "no node takes its pod", "untolerated taint"),
        (
            vec![waiting("ImagePullBackOff", "Back-off pulling image \"ghcr.io/x:e2e\""), certificate("False")],
            "its image cannot be pulled",
            "ImagePullBackOff: Back-off",
        ),
        (
            vec![waiting("ContainerCreating", ""), certificate("False")],
            "cert-manager has not issued its webhooks' certificate",
            "Issuing certificate",
        ),
        (vec![waiting("CrashLoopBackOff", "back-off 5m0s"), certificate("True")], "it ends again and again", "CrashLoopBackOff: back-off"),
        (vec![waiting("CreateContainerConfigError", "secret not found")], "its pod does not start", "secret not found"),
        (vec![certificate("True")], "its webhook server is not up yet, or it failed to start", "minimum availability"),
    ];
    for (objects, cause, said) in cases {
        let finding = the_one(&manager(objects), "manager");
        assert_eq!((finding.cause.as_str(), finding.severity), (cause, Severity::Error));
        assert_eq!(finding.about, "Deployment capmvm-system/capmvm-controller-manager");
        assert!(finding.evidence[0].said.contains(said), "{finding:#?}");
    }
}

#[test]
fn a_manager_that_just_started_may_take_its_time() {
    let mut told = condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
    told["lastTransitionTime"] = ago(20).into();
    let deployment = json!({"metadata": {"name": "m", "namespace": NAMESPACE, "labels": labels()}, "status": {"conditions": [told]}});
    assert_eq!(the_one(&picture(vec![("Deployment", deployment)]), "manager").severity, Severity::Note);
}

#[test]
fn deployments_of_others_are_none_of_our_business() {
    let told = condition("Available", "False", "MinimumReplicasUnavailable", "");
    let deployment = json!({"metadata": {"name": "nginx", "namespace": "default"}, "status": {"conditions": [told]}});
    assert_eq!(found(&picture(vec![("Deployment", deployment)]), "manager"), []);
}

#[test]
fn a_log_tells_of_a_manager_that_was_not_ready() {
    let mut picture = Picture::new(now());
    picture.logs.push(log("e2e.log", "capmvm-controller-manager is not ready after 5m"));
    assert_eq!(the_one(&picture, "manager").evidence[0].said, "capmvm-controller-manager is not ready after 5m");
}
