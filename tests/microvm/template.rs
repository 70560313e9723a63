//! A template of the shape that users of cluster-api-provider-microvm have, rendered by the real clusterctl and applied unchanged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Provider;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use serde_json::json;

use crate::support::within;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::SECRET;
use crate::world::World;
use crate::world::is_ready;
use crate::world::microvms;
use crate::world::name;
use crate::world::quick;
use crate::world::says;

const OLD_CLUSTER: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha1", "MicrovmCluster");
const OLD_MACHINE: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha1", "MicrovmMachine");

/// Everything that the template or core's controllers make of it.
const KINDS: [Kind; 11] = [
    CLUSTER,
    MACHINE,
    MICROVM_CLUSTER,
    MICROVM_MACHINE,
    Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmMachineTemplate"),
    Kind("controlplane.cluster.x-k8s.io/v1beta2", "KubeadmControlPlane"),
    Kind("bootstrap.cluster.x-k8s.io/v1beta2", "KubeadmConfig"),
    Kind("bootstrap.cluster.x-k8s.io/v1beta2", "KubeadmConfigTemplate"),
    Kind("cluster.x-k8s.io/v1beta2", "MachineDeployment"),
    Kind("cluster.x-k8s.io/v1beta2", "MachineSet"),
    SECRET,
];

fn hosts(world: &World, default_provider: Provider) -> (Simulator, String) {
    let simulator = world.simulator(Options { settings: Settings { default_provider, ..quick() }, ..Options::default() });
    let address = simulator.addresses()[0].clone();
    (simulator, address)
}

/// Renders and applies the template as its user does, and returns the MicrovmMachine of its first control plane machine.
fn apply<'a>(world: &'a World, namespace: &'a str, host: &str) -> (Team<'a>, String) {
    let team = Team::new(world, namespace);
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/microvm/cluster-template.yaml");
    let words = ["clusterctl", "generate", "yaml", "--from", template];
    let variables = [
        ("CLUSTER_NAME", "one"),
        ("CONTROL_PLANE_MACHINE_COUNT", "1"),
        ("WORKER_MACHINE_COUNT", "1"),
        ("CONTROL_PLANE_VIP", "127.201.99.1"),
        ("HOST_ENDPOINT", host),
        ("CLUSTERCTL_DISABLE_VERSIONCHECK", "true"),
    ];
    let clusterctl = variables.iter().fold(world.plane.command(&words), |command, (variable, value)| command.env(variable, value));
    let manifest = clusterctl.run().ok();
    world.plane.command(&["kubectl", "-n", namespace, "apply", "-f", "-"]).input(&manifest).run().ok();
    let machine = within(PATIENCE, "core has made the control plane's MicrovmMachine", || {
        let machines = world.list(MICROVM_MACHINE, namespace);
        let of_control_plane = |machine: &&Value| machine["metadata"]["labels"]["cluster.x-k8s.io/control-plane"].is_string();
        machines.iter().find(of_control_plane).map(|machine| name(machine).to_owned()).ok_or_else(|| format!("{machines:#?}"))
    });
    (team, machine)
}

fn decoded(metadata: &str) -> String {
    String::from_utf8(STANDARD.decode(metadata).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap()
}

pub fn a_template_of_upstreams_shape_becomes_microvms(world: &World) {
    let (simulator, host) = hosts(world, Provider::CloudHypervisor);
    let (team, name) = apply(world, "template", &host);
    let machine = team.ready(&name);

    let found = microvms(&simulator);
    assert_eq!(found.len(), 1, "one machine has bootstrap data: {found:#?}");
    let spec = found[0].1.spec.as_ref().unwrap();
    assert_eq!((spec.id.as_str(), spec.namespace.as_str()), (name.as_str(), "template"));
    let id = format!("microvm://{host}/{}", spec.uid());
    assert_eq!(machine["spec"]["providerID"], id.as_str());
    let core = team.wait(MACHINE, &name, "core knows the provider id", |core| core["spec"]["providerID"] == id.as_str());

    let mut keys: Vec<&str> = spec.metadata.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["capstead-ownership-token", "meta-data", "user-data", "vendor-data"]);
    assert_eq!(decoded(&spec.metadata["capstead-ownership-token"]), machine["metadata"]["uid"].as_str().unwrap());
    let secret = world.get(SECRET, "template", core["spec"]["bootstrap"]["dataSecretName"].as_str().unwrap());
    assert_eq!(spec.metadata["user-data"], secret["data"]["value"].as_str().unwrap(), "byte for byte");
    assert!(decoded(&spec.metadata["user-data"]).contains("microvm://{{ ds.meta_data.vm_host }}/{{ ds.meta_data.instance_id }}"));
    let meta_data = json!({"local_hostname": name, "platform": "liquid_metal", "vm_host": host, "instance_id": spec.uid()});
    assert_eq!(yaml(&decoded(&spec.metadata["meta-data"])), meta_data);
    let vendor_data = decoded(&spec.metadata["vendor-data"]);
    assert!(vendor_data.lines().any(|line| line == "#cloud-config"), "{vendor_data}");
    let vendor_data = yaml(&vendor_data);
    let users = json!([{"name": "root", "ssh_authorized_keys": ["ssh-ed25519 AAAA nobody@example.com"]}]);
    assert_eq!((&vendor_data["hostname"], &vendor_data["users"]), (&json!(name), &users));
    assert_eq!(vendor_data["final_message"], "The Liquid Metal booted system is good to go after $UPTIME seconds");
    assert_eq!(vendor_data["bootcmd"], json!(["ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"]));
    assert_eq!((&vendor_data["mounts"][0][0], &vendor_data["mounts"][0][1]), (&json!("vdb"), &json!("/lib/modules/5.10.77")));

    assert_eq!((spec.vcpu, spec.memory_in_mb), (2, 2048));
    let kernel = spec.kernel.as_ref().unwrap();
    assert_eq!((kernel.image.as_str(), kernel.filename(), kernel.add_network_config), ("example.com/kernel:5.10.77", "boot/vmlinux", true));
    let interface = spec.interfaces.iter().find(|interface| interface.device_id == "eth1").unwrap();
    assert_eq!(interface.r#type, 0, "macvtap");

    // The same objects as upstream's users read them.
    let old = world.get(OLD_MACHINE, "template", &name);
    assert_eq!((&old["status"]["ready"], &old["status"]["vmState"]), (&json!(true), &json!("running")), "{old:#}");
    assert_eq!((&old["spec"]["providerID"], &old["spec"]["networkInterfaces"][0]["type"]), (&json!(id), &json!("macvtap")));
    let old = world.get(OLD_CLUSTER, "template", "one");
    assert_eq!(old["status"]["ready"], true, "{old:#}");
    assert_eq!(old["status"]["failureDomains"], json!({host.as_str(): {"controlPlane": true}}));
    assert_eq!(old["spec"]["placement"]["staticPool"]["hosts"], json!([{"endpoint": host, "controlplaneAllowed": true}]));

    // The worker's turn comes when the control plane can be joined, which it never can here.
    let worker = within(PATIENCE, "core has made the worker's MicrovmMachine", || {
        let machines = world.list(MICROVM_MACHINE, "template");
        let worker = machines.iter().map(crate::world::name).find(|other| *other != name);
        worker.map(str::to_owned).ok_or_else(|| format!("{machines:#?}"))
    });
    team.waits(&worker, "WaitingForBootstrapData", &["spec.bootstrap.dataSecretName", "is not set yet"]);

    as_kubectl_shows_them(world);
    world.delete(CLUSTER, "template", "one");
    team.empty(&KINDS);
    assert_eq!(microvms(&simulator), [], "no microVM is left");
}

/// By short name with columns, in both versions, and by category.
fn as_kubectl_shows_them(world: &World) {
    let shown = |kind: &str, words: &[&str]| {
        let table = world.plane.kubectl(&[&["get", "-n", "template", kind], words].concat()).ok();
        table.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("mvmc", &[]), "NAME CLUSTER READY AGE");
    assert_eq!(shown("mvmc", &["-o", "wide"]), "NAME CLUSTER READY PROVISIONED HOST PORT MESSAGE AGE");
    assert_eq!(shown("mvmm", &[]), "NAME CLUSTER READY STATE HOST AGE");
    assert_eq!(shown("mvmmt", &[]), "NAME VCPU MEMORYMB AGE");
    assert_eq!(shown("microvmmachines.v1alpha1.infrastructure.cluster.x-k8s.io", &[]), "NAME CLUSTER READY STATE PROVIDERID AGE");
    let all = world.plane.kubectl(&["get", "-n", "template", "cluster-api", "-o", "name"]).ok();
    for kind in ["microvmcluster", "microvmmachine", "microvmmachinetemplate"] {
        assert!(all.contains(&format!("{kind}.infrastructure.cluster.x-k8s.io/")), "{kind}: {all}");
    }
}

pub fn what_a_host_refuses_is_told_and_can_be_deleted(world: &World) {
    let (simulator, host) = hosts(world, Provider::Firecracker);
    let (team, name) = apply(world, "macvtap", &host);
    let machine = team.wait(MICROVM_MACHINE, &name, "the refusal is told", |machine| {
        says(machine, "False", "ProvisioningFailed", &["macvtap network interfaces not supported by the microvm provider"])
    });
    assert!(!is_ready(&machine) && machine["spec"]["providerID"].is_null(), "{machine:#}");
    assert_eq!(microvms(&simulator), []);
    world.delete(CLUSTER, "macvtap", "one");
    team.empty(&KINDS);
}
