//! What upstream's flintlockd rests on: a thin pool, a containerd of its own, and flags that lead there.

use super::Need;
use super::Rule;
use super::Unknown;
use super::daemon::active;
use super::daemon::flag;
use super::daemon::unit;
use super::fail;
use super::fail_and;
use super::must;
use super::pass;
use super::warn;
use crate::wish::Runtime;
use crate::wish::Wish;

fn flintlock(wish: &Wish) -> Need {
    Need::required_if(wish.runtime == Runtime::Flintlock, "Capstead's own runtime needs none")
}

/// A value of containerd's configuration, within the section of its devmapper snapshotter.
fn devmapper<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = config.lines().map(str::trim).skip_while(|line| !(line.starts_with('[') && line.contains("snapshotter.v1.devmapper")));
    lines.next()?;
    let own = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    own.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).find(|(name, _)| *name == key).map(|(_, value)| value)
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "device-mapper",
        title: "Device mapper",
        expected: "the kernel's target thin-pool",
        why: "flintlockd keeps microVMs' disks in a thin pool, and nowhere else",
        fix: "boot a kernel with CONFIG_DM_THIN_PROVISIONING; or use Capstead's own runtime, which needs none: --runtime capstead",
        need: flintlock,
        judge: |_, seen| {
            let loadable = |names: &Result<std::collections::BTreeSet<String>, Unknown>| {
                names.as_ref().is_ok_and(|names| names.contains("dm_thin_pool"))
            };
            match &seen.dm_targets {
                Ok(targets) if targets.contains("thin-pool") => pass("thin-pool"),
                _ if loadable(&seen.modules) => pass("dm_thin_pool is loaded"),
                _ if loadable(&seen.loadable) => {
                    fail_and("dm_thin_pool is not loaded", "`modprobe dm_thin_pool`, and its name in a file in /etc/modules-load.d")
                }
                Ok(_) => fail("this kernel has no target thin-pool"),
                Err(unknown) if !seen.programs.contains_key("dmsetup") => Err(unknown.clone()),
                Err(unknown) => fail(unknown.0.clone()),
            }
        },
    },
    Rule {
        id: "thin-pool",
        title: "Thin pool",
        expected: "{pool}, as root's `dmsetup ls` shows it",
        why: "without it containerd does not load its devmapper snapshotter: \"snapshotter not loaded: devmapper\"",
        fix: "`capstead host prepare --runtime flintlock`; `systemctl status capstead-thinpool`",
        need: flintlock,
        judge: |wish, seen| {
            if seen.root == Ok(false) {
                return Err(Unknown("dmsetup shows it to root alone".into()));
            }
            let pools = seen.pools.clone()?;
            match pools.iter().find(|pool| pool.name == wish.containerd.pool) {
                Some(_) => pass(wish.containerd.pool.clone()),
                None if pools.is_empty() => fail("no thin pool"),
                None => fail(format!("only {}", pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>().join(", "))),
            }
        },
    },
    Rule {
        id: "thin-pool-room",
        title: "Room in the thin pool",
        expected: "data and metadata less than 80 % used, writable",
        why: "a full pool goes read-only, and every microVM's disk with it",
        fix: "delete microVMs; grow the pool",
        need: flintlock,
        judge: |wish, seen| {
            let pools = seen.pools.clone()?;
            let Some(pool) = pools.iter().find(|pool| pool.name == wish.containerd.pool) else {
                return Err(Unknown("there is no such pool".into()));
            };
            let found = format!("data {} %, metadata {} %", pool.data, pool.metadata);
            match pool.data.max(pool.metadata) {
                _ if !pool.writable => fail("read-only"),
                0..80 => pass(found),
                80..95 => warn(found),
                _ => fail(found),
            }
        },
    },
    Rule {
        id: "thin-pool-at-boot",
        title: "Thin pool comes back at boot",
        expected: "a unit that makes it (capstead-thinpool), enabled; or one of LVM's",
        why: "a pool on loop devices, as upstream's provision.sh makes it, is gone after a reboot",
        fix: "`capstead host prepare --runtime flintlock`",
        need: |wish| Need::advised_if(wish.runtime == Runtime::Flintlock, "Capstead's own runtime needs none"),
        judge: |wish, seen| {
            let own = unit(seen, "capstead-thinpool.service")?;
            // LVM writes its pools' names as group-pool, with a suffix for the device below.
            let lvm = seen
                .pools
                .as_ref()
                .is_ok_and(|pools| pools.iter().any(|pool| pool.name.starts_with(&wish.containerd.pool) && pool.name.ends_with("-tpool")));
            match (own.enabled.as_str(), lvm) {
                ("enabled", _) => pass("by capstead-thinpool"),
                (_, true) => pass("by LVM"),
                _ => fail("nothing makes it again"),
            }
        },
    },
    Rule {
        id: "containerd-service",
        title: "containerd's service",
        expected: "{containerd} is active",
        why: "flintlockd keeps images, disks and its own records in it",
        fix: "`systemctl start {containerd}`; its own words: `journalctl -u {containerd} -n 20`",
        need: flintlock,
        judge: |wish, seen| active(&unit(seen, &wish.containerd.unit)?, "`capstead host prepare --runtime flintlock`"),
    },
    Rule {
        id: "containerd-socket",
        title: "containerd's socket",
        expected: "{socket}",
        why: "flintlockd talks to containerd there",
        fix: "`[grpc] address` in {config}; `systemctl restart {containerd}`",
        need: flintlock,
        judge: |wish, seen| {
            let there = seen.containerd_socket.clone()?;
            must(there, if there { wish.containerd.socket.clone() } else { "it is not there".into() })
        },
    },
    Rule {
        id: "containerd-config",
        title: "containerd's configuration",
        expected: "{config} with the devmapper snapshotter and pool_name {pool}",
        why: "with another pool, or none, the snapshotter is not loaded",
        fix: "`capstead host prepare --runtime flintlock`",
        need: flintlock,
        judge: |wish, seen| {
            let config = match &seen.containerd_config {
                Ok(config) => config,
                Err(unknown) => return fail(unknown.0.clone()),
            };
            match devmapper(config, "pool_name") {
                Some(pool) => must(pool == wish.containerd.pool, format!("pool_name {pool}")),
                None => fail("no pool_name of a devmapper snapshotter"),
            }
        },
    },
    Rule {
        id: "snapshotter",
        title: "devmapper snapshotter",
        expected: "ok, as `ctr plugins ls` shows it",
        why: "without it microVMs stay Provisioning: \"snapshotter not loaded: devmapper: invalid argument\"",
        fix: "make the thin pool, then `systemctl restart {containerd}`; its own words: `journalctl -u {containerd} -g devmapper`",
        need: flintlock,
        judge: |_, seen| match seen.devmapper.clone()? {
            Some(state) => must(state == "ok", state),
            None => fail("containerd has no such snapshotter"),
        },
    },
    Rule {
        id: "flintlockd-socket",
        title: "flintlockd uses that containerd",
        expected: "--containerd-socket {socket}",
        why: "its default is the machine's own containerd, which has neither the snapshotter nor the images",
        fix: "`capstead host prepare --runtime flintlock`, or the flag in a drop-in of flintlockd.service",
        need: flintlock,
        judge: |wish, seen| {
            let given = flag(wish, seen, "containerd-socket")?.unwrap_or_else(|| "/run/containerd/containerd.sock".into());
            must(given == wish.containerd.socket, given)
        },
    },
    Rule {
        id: "flintlockd-network",
        title: "flintlockd's network",
        expected: "--bridge-name {bridge} or --parent-iface {parent}, as wished",
        why: "without either flintlockd does not start",
        fix: "`capstead host prepare --runtime flintlock`, or the flag in a drop-in of flintlockd.service",
        need: flintlock,
        judge: |wish, seen| {
            let (bridge, parent) = (flag(wish, seen, "bridge-name")?, flag(wish, seen, "parent-iface")?);
            let found = match (&bridge, &parent) {
                (Some(bridge), _) => format!("--bridge-name {bridge}"),
                (None, Some(parent)) => format!("--parent-iface {parent}"),
                (None, None) => return fail("neither"),
            };
            let holds = match wish.network {
                crate::wish::Network::Bridge => bridge.as_deref() == Some(&wish.bridge_name),
                crate::wish::Network::Macvtap => parent.is_some() && parent == wish.parent_iface,
                crate::wish::Network::User => true,
            };
            must(holds, found)
        },
    },
    Rule {
        id: "flintlockd-tls",
        title: "flintlockd's TLS",
        expected: "--tls-cert and --tls-key, or --insecure",
        why: "without either flintlockd does not start",
        fix: "give it a certificate; --insecure only on a network where all may call it",
        need: flintlock,
        judge: |wish, seen| {
            let command = unit(seen, wish.unit())?.command;
            let insecure = command.split_whitespace().any(|word| matches!(word, "--insecure" | "--insecure=true"))
                || seen.config.get("insecure").is_some_and(|v| v == "true");
            match (flag(wish, seen, "tls-cert")?, insecure) {
                (Some(_), false) => pass("TLS"),
                (None, true) => warn("--insecure"),
                (Some(_), true) => fail("both, which exclude each other"),
                (None, false) => fail("neither"),
            }
        },
    },
];
