//! A microVM as clients are shown it. Pure.

use capstead_flintlock::rules::is_virtiofs;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmStatus;
use capstead_flintlock::types::Mount;
use capstead_flintlock::types::NetworkInterfaceStatus;
use capstead_flintlock::types::StaticAddress;
use capstead_flintlock::types::VolumeStatus;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_flintlock::types::mount::MountType;

use crate::effects::Facts;
use crate::life::State;
use crate::record::Record;

/// What a microVM's task tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its state.
    pub state: State,
    /// Why it is so, for a person; empty when all is well.
    pub cause: String,
    /// What it has on the host.
    pub facts: Facts,
}

impl Shown {
    /// Before its task has said anything.
    #[must_use]
    pub fn at_first(record: &Record) -> Self {
        let state = if record.deleted { State::Deleting } else { State::Pending };
        Self { state, cause: String::new(), facts: Facts::default() }
    }
}

/// The message for a microVM.
#[must_use]
pub fn view(record: &Record, shown: &Shown) -> MicroVm {
    let mut spec = record.spec.clone();
    spec.provider = Some(record.driver.clone());
    // Upstream's hosts set these though there is nothing to tell, and some clients take them for granted.
    spec.kernel.iter_mut().for_each(|kernel| set(&mut kernel.filename));
    for interface in &mut spec.interfaces {
        set(&mut interface.guest_mac);
        // Only the host knows the one that it chose.
        let chosen = || shown.facts.interfaces.get(&interface.device_id)?.address.clone();
        interface.address = interface.address.take().or_else(|| Some(StaticAddress { address: chosen()?, ..StaticAddress::default() }));
    }
    for volume in spec.root_volume.iter_mut().chain(&mut spec.additional_volumes) {
        set(&mut volume.partition_id);
        set(&mut volume.size_in_mb);
        set(&mut volume.source);
    }
    MicroVm { version: record.version, spec: Some(spec), status: Some(status(record, shown)) }
}

fn status(record: &Record, shown: &Shown) -> MicroVmStatus {
    let Shown { state, cause, facts } = shown;
    // A delete counts at once, before the task has looked.
    let state = match if record.deleted { &State::Deleting } else { state } {
        State::Pending => MicroVmState::Pending,
        State::Created => MicroVmState::Created,
        State::Failed => MicroVmState::Failed,
        State::Deleting => MicroVmState::Deleting,
    };
    let shared = record.spec.additional_volumes.iter().filter(|volume| is_virtiofs(volume));
    let shared: Vec<&String> = shared.map(|volume| &volume.id).collect();
    let volume = |(id, source): (&String, &String)| {
        let kind = if shared.contains(&id) { MountType::Hostpath } else { MountType::Dev };
        (id.clone(), VolumeStatus { mount: Some(mount(kind, source)) })
    };
    let interface = |(id, interface): (&String, &crate::effects::Interface)| {
        let crate::effects::Interface { name, index, mac, .. } = interface.clone();
        (id.clone(), NetworkInterfaceStatus { host_device_name: name, index, mac_address: mac })
    };
    MicroVmStatus {
        state: state as i32,
        volumes: facts.volumes.iter().map(volume).collect(),
        kernel_mount: facts.kernel.as_ref().map(|folder| mount(MountType::Hostpath, folder)),
        initrd_mount: facts.initrd.as_ref().map(|folder| mount(MountType::Hostpath, folder)),
        network_interfaces: facts.interfaces.iter().map(interface).collect(),
        retry: i32::try_from(record.trouble.failures).unwrap_or(i32::MAX),
        vsock_path: facts.vsock.clone().unwrap_or_default(),
        cause: cause.clone(),
    }
}

fn mount(kind: MountType, source: &str) -> Mount {
    Mount { r#type: kind as i32, source: source.to_owned() }
}

fn set<T: Default>(field: &mut Option<T>) {
    field.get_or_insert_default();
}

#[cfg(test)]
mod tests;
