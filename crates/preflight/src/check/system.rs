//! The machine itself: kernel, memory, disk, cgroups, clock, limits.

use super::Need;
use super::Rule;
use super::advised;
use super::fail;
use super::must;
use super::pass;
use super::required;
use super::warn;
use crate::wish::Network;
use crate::wish::Packages;
use crate::wish::Runtime;
use crate::wish::Wish;

fn privileged(wish: &Wish) -> bool {
    wish.network != Network::User || wish.runtime == Runtime::Flintlock
}

fn sysctl(observed: &crate::observe::Observed, key: &str) -> Option<u64> {
    observed.sysctls.get(key)?.parse().ok()
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "kernel",
        title: "Linux kernel",
        expected: "5.10 or newer",
        why: "VMMs, Landlock, pidfds and cgroup v2 need it; before 5.4 the daemon does not run",
        fix: "install a newer kernel",
        need: required,
        judge: |_, seen| {
            let (version, release) = (seen.kernel.clone()?, seen.release.clone()?);
            match version {
                (5, 10..) | (6.., _) => pass(release),
                (5, 4..) => warn(release),
                _ => fail(release),
            }
        },
    },
    Rule {
        id: "architecture",
        title: "Processor architecture",
        expected: "x86_64",
        why: "microVMs here run on x86-64; flintlockd also on aarch64",
        fix: "take another machine",
        need: required,
        judge: |wish, seen| {
            let machine = seen.machine.clone()?;
            must(machine == "x86_64" || (machine == "aarch64" && wish.runtime == Runtime::Flintlock), machine)
        },
    },
    Rule {
        id: "privileges",
        title: "Privileges",
        expected: "root",
        why: "bridges, taps, macvtaps, thin pools and packet filters take it",
        fix: "run it by sudo, or over ssh as a user whose sudo needs no password; a host with --network user needs no root",
        need: |wish| Need::required_if(privileged(wish), "a host with --network user needs none"),
        judge: |_, seen| must(seen.root.clone()?, if seen.root.clone()? { "root" } else { "not root" }),
    },
    Rule {
        id: "systemd",
        title: "Service manager",
        expected: "systemd, with no unit failed",
        why: "the daemon, the network and the thin pool are its units, so that they come back after a reboot",
        fix: "look at `systemctl --failed`",
        need: |wish| if privileged(wish) { Need::Required } else { Need::Advised },
        judge: |_, seen| {
            let state = match &seen.systemd {
                Ok(state) => state.clone(),
                Err(unknown) if unknown.0.starts_with("process 1") => return fail(unknown.0.clone()),
                Err(unknown) => return Err(unknown.clone()),
            };
            if state == "running" { pass(state) } else { warn(state) }
        },
    },
    Rule {
        id: "memory",
        title: "Memory",
        expected: "2 GiB available, 512 MiB at least",
        why: "a microVM has 1 GiB if its spec names nothing else, and a Kubernetes node needs 2",
        fix: "end something, add memory, or give microVMs less (`memory_in_mb`)",
        need: required,
        judge: |_, seen| match seen.memory_mib.clone()? {
            mib @ 2048.. => pass(format!("{mib} MiB available")),
            mib @ 512.. => warn(format!("{mib} MiB available")),
            mib => fail(format!("{mib} MiB available")),
        },
    },
    Rule {
        id: "disk",
        title: "Room for images and disks",
        expected: "10 GiB free at {state}, 2 GiB at least",
        why: "each image is kept as layers and as a disk, each microVM has a disk of its own",
        fix: "`capstead image prune`; make room, or name another folder with --state-dir",
        need: required,
        judge: |_, seen| {
            let disk = seen.disk.clone()?;
            let found = format!("{} MiB free at {} ({})", disk.free_mib, disk.folder, disk.kind);
            match (disk.free_mib, disk.free_inodes) {
                (_, Some(inodes @ ..1_000)) => fail(format!("{inodes} inodes free at {}", disk.folder)),
                (10_240.., _) => pass(found),
                (2_048.., _) => warn(found),
                _ => fail(found),
            }
        },
    },
    Rule {
        id: "reflink",
        title: "Copies that share blocks",
        expected: "a file system with reflinks (btrfs, xfs) at {state}",
        why: "a microVM's disk is then a copy that takes no room and no time; elsewhere it is an overlay, or a copy",
        fix: "put --state-dir on btrfs or xfs; it works without",
        need: |wish| Need::advised_if(wish.runtime == Runtime::Capstead, "flintlockd keeps disks in a thin pool"),
        judge: |_, seen| {
            let disk = seen.disk.clone()?;
            must(disk.reflink, disk.kind)
        },
    },
    Rule {
        id: "cgroups",
        title: "Control groups",
        expected: "cgroup v2 with cpu, memory and pids",
        why: "each VMM gets a group of its own, so that its use is counted and it is found again",
        fix: "boot with `systemd.unified_cgroup_hierarchy=1`; VMMs run without, but in no group of their own",
        need: advised,
        judge: |_, seen| {
            let controllers = seen.controllers.clone()?;
            let missing: Vec<_> = ["cpu", "memory", "pids"].into_iter().filter(|name| !controllers.iter().any(|own| own == name)).collect();
            if missing.is_empty() { pass(controllers.join(" ")) } else { fail(format!("{} missing", missing.join(", "))) }
        },
    },
    Rule {
        id: "clock",
        title: "Clock",
        expected: "within 5 s of ours",
        why: "certificates and tokens are refused by a clock that is off; guests take their time from the host",
        fix: "`timedatectl set-ntp true`, or `date -s` where there is no time server",
        need: required,
        judge: |_, seen| {
            let ahead = seen.clock_ahead.clone()?;
            let found = match ahead {
                0 => "the same".to_owned(),
                1.. => format!("{ahead} s ahead"),
                _ => format!("{} s behind", ahead.unsigned_abs()),
            };
            match ahead.unsigned_abs() {
                0..=5 => pass(found),
                6..=60 => warn(found),
                _ => fail(found),
            }
        },
    },
    Rule {
        id: "clock-sync",
        title: "Clock is kept right",
        expected: "synchronised",
        why: "a clock that nobody keeps right drifts until certificates are refused",
        fix: "`timedatectl set-ntp true`",
        need: advised,
        judge: |_, seen| {
            let synchronized = seen.synchronized.clone()?;
            must(synchronized, if synchronized { "synchronised" } else { "not synchronised" })
        },
    },
    Rule {
        id: "inotify",
        title: "inotify limits",
        expected: "128 instances and 65536 watches for each user",
        why: "daemons and the tools beside them watch files; at the limit they fail with \"too many open files\"",
        fix: "`sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288`, and the same in /etc/sysctl.d",
        need: advised,
        judge: |_, seen| {
            let (instances, watches) = (sysctl(seen, "fs.inotify.max_user_instances"), sysctl(seen, "fs.inotify.max_user_watches"));
            let (Some(instances), Some(watches)) = (instances, watches) else { return Err(super::Unknown("no such setting".into())) };
            must(instances >= 128 && watches >= 65_536, format!("{instances} instances, {watches} watches"))
        },
    },
    Rule {
        id: "open-files",
        title: "Open files",
        expected: "fs.file-max of 100000",
        why: "each microVM holds some tens of files open",
        fix: "`sysctl -w fs.file-max=1048576`, and the same in /etc/sysctl.d",
        need: advised,
        judge: |_, seen| match sysctl(seen, "fs.file-max") {
            Some(most) => must(most >= 100_000, most.to_string()),
            None => Err(super::Unknown("no such setting".into())),
        },
    },
    Rule {
        id: "conntrack",
        title: "Connections that NAT tracks",
        expected: "less than 80 % of nf_conntrack_max, and that 32768 or more",
        why: "when the table is full, guests' packets are dropped without a word to them",
        fix: "`sysctl -w net.netfilter.nf_conntrack_max=262144`, and the same in /etc/sysctl.d",
        need: |wish| Need::advised_if(wish.nat_via.is_some(), "no NAT is wished"),
        judge: |_, seen| {
            let (most, now) = (sysctl(seen, "net.netfilter.nf_conntrack_max"), sysctl(seen, "net.netfilter.nf_conntrack_count"));
            match (most, now) {
                (Some(most), Some(now)) => must(most >= 32_768 && now * 5 < most * 4, format!("{now} of {most}")),
                _ => pass("nothing is tracked yet"),
            }
        },
    },
    Rule {
        id: "user-namespaces",
        title: "User namespaces",
        expected: "user.max_user_namespaces above 0",
        why: "a LAN of microVMs without root (`user-lan`) lives in one",
        fix: "`sysctl -w user.max_user_namespaces=15000`; QEMU's own NAT works without",
        need: |wish| Need::advised_if(wish.network == Network::User, "only --network user needs them"),
        judge: |_, seen| match sysctl(seen, "user.max_user_namespaces") {
            Some(most) => must(most > 0, most.to_string()),
            None => fail("the kernel has none"),
        },
    },
    Rule {
        id: "tools",
        title: "Programs that the network needs",
        expected: "ip; nft for NAT; dnsmasq for DHCP; slirp4netns and nsenter for `user-lan`; for flintlockd dmsetup, losetup, containerd and ctr",
        why: "the daemon's surroundings are made with them",
        fix: "`capstead host prepare` installs them; Debian: iproute2, nftables, dnsmasq-base, slirp4netns, util-linux, dmsetup, containerd",
        need: |wish| if wish.network == Network::User && wish.runtime == Runtime::Capstead { Need::Advised } else { Need::Required },
        judge: |wish, seen| {
            let missing: Vec<_> = tools(wish).into_iter().filter(|tool| !seen.programs.contains_key(*tool)).collect();
            if missing.is_empty() { pass(tools(wish).join(", ")) } else { fail(format!("{} not installed", missing.join(", "))) }
        },
    },
    Rule {
        id: "package-manager",
        title: "Package manager",
        expected: "apt-get, dnf, apk, pacman or zypper",
        why: "`capstead host prepare` installs by it what is missing",
        fix: "install by hand what `tools` names, and give prepare `--packages none`",
        need: |wish| Need::advised_if(wish.packages == Packages::Manager, "packages do not come from it"),
        judge: |_, seen| match crate::prepare::manager(&seen.programs) {
            Some(name) => pass(name),
            None => fail("none"),
        },
    },
];

/// Programs that a wish needs, by name.
pub(crate) fn tools(wish: &Wish) -> Vec<&'static str> {
    let wanted = [
        (wish.network != Network::User, "ip"),
        (wish.nat_via.is_some(), "nft"),
        (wish.dhcp, "dnsmasq"),
        (wish.network == Network::User && wish.runtime == Runtime::Capstead, "slirp4netns"),
        (wish.network == Network::User && wish.runtime == Runtime::Capstead, "nsenter"),
        (wish.runtime == Runtime::Flintlock, "dmsetup"),
        (wish.runtime == Runtime::Flintlock, "losetup"),
        (wish.runtime == Runtime::Flintlock, "containerd"),
        (wish.runtime == Runtime::Flintlock, "ctr"),
    ];
    wanted.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect()
}
