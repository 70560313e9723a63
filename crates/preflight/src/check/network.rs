//! The way from guests to the world.

use super::Judged;
use super::Need;
use super::Rule;
use super::Unknown;
use super::fail;
use super::fail_and;
use super::must;
use super::pass;
use super::warn;
use crate::observe::Device;
use crate::observe::Link;
use crate::observe::Observed;
use crate::wish::Network;
use crate::wish::Wish;

fn link<'a>(seen: &'a Observed, name: &str) -> Result<Option<&'a Link>, Unknown> {
    seen.links.as_ref().map(|links| links.get(name)).map_err(Clone::clone)
}

fn bridged(wish: &Wish) -> Need {
    Need::required_if(wish.network == Network::Bridge, "no bridge is wished")
}

fn parented(wish: &Wish) -> Need {
    Need::required_if(wish.network == Network::Macvtap, "no macvtap is wished")
}

fn natted(wish: &Wish) -> Need {
    Need::required_if(wish.nat_via.is_some() && wish.subnet.is_some(), "no NAT is wished")
}

fn parent(wish: &Wish) -> Result<&str, Unknown> {
    wish.parent_iface.as_deref().ok_or_else(|| Unknown("no --parent-iface is named".into()))
}

fn device(path: &str, device: Option<Device>) -> Judged {
    match device {
        None => fail(format!("there is no {path}")),
        Some(device) if !device.character => fail(format!("{path} is no device")),
        Some(device) if !device.open => {
            fail_and(format!("may not be opened ({})", device.rights), format!("`sudo chmod 0666 {path}`, as udev does"))
        }
        Some(device) => pass(format!("open ({})", device.rights)),
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "kernel-modules",
        title: "Kernel modules",
        expected: "{modules}, loaded or built in",
        why: "they make the devices that guests' networks and disks rest on",
        fix: "`modprobe -a {modules}`, and the names in a file in /etc/modules-load.d",
        need: |wish| if wish.network == Network::User { Need::Advised } else { Need::Required },
        judge: |wish, seen| {
            let (own, loadable) = (seen.modules.clone()?, seen.loadable.clone().unwrap_or_default());
            let missing: Vec<_> = wish.modules().into_iter().filter(|name| !own.contains(*name)).collect();
            let nowhere: Vec<_> = missing.iter().copied().filter(|name| !loadable.contains(*name)).collect();
            match (missing.as_slice(), nowhere.as_slice()) {
                ([], _) => pass(wish.modules().join(", ")),
                (_, []) => fail(format!("{} not loaded", missing.join(", "))),
                _ => fail_and(
                    format!("this kernel has no {}", nowhere.join(", ")),
                    "boot a kernel with it (Debian: linux-image-amd64 in place of a cloud provider's own)",
                ),
            }
        },
    },
    Rule {
        id: "tun",
        title: "Tap devices",
        expected: "/dev/net/tun, open to whoever runs the daemon",
        why: "a tap is made by it",
        fix: "`modprobe tun`",
        need: |wish| match wish.network {
            Network::Bridge => Need::Required,
            Network::User => Need::Advised,
            Network::Macvtap => Need::Not("macvtaps have devices of their own"),
        },
        judge: |_, seen| device("/dev/net/tun", seen.tun.clone()?),
    },
    Rule {
        id: "bridge",
        title: "Bridge",
        expected: "{bridge}, a bridge, switched on",
        why: "taps join it",
        fix: "`capstead host prepare --network bridge --bridge-name {bridge}`",
        need: bridged,
        judge: |wish, seen| match link(seen, &wish.bridge_name)? {
            None => fail(format!("there is no {}", wish.bridge_name)),
            Some(link) if link.kind != "bridge" => {
                let kind = if link.kind.is_empty() { "a real interface" } else { &link.kind };
                fail_and(format!("{} is {kind}", link.name), "name another with --bridge-name")
            }
            Some(link) if !link.up => fail_and("switched off", "`ip link set {bridge} up`"),
            Some(_) => pass("switched on"),
        },
    },
    Rule {
        id: "bridge-address",
        title: "Host's address on the microVMs' network",
        expected: "{gateway} on {link}",
        why: "it is guests' gateway, and where they reach this host",
        fix: "`capstead host prepare`, or `ip addr add {gateway} dev {link}`",
        need: |wish| Need::required_if(wish.subnet.is_some() && wish.gateway_link().is_some(), "no --subnet is named"),
        judge: |wish, seen| {
            let (Some(name), Some(gateway)) = (wish.gateway_link(), wish.gateway()) else {
                return Err(Unknown("the subnet has no address".into()));
            };
            let Some(link) = link(seen, name)? else { return fail(format!("there is no {name}")) };
            let own: Vec<_> = link.addresses.iter().filter(|net| net.addr().is_ipv4()).map(ToString::to_string).collect();
            must(own.contains(&gateway.to_string()), if own.is_empty() { "none".to_owned() } else { own.join(", ") })
        },
    },
    Rule {
        id: "parent-interface",
        title: "Parent interface",
        expected: "{parent}, switched on, with a cable",
        why: "macvtaps reach the network through it",
        fix: "`ip link set {parent} up`; plug in a cable: without a link no macvtap passes anything",
        need: parented,
        judge: |wish, seen| {
            let name = parent(wish)?;
            match link(seen, name)? {
                None => fail_and(format!("there is no {name}"), "name another with --parent-iface; `ip -br link` lists them"),
                Some(link) if !link.up => fail("switched off"),
                Some(link) if !link.carrier => fail("no carrier: no cable, or nothing at its other end"),
                Some(link) => pass(format!("up, MTU {}", link.mtu)),
            }
        },
    },
    Rule {
        id: "parent-wired",
        title: "Parent interface is wired",
        expected: "a wired interface that belongs to no bridge",
        why: "a wireless network takes one MAC from each station, and a bridge's port takes packets away from macvtaps",
        fix: "use a bridge with NAT through it: --network bridge --subnet 10.42.0.0/24 --dhcp --nat-via {parent}",
        need: parented,
        judge: |wish, seen| match link(seen, parent(wish)?)? {
            None => Err(Unknown("it is not there".into())),
            Some(link) if link.wireless => fail("wireless"),
            Some(Link { master: Some(master), .. }) => fail_and(format!("belongs to {master}"), "name that one's own parent, or another"),
            Some(_) => pass("wired"),
        },
    },
    Rule {
        id: "bridge-port",
        title: "Port of the bridge",
        expected: "{parent} is a port of {bridge}, switched on, with a cable",
        why: "through it microVMs are on the same network as the host's neighbours",
        fix: "`capstead host prepare --network bridge --bridge-name {bridge} --parent-iface {parent}`",
        need: |wish| Need::required_if(wish.network == Network::Bridge && wish.parent_iface.is_some(), "no port is wished"),
        judge: |wish, seen| {
            let name = parent(wish)?;
            match link(seen, name)? {
                None => fail(format!("there is no {name}")),
                Some(link) if link.master.as_deref() != Some(&wish.bridge_name) => {
                    fail(link.master.as_ref().map_or("belongs to no bridge".into(), |master| format!("belongs to {master}")))
                }
                Some(link) if !link.up || !link.carrier => fail_and("no carrier", "`ip link set {parent} up`; plug in a cable"),
                Some(_) => pass("port"),
            }
        },
    },
    Rule {
        id: "uplink",
        title: "Way out",
        expected: "a default route",
        why: "images are pulled, and guests reach the world, through it",
        fix: "`ip route`; look at the network's own configuration",
        need: |wish| if wish.nat_via.is_some() { Need::Required } else { Need::Advised },
        judge: |wish, seen| match (seen.uplink.clone()?, &wish.nat_via) {
            (None, _) => fail("no default route"),
            (Some(uplink), Some(nat)) if uplink != *nat => warn(format!("through {uplink}, and NAT is wished through {nat}")),
            (Some(uplink), _) => pass(format!("through {uplink}")),
        },
    },
    Rule {
        id: "mtu",
        title: "MTU",
        expected: "1280 or more, and not above the uplink's",
        why: "larger packets than the way out takes are lost where its answer is filtered: TLS hangs, small requests work",
        fix: "`ip link set {link} mtu N` with the uplink's, before microVMs are made",
        need: |wish| Need::advised_if(wish.network != Network::User, "the VMM's own network has its own"),
        judge: |wish, seen| {
            let name = wish.gateway_link().or(wish.parent_iface.as_deref()).ok_or_else(|| Unknown("no interface is named".into()))?;
            let Some(own) = link(seen, name)? else { return Err(Unknown(format!("there is no {name}"))) };
            let uplink = match seen.uplink.clone()? {
                Some(uplink) => link(seen, &uplink)?,
                None => None,
            };
            match uplink {
                _ if own.mtu < 1280 => fail(format!("{} has {}", own.name, own.mtu)),
                Some(uplink) if own.mtu > uplink.mtu => fail(format!("{} has {}, {} has {}", own.name, own.mtu, uplink.name, uplink.mtu)),
                _ => pass(own.mtu.to_string()),
            }
        },
    },
    Rule {
        id: "dhcp",
        title: "DHCP server",
        expected: "a server on {link}, with a range in {subnet}",
        why: "guests without a static address get theirs from it",
        fix: "`capstead host prepare --dhcp`, or `systemctl status capstead-dhcp`",
        need: |wish| Need::required_if(wish.dhcp, "no DHCP is wished: another machine's, or static addresses"),
        judge: |wish, seen| {
            let listeners = seen.listeners.clone()?;
            let link = wish.gateway_link().unwrap_or_default();
            let server = listeners.iter().find(|l| l.udp && l.port == 67 && l.on.as_deref().is_none_or(|on| on == link));
            let Some(server) = server else { return fail(format!("nothing waits for DHCP on {link}")) };
            let who = server.process.as_deref().unwrap_or("a process");
            let ranges = seen.ranges.clone().unwrap_or_default();
            let within =
                |range: &&crate::observe::Range| wish.subnet.is_none_or(|net| net.contains(&range.first) && net.contains(&range.last));
            match ranges.iter().find(within) {
                Some(range) => pass(format!("{who}, {} to {}", range.first, range.last)),
                None if ranges.is_empty() => warn(format!("{who}, whose configuration is not known")),
                None => fail(format!("{who} gives no address of the subnet")),
            }
        },
    },
    Rule {
        id: "vip",
        title: "VIP is free",
        expected: "{vip} in {subnet}, outside of DHCP's range, nobody's yet",
        why: "the control plane's address must be its own: given to a guest, it breaks the cluster at random",
        fix: "name another with --vip, or take it out of DHCP's range",
        need: |wish| Need::required_if(wish.vip.is_some(), "no VIP is named"),
        judge: |wish, seen| {
            let Some(vip) = wish.vip else { return Err(Unknown("none is named".into())) };
            if let Some(subnet) = wish.subnet
                && !(subnet.contains(&vip) && vip != subnet.network() && vip != subnet.broadcast())
            {
                return fail(format!("{vip} is no host's address of {subnet}"));
            }
            if let Some(range) = seen.ranges.clone().unwrap_or_default().into_iter().find(|range| range.contains(vip)) {
                return fail(format!("in DHCP's range, {} to {}", range.first, range.last));
            }
            let links = seen.links.as_ref().map_err(Clone::clone)?;
            if let Some(link) = links.values().find(|link| link.addresses.iter().any(|net| net.addr() == std::net::IpAddr::V4(vip))) {
                return fail(format!("{} of this host has it", link.name));
            }
            // A cluster that runs has it rightly; that cannot be told apart from here.
            match seen.vip_neighbour.clone() {
                Ok(Some(mac)) => warn(format!("{mac} answers for it")),
                _ => pass("free, as far as this host knows"),
            }
        },
    },
    Rule {
        id: "vip-route",
        title: "Way to the VIP",
        expected: "a route to {vip} on the microVMs' own network",
        why: "Cluster API's controllers and you reach the cluster's API there; ask the same where the controllers run",
        fix: "`ip route get {vip}`; take an address of {subnet}, or route it to this host",
        need: |wish| {
            Need::required_if(wish.vip.is_some() && wish.network != Network::User, "no VIP is named, or it is within the VMM's own network")
        },
        judge: |wish, seen| {
            let vip = wish.vip.map(|vip| vip.to_string()).unwrap_or_default();
            match (seen.vip_link.clone()?, wish.gateway_link()) {
                (None, _) => fail(format!("no route leads to {vip}")),
                (Some(link), Some(own)) if link != own && link != "lo" => warn(format!("through {link}, and not {own}")),
                (Some(link), _) => pass(format!("through {link}")),
            }
        },
    },
    Rule {
        id: "ip-forward",
        title: "Forwarding",
        expected: "net.ipv4.ip_forward = 1",
        why: "without it the kernel drops what guests send beyond this host",
        fix: "`sysctl -w net.ipv4.ip_forward=1`, and the same in /etc/sysctl.d",
        need: natted,
        judge: |_, seen| match seen.sysctls.get("net.ipv4.ip_forward") {
            Some(value) => must(value == "1", value.clone()),
            None => Err(Unknown("no such setting".into())),
        },
    },
    Rule {
        id: "nat",
        title: "NAT",
        expected: "{subnet} is masqueraded through {nat}",
        why: "the world knows no way back to guests' own addresses",
        fix: "`capstead host prepare --nat-via {nat}`, or `systemctl status capstead-nat`",
        need: natted,
        judge: |wish, seen| {
            let filter = seen.filter.clone()?;
            let (subnet, nat) =
                (wish.subnet.map(|net| net.trunc().to_string()).unwrap_or_default(), wish.nat_via.clone().unwrap_or_default());
            // A rule that names no source, or no interface, holds for all.
            let suits = |line: &&String| {
                let sources = line.contains("saddr") || line.contains("-s ");
                let leaves = line.contains("oifname") || line.contains("oif ") || line.contains("-o ");
                let word = |wanted: &str| line.split([' ', '"']).any(|word| word == wanted);
                let others = line.contains("oifname !=") || line.contains("! -o");
                (!sources || word(&subnet)) && (!leaves || word(&nat) || others)
            };
            match filter.masquerades.iter().find(suits) {
                Some(rule) => pass(rule.clone()),
                None if filter.masquerades.is_empty() => fail("no rule masquerades"),
                None => fail(format!("no rule for it, but: {}", filter.masquerades.join("; "))),
            }
        },
    },
    Rule {
        id: "forward-policy",
        title: "Packet filter lets guests through",
        expected: "no chain for forwarding drops, or one that accepts {link}",
        why: "Docker and firewalls drop by default what is forwarded; an accepting rule of another table does not help against it",
        fix: "`iptables -I DOCKER-USER -i {link} -j ACCEPT && iptables -I DOCKER-USER -o {link} -j ACCEPT`, or the same in your firewall",
        need: natted,
        judge: |wish, seen| {
            let filter = seen.filter.clone()?;
            let link = wish.gateway_link().unwrap_or_default();
            match filter.dropping.as_slice() {
                [] => pass("nothing is dropped by default"),
                some if filter.accepting.contains(link) => pass(format!("{} drops, and accepts {link}", some.join(", "))),
                some => fail(format!("{} drops by default", some.join(", "))),
            }
        },
    },
    Rule {
        id: "bridge-filter",
        title: "Packet filter within the bridge",
        expected: "net.bridge.bridge-nf-call-iptables = 0, unless forwarding is accepted",
        why: "with it, and a FORWARD chain that drops (Docker's), guests of one bridge do not reach each other",
        fix: "`sysctl -w net.bridge.bridge-nf-call-iptables=0`, where Kubernetes does not run on this host itself",
        need: |wish| Need::advised_if(wish.network == Network::Bridge, "no bridge is wished"),
        judge: |wish, seen| {
            let dropping =
                seen.filter.as_ref().is_ok_and(|filter| !filter.dropping.is_empty() && !filter.accepting.contains(&wish.bridge_name));
            match seen.sysctls.get("net.bridge.bridge-nf-call-iptables").map(String::as_str) {
                Some("1") if dropping => fail("1, and forwarding is dropped by default"),
                Some(value) => pass(value),
                None => pass("br_netfilter is not loaded"),
            }
        },
    },
];
