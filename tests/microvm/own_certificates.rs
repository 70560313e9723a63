//! The manager as it runs in a cluster: it makes its own certificates, has the API server trust them, holds a Lease, keeps to its namespace, and sends traces.

use std::net::SocketAddr;

use capstead_lab::flintlock::Options;
use serde_json::Value;
use serde_json::json;

use crate::collector::Collector;
use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::within;
use crate::team::ONE;
use crate::team::Team;
use crate::world::Kind;
use crate::world::MANAGER;
use crate::world::MICROVM_CLUSTER;
use crate::world::PATIENCE;
use crate::world::SECRET;
use crate::world::World;
use crate::world::quick;

const SYSTEM: &str = "capmvm-system";
const SERVICE: &str = "capmvm-webhook-service";
const DEFAULTS: &str = "capmvm-mutating-webhook-configuration";
const WEBHOOKS: &str = "capmvm-validating-webhook-configuration";
const LEASE: Kind = Kind("coordination.k8s.io/v1", "Lease");
const OLD_CLUSTER: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha1", "MicrovmCluster");

/// What is applied to a cluster, less what runs pods.
fn component(plane: &TestPlane, collector: SocketAddr) -> String {
    let objects = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/microvm/infrastructure-components.yaml");
    std::fs::copy(objects, plane.scratch().join("objects.yaml")).unwrap();
    let component = json!({
        "name": MANAGER,
        "title": "As in a cluster",
        "after": ["kube-apiserver"],
        "afterObjectsOf": ["capi-core"],
        "binary": {"name": "capstead", "version": concat!("v", env!("CARGO_PKG_VERSION")), "itself": true},
        "ports": {"webhook": {}, "health": {}},
        "user": {"name": "system:serviceaccount:capmvm-system:capmvm-manager"},
        "args": [
            "manager",
            "--provider=microvm",
            "--kubeconfig=${KUBECONFIG}",
            "--webhook-address=127.0.0.1:${PORT_WEBHOOK}",
            "--health-addr=127.0.0.1:${PORT_HEALTH}",
            "--diagnostics-address=0",
            "--leader-elect",
            "--namespace=mine",
        ],
        "env": {"OTEL_EXPORTER_OTLP_ENDPOINT": format!("http://{collector}"), "OTEL_BSP_SCHEDULE_DELAY": "500"},
        "ready": {"url": "http://127.0.0.1:${PORT_HEALTH}/readyz"},
        "objects": "objects.yaml",
        "webhookPort": "webhook",
        "provider": {"name": "microvm", "type": "InfrastructureProvider", "namespace": SYSTEM},
    });
    let file = plane.scratch().join("component.yaml");
    std::fs::write(&file, component.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The webhooks' Service leads to the manager, as the network of a cluster would have it; the plane had put its own address and certificate in their place.
fn route(world: &World) {
    let (port, _) = world.plane.ports()[&format!("{MANAGER}/webhook")].clone();
    let metadata = json!({"name": SERVICE, "namespace": SYSTEM});
    let spec = json!({"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]});
    world.create(&json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}));
    let through = |path: &str, at: String| {
        let service = json!({"namespace": SYSTEM, "name": SERVICE, "port": port, "path": path});
        json!({"op": "replace", "path": format!("{at}/clientConfig"), "value": {"service": service}})
    };
    let patch = |what: &[&str], patch: Value| {
        world.plane.kubectl(&[&["patch"], what, &["--type=json", "--patch", &patch.to_string()]].concat()).ok();
    };
    let kinds = ["microvmcluster", "microvmmachine", "microvmmachinetemplate", "microvmclustertemplate", "externalloadbalancer"];
    for kind in kinds {
        let crd = format!("{kind}s.infrastructure.cluster.x-k8s.io");
        patch(&["customresourcedefinition", &crd], json!([through("/convert", "/spec/conversion/webhook".into())]));
    }
    for (configuration, name, does, kinds) in [
        ("mutatingwebhookconfiguration", DEFAULTS, "mutate", &kinds[..2]),
        ("validatingwebhookconfiguration", WEBHOOKS, "validate", &kinds[..]),
    ] {
        let path = |kind| format!("/{does}-infrastructure-cluster-x-k8s-io-v1alpha2-{kind}");
        let webhooks = kinds.iter().enumerate().map(|(n, kind)| through(&path(kind), format!("/webhooks/{n}")));
        patch(&[configuration, name], webhooks.collect());
    }
}

/// A wrong object of the old version is converted, and refused, by the manager.
fn refuses(world: &World) {
    let team = Team { world, namespace: "mine" };
    let spec = json!({"placement": {"staticPool": {"hosts": [{"endpoint": "no address", "controlplaneAllowed": true}]}}});
    let wrong = team.object(OLD_CLUSTER, "wrong", &spec);
    within(PATIENCE, "the API server trusts the webhooks", || match world.try_create(&wrong) {
        Err(said) if said.contains("must be HOST:PORT") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn certificate(world: &World) -> Value {
    world.get(SECRET, SYSTEM, "capmvm-webhook-service-cert")["data"].clone()
}

#[test]
fn a_manager_makes_its_own_certificates_and_keeps_to_its_namespace() {
    let plane = TestPlane::new("microvm-own");
    let traces = Collector::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let file = component(&plane, traces.listen());
    let world = World::of(plane, &["--without=capi-bootstrap-kubeadm,capi-control-plane-kubeadm", "--component", &file]);
    route(&world);
    world.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}}));
    refuses(&world);
    let holder = || world.get(LEASE, SYSTEM, "controller-leader-elect-capmvm")["spec"]["holderIdentity"].clone();
    assert!(holder().as_str().is_some_and(|holder| !holder.is_empty()), "{}", holder());

    // Whoever comes next serves with the same certificate.
    let (made, first) = (certificate(&world), holder());
    assert!(made["tls.crt"].is_string() && made["tls.key"].is_string(), "{made}");
    let pid = world.plane.pids()[MANAGER];
    kernel::kill(pid);
    within(PATIENCE, "another manager leads", || if holder() == first { Err(first.to_string()) } else { Ok(()) });
    refuses(&world);
    assert_eq!(certificate(&world), made);

    // Nobody cares for the cluster elsewhere, though it was there first.
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let others = Team::new(&world, "others");
    others.microvm_cluster(&simulator.addresses());
    others.cluster();
    let mine = Team { world: &world, namespace: "mine" };
    mine.microvm_cluster(&simulator.addresses());
    mine.cluster();
    mine.machine("machine");
    mine.ready("machine");
    within(PATIENCE, "what was done is traced", || {
        let all = [("reconcile", "mine/machine"), ("apply", "Make(Create")].map(|(name, value)| traces.heard(MANAGER, name, value));
        if all == [true; 2] { Ok(()) } else { Err(format!("{traces:?}")) }
    });
    let left = world.get(MICROVM_CLUSTER, "others", ONE);
    assert!(left["status"].is_null() && left["metadata"]["finalizers"].is_null(), "{left:#}");
    assert!(left["metadata"]["ownerReferences"].is_array(), "core has seen it: {left:#}");
    mine.clear();
}
