//! A plane under faults: killed processes, taken ports, full disks, damaged files, components that do not run.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod files;
mod kills;
mod ports;
mod soak;
#[path = "../support/mod.rs"]
mod support;

/// Leaves only etcd: the smallest plane there is, up in a second.
const ONLY_ETCD: &str = "--without=kube-apiserver,kube-controller-manager,capi-core,capi-bootstrap-kubeadm,capi-control-plane-kubeadm";

/// Leaves out the Cluster API managers.
const NO_CAPI: &str = "--without=capi-core,capi-bootstrap-kubeadm,capi-control-plane-kubeadm";
