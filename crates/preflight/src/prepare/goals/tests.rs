use std::collections::BTreeSet;

use super::*;
use crate::machine::Answer;
use crate::machine::Answers;
use crate::observe::read;

/// A bare Debian, with networkd.
fn bare() -> Answers {
    let links = r#"[
{"ifname":"eth0","flags":["UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:01","addr_info":[{"local":"192.168.1.57","prefixlen":24,"dynamic":true}]},
{"ifname":"eth1","flags":["UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:03","addr_info":[]},
{"ifname":"wlo5","flags":["UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:05","addr_info":[]}]"#;
    let networkd = "Id=systemd-networkd.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\nId=flintlockd.service\nLoadState=loaded\nActiveState=active\n";
    let texts = [
        ("user", "0"),
        ("systemd", "running"),
        ("programs", "ip apt-get"),
        ("version", "capstead 0.1.0"),
        ("links", links),
        ("wireless", "wlo5"),
        ("config", "insecure: true"),
        ("routes", r#"[{"dst":"default","gateway":"192.168.1.1","dev":"eth0"}]"#),
        ("units", networkd),
    ];
    Answers(texts.into_iter().map(|(name, text)| (name.to_owned(), Answer::ok(text))).collect())
}

fn nat() -> Wish {
    Wish {
        network: Network::Bridge,
        subnet: "10.42.0.0/24".parse().ok(),
        dhcp: true,
        nat_via: Some("eth0".into()),
        vip: "10.42.0.2".parse().ok(),
        ..Wish::default()
    }
}

fn made(wish: &Wish, answers: &Answers) -> Vec<Goal> {
    goals(wish, &read(wish, answers, &(0..=0))).unwrap()
}

fn refused(wish: &Wish, answers: &Answers) -> Vec<String> {
    goals(wish, &read(wish, answers, &(0..=0))).unwrap_err().into_iter().map(|refused| refused.what).collect()
}

fn names(goals: &[Goal]) -> Vec<String> {
    goals.iter().map(|goal| super::super::host::name(&goal.key)).collect()
}

#[test]
fn a_host_with_nat_and_dhcp_is_made_in_this_order() {
    let expected = [
        "package dnsmasq-base",
        "package nftables",
        "package qemu-system-x86",
        "kernel module bridge",
        "kernel module tun",
        "user capstead-vmm",
        "/etc/capstead",
        "/etc/systemd/network",
        "/etc/systemd/system/capstead-host.service.d",
        "/etc/modules-load.d/capstead.conf",
        "/etc/systemd/network/05-capstead-br-mvm.network",
        "/etc/systemd/system/capstead-link.service",
        "/etc/capstead/dhcp.conf",
        "/etc/systemd/system/capstead-dhcp.service",
        "/etc/sysctl.d/90-capstead.conf",
        "/etc/capstead/nat.nft",
        "/etc/systemd/system/capstead-nat.service",
        "/etc/systemd/system/capstead-host.service.d/capstead.conf",
        "/etc/systemd/system/capstead-host.service",
        "net.ipv4.ip_forward",
        "capstead-link.service",
        "capstead-dhcp.service",
        "capstead-nat.service",
        "capstead-host.service",
    ];
    assert_eq!(names(&made(&nat(), &bare())), expected);
}

#[test]
fn each_unit_rests_on_its_files_and_every_rest_is_a_goal() {
    let flintlock = Wish { runtime: Runtime::Flintlock, ..nat() };
    for wish in [nat(), flintlock] {
        let goals = made(&wish, &bare());
        let keys: BTreeSet<_> = goals.iter().map(|goal| &goal.key).collect();
        assert_eq!(keys.len(), goals.len(), "each once");
        for goal in goals.iter().filter(|goal| matches!(goal.key, Key::Unit(_))) {
            assert!(goal.rests.iter().any(|key| matches!(key, Key::File(_))));
            assert!(goal.rests.iter().all(|key| keys.contains(key)), "{goal:?}");
        }
    }
}

#[test]
fn vmms_get_a_user_unless_the_daemon_is_told_of_another() {
    let user = |wish: &Wish, config: &str| {
        let mut answers = bare();
        answers.0.insert("config".into(), Answer::ok(format!("insecure: true\n{config}")));
        let goals = made(wish, &answers);
        let daemon = goals.iter().find(|goal| goal.key == Key::Unit(wish.unit().into())).unwrap();
        let key = Key::User("capstead-vmm".into());
        assert_eq!(daemon.rests.contains(&key), goals.iter().any(|goal| goal.key == key), "the daemon reads it when it starts");
        daemon.rests.contains(&key)
    };
    let told = |flags: &[&str]| Wish { daemon_flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..nat() };
    assert!(user(&nat(), "") && user(&told(&["--vmm-user", "capstead-vmm"]), "") && user(&nat(), "vmm-user: ''"));
    assert!(!user(&told(&["--vmm-user", "root"]), "") && !user(&told(&["--vmm-user=107:1007"]), "") && !user(&nat(), "vmm-user: qemu"));
    assert!(!user(&Wish { runtime: Runtime::Flintlock, ..nat() }, ""));
}

#[test]
fn flintlockd_gets_a_pool_a_containerd_and_flags() {
    let wish = Wish { runtime: Runtime::Flintlock, images: vec!["ghcr.io/a/b:1".into()], ..nat() };
    let all = names(&made(&wish, &bare()));
    for name in [
        "package dmsetup",
        "package containerd",
        "kernel module dm_thin_pool",
        "/etc/capstead/thinpool.sh",
        "/etc/containerd/config-dev.toml",
        "capstead-thinpool.service",
        "containerd-dev.service",
        "/etc/systemd/system/flintlockd.service.d/capstead.conf",
        "flintlockd.service",
        "image ghcr.io/a/b:1",
    ] {
        assert!(all.iter().any(|own| own == name), "{name} is not among {all:?}");
    }
    let at = |name: &str| all.iter().position(|own| own == name).unwrap();
    assert!(at("capstead-thinpool.service") < at("containerd-dev.service") && at("containerd-dev.service") < at("flintlockd.service"));
    assert!(at("flintlockd.service") < at("image ghcr.io/a/b:1"));
}

#[test]
fn the_uplink_joins_by_networkd_and_the_bridge_keeps_its_mac() {
    let wish = Wish { network: Network::Bridge, parent_iface: Some("eth0".into()), ..Wish::default() };
    let goals = made(&wish, &bare());
    let uplink = goals.iter().find_map(|goal| if let Key::Uplink(uplink) = &goal.key { Some(uplink) } else { None }).unwrap();
    assert_eq!((uplink.link.as_str(), uplink.bridge.as_str()), ("eth0", "br-mvm"));
    assert!(uplink.files[0].1.contains("MACAddress=52:54:00:00:00:01"));
    assert!(uplink.files[1].1.contains("DHCP=yes"));
    assert!(uplink.files[2].1.contains("Bridge=br-mvm"));
    assert!(!names(&goals).contains(&"capstead-link.service".to_owned()));

    // Its address does not come by DHCP: the bridge takes it over.
    let mut fixed = bare();
    let links = fixed.out("links").unwrap().replace(r#","dynamic":true"#, "");
    fixed.0.insert("links".into(), Answer::ok(links.clone()));
    let fixed_goals = made(&wish, &fixed);
    let network = |goals: &[Goal]| {
        goals.iter().find_map(|goal| if let Key::Uplink(uplink) = &goal.key { Some(uplink.files[1].1.clone()) } else { None }).unwrap()
    };
    assert!(network(&fixed_goals).contains("Address=192.168.1.57/24\nGateway=192.168.1.1\n"));

    // Once it has joined, the wish means the same.
    let moved = links.replace(r#""addr_info":[{"local":"192.168.1.57","prefixlen":24}]"#, r#""master":"br-mvm","addr_info":[]"#);
    let bridge = r#",{"ifname":"br-mvm","flags":["UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:01","linkinfo":{"info_kind":"bridge"},"addr_info":[{"local":"192.168.1.57","prefixlen":24}]}]"#;
    let mut joined = fixed;
    joined.0.insert("links".into(), Answer::ok(moved.trim_end_matches(']').to_owned() + bridge));
    joined.0.insert("routes".into(), Answer::ok(r#"[{"dst":"default","gateway":"192.168.1.1","dev":"br-mvm"}]"#));
    assert_eq!(made(&wish, &joined), fixed_goals);
}

#[test]
fn what_cannot_come_true_is_refused_with_all_that_is_in_the_way() {
    let bridge = || Wish { network: Network::Bridge, ..Wish::default() };
    let macvtap = |parent: &str| Wish { network: Network::Macvtap, parent_iface: Some(parent.into()), ..Wish::default() };
    let cases: [(Wish, &str); 13] = [
        (Wish { dhcp: true, ..bridge() }, "DHCP and NAT need a subnet"),
        (Wish { nat_via: Some("eth7".into()), ..nat() }, "there is no eth7 to NAT through"),
        (
            Wish { subnet: "192.168.0.0/16".parse().ok(), vip: None, ..nat() },
            "192.168.0.0/16 overlaps with 192.168.1.57/24, which this host has on another interface",
        ),
        (Wish { subnet: "10.42.0.0/31".parse().ok(), ..nat() }, "10.42.0.0/31 is not of use"),
        (
            Wish { vip: "10.42.0.1".parse().ok(), ..nat() },
            "10.42.0.1 cannot be the VIP: it must be a host's address of 10.42.0.0/24, and not this host's",
        ),
        (
            Wish { vip: "10.43.0.2".parse().ok(), ..nat() },
            "10.43.0.2 cannot be the VIP: it must be a host's address of 10.42.0.0/24, and not this host's",
        ),
        (Wish { bridge_name: "eth1".into(), ..bridge() }, "eth1 is there, and no bridge"),
        (Wish { bridge_name: "br0;reboot".into(), ..bridge() }, "\"br0;reboot\" is no name of an interface"),
        (Wish { parent_iface: None, ..macvtap("") }, "--network macvtap needs a parent"),
        (macvtap("eth9"), "there is no eth9"),
        (macvtap("wlo5"), "wlo5 is wireless, and takes one MAC only"),
        (Wish { parent_iface: Some("eth0".into()), ..nat() }, "microVMs would be on the uplink's own network, which has its own addresses"),
        (Wish { subnet: "10.42.0.0/24".parse().ok(), ..Wish::default() }, "--network user has its own addresses"),
    ];
    for (wish, what) in cases {
        assert_eq!(refused(&wish, &bare()), [what]);
    }
    let mut answers = bare();
    answers.0.insert("user".into(), Answer::ok("1000"));
    answers.0.insert("systemd".into(), Answer::Ended { code: 3, out: "init".into(), err: String::new() });
    answers.0.insert("version".into(), Answer::failed(127, "not found"));
    answers.0.insert("programs".into(), Answer::ok(""));
    let all = [
        "not root",
        "systemd does not run here: process 1 is init",
        "/usr/local/bin/capstead does not run: not found",
        "no package manager that is known",
    ];
    assert_eq!(refused(&nat(), &answers), all);
}

#[test]
fn what_a_slow_host_did_not_tell_is_not_taken_for_what_is_missing() {
    let mut answers = bare();
    answers.0.insert("units".into(), Answer::TimedOut);
    let uplink = Wish { network: Network::Bridge, parent_iface: Some("eth0".into()), ..Wish::default() };
    let wish = Wish { runtime: Runtime::Flintlock, daemon_flags: vec!["--insecure".into()], ..uplink };
    assert_eq!(refused(&wish, &answers), ["units cannot be seen: no answer in time"]);
}

#[test]
fn a_daemon_that_would_not_start_is_refused() {
    let mut answers = bare();
    answers.0.insert("config".into(), Answer::ok(""));
    let served = |endpoint: &str, runtime, flags: &[&str]| {
        let daemon_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let wish = Wish { grpc_endpoint: endpoint.into(), runtime, daemon_flags, packages: Packages::None, ..nat() };
        goals(&wish, &read(&wish, &answers, &(0..=0))).is_ok()
    };
    assert!(!served("0.0.0.0:9090", Runtime::Capstead, &[]));
    assert!(served("127.0.0.1:9090", Runtime::Capstead, &[]));
    assert!(served("0.0.0.0:9090", Runtime::Capstead, &["--basic-auth-token", "x"]));
    assert!(!served("0.0.0.0:9090", Runtime::Flintlock, &["--basic-auth-token", "x"]));
    assert!(!served("127.0.0.1:9090", Runtime::Flintlock, &[]));
    assert!(served("127.0.0.1:9090", Runtime::Flintlock, &["--tls-cert=a", "--tls-key=b"]));
}

#[test]
fn an_uplink_that_networkd_does_not_look_after_is_left_alone() {
    let mut answers = bare();
    answers.0.insert("units".into(), Answer::ok("Id=NetworkManager.service\nLoadState=loaded\nActiveState=active\n"));
    let wish = Wish { network: Network::Bridge, parent_iface: Some("eth0".into()), ..Wish::default() };
    assert_eq!(refused(&wish, &answers), ["eth0 is this host's uplink, and systemd-networkd does not look after it"]);
}
