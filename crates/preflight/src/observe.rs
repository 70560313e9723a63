//! What is asked of a host, and what its answers say. All but [`observe`] is pure; nothing that is asked changes the host.

mod network;
mod questions;
mod service;
mod system;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;
use std::time::SystemTime;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use crate::machine::Answers;
use crate::machine::AskError;
use crate::machine::Machine;
use crate::machine::Question;
use crate::machine::Unknown;
use crate::wish::Wish;

pub use questions::Guest;
pub use questions::questions;

/// Known, or why not.
pub type Seen<T> = Result<T, Unknown>;

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// It is a character device.
    pub character: bool,
    /// Whoever asked may read and write it.
    pub open: bool,
    /// Its mode, owner and group.
    pub rights: String,
}

impl Device {
    /// Whether somebody of these groups, who does not own it, may read and write it.
    #[must_use]
    pub fn opens_to(&self, groups: &BTreeSet<String>) -> bool {
        let (mode, owner) = self.rights.split_once(' ').unwrap_or((&self.rights, ""));
        let group = owner.split_once(':').map_or("", |(_, group)| group);
        let mode = u32::from_str_radix(mode, 8).unwrap_or_default();
        mode & 0o006 == 0o006 || (mode & 0o060 == 0o060 && groups.contains(group))
    }
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// A folder in it: the one that was asked for, or the nearest above it that is there.
    pub folder: String,
    /// Free for others than root, in MiB.
    pub free_mib: u64,
    /// Free inodes; `None` where there is no such limit.
    pub free_inodes: Option<u64>,
    /// Its kind, as `stat -f` names it.
    pub kind: String,
    /// Files can share blocks.
    pub reflink: bool,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What it is: `bridge`, `macvtap`, … or empty for a real one.
    pub kind: String,
    /// It is switched on.
    pub up: bool,
    /// There is a cable, or what stands for one.
    pub carrier: bool,
    /// It is a wireless one.
    pub wireless: bool,
    /// Prepare made it.
    pub ours: bool,
    /// The bridge or bond it belongs to.
    pub master: Option<String>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its MAC.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Those for IPv4 that are no lease of DHCP's.
    pub fixed: Vec<IpNet>,
}

/// A socket that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// UDP, else TCP.
    pub udp: bool,
    /// The address, without an interface's name. `None` is any.
    pub address: Option<IpAddr>,
    /// The interface it is bound to.
    pub on: Option<String>,
    /// The port.
    pub port: u16,
    /// The process, where it may be seen.
    pub process: Option<String>,
}

/// A systemd unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// There is such a unit.
    pub loaded: bool,
    /// `active`, `inactive`, `failed`, …
    pub active: String,
    /// `enabled`, `disabled`, `static`, …
    pub enabled: String,
    /// What it runs.
    pub command: String,
    /// What is killed when it stops.
    pub kill_mode: String,
    /// Its files changed since systemd read them.
    pub stale: bool,
}

/// How the rules of the packet filter look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Lines that masquerade.
    pub masquerades: Vec<String>,
    /// Chains for forwarding whose policy is to drop.
    pub dropping: Vec<String>,
    /// The chains that drop let through what comes from, or goes to, these interfaces.
    pub accepting: BTreeSet<String>,
}

/// A guest that was booted to try it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booted {
    /// It ran.
    Ran,
    /// There is nothing to run it with.
    NoVmm,
    /// It did not; the last words.
    Failed(String),
    /// It did not come to its end in time.
    Hung,
}

/// What is seen of the daemon from outside, by a client of its API. Whoever has one fills this in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// Whom was asked.
    pub address: String,
    /// A connection was made; else why not.
    pub reached: Result<(), String>,
    /// TLS as told to the client: used and trusted; `None` without TLS.
    pub tls: Option<Result<(), String>>,
    /// The token was taken; `None` where none was sent, nor wanted.
    pub token: Option<Result<(), String>>,
    /// The services that reflection lists.
    pub services: Result<Vec<String>, String>,
    /// How many microVMs it lists.
    pub microvms: Result<u64, String>,
}

/// A network that DHCP serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first address.
    pub first: Ipv4Addr,
    /// Its last.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// A thin pool of the device mapper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Used data in percent.
    pub data: u8,
    /// Used metadata in percent.
    pub metadata: u8,
    /// It takes writes.
    pub writable: bool,
}

/// A host, as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its own name.
    pub hostname: Seen<String>,
    /// Kernel, as `(5, 10)`.
    pub kernel: Seen<(u32, u32)>,
    /// Kernel, in its own words.
    pub release: Seen<String>,
    /// Processor architecture, as the kernel names it.
    pub machine: Seen<String>,
    /// Whoever asked is root.
    pub root: Seen<bool>,
    /// What systemd says of the whole; an error where it is not what began the machine.
    pub systemd: Seen<String>,
    /// Memory for new processes in MiB.
    pub memory_mib: Seen<u64>,
    /// The processor's flags for virtualisation: `vmx`, `svm`.
    pub virtualization: Seen<Option<String>>,
    /// The file system for the daemon's state.
    pub disk: Seen<Disk>,
    /// Controllers of cgroup v2; an error where it is not mounted.
    pub controllers: Seen<Vec<String>>,
    /// By how many seconds the host's clock is ahead of ours.
    pub clock_ahead: Seen<i64>,
    /// Its clock is kept right by others.
    pub synchronized: Seen<bool>,
    /// Settings of the kernel that were asked for.
    pub sysctls: BTreeMap<String, String>,
    /// `/dev/kvm`; `None` where it is not there.
    pub kvm: Seen<Option<Device>>,
    /// `/dev/net/tun`.
    pub tun: Seen<Option<Device>>,
    /// Kernel modules that are loaded or built in.
    pub modules: Seen<BTreeSet<String>>,
    /// Kernel modules that could be loaded.
    pub loadable: Seen<BTreeSet<String>>,
    /// Programs that were found, by name, with the first line that tells their version.
    pub programs: BTreeMap<String, String>,
    /// A guest by KVM.
    pub guest_kvm: Seen<Booted>,
    /// A guest by emulation.
    pub guest_tcg: Seen<Booted>,
    /// Interfaces by name.
    pub links: Seen<BTreeMap<String, Link>>,
    /// The interface of the default route.
    pub uplink: Seen<Option<String>>,
    /// The router of the default route.
    pub gateway: Seen<Option<IpAddr>>,
    /// The MAC that a neighbour with the VIP has.
    pub vip_neighbour: Seen<Option<String>>,
    /// The interface through which the VIP is reached.
    pub vip_link: Seen<Option<String>>,
    /// Sockets that wait.
    pub listeners: Seen<Vec<Listener>>,
    /// The packet filter.
    pub filter: Seen<Filter>,
    /// What DHCP servers of this host give out.
    pub ranges: Seen<Vec<Range>>,
    /// Units by name.
    pub units: Seen<BTreeMap<String, Unit>>,
    /// The daemon's configuration file: keys and values.
    pub config: BTreeMap<String, String>,
    /// The daemon's version.
    pub version: Seen<String>,
    /// The groups of [`VMM_USER`](crate::wish::VMM_USER); `None` where there is no such user.
    pub vmm_groups: Seen<Option<BTreeSet<String>>>,
    /// The last line that the daemon logged.
    pub log: Seen<String>,
    /// Registries that resolve.
    pub resolved: BTreeMap<String, Seen<()>>,
    /// What registries answered.
    pub registries: BTreeMap<String, Seen<u16>>,
    /// Images that are there.
    pub images: Seen<BTreeSet<String>>,
    /// What the device mapper can do.
    pub dm_targets: Seen<BTreeSet<String>>,
    /// Thin pools.
    pub pools: Seen<Vec<Pool>>,
    /// containerd's configuration.
    pub containerd_config: Seen<String>,
    /// containerd's socket is there.
    pub containerd_socket: Seen<bool>,
    /// What containerd says of its devmapper snapshotter: `ok`, `error`, `skip`; `None` where it has none.
    pub devmapper: Seen<Option<String>>,
    /// The daemon as a client sees it.
    pub api: Option<Api>,
}

/// Asks the host all there is to ask, at the same time, and never beyond `deadline`.
///
/// # Errors
/// The host cannot be asked at all.
pub async fn observe(machine: &impl Machine, wish: &Wish, guest: Option<&Guest>, deadline: Duration) -> Result<Observed, AskError> {
    // On a busy host everything is slow: what would answer in time is given that time, a little less than all of it.
    let most = deadline.saturating_sub(Duration::from_secs(1));
    let patient = |question: Question| Question { limit: question.limit.max(most), ..question };
    let asked: Vec<_> = questions(wish, guest).into_iter().map(patient).collect();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let begun = now();
    let answers = machine.ask(&asked, deadline).await?;
    Ok(read(wish, &answers, &(begun..=now())))
}

/// What the answers say. `during` is our own clock, from the question to the answer, in seconds since 1970.
#[must_use]
pub fn read(wish: &Wish, answers: &Answers, during: &RangeInclusive<u64>) -> Observed {
    let (release, machine, kernel) = system::kernel(answers);
    Observed {
        hostname: answers.out("hostname").map(|out| out.trim().to_owned()),
        kernel,
        release,
        machine,
        root: answers.out("user").map(|out| out.trim() == "0"),
        systemd: system::systemd(answers),
        memory_mib: system::memory(answers),
        virtualization: system::virtualization(answers),
        disk: system::disk(answers),
        controllers: answers.out("cgroup").map(|out| out.split_whitespace().map(str::to_owned).collect()),
        clock_ahead: system::clock(answers, during),
        synchronized: answers.out("ntp").map(|out| out.trim() == "yes"),
        sysctls: system::pairs(answers.out("sysctl").unwrap_or_default(), '='),
        kvm: system::device(answers, "kvm"),
        tun: system::device(answers, "tun"),
        modules: answers.out("modules").map(system::modules),
        loadable: answers.out("loadable").map(system::modules),
        programs: system::programs(answers),
        guest_kvm: system::booted(answers, "guest-kvm"),
        guest_tcg: system::booted(answers, "guest-tcg"),
        links: network::links(answers),
        uplink: network::default_route(answers).map(|(device, _)| device),
        gateway: network::default_route(answers).map(|(_, router)| router),
        vip_neighbour: network::neighbour(answers),
        vip_link: network::vip_link(answers),
        listeners: network::listeners(answers),
        filter: network::filter(answers),
        ranges: network::ranges(answers),
        units: service::units(answers),
        config: service::config(answers),
        version: service::version(answers),
        vmm_groups: service::vmm_groups(answers),
        log: answers.out("log").map(|out| out.lines().last().unwrap_or_default().chars().take(300).collect()),
        resolved: wish.registries.iter().map(|host| (host.clone(), answers.out(&format!("dns/{host}")).map(drop))).collect(),
        registries: wish.registries.iter().map(|host| (host.clone(), service::registry(answers, host))).collect(),
        images: answers.out("images").map(|out| out.split_whitespace().map(str::to_owned).collect()),
        dm_targets: service::dm_targets(answers),
        pools: service::pools(answers),
        containerd_config: answers.out("containerd-config").map(str::to_owned),
        containerd_socket: answers.holds("containerd-socket"),
        devmapper: service::devmapper(answers),
        api: None,
    }
}
