//! Another version of Kubernetes, as a user without a ClusterClass brings it: new templates with the new image, then the control plane, then the workers.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::journey::DEPLOYMENT;
use crate::journey::Journey;
use crate::journey::KCP;
use crate::journey::Machines;
use crate::journey::NEW;
use crate::journey::OLD;
use crate::journey::Stage;
use crate::journey::TEMPLATE;
use crate::world::MICROVM_MACHINE;

/// A CoreDNS newer than the one that kubeadm installs.
const DNS: &str = "v1.14.3";

/// Makes of a template, and of the version before, the one of the version after; returns its name.
fn successor(journey: &Journey<'_>, name: &str) -> String {
    let old = journey.world().get(TEMPLATE, journey.name, name);
    let successor = format!("{name}-{}", NEW.replace('.', "-"));
    let mut spec = old["spec"].clone();
    let image = &mut spec["template"]["spec"]["rootVolume"]["image"];
    let (repository, tag) = image.as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(tag, &OLD[1..]);
    *image = format!("{repository}:{}", &NEW[1..]).into();
    let metadata = json!({"name": successor, "namespace": journey.name});
    journey.world().create(&json!({"apiVersion": TEMPLATE.0, "kind": TEMPLATE.1, "metadata": metadata, "spec": spec}));
    successor
}

/// The template that each microVM is made of.
fn origins(journey: &Journey<'_>) -> BTreeSet<String> {
    let origin = |machine: &Value| machine["metadata"]["annotations"]["cluster.x-k8s.io/cloned-from-name"].as_str().unwrap().to_owned();
    journey.world().list(MICROVM_MACHINE, journey.name).iter().map(origin).collect()
}

pub fn a_cluster_is_upgraded(stage: &Stage) {
    let journey = Journey::begin(stage, "upgraded", "127.201.18.1");
    let (control_plane, workers) = (|version| Machines::new(3, version), |version| Machines::new(2, version));
    journey.apply(control_plane(OLD), workers(OLD), &[]);
    journey.available(control_plane(OLD), workers(OLD));

    let of_control_plane = successor(&journey, "upgraded-control-plane");
    let reference = json!({"spec": {"infrastructureRef": {"name": of_control_plane}}});
    let configuration = json!({"clusterConfiguration": {"dns": {"imageTag": DNS}}});
    journey.merge(KCP, &json!({"spec": {"version": NEW, "machineTemplate": reference, "kubeadmConfigSpec": configuration}}));
    journey.available(control_plane(NEW), workers(OLD));
    journey.addons(NEW, DNS);

    let of_workers = successor(&journey, "upgraded-md-0");
    let template = json!({"spec": {"version": NEW, "infrastructureRef": {"name": of_workers}}});
    journey.merge(DEPLOYMENT, &json!({"spec": {"template": template}}));
    journey.available(control_plane(NEW), workers(NEW));
    journey.addons(NEW, DNS);
    assert_eq!(origins(&journey), BTreeSet::from([of_control_plane, of_workers]));
    journey.end();
}
