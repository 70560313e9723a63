//! An interface of a microVM: what is wanted, and what a VMM gets.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::check;
use crate::check::Invalid;
use crate::mac::Mac;
use crate::name;
use crate::netlink::Link;
use crate::port::Forward;
use crate::port::WantedForward;

/// An interface of a microVM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The microVM's uid.
    pub uid: String,
    /// The interface's name in the spec.
    pub device_id: String,
    /// Which of the microVM's interfaces it is, from 0.
    pub position: u8,
    /// The guest's MAC.
    pub mac: Option<Mac>,
    /// How it reaches the world.
    pub attach: Attach,
}

/// How an interface reaches the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A tap, on this bridge or (Firecracker's metadata) on none. Takes NET_ADMIN.
    Tap {
        /// The bridge.
        bridge: Option<String>,
    },
    /// A macvtap on this parent. Takes NET_ADMIN, and root for its file.
    Macvtap {
        /// The parent.
        parent: String,
    },
    /// The VMM's own user networking (QEMU's `-netdev user`). In QEMU's the guest reaches what listens on the host's loopback address, by the
    /// gateway's; passt and LANs do not let it.
    User {
        /// Ports that lead in.
        forwards: Vec<WantedForward>,
    },
    /// passt, which the VMM connects to (QEMU's `-netdev stream`).
    Passt {
        /// Ports that lead in.
        forwards: Vec<WantedForward>,
    },
    /// A LAN without privileges, shared by the microVMs that name it.
    UserLan {
        /// Its name.
        lan: String,
        /// The microVM's address; without one it is chosen.
        address: Option<Ipv4Addr>,
        /// Ports that lead in.
        forwards: Vec<WantedForward>,
    },
}

/// What a VMM needs to know of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// A tap, to open by name or by [`tap::open`](crate::tap::open).
    Tap(Link),
    /// A macvtap, to open by [`macvtap::open`](crate::macvtap::open). The guest must have its MAC.
    Macvtap(Link),
    /// Ports for the VMM's own user networking. The VMM chooses the guest's address.
    User {
        /// Ports that lead in.
        forwards: Vec<Forward>,
    },
    /// passt.
    Passt {
        /// The Unix socket to connect to.
        socket: PathBuf,
        /// Ports that lead in.
        forwards: Vec<Forward>,
    },
    /// A tap in a LAN.
    UserLan {
        /// The tap, in the LAN's network namespace.
        tap: Link,
        /// What to put before the VMM's command, so that it runs in the LAN's namespaces.
        enter: Vec<String>,
        /// The guest's address and prefix. It must have this one: forwarded ports lead there.
        address: Ipv4Net,
        /// The gateway.
        gateway: Ipv4Addr,
        /// The name server.
        nameserver: Ipv4Addr,
        /// Ports that lead in.
        forwards: Vec<Forward>,
    },
}

/// What is said about an interface, before anything is done.
pub(crate) fn check(interface: &Interface) -> Result<(), Invalid> {
    let Interface { uid, device_id, position, attach, .. } = interface;
    check::id("uid", uid)?;
    let at = format!("interfaces[{position}]");
    check::device_id(&format!("{at}.device_id"), device_id)?;
    if *position >= name::POSITIONS {
        return Err(Invalid {
            field: "interfaces".into(),
            rule: "must be 16 at most".into(),
            value: (u16::from(*position) + 1).to_string(),
        });
    }
    match attach {
        Attach::Tap { bridge: Some(bridge) } => check::interface_name(&format!("{at}.bridge"), bridge),
        Attach::Macvtap { parent } => check::interface_name(&format!("{at}.parent"), parent),
        Attach::UserLan { lan, .. } => check::id(&format!("{at}.lan"), lan),
        Attach::Tap { bridge: None } | Attach::User { .. } | Attach::Passt { .. } => Ok(()),
    }
}
