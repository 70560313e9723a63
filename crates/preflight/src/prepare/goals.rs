//! From the wish and what was observed to what should be. Pure.

use std::collections::BTreeMap;

use super::contents;
use super::journal::Entry;
use super::manager;
use super::state::Key;
use super::state::Plain;
use super::state::State;
use super::state::Uplink;
use crate::check::tools;
use crate::observe::Observed;
use crate::observe::Unit;
use crate::wish::Network;
use crate::wish::Packages;
use crate::wish::Runtime;
use crate::wish::VMM_USER;
use crate::wish::Wish;
use crate::wish::flag;

/// How something should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Goal {
    /// What.
    pub key: Key,
    /// How.
    pub state: State,
    /// For a unit: what it reads when it starts, and units that it needs.
    pub rests: Vec<Key>,
}

impl Goal {
    fn new(key: Key, state: State) -> Self {
        Self { key, state, rests: Vec::new() }
    }

    pub(super) fn back(entry: &Entry) -> Self {
        Self { key: entry.key.clone(), state: entry.before.clone(), rests: entry.rests.clone() }
    }
}

/// A wish that cannot come true on this machine. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {fix}")]
pub struct Refused {
    /// What is in the way.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What should be, in the order in which it is made.
///
/// # Errors
/// All that is in the way, at once.
pub fn goals(wish: &Wish, seen: &Observed) -> Result<Vec<Goal>, Vec<Refused>> {
    let refused = refusals(wish, seen);
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut all = Builder::default();
    packages(wish, seen, &mut all);
    modules(wish, &mut all);
    let link = link(wish, seen, &mut all);
    services(wish, link, &mut all);
    if wish.runtime == Runtime::Flintlock {
        containerd(wish, &mut all);
    }
    daemon(wish, seen, &mut all);
    all.images.extend(wish.images.iter().map(|image| Goal::new(Key::Image(image.clone()), State::Present)));
    Ok(all.in_order())
}

#[derive(Default)]
struct Builder {
    first: Vec<Goal>,
    folders: BTreeMap<String, ()>,
    files: Vec<Goal>,
    settings: Vec<Goal>,
    units: Vec<Goal>,
    images: Vec<Goal>,
}

impl Builder {
    fn file(&mut self, path: &str, content: impl Into<String>) -> Key {
        self.file_with(path, State::text(content))
    }

    /// Folders above that a bare system may lack are made, too.
    fn file_with(&mut self, path: &str, state: State) -> Key {
        let usual = ["/etc", "/etc/systemd", "/etc/systemd/system", "/var/lib", "/etc/sysctl.d", "/etc/modules-load.d"];
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/').filter(|(folder, _)| !folder.is_empty() && !usual.contains(folder)) {
            self.folders.insert(folder.to_owned(), ());
            above = folder;
        }
        let key = Key::File(path.to_owned());
        self.files.push(Goal::new(key.clone(), state));
        key
    }

    /// A unit with a file of its own, which runs, and starts at boot.
    fn unit(&mut self, name: &str, content: impl Into<String>, mut rests: Vec<Key>) -> Key {
        rests.push(self.file(&format!("/etc/systemd/system/{name}"), content));
        self.runs(name, rests)
    }

    fn runs(&mut self, name: &str, rests: Vec<Key>) -> Key {
        let key = Key::Unit(name.to_owned());
        self.units.push(Goal { key: key.clone(), state: State::Unit { enabled: true, active: true }, rests });
        key
    }

    fn in_order(self) -> Vec<Goal> {
        // A folder comes before those within it, as its name does.
        let folders = self.folders.into_keys().map(|path| Goal::new(Key::Folder(path), State::Present));
        self.first.into_iter().chain(folders).chain(self.files).chain(self.settings).chain(self.units).chain(self.images).collect()
    }
}

/// Packages for programs, by manager: apt-get, dnf and zypper, pacman, apk.
fn package(tool: &str, manager: &str) -> &'static str {
    match (tool, manager) {
        ("ip", "dnf") => "iproute",
        ("ip", _) => "iproute2",
        ("nft", _) => "nftables",
        ("dnsmasq", "apt-get") => "dnsmasq-base",
        ("dnsmasq", _) => "dnsmasq",
        ("slirp4netns", _) => "slirp4netns",
        ("dmsetup", "apt-get") => "dmsetup",
        ("dmsetup", _) => "device-mapper",
        ("containerd" | "ctr", _) => "containerd",
        ("qemu", "apt-get") => "qemu-system-x86",
        ("qemu", "pacman") => "qemu-base",
        ("qemu", "apk") => "qemu-system-x86_64",
        ("qemu", _) => "qemu-kvm",
        _ => "util-linux",
    }
}

fn packages(wish: &Wish, seen: &Observed, all: &mut Builder) {
    match &wish.packages {
        Packages::None => (),
        Packages::Folder(folder) => all.first.push(Goal::new(Key::Packages(folder.clone()), State::Present)),
        Packages::Manager => {
            let manager = manager(&seen.programs).unwrap_or_default();
            let any_vmm =
                ["qemu-system-x86_64", "firecracker", "cloud-hypervisor-static"].iter().any(|name| seen.programs.contains_key(*name));
            let vmm = (wish.runtime == Runtime::Capstead && !any_vmm).then_some("qemu");
            let missing = tools(wish).into_iter().filter(|tool| !seen.programs.contains_key(*tool)).chain(vmm);
            let mut names: Vec<_> = missing.map(|tool| package(tool, manager)).collect();
            names.sort_unstable();
            names.dedup();
            all.first.extend(names.into_iter().map(|name| Goal::new(Key::Package(name.into()), State::Present)));
        }
    }
}

fn modules(wish: &Wish, all: &mut Builder) {
    let names = wish.modules();
    all.first.extend(names.iter().map(|name| Goal::new(Key::Module((*name).into()), State::Present)));
    all.file("/etc/modules-load.d/capstead.conf", contents::modules(&names));
}

/// The host's interface in the microVMs' network; the unit that makes it, where one is needed.
fn link(wish: &Wish, seen: &Observed, all: &mut Builder) -> Option<Key> {
    let name = wish.gateway_link()?;
    if joins(wish, seen) {
        uplink(wish, seen, all);
        return None;
    }
    let mut rests = Vec::new();
    let active = |unit: &str| seen.units.as_ref().is_ok_and(|units| units.get(unit).is_some_and(|unit| unit.active == "active"));
    if active("systemd-networkd.service") {
        rests.push(all.file(&format!("/etc/systemd/network/05-capstead-{name}.network"), contents::unmanaged(name)));
    }
    if active("NetworkManager.service") {
        rests.push(all.file("/etc/NetworkManager/conf.d/capstead.conf", contents::unmanaged_nm(name)));
    }
    Some(all.unit("capstead-link.service", contents::link_unit(wish), rests))
}

/// Whether the uplink itself is to be a port of the bridge, or is one by our doing.
fn joins(wish: &Wish, seen: &Observed) -> bool {
    let uplink = seen.uplink.clone().unwrap_or_default();
    let bridge = &wish.bridge_name;
    wish.network == Network::Bridge && wish.parent_iface.is_some() && (uplink == wish.parent_iface || uplink.as_ref() == Some(bridge))
}

fn uplink(wish: &Wish, seen: &Observed, all: &mut Builder) {
    let (Some(link), Ok(links)) = (&wish.parent_iface, &seen.links) else { return };
    let mac = links.get(link).map(|link| link.mac.clone()).unwrap_or_default();
    // Once it has joined, the bridge has the address. One by DHCP is asked for by the bridge, which has the same MAC.
    let holder = [link, &wish.bridge_name].into_iter().filter_map(|name| links.get(name)).find(|link| !link.addresses.is_empty());
    let fixed: Vec<String> = holder.map(|link| link.fixed.iter().map(ToString::to_string).collect()).unwrap_or_default();
    let gateway = seen.gateway.clone().ok().flatten().map(|gateway| gateway.to_string());
    let files = contents::uplink(&wish.bridge_name, link, &mac, &fixed, gateway.as_deref());
    for (name, content) in &files {
        all.file(&format!("/etc/systemd/network/{name}"), content.clone());
    }
    all.first.push(Goal::new(Key::Uplink(Uplink { link: link.clone(), bridge: wish.bridge_name.clone(), files }), State::Present));
}

fn services(wish: &Wish, link: Option<Key>, all: &mut Builder) {
    let (Some(name), Some(subnet)) = (wish.gateway_link(), wish.subnet) else { return };
    if wish.dhcp {
        let conf = all.file("/etc/capstead/dhcp.conf", contents::dhcp(name, subnet, wish.vip));
        all.unit("capstead-dhcp.service", contents::DHCP_UNIT, [Some(conf), link].into_iter().flatten().collect());
    }
    if let Some(via) = &wish.nat_via {
        all.file("/etc/sysctl.d/90-capstead.conf", contents::sysctl("net.ipv4.ip_forward", "1"));
        all.settings.push(Goal::new(Key::Sysctl("net.ipv4.ip_forward".into()), State::Value("1".into())));
        let table = all.file("/etc/capstead/nat.nft", contents::nat(subnet, via));
        all.unit("capstead-nat.service", contents::NAT_UNIT, vec![table]);
    }
}

fn containerd(wish: &Wish, all: &mut Builder) {
    let script = State::File(Plain { content: contents::thin_pool_script(wish).into(), mode: 0o755, owner: (0, 0) });
    let script = all.file_with("/etc/capstead/thinpool.sh", script);
    let pool = all.unit("capstead-thinpool.service", contents::THIN_POOL_UNIT, vec![script]);
    let config = all.file(&wish.containerd.config, contents::containerd_config(wish));
    all.unit(&wish.containerd.unit, contents::containerd_unit(wish), vec![config, pool]);
}

/// Who VMMs run as, unless the daemon is told of somebody else.
fn vmm_user(wish: &Wish, seen: &Observed, all: &mut Builder) -> Option<Key> {
    let told = flag(wish.daemon_flags.iter().map(String::as_str), "vmm-user").or_else(|| seen.config.get("vmm-user").map(String::as_str));
    if told.is_some_and(|name| !name.is_empty() && name != VMM_USER) {
        return None;
    }
    let key = Key::User(VMM_USER.into());
    all.first.push(Goal::new(key.clone(), State::Present));
    Some(key)
}

fn daemon(wish: &Wish, seen: &Observed, all: &mut Builder) {
    let drop_in = all.file(&format!("/etc/systemd/system/{}.d/capstead.conf", wish.unit()), contents::daemon_drop_in(wish));
    match wish.runtime {
        Runtime::Capstead => {
            let user = vmm_user(wish, seen, all);
            all.unit(wish.unit(), contents::daemon_unit(), [Some(drop_in), user].into_iter().flatten().collect())
        }
        // flintlockd's own unit comes with flintlockd.
        Runtime::Flintlock => all.runs(wish.unit(), vec![drop_in, Key::Unit(wish.containerd.unit.clone())]),
    };
}

fn refusals(wish: &Wish, seen: &Observed) -> Vec<Refused> {
    let mut all = Vec::new();
    let mut refuse = |what: String, fix: &str| all.push(Refused { what, fix: fix.to_owned() });
    if seen.root != Ok(true) {
        refuse("not root".into(), "run it by sudo, or over ssh as root or as a user whose sudo needs no password");
    }
    if let Err(unknown) = &seen.systemd {
        refuse(
            format!("systemd does not run here: {unknown}"),
            "prepare makes units of systemd; on another system follow the reference, by hand",
        );
    }
    if let Err(unknown) = &seen.version {
        let fix = match wish.runtime {
            Runtime::Capstead => format!("copy it there: `install -m 0755 capstead {}`", wish.program()),
            Runtime::Flintlock => format!("prepare brings no flintlockd: install that of its releases as {}", wish.program()),
        };
        refuse(format!("{} does not run: {unknown}", wish.program()), &fix);
    }
    if let (Ok(_), Err(unknown)) = (&seen.systemd, &seen.units) {
        refuse(format!("units cannot be seen: {unknown}"), "where the host is only slow, try again");
    }
    let installed = |units: &BTreeMap<String, Unit>| units.get(wish.unit()).is_some_and(|unit| unit.loaded);
    if wish.runtime == Runtime::Flintlock && seen.units.as_ref().is_ok_and(|units| !installed(units)) {
        refuse("there is no flintlockd.service".into(), "install flintlockd with its unit first");
    }
    if let Some(flags) = unsafe_to_start(wish, seen) {
        let what = format!("{} would not start: everybody who reaches {} could do anything", wish.program(), wish.grpc_endpoint);
        refuse(what, &format!("give it {flags} (its flags stand behind `--`), or --grpc-endpoint 127.0.0.1:9090"));
    }
    let needs_packages = tools(wish).into_iter().any(|tool| !seen.programs.contains_key(tool));
    if wish.packages == Packages::Manager && needs_packages && manager(&seen.programs).is_none() {
        refuse(
            "no package manager that is known".into(),
            "install by hand what `host check` names under `tools`, and give `--packages none`",
        );
    }
    network(wish, seen, &mut refuse);
    subnet(wish, seen, &mut refuse);
    all
}

/// Flags of which the daemon needs one before it serves, where it has none of them.
fn unsafe_to_start(wish: &Wish, seen: &Observed) -> Option<&'static str> {
    let (names, text): (&[_], _) = match wish.runtime {
        Runtime::Capstead if !wish.serves_others() => return None,
        Runtime::Capstead => (&["tls-cert", "basic-auth-token", "insecure"], "--tls-cert and --tls-key, --basic-auth-token, or --insecure"),
        Runtime::Flintlock => (&["tls-cert", "insecure"], "--tls-cert and --tls-key, or --insecure (which it needs on 127.0.0.1, too)"),
    };
    let flag = |word: &String| word.strip_prefix("--").is_some_and(|word| names.contains(&word.split('=').next().unwrap_or_default()));
    let given = wish.daemon_flags.iter().any(flag) || names.iter().any(|name| seen.config.contains_key(*name));
    (!given).then_some(text)
}

fn network(wish: &Wish, seen: &Observed, refuse: &mut impl FnMut(String, &str)) {
    let links = match &seen.links {
        Ok(links) => links,
        Err(_) if wish.network == Network::User => return,
        Err(unknown) => return refuse(format!("interfaces cannot be seen: {unknown}"), "install iproute2"),
    };
    let names = [Some(&wish.bridge_name), wish.parent_iface.as_ref(), wish.nat_via.as_ref()];
    // The kernel takes more; these words go into files and shells.
    let plain =
        |name: &&String| !(1..=15).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    if let Some(name) = names.into_iter().flatten().find(plain) {
        return refuse(format!("{name:?} is no name of an interface"), "name one of 1 to 15 letters, digits, '-', '_' and '.'");
    }
    if let Some(other) = links.get(&wish.bridge_name).filter(|link| wish.network == Network::Bridge && link.kind != "bridge") {
        refuse(format!("{} is there, and no bridge", other.name), "name another with --bridge-name");
    }
    if let Some(via) = wish.nat_via.as_ref().filter(|via| !links.contains_key(*via)) {
        refuse(format!("there is no {via} to NAT through"), "`ip -br link` lists interfaces");
    }
    match (&wish.parent_iface, wish.network) {
        (None, Network::Macvtap) => refuse("--network macvtap needs a parent".into(), "name it with --parent-iface"),
        (Some(parent), Network::Macvtap | Network::Bridge) => match links.get(parent) {
            None => refuse(format!("there is no {parent}"), "`ip -br link` lists interfaces"),
            Some(link) if link.wireless => {
                refuse(
                    format!("{parent} is wireless, and takes one MAC only"),
                    "--network bridge with --subnet, --dhcp and --nat-via that interface",
                );
            }
            Some(link) if link.master.as_ref().is_some_and(|master| *master != wish.bridge_name) => {
                refuse(format!("{parent} belongs to {}", link.master.clone().unwrap_or_default()), "name another with --parent-iface");
            }
            Some(_) if joins(wish, seen) => {
                let active =
                    |units: &BTreeMap<String, Unit>| units.get("systemd-networkd.service").is_some_and(|unit| unit.active == "active");
                let others = seen.units.as_ref().is_ok_and(|units| !active(units));
                if others {
                    refuse(
                        format!("{parent} is this host's uplink, and systemd-networkd does not look after it"),
                        "make the bridge by what does (ifupdown, NetworkManager), and name it with --bridge-name alone; or use NAT: --subnet 10.42.0.0/24 --dhcp --nat-via",
                    );
                }
                if wish.subnet.is_some() || wish.dhcp || wish.nat_via.is_some() {
                    refuse(
                        "microVMs would be on the uplink's own network, which has its own addresses".into(),
                        "leave --subnet, --dhcp and --nat-via out, or --parent-iface",
                    );
                }
            }
            Some(_) => (),
        },
        _ => (),
    }
}

fn subnet(wish: &Wish, seen: &Observed, refuse: &mut impl FnMut(String, &str)) {
    if wish.network == Network::User && (wish.subnet.is_some() || wish.dhcp || wish.nat_via.is_some()) {
        return refuse("--network user has its own addresses".into(), "leave --subnet, --dhcp and --nat-via out, or take --network bridge");
    }
    let Some(subnet) = wish.subnet else {
        if wish.dhcp || wish.nat_via.is_some() {
            refuse("DHCP and NAT need a subnet".into(), "name it with --subnet, as 10.42.0.0/24");
        }
        return;
    };
    if !(8..=29).contains(&subnet.prefix_len()) {
        return refuse(format!("{subnet} is not of use"), "name a subnet of /8 to /29");
    }
    if let (Some(other), Ok(links)) = (&wish.gateway_link(), &seen.links) {
        let taken = links.values().filter(|link| link.name != *other && !link.ours).flat_map(|link| &link.addresses);
        let overlaps =
            |net: &&ipnet::IpNet| matches!(net, ipnet::IpNet::V4(net) if net.contains(&subnet.network()) || subnet.contains(&net.addr()));
        if let Some(net) = taken.clone().find(overlaps) {
            refuse(format!("{subnet} overlaps with {net}, which this host has on another interface"), "name another with --subnet");
        }
    }
    if let Some(vip) = wish.vip {
        let gateway = wish.gateway().map(|net| net.addr());
        if !subnet.contains(&vip) || vip == subnet.network() || vip == subnet.broadcast() || Some(vip) == gateway {
            refuse(
                format!("{vip} cannot be the VIP: it must be a host's address of {subnet}, and not this host's"),
                "name another with --vip",
            );
        }
    }
}

#[cfg(test)]
mod tests;
