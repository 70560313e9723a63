use serde_json::{Value, json};

use super::*;
use crate::machine::provider_id;
use crate::sample;

const USER_DATA: &[u8] = b"## template: jinja\n#cloud-config\nruncmd: []\n";

fn claim() -> Claim {
    Claim { token: "5f1c".into(), placement: "10.0.0.1:9090".into() }
}

fn made(change: impl FnOnce(&mut MicrovmMachine, &mut MicrovmCluster)) -> types::MicroVmSpec {
    let (mut machine, mut infrastructure) = (sample::machine(), sample::cluster());
    change(&mut machine, &mut infrastructure);
    let inputs = Inputs { machine: &machine, infrastructure: &infrastructure, cluster: "mvm", claim: &claim(), bootstrap: USER_DATA };
    spec(&inputs).unwrap()
}

fn document(spec: &types::MicroVmSpec, key: &str) -> String {
    String::from_utf8(STANDARD.decode(&spec.metadata[key]).unwrap()).unwrap()
}

/// The message with its metadata decoded, for people.
fn shown(spec: &types::MicroVmSpec) -> String {
    let mut spec = spec.clone();
    let keys: Vec<String> = spec.metadata.keys().cloned().collect();
    for key in keys {
        let text = document(&spec, &key);
        spec.metadata.insert(key, text);
    }
    format!("{spec:#?}")
}

#[test]
fn the_whole_spec() {
    insta::assert_snapshot!(shown(&made(|_, _| {})));
}

#[test]
fn the_least_spec() {
    insta::assert_snapshot!(shown(&made(|machine, cluster| {
        machine.spec.vm = serde_json::from_value(json!({
            "vcpu": 1, "memoryMb": 1024, "rootVolume": {"id": "root"}, "kernel": {"image": "k"}, "initrd": {"image": "i", "filename": "f"},
            "networkInterfaces": [{"guestDeviceName": "eth1", "type": "tap"}], "provider": "cloudhypervisor",
        }))
        .unwrap();
        cluster.spec.ssh_public_keys.clear();
    })));
}

#[test]
fn the_guest_is_told_the_provider_id_we_store() {
    let spec = made(|_, _| {});
    let uid = "01HZX5W0000000000000000000";
    // As hosts do: they add the uid, and cloud-init renders the document with it.
    let mut meta_data: Value = yaml_serde::from_str(&document(&spec, "meta-data")).unwrap();
    meta_data["instance_id"] = uid.into();
    let mut kubelet = "microvm://{{ ds.meta_data.vm_host }}/{{ ds.meta_data.instance_id }}".to_owned();
    for (key, value) in meta_data.as_object().unwrap() {
        kubelet = kubelet.replace(&format!("{{{{ ds.meta_data.{key} }}}}"), value.as_str().unwrap());
    }
    assert_eq!(kubelet, provider_id(&claim().placement, uid).unwrap().as_str());
}

#[test]
fn bootstrap_data_goes_unchanged_and_vendor_data_is_cloud_config() {
    let spec = made(|_, _| {});
    assert_eq!(STANDARD.decode(&spec.metadata["user-data"]).unwrap(), USER_DATA);
    assert!(document(&spec, "vendor-data").starts_with("#cloud-config\n"));
    assert_eq!(document(&spec, TOKEN), claim().token);
    assert_eq!(spec.metadata.len(), 4);
}

#[test]
fn a_machines_keys_stand_instead_of_the_clusters() {
    let spec = made(|machine, _| {
        machine.spec.vm.ssh_public_keys = vec![SshPublicKey { user: "dev".into(), authorized_keys: vec!["ssh-rsa BBBB".into()] }];
    });
    let vendor_data: Value = yaml_serde::from_str(&document(&spec, "vendor-data")).unwrap();
    assert_eq!(vendor_data["users"], json!([{"name": "dev", "ssh_authorized_keys": ["ssh-rsa BBBB"]}]));
}

#[test]
fn a_second_try_differs_in_nothing_and_another_machine_has_another_mac() {
    assert_eq!(made(|_, _| {}), made(|_, _| {}));
    let mac_of = |spec: &types::MicroVmSpec| spec.interfaces[0].guest_mac.clone().unwrap();
    let one = mac_of(&made(|_, _| {}));
    let first = u8::from_str_radix(&one[..2], 16).unwrap();
    assert_eq!(first & 0b11, 0b10, "{one} is locally administered and unicast");
    let copy = mac_of(&made(|machine, _| machine.metadata.name = Some("copy".into())));
    let device = mac_of(&made(|machine, _| machine.spec.vm.network_interfaces[0].guest_device_name = "eth7".into()));
    assert_ne!(one, copy);
    assert_ne!(one, device);
    assert_eq!(made(|_, _| {}).interfaces[1].guest_mac.as_deref(), Some("AA:FF:00:00:00:02"), "what the user says stands");
}

#[test]
fn numbers_the_protocol_cannot_hold_are_none_a_host_takes() {
    let spec = made(|machine, _| machine.spec.vm.vcpu = i64::MAX);
    assert_eq!(spec.vcpu, i32::MAX);
}
