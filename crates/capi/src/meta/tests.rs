use serde_json::{Value, json};

use super::*;
use crate::views::Machine;

fn machine(metadata: Value) -> Machine {
    serde_json::from_value(json!({
        "metadata": metadata,
        "spec": {"clusterName": "c", "bootstrap": {}, "infrastructureRef": {"apiGroup": "g", "kind": "K", "name": "n"}},
    }))
    .unwrap()
}

fn cluster(spec: Value) -> Cluster {
    serde_json::from_value(json!({"metadata": {"name": "c"}, "spec": spec})).unwrap()
}

#[test]
fn paused_by_the_cluster_or_by_the_annotation_with_any_value() {
    let (plain, annotated) = (machine(json!({})), machine(json!({"annotations": {annotation::PAUSED: ""}})));
    for (spec, object, expected) in [
        (json!({}), &plain, false),
        (json!({"paused": false}), &plain, false),
        (json!({"paused": true}), &plain, true),
        (json!({}), &annotated, true),
        (json!({"paused": false}), &annotated, true),
    ] {
        assert_eq!(paused(&cluster(spec.clone()), object), expected, "{spec}");
    }
}

#[test]
fn managed_by_counts_as_annotation_only() {
    let annotated = machine(json!({"annotations": {annotation::MANAGED_BY: "x"}}));
    let labelled = machine(json!({"labels": {annotation::MANAGED_BY: "x"}}));
    assert!(externally_managed(&annotated));
    assert!(!externally_managed(&labelled));
}

#[test]
fn watch_filter_needs_the_exact_value() {
    let object = machine(json!({"labels": {label::WATCH_FILTER: "blue"}}));
    assert!(matches_watch_filter(&object, "blue"));
    assert!(matches_watch_filter(&object, ""));
    assert!(!matches_watch_filter(&object, "green"));
    assert!(!matches_watch_filter(&machine(json!({})), "blue"));
}

#[test]
fn the_owner_is_found_by_group_and_kind_and_never_by_the_controller_flag() {
    let object = machine(json!({"ownerReferences": [
        {"apiVersion": "other.io/v1", "kind": "Machine", "name": "foreign", "uid": "1", "controller": true},
        {"apiVersion": "cluster.x-k8s.io/v1beta9", "kind": "Machine", "name": "right", "uid": "2", "controller": false},
        {"apiVersion": "v1", "kind": "Machine", "name": "core-group", "uid": "3"},
    ]}));
    assert_eq!(owner_machine(&object).map(|owner| owner.name.as_str()), Some("right"));
    assert_eq!(owner_cluster(&object), None);
    assert_eq!(owner(&object, "", "Machine").map(|owner| owner.name.as_str()), Some("core-group"));
}

#[test]
fn a_topology_dry_run_needs_both_the_request_and_the_annotation() {
    let annotated = machine(json!({"annotations": {annotation::TOPOLOGY_DRY_RUN: ""}}));
    assert!(topology_dry_run(true, &annotated));
    assert!(!topology_dry_run(false, &annotated));
    assert!(!topology_dry_run(true, &machine(json!({}))));
}

#[test]
fn cluster_control_plane_and_template_are_read_from_metadata() {
    let object = machine(json!({
        "labels": {label::CLUSTER_NAME: "c", label::CONTROL_PLANE: ""},
        "annotations": {annotation::CLONED_FROM_NAME: "t", annotation::CLONED_FROM_GROUP_KIND: "FooMachineTemplate.g"},
    }));
    assert_eq!(cluster_name(&object), Some("c"));
    assert!(is_control_plane(&object));
    assert_eq!(cloned_from(&object), Some(("t", "FooMachineTemplate.g")));
    let half = machine(json!({"annotations": {annotation::CLONED_FROM_NAME: "t"}}));
    assert_eq!(cloned_from(&half), None);
}
