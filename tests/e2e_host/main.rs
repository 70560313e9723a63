//! A bare machine becomes a microVM host, by ssh, and is bare again: a real Debian with a real systemd, itself a microVM of ours. Each journey has a machine of
//! its own. They take an hour of emulation within emulation, so they run by themselves, one after the other: `make e2e-host`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod ansible;
mod breakages;
#[allow(dead_code, reason = "the host's own tests use all of it")]
#[path = "../host/daemon.rs"]
mod daemon;
mod flintlock;
#[allow(dead_code, reason = "the host's own tests use all of it")]
#[path = "../lab/grpcurl.rs"]
mod grpcurl;
#[allow(dead_code, reason = "the host's own tests use all of it")]
#[path = "../host/guest.rs"]
mod guest;
#[path = "../../crates/image/tests/support/layout.rs"]
mod layout;
mod machine;
#[path = "../../crates/hostnet/tests/support/mod.rs"]
mod namespace;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
#[allow(dead_code, reason = "the host's own tests use all of it")]
#[path = "../host/ssh.rs"]
mod ssh;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::Instant;

use machine::Machine;
use registry::TestRegistry;
use serde_json::Value;
use support::within;

/// What the machine is to be.
const WISH: &str = "network: bridge
bridge-name: br-mvm
subnet: 10.42.0.0/24
dhcp: true
vip: 10.42.0.2
nat-via: eth0
packages: /srv/debs
daemon-flags: [--insecure]
";

/// What is there of what prepare may change, one thing in a line.
const EVERYTHING: &str = r#"units=$(systemctl list-unit-files --no-legend --no-pager) || exit 1
{
find /etc /opt /root /usr/local /var/lib -type f ! -name '*.capstead-new' -print0 | xargs -0 sha1sum
find /etc /opt /root /usr/local /var/lib -printf '%y %m %u %p %l\n'
echo "$units"; sysctl -a -r '^net[.]'; ip -br link | cut -c 1-30; ip -br addr show eth0; ip route; nft list ruleset
} 2>/dev/null | sort"#;

/// What restore leaves: state of packages, of kernel modules that are loaded, the daemons', and what changes by itself.
const LEFT: [&str; 21] = [
    // containerd makes it when it starts, as it does when Debian installs it.
    "/etc/cni",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ld.so.cache",
    "/etc/libnl-3",
    "/etc/nftables.conf",
    "/etc/qemu-if",
    "/etc/dnsmasq",
    "/etc/dbus-1",
    "/var/lib/cloud",
    "/var/lib/dpkg",
    "/var/lib/flintlock",
    "/var/lib/misc",
    "/var/lib/systemd",
    "nftables.service",
    "net.netfilter.",
    "net.nf_conntrack_max",
    "net.bridge.",
    "tcp_fastopen_key",
];

/// What a journey is on.
struct Journey {
    machine: Machine,
    begun: Instant,
}

impl Journey {
    fn progress(&self, what: &str) {
        println!("{:6.1} s: {what}", self.begun.elapsed().as_secs_f64());
    }
}

/// Boots a bare machine, with our command on it, and leads through a test.
fn journey(test: &str, wish: &'static str, lead: fn(&Journey)) {
    let made = guest::made(&machine::RECIPE);
    // Built where there is a network.
    grpcurl::run(&["-version"]).ok();
    let at = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(at.block_on(TestRegistry::start(tempfile::tempdir().unwrap().path())));
    drop(at);
    namespace::in_namespace(test, || async move {
        let begun = Instant::now();
        let folder = tempfile::Builder::new().prefix("e2e").tempdir().unwrap();
        let registry = TestRegistry::start(folder.path()).await;
        machine::push(&registry, &made).await;
        // Nothing else is to be done on this thread.
        let journey = Journey { machine: Machine::boot(folder.path(), &registry.address, wish), begun };
        journey.progress("a bare machine has booted");
        lead(&journey);
    });
}

#[test]
fn a_bare_machine_becomes_a_host_and_is_bare_again() {
    journey("a_bare_machine_becomes_a_host_and_is_bare_again", WISH, lead);
}

fn lead(journey: &Journey) {
    let (machine, progress) = (&journey.machine, |what: &str| journey.progress(what));
    machine.shell("install -m 0755 /srv/capstead /usr/local/bin/capstead");
    let before: BTreeSet<String> = lines(&machine.shell(EVERYTHING));
    let report = machine.check();
    assert_eq!(
        off(&report, "fail"),
        ["tools", "vmm", "kernel-modules", "bridge", "bridge-address", "dhcp", "ip-forward", "service", "listening"],
        "{report:#}"
    );
    assert_eq!(changes(&before, &lines(&machine.shell(EVERYTHING))), Vec::<&String>::new(), "a check changes nothing");
    progress("it is told what it lacks");

    assert!(machine.host(&["prepare"]).run().ok().contains(" is prepared: "));
    progress("it is prepared");
    let again = machine.host(&["prepare", "-o", "json"]).run().json();
    assert_eq!(again["changes"], Value::Array(Vec::new()), "a second run changes nothing");
    let report = machine.check();
    assert_eq!((&report["ok"], off(&report, "fail")), (&true.into(), Vec::<String>::new()), "{report:#}");
    progress("it is as it should be");

    machine.reboot();
    progress("it has booted again");
    nested(machine);
    progress("a microVM on it has an address and reaches out");

    let mut untold = Vec::new();
    for breakage in breakages::ALL {
        untold.extend(breakage.is_told(machine).err());
        progress(breakage.what);
    }
    assert_eq!(untold, Vec::<String>::new());

    assert!(machine.host(&["restore"]).run().ok().contains(" is restored: "));
    machine.shell("! getent passwd capstead-vmm && ! getent group capstead-vmm");
    let after = lines(&machine.shell(EVERYTHING));
    assert_eq!(changes(&before, &after), Vec::<&String>::new());
    progress("it is what it was");
}

/// A microVM of the machine's own daemon.
fn nested(machine: &Machine) {
    machine.shell(
        "set -e; until systemctl is-active --quiet capstead-host; do sleep 1; done
export CAPSTEAD_HOST=127.0.0.1:9090 FLINTLOCKD_STATE_DIR=/var/lib/flintlock
truncate -s 1M /tmp/disk
capstead image import oci:/srv/nested --as local.test/kernel:1 && capstead image import file:/tmp/disk --as local.test/disk:1
capstead vm create nested --vcpu 1 --kernel local.test/kernel:1 --kernel-file boot/vmlinuz --initrd local.test/kernel:1 --initrd-file boot/initrd \
    --root local.test/disk:1 --network tap --cmdline net.ifnames=0 --cmdline quiet --wait >&2",
    );
    let user =
        machine.shell("for p in /proc/[0-9]*; do ! grep -qs ^qemu-system $p/comm || id -nu $(awk '/^Uid:/ { print $2 }' $p/status); done");
    assert_eq!(user, "capstead-vmm", "who the VMM runs as");
    let log = within(daemon::BOOT, "the microVM within has done all", || {
        let log = machine.shell("CAPSTEAD_HOST=127.0.0.1:9090 capstead vm logs nested");
        if log.contains("nested: done") { Ok(log) } else { Err(log) }
    });
    assert!(log.contains("nested: address 10.42.0.") && log.contains(" by 10.42.0.1") && log.contains("nested: reaches out"), "{log}");
    machine.shell("CAPSTEAD_HOST=127.0.0.1:9090 capstead vm delete nested >&2");
}

/// Checks that ended so.
fn off(report: &Value, status: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["status"] == status);
    checks.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

/// What is there in one and not in the other, beside what restore leaves.
fn changes<'a>(before: &'a BTreeSet<String>, after: &'a BTreeSet<String>) -> Vec<&'a String> {
    before.symmetric_difference(after).filter(|line| !LEFT.iter().any(|left| line.contains(left))).collect()
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}
