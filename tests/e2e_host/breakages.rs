//! What goes wrong on hosts, done on purpose: each is told by its own check.

use crate::machine::Machine;
use crate::off;

pub struct Breakage {
    pub what: &'static str,
    /// Checks that say so, and how.
    told: (&'static str, &'static [&'static str]),
    does: &'static str,
    mends: &'static str,
}

impl Breakage {
    /// Breaks it, asks, and mends it; tells what was told otherwise.
    pub fn is_told(&self, machine: &Machine) -> Result<(), String> {
        machine.shell(self.does);
        let report = machine.check();
        machine.shell(self.mends);
        let (status, ids) = self.told;
        let told = off(&report, status);
        // A warning may be about something else as well; a failure may not.
        let as_expected = if status == "fail" { told == ids } else { ids.iter().all(|id| told.iter().any(|told| told == id)) };
        if as_expected { Ok(()) } else { Err(format!("{}: {ids:?} should {status}, not {told:?}", self.what)) }
    }
}

const fn breakage(what: &'static str, told: (&'static str, &'static [&'static str]), does: &'static str, mends: &'static str) -> Breakage {
    Breakage { what, told, does, mends }
}

/// They wait until what they did is so.
pub const ALL: [Breakage; 22] = [
    breakage("the bridge is switched off", ("fail", &["bridge"]), "ip link set br-mvm down", "ip link set br-mvm up"),
    breakage(
        "the bridge has lost its address",
        ("fail", &["bridge-address"]),
        "ip addr del 10.42.0.1/24 dev br-mvm",
        "ip addr add 10.42.0.1/24 dev br-mvm",
    ),
    breakage("DHCP has stopped", ("fail", &["dhcp"]), "systemctl stop capstead-dhcp", "systemctl start capstead-dhcp"),
    breakage("somebody has the VIP", ("fail", &["vip"]), "ip addr add 10.42.0.2/24 dev br-mvm", "ip addr del 10.42.0.2/24 dev br-mvm"),
    breakage(
        "nothing is forwarded",
        ("fail", &["ip-forward"]),
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
    ),
    breakage("another has emptied the packet filter", ("fail", &["nat"]), "nft flush ruleset", "nft -f /etc/capstead/nat.nft"),
    breakage(
        "a firewall drops what is forwarded",
        ("fail", &["forward-policy"]),
        "nft add table ip wall; nft add chain ip wall forward '{ type filter hook forward priority 0; policy drop; }'",
        "nft delete table ip wall",
    ),
    breakage(
        "there is no way out",
        ("fail", &["uplink"]),
        "ip route del default",
        "networkctl reconfigure eth0; until ip route | grep -q ^default; do sleep 1; done",
    ),
    breakage("packets of the bridge are too large", ("warn", &["mtu"]), "ip link set eth0 mtu 1400", "ip link set eth0 mtu 1500"),
    // And so is what it is for.
    breakage("a kernel module is gone", ("fail", &["kernel-modules", "tun"]), "modprobe -r tun", "modprobe tun"),
    breakage("the tap device is gone", ("fail", &["tun"]), "mv /dev/net/tun /dev/net/away", "mv /dev/net/away /dev/net/tun"),
    breakage(
        "a program is gone",
        ("fail", &["tools"]),
        "mv /usr/sbin/dnsmasq /usr/sbin/dnsmasq.away",
        "mv /usr/sbin/dnsmasq.away /usr/sbin/dnsmasq",
    ),
    breakage(
        "the VMM is gone",
        ("fail", &["vmm"]),
        "mv /usr/bin/qemu-system-x86_64 /usr/bin/away",
        "mv /usr/bin/away /usr/bin/qemu-system-x86_64",
    ),
    breakage(
        "the VMM runs no guest",
        ("fail", &["emulation"]),
        "mv /usr/share/qemu /usr/share/qemu.away; mv /usr/share/seabios /usr/share/seabios.away",
        "mv /usr/share/qemu.away /usr/share/qemu; mv /usr/share/seabios.away /usr/share/seabios",
    ),
    breakage(
        "the disk is full",
        ("fail", &["disk"]),
        "fallocate -l $(($(df -m --output=avail / | tail -n 1) - 1000))M /filler",
        "rm /filler",
    ),
    breakage("the clock is off", ("fail", &["clock"]), "date -s @$(($(date +%s) + 1000))", "date -s @$(($(date +%s) - 1000))"),
    breakage(
        "too few files can be watched",
        ("warn", &["inotify"]),
        "sysctl -w fs.inotify.max_user_instances=8",
        "sysctl -w fs.inotify.max_user_instances=128",
    ),
    breakage(
        "a unit has failed",
        ("warn", &["systemd"]),
        "systemd-run --quiet --unit=bad --wait false || true",
        "systemctl reset-failed bad",
    ),
    breakage(
        "the daemon's program does not run",
        ("fail", &["daemon"]),
        "chmod -x /usr/local/bin/capstead",
        "chmod +x /usr/local/bin/capstead",
    ),
    breakage(
        "the daemon has stopped",
        ("fail", &["service", "listening"]),
        "systemctl stop capstead-host",
        "systemctl start capstead-host",
    ),
    breakage(
        "the daemon does not start at boot",
        ("warn", &["starts-at-boot"]),
        "systemctl disable --quiet capstead-host",
        "systemctl enable --quiet capstead-host",
    ),
    breakage(
        "restarting the daemon would kill its microVMs",
        ("warn", &["vmms-survive"]),
        "printf '[Service]\\nKillMode=mixed\\n' >/etc/systemd/system/capstead-host.service.d/mine.conf && systemctl daemon-reload",
        "rm /etc/systemd/system/capstead-host.service.d/mine.conf && systemctl daemon-reload",
    ),
];
