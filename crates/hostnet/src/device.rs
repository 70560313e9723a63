//! What taps and macvtaps have in common: why they cannot be made, listing what is ours, and removing it.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::name;
use crate::name::Mark;
use crate::name::Prefix;
use crate::netlink::Kind;
use crate::netlink::Link;
use crate::netlink::Netlink;
use crate::netlink::NetlinkError;

/// A device cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no such bridge or parent.
    #[error("there is no network interface {0:?} on this host")]
    Missing(String),
    /// It is something else.
    #[error("the network interface {0:?} is no bridge")]
    NotABridge(String),
    /// All names that the device may have belong to others.
    #[error("other devices have all the names that {mark} may have: {names}")]
    NamesTaken {
        /// Whose device it is, as its alias would say.
        mark: String,
        /// The names.
        names: String,
    },
    /// The kernel refused a tap.
    #[error(
        "cannot {what} the tap {name} by {}; it takes a kernel with tun, that file open to this user, and the capability NET_ADMIN",
        crate::tun::DEVICE
    )]
    Tap {
        /// What was tried.
        what: &'static str,
        /// The device.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The file of a macvtap cannot be opened or made.
    #[error("cannot open {path}, the file of the macvtap {name}")]
    Node {
        /// The device.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file in `/dev` belongs to a device of another network namespace, and `/sys` does not tell ours.
    #[error("{path} is not the file of the macvtap {name} but of {other}, and /sys does not show the devices of this network namespace")]
    OtherNode {
        /// The device.
        name: String,
        /// The file.
        path: PathBuf,
        /// Whose file it is.
        other: String,
    },
}

/// A device of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedDevice {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whose it is. `None`: it was made and not yet marked when its maker ended; only who has the uid can tell whose it was going to be.
    pub mark: Option<Mark>,
}

/// The devices of this instance, and unfinished ones of any.
///
/// # Errors
/// The kernel refuses.
pub async fn list(netlink: &Netlink, instance: &str) -> Result<Vec<OwnedDevice>, NetlinkError> {
    let links = netlink.links().await?;
    let owned = links.into_iter().filter_map(|link| {
        let mark = mark_of(&link);
        let ours = mark.as_ref().is_some_and(|mark| mark.instance == instance) || unfinished(&link);
        ours.then_some(OwnedDevice { name: link.name, kind: link.kind, mark })
    });
    Ok(owned.collect())
}

/// Removes what a microVM has, finished or not. That there is nothing is no error.
///
/// # Errors
/// The kernel refuses.
pub async fn delete(netlink: &Netlink, instance: &str, uid: &str) -> Result<(), NetlinkError> {
    for link in netlink.links().await? {
        let marked = mark_of(&link).is_some_and(|mark| mark.instance == instance && mark.uid == uid);
        if marked || (unfinished(&link) && named_for(instance, uid, &link.name)) {
            tracing::info!(name = link.name, uid, "removing a network device");
            netlink.delete(&link).await?;
        }
    }
    Ok(())
}

fn mark_of(link: &Link) -> Option<Mark> {
    link.alias.as_deref().and_then(Mark::parse)
}

/// Whether it was made by us and not yet marked. Taps never are: they vanish with their maker until they are marked.
pub(crate) fn unfinished(link: &Link) -> bool {
    let ours = link.kind == Kind::Macvtap && link.group == name::GROUP && link.alias.is_none();
    ours && link.name.starts_with(Prefix::Macvtap.text())
}

fn named_for(instance: &str, uid: &str, wanted: &str) -> bool {
    (0..name::POSITIONS).any(|position| name::candidates(Prefix::Macvtap, instance, uid, position).any(|name| name == wanted))
}

/// The device with this mark.
pub(crate) fn marked<'a>(links: &'a [Link], mark: &Mark) -> Option<&'a Link> {
    let alias = mark.alias();
    links.iter().find(|link| link.alias.as_deref() == Some(alias.as_str()))
}

/// The interface that was named.
pub(crate) fn named<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, DeviceError> {
    links.iter().find(|link| link.name == name).ok_or_else(|| DeviceError::Missing(name.into()))
}
