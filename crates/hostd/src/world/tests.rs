use std::sync::Arc;

use capstead_vmm::Accel;
use capstead_vmm::CloudHypervisor;
use capstead_vmm::Confinement;
use capstead_vmm::Firecracker;
use capstead_vmm::Qemu;
use serde_json::json;

use super::*;
use crate::accept::tests::spec;

const UID: &str = "01HAAAAAAAAAAAAAAAAAAAAAAA";

/// A host with every driver, none of which is there.
fn world(dir: &Path) -> World {
    let drivers: Vec<Arc<dyn capstead_vmm::Driver>> = vec![
        Arc::new(Firecracker::new("firecracker")),
        Arc::new(CloudHypervisor::new("cloud-hypervisor")),
        Arc::new(Qemu::new("qemu", Accel::Kvm)),
    ];
    let runner = Runner::new(&dir.join("run"), drivers, Confinement::default()).unwrap();
    let lan_network = "10.77.0.0/24".parse().unwrap();
    let config = capstead_hostnet::Config { instance: "world".into(), dir: dir.join("net"), owner: None, agent: Vec::new(), lan_network };
    let (store, net) = (Store::open(&dir.join("images")).unwrap(), HostNet::open(config).unwrap());
    World::new(dir.join("vm"), runner, store, net, PullOptions::default(), HostOptions::default(), DriverKind::Qemu)
}

#[tokio::test]
async fn a_guest_agents_socket_is_told_where_the_driver_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path());
    let told =
        |driver: &str, agent: bool| world.vsock(&Record::new(UID.into(), driver.into(), spec(&[("/allow_guest_agent", json!(agent))])));
    let socket = world.runner.root().join(UID).join("vsock.sock").display().to_string();
    assert_eq!((told("firecracker", true), told("cloudhypervisor", true)), (Some(socket.clone()), Some(socket)));
    assert_eq!((told("firecracker", false), told("qemu", true)), (None, None));
}
