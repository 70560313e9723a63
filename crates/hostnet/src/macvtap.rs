//! Macvtaps: interfaces of guests directly on a parent interface of the host.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;

use crate::device;
use crate::device::DeviceError;
use crate::mac::Mac;
use crate::name;
use crate::name::Mark;
use crate::name::Prefix;
use crate::netlink::Change;
use crate::netlink::Kind;
use crate::netlink::Link;
use crate::netlink::Netlink;
use crate::tun;

/// A macvtap that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macvtap {
    /// Whose it is.
    pub mark: Mark,
    /// Which of the microVM's interfaces it is, from 0.
    pub position: u8,
    /// The interface below it, whose MTU it gets.
    pub parent: String,
    /// The guest's MAC. Only frames to it arrive, so guest and macvtap must have the same; without one it follows from the uid.
    pub mac: Option<Mac>,
}

/// Makes the macvtap in mode bridge, or finds it, finished or not; sets it up either way.
///
/// # Errors
/// There is no such parent, or the kernel refuses.
pub async fn ensure(netlink: &Netlink, wanted: &Macvtap) -> Result<Link, DeviceError> {
    let links = netlink.links().await?;
    let parent = device::named(&links, &wanted.parent)?;
    let Mark { instance, uid, .. } = &wanted.mark;
    let mac = wanted.mac.unwrap_or_else(|| Mac::derived(&format!("{instance}/{uid}/{}", wanted.position)));
    let names: Vec<String> = name::candidates(Prefix::Macvtap, instance, uid, wanted.position).collect();
    let half_made = || links.iter().find(|link| device::unfinished(link) && names.contains(&link.name));
    let link = match device::marked(&links, &wanted.mark).or_else(half_made) {
        Some(link) if link.kind == Kind::Macvtap && link.parent == Some(parent.index) => link.clone(),
        other => {
            if let Some(other) = other {
                netlink.delete(other).await?;
            }
            create(netlink, &names, parent.index, mac, &wanted.mark).await?
        }
    };
    let alias = wanted.mark.alias();
    let change = Change {
        up: true,
        mtu: Some(parent.mtu).filter(|mtu| *mtu != link.mtu),
        mac: Some(mac).filter(|mac| link.mac != Some(*mac)),
        alias: Some(alias.as_str()).filter(|alias| link.alias.as_deref() != Some(*alias)),
        master: None,
    };
    if !link.up || change != (Change { up: true, ..Change::default() }) {
        netlink.change(&link, change).await?;
    }
    netlink.link(&link.name).await?.ok_or(DeviceError::Missing(link.name))
}

async fn create(netlink: &Netlink, names: &[String], parent: u32, mac: Mac, mark: &Mark) -> Result<Link, DeviceError> {
    for name in names {
        match netlink.add_macvtap(name, parent, mac, name::GROUP).await {
            Err(error) if error.exists() && netlink.link(name).await?.is_some() => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return netlink.link(name).await?.ok_or_else(|| DeviceError::Missing(name.clone())),
        }
    }
    Err(DeviceError::NamesTaken { mark: mark.alias(), names: names.join(", ") })
}

/// Opens a macvtap for the VMM: every open file is a queue of it.
///
/// The kernel makes `/dev/tap<index>` where `/dev` is a devtmpfs. All network namespaces share that folder, and indexes repeat, so the file is taken
/// only if it is this device's by the number in `/sys`, else by what the device says once open. Where it is missing or another's it is made for a
/// moment, which takes the capability MKNOD on the host.
///
/// # Errors
/// The file cannot be opened or made.
pub fn open(link: &Link) -> Result<File, DeviceError> {
    let usual = PathBuf::from(format!("/dev/tap{}", link.index));
    match device_number(link) {
        Some(device) if is_node(&usual, device) => open_node(link, &usual),
        Some(device) => {
            let own = PathBuf::from(format!("/dev/capstead-{}", link.name));
            let made = remove(&own).and_then(|()| make_node(&own, device));
            made.map_err(|source| DeviceError::Node { name: link.name.clone(), path: own.clone(), source })?;
            let opened = open_node(link, &own);
            // Left behind it would do no harm: the next call removes it.
            let _ = remove(&own);
            opened
        }
        None => open_node(link, &usual),
    }
}

fn open_node(link: &Link, path: &Path) -> Result<File, DeviceError> {
    let failed = |source| DeviceError::Node { name: link.name.clone(), path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    match tun::interface_of(&file).map_err(failed)? {
        name if name == link.name => Ok(file),
        other => Err(DeviceError::OtherNode { name: link.name.clone(), path: path.to_owned(), other }),
    }
}

/// The device number, if `/sys` shows this network namespace: it is mounted for one, and not always for ours.
fn device_number(link: &Link) -> Option<(u32, u32)> {
    let dir = PathBuf::from("/sys/class/net").join(&link.name);
    let index: u32 = fs::read_to_string(dir.join("ifindex")).ok()?.trim().parse().ok()?;
    let text = fs::read_to_string(dir.join(format!("tap{index}/dev"))).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    (index == link.index).then_some((major.parse().ok()?, minor.parse().ok()?))
}

fn is_node(path: &Path, (major, minor): (u32, u32)) -> bool {
    fs::metadata(path).is_ok_and(|node| node.file_type().is_char_device() && node.rdev() == rustix::fs::makedev(major, minor))
}

fn make_node(path: &Path, (major, minor): (u32, u32)) -> io::Result<()> {
    Ok(rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, rustix::fs::makedev(major, minor))?)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
