//! The kinds that are served: a table of the built-in ones, and those that custom resource definitions bring.

use std::sync::Arc;
use std::sync::LazyLock;

use serde_json::Value;

use crate::store::Store;

/// A kind in one version of its group, and where it is served.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// Of the group.
    pub version: String,
    /// `Pod`.
    pub kind: String,
    /// `pods`, as in paths.
    pub plural: String,
    /// `pod`.
    pub singular: String,
    /// What kubectl's users may type instead.
    pub short: Vec<String>,
    /// `all`, for `kubectl get all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `/status` is written apart.
    pub status: bool,
    /// Whether objects of it are never stored, only answered.
    pub review: bool,
    /// Brought by a custom resource definition.
    pub custom: bool,
    /// As the store calls it.
    pub resource: String,
}

impl Kind {
    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Where it is served: `/api/v1`, `/apis/apps/v1`.
    #[must_use]
    pub fn is(&self, group: &str, version: &str) -> bool {
        self.group == group && self.version == version
    }
}

/// Group/version, kind, plural, short names, and flags: `n`amespaced, has a `s`tatus, in the category `a`ll, is a `r`eview.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const BUILT_IN: &[Row] = &[
    ("v1", "Binding", "bindings", "", "nr"),
    ("v1", "ConfigMap", "configmaps", "cm", "n"),
    ("v1", "Endpoints", "endpoints", "ep", "n"),
    ("v1", "Event", "events", "ev", "n"),
    ("v1", "LimitRange", "limitranges", "limits", "n"),
    ("v1", "Namespace", "namespaces", "ns", "s"),
    ("v1", "Node", "nodes", "no", "s"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "ns"),
    ("v1", "PersistentVolume", "persistentvolumes", "pv", "s"),
    ("v1", "Pod", "pods", "po", "nsa"),
    ("v1", "PodTemplate", "podtemplates", "", "n"),
    ("v1", "ReplicationController", "replicationcontrollers", "rc", "nsa"),
    ("v1", "ResourceQuota", "resourcequotas", "quota", "ns"),
    ("v1", "Secret", "secrets", "", "n"),
    ("v1", "ServiceAccount", "serviceaccounts", "sa", "n"),
    ("v1", "Service", "services", "svc", "nsa"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "", ""),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "", "s"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "", ""),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "", ""),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "crd,crds", "s"),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", "", "s"),
    ("apps/v1", "ControllerRevision", "controllerrevisions", "", "n"),
    ("apps/v1", "DaemonSet", "daemonsets", "ds", "nsa"),
    ("apps/v1", "Deployment", "deployments", "deploy", "nsa"),
    ("apps/v1", "ReplicaSet", "replicasets", "rs", "nsa"),
    ("apps/v1", "StatefulSet", "statefulsets", "sts", "nsa"),
    ("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", "", "r"),
    ("authentication.k8s.io/v1", "TokenReview", "tokenreviews", "", "r"),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", "", "nr"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", "r"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "", "r"),
    ("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", "", "r"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "nsa"),
    ("batch/v1", "CronJob", "cronjobs", "cj", "nsa"),
    ("batch/v1", "Job", "jobs", "", "nsa"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", "csr", "s"),
    ("coordination.k8s.io/v1", "Lease", "leases", "", "n"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", "", "n"),
    ("events.k8s.io/v1", "Event", "events", "ev", "n"),
    ("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "ns"),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", "", ""),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", "n"),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", "", ""),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "ns"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "", ""),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", "", ""),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", "", "n"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "", "n"),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", ""),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", "", ""),
    ("storage.k8s.io/v1", "CSINode", "csinodes", "", ""),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", "", "n"),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", ""),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", "", "s"),
];

static KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| BUILT_IN.iter().map(|row| Arc::new(built_in(row))).collect());

fn built_in(&(api_version, kind, plural, short, flags): &Row) -> Kind {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short: short.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect(),
        categories: if flags.contains('a') { vec!["all".to_owned()] } else { Vec::new() },
        namespaced: flags.contains('n'),
        status: flags.contains('s'),
        review: flags.contains('r'),
        custom: false,
        // Events are one resource under two groups.
        resource: resource(if group == "events.k8s.io" { "" } else { group }, plural),
    }
}

/// As the store calls it: `pods`, `deployments.apps`.
fn resource(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// Every kind that is served, the core group's first.
pub(super) fn all(store: &Store) -> Vec<Arc<Kind>> {
    let mut kinds = KINDS.clone();
    for definition in store.list("customresourcedefinitions.apiextensions.k8s.io", None) {
        kinds.extend(custom(&definition.value()).into_iter().map(Arc::new));
    }
    kinds
}

/// The kind that is served there.
pub(super) fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
    if let Some(kind) = KINDS.iter().find(|kind| kind.is(group, version) && kind.plural == plural) {
        return Some(Arc::clone(kind));
    }
    let definition = store.get("customresourcedefinitions.apiextensions.k8s.io", "", &resource(group, plural))?;
    custom(&definition.value()).into_iter().find(|kind| kind.version == version).map(Arc::new)
}

/// The kinds that a custom resource definition brings, one a version.
fn custom(definition: &Value) -> Vec<Kind> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let spec = &definition["spec"];
    let names = &spec["names"];
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == Value::Bool(true));
    let kinds = served.map(|version| Kind {
        version: text(&version["name"]),
        kind: text(&names["kind"]),
        singular: names["singular"].as_str().map_or_else(|| text(&names["kind"]).to_lowercase(), ToOwned::to_owned),
        short: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        status: version["subresources"]["status"].is_object(),
        review: false,
        custom: true,
        resource: resource(&group, &plural),
        group: group.clone(),
        plural: plural.clone(),
    });
    kinds.collect()
}
