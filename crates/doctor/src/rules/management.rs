//! The management cluster itself, and the managers in it.

use capstead_capi::condition::kind;
use capstead_capi::meta::label;

use super::Rule;
use super::lasting;
use crate::finding::Finding;
use crate::object::Object;
use crate::picture::Management;
use crate::picture::Picture;

pub(super) const RULES: &[Rule] = &[
    Rule { id: "management-cluster", symptom: "failed to connect to the management cluster", find: cluster },
    Rule { id: "manager", symptom: "capmvm-controller-manager is not ready", find: managers },
];

fn cluster(picture: &Picture) -> Vec<Finding> {
    let fix = "bring it up (`capstead status` for a plane, `kubectl get --raw /readyz` for any); or name another one with --kubeconfig";
    if let Management::Unreachable { server, why } = &picture.management {
        return vec![Finding::error(server, "its API server does not answer, or does not let us in", fix).seen(server, why)];
    }
    let told = picture.logged(&["failed to connect to the management cluster"]);
    if told.is_empty() {
        return Vec::new();
    }
    let cause = "when this was written, the API server of the management cluster did not answer";
    vec![Finding::error("the management cluster", cause, fix).with(told)]
}

fn managers(picture: &Picture) -> Vec<Finding> {
    let managers = picture.objects("Deployment").filter(|deployment| deployment.has_label(label::PROVIDER));
    let mut findings: Vec<Finding> = managers.filter_map(|deployment| manager(picture, deployment)).collect();
    let told = picture.logged(&["controller-manager is not ready"]);
    if findings.is_empty() && !told.is_empty() {
        let cause =
            "when this was written, the manager was not ready: it waits for its webhooks' certificate, its image, or a node to run on";
        let fix = "`kubectl get pods,certificates -n capmvm-system`; `kubectl logs -n capmvm-system deployment/capmvm-controller-manager`";
        findings.push(Finding::error("the manager", cause, fix).with(told));
    }
    findings
}

/// Why a manager is not ready, by the most telling of its objects.
fn manager(picture: &Picture, deployment: &Object) -> Option<Finding> {
    let available = deployment.condition(kind::AVAILABLE);
    if deployment.is(kind::AVAILABLE) {
        return None;
    }
    let namespace = deployment.namespace();
    let logs = format!("`kubectl logs -n {namespace} deployment/{}`", deployment.name());
    let own = label_of(deployment);
    let pods: Vec<&Object> = picture.objects("Pod").filter(|pod| pod.namespace() == namespace && label_of(pod) == own).collect();
    let mut certificates = picture.objects("Certificate").filter(|certificate| certificate.namespace() == namespace);
    let certificate = certificates.find_map(|certificate| Some((certificate, certificate.lacks(kind::READY)?)));
    let waiting = pods.iter().find_map(|pod| Some((*pod, waiting(pod)?)));
    let homeless = pods.iter().find_map(|pod| Some((*pod, pod.lacks("PodScheduled")?)));
    let (cause, fix, seen) = match (homeless, waiting, certificate) {
        (Some((pod, condition)), ..) => {
            let fix = "`kubectl describe pod` names what nodes lack; one of them must be Ready".to_owned();
            ("no node takes its pod", fix, Some((pod.called(), condition.message.clone())))
        }
        (_, Some((pod, (reason, message))), _) if reason.contains("Image") => {
            let fix = "bring the image to where nodes pull it from (`kind load docker-image` for kind), or correct its name".to_owned();
            ("its image cannot be pulled", fix, Some((pod.called(), format!("{reason}: {message}"))))
        }
        // A pod that waits for a Secret as its volume cannot tell; the certificate can.
        (_, _, Some((certificate, condition))) => {
            let fix = "wait for cert-manager, or look at it: `kubectl get pods -n cert-manager`, `kubectl describe certificate`".to_owned();
            ("cert-manager has not issued its webhooks' certificate", fix, Some((certificate.called(), condition.message.clone())))
        }
        (_, Some((pod, (reason, message))), _) => {
            let cause = if reason == "CrashLoopBackOff" { "it ends again and again" } else { "its pod does not start" };
            (cause, format!("its own words tell why: {logs}"), Some((pod.called(), format!("{reason}: {message}"))))
        }
        _ => ("its webhook server is not up yet, or it failed to start", format!("its own words tell why: {logs}"), None),
    };
    let severity = lasting(picture, available.map(|condition| condition.last_transition_time.0));
    let mut finding = Finding::new(severity, deployment.called(), cause, fix);
    if let Some((source, said)) = seen {
        finding = finding.seen(source, &said);
    }
    let told = available.map_or("no condition Available", |condition| condition.message.as_str());
    Some(finding.seen(deployment.called(), told))
}

fn label_of(object: &Object) -> &str {
    object.label(label::PROVIDER)
}

/// Why one of the pod's containers does not run.
fn waiting(pod: &Object) -> Option<(&str, &str)> {
    let all = pod.items("/status/containerStatuses").chain(pod.items("/status/initContainerStatuses"));
    let state = all.map(|status| &status["state"]["waiting"]).find(|state| state.is_object())?;
    Some((state["reason"].as_str().unwrap_or_default(), state["message"].as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
