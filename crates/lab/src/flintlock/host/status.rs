//! What a host tells of a microVM it has made: names that it would have given, of things that are not there.

use std::collections::BTreeMap;

use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::MicroVmStatus;
use capstead_flintlock::types::Mount;
use capstead_flintlock::types::NetworkInterfaceStatus;
use capstead_flintlock::types::Volume;
use capstead_flintlock::types::VolumeStatus;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_flintlock::types::mount::MountType;
use capstead_flintlock::types::network_interface::IfaceType;

/// `devices` counts the host's devices and snapshots, so that no two microVMs share one.
pub(super) fn created(spec: &MicroVmSpec, devices: &mut i32) -> MicroVmStatus {
    let mut next = || {
        *devices = devices.wrapping_add(1);
        *devices
    };
    let folder = format!("/var/lib/flintlock/vm/{}/{}/{}", spec.namespace, spec.id, spec.uid());
    let mut volumes = BTreeMap::new();
    for volume in spec.root_volume.iter().chain(&spec.additional_volumes) {
        let mount = if is_shared(volume) {
            mount(MountType::Hostpath, format!("{folder}/virtiofs.sock"))
        } else {
            mount(MountType::Dev, format!("/dev/mapper/flintlock-thinpool-snap-{}", next()))
        };
        volumes.insert(volume.id.clone(), VolumeStatus { mount: Some(mount) });
    }
    let mut folder_of_image =
        || mount(MountType::Hostpath, format!("/var/lib/containerd/io.containerd.snapshotter.v1.native/snapshots/{}", next()));
    let kernel_mount = Some(folder_of_image());
    let initrd_mount = spec.initrd.as_ref().map(|_| folder_of_image());
    let mut network_interfaces = BTreeMap::new();
    for interface in &spec.interfaces {
        let index = next();
        let macvtap = interface.r#type == IfaceType::Macvtap as i32;
        let host_device_name = format!("{}{index:07x}", if macvtap { "flvtap" } else { "fltap" });
        let [_, a, b, c] = index.to_be_bytes();
        // The MAC of a macvtap device is the guest's, that of a tap device is its own.
        let own = format!("02:00:00:{a:02X}:{b:02X}:{c:02X}");
        let mac_address = if macvtap && !interface.guest_mac().is_empty() { interface.guest_mac().to_uppercase() } else { own };
        network_interfaces.insert(interface.device_id.clone(), NetworkInterfaceStatus { host_device_name, index, mac_address });
    }
    let vsock_path = if spec.allow_guest_agent { format!("{folder}/guest-agent.vsock") } else { String::new() };
    let state = MicroVmState::Created as i32;
    MicroVmStatus { state, volumes, kernel_mount, initrd_mount, network_interfaces, retry: 0, vsock_path, cause: String::new() }
}

fn mount(kind: MountType, source: String) -> Mount {
    Mount { r#type: kind as i32, source }
}

fn is_shared(volume: &Volume) -> bool {
    volume.source.as_ref().is_some_and(|source| source.virtiofs_source.is_some())
}
