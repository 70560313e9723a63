//! From a spec to what images, options and drivers are asked for. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::net::SocketAddrV4;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_flintlock::rules::is_virtiofs;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::NetworkOverrides;
use capstead_flintlock::types::Volume;
use capstead_flintlock::types::network_interface::IfaceType;
use capstead_hostnet::Attach;
use capstead_hostnet::Attached;
use capstead_hostnet::Interface;
use capstead_hostnet::mac::Mac;
use capstead_hostnet::port;
use capstead_hostnet::port::WantedForward;
use capstead_image::Reference;
use capstead_image::guest_data;
use capstead_image::guest_data::Documents;
use capstead_image::guest_data::StaticAddress;
use capstead_image::reference::ParseReferenceError;
use capstead_vmm::CommandLine;
use capstead_vmm::Disk;
use capstead_vmm::DiskFormat;
use capstead_vmm::DiskRole;
use capstead_vmm::DriverKind;
use capstead_vmm::Forward;
use capstead_vmm::HostNic;
use capstead_vmm::Machine;
use capstead_vmm::Nic;
use capstead_vmm::Protocol;

use crate::life::Part;
use crate::record::Record;
use crate::world::shares::shares;

#[cfg(test)]
mod tests;

/// In a bridge's place: the VMM's own NAT.
const USER: &str = "user";
/// In a bridge's place: passt.
const PASST: &str = "passt";
/// In a bridge's place: a LAN without privileges, by itself the one called [`LAN`], with `:NAME` another.
const USER_LAN: &str = "user-lan";
/// The LAN that has no name.
const LAN: &str = "default";
/// The guest's port that leads in where there is no bridge.
const SSH: u16 = 22;

/// The interface by which a guest reaches the metadata service of its VMM, as flintlock has it.
const METADATA: &str = "eth0";
const METADATA_MAC: &str = "AA:FF:00:00:00:01";
const METADATA_ADDRESS: &str = "169.254.0.1/16";

/// What whoever runs the host has decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// The bridge of taps whose interface names none; without one, the VMM's own NAT.
    pub bridge: Option<String>,
    /// What macvtaps are made on.
    pub parent: Option<String>,
    /// The folder below which images may be files of the host: who may create microVMs may read all that is in it. Without one, none may.
    pub local_images: Option<PathBuf>,
    /// The folders below which folders may be shared with guests: who may create microVMs may read and write all that is in them. Without one, none may.
    pub shared_folders: Vec<PathBuf>,
}

/// The spec with what its driver adds: where the VMM serves metadata, an interface for it comes first, unless the spec has one of that name.
pub(crate) fn expanded(record: &Record) -> Cow<'_, MicroVmSpec> {
    let spec = &record.spec;
    let serves = record.driver == DriverKind::Firecracker.name();
    if !serves || spec.interfaces.iter().any(|interface| interface.device_id == METADATA) {
        return Cow::Borrowed(spec);
    }
    let mut spec = spec.clone();
    let address = capstead_flintlock::types::StaticAddress { address: METADATA_ADDRESS.into(), ..Default::default() };
    let interface = NetworkInterface {
        device_id: METADATA.into(),
        r#type: IfaceType::Tap as i32,
        guest_mac: Some(METADATA_MAC.into()),
        address: Some(address),
        // On no bridge. Nobody can ask for that: a name is required.
        overrides: Some(NetworkOverrides { bridge_name: Some(String::new()) }),
    };
    spec.interfaces.insert(0, interface);
    Cow::Owned(spec)
}

/// Whether it is the interface that [`expanded`] adds.
fn is_metadata(interface: &NetworkInterface) -> bool {
    interface.overrides.as_ref().is_some_and(|overrides| overrides.bridge_name.as_deref() == Some(""))
}

/// Reads a reference to an image.
pub(super) fn reference(text: &str, options: &HostOptions) -> Result<Reference, String> {
    let reference: Reference = text.parse().map_err(|error: ParseReferenceError| error.to_string())?;
    let path = match &reference {
        Reference::Registry(_) => return Ok(reference),
        Reference::OciLayout { path, .. }
        | Reference::OciArchive { path, .. }
        | Reference::DockerArchive { path, .. }
        | Reference::File { path } => path,
    };
    match &options.local_images {
        Some(folder) if path.starts_with(folder) => Ok(reference),
        Some(folder) => Err(format!("{text}: this host takes files as images only from {}", folder.display())),
        None => Err(format!("{text}: this host takes no files as images; it would with --local-images")),
    }
}

/// Every image that a spec names.
fn images(spec: &MicroVmSpec) -> impl Iterator<Item = &str> {
    let kernel = spec.kernel.iter().map(|kernel| kernel.image.as_str());
    let initrd = spec.initrd.iter().map(|initrd| initrd.image.as_str());
    kernel.chain(initrd).chain(volumes(spec).map(|(_, volume)| image(volume)))
}

/// The image of a volume; empty if it has none.
pub(super) fn image(volume: &Volume) -> &str {
    volume.source.as_ref().and_then(|source| source.container_source.as_deref()).unwrap_or_default()
}

/// What a microVM needs.
pub(crate) fn parts(spec: &MicroVmSpec) -> BTreeSet<Part> {
    let mut parts: BTreeSet<Part> = [Part::Kernel, Part::Seed].into();
    parts.extend(spec.initrd.iter().map(|_| Part::Initrd));
    parts.extend(volumes(spec).map(|(part, _)| part));
    parts.extend((0..spec.interfaces.len()).map(Part::Interface));
    parts
}

/// The volumes that have a disk.
pub(super) fn volumes(spec: &MicroVmSpec) -> impl Iterator<Item = (Part, &Volume)> {
    let root = spec.root_volume.iter().map(|volume| (Part::Root, volume));
    let additional = spec.additional_volumes.iter().enumerate().map(|(n, volume)| (Part::Volume(n), volume));
    root.chain(additional).filter(|(_, volume)| !is_virtiofs(volume))
}

/// The name of a part that is a file.
pub(super) fn file(part: Part) -> Option<String> {
    Some(match part {
        Part::Kernel => "kernel".to_owned(),
        Part::Initrd => "initrd".to_owned(),
        Part::Root => "root.img".to_owned(),
        Part::Volume(n) => format!("volume-{n}.img"),
        Part::Seed => "seed.img".to_owned(),
        Part::Interface(_) => return None,
    })
}

/// What a disk rests on.
pub(super) fn base(disk: &Path) -> PathBuf {
    disk.with_extension("base")
}

/// What an unfinished try may have left of a part.
pub(super) fn traces(path: &Path) -> [PathBuf; 2] {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    [part.into(), base(path)]
}

/// What the guest is told besides its documents. Disks are in the order root, additional volumes, seed. `chosen` are the addresses that the host gave, by
/// the interface's place.
pub(super) fn guest_facts(spec: &MicroVmSpec, uid: &str, chosen: &BTreeMap<usize, StaticAddress>) -> guest_data::Facts {
    let devices = ('a'..='z').map(|letter| format!("vd{letter}"));
    let mounts = devices.zip(volumes(spec)).filter(|(_, (_, volume))| !volume.mount_point().is_empty());
    let mounts = mounts.map(|(device, (_, volume))| guest_data::Mount { device, point: volume.mount_point().to_owned() });
    let interface = |(n, interface): (usize, &NetworkInterface)| guest_data::Interface {
        name: interface.device_id.clone(),
        mac: Some(mac(spec, uid, n).to_string()),
        address: interface.address.as_ref().map(fixed).or_else(|| chosen.get(&n).cloned()),
    };
    // Ports of the host lead to the address that was chosen, so the guest must have it.
    let configures = !chosen.is_empty() || spec.kernel.as_ref().is_some_and(|kernel| kernel.add_network_config);
    let interfaces = configures.then(|| spec.interfaces.iter().enumerate().map(interface).collect());
    guest_data::Facts { uid: uid.to_owned(), mounts: mounts.collect(), interfaces }
}

fn fixed(address: &capstead_flintlock::types::StaticAddress) -> StaticAddress {
    StaticAddress { address: address.address.clone(), gateway: address.gateway.clone(), nameservers: address.nameservers.clone() }
}

/// The address that the host chose for a guest, if it did.
pub(super) fn chosen(attached: &Attached) -> Option<StaticAddress> {
    let Attached::UserLan { address, gateway, nameserver, .. } = attached else { return None };
    Some(StaticAddress { address: address.to_string(), gateway: Some(gateway.to_string()), nameservers: vec![nameserver.to_string()] })
}

/// The name of the LAN that an interface is in, where a bridge's name says so.
fn lan(bridge: &str) -> Option<&str> {
    match bridge.strip_prefix(USER_LAN)? {
        "" => Some(LAN),
        name => name.strip_prefix(':'),
    }
}

/// The places of interfaces in a LAN. A VMM lives in one network, so one in a LAN has no interface elsewhere.
pub(super) fn in_lan(spec: &MicroVmSpec, options: &HostOptions) -> Result<Vec<usize>, String> {
    let lans = spec.interfaces.iter().map(|interface| match attach(interface, options) {
        Ok(Attach::UserLan { lan, .. }) => Some(lan),
        _ => None,
    });
    let lans: Vec<Option<String>> = lans.collect();
    if lans.iter().any(|lan| *lan != lans[0]) {
        return Err(format!("interfaces: one in a LAN of microVMs ({USER_LAN}) goes with others of the same LAN only"));
    }
    Ok(lans.iter().enumerate().filter_map(|(n, lan)| lan.as_ref().map(|_| n)).collect())
}

/// The guest's address of this interface: as asked for, else one that follows from the uid.
fn mac(spec: &MicroVmSpec, uid: &str, n: usize) -> Mac {
    let asked = spec.interfaces.get(n).and_then(|interface| interface.guest_mac().parse().ok());
    asked.unwrap_or_else(|| Mac::derived(&format!("{uid}/{n}")))
}

/// What the host's network is asked for.
pub(super) fn interface(spec: &MicroVmSpec, uid: &str, n: usize, options: &HostOptions) -> Result<Interface, String> {
    let interface = spec.interfaces.get(n).ok_or_else(|| format!("interfaces[{n}]: is not there"))?;
    let position = u8::try_from(n).map_err(|_| format!("interfaces[{n}]: is one too many"))?;
    let attach = attach(interface, options).map_err(|cause| format!("interfaces[{n}]: {cause}"))?;
    Ok(Interface { uid: uid.to_owned(), device_id: interface.device_id.clone(), position, mac: Some(mac(spec, uid, n)), attach })
}

fn attach(interface: &NetworkInterface, options: &HostOptions) -> Result<Attach, String> {
    if interface.r#type == IfaceType::Macvtap as i32 {
        let parent = options.parent.clone();
        let parent =
            parent.ok_or("a parent network device name is required for attaching a macvtap interface: give the host --parent-iface")?;
        return Ok(Attach::Macvtap { parent });
    }
    if is_metadata(interface) {
        return Ok(Attach::Tap { bridge: None });
    }
    let own = interface.overrides.as_ref().map(|overrides| overrides.bridge_name()).filter(|name| !name.is_empty());
    let forwards = vec![WantedForward { protocol: port::Protocol::Tcp, guest_port: SSH, host_port: None }];
    Ok(match own.or(options.bridge.as_deref()) {
        None | Some(USER) => Attach::User { forwards },
        Some(PASST) => Attach::Passt { forwards },
        Some(bridge) if let Some(name) = lan(bridge) => {
            let address = interface.address.as_ref().map(|address| {
                let bare = address.address.split('/').next().unwrap_or_default();
                bare.parse().map_err(|_| format!("address: {:?}: an IPv4 address is expected in a LAN of microVMs", address.address))
            });
            Attach::UserLan { lan: name.to_owned(), address: address.transpose()?, forwards }
        }
        Some(bridge) => Attach::Tap { bridge: Some(bridge.to_owned()) },
    })
}

/// What a driver is asked for, once all parts are there; but for the folders it shares, see [`shares`].
///
/// `documents` are for the VMM's metadata service, if it has one.
pub(super) fn machine(
    spec: &MicroVmSpec,
    uid: &str,
    folder: &Path,
    attached: &[Attached],
    documents: &Documents,
) -> Result<Machine, String> {
    let path = |part| file(part).map(|name| folder.join(name)).unwrap_or_default();
    let disk = |(part, volume): (Part, &Volume)| {
        let path = path(part);
        let base = base(&path);
        let overlay = base.exists();
        Disk {
            path,
            format: if overlay { DiskFormat::Qcow2 } else { DiskFormat::Raw },
            read_only: volume.is_read_only,
            role: if part == Part::Root { DiskRole::Root } else { DiskRole::Data },
            backing: overlay.then_some(base).into_iter().collect(),
            durable: true,
        }
    };
    let seed = Disk {
        path: path(Part::Seed),
        format: DiskFormat::Raw,
        read_only: true,
        role: DiskRole::Seed,
        backing: Vec::new(),
        durable: false,
    };
    let nics = spec.interfaces.iter().zip(attached).enumerate().map(|(n, (interface, attached))| Nic {
        id: interface.device_id.clone(),
        mac: capstead_vmm::Mac(mac(spec, uid, n).0),
        mtu: mtu(attached),
        host: host_nic(attached),
        metadata: is_metadata(interface),
    });
    let enter = attached.iter().find_map(|attached| match attached {
        Attached::UserLan { enter, .. } => Some(enter.clone()),
        _ => None,
    });
    Ok(Machine {
        uid: uid.parse().map_err(|error: capstead_vmm::UidError| error.to_string())?,
        vcpus: u32::try_from(spec.vcpu).map_err(|_| "vcpu: must not be negative".to_owned())?,
        memory_mib: u32::try_from(spec.memory_in_mb).map_err(|_| "memory_in_mb: must not be negative".to_owned())?,
        kernel: path(Part::Kernel),
        initrd: spec.initrd.as_ref().map(|_| path(Part::Initrd)),
        cmdline: spec.kernel.iter().flat_map(|kernel| kernel.cmdline.clone()).collect::<CommandLine>(),
        disks: volumes(spec).map(disk).chain([seed]).collect(),
        nics: nics.collect(),
        vsock: spec.allow_guest_agent,
        shares: Vec::new(),
        metadata: if spec.interfaces.iter().any(is_metadata) { served(spec, documents) } else { BTreeMap::new() },
        enter: enter.unwrap_or_default(),
    })
}

/// What a metadata service gives: all that was given, and the documents as cloud-init gets them from a disk.
fn served(spec: &MicroVmSpec, documents: &Documents) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all: BTreeMap<String, String> = given(spec).iter().map(|(key, value)| (key.clone(), text(value))).collect();
    all.extend(documents.files().into_iter().map(|(key, value)| (key.to_owned(), text(value))));
    all
}

/// What its owner gave, decoded.
pub(super) fn given(spec: &MicroVmSpec) -> BTreeMap<String, Vec<u8>> {
    let lines = |value: &String| value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect::<String>();
    let decode = |(key, value): (&String, &String)| {
        // As flintlock: what does not decode is taken as it is.
        (key.clone(), STANDARD.decode(lines(value)).unwrap_or_else(|_| value.clone().into_bytes()))
    };
    spec.metadata.iter().map(decode).collect()
}

/// A machine with all that the spec asks of a driver, before anything is made: to find out whether the driver can run it.
pub(super) fn sketch(spec: &MicroVmSpec, options: &HostOptions) -> Result<Machine, String> {
    const NOBODY: &str = "sketch";
    let mut machine = machine(spec, NOBODY, Path::new("/"), &[], &Documents::default())?;
    images(spec).try_for_each(|image| reference(image, options).map(drop))?;
    in_lan(spec, options)?;
    machine.shares = shares(spec, options)?;
    for (n, wanted) in spec.interfaces.iter().enumerate() {
        let host = match interface(spec, NOBODY, n, options)?.attach {
            Attach::Tap { .. } | Attach::UserLan { .. } => HostNic::Tap(NOBODY.to_owned()),
            Attach::Macvtap { .. } => HostNic::Macvtap(PathBuf::from("/dev/tap0")),
            Attach::User { .. } => HostNic::User(Vec::new()),
            Attach::Passt { .. } => HostNic::Stream(PathBuf::from("/")),
        };
        machine.nics.push(Nic {
            id: wanted.device_id.clone(),
            mac: capstead_vmm::Mac(mac(spec, NOBODY, n).0),
            mtu: None,
            host,
            metadata: false,
        });
    }
    Ok(machine)
}

fn host_nic(attached: &Attached) -> HostNic {
    match attached {
        Attached::Tap(link) | Attached::UserLan { tap: link, .. } => HostNic::Tap(link.name.clone()),
        Attached::Macvtap(link) => HostNic::Macvtap(PathBuf::from(format!("/dev/tap{}", link.index))),
        Attached::User { forwards } => HostNic::User(forwards.iter().map(forward).collect()),
        Attached::Passt { socket, .. } => HostNic::Stream(socket.clone()),
    }
}

fn forward(forward: &port::Forward) -> Forward {
    let protocol = match forward.protocol {
        port::Protocol::Tcp => Protocol::Tcp,
        port::Protocol::Udp => Protocol::Udp,
    };
    Forward { protocol, host: SocketAddrV4::new(Ipv4Addr::LOCALHOST, forward.host_port), guest_port: forward.guest_port }
}

/// A guest that sends more than its bridge takes is not heard.
fn mtu(attached: &Attached) -> Option<u16> {
    match attached {
        Attached::Tap(link) | Attached::Macvtap(link) | Attached::UserLan { tap: link, .. } => {
            u16::try_from(link.mtu).ok().filter(|mtu| *mtu != 1500)
        }
        Attached::User { .. } | Attached::Passt { .. } => None,
    }
}
