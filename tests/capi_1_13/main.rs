//! The journey of `cluster_api` with the Cluster API series before the newest. It builds that series' binaries where no image can be had, so
//! it runs by itself: `cargo test -p capstead --features nightly --test capi_1_13`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../cluster_api/clusters.rs"]
mod clusters;
#[path = "../cluster_api/contract.rs"]
mod contract;
#[path = "../cluster_api/journey.rs"]
mod journey;
#[path = "../support/mod.rs"]
mod support;

#[test]
fn the_series_before_works_too() {
    let plane = support::TestPlane::new("capi-1-13");
    plane.run(&["up", "--detach", "--capi-version", "1.13"]).ok();
    for component in ["capi-core", "capi-bootstrap-kubeadm", "capi-control-plane-kubeadm"] {
        let version = plane.component(component)["version"].as_str().unwrap().to_owned();
        assert!(version.starts_with("v1.13."), "{component} is {version}");
    }
    journey::all(&plane);
}
