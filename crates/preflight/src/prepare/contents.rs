//! What stands in the files. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::ALIAS;
use crate::machine::quoted;
use crate::wish::MACVTAP_GATEWAY;
use crate::wish::Network;
use crate::wish::Runtime;
use crate::wish::Wish;

/// Begins each file.
const MARK: &str = "# Made by `capstead host prepare`. `capstead host restore` takes it away.\n";
/// The daemon's unit, as it is delivered.
const DAEMON: &str = include_str!("../../../../deploy/systemd/capstead-host.service");

/// How many addresses at the start of a subnet DHCP leaves alone, where it is large enough: the host's, and those of VIPs.
const RESERVED: u32 = 9;

pub(super) fn modules(names: &[&str]) -> String {
    format!("{MARK}{}\n", names.join("\n"))
}

pub(super) fn sysctl(key: &str, value: &str) -> String {
    format!("{MARK}{key} = {value}\n")
}

/// The interface that the host has in the microVMs' network, and its address.
pub(super) fn link_unit(wish: &Wish) -> String {
    let (name, make, port) = match wish.network {
        Network::Macvtap => {
            let parent = quoted(wish.parent_iface.as_deref().unwrap_or_default());
            (
                MACVTAP_GATEWAY.to_owned(),
                format!("ip link add {MACVTAP_GATEWAY} link {parent} type macvlan mode bridge"),
                format!("ip link set {parent} up; "),
            )
        }
        Network::Bridge | Network::User => {
            let name = quoted(&wish.bridge_name);
            let port = wish.parent_iface.as_deref().map(|port| format!("ip link set {0} master {name} up; ", quoted(port)));
            (name.clone(), format!("ip link add {name} type bridge"), port.unwrap_or_default())
        }
    };
    let address = wish.gateway().map(|net| format!("ip addr replace {net} dev {name}; ")).unwrap_or_default();
    // A parent must be up before its child; a port joins a bridge that is there.
    let (before, after) = if wish.network == Network::Macvtap { (port.as_str(), "") } else { ("", port.as_str()) };
    format!(
        "{MARK}[Unit]
Description=Network of microVMs: {name}
After=network-pre.target systemd-sysctl.service
Wants=network-pre.target
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec \"{before}[ -e /sys/class/net/{name} ] || {make}; ip link set {name} alias {ALIAS}; {address}ip link set {name} up; {after}\"
ExecStop=/bin/sh -c \"ip link del {name}\"

[Install]
WantedBy=multi-user.target
"
    )
}

/// What DHCP gives out: the subnet without the host's address, a few at its start, and the VIP. Empty where nothing is left.
pub(super) fn ranges(subnet: Ipv4Net, vip: Option<Ipv4Addr>) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = (u32::from(subnet.network()), u32::from(subnet.broadcast()));
    let reserved = if last - first > 32 { RESERVED } else { 1 };
    let (first, last) = (first + reserved + 1, last.saturating_sub(1));
    let vip = vip.map(u32::from).filter(|vip| (first..=last).contains(vip));
    let parts = match vip {
        None => vec![(first, last)],
        Some(vip) => vec![(first, vip - 1), (vip + 1, last)],
    };
    parts.into_iter().filter(|(first, last)| first <= last).map(|(first, last)| (first.into(), last.into())).collect()
}

pub(super) fn dhcp(link: &str, subnet: Ipv4Net, vip: Option<Ipv4Addr>) -> String {
    let ranges: String =
        ranges(subnet, vip).iter().map(|(first, last)| format!("dhcp-range={first},{last},{},12h\n", subnet.netmask())).collect();
    format!(
        "{MARK}interface={link}
except-interface=lo
bind-interfaces
dhcp-authoritative
{ranges}dhcp-leasefile=/run/capstead-dhcp/leases
# Neither /etc/hosts nor names without a domain are anybody else's business.
no-hosts
domain-needed
bogus-priv
"
    )
}

pub(super) const DHCP_UNIT: &str = "# Made by `capstead host prepare`. `capstead host restore` takes it away.
[Unit]
Description=DHCP and names for microVMs
Requires=capstead-link.service
After=capstead-link.service

[Service]
ExecStart=/usr/bin/env dnsmasq --keep-in-foreground --conf-file=/etc/capstead/dhcp.conf --pid-file=
Restart=always
RestartSec=2
RuntimeDirectory=capstead-dhcp
RuntimeDirectoryPreserve=restart

[Install]
WantedBy=multi-user.target
";

/// A table of our own: nobody else's rules are touched, and taking it away takes all of it away.
pub(super) fn nat(subnet: Ipv4Net, via: &str) -> String {
    let subnet = subnet.trunc();
    format!(
        "{MARK}table ip capstead
delete table ip capstead
table ip capstead {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} ip daddr != {subnet} oifname \"{via}\" masquerade
    }}
}}
"
    )
}

pub(super) const NAT_UNIT: &str = "# Made by `capstead host prepare`. `capstead host restore` takes it away.
[Unit]
Description=NAT for microVMs
After=nftables.service network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/env nft -f /etc/capstead/nat.nft
ExecReload=/usr/bin/env nft -f /etc/capstead/nat.nft
ExecStop=/usr/bin/env nft delete table ip capstead

[Install]
WantedBy=multi-user.target
";

/// The uplink as a port of the bridge, which takes over its MAC and so its lease. Names come before others' (systemd.network(5)).
pub(super) fn uplink(bridge: &str, uplink: &str, mac: &str, address: &[String], gateway: Option<&str>) -> Vec<(String, String)> {
    let own = match (address, gateway) {
        ([], _) => "DHCP=yes\n".to_owned(),
        (some, gateway) => {
            let lines: String = some.iter().map(|address| format!("Address={address}\n")).collect();
            lines + &gateway.map(|gateway| format!("Gateway={gateway}\n")).unwrap_or_default()
        }
    };
    vec![
        (format!("05-capstead-{bridge}.netdev"), format!("{MARK}[NetDev]\nName={bridge}\nKind=bridge\nMACAddress={mac}\n")),
        (format!("05-capstead-{bridge}.network"), format!("{MARK}[Match]\nName={bridge}\n\n[Network]\n{own}")),
        (
            format!("05-capstead-{uplink}.network"),
            format!("{MARK}[Match]\nName={uplink}\n\n[Network]\nBridge={bridge}\nLinkLocalAddressing=no\n"),
        ),
    ]
}

/// Keeps systemd-networkd away from an interface that is ours.
pub(super) fn unmanaged(link: &str) -> String {
    format!("{MARK}[Match]\nName={link}\n\n[Link]\nUnmanaged=yes\n")
}

/// Keeps NetworkManager away from it.
pub(super) fn unmanaged_nm(link: &str) -> String {
    format!("{MARK}[keyfile]\nunmanaged-devices+=interface-name:{link}\n")
}

pub(super) fn daemon_unit() -> String {
    format!("{MARK}{DAEMON}")
}

/// The daemon's flags, in a drop-in of its unit.
pub(super) fn daemon_drop_in(wish: &Wish) -> String {
    let mut words: Vec<String> = vec![wish.program().into()];
    if wish.runtime == Runtime::Capstead {
        words.push("host".into());
    }
    words.extend(["run".into(), "--grpc-endpoint".into(), wish.grpc_endpoint.clone()]);
    match wish.network {
        Network::Bridge => words.extend(["--bridge-name".into(), wish.bridge_name.clone()]),
        Network::Macvtap => words.extend(["--parent-iface".into(), wish.parent_iface.clone().unwrap_or_default()]),
        Network::User => (),
    }
    if wish.runtime == Runtime::Flintlock {
        words.extend([
            "--containerd-socket".into(),
            wish.containerd.socket.clone(),
            "--containerd-ns".into(),
            wish.containerd.namespace.clone(),
        ]);
    }
    words.extend(["--state-dir".into(), wish.state_dir.clone()]);
    words.extend(wish.daemon_flags.iter().cloned());
    // systemd reads quotes as shells do, and expands % and $.
    let quoted = words.iter().map(|word| quoted(word).replace('%', "%%").replace('$', "$$")).collect::<Vec<_>>().join(" ");
    let needs = match wish.runtime {
        Runtime::Flintlock => format!("Requires={0}\nAfter={0}\n", wish.containerd.unit),
        Runtime::Capstead => String::new(),
    };
    format!("{MARK}[Unit]\nAfter=capstead-link.service\n{needs}\n[Service]\nExecStart=\nExecStart={quoted}\n")
}

/// As upstream's provision.sh writes it for `--dev`.
pub(super) fn containerd_config(wish: &Wish) -> String {
    let c = &wish.containerd;
    let run = c.socket.rsplit_once('/').map_or("/run", |(folder, _)| folder);
    format!(
        "{MARK}version = 2
root = \"{root}\"
state = \"{run}\"

[grpc]
  address = \"{socket}\"

[plugins.\"io.containerd.snapshotter.v1.devmapper\"]
  pool_name = \"{pool}\"
  root_path = \"{root}/snapshotter/devmapper\"
  base_image_size = \"10GB\"
  discard_blocks = true
",
        root = c.root,
        socket = c.socket,
        pool = c.pool,
    )
}

pub(super) fn containerd_unit(wish: &Wish) -> String {
    format!(
        "{MARK}[Unit]
Description=containerd for flintlockd
Requires=capstead-thinpool.service
After=network.target capstead-thinpool.service

[Service]
Type=notify
ExecStart=/usr/bin/env containerd --config {config}
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNOFILE=infinity

[Install]
WantedBy=multi-user.target
",
        config = wish.containerd.config
    )
}

/// A thin pool on two sparse files, with upstream's figures: sectors of 512 bytes, blocks of 128, low water at 32768, no zeroing.
/// The files stay when the unit stops, and the next start finds what is in them.
pub(super) fn thin_pool_script(wish: &Wish) -> String {
    let c = &wish.containerd;
    format!(
        "#!/bin/sh
{MARK}set -eu
pool={pool}
dir={root}/snapshotter/devmapper
case \"$1\" in
start)
    dmsetup info \"$pool\" >/dev/null 2>&1 && exit 0
    modprobe -q dm_thin_pool || true
    mkdir -p \"$dir\"
    [ -e \"$dir/data\" ] || truncate -s {gib}G \"$dir/data\"
    [ -e \"$dir/metadata\" ] || truncate -s 10G \"$dir/metadata\"
    data=$(losetup -j \"$dir/data\" -O NAME -n | head -n 1); [ -n \"$data\" ] || data=$(losetup --find --show \"$dir/data\")
    metadata=$(losetup -j \"$dir/metadata\" -O NAME -n | head -n 1); [ -n \"$metadata\" ] || metadata=$(losetup --find --show \"$dir/metadata\")
    dmsetup create \"$pool\" --table \"0 $(blockdev --getsz \"$data\") thin-pool $metadata $data 128 32768 1 skip_block_zeroing\"
    ;;
stop)
    dmsetup info \"$pool\" >/dev/null 2>&1 && dmsetup remove --retry \"$pool\"
    for file in data metadata; do losetup -j \"$dir/$file\" -O NAME -n | while read -r loop; do losetup -d \"$loop\"; done; done
    ;;
esac
",
        pool = quoted(&c.pool),
        root = quoted(&c.root),
        gib = c.pool_gib,
    )
}

pub(super) const THIN_POOL_UNIT: &str = "# Made by `capstead host prepare`. `capstead host restore` takes it away.
[Unit]
Description=Thin pool for microVMs' disks
RequiresMountsFor=/var/lib

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/capstead/thinpool.sh start
ExecStop=/bin/sh /etc/capstead/thinpool.sh stop

[Install]
WantedBy=multi-user.target
";

#[cfg(test)]
mod tests;
