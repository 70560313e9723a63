//! Every flavor of the templates, judged by the real API server, Cluster API's webhooks and the provider's; with what it brings into clusters.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::world::World;

const FLAVORS: [&str; 7] = ["", "cilium", "flannel", "topology", "v1alpha2", "v1alpha2-cilium", "v1alpha2-flannel"];
const NAMESPACE: &str = "flavors";

fn documents(text: &str) -> Vec<Value> {
    yaml_serde::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|value| !value.is_null())
        .collect()
}

/// As a cluster's own API server would: an unknown or a double field is an error.
fn judged(world: &World, what: &str, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let words = ["kubectl", "-n", NAMESPACE, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    // Every kind's schema is asked for at once; a server that is busy with all the other cases may need a second try.
    let mut ran = world.plane.command(&words).input(&list).run();
    if ran.err.contains("Client.Timeout exceeded") {
        ran = world.plane.command(&words).input(&list).run();
    }
    // A plane runs no pods, so its API server allows none to be privileged. It names all that is wrong, so this is all.
    let but_that = |line: &str| line.ends_with(".securityContext.privileged: Forbidden: disallowed by cluster policy");
    assert!(ran.code == Some(0) || ran.err.lines().all(but_that), "{what}: {}", ran.err);
}

/// What a cluster has and this plane has not: the namespaces that the objects bring along. Only where they would stand differs.
fn moved(objects: Vec<Value>) -> Vec<Value> {
    let here = |mut object: Value| {
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = NAMESPACE.into();
        }
        object
    };
    objects.into_iter().map(here).collect()
}

pub fn every_flavor_is_taken_by_the_servers(world: &World) {
    world.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    for flavor in FLAVORS {
        let variables: [&[&str]; 2] = [
            &[],
            &[
                "--set",
                "VIP_PROVIDER=keepalived",
                "--set",
                "MVM_INTERFACE_TYPE=macvtap",
                "--set",
                "MVM_VOLUMES=[]",
                "--set",
                "MVM_SSH_KEYS=[{user: root, authorizedKeys: [ssh-ed25519 AAAA]}]",
                "--set",
                "FLANNEL_BACKEND=host-gw",
            ],
        ];
        for more in variables {
            let words = ["generate", "cluster", "edge", "-i", "microvm", "-n", NAMESPACE, "--kubernetes-version", "v1.36.3"];
            let set = ["--flavor", flavor, "--set", "CONTROL_PLANE_VIP=10.0.0.5", "--worker-machine-count", "2"];
            let set = if flavor.is_empty() { &set[2..] } else { &set[..] };
            let objects = documents(&world.plane.command(&[&words[..], set, more].concat()).run().ok());
            judged(world, flavor, &objects);
            let addons =
                objects.iter().filter(|object| object["kind"] == "ConfigMap").flat_map(|object| object["data"].as_object().unwrap());
            for (name, manifest) in addons {
                let manifest = documents(manifest.as_str().unwrap());
                assert!(manifest.len() > 5, "{flavor}: {name}");
                judged(world, &format!("{flavor}: {name}"), &moved(manifest));
            }
        }
    }
    kube_vip(world);
}

/// The static pod, as kubelet shows it to the API server.
fn kube_vip(world: &World) {
    let words = ["generate", "cluster", "edge", "-i", "microvm", "--kubernetes-version", "v1.36.3", "--set", "CONTROL_PLANE_VIP=10.0.0.5"];
    let objects = documents(&world.plane.command(&words).run().ok());
    let control_plane = objects.iter().find(|object| object["kind"] == "KubeadmControlPlane").unwrap();
    let files = control_plane["spec"]["kubeadmConfigSpec"]["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"] == "/etc/capstead/vip/kube-vip.yaml").unwrap();
    let mut pod: Value = yaml_serde::from_str(file["content"].as_str().unwrap()).unwrap();
    // What makes a pod the mirror of a static one, for which no service account is asked.
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "0123"});
    pod["spec"]["nodeName"] = "node".into();
    judged(world, "kube-vip", &moved(vec![pod]));
}
