//! Standard reasons.

/// Available is True.
pub const AVAILABLE: &str = "Available";
/// Available is False.
pub const NOT_AVAILABLE: &str = "NotAvailable";
/// Available is Unknown.
pub const AVAILABLE_UNKNOWN: &str = "AvailableUnknown";
/// Ready is True.
pub const READY: &str = "Ready";
/// Ready is False.
pub const NOT_READY: &str = "NotReady";
/// Ready is Unknown.
pub const READY_UNKNOWN: &str = "ReadyUnknown";
/// Paused is True.
pub const PAUSED: &str = "Paused";
/// Paused is False.
pub const NOT_PAUSED: &str = "NotPaused";
/// Deleting is True, with no better reason.
pub const DELETING: &str = "Deleting";
/// Deleting is False.
pub const NOT_DELETING: &str = "NotDeleting";
/// Deletion is done; only other controllers' finalizers remain.
pub const DELETION_COMPLETED: &str = "DeletionCompleted";
/// An InfraMachine waits for `Cluster.status.initialization.infrastructureProvisioned`.
pub const WAITING_FOR_CLUSTER_INFRASTRUCTURE_READY: &str = "WaitingForClusterInfrastructureReady";
/// An InfraMachine waits for the control plane to take requests.
pub const WAITING_FOR_CONTROL_PLANE_INITIALIZED: &str = "WaitingForControlPlaneInitialized";
/// An InfraMachine waits for `Machine.spec.bootstrap.dataSecretName`.
pub const WAITING_FOR_BOOTSTRAP_DATA: &str = "WaitingForBootstrapData";
/// The controller failed in a way its log explains.
pub const INTERNAL_ERROR: &str = "InternalError";
/// The object a reference names does not exist.
pub const OBJECT_DOES_NOT_EXIST: &str = "ObjectDoesNotExist";
/// A foreign object's condition could not be read.
pub const INVALID_CONDITION_REPORTED: &str = "InvalidConditionReported";
/// A condition that is awaited was not reported yet.
pub const NOT_YET_REPORTED: &str = "NotYetReported";
/// A condition came without reason.
pub const NO_REASON_REPORTED: &str = "NoReasonReported";
/// A summary of another type than Ready and Available found issues.
pub const ISSUES_REPORTED: &str = "IssuesReported";
/// A summary of another type than Ready and Available found unknown conditions only.
pub const UNKNOWN_REPORTED: &str = "UnknownReported";
/// A summary of another type than Ready and Available found all well.
pub const INFO_REPORTED: &str = "InfoReported";
/// An InfraCluster or InfraMachine waits for its Cluster.
pub const WAITING_FOR_CLUSTER: &str = "WaitingForCluster";
/// An InfraMachine waits for its Machine.
pub const WAITING_FOR_MACHINE: &str = "WaitingForMachine";
/// The bootstrap data Secret has no key `value`, or nothing under it.
pub const INVALID_BOOTSTRAP_DATA: &str = "InvalidBootstrapData";
/// The infrastructure is being made.
pub const PROVISIONING: &str = "Provisioning";
/// The last try to change something outside failed; another follows.
pub const PROVISIONING_FAILED: &str = "ProvisioningFailed";
/// A machine that had its provider id is there no more. It is not made again: its owner decides.
pub const MACHINE_VANISHED: &str = "MachineVanished";
/// A machine failed for good. It is not made again: its owner decides.
pub const MACHINE_FAILED: &str = "MachineFailed";
/// The machine that carries the object's token has another provider id than the object.
pub const PROVIDER_ID_MISMATCH: &str = "ProviderIDMismatch";
/// An InfraCluster that is deleted waits for its InfraMachines, which need it.
pub const WAITING_FOR_MACHINES: &str = "WaitingForMachines";
/// The last try to take something away failed; another follows.
pub const DELETION_FAILED: &str = "DeletionFailed";
