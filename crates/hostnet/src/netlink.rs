//! The kernel's devices, by rtnetlink. The only module that knows the crate rtnetlink, whose interface changes often.

use std::io;
use std::net::IpAddr;

use futures::TryStreamExt;
use rtnetlink::Handle;
use rtnetlink::LinkBridge;
use rtnetlink::LinkMacVtap;
use rtnetlink::LinkUnspec;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::link::InfoData;
use rtnetlink::packet_route::link::InfoKind;
use rtnetlink::packet_route::link::InfoTun;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::link::LinkFlags;
use rtnetlink::packet_route::link::LinkInfo;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::link::MacVtapMode;
use rustix::io::Errno;
use serde::Deserialize;
use serde::Serialize;

use crate::mac::Mac;

/// `IFLA_TUN_OWNER` of linux/if_link.h.
const TUN_OWNER: u16 = 1;

/// The kernel refused something.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {on}")]
pub struct NetlinkError {
    /// What was tried.
    pub what: &'static str,
    /// On which device.
    pub on: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl NetlinkError {
    fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }

    /// Another device has the name.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.is(Errno::EXIST) || self.is(Errno::BUSY)
    }

    /// There is no such device (any more).
    #[must_use]
    pub fn gone(&self) -> bool {
        self.is(Errno::NODEV) || self.is(Errno::NXIO)
    }
}

fn failed(what: &'static str, on: impl ToString) -> impl FnOnce(rtnetlink::Error) -> NetlinkError {
    let on = on.to_string();
    move |error| {
        let source = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other.to_string()),
        };
        NetlinkError { what, on, source }
    }
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A tap (or tun).
    Tun,
    /// A macvtap.
    Macvtap,
    /// A bridge.
    Bridge,
    /// Anything else.
    Other,
}

/// A device, as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its hardware address, if it has an Ethernet one.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// Its device group; 0 is everybody's.
    pub group: u32,
    /// The number of the bridge it is a port of.
    pub master: Option<u32>,
    /// The number of the interface below it.
    pub parent: Option<u32>,
    /// The user who may open it, of a tap.
    pub owner: Option<u32>,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            kind: Kind::Other,
            mac: None,
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
            alias: None,
            group: 0,
            master: None,
            parent: None,
            owner: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(Mac),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias).filter(|alias| !alias.is_empty()),
                LinkAttribute::Group(group) => link.group = group,
                LinkAttribute::Controller(index) => link.master = Some(index).filter(|index| *index != 0),
                LinkAttribute::Link(index) => link.parent = Some(index),
                LinkAttribute::LinkInfo(infos) => infos.into_iter().for_each(|info| link.learn(info)),
                _ => {}
            }
        }
        link
    }
}

impl Link {
    fn learn(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(InfoKind::Tun) => self.kind = Kind::Tun,
            LinkInfo::Kind(InfoKind::MacVtap) => self.kind = Kind::Macvtap,
            LinkInfo::Kind(InfoKind::Bridge) => self.kind = Kind::Bridge,
            LinkInfo::Data(InfoData::Tun(data)) => {
                self.owner = data.iter().find_map(owner);
            }
            _ => {}
        }
    }
}

/// The owner, if the attribute is that.
fn owner(info: &InfoTun) -> Option<u32> {
    let mut bytes = [0; 4];
    if info.kind() != TUN_OWNER || info.value_len() != bytes.len() {
        return None;
    }
    info.emit_value(&mut bytes);
    Some(u32::from_ne_bytes(bytes))
}

/// What to change about a device; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Set it up.
    pub up: bool,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Alias.
    pub alias: Option<&'a str>,
    /// The bridge to make it a port of.
    pub master: Option<u32>,
}

/// A conversation with the kernel about the devices of one network namespace: the one of the thread that opened it.
#[derive(Clone, Debug)]
pub struct Netlink(Handle);

impl Netlink {
    /// Opens it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Self, NetlinkError> {
        let opened = rtnetlink::new_connection();
        let (connection, handle, _) = opened.map_err(|source| NetlinkError { what: "open", on: "a netlink socket".into(), source })?;
        // It ends when the last handle is gone.
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// All devices.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        let all = self.0.link().get().execute().map_ok(Link::from).try_collect();
        all.await.map_err(failed("list", "the network devices"))
    }

    /// The device with this name.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn link(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let found = self.0.link().get().match_name(name).execute().try_next().await;
        match found.map_err(failed("look for", name)) {
            Ok(message) => Ok(message.map(Link::from)),
            Err(error) if error.gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a bridge.
    ///
    /// # Errors
    /// The name is taken ([`NetlinkError::exists`]), or the kernel refuses.
    pub async fn add_bridge(&self, name: &str) -> Result<(), NetlinkError> {
        self.0.link().add(LinkBridge::new(name).build()).execute().await.map_err(failed("make the bridge", name))
    }

    /// Makes a macvtap in mode bridge. The group is set by the same call, so there is no moment without it.
    ///
    /// # Errors
    /// The name is taken ([`NetlinkError::exists`]), or the kernel refuses.
    pub async fn add_macvtap(&self, name: &str, parent: u32, mac: Mac, group: u32) -> Result<(), NetlinkError> {
        let link = LinkMacVtap::new(name, parent, MacVtapMode::Bridge).address(mac.0.to_vec()).link_group(group);
        self.0.link().add(link.build()).execute().await.map_err(failed("make the macvtap", name))
    }

    /// Changes a device.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn change(&self, link: &Link, change: Change<'_>) -> Result<(), NetlinkError> {
        let mut message = LinkUnspec::new_with_index(link.index);
        if let Some(mac) = change.mac {
            message = message.address(mac.0.to_vec());
        }
        if let Some(mtu) = change.mtu {
            message = message.mtu(mtu);
        }
        if let Some(alias) = change.alias {
            message = message.alias(alias);
        }
        if let Some(master) = change.master {
            message = message.controller(master);
        }
        if change.up {
            message = message.up();
        }
        self.0.link().set(message.build()).execute().await.map_err(failed("set up", &link.name))
    }

    /// Gives a device an address. One that it has already is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn add_address(&self, link: &Link, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        let added = self.0.address().add(link.index, address, prefix).execute().await;
        match added.map_err(failed("give an address to", &link.name)) {
            Err(error) if error.is(Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    /// Removes a device. One that is gone is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn delete(&self, link: &Link) -> Result<(), NetlinkError> {
        match self.0.link().del(link.index).execute().await.map_err(failed("remove", &link.name)) {
            Err(error) if error.gone() => Ok(()),
            other => other,
        }
    }
}
