//! Taps, on a bridge or on none.

use std::fs::File;

use rustix::io::Errno;
use serde::Deserialize;
use serde::Serialize;

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

/// A tap that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// Whose it is.
    pub mark: Mark,
    /// Which of the microVM's interfaces it is, from 0.
    pub position: u8,
    /// The bridge it becomes a port of, and whose MTU it gets.
    pub bridge: Option<String>,
    /// The user who may open it without privileges.
    pub owner: Option<u32>,
}

/// Makes the tap, or finds it; sets it up either way.
///
/// Until it has its mark it lives only as long as this call, so a crash leaves the finished tap or nothing.
///
/// # Errors
/// There is no such bridge, or the kernel refuses.
pub async fn ensure(netlink: &Netlink, tap: &Tap) -> Result<Link, DeviceError> {
    let links = netlink.links().await?;
    let bridge = match &tap.bridge {
        Some(name) => Some(device::named(&links, name)?),
        None => None,
    };
    if let Some(other) = bridge.filter(|bridge| bridge.kind != Kind::Bridge) {
        return Err(DeviceError::NotABridge(other.name.clone()));
    }
    let link = match device::marked(&links, &tap.mark) {
        Some(link) if link.kind == Kind::Tun => {
            // Who made it may open it, whoever it was given to.
            if let Some(owner) = tap.owner.filter(|owner| link.owner != Some(*owner)) {
                give(link, owner)?;
            }
            link.clone()
        }
        other => {
            if let Some(other) = other {
                netlink.delete(other).await?;
            }
            create(netlink, tap).await?
        }
    };
    let change = Change {
        up: true,
        mtu: bridge.map(|bridge| bridge.mtu).filter(|mtu| *mtu != link.mtu),
        master: bridge.map(|bridge| bridge.index).filter(|index| link.master != Some(*index)),
        ..Change::default()
    };
    if !link.up || change.mtu.is_some() || change.master.is_some() {
        netlink.change(&link, change).await?;
    }
    netlink.link(&link.name).await?.ok_or(DeviceError::Missing(link.name))
}

/// Gives a tap to another user. One that a VMM has open is left as it is: the VMM runs on, and the next one's is given away.
fn give(link: &Link, owner: u32) -> Result<(), DeviceError> {
    let failed = |what| move |source| DeviceError::Tap { what, name: link.name.clone(), source };
    match tun::open(&link.name, false) {
        Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => Ok(()),
        other => tun::set_owner(&other.map_err(failed("open"))?, owner).map_err(failed("give away")),
    }
}

/// Makes it under the first name that is free, and lets it stay once it is marked.
async fn create(netlink: &Netlink, tap: &Tap) -> Result<Link, DeviceError> {
    let Mark { instance, uid, .. } = &tap.mark;
    let mut taken = Vec::new();
    for name in name::candidates(Prefix::Tap, instance, uid, tap.position) {
        let failed = |what| {
            let name = name.clone();
            move |source| DeviceError::Tap { what, name, source }
        };
        // These calls return at once, so they need no thread of their own.
        let file = match tun::create(&name) {
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                taken.push(name);
                continue;
            }
            other => other.map_err(failed("make"))?,
        };
        if let Some(owner) = tap.owner {
            tun::set_owner(&file, owner).map_err(failed("give away"))?;
        }
        let link = netlink.link(&name).await?.ok_or_else(|| DeviceError::Missing(name.clone()))?;
        let mac = Mac::derived(&format!("{instance}/{uid}/{}", tap.position)).host_side();
        netlink.change(&link, Change { mac: Some(mac), alias: Some(&tap.mark.alias()), ..Change::default() }).await?;
        tun::persist(&file).map_err(failed("keep"))?;
        return Ok(link);
    }
    Err(DeviceError::NamesTaken { mark: tap.mark.alias(), names: taken.join(", ") })
}

/// Opens a tap for a VMM that takes a descriptor. `vnet_header`: whether frames carry a virtio header (QEMU's `vnet_hdr=on`).
///
/// # Errors
/// There is none, the caller may not, or another process has it open.
pub async fn open(netlink: &Netlink, name: &str, vnet_header: bool) -> Result<File, DeviceError> {
    netlink.link(name).await?.filter(|link| link.kind == Kind::Tun).ok_or_else(|| DeviceError::Missing(name.into()))?;
    tun::open(name, vnet_header).map_err(|source| DeviceError::Tap { what: "open", name: name.into(), source })
}
