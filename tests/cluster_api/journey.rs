//! All steps, in an order in which later ones find what they need.

use super::clusters;
use super::contract;
use crate::support::TestPlane;

pub fn all(plane: &TestPlane) {
    contract::crds_are_labelled(plane);
    contract::providers_are_in_clusterctls_inventory(plane);
    contract::managers_act_under_their_own_roles(plane);
    clusters::a_cluster_without_infrastructure_gets_its_conditions(plane);
    plane.apply(include_str!("provider.yaml")).ok();
    clusters::a_cluster_with_infrastructure_is_provisioned(plane);
    clusters::versions_are_converted(plane);
    clusters::admission_refuses_and_fills_in(plane);
    clusters::what_is_owned_goes_with_its_owner(plane);
    contract::clusterctl_works(plane);
    contract::nothing_was_forbidden(plane);
}
