//! The host's network as a whole: what an interface needs is made, found again, listed and removed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::Ipv4Net;
use tokio::sync::Mutex;

use crate::check;
use crate::check::Invalid;
use crate::device;
use crate::device::DeviceError;
use crate::device::OwnedDevice;
use crate::interface;
use crate::interface::Attach;
use crate::interface::Attached;
use crate::interface::Interface;
use crate::lan::Lan;
use crate::lan::LanError;
use crate::lan::Plan;
use crate::macvtap;
use crate::macvtap::Macvtap;
use crate::name::Mark;
use crate::netlink::Netlink;
use crate::netlink::NetlinkError;
use crate::passt::Passt;
use crate::port;
use crate::port::PortError;
use crate::port::WantedForward;
use crate::process;
use crate::process::OwnedProcess;
use crate::process::ProcessError;
use crate::process::Role;
use crate::record::Kept;
use crate::record::KeptLan;
use crate::record::Others;
use crate::record::Record;
use crate::record::RecordError;
use crate::record::Records;
use crate::tap;
use crate::tap::Tap;

/// How this host's network is used.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which daemon on this host it is. Two daemons with different ones leave each other's devices and processes alone.
    pub instance: String,
    /// A folder of our own, for records, locks, logs and sockets. Short: a socket's path below it has 107 bytes at most.
    pub dir: PathBuf,
    /// The user VMMs run as, who may open taps and passt's sockets. `None`: our own.
    pub owner: Option<u32>,
    /// The command that calls [`agent::run`](crate::agent::run), for what is done within a LAN.
    pub agent: Vec<OsString>,
    /// The network of LANs; each LAN has it for itself.
    pub lan_network: Ipv4Net,
}

/// The host's network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The folder cannot be made.
    #[error("cannot make the folder {path}")]
    Dir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel refuses.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// An interface cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// A field breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A forwarded port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// passt.
    #[error(transparent)]
    Passt(#[from] ProcessError),
    /// A LAN.
    #[error(transparent)]
    Lan(#[from] LanError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What a microVM has cannot be removed, or what is ours cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The uid breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A device.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A LAN.
    #[error(transparent)]
    Lan(#[from] LanError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// All that is ours on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Taps and macvtaps.
    pub devices: Vec<OwnedDevice>,
    /// Taps within LANs, by the LAN's name. A LAN that is up is listed even when it is empty.
    pub lans: BTreeMap<String, Vec<OwnedDevice>>,
    /// Processes: passt, holders of LANs, their ways out.
    pub processes: Vec<OwnedProcess>,
    /// The uids of which there are records of ports and addresses.
    pub records: Vec<String>,
}

impl Owned {
    /// The microVMs that have something. What is here and in no record of the daemon's is a leak: [`HostNet::delete`] it.
    #[must_use]
    pub fn uids(&self) -> BTreeSet<String> {
        let devices = self.devices.iter().chain(self.lans.values().flatten());
        let devices = devices.filter_map(|device| device.mark.as_ref()).map(|mark| mark.uid.clone());
        let passts = self.processes.iter().filter_map(passt_of).map(|(uid, _)| uid.to_owned());
        devices.chain(passts).chain(self.records.iter().cloned()).collect()
    }
}

/// Whose interface a passt is for.
fn passt_of(found: &OwnedProcess) -> Option<(&str, u8)> {
    let (uid, position) = found.mark.of.rsplit_once('.').filter(|_| found.mark.role == Role::Passt)?;
    Some((uid, position.parse().ok()?))
}

/// The host's network. Of one instance there must be one at a time; clones are the same one.
#[derive(Clone, Debug)]
pub struct HostNet {
    config: Arc<Config>,
    plan: Plan,
    netlink: Netlink,
    records: Records,
    /// One change at a time: two would choose the same name, port or address.
    turn: Arc<Mutex<()>>,
}

impl HostNet {
    /// Opens it. Nothing is made but folders. Must be called within a tokio runtime, in the network namespace that is meant.
    ///
    /// # Errors
    /// The configuration breaks a rule, or the folder cannot be made.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        check::id("instance", &config.instance)?;
        let plan = Plan::new("lan_network", config.lan_network)?;
        // passt reaches its socket as the user it becomes.
        for (name, mode) in [("", 0o711), ("records", 0o700), ("lans", 0o700), ("passt", 0o711)] {
            let path = config.dir.join(name);
            let made = DirBuilder::new().recursive(true).mode(mode).create(&path);
            made.map_err(|source| OpenError::Dir { path: path.clone(), source })?;
        }
        let records = Records(config.dir.join("records"));
        Ok(Self { plan, netlink: Netlink::open()?, records, turn: Arc::default(), config: Arc::new(config) })
    }

    /// Makes what an interface needs, or finds it, finished or not.
    ///
    /// # Errors
    /// A field breaks a rule, the host lacks something, or the kernel or a program refuses. What is made by then stays: call again, or
    /// [`delete`](Self::delete).
    pub async fn ensure(&self, interface: &Interface) -> Result<Attached, EnsureError> {
        interface::check(interface)?;
        let _turn = self.turn.lock().await;
        let Interface { uid, device_id, position, mac, attach } = interface;
        let mark = Mark { instance: self.config.instance.clone(), uid: uid.clone(), device_id: device_id.clone() };
        let position = *position;
        match attach {
            Attach::Tap { bridge } => {
                let tap = Tap { mark, position, bridge: bridge.clone(), owner: self.config.owner };
                Ok(Attached::Tap(tap::ensure(&self.netlink, &tap).await?))
            }
            Attach::Macvtap { parent } => {
                let macvtap = Macvtap { mark, position, parent: parent.clone(), mac: *mac };
                Ok(Attached::Macvtap(macvtap::ensure(&self.netlink, &macvtap).await?))
            }
            Attach::User { forwards } => Ok(Attached::User { forwards: self.keep(interface, forwards, None)?.forwards }),
            Attach::Passt { forwards } => {
                let forwards = self.keep(interface, forwards, None)?.forwards;
                let (socket, _) = self.passt(uid, position).ensure(&forwards).await?;
                Ok(Attached::Passt { socket, forwards })
            }
            Attach::UserLan { lan: name, address, forwards } => {
                let kept = self.keep(interface, forwards, Some((name, *address)))?;
                let no_address = || LanError::NoAddress { lan: name.clone(), wanted: *address };
                let address = kept.lan.ok_or_else(no_address)?.address;
                let lan = self.lan(name);
                let holder = lan.ensure().await?;
                let tap = lan.tap(&holder, Tap { mark, position, bridge: None, owner: lan.owner }).await?;
                lan.forward(address, &kept.forwards).await?;
                Ok(Attached::UserLan {
                    tap,
                    enter: lan.enter(&holder),
                    address: Ipv4Net::new(address, self.plan.prefix()).unwrap_or_else(|_| address.into()),
                    gateway: self.plan.gateway(),
                    nameserver: self.plan.nameserver(),
                    forwards: kept.forwards,
                })
            }
        }
    }

    /// Chooses ports and an address, and writes them down before anything is made with them.
    fn keep(&self, interface: &Interface, wanted: &[WantedForward], lan: Option<(&str, Option<Ipv4Addr>)>) -> Result<Kept, EnsureError> {
        let Interface { uid, position, .. } = interface;
        let mut record = self.records.read(uid)?;
        let before = record.interfaces.remove(position).unwrap_or_default();
        let others = self.records.others(uid)?.records;
        let kept = || others.iter().chain([&record]).flat_map(|record| record.interfaces.values());
        let claimed = kept().flat_map(|kept| &kept.forwards).map(|forward| (forward.protocol, forward.host_port)).collect();
        let forwards = port::choose(wanted, &before.forwards, &claimed, &format!("{uid}/{position}"))?;
        let lan = match lan {
            None => None,
            Some((name, wanted)) => {
                let taken = kept().filter_map(|kept| kept.lan.as_ref()).filter(|lan| lan.name == name).map(|lan| lan.address).collect();
                let had = before.lan.as_ref().filter(|lan| lan.name == name).map(|lan| lan.address);
                let address = self.plan.choose(wanted, had, &taken).ok_or_else(|| LanError::NoAddress { lan: name.into(), wanted })?;
                Some(KeptLan { name: name.into(), address })
            }
        };
        let chosen = Kept { forwards, lan };
        record.interfaces.insert(*position, chosen.clone());
        if self.records.read(uid)? != record {
            self.records.write(uid, &record)?;
        }
        Ok(chosen)
    }

    fn passt<'a>(&'a self, uid: &'a str, position: u8) -> Passt<'a> {
        Passt { dir: &self.config.dir, instance: &self.config.instance, uid, position, owner: self.config.owner }
    }

    fn lan<'a>(&'a self, name: &'a str) -> Lan<'a> {
        let Config { dir, instance, agent, owner, .. } = self.config.as_ref();
        let owner = owner.filter(|_| rustix::process::geteuid().is_root());
        Lan { dir, instance, name, plan: self.plan, agent, owner, isolated: false }
    }

    /// Removes all that a microVM has; a LAN with the last microVM in it. Its VMM must have ended. That there is nothing is no error.
    ///
    /// # Errors
    /// The kernel refuses, or a process does not end. Call again.
    pub async fn delete(&self, uid: &str) -> Result<(), SweepError> {
        check::id("uid", uid)?;
        let _turn = self.turn.lock().await;
        device::delete(&self.netlink, &self.config.instance, uid).await?;
        let processes = process::list(&self.config.instance);
        // A record that cannot be read hides which LANs and positions there were: then all are looked at.
        let read = self.records.read(uid).inspect_err(|error| tracing::warn!(%error, uid, "removing by marks alone"));
        let hidden = read.is_err();
        let record = read.unwrap_or_default();
        let others = self.records.others(uid)?;
        let running = processes.iter().filter(|found| found.mark.role != Role::Passt).map(|found| found.mark.of.as_str());
        // A LAN that nobody uses goes, too, whoever left it behind.
        let lans: BTreeSet<&str> = running.filter(|lan| hidden || !others.use_lan(lan)).chain(record.lans()).collect();
        let positions: BTreeSet<u8> =
            processes.iter().filter_map(passt_of).filter(|(of, _)| *of == uid).map(|(_, position)| position).collect();
        for position in positions.into_iter().chain(record.interfaces.keys().copied()) {
            self.passt(uid, position).remove().await?;
        }
        for name in lans {
            self.leave(name, uid, &record, &others).await?;
        }
        Ok(self.records.remove(uid)?)
    }

    async fn leave(&self, name: &str, uid: &str, record: &Record, others: &Others) -> Result<(), SweepError> {
        let lan = self.lan(name);
        if !others.use_lan(name) {
            return Ok(lan.remove().await?);
        }
        let places = record.interfaces.values().filter_map(|kept| kept.lan.as_ref()).filter(|lan| lan.name == name);
        Ok(lan.delete(uid, places.map(|place| place.address)).await?)
    }

    /// All that is ours on this host, to compare with what ought to be.
    ///
    /// # Errors
    /// The kernel refuses, or a LAN does not answer.
    pub async fn list(&self) -> Result<Owned, SweepError> {
        let _turn = self.turn.lock().await;
        let processes = process::list(&self.config.instance);
        let mut lans = BTreeMap::new();
        for found in processes.iter().filter(|found| found.mark.role == Role::Lan) {
            lans.insert(found.mark.of.clone(), self.lan(&found.mark.of).devices().await?);
        }
        let devices = device::list(&self.netlink, &self.config.instance).await?;
        Ok(Owned { devices, lans, processes, records: self.records.uids()? })
    }
}
