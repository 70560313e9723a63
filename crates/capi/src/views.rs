//! Views of core's own kinds (groups `cluster.x-k8s.io` and `ipam.cluster.x-k8s.io`, version `v1beta2`).
//!
//! A view types the fields a provider reads and keeps all others in `rest`, so writing back what was read loses nothing. An absent field and
//! an empty list, map or object count as the same; the small closed shapes (condition, endpoint, failure domain, address, label selector)
//! have the fields they have. Views implement [`kube::Resource`], so `kube::Api<Cluster>` works.

mod cluster;
mod cluster_class;
mod ipam;
mod machine;
mod machine_sets;
mod object;
mod references;

pub use cluster::{Cluster, ClusterClassRef, ClusterInitialization, ClusterNetwork, ClusterSpec, ClusterStatus, NetworkRanges, Topology};
pub use cluster_class::{ClassTemplate, ClusterClass, ClusterClassSpec, ControlPlaneClass, WorkerClass, WorkersClass};
pub use ipam::{IpAddress, IpAddressClaim, IpAddressClaimSpec, IpAddressClaimStatus, IpAddressSpec};
pub use machine::{Bootstrap, Machine, MachineDeletion, MachineInitialization, MachineSpec, MachineStatus, MachineTaint};
pub use machine_sets::{
    HealthCheckRemediation, MachineDeployment, MachineDeploymentSpec, MachineHealthCheck, MachineHealthCheckSpec, MachinePool,
    MachinePoolSpec, MachinePoolStatus, MachineSet, MachineSetSpec, MachineTemplate, ReplicaStatus,
};
pub use object::{CoreObject, CoreSpec, Rest};
pub use references::{NameReference, ObjectReference, VersionedReference};

#[cfg(test)]
mod tests;
