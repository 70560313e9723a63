use serde_json::Value;
use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::sample::ago;
use crate::sample::cluster;
use crate::sample::condition;
use crate::sample::control_plane;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::log;
use crate::sample::machine;
use crate::sample::metadata;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::the_one;

const NOT_SET: &str = "its Machine's spec.bootstrap.dataSecretName is not set yet";
const NOT_INITIALIZED: &str = "Waiting for Cluster control plane to be initialized";

/// A Machine of this name that waits, its MicrovmMachine, and a KubeadmConfig that says why.
fn waiting(name: &str, is_control_plane: bool, said: &str) -> Vec<(&'static str, Value)> {
    let (kind, mut core) =
        machine(name, &json!({"configRef": {"apiGroup": "bootstrap.cluster.x-k8s.io", "kind": "KubeadmConfig", "name": name}}));
    if is_control_plane {
        core = control_plane(core);
    }
    core["status"]["conditions"] =
        json!([condition("BootstrapConfigReady", "False", "NotReady", &format!("* DataSecretAvailable: {said}"))]);
    let told = condition("DataSecretAvailable", "False", "NotAvailable", said);
    let config = json!({"metadata": metadata(name), "spec": {}, "status": {"conditions": [told]}});
    vec![(kind, core), microvm_machine(name, "False", "WaitingForBootstrapData", NOT_SET), ("KubeadmConfig", config)]
}

fn not_initialized() -> (&'static str, Value) {
    cluster(("False", "Remote connection not established yet"), "False")
}

#[test]
fn the_first_machine_of_a_control_plane_that_waits_for_itself_is_told() {
    let mut objects = waiting("first", true, NOT_INITIALIZED);
    objects.push(not_initialized());
    let finding = the_one(&picture(objects), "bootstrap-data");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "Machines of Cluster team/one"));
    assert!(finding.cause.starts_with("it is the first machine of its control plane"), "{}", finding.cause);
    assert!(finding.fix.contains("capi-kubeadm-bootstrap-controller-manager"), "{}", finding.fix);
    assert_eq!(evidence(&finding), [("KubeadmConfig team/first", NOT_INITIALIZED)]);
}

#[test]
fn machines_that_join_later_wait_rightly() {
    let (kind, first) = machine("first", &json!({"configRef": {"kind": "KubeadmConfig", "name": "first"}, "dataSecretName": "first"}));
    let mut objects = [
        waiting("second", true, NOT_INITIALIZED),
        waiting("worker-1", false, NOT_INITIALIZED),
        waiting("worker-2", false, NOT_INITIALIZED),
    ]
    .concat();
    objects.extend([(kind, control_plane(first)), not_initialized()]);
    let finding = the_one(&picture(objects), "bootstrap-data");
    assert_eq!((finding.severity, finding.evidence.len()), (Severity::Note, 3), "{finding:#?}");
}

#[test]
fn each_thing_that_holds_bootstrap_data_up_is_told() {
    let initialized = || cluster(("True", ""), "True");
    let infrastructure = "Waiting for Cluster status.infrastructureReady to be true";
    let held = [waiting("a", false, "Failed to prepare spec.files: secrets \"x\" not found"), vec![initialized()]].concat();
    let first = [waiting("a", true, infrastructure), vec![not_initialized()]].concat();
    let nobody = vec![machine("a", &json!({})), microvm_machine("a", "False", "WaitingForBootstrapData", NOT_SET)];
    let (kind, mut missing) = machine("a", &json!({"configRef": {"kind": "KubeadmConfig", "name": "a"}}));
    missing["status"]["conditions"] =
        json!([condition("BootstrapConfigReady", "False", "ObjectDoesNotExist", "KubeadmConfig does not exist")]);
    let secret =
        |reason: &str, message: &str| vec![machine("a", &json!({"dataSecretName": "a"})), microvm_machine("a", "False", reason, message)];
    let lost = "Secret a, which its Machine's spec.bootstrap.dataSecretName names, does not exist";
    let cases = [
        (held, "the control plane is there", "Failed to prepare spec.files: secrets \"x\" not found"),
        (first, "its bootstrap data are made when", infrastructure),
        (nobody, "nobody is asked to make", "spec.bootstrap is empty"),
        (vec![(kind, missing)], "the object that its bootstrap data are made of", "KubeadmConfig does not exist"),
        (secret("WaitingForBootstrapData", lost), "the Secret with bootstrap data", lost),
        (
            secret("InvalidBootstrapData", "Secret a has nothing under key value"),
            "the Secret with bootstrap data",
            "Secret a has nothing under key value",
        ),
    ];
    for (objects, cause, said) in cases {
        let finding = the_one(&picture(objects), "bootstrap-data");
        assert!(finding.cause.starts_with(cause), "{finding:#?}");
        assert_eq!((finding.severity, finding.evidence[0].said.as_str()), (Severity::Error, said));
    }
}

#[test]
fn what_was_made_a_moment_ago_may_wait() {
    let (kind, mut young) = machine("a", &json!({}));
    young["metadata"]["creationTimestamp"] = ago(30).into();
    assert_eq!(the_one(&picture(vec![(kind, young)]), "bootstrap-data").severity, Severity::Note);
}

#[test]
fn a_machine_that_has_its_data_waits_for_none() {
    let objects =
        vec![machine("a", &json!({"dataSecretName": "a"})), microvm_machine("a", "False", "HostUnreachable", "host h does not answer")];
    assert_eq!(found(&picture(objects), "bootstrap-data"), []);
}

#[test]
fn a_kubernetes_that_is_too_old_is_told_by_its_own_rule() {
    let mut objects = [waiting("first", true, NOT_INITIALIZED), vec![not_initialized()]].concat();
    for (version, wrong) in [("v1.21.14", true), ("1.19.0", true), ("v1.22.0", false), ("v1.36.3", false), ("", false), ("latest", false)] {
        objects[0].1["spec"]["version"] = version.into();
        let picture = picture(objects.clone());
        assert_eq!(!found(&picture, "kubernetes-version").is_empty(), wrong, "{version}");
        assert_eq!(found(&picture, "bootstrap-data").is_empty(), wrong, "{version}");
    }
    let mut logged = Picture::new(now());
    let line = "E1122 controller.go] \"Reconciler error\" err=\"the bootstrap provider for kubeadm doesn't support Kubernetes version lower than v1.22.0\"";
    logged.logs.push(log("capi-bootstrap-kubeadm", line));
    assert_eq!(evidence(&the_one(&logged, "kubernetes-version")), [("capi-bootstrap-kubeadm, line 1", line)]);
}

#[test]
fn logs_of_managers_are_explained() {
    let mut picture = Picture::new(now());
    picture.logs.push(log("capmvm", "I1122 \"Bootstrap secret is not ready\" machine=\"team/a\""));
    let finding = the_one(&picture, "bootstrap-data");
    assert_eq!((finding.severity, finding.evidence[0].source.as_str()), (Severity::Warning, "capmvm, line 1"));
}
