//! Well-known labels, annotations and names, and the questions a provider asks of an object's metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use crate::views::Cluster;

/// Core's API group.
pub const GROUP: &str = "cluster.x-k8s.io";
/// The group of IP address claims and addresses.
pub const IPAM_GROUP: &str = "ipam.cluster.x-k8s.io";
/// The version of both groups these views read: storage version of core since v1.11.
pub const VERSION: &str = "v1beta2";
/// The API group most infrastructure providers share; core's own ClusterRole covers it.
pub const INFRASTRUCTURE_GROUP: &str = "infrastructure.cluster.x-k8s.io";

/// Labels.
pub mod label {
    /// The cluster an object belongs to; core sets it on every object it makes.
    pub const CLUSTER_NAME: &str = "cluster.x-k8s.io/cluster-name";
    /// On control plane Machines, with any value.
    pub const CONTROL_PLANE: &str = "cluster.x-k8s.io/control-plane";
    /// The MachineSet of a Machine.
    pub const MACHINE_SET_NAME: &str = "cluster.x-k8s.io/set-name";
    /// The MachineDeployment of a Machine.
    pub const MACHINE_DEPLOYMENT_NAME: &str = "cluster.x-k8s.io/deployment-name";
    /// The MachinePool of a Machine or InfraMachine.
    pub const MACHINE_POOL_NAME: &str = "cluster.x-k8s.io/pool-name";
    /// Limits a manager started with `--watch-filter` to objects that carry its value.
    pub const WATCH_FILTER: &str = "cluster.x-k8s.io/watch-filter";
    /// On objects made from a ClusterClass.
    pub const TOPOLOGY_OWNED: &str = "topology.cluster.x-k8s.io/owned";
    /// On Nodes whose InfraMachine reports `status.interruptible`.
    pub const INTERRUPTIBLE: &str = "cluster.x-k8s.io/interruptible";
    /// The provider an object of a components file belongs to, such as `infrastructure-metal3`.
    pub const PROVIDER: &str = "cluster.x-k8s.io/provider";
    /// On CRDs clusterctl discovers when it moves objects.
    pub const CLUSTERCTL: &str = "clusterctl.cluster.x-k8s.io";
    /// Moves the object with its cluster.
    pub const CLUSTERCTL_MOVE: &str = "clusterctl.cluster.x-k8s.io/move";
    /// Moves the object and everything it owns with its cluster.
    pub const CLUSTERCTL_MOVE_HIERARCHY: &str = "clusterctl.cluster.x-k8s.io/move-hierarchy";
    /// On ClusterRoles that are merged into the core manager's role; needed by providers with an API group of their own.
    pub const AGGREGATE_TO_MANAGER: &str = "cluster.x-k8s.io/aggregate-to-manager";
    /// The same for the kubeadm control plane manager, which makes InfraMachines itself.
    pub const AGGREGATE_TO_KUBEADM_CONTROL_PLANE_MANAGER: &str = "kubeadm.controlplane.cluster.x-k8s.io/aggregate-to-manager";
}

/// Annotations.
pub mod annotation {
    /// Pauses the object, with any value.
    pub const PAUSED: &str = "cluster.x-k8s.io/paused";
    /// On an InfraCluster that another system manages: the provider neither acts nor writes status. An annotation, although the contract page says label in places.
    pub const MANAGED_BY: &str = "cluster.x-k8s.io/managed-by";
    /// The name of the template an InfraMachine was cloned from.
    pub const CLONED_FROM_NAME: &str = "cluster.x-k8s.io/cloned-from-name";
    /// Kind and group (`Kind.group`) of the template an InfraMachine was cloned from.
    pub const CLONED_FROM_GROUP_KIND: &str = "cluster.x-k8s.io/cloned-from-groupkind";
    /// On the object of a dry run by the topology controller; template webhooks then let changes through.
    pub const TOPOLOGY_DRY_RUN: &str = "topology.cluster.x-k8s.io/dry-run";
    /// Keeps a MachineHealthCheck away from a Machine.
    pub const SKIP_REMEDIATION: &str = "cluster.x-k8s.io/skip-remediation";
    /// Makes a MachineHealthCheck treat a Machine as unhealthy.
    pub const REMEDIATE_MACHINE: &str = "cluster.x-k8s.io/remediate-machine";
    /// Names who decides a MachinePool's replicas.
    pub const REPLICAS_MANAGED_BY: &str = "cluster.x-k8s.io/replicas-managed-by";
    /// On a Machine and its InfraMachine while an in-place update runs. An internal name of core that may change.
    pub const UPDATE_IN_PROGRESS: &str = "in-place-updates.internal.cluster.x-k8s.io/update-in-progress";
    /// On Nodes: the cluster's name.
    pub const NODE_CLUSTER_NAME: &str = "cluster.x-k8s.io/cluster-name";
    /// Excuses a CRD that core never refers to from clusterctl's check of CRD names.
    pub const SKIP_CRD_NAME_CHECK: &str = "clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check";
}

/// Finalizers of core. A provider names its own on [`crate::crd::ContractKind::FINALIZER`]; nobody removes another's.
pub mod finalizer {
    /// On Clusters.
    pub const CLUSTER: &str = "cluster.cluster.x-k8s.io";
    /// On Machines.
    pub const MACHINE: &str = "machine.cluster.x-k8s.io";
    /// On MachinePools.
    pub const MACHINE_POOL: &str = "machinepool.cluster.x-k8s.io";
    /// On IPAddresses, set by their provider.
    pub const PROTECT_ADDRESS: &str = "ipam.cluster.x-k8s.io/protect-address";
}

/// Names inside the bootstrap data Secret that `Machine.spec.bootstrap.dataSecretName` refers to.
pub mod bootstrap_secret {
    /// The Secret's type, shared by all Secrets that Cluster API makes.
    pub const TYPE: &str = "cluster.x-k8s.io/secret";
    /// The key of the data.
    pub const VALUE: &str = "value";
    /// The key of the data's format: `cloud-config` or `ignition`; absent means `cloud-config`.
    pub const FORMAT: &str = "format";
}

/// Whether work on `object` is paused: by its cluster or by its own annotation.
///
/// While paused nothing outside is written or deleted and no finalizer goes; only the Paused condition may change.
#[must_use]
pub fn paused(cluster: &Cluster, object: &impl ResourceExt) -> bool {
    cluster.spec.paused == Some(true) || has_paused_annotation(object)
}

/// Whether the object itself carries the paused annotation, with any value.
#[must_use]
pub fn has_paused_annotation(object: &impl ResourceExt) -> bool {
    object.annotations().contains_key(annotation::PAUSED)
}

/// Whether another system manages this InfraCluster; the provider must then neither act on it nor write its status.
#[must_use]
pub fn externally_managed(object: &impl ResourceExt) -> bool {
    object.annotations().contains_key(annotation::MANAGED_BY)
}

/// Whether a manager started with this watch filter handles the object; an empty filter means all objects.
#[must_use]
pub fn matches_watch_filter(object: &impl ResourceExt, filter: &str) -> bool {
    filter.is_empty() || object.labels().get(label::WATCH_FILTER).is_some_and(|value| value == filter)
}

/// The name of the cluster the object is labelled with.
#[must_use]
pub fn cluster_name(object: &impl ResourceExt) -> Option<&str> {
    object.labels().get(label::CLUSTER_NAME).map(String::as_str)
}

/// Whether a Machine (or an object with its labels) is part of the control plane.
#[must_use]
pub fn is_control_plane(object: &impl ResourceExt) -> bool {
    object.labels().contains_key(label::CONTROL_PLANE)
}

/// The template an object was cloned from, as name and `Kind.group`; `None` unless both annotations are there.
#[must_use]
pub fn cloned_from(object: &impl ResourceExt) -> Option<(&str, &str)> {
    let annotations = object.annotations();
    Some((annotations.get(annotation::CLONED_FROM_NAME)?, annotations.get(annotation::CLONED_FROM_GROUP_KIND)?))
}

/// Whether an admission request is a topology dry run: the API server's `dryRun` flag *and* the annotation on the new object.
///
/// Either alone is not enough: users can write the annotation, and others may dry-run.
#[must_use]
pub fn topology_dry_run(request_dry_run: bool, new_object: &impl ResourceExt) -> bool {
    request_dry_run && new_object.annotations().contains_key(annotation::TOPOLOGY_DRY_RUN)
}

/// The owner of this group and kind, whatever its version and whether or not it is the controller.
///
/// Core sets `controller: false` on a Cluster's reference unless a topology is used (since v1.13), so the flag says nothing.
#[must_use]
pub fn owner<'a>(object: &'a impl ResourceExt, group: &str, kind: &str) -> Option<&'a OwnerReference> {
    object
        .owner_references()
        .iter()
        .find(|owner| owner.kind == kind && owner.api_version.split_once('/').map_or("", |(group, _)| group) == group)
}

/// The Cluster that owns an InfraCluster; `None` until core has set itself as owner.
#[must_use]
pub fn owner_cluster(object: &impl ResourceExt) -> Option<&OwnerReference> {
    owner(object, GROUP, "Cluster")
}

/// The Machine that owns an InfraMachine; `None` for the short time a MachineSet or control plane still owns it.
#[must_use]
pub fn owner_machine(object: &impl ResourceExt) -> Option<&OwnerReference> {
    owner(object, GROUP, "Machine")
}

/// Whether the object carries this finalizer.
#[must_use]
pub fn has_finalizer(object: &impl ResourceExt, finalizer: &str) -> bool {
    object.finalizers().iter().any(|known| known == finalizer)
}

#[cfg(test)]
mod tests;
