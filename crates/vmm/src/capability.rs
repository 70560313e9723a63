//! What a driver can do, as data, and whether that is enough for a machine.

use std::fmt;
use std::ops::RangeInclusive;

use crate::driver::DriverKind;
use crate::machine::{DiskFormat, HostNic, Machine};

/// What a driver offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Virtual processors.
    pub vcpus: RangeInclusive<u32>,
    /// Memory in MiB.
    pub memory_mib: RangeInclusive<u32>,
    /// Most disks, network interfaces and shares together.
    pub devices: usize,
    /// Initial RAM disks.
    pub initrd: bool,
    /// qcow2 disks.
    pub qcow2: bool,
    /// Tap devices.
    pub tap: bool,
    /// macvtap devices.
    pub macvtap: bool,
    /// The VMM's own NAT, which needs no privileges.
    pub user_network: bool,
    /// Stream and datagram sockets.
    pub socket_network: bool,
    /// Telling the guest an MTU.
    pub mtu: bool,
    /// Host folders by virtiofs.
    pub virtiofs: bool,
    /// vsock by a Unix socket.
    pub vsock: bool,
    /// Metadata documents, served by the VMM.
    pub metadata_service: bool,
    /// A console that can be attached to. Every driver writes the console's log.
    pub console: bool,
    /// A guest that reboots itself comes up in the same process. Otherwise the process ends, and is to be launched again.
    pub reboot: bool,
}

/// Something that a machine asks for and a driver may lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// So many virtual processors.
    Vcpus(u32),
    /// So many MiB of memory.
    MemoryMib(u32),
    /// So many disks, network interfaces and shares.
    Devices(usize),
    /// An initial RAM disk.
    Initrd,
    /// A qcow2 disk.
    Qcow2,
    /// A tap device.
    Tap,
    /// A macvtap device.
    Macvtap,
    /// User networking.
    UserNetwork,
    /// A network over a socket.
    SocketNetwork,
    /// An MTU told to the guest.
    Mtu,
    /// A virtiofs share.
    Virtiofs,
    /// vsock.
    Vsock,
    /// The metadata service.
    MetadataService,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcpus(count) => write!(f, "{count} vCPUs"),
            Self::MemoryMib(mib) => write!(f, "{mib} MiB of memory"),
            Self::Devices(count) => write!(f, "{count} disks, network interfaces and shared folders"),
            Self::Initrd => f.write_str("initrd"),
            Self::Qcow2 => f.write_str("qcow2 disks"),
            Self::Tap => f.write_str("tap network interfaces"),
            Self::Macvtap => f.write_str("macvtap network interfaces"),
            Self::UserNetwork => f.write_str("user networking"),
            Self::SocketNetwork => f.write_str("networks over sockets"),
            Self::Mtu => f.write_str("an MTU"),
            Self::Virtiofs => f.write_str("virtiofs"),
            Self::Vsock => f.write_str("vsock"),
            Self::MetadataService => f.write_str("a metadata service"),
        }
    }
}

/// What a machine asks for, each once.
#[must_use]
pub fn needs(machine: &Machine) -> Vec<Need> {
    let devices = machine.disks.len() + machine.nics.len() + machine.shares.len();
    let mut needs = vec![Need::Vcpus(machine.vcpus), Need::MemoryMib(machine.memory_mib), Need::Devices(devices)];
    let nic = |wanted: fn(&HostNic) -> bool| machine.nics.iter().any(|nic| wanted(&nic.host));
    let asked = [
        (machine.initrd.is_some(), Need::Initrd),
        (machine.disks.iter().any(|disk| disk.format == DiskFormat::Qcow2), Need::Qcow2),
        (nic(|host| matches!(host, HostNic::Tap(_))), Need::Tap),
        (nic(|host| matches!(host, HostNic::Macvtap(_))), Need::Macvtap),
        (nic(|host| matches!(host, HostNic::User(_))), Need::UserNetwork),
        (nic(|host| matches!(host, HostNic::Stream(_) | HostNic::Dgram { .. })), Need::SocketNetwork),
        (machine.nics.iter().any(|nic| nic.mtu.is_some()), Need::Mtu),
        (!machine.shares.is_empty(), Need::Virtiofs),
        (machine.vsock, Need::Vsock),
        (!machine.metadata.is_empty() || machine.nics.iter().any(|nic| nic.metadata), Need::MetadataService),
    ];
    needs.extend(asked.into_iter().filter_map(|(asked, need)| asked.then_some(need)));
    needs
}

impl Capabilities {
    /// Whether this is enough for that need.
    #[must_use]
    pub fn has(&self, need: &Need) -> bool {
        match need {
            Need::Vcpus(count) => self.vcpus.contains(count),
            Need::MemoryMib(mib) => self.memory_mib.contains(mib),
            Need::Devices(count) => *count <= self.devices,
            Need::Initrd => self.initrd,
            Need::Qcow2 => self.qcow2,
            Need::Tap => self.tap,
            Need::Macvtap => self.macvtap,
            Need::UserNetwork => self.user_network,
            Need::SocketNetwork => self.socket_network,
            Need::Mtu => self.mtu,
            Need::Virtiofs => self.virtiofs,
            Need::Vsock => self.vsock,
            Need::MetadataService => self.metadata_service,
        }
    }
}

/// A driver lacks something. Its text is fit for an API's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The driver that was chosen.
    pub driver: DriverKind,
    /// What it lacks, with the drivers that have it.
    pub lacks: Vec<(Need, Vec<DriverKind>)>,
}

impl std::error::Error for Lacking {}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (need, elsewhere)) in self.lacks.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            // The words "not supported by the microvm provider" are flintlock's, and clients look for them.
            write!(f, "{gap}{need} not supported by the microvm provider {}", self.driver)?;
            match elsewhere.as_slice() {
                [] => f.write_str(", nor by another here")?,
                some => write!(f, "; supported by {}", some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))?,
            }
        }
        Ok(())
    }
}

/// Whether the driver can run the machine.
///
/// # Errors
/// It lacks something, or is not among `all`, the drivers of this host: then it lacks everything.
pub fn check(machine: &Machine, driver: DriverKind, all: &[(DriverKind, Capabilities)]) -> Result<(), Lacking> {
    let own = all.iter().find(|(kind, _)| *kind == driver).map(|(_, capabilities)| capabilities);
    let missing = needs(machine).into_iter().filter(|need| own.is_none_or(|own| !own.has(need)));
    let lacks: Vec<_> = missing
        .map(|need| {
            let elsewhere = all.iter().filter(|(_, other)| other.has(&need)).map(|(kind, _)| *kind).collect();
            (need, elsewhere)
        })
        .collect();
    if lacks.is_empty() { Ok(()) } else { Err(Lacking { driver, lacks }) }
}

#[cfg(test)]
mod tests;
