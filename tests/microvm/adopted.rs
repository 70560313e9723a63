//! What upstream's manager made is taken over, and objects that its definitions stored are stored anew.

use capstead_flintlock::types::Kernel;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::Volume;
use capstead_lab::flintlock::Options;
use serde_json::Value;
use serde_json::json;

use crate::support::kernel;
use crate::support::within;
use crate::team::Team;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::MANAGER;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::microvms;
use crate::world::quick;

const OLD: &str = "infrastructure.cluster.x-k8s.io/v1alpha1";

/// As upstream's manager asks for it: without a token.
fn upstreams(namespace: &str, name: &str) -> MicroVmSpec {
    MicroVmSpec {
        id: name.to_owned(),
        namespace: namespace.to_owned(),
        vcpu: 2,
        memory_in_mb: 2048,
        kernel: Some(Kernel { image: "example.com/kernel:6.1".into(), filename: Some("boot/vmlinux".into()), ..Kernel::default() }),
        root_volume: Some(Volume { id: "root".into(), ..Volume::default() }),
        interfaces: vec![NetworkInterface { device_id: "eth1".into(), r#type: 1, ..NetworkInterface::default() }],
        ..MicroVmSpec::default()
    }
}

/// A machine as upstream's manager left it, and beside its microVM one of the same name that is another's.
pub fn what_upstreams_manager_made_is_taken_over(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let team = Team::with_cluster(world, "adopted", &simulator);
    let host = &simulator.hosts()[0];
    let own = host.put(upstreams("adopted", "old")).unwrap();
    let other = host.put(upstreams("adopted", "old")).unwrap();
    let id = format!("microvm://{}/{}", host.address(), own.spec.as_ref().unwrap().uid());
    let mut machine = team.microvm_machine("old");
    machine["apiVersion"] = json!(OLD);
    machine["spec"]["providerID"] = json!(id);
    machine["metadata"]["finalizers"] = json!(["microvmmachine.infrastructure.cluster.x-k8s.io"]);
    team.secret("old", &json!({"value": "#cloud-config\n"}));
    world.create(&machine);
    world.create(&team.core_machine("old"));
    let ready = team.ready("old");
    assert_eq!(ready["spec"]["providerID"], id.as_str());
    assert_eq!(microvms(&simulator).len(), 2, "no other was made");

    // Who it is stays.
    let another = json!({"spec": {"providerID": format!("{id}0")}}).to_string();
    let refused = world.plane.kubectl(&["patch", "-n", "adopted", "mvmm", "old", "--type=merge", "--patch", &another]).fails(1);
    assert!(refused.contains("is immutable once it is set"), "{refused}");

    world.delete(MACHINE, "adopted", "old");
    team.wait(MICROVM_MACHINE, "old", "gone", Value::is_null);
    within(PATIENCE, "its microVM went with it, and no other", || {
        let left: Vec<_> = microvms(&simulator).into_iter().map(|(_, microvm)| microvm).collect();
        if left == [other.clone()] { Ok(()) } else { Err(format!("{left:#?}")) }
    });
    team.clear();
}

/// Makes a version of the definition the one that is stored.
fn store_as(world: &World, crd: &str, version: &str) {
    let versions = world.plane.get(&["crd", crd])["spec"]["versions"].as_array().unwrap().clone();
    let patch: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(at, known)| json!({"op": "replace", "path": format!("/spec/versions/{at}/storage"), "value": known["name"] == version}))
        .collect();
    world.plane.kubectl(&["patch", "crd", crd, "--type=json", "--patch", &Value::from(patch).to_string()]).ok();
}

fn stored(world: &World, crd: &str) -> Value {
    world.plane.get(&["crd", crd])["status"]["storedVersions"].clone()
}

/// For a plane on which nothing else happens: the manager is killed, and started by the plane.
pub fn what_an_earlier_release_stored_is_stored_anew(world: &World) {
    const CRD: &str = "microvmclusters.infrastructure.cluster.x-k8s.io";
    store_as(world, CRD, "v1alpha1");
    let team = Team::new(world, "stored");
    let spec = json!({
        "controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443},
        "placement": {"staticPool": {"hosts": [{"endpoint": "127.0.0.1:9090", "controlplaneAllowed": true}], "basicAuthSecret": "tokens"}},
        "tlsSecretRef": "tls",
    });
    let old = Kind(OLD, "MicrovmCluster");
    // The API server takes a moment to store as it was told.
    within(PATIENCE, "something is stored as upstream stored it", || {
        world.create(&team.object(old, "old", &spec));
        if stored(world, CRD) == json!(["v1alpha2", "v1alpha1"]) {
            return Ok(());
        }
        world.delete(old, "stored", "old");
        Err(stored(world, CRD).to_string())
    });
    let before = world.get(MICROVM_CLUSTER, "stored", "old");
    assert_eq!(before["spec"], spec, "it is read back right");
    store_as(world, CRD, "v1alpha2");
    kernel::kill(world.plane.pids()[MANAGER]);
    within(PATIENCE, "everything is stored in the storage version", || {
        let stored = stored(world, CRD);
        if stored == json!(["v1alpha2"]) { Ok(()) } else { Err(stored.to_string()) }
    });
    let after = world.get(MICROVM_CLUSTER, "stored", "old");
    assert_eq!((&after["spec"], &after["metadata"]["uid"]), (&spec, &before["metadata"]["uid"]));
    world.delete(MICROVM_CLUSTER, "stored", "old");
}
