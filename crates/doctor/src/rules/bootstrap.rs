//! Bootstrap data: without it no microVM is made.

use capstead_capi::condition::kind;
use capstead_capi::condition::reason;

use super::Rule;
use super::lasting;
use crate::finding::Evidence;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::object::Object;
use crate::picture::Picture;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "kubernetes-version",
        symptom: "the bootstrap provider for kubeadm doesn't support Kubernetes version lower than v1.22.0",
        find: versions,
    },
    Rule { id: "bootstrap-data", symptom: "Bootstrap secret is not ready; Machines are stuck in Pending", find: data },
];

/// The oldest Kubernetes that kubeadm's bootstrap provider writes data for.
const OLDEST: (u32, u32) = (1, 22);

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST)
}

fn versions(picture: &Picture) -> Vec<Finding> {
    let versions = ["Machine", "KubeadmControlPlane"].into_iter().flat_map(|kind| picture.objects(kind).collect::<Vec<_>>());
    let versions = versions.map(|object| (object, object.text("/spec/version"))).filter(|(_, version)| is_too_old(version));
    let old = versions.map(|(object, version)| Evidence { source: object.called(), said: format!("spec.version is {version}") });
    let evidence: Vec<Evidence> = old.chain(picture.said(&["doesn't support Kubernetes version lower than v1.22.0"])).collect();
    if evidence.is_empty() {
        return Vec::new();
    }
    let cause = "kubeadm's bootstrap provider writes no data for a Kubernetes older than 1.22, so its machines wait for ever";
    let fix = "take a newer KUBERNETES_VERSION, and a root image that has it";
    vec![Finding::error("Machines of an old Kubernetes", cause, fix).with(evidence)]
}

/// What keeps a Machine's data from being there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The Machine names a Secret that is not there, or holds nothing.
    Secret,
    /// Nobody is asked to make it.
    Nobody,
    /// The object that it should be made of is not there.
    NoConfig,
    /// The cluster's infrastructure comes first.
    Infrastructure,
    /// The control plane that it joins comes first.
    ControlPlane,
    /// It is the first of the control plane, and its data are held up all the same.
    First,
    /// Its data are held up, though the control plane is there.
    Held,
}

impl Wait {
    fn cause(self) -> &'static str {
        match self {
            Self::Secret => "the Secret with bootstrap data that the Machine names is not there, or has nothing under the key value",
            Self::Nobody => {
                "nobody is asked to make its bootstrap data: the Machine has neither bootstrap.configRef nor bootstrap.dataSecretName"
            }
            Self::NoConfig => "the object that its bootstrap data are made of does not exist",
            Self::Infrastructure => "its bootstrap data are made when the cluster's infrastructure is provisioned, which it is not",
            Self::ControlPlane => "it joins a control plane that does not answer yet: its first machine must come up before",
            Self::First => {
                "it is the first machine of its control plane, for which kubeadm's bootstrap provider should write data at once, and does not"
            }
            Self::Held => "the control plane is there, and the bootstrap provider makes no data all the same",
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Self::Secret => "make that Secret, or let a bootstrap provider make it (bootstrap.configRef in place of dataSecretName)",
            Self::Nobody => "name a KubeadmConfig in the Machine's bootstrap.configRef",
            Self::NoConfig => "apply the KubeadmConfig that the Machine's bootstrap.configRef names",
            Self::Infrastructure => "see what its MicrovmCluster waits for: `kubectl get mvmc -o wide`",
            Self::ControlPlane => "look at the control plane's first machine: what holds it up is told beside this",
            Self::First => {
                "its manager's log tells why: `capstead logs capi-bootstrap-kubeadm`, or `kubectl logs -n capi-kubeadm-bootstrap-system \
                 deployment/capi-kubeadm-bootstrap-controller-manager`. The ConfigMap CLUSTER-lock names the machine that may begin: where that is gone, delete it"
            }
            Self::Held => {
                "the bootstrap provider's log tells why: `capstead logs capi-bootstrap-kubeadm`; see that the control plane is reached"
            }
        }
    }
}

fn data(picture: &Picture) -> Vec<Finding> {
    let mut findings: Vec<(Wait, String, Finding)> = Vec::new();
    for machine in picture.objects("Machine").filter(|machine| machine.text("/spec/infrastructureRef/kind") == "MicrovmMachine") {
        let Some((wait, evidence)) = waits(picture, machine) else { continue };
        let severity = if wait == Wait::ControlPlane { Severity::Note } else { lasting(picture, machine.created()) };
        // Machines of one cluster that wait for the same are told together.
        let cluster = format!("{}/{}", machine.namespace(), machine.text("/spec/clusterName"));
        let known = findings.iter_mut().find(|(what, of, finding)| (*what, of, finding.severity) == (wait, &cluster, severity));
        match known {
            Some((.., finding)) => *finding = finding.clone().with([evidence]),
            None => {
                let about = format!("Machines of Cluster {cluster}");
                findings.push((wait, cluster, Finding::new(severity, about, wait.cause(), wait.fix()).with([evidence])));
            }
        }
    }
    let mut findings: Vec<Finding> = findings.into_iter().map(|(.., finding)| finding).collect();
    let told = picture.logged(&["Bootstrap secret is not ready", "Waiting for bootstrap provider to generate data secret"]);
    if findings.is_empty() && !told.is_empty() {
        let cause = "a microVM is made when its bootstrap data are there; for the control plane's first machine the bootstrap provider writes them at once";
        let fix = "`kubectl describe kubeadmconfig` of that machine: its condition DataSecretAvailable says what it waits for; or give --kubeconfig to this command";
        findings.push(Finding::new(Severity::Warning, "Machines", cause, fix).with(told));
    }
    findings
}

/// What the Machine waits for, and who says so.
fn waits(picture: &Picture, machine: &Object) -> Option<(Wait, Evidence)> {
    let infrastructure = picture.object("MicrovmMachine", machine.namespace(), machine.text("/spec/infrastructureRef/name"));
    let ready = infrastructure.and_then(|infrastructure| Some((infrastructure, infrastructure.lacks(kind::READY)?)));
    let evidence = |object: &Object, said: &str| Evidence { source: object.called(), said: said.to_owned() };
    if !machine.text("/spec/bootstrap/dataSecretName").is_empty() {
        let (object, ready) = ready.filter(|(_, ready)| {
            let reasons = [reason::WAITING_FOR_BOOTSTRAP_DATA, reason::INVALID_BOOTSTRAP_DATA];
            // Of an older look, before the Machine named its Secret, nothing follows.
            reasons.contains(&ready.reason.as_str()) && ready.message.contains("Secret ")
        })?;
        return Some((Wait::Secret, evidence(object, &ready.message)));
    }
    let name = machine.text("/spec/bootstrap/configRef/name");
    if name.is_empty() {
        return Some((Wait::Nobody, evidence(machine, "spec.bootstrap is empty")));
    }
    let told = machine.lacks(kind::BOOTSTRAP_CONFIG_READY);
    if let Some(told) = told.filter(|told| told.reason == reason::OBJECT_DOES_NOT_EXIST) {
        return Some((Wait::NoConfig, evidence(machine, &told.message)));
    }
    let config = picture.object("KubeadmConfig", machine.namespace(), name);
    let available = config.and_then(|config| Some((config, config.lacks("DataSecretAvailable")?)));
    let evidence = match (available, told) {
        (Some((config, available)), _) => evidence(config, &available.message),
        (None, Some(told)) => evidence(machine, &told.message),
        (None, None) => evidence(machine, "spec.bootstrap.dataSecretName is not set yet"),
    };
    // Its version is told by its own rule.
    if is_too_old(machine.text("/spec/version")) {
        return None;
    }
    let cluster = picture.object("Cluster", machine.namespace(), machine.text("/spec/clusterName"));
    let initialized = cluster.is_some_and(|cluster| cluster.is(kind::CONTROL_PLANE_INITIALIZED));
    let wait = if evidence.said.contains("infrastructureReady") || evidence.said.contains("infrastructureProvisioned") {
        Wait::Infrastructure
    } else if initialized {
        Wait::Held
    } else if !machine.is_control_plane() || another_begins(picture, machine) {
        Wait::ControlPlane
    } else {
        Wait::First
    };
    Some((wait, evidence))
}

/// Whether another machine of the same control plane has its data: then that one is the first.
fn another_begins(picture: &Picture, machine: &Object) -> bool {
    let others = picture.objects("Machine").filter(|other| {
        other.namespace() == machine.namespace()
            && other.text("/spec/clusterName") == machine.text("/spec/clusterName")
            && other.name() != machine.name()
    });
    others.filter(|other| other.is_control_plane()).any(|other| !other.text("/spec/bootstrap/dataSecretName").is_empty())
}

#[cfg(test)]
mod tests;
