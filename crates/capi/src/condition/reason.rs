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
