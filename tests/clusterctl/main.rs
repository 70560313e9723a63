//! The real clusterctl on planes: `init` and `upgrade` from a local repository, whose Deployments run as processes, and `move` there and back.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod moved;
mod repository;
#[path = "../support/mod.rs"]
mod support;
mod upgraded;
#[allow(dead_code, reason = "other journeys use all of it")]
#[path = "../microvm/world.rs"]
mod world;

/// Components that `init` brings in another's place.
const CLUSTER_API: &str = "capi-core,capi-bootstrap-kubeadm,capi-control-plane-kubeadm";
