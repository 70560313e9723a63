use super::*;
use crate::sample;

#[test]
fn a_cluster_is_warned_of_tokens_in_clear_and_of_control_planes_anywhere() {
    let mut cluster = sample::cluster();
    assert_eq!(warn_cluster(&cluster), [""; 0]);
    let pool = cluster.spec.placement.static_pool.as_mut().unwrap();
    pool.basic_auth_secret = Some("tokens".into());
    pool.hosts.iter_mut().for_each(|host| host.controlplane_allowed = false);
    let said = warn_cluster(&cluster).join("; ");
    assert!(said.contains("sent in clear") && said.contains("no host has controlplaneAllowed"), "{said}");
    cluster.spec.tls_secret_ref = Some("tls".into());
    assert_eq!(warn_cluster(&cluster).len(), 1);
}

#[test]
fn firecracker_is_warned_of_what_its_hosts_refuse() {
    let mut machine = sample::machine();
    assert_eq!(warn_machine(&machine), [""; 0], "another host may take it");
    machine.spec.vm.provider = Some("firecracker".into());
    machine.spec.vm.network_interfaces[0].guest_device_name = "eth0".into();
    let said = warn_machine(&machine).join("; ");
    for part in ["networkInterfaces[0].guestDeviceName", "networkInterfaces[1].type", "spec.volumes: Firecracker"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_all_machines_of_a_template_would_share_is_told() {
    let said = warn_machine_template(&sample::template());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("spec.template.spec.networkInterfaces[0].address: all machines"), "{said:?}");
    assert!(said[1].starts_with("spec.template.spec.networkInterfaces[1].guestMac: all machines"), "{said:?}");
    assert!(said.iter().all(|text| text.len() <= 256), "the API server may cut longer ones");
}
