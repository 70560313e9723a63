use capstead_preflight::Network;
use capstead_preflight::Report;
use capstead_preflight::Runtime;
use capstead_preflight::Wish;
use capstead_preflight::judge;
use capstead_preflight::machine::Answer;
use capstead_preflight::machine::Answers;
use capstead_preflight::observe::read;

use crate::Finding;
use crate::Picture;
use crate::Severity;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::host;
use crate::sample::log;
use crate::sample::microvm;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::seen_from_outside;
use crate::sample::the_one;

/// What the checks of a machine say that gave these answers, and no other.
fn checked(wish: &Wish, answers: &[(&str, &str)]) -> Report {
    let answers = answers.iter().map(|(name, text)| ((*name).to_owned(), Answer::ok(*text))).collect();
    judge("ssh://root@mvm-1", wish, &read(wish, &Answers(answers), &(0..=0)))
}

fn of(report: Report) -> Picture {
    Picture { hosts: vec![host(report, Vec::new())], ..Picture::new(now()) }
}

const LINKS: &str = r#"[{"ifname":"eno4","flags":["BROADCAST","UP"],"mtu":1500,"address":"52:54:00:00:00:04","addr_info":[]}]"#;

const POOL: &str = "[plugins.\"io.containerd.snapshotter.v1.devmapper\"]\n  pool_name = \"flintlock-dev-thinpool\"\n";
const SNAPSHOTTERS: &str = "TYPE ID PLATFORMS STATUS\nio.containerd.snapshotter.v1 devmapper linux/amd64 error\n";
const DROPS: &str = "*filter\n:FORWARD DROP [0:0]\n";
const UNIT: &str =
    "Id=capstead-host.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nKillMode=process\nNeedDaemonReload=no\n";
const LOOPBACK: &str = "tcp LISTEN 0 4096 127.0.0.1:9090 0.0.0.0:* users:((\"capstead\",pid=800,fd=9))\n";

/// A host that is so, the rule that tells it, and a part of the cause.
type Case = (Wish, Vec<(&'static str, &'static str)>, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let own = Wish::default;
    let flintlock = || Wish { runtime: Runtime::Flintlock, images: vec!["ghcr.io/a/kernel:1".into()], ..Wish::default() };
    let bridge = || Wish { network: Network::Bridge, ..Wish::default() };
    let macvtap = || Wish { network: Network::Macvtap, parent_iface: Some("eno4".into()), ..Wish::default() };
    let nat = || Wish { nat_via: Some("eth0".into()), subnet: "10.42.0.0/24".parse().ok(), ..bridge() };
    vec![
        (flintlock(), vec![("dm-targets", "linear v1.5.0\n")], "devmapper", "this kernel has no target thin-pool"),
        (flintlock(), vec![("snapshotters", SNAPSHOTTERS), ("containerd-config", POOL)], "devmapper", "devmapper snapshotter: error"),
        (flintlock(), vec![("units", UNIT)], "containerd", "containerd's service: there is no such unit"),
        (flintlock(), vec![("images", "")], "images", "missing: ghcr.io/a/kernel:1"),
        (own(), vec![("version", "capstead 0.1.0"), ("units", UNIT), ("listeners", LOOPBACK)], "daemon", "on 127.0.0.1 only"),
        (macvtap(), vec![("links", LINKS)], "parent-interface", "no carrier"),
        (bridge(), vec![("links", LINKS)], "bridge", "there is no br-mvm"),
        (nat(), vec![("sysctl", "net.ipv4.ip_forward=0\n"), ("routes", "[]")], "guest-network", "no default route"),
        (nat(), vec![("filter", DROPS)], "packet-filter", "drops by default"),
        (bridge(), vec![("modules", "loop\n"), ("loadable", "")], "kernel-modules", "this kernel has no bridge, tun"),
        (flintlock(), vec![("kvm", "absent")], "kvm", "there is no /dev/kvm"),
        (flintlock(), vec![("programs", "")], "vmm", "none is in PATH"),
        (own(), vec![("memory", "MemAvailable: 300000 kB")], "host", "292 MiB available"),
    ]
}

#[test]
fn each_thing_that_a_machine_lacks_has_its_rule() {
    for (wish, answers, id, part) in cases() {
        let findings = found(&of(checked(&wish, &answers)), id);
        let severity = if id == "packet-filter" { Severity::Warning } else { Severity::Error };
        let told =
            |finding: &Finding| finding.cause.contains(part) && finding.severity == severity && finding.about == "host 10.0.0.5:9090";
        assert!(findings.iter().any(told), "{id}: {part:?} is not in {findings:#?}");
        assert!(findings.iter().all(|finding| !finding.fix.is_empty() && !finding.fix.contains(['{', '}'])), "{findings:#?}");
    }
}

#[test]
fn a_host_that_was_only_reached_from_outside_is_not_judged_by_what_nobody_saw() {
    let picture = of(seen_from_outside(crate::sample::api()));
    for rule in super::RULES {
        assert_eq!(found(&picture, rule.id), [], "{}", rule.id);
    }
}

#[test]
fn words_are_enough_wherever_they_are_said() {
    let said = "runtime_volume_mount: mounting volume: preparing snapshot: snapshotter not loaded: devmapper: invalid argument";
    let mut by_log = Picture::new(now());
    by_log.logs.push(log("journalctl -u flintlockd", &format!("starting\n{said}")));
    let finding = the_one(&by_log, "devmapper");
    assert_eq!(evidence(&finding), [("journalctl -u flintlockd, line 2", said)]);
    assert!(finding.fix.contains("--runtime flintlock"), "{}", finding.fix);

    let by_condition = picture(vec![microvm_machine("a", "False", "ProvisioningFailed", said)]);
    assert_eq!(the_one(&by_condition, "devmapper").evidence[0].source, "MicrovmMachine team/a");
    assert_eq!(found(&by_condition, "refused"), [], "it has a rule of its own");

    let mut by_host = of(seen_from_outside(crate::sample::api()));
    by_host.hosts[0].microvms = vec![crate::picture::MicroVm { cause: "cannot pull ghcr.io/a/os:1: not found".into(), ..microvm("a") }];
    assert_eq!(the_one(&by_host, "images").evidence[0].said, "cannot pull ghcr.io/a/os:1: not found");
}

#[test]
fn checks_and_words_of_the_same_are_one_finding() {
    let wish = Wish { runtime: Runtime::Flintlock, ..Wish::default() };
    let mut picture = of(checked(&wish, &[("dm-targets", "linear v1.5.0\n")]));
    picture.logs.push(log("flintlockd.log", "snapshotter not loaded: devmapper: invalid argument"));
    let finding = the_one(&picture, "devmapper");
    assert!(finding.evidence.iter().any(|evidence| evidence.source == "flintlockd.log, line 1"), "{finding:#?}");
    assert_eq!(finding.evidence[0].source, "host 10.0.0.5:9090 (device-mapper)");
}
