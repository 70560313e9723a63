use std::collections::BTreeSet;

use super::Report;
use super::Status;
use super::judge;
use super::judge_from_outside;
use super::rules;
use crate::machine::Answer;
use crate::machine::Answers;
use crate::machine::Machine;
use crate::machine::Recorded;
use crate::observe::Api;
use crate::observe::observe;
use crate::observe::read;
use crate::wish::Network;
use crate::wish::Runtime;
use crate::wish::Wish;

mod recorded;

use recorded::NOW;
use recorded::capstead_wish;
use recorded::flintlock_wish;
use recorded::healthy;
use recorded::macvtap_wish;
use recorded::unit;

fn api() -> Api {
    Api {
        address: "mvm-1:9090".into(),
        reached: Ok(()),
        tls: Some(Ok(())),
        token: Some(Ok(())),
        services: Ok(vec![super::daemon::SERVICE.into()]),
        microvms: Ok(2),
    }
}

fn report(wish: &Wish, answers: &Answers) -> Report {
    let mut observed = read(wish, answers, &(NOW..=NOW));
    observed.api = Some(api());
    judge("mvm-1", wish, &observed)
}

/// Checks that are neither passed nor skipped as of no matter.
fn off(report: &Report) -> Vec<(&str, Status)> {
    let unknown = |check: &super::Check| check.status == Status::Skip && check.found.starts_with("cannot tell");
    let off = report.checks.iter().filter(|check| matches!(check.status, Status::Fail | Status::Warn) || unknown(check));
    off.map(|check| (check.id.as_str(), check.status)).collect()
}

#[test]
fn a_healthy_host_of_each_kind_passes() {
    let user = Wish::default();
    for wish in [capstead_wish(), flintlock_wish(), macvtap_wish(), user] {
        let report = report(&wish, &healthy());
        assert_eq!(off(&report), [], "{wish:?}");
        assert!(report.ok);
        assert_eq!(report.exit_code(), 0);
    }
}

/// Kind of host, the answer that is another one, and what it is; then the check that tells, and a part of what it tells.
type Breakage = (Wish, &'static str, Answer, &'static str, Status, &'static str);

fn breakages() -> Vec<Breakage> {
    use Status::Fail;
    use Status::Skip;
    use Status::Warn;
    let (own, flint, macvtap) = (capstead_wish, flintlock_wish, macvtap_wish);
    let answer = |name: &str| healthy().out(name).unwrap().to_owned();
    let without = |name: &str, line: &str| Answer::ok(answer(name).lines().filter(|l| !l.contains(line)).collect::<Vec<_>>().join("\n"));
    let replaced = |name: &str, from: &str, to: &str| {
        assert!(answer(name).contains(from));
        Answer::ok(answer(name).replace(from, to))
    };
    vec![
        (own(), "kernel", Answer::ok("4.19.0-1 x86_64"), "kernel", Fail, "4.19.0-1"),
        (own(), "kernel", Answer::ok("6.1.0 riscv64"), "architecture", Fail, "riscv64"),
        (own(), "user", Answer::ok("1000"), "privileges", Fail, "not root"),
        (
            own(),
            "systemd",
            Answer::Ended { code: 3, out: "openrc-init\n".into(), err: String::new() },
            "systemd",
            Fail,
            "process 1 is openrc-init",
        ),
        (own(), "systemd", Answer::ok("degraded"), "systemd", Warn, "degraded"),
        (own(), "memory", Answer::ok("MemAvailable: 300000 kB"), "memory", Fail, "292 MiB available"),
        (own(), "disk", replaced("disk", "50000000", "1000000"), "disk", Fail, "976 MiB free at /var/lib"),
        (own(), "disk", replaced("disk", "/dev/sda1 0 0 0", "/dev/sda1 5000 4990 10"), "disk", Fail, "10 inodes"),
        (own(), "disk", replaced("disk", "btrfs", "ext2/ext3"), "reflink", Warn, "ext2/ext3"),
        (own(), "cgroup", Answer::failed(1, "cgroup v2 is not mounted"), "cgroups", Skip, "cgroup v2 is not mounted"),
        (own(), "cgroup", Answer::ok("cpu io"), "cgroups", Warn, "memory, pids missing"),
        (own(), "clock", Answer::ok("1789999000"), "clock", Fail, "1000 s behind"),
        (own(), "ntp", Answer::ok("no"), "clock-sync", Warn, "not synchronised"),
        (own(), "sysctl", replaced("sysctl", "max_user_instances=128", "max_user_instances=64"), "inotify", Warn, "64 instances"),
        (own(), "sysctl", replaced("sysctl", "fs.file-max=9223372036854775807", "fs.file-max=8192"), "open-files", Warn, "8192"),
        (own(), "sysctl", replaced("sysctl", "nf_conntrack_count=12", "nf_conntrack_count=250000"), "conntrack", Warn, "250000 of 262144"),
        (Wish::default(), "sysctl", replaced("sysctl", "max_user_namespaces=15000", "max_user_namespaces=0"), "user-namespaces", Warn, "0"),
        (own(), "programs", without("programs", "dnsmasq"), "tools", Fail, "dnsmasq not installed"),
        (own(), "programs", without("programs", "apt-get"), "package-manager", Warn, "none"),
        (flint(), "cpu", Answer::ok("flags: fpu sse2"), "cpu-virtualization", Fail, "neither"),
        (own(), "cpu", Answer::ok("flags: fpu sse2"), "cpu-virtualization", Warn, "neither"),
        (flint(), "kvm", Answer::ok("absent"), "kvm", Fail, "there is no /dev/kvm"),
        (flint(), "kvm", Answer::ok("character special file,660 root:kvm"), "kvm", Fail, "may not be opened (660 root:kvm)"),
        (flint(), "guest-kvm", Answer::ok("hung"), "guest", Fail, "by KVM a guest does not come to its end; ran by emulation"),
        (own(), "guest-kvm", Answer::ok("failed\nCould not access KVM kernel module"), "guest", Warn, "Could not access KVM"),
        (macvtap(), "version/qemu-system-x86_64", Answer::ok("QEMU emulator version 6.2.0"), "vmm-version", Warn, "qemu-system-x86_64 6.2"),
        (own(), "modules", without("modules", "tun"), "kernel-modules", Fail, "this kernel has no tun"),
        (own(), "tun", Answer::ok("absent"), "tun", Fail, "there is no /dev/net/tun"),
        (own(), "links", replaced("links", r#""linkinfo":{"info_kind":"bridge"},"#, ""), "bridge", Fail, "br-mvm is a real interface"),
        (own(), "links", replaced("links", r#""local":"10.42.0.1""#, r#""local":"10.42.0.9""#), "bridge-address", Fail, "10.42.0.9/24"),
        (
            macvtap(),
            "links",
            replaced(
                "links",
                r#"{"ifname":"eno4","flags":["BROADCAST","UP","LOWER_UP"]"#,
                r#"{"ifname":"eno4","flags":["BROADCAST","UP"]"#,
            ),
            "parent-interface",
            Fail,
            "no carrier",
        ),
        (Wish { parent_iface: Some("wlo5".into()), ..macvtap() }, "user", Answer::ok("0"), "parent-wired", Fail, "wireless"),
        (
            Wish { parent_iface: Some("eno4".into()), nat_via: None, dhcp: false, vip: None, subnet: None, ..own() },
            "user",
            Answer::ok("0"),
            "bridge-port",
            Fail,
            "belongs to no bridge",
        ),
        (own(), "routes", Answer::ok("[]"), "uplink", Fail, "no default route"),
        (
            own(),
            "links",
            replaced("links", r#""mtu":1500,"address":"52:54:00:00:00:02""#, r#""mtu":9000,"address":"52:54:00:00:00:02""#),
            "mtu",
            Warn,
            "br-mvm has 9000, eth0 has 1500",
        ),
        (own(), "listeners", without("listeners", ":67"), "dhcp", Fail, "nothing waits for DHCP on br-mvm"),
        (own(), "dhcp", Answer::ok("dhcp-range=10.42.0.2,10.42.0.200,12h"), "vip", Fail, "in DHCP's range, 10.42.0.2 to 10.42.0.200"),
        (
            own(),
            "neighbour",
            Answer::ok(r#"[{"dst":"10.42.0.2","dev":"br-mvm","lladdr":"aa:bb:cc:00:00:01"}]"#),
            "vip",
            Warn,
            "aa:bb:cc:00:00:01 answers",
        ),
        (own(), "vip-route", Answer::ok(""), "vip-route", Fail, "no route leads to 10.42.0.2"),
        (own(), "vip-route", Answer::ok(r#"[{"dst":"10.42.0.2","dev":"eth0"}]"#), "vip-route", Warn, "through eth0, and not br-mvm"),
        (own(), "sysctl", replaced("sysctl", "ip_forward=1", "ip_forward=0"), "ip-forward", Fail, "0"),
        (own(), "filter", Answer::ok(""), "nat", Fail, "no rule masquerades"),
        (own(), "filter", replaced("filter", "\"eth0\"", "\"eth1\""), "nat", Fail, "no rule for it, but:"),
        (
            own(),
            "filter",
            Answer::ok(format!("{}\n*filter\n:FORWARD DROP [0:0]\n", answer("filter"))),
            "forward-policy",
            Fail,
            "iptables FORWARD drops",
        ),
        (own(), "version", Answer::failed(127, "sh: /usr/local/bin/capstead: not found"), "daemon", Fail, "not found"),
        (
            own(),
            "units",
            replaced(
                "units",
                "Id=capstead-host.service\nLoadState=loaded\nActiveState=active",
                "Id=capstead-host.service\nLoadState=loaded\nActiveState=failed",
            ),
            "service",
            Fail,
            "failed: serving",
        ),
        (
            own(),
            "units",
            Answer::ok(answer("units").replacen("UnitFileState=enabled", "UnitFileState=disabled", 1)),
            "starts-at-boot",
            Warn,
            "disabled",
        ),
        (
            own(),
            "units",
            Answer::ok(answer("units").replacen("NeedDaemonReload=no", "NeedDaemonReload=yes", 1)),
            "unit-is-read",
            Warn,
            "changed on disk",
        ),
        (
            own(),
            "units",
            Answer::ok(answer("units").replacen("KillMode=process", "KillMode=control-group", 1)),
            "vmms-survive",
            Warn,
            "control-group",
        ),
        (own(), "vmm-user", Answer::ok(""), "vmm-user", Warn, "there is no such user"),
        (own(), "vmm-user", Answer::ok("capstead-vmm\n"), "vmm-user", Warn, "may not open /dev/kvm (660 root:kvm)"),
        (own(), "config", Answer::ok("vmm-user: root"), "vmm-user", Warn, "--vmm-user root"),
        (own(), "listeners", replaced("listeners", "*:9090", "127.0.0.1:9090"), "listening", Fail, "on 127.0.0.1 only"),
        (own(), "listeners", replaced("listeners", "\"capstead\"", "\"prometheus\""), "listening", Fail, "prometheus has port 9090"),
        (own(), "dns/ghcr.io", Answer::failed(2, ""), "name-resolution", Warn, "ghcr.io"),
        (
            own(),
            "registry/ghcr.io",
            Answer::failed(28, "curl: (28) Connection timed out after 2001 milliseconds"),
            "registry",
            Warn,
            "timed out",
        ),
        (flint(), "images", Answer::ok(""), "images", Fail, "missing: ghcr.io/a/kernel:1"),
        (flint(), "containerd-socket", Answer::failed(1, ""), "containerd-socket", Fail, "it is not there"),
        (
            flint(),
            "containerd-config",
            replaced("containerd-config", "flintlock-dev-thinpool", "other"),
            "containerd-config",
            Fail,
            "pool_name other",
        ),
        (
            flint(),
            "snapshotters",
            replaced("snapshotters", "devmapper linux/amd64 ok", "devmapper linux/amd64 error"),
            "snapshotter",
            Fail,
            "error",
        ),
        (
            flint(),
            "units",
            replaced("units", "--containerd-socket /run/containerd-dev/containerd.sock ", ""),
            "flintlockd-socket",
            Fail,
            "/run/containerd/containerd.sock",
        ),
        (flint(), "units", replaced("units", "--bridge-name br-mvm ", ""), "flintlockd-network", Fail, "neither"),
        (flint(), "units", replaced("units", "--tls-cert /etc/host.pem", ""), "flintlockd-tls", Fail, "neither"),
        (
            flint(),
            "units",
            Answer::ok(answer("units").replace(&unit("containerd-dev.service", "active", ""), "")),
            "containerd-service",
            Fail,
            "there is no such unit",
        ),
        (
            flint(),
            "pools",
            Answer::ok("flintlock-dev-thinpool: 0 209715200 thin-pool 1 234/2621440 1600000/1638400 - rw -"),
            "thin-pool-room",
            Fail,
            "data 97 %",
        ),
        (flint(), "version/cloud-hypervisor-static", Answer::ok("absent"), "macvtap-support", Skip, ""),
    ]
}

#[test]
fn each_breakage_is_told_by_its_own_check_and_no_other() {
    for (wish, question, answer, id, status, found) in breakages() {
        let mut answers = healthy();
        answers.0.insert(question.into(), answer.clone());
        let report = report(&wish, &answers);
        let check = report.checks.iter().find(|check| check.id == id).unwrap();
        assert_eq!(check.status, status, "{id} of {question} {answer:?}: {check:?}");
        assert!(check.found.contains(found), "{id}: {:?} has no {found:?}", check.found);
        if id == "macvtap-support" {
            continue;
        }
        assert_eq!(off(&report), [(id, status)], "{question} {answer:?}");
        assert!(!check.fix.is_empty() && !check.why.is_empty() && !check.expected.is_empty());
        assert!(!check.fix.contains(['{', '}']), "{}", check.fix);
        let code = match (check.required, status) {
            (true, Status::Fail) => 1,
            (true, Status::Skip) => 2,
            _ => 0,
        };
        assert_eq!((report.exit_code(), report.ok), (code, code == 0), "{id}");
    }
}

#[test]
fn one_cause_that_breaks_several_things_is_told_by_each() {
    let several: [(Wish, &str, Answer, &[&str]); 5] = [
        // Without the bridge there is no address on it, and no MTU to compare.
        (capstead_wish(), "links", Answer::ok("[]"), &["bridge", "bridge-address", "mtu"]),
        (flintlock_wish(), "pools", Answer::ok("No devices found"), &["thin-pool", "thin-pool-room"]),
        (capstead_wish(), "links", Answer::failed(127, "sh: ip: not found"), &["bridge", "bridge-address", "mtu", "vip"]),
        (flintlock_wish(), "snapshotters", Answer::TimedOut, &["snapshotter"]),
        (flintlock_wish(), "listeners", Answer::TimedOut, &["dhcp", "listening"]),
    ];
    for (wish, question, answer, ids) in several {
        let mut answers = healthy();
        answers.0.insert(question.into(), answer);
        let report = report(&wish, &answers);
        assert_eq!(off(&report).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids, "{question}");
        assert!(!report.ok);
    }
}

#[test]
fn a_kernel_without_device_mapper_is_told_so_and_pointed_to_another_runtime() {
    let mut answers = healthy();
    answers.0.insert("dm-targets".into(), Answer::ok("linear v1.5.0\n"));
    answers.0.insert("modules".into(), Answer::ok("bridge tun loop"));
    let report = report(&flintlock_wish(), &answers);
    let check = report.checks.iter().find(|check| check.id == "device-mapper").unwrap();
    assert_eq!((check.status, check.found.as_str()), (Status::Fail, "this kernel has no target thin-pool"));
    assert!(check.fix.contains("--runtime capstead"), "{}", check.fix);
}

#[test]
fn firecracker_takes_no_macvtap_by_flintlockd() {
    let wish = Wish { runtime: Runtime::Flintlock, ..macvtap_wish() };
    let mut answers = healthy();
    answers.0.insert("version/cloud-hypervisor-static".into(), Answer::ok("absent"));
    let report = report(&wish, &answers);
    let check = report.checks.iter().find(|check| check.id == "macvtap-support").unwrap();
    assert_eq!(check.status, Status::Fail);
    assert!(check.why.contains("macvtap network interfaces not supported by the microvm provider"));
}

#[test]
fn what_a_client_sees_is_told() {
    type Change = fn(&mut Api);
    let changes: [(&str, Change, u8); 5] = [
        ("tls", |api| api.tls = Some(Err("unknown authority".into())), 1),
        ("tls", |api| api.tls = None, 0),
        ("auth", |api| api.token = Some(Err("invalid auth token".into())), 1),
        ("grpc-api", |api| api.services = Ok(vec!["grpc.health.v1.Health".into()]), 1),
        ("list-microvms", |api| api.microvms = Err("deadline exceeded".into()), 1),
    ];
    let wish = capstead_wish();
    for (id, change, code) in changes {
        let mut observed = read(&wish, &healthy(), &(NOW..=NOW));
        let mut seen = api();
        change(&mut seen);
        let outside = judge_from_outside(&wish, seen.clone());
        observed.api = Some(seen);
        assert_eq!(off(&judge("mvm-1", &wish, &observed)), [(id, Status::Warn)], "from inside it is no more than that");
        let status = if code == 0 { Status::Warn } else { Status::Fail };
        assert_eq!((off(&outside), outside.exit_code()), (vec![(id, status)], code));
    }
}

#[test]
fn from_outside_a_host_is_judged_by_what_a_client_sees() {
    let wish = capstead_wish();
    let well = judge_from_outside(&wish, api());
    let ids: Vec<_> = well.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids, super::daemon::OUTSIDE);
    assert!(well.ok && well.checks.iter().all(|check| check.required && check.status == Status::Pass), "{well:?}");
    assert_eq!((well.host.as_str(), well.exit_code()), ("mvm-1:9090", 0));

    let gone = judge_from_outside(&wish, Api { reached: Err("connection refused".into()), ..api() });
    let skipped = |id| (id, Status::Skip);
    let expected = [("reachable", Status::Fail), skipped("tls"), skipped("auth"), skipped("grpc-api"), skipped("list-microvms")];
    assert_eq!((off(&gone), gone.exit_code()), (expected.to_vec(), 1));
}

#[test]
fn nothing_that_is_answered_makes_it_panic() {
    let names: Vec<String> = healthy().0.into_keys().collect();
    let odd = ["", "\n\n", "{", "[{}]", "[{\"ifname\":1}]", "a b c d e f", ": = :", "Id=x", "\u{fffd}\u{0}", "99999999999999999999999"];
    for wish in [capstead_wish(), flintlock_wish(), macvtap_wish()] {
        for name in &names {
            for text in odd {
                let mut answers = healthy();
                answers.0.insert(name.clone(), Answer::ok(text));
                report(&wish, &answers);
            }
        }
        let silent = report(&wish, &Answers::default());
        assert!(!silent.ok);
    }
}

#[tokio::test]
async fn a_recorded_machine_is_judged_like_one_that_is_there() {
    let machine = Recorded { name: "mvm-1".into(), answers: healthy() };
    let wish = Wish { network: Network::Bridge, ..Wish::default() };
    let guest = crate::observe::Guest { kernel: vec![0x7f], greeting: "alive".into() };
    let observed = observe(&machine, &wish, Some(&guest), std::time::Duration::from_secs(1)).await.unwrap();
    let report = judge(&machine.name(), &wish, &observed);
    // Its clock was recorded; ours goes on. No client asked.
    assert_eq!(report.host, "mvm-1");
    assert!(report.checks.iter().any(|check| check.id == "guest" && check.status == Status::Pass));
}

#[test]
fn rules_have_names_of_their_own_and_the_reference_has_them_all() {
    let ids: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().count());
    let page = include_str!("../../../../docs/src/reference/host-check.md");
    for rule in rules() {
        let row = format!("| `{}` | {} | {} | {} | {} |", rule.id, rule.title, rule.expected, rule.why, rule.fix);
        assert!(page.lines().any(|line| line == row), "docs/src/reference/host-check.md lacks this row:\n{row}");
    }
}

#[test]
fn the_page_of_the_set_up_by_hand_names_checks_that_there_are() {
    let ids: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    let page = include_str!("../../../../docs/src/reference/by-hand.md").replace("\\|", "");
    let cells = page.lines().filter_map(|line| line.split('|').nth(2));
    let named: BTreeSet<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 30 && named.is_subset(&ids), "{:?}", named.difference(&ids));
}

#[test]
fn the_report_as_json_has_the_fields_that_programs_rely_on() {
    let value = serde_json::to_value(report(&capstead_wish(), &healthy())).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&value), ["checks", "host", "ok", "runtime"].map(str::to_owned).into());
    let fields = ["expected", "fix", "found", "id", "required", "status", "title", "why"];
    assert_eq!(keys(&value["checks"][0]), fields.map(str::to_owned).into());
    assert_eq!((&value["runtime"], &value["checks"][0]["status"]), (&"capstead".into(), &"pass".into()));
}

#[test]
fn a_host_that_answers_late_is_not_taken_for_one_whose_clock_is_off() {
    let ahead = |during| read(&capstead_wish(), &healthy(), &during).clock_ahead;
    assert_eq!(ahead(NOW - 30..=NOW + 30), Ok(0));
    assert_eq!((ahead(NOW - 60..=NOW - 10), ahead(NOW + 10..=NOW + 60)), (Ok(11), Ok(-9)));
}

#[test]
fn a_vmm_that_ends_without_a_word_is_told_in_words() {
    let mut answers = healthy();
    for name in ["guest-kvm", "guest-tcg"] {
        answers.0.insert(name.into(), Answer::ok("failed\n\n"));
    }
    let report = report(&capstead_wish(), &answers);
    let emulation = report.checks.iter().find(|check| check.id == "emulation").unwrap();
    assert_eq!((emulation.status, emulation.found.as_str()), (Status::Fail, "QEMU ended without a word"));
}
