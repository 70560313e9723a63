//! A cluster whose endpoint only a load balancer says, which comes late.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::journey::Journey;
use crate::journey::Machines;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::LOAD_BALANCER;
use crate::world::MICROVM_CLUSTER;
use crate::world::says;
use crate::world::told;

/// As whoever built on upstream's branch has it.
const OLD: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha1", "ExternalLoadBalancer");

/// The built-in template's objects, without the MicrovmCluster's endpoint.
pub fn apply(journey: &Journey<'_>, control_plane: Machines, workers: Machines, words: &[&str]) {
    let objects = journey.objects(control_plane, workers, words);
    let objects = yaml_serde::Deserializer::from_str(&objects).map(|document| Value::deserialize(document).unwrap());
    let without = |mut object: Value| {
        if object["kind"] == "MicrovmCluster" {
            object["spec"].as_object_mut().unwrap().remove("controlPlaneEndpoint").unwrap();
        }
        object
    };
    let list =
        json!({"apiVersion": "v1", "kind": "List", "items": objects.filter(|object| !object.is_null()).map(without).collect::<Vec<_>>()});
    journey.world().plane.apply(&list.to_string()).ok();
}

fn make(journey: &Journey<'_>, name: &str, host: &str) {
    let metadata = json!({"name": name, "namespace": journey.name});
    let spec = json!({"endpoint": {"host": host}, "clusterName": journey.name});
    journey.world().create(&json!({"apiVersion": OLD.0, "kind": OLD.1, "metadata": metadata, "spec": spec}));
}

pub fn a_load_balancers_endpoint_is_published_before_it_answers(journey: &Journey<'_>) {
    let (world, name) = (journey.world(), journey.name);
    world.wait("it says how to name an endpoint", MICROVM_CLUSTER, name, name, |cluster| {
        says(cluster, "False", "Provisioning", &["set spec.controlPlaneEndpoint", "or make an ExternalLoadBalancer for the Cluster"])
    });
    make(journey, "front", journey.endpoint);
    // Told before the first machine can answer.
    let front = world.wait("it is in use, and does not answer", LOAD_BALANCER, name, "front", |front| {
        told(front, "InUse").0 == "True" && told(front, "LoadBalancerAvailable").1 == "LoadBalancerNotAvailable"
    });
    assert!(says(&front, "False", "LoadBalancerNotAvailable", &["nothing listens at"]), "{front:#}");
    let endpoint = json!({"host": journey.endpoint, "port": 6443});
    world.wait("it has the endpoint", MICROVM_CLUSTER, name, name, |cluster| cluster["spec"]["controlPlaneEndpoint"] == endpoint);
    let cluster = world.wait("its infrastructure is there", CLUSTER, name, name, |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true && cluster["spec"]["controlPlaneEndpoint"] == endpoint
    });
    let front = world.get(LOAD_BALANCER, name, "front");
    let owner = json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": name, "uid": cluster["metadata"]["uid"]});
    assert_eq!(front["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(front["metadata"]["labels"], json!({"cluster.x-k8s.io/cluster-name": name}));

    make(journey, "spare", "127.201.17.2");
    world.wait("it hears that it is too late", LOAD_BALANCER, name, "spare", |spare| {
        says(spare, "False", "OlderLoadBalancer", &["ExternalLoadBalancer front is older"])
    });
    journey.said("a load balancer's endpoint is published");
}

pub fn a_load_balancer_that_answers_is_ready(journey: &Journey<'_>) {
    let (world, name) = (journey.world(), journey.name);
    world.wait("it answers", LOAD_BALANCER, name, "front", |front| {
        says(front, "True", "Ready", &[]) && told(front, "LoadBalancerAvailable").0 == "True"
    });
    assert_eq!(world.get(OLD, name, "front")["status"]["ready"], true);
}

pub fn load_balancers_go_with_their_cluster(journey: &Journey<'_>) {
    for balancer in ["front", "spare"] {
        journey.world().wait("is gone", LOAD_BALANCER, journey.name, balancer, Value::is_null);
    }
}
