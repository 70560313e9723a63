//! The network of a plane with microVMs of its own: a user and a network namespace that plane, hosts and guests share, so that the clusters' addresses are
//! reachable for all of them. It needs no root. Ports of the user's loopback address lead in.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use capstead_hostnet::lan;
use capstead_hostnet::port::Forward;
use capstead_hostnet::port::Protocol;
use capstead_plane::Layout;
use capstead_plane::layout::private_dir;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::kill_process;
use rustix::process::pidfd_open;
use rustix::process::pidfd_send_signal;
use sha2::Digest;
use sha2::Sha256;
use tokio::process::Command;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::host;

pub use capstead_hostnet::agent::BRIDGE;

/// Which LAN a process is in: its instance.
const INSIDE: &str = "CAPSTEAD_LAN";
/// Of a namespace of its own, so nobody else's matters.
const NETWORK: &str = "10.77.0.0/24";
/// In the plane's folder.
const FOLDER: &str = "lan";
/// The one LAN of an instance.
const NAME: &str = "plane";
/// Of control planes, one for each cluster; below what DHCP gives away.
const VIPS: std::ops::RangeInclusive<u8> = 50..=59;

/// How long processes within may take to end that are killed.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// The network of one plane.
pub struct Lan {
    dir: PathBuf,
    instance: String,
    plan: lan::Plan,
    agent: Vec<OsString>,
    isolated: bool,
}

impl Lan {
    /// That of a plane. Nothing is up yet.
    pub fn of(layout: &Layout) -> anyhow::Result<Self> {
        let dir = layout.dir().join(FOLDER);
        private_dir(layout.dir())?;
        private_dir(&dir)?;
        private_dir(&dir.join("lans"))?;
        // It is found again after its folder is gone.
        let digest = Sha256::digest(layout.dir().as_os_str().as_encoded_bytes());
        let instance = format!("plane-{:08x}", digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte)));
        let plan = lan::Plan::new("network", NETWORK.parse().context("the network's address")?)?;
        Ok(Self { dir, instance, plan, agent: host::agent()?, isolated: false })
    }

    /// The same, from which nothing outside is reached. One that is up stays as it is.
    pub fn isolated(self, isolated: bool) -> Self {
        Self { isolated, ..self }
    }

    /// That of a plane, if it is up.
    pub fn up(layout: &Layout) -> anyhow::Result<Option<Self>> {
        if !layout.dir().join(FOLDER).is_dir() {
            return Ok(None);
        }
        let lan = Self::of(layout)?;
        let there = lan.lan().find().is_some();
        Ok(there.then_some(lan))
    }

    fn lan(&self) -> lan::Lan<'_> {
        let Self { dir, instance, plan, agent, isolated } = self;
        lan::Lan { dir, instance, name: NAME, plan: *plan, agent, owner: None, isolated: *isolated }
    }

    /// A folder for sockets, whose paths must be short.
    pub fn run_dir(&self) -> anyhow::Result<PathBuf> {
        let uid = rustix::process::geteuid().as_raw();
        let own = std::env::temp_dir().join(format!("capstead-{uid}"));
        private_dir(&own)?;
        let owner = std::fs::metadata(&own).with_context(|| format!("cannot look at {}", own.display()))?.uid();
        anyhow::ensure!(owner == uid, "{} is not yours, but of the user {owner}: TMPDIR names another place", own.display());
        let dir = own.join(&self.instance);
        private_dir(&dir)?;
        Ok(dir)
    }

    /// What of it each host has.
    pub fn run_dirs(&self) -> anyhow::Result<Vec<PathBuf>> {
        let dir = self.run_dir()?;
        let entries = std::fs::read_dir(&dir).with_context(|| format!("cannot look into {}", dir.display()))?;
        Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
    }

    /// Whether this process runs within.
    pub fn is_here(&self) -> bool {
        std::env::var(INSIDE).is_ok_and(|instance| instance == self.instance)
    }

    /// Brings it up, and runs this very command within.
    pub async fn run(&self) -> anyhow::Result<ExitCode> {
        let lan = self.lan();
        let holder = lan.ensure().await.context("cannot make a network for the plane and its microVMs")?;
        let words = lan.enter(&holder);
        let (program, rest) = words.split_first().context("there is no way into the network")?;
        let this = std::env::current_exe().context("cannot find this program's own file")?;
        // Ctrl-C reaches both; only it knows what to do then.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut command = Command::new(program);
        command.args(rest).arg(this).args(std::env::args_os().skip(1)).env(INSIDE, &self.instance);
        let mut child = command.spawn().with_context(|| format!("cannot run {program}, of the package util-linux"))?;
        let ended = loop {
            tokio::select! {
                ended = child.wait() => break ended.context("cannot wait for the command within the network")?,
                _ = interrupt.recv() => (),
                _ = terminate.recv() => {
                    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
                        kill_process(pid, Signal::TERM).context("cannot end the command within the network")?;
                    }
                }
            }
        };
        Ok(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// The bridge's own address: that of whatever runs within.
    pub fn address(&self) -> Ipv4Addr {
        self.plan.bridge()
    }

    /// The address of the n-th cluster's control plane, from 0.
    pub fn vip(n: usize) -> Option<Ipv4Addr> {
        VIPS.clone().nth(n).map(|last| Ipv4Addr::new(10, 77, 0, last))
    }

    /// Lets ports of the user's loopback address lead to an address within: pairs of theirs and its.
    pub async fn forward(&self, to: Ipv4Addr, ports: &[(u16, u16)]) -> anyhow::Result<()> {
        let forwards: Vec<Forward> = ports
            .iter()
            .map(|(host_port, guest_port)| Forward { protocol: Protocol::Tcp, host_port: *host_port, guest_port: *guest_port })
            .collect();
        self.lan().forward(to, &forwards).await.context("cannot let ports of this machine lead into the plane's network")
    }

    /// Ends all that runs within, and takes it down.
    pub async fn down(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(holder) = self.lan().find() {
            let within = within(holder.pid);
            if within.is_empty() {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "these processes do not end: {within:?}");
            within.into_iter().for_each(|pid| end(pid, holder.pid));
            tokio::time::sleep(PAUSE).await;
        }
        self.lan().remove().await.context("cannot take the plane's network down")?;
        let dir = self.run_dir()?;
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
    }
}

/// Who else is in the network namespace of a holder. A holder that has only just begun is in ours still, where nobody is to be ended.
fn within(holder: u32) -> Vec<u32> {
    let Some(namespace) = network(holder).filter(|namespace| network(std::process::id()).is_some_and(|ours| ours != *namespace)) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != holder && network(*pid).as_ref() == Some(&namespace)).collect()
}

fn network(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// Kills it, if it is still in that namespace once nobody else can have its number.
fn end(pid: u32, holder: u32) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(descriptor) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if network(pid).is_some_and(|namespace| network(holder) == Some(namespace)) {
        // That it has just ended is as good.
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
    }
}
