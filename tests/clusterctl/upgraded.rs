//! From nothing to upstream's release to this one.

use std::time::Duration;

use capstead_flintlock::types::Kernel;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::Volume;
use capstead_lab::flintlock::Options;
use serde_json::Value;
use serde_json::json;

use crate::CLUSTER_API;
use crate::repository::BEFORE;
use crate::repository::RELEASE;
use crate::repository::Repository;
use crate::support::TestPlane;
use crate::support::within;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::condition;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::quick;

const OLD: &str = "infrastructure.cluster.x-k8s.io/v1alpha1";
const DEPLOYMENT: Kind = Kind("apps/v1", "Deployment");
const SYSTEM: &str = "capmvm-system";
const MANAGER: &str = "capmvm-controller-manager";

/// What the cluster's administrator is shown of it.
fn deployment(world: &World) -> Value {
    world.get(DEPLOYMENT, SYSTEM, MANAGER)
}

/// A process of the plane for each Deployment that clusterctl made.
fn components(plane: &TestPlane) -> Vec<String> {
    let status = plane.status();
    let names = status["components"].as_array().unwrap().iter().map(|component| component["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.ends_with("-controller-manager") && !name.starts_with("kube-")).collect()
}

#[test]
fn clusterctl_brings_a_plane_up_upgrades_it_and_takes_it_down() {
    let plane = TestPlane::new("clusterctl");
    let world = World::of(plane, &["--ephemeral", "--deployments", "--without", CLUSTER_API]);
    let repository = Repository::with_cluster_api(&world.plane);
    let clusterctl = |words: &[&str]| repository.clusterctl(&world.plane, words).run().ok();

    // Upstream's release: Cluster API's Deployments become processes; that of an unknown image does not, and says so.
    clusterctl(&["init", "--infrastructure", &format!("microvm:{BEFORE}")]);
    let kubeadm = ["capi-kubeadm-bootstrap", "capi-kubeadm-control-plane"].map(|name| format!("{name}-controller-manager"));
    let core = ["capi-controller-manager".to_owned(), kubeadm[0].clone(), kubeadm[1].clone()];
    within(PATIENCE, "Cluster API's Deployments are available", || {
        let namespaces = ["capi-system", "capi-kubeadm-bootstrap-system", "capi-kubeadm-control-plane-system"];
        let all: Vec<Value> = namespaces.iter().zip(&core).map(|(namespace, name)| world.get(DEPLOYMENT, namespace, name)).collect();
        let is = |deployment: &Value| condition(deployment, "Available")["status"] == "True" && deployment["status"]["readyReplicas"] == 1;
        if all.iter().all(is) { Ok(()) } else { Err(format!("{all:#?}")) }
    });
    let told = within(PATIENCE, "the Deployment that is not run says so", || {
        let deployment = deployment(&world);
        let told = condition(&deployment, "Progressing").clone();
        if told["reason"] == "NotRun" { Ok(told) } else { Err(format!("{deployment:#}")) }
    });
    assert!(told["message"].as_str().unwrap().contains("cluster-api-provider-microvm:v0.10.1"), "{told}");
    assert_eq!(components(&world.plane), core);
    let certificate = world.get(Kind("cert-manager.io/v1", "Certificate"), "capi-system", "capi-serving-cert");
    assert_eq!(condition(&certificate, "Ready")["status"], "True");
    let secret = world.get(Kind("v1", "Secret"), "capi-system", "capi-webhook-service-cert");
    assert!(["ca.crt", "tls.crt", "tls.key"].iter().all(|key| secret["data"][key].is_string()), "{secret:#}");

    // A machine as upstream's manager left it.
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let host = &simulator.hosts()[0];
    let uid = host.put(microvm()).unwrap().spec.unwrap().uid().to_owned();
    let id = format!("microvm://{}/{uid}", host.address());
    for object in machine(&simulator.addresses()[0], &id) {
        world.create(&object);
    }

    // Another release in its place: the definitions change, the process comes, objects are stored anew.
    clusterctl(&["upgrade", "apply", "--infrastructure", &format!("{SYSTEM}/microvm:{RELEASE}"), "--wait-providers"]);
    assert_eq!(deployment(&world)["status"]["readyReplicas"], 1);
    let ready = world.wait("is taken over", MICROVM_MACHINE, "team", "old", is_ready);
    assert_eq!(ready["spec"]["providerID"], id.as_str());
    let uids: Vec<String> = microvms(&simulator).iter().map(|(_, microvm)| microvm.spec.as_ref().unwrap().uid().to_owned()).collect();
    assert_eq!(uids, [uid], "no other was made");
    within(PATIENCE, "everything is stored in the new version", || {
        let crds = world.plane.get(&["crd", "-l", "cluster.x-k8s.io/provider=infrastructure-microvm"]);
        let stored: Vec<&Value> = crds["items"].as_array().unwrap().iter().map(|crd| &crd["status"]["storedVersions"]).collect();
        if stored == [&json!(["v1alpha2"]); 5] { Ok(()) } else { Err(format!("{stored:?}")) }
    });
    // Its webhooks are asked.
    let placement = json!({"staticPool": {"hosts": [{"endpoint": "no address", "controlplaneAllowed": true}]}});
    let refused = world.try_create(&json!({
        "apiVersion": MICROVM_CLUSTER.0, "kind": MICROVM_CLUSTER.1, "metadata": {"name": "wrong", "namespace": "team"},
        "spec": {"placement": placement},
    }));
    assert!(refused.as_ref().is_err_and(|error| error.contains("must be HOST:PORT")), "{refused:?}");
    // It leads, by its Lease.
    let leases = world.plane.get(&["leases", "-n", SYSTEM]);
    assert_eq!(leases["items"].as_array().map(Vec::len), Some(1), "{leases:#}");
    let planned = clusterctl(&["upgrade", "plan"]);
    assert!(planned.contains("infrastructure-microvm") && !planned.contains("upgrade apply"), "{planned}");

    // What was installed survives the plane's own end.
    let before = components(&world.plane);
    world.plane.down();
    world.plane.up();
    assert_eq!(components(&world.plane), before);
    world.wait("is ready again", MICROVM_MACHINE, "team", "old", is_ready);

    world.delete(CLUSTER, "team", "one");
    world.wait("is gone", CLUSTER, "team", "one", Value::is_null);
    assert_eq!(microvms(&simulator).len(), 0);
    clusterctl(&["delete", "--infrastructure", "microvm"]);
    within(Duration::from_secs(30), "its process goes with its Deployment", || {
        let left = components(&world.plane);
        if left == core { Ok(()) } else { Err(format!("{left:?}")) }
    });
    // Definitions stay, and call a Service again, so another release can be installed over them.
    within(Duration::from_secs(30), "the definitions are as they were", || {
        let crd = world.plane.get(&["crd", "microvmmachines.infrastructure.cluster.x-k8s.io"]);
        let config = &crd["spec"]["conversion"]["webhook"]["clientConfig"];
        if config["url"].is_null() && config["service"]["namespace"] == SYSTEM { Ok(()) } else { Err(format!("{config:#}")) }
    });
    clusterctl(&["init", "--infrastructure", &format!("microvm:{RELEASE}"), "--wait-providers"]);
    assert!(components(&world.plane).contains(&MANAGER.to_owned()));
}

/// As upstream's manager asks for it: without a token.
fn microvm() -> MicroVmSpec {
    MicroVmSpec {
        id: "old".into(),
        namespace: "team".into(),
        vcpu: 2,
        memory_in_mb: 2048,
        kernel: Some(Kernel { image: "example.com/kernel:6.1".into(), filename: Some("boot/vmlinux".into()), ..Kernel::default() }),
        root_volume: Some(Volume { id: "root".into(), ..Volume::default() }),
        interfaces: vec![NetworkInterface { device_id: "eth1".into(), r#type: 1, ..NetworkInterface::default() }],
        ..MicroVmSpec::default()
    }
}

/// Objects of a cluster with one machine, in the versions of then.
fn machine(host: &str, id: &str) -> Vec<Value> {
    let labels = json!({"cluster.x-k8s.io/cluster-name": "one"});
    let object = |version: &str, kind: &str, name: &str, spec: Value| {
        let finalizers = if kind == "MicrovmMachine" { json!(["microvmmachine.infrastructure.cluster.x-k8s.io"]) } else { json!([]) };
        let metadata = json!({"name": name, "namespace": "team", "labels": labels, "finalizers": finalizers});
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let reference = |kind: &str, name: &str| json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": kind, "name": name});
    let placement = json!({"staticPool": {"hosts": [{"endpoint": host, "controlplaneAllowed": true}]}});
    let endpoint = json!({"host": "127.0.0.1", "port": 6443});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}),
        object(OLD, "MicrovmCluster", "one", json!({"controlPlaneEndpoint": endpoint, "placement": placement})),
        object(CLUSTER.0, CLUSTER.1, "one", json!({"infrastructureRef": reference("MicrovmCluster", "one")})),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret", "metadata": {"name": "old", "namespace": "team"},
            "stringData": {"value": "#cloud-config\n"},
        }),
        object(
            OLD,
            "MicrovmMachine",
            "old",
            json!({
                "vcpu": 2,
                "memoryMb": 2048,
                "rootVolume": {"id": "root", "image": "example.com/node:v1.36.3"},
                "kernel": {"image": "example.com/kernel:6.1", "filename": "boot/vmlinux"},
                "networkInterfaces": [{"guestDeviceName": "eth1", "type": "tap"}],
                "providerID": id,
            }),
        ),
        object(
            MACHINE.0,
            MACHINE.1,
            "old",
            json!({
                "clusterName": "one", "bootstrap": {"dataSecretName": "old"}, "infrastructureRef": reference("MicrovmMachine", "old"),
            }),
        ),
    ]
}
