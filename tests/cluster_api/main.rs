//! What Cluster API does on a plane is what it does anywhere: conditions, conversion, admission, garbage collection, and clusterctl.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod clusters;
mod contract;
#[path = "../support/mod.rs"]
mod support;

use support::TestPlane;

#[test]
fn cluster_api_works_as_on_any_cluster() {
    let plane = TestPlane::new("capi");
    plane.up();
    contract::crds_are_labelled(&plane);
    contract::providers_are_in_clusterctls_inventory(&plane);
    contract::managers_act_under_their_own_roles(&plane);
    clusters::a_cluster_without_infrastructure_gets_its_conditions(&plane);
    plane.apply(include_str!("provider.yaml")).ok();
    clusters::a_cluster_with_infrastructure_is_provisioned(&plane);
    clusters::versions_are_converted(&plane);
    clusters::admission_refuses_and_fills_in(&plane);
    clusters::what_is_owned_goes_with_its_owner(&plane);
    contract::clusterctl_works(&plane);
    contract::nothing_was_forbidden(&plane);
}
