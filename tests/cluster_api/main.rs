//! What Cluster API does on a plane is what it does anywhere: conditions, conversion, admission, garbage collection, and clusterctl.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod clusters;
mod contract;
mod journey;
#[path = "../support/mod.rs"]
mod support;

#[test]
fn cluster_api_works_as_on_any_cluster() {
    let plane = support::TestPlane::new("capi");
    plane.up();
    if let Some(series) = support::capi_series() {
        for component in ["capi-core", "capi-bootstrap-kubeadm", "capi-control-plane-kubeadm"] {
            let version = plane.component(component)["version"].as_str().unwrap().to_owned();
            assert!(version.starts_with(&format!("v{series}.")), "{component} is {version}");
        }
    }
    journey::all(&plane);
}
