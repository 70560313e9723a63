//! Standard condition types, and core's order of them.

/// The object does its work. Core sorts it first.
pub const AVAILABLE: &str = "Available";
/// The summary of an infrastructure object's whole life, deletion included; core mirrors it as the owner's InfrastructureReady.
pub const READY: &str = "Ready";
/// On Machines: the bootstrap config is ready.
pub const BOOTSTRAP_CONFIG_READY: &str = "BootstrapConfigReady";
/// On Clusters, Machines and MachinePools: the infrastructure object is ready.
pub const INFRASTRUCTURE_READY: &str = "InfrastructureReady";
/// On Clusters: the control plane has once taken requests.
pub const CONTROL_PLANE_INITIALIZED: &str = "ControlPlaneInitialized";
/// On Machines: the Node is healthy.
pub const NODE_HEALTHY: &str = "NodeHealthy";
/// On Machines: the Node's own Ready condition.
pub const NODE_READY: &str = "NodeReady";
/// On Machines: the MachineHealthCheck found the machine healthy.
pub const HEALTH_CHECK_SUCCEEDED: &str = "HealthCheckSucceeded";
/// On Machines: the owner replaces the unhealthy machine.
pub const OWNER_REMEDIATED: &str = "OwnerRemediated";
/// On Machines: a provider's remediation handles the unhealthy machine.
pub const EXTERNALLY_REMEDIATED: &str = "ExternallyRemediated";
/// The object and its machines are as the spec wants them.
pub const UP_TO_DATE: &str = "UpToDate";
/// On Machines: an in-place update runs.
pub const UPDATING: &str = "Updating";
/// Machines are being replaced by changed ones.
pub const ROLLING_OUT: &str = "RollingOut";
/// Unhealthy machines are being replaced.
pub const REMEDIATING: &str = "Remediating";
/// Machines are being added.
pub const SCALING_UP: &str = "ScalingUp";
/// Machines are being taken away.
pub const SCALING_DOWN: &str = "ScalingDown";
/// Work on the object is paused.
pub const PAUSED: &str = "Paused";
/// The object is being deleted.
pub const DELETING: &str = "Deleting";

/// The standard types for which False is good.
pub const NEGATIVE: [&str; 7] = [UPDATING, ROLLING_OUT, REMEDIATING, SCALING_UP, SCALING_DOWN, PAUSED, DELETING];

/// Where a type stands in core's order (util/conditions/sort.go).
pub(super) fn rank(type_: &str) -> usize {
    let last = [PAUSED, DELETING];
    if let Some(place) = last.iter().position(|known| *known == type_) {
        return ORDER.len() + 1 + place;
    }
    ORDER.iter().position(|known| *known == type_).unwrap_or(ORDER.len())
}

const ORDER: [&str; 35] = [
    AVAILABLE,
    READY,
    UP_TO_DATE,
    "RemoteConnectionProbe",
    BOOTSTRAP_CONFIG_READY,
    INFRASTRUCTURE_READY,
    CONTROL_PLANE_INITIALIZED,
    "ControlPlaneAvailable",
    "WorkersAvailable",
    "CertificatesAvailable",
    "Initialized",
    "EtcdClusterHealthy",
    "ControlPlaneComponentsHealthy",
    NODE_HEALTHY,
    NODE_READY,
    "NodeKubeadmLabelsAndTaintsSet",
    "EtcdPodHealthy",
    "EtcdMemberHealthy",
    "APIServerPodHealthy",
    "ControllerManagerPodHealthy",
    "SchedulerPodHealthy",
    HEALTH_CHECK_SUCCEEDED,
    OWNER_REMEDIATED,
    "TopologyReconciled",
    UPDATING,
    ROLLING_OUT,
    REMEDIATING,
    SCALING_DOWN,
    SCALING_UP,
    "MachinesReady",
    "ControlPlaneMachinesReady",
    "WorkerMachinesReady",
    "MachinesUpToDate",
    "ControlPlaneMachinesUpToDate",
    "WorkerMachinesUpToDate",
];
