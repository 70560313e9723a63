//! A cluster of a ClusterClass: rebased on another class, then upgraded by one field.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::journey::Journey;
use crate::journey::Machines;
use crate::journey::NEW;
use crate::journey::OLD;
use crate::journey::Stage;
use crate::journey::TEMPLATE;
use crate::support::within;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::name;

const NAME: &str = "classy";
const CLUSTER_TEMPLATE: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmClusterTemplate");

/// The template that an object is made of.
fn origin(object: &Value) -> &str {
    object["metadata"]["annotations"]["cluster.x-k8s.io/cloned-from-name"].as_str().unwrap_or_default()
}

fn uids(journey: &Journey<'_>) -> BTreeSet<String> {
    journey.microvms().into_iter().map(|(uid, _)| uid).collect()
}

/// Changes the workers of the topology.
fn change_workers(journey: &Journey<'_>, change: impl FnOnce(&mut Value)) {
    let mut workers = journey.world().get(CLUSTER, NAME, NAME)["spec"]["topology"]["workers"].take();
    change(&mut workers["machineDeployments"][0]);
    journey.world().merge(CLUSTER, NAME, NAME, &json!({"spec": {"topology": {"workers": workers}}}));
}

fn scale_workers(journey: &Journey<'_>, count: usize) {
    change_workers(journey, |workers| workers["replicas"] = json!(count));
}

/// A label of the topology comes to the MicrovmMachines, and they stay the same.
fn metadata_goes_along_in_place(journey: &Journey<'_>) {
    let before = uids(journey);
    change_workers(journey, |workers| workers["metadata"]["annotations"] = json!({"example.com/note": "in place"}));
    within(crate::journey::PATIENCE, "the workers' MicrovmMachines have the annotation", || {
        let machines = journey.world().list(MICROVM_MACHINE, NAME);
        let noted = machines.iter().filter(|machine| machine["metadata"]["annotations"]["example.com/note"] == "in place").count();
        if noted == 3 { Ok(()) } else { Err(format!("{noted} have")) }
    });
    assert_eq!(uids(journey), before, "no machine is another");
}

pub fn a_cluster_of_a_class_is_rebased_and_upgraded(stage: &Stage) {
    let journey = Journey::begin(stage, NAME, "127.201.19.1");
    let class = |name: &str| format!("CLUSTER_CLASS_NAME={name}");
    let (mut control_plane, mut workers) = (Machines::new(1, OLD), Machines::new(1, OLD));
    journey.apply(control_plane, workers, &["--flavor", "topology", "--set", &class("small")]);
    journey.available(control_plane, workers);
    let microvm_cluster = journey.only(MICROVM_CLUSTER);
    assert_eq!(microvm_cluster["spec"]["controlPlaneEndpoint"], json!({"host": "127.201.19.1", "port": 6443}));
    assert_eq!(microvm_cluster["spec"]["placement"]["staticPool"]["hosts"].as_array().unwrap().len(), 2);
    let wrong = json!({"spec": {"template": {"spec": {"tlsSecretRef": "other"}}}});
    let refused =
        stage.world.plane.kubectl(&["patch", "-n", NAME, "mvmct", "small", "--type=merge", "--patch", &wrong.to_string()]).fails(1);
    assert!(refused.contains("spec.template.spec: is immutable"), "{refused}");

    // The same with another class, applied, is a rebase. It replaces nothing where the templates are alike.
    let before = uids(&journey);
    journey.apply(control_plane, workers, &["--flavor", "topology", "--set", &class("alike")]);
    journey.available(control_plane, workers);
    assert_eq!((origin(&journey.only(MICROVM_CLUSTER)), uids(&journey)), ("alike", before.clone()));

    (control_plane.memory, workers.memory) = (3072, 4096);
    journey.apply(control_plane, workers, &["--flavor", "topology", "--set", &class("large")]);
    journey.available(control_plane, workers);
    assert!(uids(&journey).is_disjoint(&before), "all machines are others");
    let rebased = journey.only(MICROVM_CLUSTER);
    assert_eq!(rebased["metadata"]["uid"], microvm_cluster["metadata"]["uid"], "the cluster's infrastructure stays");
    assert_eq!(origin(&rebased), "large");

    journey.world().merge(CLUSTER, NAME, NAME, &json!({"spec": {"topology": {"version": NEW}}}));
    (control_plane.version, workers.version) = (NEW, NEW);
    journey.available(control_plane, workers);
    crate::contract::the_provider_keeps_every_rule_of_the_contract(&journey);
    for count in [3, 1, 3] {
        workers.count = count;
        scale_workers(&journey, count);
        journey.available(control_plane, workers);
    }
    metadata_goes_along_in_place(&journey);

    journey.end();
    within(crate::journey::PATIENCE, "only the classes' templates are left", || {
        let mut left: Vec<Value> = journey.world().list(TEMPLATE, NAME);
        left.extend(journey.world().list(CLUSTER_TEMPLATE, NAME));
        let mut left: Vec<&str> = left.iter().map(name).collect();
        left.sort_unstable();
        let of_class = |class| ["", "-control-plane", "-worker"].map(|part| format!("{class}{part}"));
        if left == ["alike", "large", "small"].map(of_class).concat() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}
