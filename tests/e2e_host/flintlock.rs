//! A host of upstream's flintlockd, whose uplink joins the bridge: the thin pool and containerd are real, flintlockd is a stand-in.

use serde_json::Value;

use crate::EVERYTHING;
use crate::Journey;
use crate::changes;
use crate::journey;
use crate::lines;
use crate::machine::Machine;
use crate::off;
use crate::support::within;

const WISH: &str = "runtime: flintlock
network: bridge
bridge-name: br-mvm
parent-iface: eth0
packages: /srv/debs-flintlock
daemon-flags: [--insecure]
containerd: { pool-gib: 20 }
";

/// As far as prepare and the check look at it: it tells a version, and listens.
const FLINTLOCKD: &str = r#"#!/usr/bin/python3
import socket, sys
if sys.argv[1] == "version":
    sys.exit(print("stand-in"))
listener = socket.create_server(("0.0.0.0", 9090))
while True:
    listener.accept()
"#;

const UNIT: &str = "[Service]\nExecStart=/usr/local/bin/flintlockd run\nKillMode=process\n[Install]\nWantedBy=multi-user.target\n";

/// An emulated machine has no KVM, and nobody brings Firecracker there.
const LACKS: [&str; 3] = ["cpu-virtualization", "kvm", "vmm"];

/// What restore leaves beside what it leaves of every host: containerd's package, and what containerd stored.
const LEFT: [&str; 5] = ["containerd", "/opt", "runc", "/var/lib/dpkg", "net.ipv4.conf.br-mvm"];

#[test]
fn a_machine_becomes_a_host_of_flintlockd_and_its_uplink_joins_the_bridge() {
    journey("flintlock::a_machine_becomes_a_host_of_flintlockd_and_its_uplink_joins_the_bridge", WISH, lead);
}

fn lead(journey: &Journey) {
    let (machine, progress) = (&journey.machine, |what: &str| journey.progress(what));
    refused(machine);
    progress("without flintlockd it is refused");
    machine.shell(&format!("cat >/usr/local/bin/flintlockd <<'END'\n{FLINTLOCKD}END\nchmod 0755 /usr/local/bin/flintlockd"));
    machine.shell(&format!("printf '{}' >/etc/systemd/system/flintlockd.service; systemctl daemon-reload", UNIT.replace('\n', "\\n")));
    let before = lines(&machine.shell(EVERYTHING));
    without_device_mapper(machine);
    progress("a kernel without device-mapper is told");

    rolled_back(machine);
    progress("what cut the connection was undone");
    assert!(machine.host(&["prepare"]).run().ok().contains(" is prepared: "));
    joined(machine);
    progress("it is prepared, and reached over the bridge");
    let again = machine.host(&["prepare", "-o", "json"]).run().json();
    assert_eq!(again["changes"], Value::Array(Vec::new()), "a second run changes nothing");
    machine.reboot();
    joined(machine);
    progress("it has booted again, and is reached over the bridge");
    devmapper(machine, "ok");
    fails(machine, &[]);
    progress("containerd takes the thin pool");

    machine.shell("dmsetup remove flintlock-dev-thinpool");
    fails(machine, &["thin-pool"]);
    machine.shell("systemctl restart containerd-dev");
    devmapper(machine, "error");
    fails(machine, &["thin-pool", "snapshotter"]);
    machine.shell("systemctl restart capstead-thinpool && systemctl start flintlockd");
    devmapper(machine, "ok");
    fails(machine, &[]);
    progress("a pool that is gone is told, by the check and by containerd");

    assert!(machine.host(&["restore"]).run().ok().contains(" is restored: "));
    let after = lines(&machine.shell(EVERYTHING));
    let changes: Vec<_> = changes(&before, &after).into_iter().filter(|line| !LEFT.iter().any(|left| line.contains(left))).collect();
    assert_eq!(changes, Vec::<&String>::new());
    assert_eq!(machine.shell("dmsetup ls; losetup --list"), "No devices found");
    progress("it is what it was");
}

/// Nobody but upstream brings flintlockd.
fn refused(machine: &Machine) {
    let error = machine.host(&["prepare"]).run().fails(1);
    for reason in ["/usr/local/bin/flintlockd does not run: ", "install that of its releases", "there is no flintlockd.service"] {
        assert!(error.contains(reason), "{reason} is not in {error}");
    }
}

fn without_device_mapper(machine: &Machine) {
    let module = "/lib/modules/$(uname -r)/kernel/drivers/md/dm-thin-pool.ko";
    machine.shell(&format!("mv {module} /root/away.ko && depmod"));
    let report = machine.check();
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "device-mapper").unwrap();
    assert_eq!((&check["status"], &check["found"]), (&"fail".into(), &"this kernel has no target thin-pool".into()));
    assert!(check["fix"].as_str().unwrap().contains("Capstead's own runtime, which needs none: --runtime capstead"), "{check:#}");
    machine.shell(&format!("mv /root/away.ko {module} && depmod"));
}

/// Whoever is not reached cannot confirm.
fn rolled_back(machine: &Machine) {
    machine.cut_off_when_the_uplink_changes();
    let error = machine.host(&["prepare"]).run().fails(1);
    assert!(error.contains("the way there is cut"), "{error}");
    assert!(machine.shell("ip -br link").contains("br-mvm"), "it is as tried until its time is over");
    machine.join_again();
    within(std::time::Duration::from_secs(150), "the uplink is as it was", || {
        let now = machine
            .shell("ip -br -4 addr; ip route; ls /etc/systemd/network /run/systemd/network; ls /run/capstead-rolled-back 2>&1 || true");
        let back = now.contains("default via 10.0.2.2 dev eth0") && !now.contains("br-mvm") && now.ends_with("/run/capstead-rolled-back");
        if back { Ok(()) } else { Err(now) }
    });
    let error = machine.host(&["prepare"]).run().fails(1);
    assert!(error.contains("it cut the connection, so it was undone"), "{error}");
    machine.host(&["restore"]).run().ok();
}

fn joined(machine: &Machine) {
    let now = machine.shell("ip -br -4 addr; ip route; readlink /sys/class/net/eth0/master; ls /etc/systemd/network");
    assert!(
        now.contains("default via 10.0.2.2 dev br-mvm") && now.contains("/br-mvm\n") && now.contains("05-capstead-br-mvm.netdev"),
        "{now}"
    );
}

/// What the real containerd says.
fn devmapper(machine: &Machine, state: &str) {
    let plugins =
        "until [ -S /run/containerd-dev/containerd.sock ]; do sleep 1; done; ctr -a /run/containerd-dev/containerd.sock plugins ls";
    let told = machine.shell(plugins);
    let line = told.lines().find(|line| line.contains("devmapper")).unwrap_or_else(|| panic!("{told}"));
    assert_eq!(line.split_whitespace().last(), Some(state), "{line}");
}

/// These checks fail, and no others but those of an emulated machine.
#[track_caller]
fn fails(machine: &Machine, ids: &[&str]) {
    let report = machine.check();
    let mut told = off(&report, "fail");
    told.retain(|id| !LACKS.contains(&id.as_str()));
    assert_eq!(told, ids, "{report:#}");
}
