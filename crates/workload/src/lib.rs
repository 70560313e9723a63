//! Simulated workload clusters: machines that read their bootstrap data as real nodes do, and the Kubernetes API and etcd that come to life with them.
//!
//! Nothing here knows what kind of machine it is, or who made it.

pub mod api;
pub mod authority;
pub mod cluster;
pub mod etcd;
pub mod fault;
pub mod guest;
mod number;
pub mod store;
pub mod tunnel;
pub mod workloads;
