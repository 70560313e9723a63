use std::net::Ipv4Addr;

use super::*;

fn subnet(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

#[test]
fn dhcp_leaves_the_vip_and_the_host_alone() {
    let net = subnet("10.42.0.0/24");
    let text = |vip: Option<&str>| {
        let ranges = ranges(net, vip.map(|vip| vip.parse().unwrap()));
        ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect::<Vec<_>>()
    };
    assert_eq!(text(None), ["10.42.0.10-10.42.0.254"]);
    assert_eq!(text(Some("10.42.0.2")), ["10.42.0.10-10.42.0.254"]);
    assert_eq!(text(Some("10.42.0.25")), ["10.42.0.10-10.42.0.24", "10.42.0.26-10.42.0.254"]);
    assert_eq!(text(Some("10.42.0.254")), ["10.42.0.10-10.42.0.253"]);
    assert_eq!(ranges(subnet("10.0.0.0/29"), None), [(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 6))]);
    for prefix in 8..=29 {
        let net = Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), prefix).unwrap();
        for vip in net.hosts().take(300) {
            let ranges = ranges(net, Some(vip));
            assert!(!ranges.is_empty(), "{net} {vip}");
            for (first, last) in ranges {
                assert!(first <= last && net.contains(&first) && last < net.broadcast() && first > net.hosts().next().unwrap());
                assert!(!(first..=last).contains(&vip));
            }
        }
    }
}

#[test]
fn the_daemons_flags_stand_in_a_drop_in_as_systemd_reads_them() {
    let wish = Wish { network: Network::Bridge, daemon_flags: vec!["--basic-auth-token".into(), "a b%$".into()], ..Wish::default() };
    let text = daemon_drop_in(&wish);
    assert!(text.ends_with(
        "[Service]\nExecStart=\nExecStart=/usr/local/bin/capstead host run --grpc-endpoint 0.0.0.0:9090 --bridge-name br-mvm --state-dir /var/lib/flintlock --basic-auth-token 'a b%%$$'\n"
    ), "{text}");
    let wish = Wish { runtime: Runtime::Flintlock, network: Network::Macvtap, parent_iface: Some("eno4".into()), ..Wish::default() };
    let text = daemon_drop_in(&wish);
    assert!(text.contains("/usr/local/bin/flintlockd run --grpc-endpoint 0.0.0.0:9090 --parent-iface eno4 --containerd-socket /run/containerd-dev/containerd.sock"));
    assert!(text.contains("Requires=containerd-dev.service"));
}

#[test]
fn a_bridge_takes_its_port_after_it_is_there_and_a_parent_is_up_before_its_child() {
    let bridge =
        Wish { network: Network::Bridge, subnet: Some(subnet("10.42.0.0/24")), parent_iface: Some("eth1".into()), ..Wish::default() };
    let text = link_unit(&bridge);
    let at = |text: &str, word: &str| text.find(word).unwrap();
    assert!(at(&text, "ip link add br-mvm type bridge") < at(&text, "ip link set eth1 master br-mvm up"));
    assert!(text.contains("ip addr replace 10.42.0.1/24 dev br-mvm"));
    let macvtap = Wish { network: Network::Macvtap, ..bridge };
    let text = link_unit(&macvtap);
    assert!(at(&text, "ip link set eth1 up") < at(&text, "ip link add capstead-gw link eth1 type macvlan mode bridge"));
}
