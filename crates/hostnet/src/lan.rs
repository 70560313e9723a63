//! A LAN for several microVMs without privileges: a process holds a user and a network namespace with a bridge; taps are made in there, VMMs run in
//! there, and slirp4netns is a port of the bridge: the way out, DHCP, DNS, and ports of the host that lead in.
//!
//! slirp4netns, not passt: it serves any number of guests behind one interface, and takes forwarded ports while it runs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::agent;
use crate::agent::AgentError;
use crate::agent::Reply;
use crate::agent::Request;
use crate::check::Invalid;
use crate::device::OwnedDevice;
use crate::netlink::Link;
use crate::port::Forward;
use crate::process;
use crate::process::Launch;
use crate::process::OwnedProcess;
use crate::process::ProcessError;
use crate::process::ProcessMark;
use crate::process::Role;
use crate::slirp;
use crate::slirp::SlirpError;
use crate::tap::Tap;
use crate::tun;

/// A LAN does not work.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// This user may not open `/dev/net/tun`, without which no namespace has taps.
    #[error("a LAN without privileges needs {device} open to this user: chmod 0666 {device}, as udev does", device = tun::DEVICE)]
    Tun(#[source] io::Error),
    /// No namespaces: mostly user namespaces are forbidden.
    #[error(
        "a LAN without privileges needs user namespaces (sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
    )]
    Namespaces(#[source] ProcessError),
    /// A process cannot be started or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A request within failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Ports cannot be forwarded.
    #[error(transparent)]
    Slirp(#[from] SlirpError),
    /// All addresses are taken, or the one that was asked for.
    #[error("the LAN {lan} has no free address{}", .wanted.map(|address| format!(" {address}")).unwrap_or_default())]
    NoAddress {
        /// Its name.
        lan: String,
        /// What was asked for.
        wanted: Option<Ipv4Addr>,
    },
}

/// The network of a LAN: which address is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    network: Ipv4Net,
}

impl Plan {
    /// The plan of a network.
    ///
    /// # Errors
    /// It has host bits, or is not of /8 to /24.
    pub fn new(field: &str, network: Ipv4Net) -> Result<Self, Invalid> {
        if network != network.trunc() || !(8..=24).contains(&network.prefix_len()) {
            let rule = "must be a network of /8 to /24, without host bits, such as 10.87.0.0/24";
            return Err(Invalid { field: field.into(), rule: rule.into(), value: network.to_string() });
        }
        Ok(Self { network })
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from(self.network.network()) | offset)
    }

    /// Length of the prefix.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.network.prefix_len()
    }

    /// The bridge's own address.
    #[must_use]
    pub fn bridge(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The gateway: slirp4netns takes the second address.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        self.at(2)
    }

    /// The name server: slirp4netns takes the third address.
    #[must_use]
    pub fn nameserver(self) -> Ipv4Addr {
        self.at(3)
    }

    /// Addresses for microVMs: not the first ten, nor those that slirp4netns' DHCP gives away (from 100).
    fn guests(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = u32::from(self.network.broadcast()) - u32::from(self.network.network());
        (10..100).chain(132..last).map(move |offset| self.at(offset))
    }

    /// An address for a microVM: the one that was asked for, else the one it had, else the first that is free.
    pub(crate) fn choose(self, wanted: Option<Ipv4Addr>, before: Option<Ipv4Addr>, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let own = [self.network.network(), self.bridge(), self.gateway(), self.nameserver(), self.network.broadcast()];
        let free = |address: &Ipv4Addr| self.network.contains(address) && !own.contains(address) && !taken.contains(address);
        match wanted.or(before) {
            Some(address) => Some(address).filter(free),
            None => self.guests().find(free),
        }
    }
}

/// One LAN. Besides microVMs, any program can run in it: put [`Lan::enter`] before its command.
#[derive(Clone, Debug)]
pub struct Lan<'a> {
    /// The folder of the host's network.
    pub dir: &'a Path,
    /// Whose it is: what is ours carries this.
    pub instance: &'a str,
    /// Its name among those of the instance.
    pub name: &'a str,
    /// Which address is whose.
    pub plan: Plan,
    /// How the daemon runs itself once more, to call [`agent::run`].
    pub agent: &'a [OsString],
    /// The user of its VMMs where we are root and they are not: then it has no user namespace, in which there would be no other user than ours.
    pub owner: Option<u32>,
    /// What is within reaches nothing outside. Ports that lead in do, and there are still DHCP and a name server, which knows no name.
    pub isolated: bool,
}

impl Lan<'_> {
    fn mark(&self, role: Role) -> ProcessMark {
        ProcessMark { instance: self.instance.into(), role, of: self.name.into() }
    }

    fn files(&self, what: &str) -> PathBuf {
        self.dir.join("lans").join(format!("{}-{what}", self.name))
    }

    fn holder(&self) -> Launch {
        let user: &[&str] = if self.owner.is_some() { &[] } else { &["--user", "--map-root-user"] };
        let args = user.iter().chain(&["--net", "sleep", "infinity"]).map(OsString::from).collect();
        Launch { program: "unshare", package: "util-linux", args, mark: self.mark(Role::Lan), files: self.files("holder") }
    }

    fn socket(&self) -> PathBuf {
        self.files("uplink").with_extension("api")
    }

    fn uplink(&self, holder: u32) -> Launch {
        let mut api = OsString::from("--api-socket=");
        api.push(self.socket());
        // Guests do not reach what listens on the host's loopback address.
        let mut args = vec![api, format!("--cidr={}", self.plan.network).into(), "--disable-host-loopback".into()];
        if self.isolated {
            // From there the kernel leads nowhere but to this machine itself, which is barred already.
            args.push(format!("--outbound-addr={}", Ipv4Addr::LOCALHOST).into());
        }
        if self.has_users(holder) {
            args.push(format!("--userns-path=/proc/{holder}/ns/user").into());
        }
        args.extend(["--netns-type=path".into(), format!("/proc/{holder}/ns/net").into(), agent::UPLINK.into()]);
        Launch { program: "slirp4netns", package: "slirp4netns", args, mark: self.mark(Role::Uplink), files: self.files("uplink") }
    }

    /// Who holds its namespaces, if it is up.
    #[must_use]
    pub fn find(&self) -> Option<OwnedProcess> {
        process::find(&self.mark(Role::Lan))
    }

    /// Waits until the holder is in its namespaces: unshare then becomes sleep.
    async fn settled(&self, holder: &OwnedProcess) -> Result<(), LanError> {
        let comm = format!("/proc/{}/comm", holder.pid);
        let inside = || fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep");
        self.holder().wait("make its namespaces", holder, inside).await.map_err(LanError::Namespaces)
    }

    async fn call(&self, holder: &OwnedProcess, request: &Request) -> Result<Reply, LanError> {
        Ok(agent::call(&self.enter(holder), holder.pid, self.agent, request).await?)
    }

    /// Whether to enter a user namespace, too. One that was made for another owner is as it is.
    fn has_users(&self, holder: u32) -> bool {
        let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/user")).ok();
        self.owner.is_none() && namespace(&holder.to_string()) != namespace("self")
    }

    /// What to put before a command, so that it runs within.
    #[must_use]
    pub fn enter(&self, holder: &OwnedProcess) -> Vec<String> {
        agent::enter(holder.pid, self.has_users(holder.pid))
    }

    /// Brings it up, or finds it: namespaces, way out, bridge ([`agent::BRIDGE`], with [`Plan::bridge`] as its address).
    ///
    /// # Errors
    /// Something is missing for it, does not start, or fails. Call again.
    pub async fn ensure(&self) -> Result<OwnedProcess, LanError> {
        OpenOptions::new().read(true).write(true).open(tun::DEVICE).map_err(LanError::Tun)?;
        if self.find().is_none() {
            // The way out of namespaces that are gone leads nowhere.
            self.stop(Role::Uplink).await?;
        }
        let holder = self.holder().ensure(|| Ok(())).await.map_err(LanError::Namespaces)?;
        self.settled(&holder).await?;
        let (launch, socket) = (self.uplink(holder.pid), self.socket());
        let uplink = launch.ensure(|| remove(&socket)).await?;
        // It listens once it has its interface.
        let listening = || fs::symlink_metadata(&socket).is_ok_and(|file| file.file_type().is_socket());
        launch.wait("come up", &uplink, listening).await?;
        let bridge = Request::Bridge { address: self.plan.bridge().into(), prefix: self.plan.prefix(), uplink: true };
        self.call(&holder, &bridge).await?;
        Ok(holder)
    }

    /// Makes a tap on its bridge, or finds it.
    pub(crate) async fn tap(&self, holder: &OwnedProcess, tap: Tap) -> Result<Link, LanError> {
        let request = Request::Tap(Tap { bridge: Some(agent::BRIDGE.into()), ..tap });
        match self.call(holder, &request).await? {
            Reply::Tap(link) => Ok(link),
            other => Err(AgentError::Failed(format!("an answer to another question: {other:?}")).into()),
        }
    }

    /// Lets these ports of the host's loopback address, and no others, lead to an address in the LAN.
    ///
    /// # Errors
    /// The way out does not answer, or a port is taken.
    pub async fn forward(&self, guest: Ipv4Addr, forwards: &[Forward]) -> Result<(), LanError> {
        Ok(slirp::forward(&self.socket(), guest, forwards).await?)
    }

    /// Devices within, if it is up.
    pub(crate) async fn devices(&self) -> Result<Vec<OwnedDevice>, LanError> {
        let Some(holder) = self.find() else { return Ok(Vec::new()) };
        self.settled(&holder).await?;
        match self.call(&holder, &Request::List { instance: self.instance.into() }).await? {
            Reply::Devices(devices) => Ok(devices),
            other => Err(AgentError::Failed(format!("an answer to another question: {other:?}")).into()),
        }
    }

    /// Removes what a microVM has within. That the LAN is down is no error.
    pub(crate) async fn delete(&self, uid: &str, guests: impl Iterator<Item = Ipv4Addr>) -> Result<(), LanError> {
        let Some(holder) = self.find() else { return Ok(()) };
        self.settled(&holder).await?;
        self.call(&holder, &Request::Delete { instance: self.instance.into(), uid: uid.into() }).await?;
        if process::find(&self.mark(Role::Uplink)).is_some() {
            for guest in guests {
                self.forward(guest, &[]).await?;
            }
        }
        Ok(())
    }

    async fn stop(&self, role: Role) -> Result<(), ProcessError> {
        match process::find(&self.mark(role)) {
            Some(found) => process::stop(&found).await,
            None => Ok(()),
        }
    }

    /// Takes it down: its way out, its namespaces, its files. That it is down is no error. A namespace lives as long as something runs in it: end that first.
    ///
    /// # Errors
    /// A process does not end, or a file cannot be removed. Call again.
    pub async fn remove(&self) -> Result<(), LanError> {
        self.stop(Role::Uplink).await?;
        self.stop(Role::Lan).await?;
        remove(&self.socket())?;
        process::forget(&self.files("uplink"))?;
        Ok(process::forget(&self.files("holder"))?)
    }
}

fn remove(path: &Path) -> Result<(), ProcessError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(process::file_failed("remove", path)(source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
