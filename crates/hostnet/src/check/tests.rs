use proptest::prelude::*;

use super::*;

fn address(address: &str, gateway: Option<&str>, nameservers: &[&str]) -> Result<Address, Invalid> {
    let nameservers = nameservers.iter().map(ToString::to_string).collect();
    static_address("a", &StaticAddress { address: address.into(), gateway: gateway.map(Into::into), nameservers })
}

fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>, field: &str, rule: &str) {
    let wrong = result.expect_err("refused");
    assert_eq!(wrong.field, field, "{wrong}");
    assert!(wrong.rule.contains(rule), "{wrong} should say {rule:?}");
}

#[test]
fn what_flintlock_takes_is_taken() {
    let all = address("192.168.100.20/24", Some("192.168.100.1/24"), &["8.8.8.8", "2001:4860:4860::8888"]).expect("valid");
    assert_eq!(all.address.to_string(), "192.168.100.20/24");
    assert_eq!(all.gateway, Some("192.168.100.1".parse().expect("an address")));
    assert_eq!(all.nameservers.len(), 2);
    for (host, gateway) in [
        ("10.0.0.0/31", Some("10.0.0.1/31")),
        ("10.0.0.7/32", None),
        ("fd00::2/64", Some("fe80::1/64")),
        ("fd00::2/64", Some("fd00::1/64")),
        ("fd00::1/127", None),
        ("169.254.0.1/16", None),
        ("10.0.0.2/24", Some("10.0.0.1/32")),
    ] {
        address(host, gateway, &[]).unwrap_or_else(|wrong| panic!("{host} {gateway:?}: {wrong}"));
    }
    assert_eq!(mac("m", "AA:FF:00:00:00:01").expect("valid").to_string(), "aa:ff:00:00:00:01");
}

#[test]
fn an_address_no_host_can_have_is_refused() {
    for (value, rule) in [
        ("10.0.0.2", "with a prefix"),
        ("10.0.0.2/33", "with a prefix"),
        ("10.0.0.02/24", "with a prefix"),
        ("", "with a prefix"),
        ("10.0.0.0/24", "network's own"),
        ("10.0.0.255/24", "broadcast"),
        ("fd00::/64", "network's own"),
        ("127.0.0.1/8", "loopback"),
        ("224.0.0.1/24", "multicast"),
        ("0.0.0.0/0", "unspecified"),
        ("0.1.2.3/8", "unspecified"),
        ("255.255.255.255/32", "broadcast"),
        ("ff02::1/64", "multicast"),
        ("::ffff:10.0.0.1/120", "mapped"),
    ] {
        refused(address(value, None, &[]), "a.address", rule);
    }
}

#[test]
fn a_gateway_that_cannot_be_reached_is_refused() {
    let host = "10.0.0.2/24";
    for (value, rule) in [
        ("10.0.0.1", "with a prefix"),
        ("fd00::1/64", "same family"),
        ("10.0.1.1/24", "in the network of the address, 10.0.0.0/24"),
        ("10.0.0.2/24", "own address"),
        ("10.0.0.0/24", "network's own"),
        ("10.0.0.255/16", "broadcast"),
    ] {
        refused(address(host, Some(value), &[]), "a.gateway", rule);
    }
    refused(address("fd00::2/64", Some("10.0.0.1/24"), &[]), "a.gateway", "same family");
}

#[test]
fn name_servers_are_plain_addresses() {
    refused(address("10.0.0.2/24", None, &["1.1.1.1", "8.8.8.8/32"]), "a.nameservers[1]", "without prefix");
    refused(address("10.0.0.2/24", None, &["dns.example"]), "a.nameservers[0]", "without prefix");
    refused(address("10.0.0.2/24", None, &["0.0.0.0"]), "a.nameservers[0]", "host's");
    refused(address("10.0.0.2/24", None, &["1.1.1.1"; 17]), "a.nameservers", "16 at most");
}

#[test]
fn names_and_numbers() {
    for bad in ["", "Eth0", "0eth", "eth/0", "eth@0", "eth-0", "éth", &"e".repeat(57)] {
        refused(device_id("d", bad), "d", "lower-case");
    }
    for bad in ["", ".", "..", "br 0", "br/0", "br0:1", "br%d", "sixteen-letters!", "brü"] {
        refused(interface_name("b", bad), "b", "name of an interface");
    }
    for bad in ["", "..", "a/b", "a b", "a.b", &"u".repeat(57)] {
        refused(id("u", bad), "u", "letters");
    }
    for good in ["br0", "fifteen-letters", "eth0.100"] {
        interface_name("b", good).expect("valid");
    }
    refused(mac("m", "01:00:5e:00:00:01"), "m", "unicast");
    refused(mac("m", "00:00:00:00:00:00"), "m", "zeros");
    refused(mac("m", "nonsense"), "m", "six pairs");
    refused(mtu("mtu", 67, false), "mtu", "68");
    refused(mtu("mtu", 65536, false), "mtu", "68");
    refused(mtu("mtu", 1279, true), "mtu", "1280");
    assert_eq!((mtu("mtu", 68, false), mtu("mtu", 1280, true)), (Ok(()), Ok(())));
}

#[test]
fn interfaces_are_told_apart() {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    interfaces([("eth1", Some(mac)), ("eth2", None), ("eth3", None)]).expect("valid");
    refused(interfaces([]), "interfaces", "one at least");
    refused(interfaces([("eth1", None), ("eth1", None)]), "interfaces[1].device_id", "once");
    refused(interfaces([("eth1", Some(mac)), ("eth2", Some(mac))]), "interfaces[1].guest_mac", "once");
    let many: Vec<String> = (0..17).map(|n| format!("eth{n}")).collect();
    refused(interfaces(many.iter().map(|name| (name.as_str(), None))), "interfaces", "16 at most");
}

#[test]
fn the_message_names_field_rule_and_value() {
    let wrong = address("10.0.0.0/24", None, &[]).expect_err("refused");
    assert_eq!(wrong.to_string(), "a.address must be a host's address, not the network's own, and is \"10.0.0.0/24\"");
    let wrong = device_id("d", &"x".repeat(1 << 20)).expect_err("refused");
    assert!(wrong.to_string().len() < 300);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", gateway in ".{0,60}") {
        let _ = address(&text, Some(&gateway), &[&text]);
        let _ = (mac("m", &text), device_id("d", &text), interface_name("i", &text), id("u", &text));
    }

    #[test]
    fn what_is_taken_is_in_its_network_and_no_end_of_it(a: [u8; 4], prefix in 0u8..=32, g: [u8; 4]) {
        let text = format!("{}/{prefix}", IpAddr::from(a));
        let gateway = format!("{}/{prefix}", IpAddr::from(g));
        if let Ok(taken) = address(&text, Some(&gateway), &[]) {
            let gateway = taken.gateway.expect("given");
            prop_assert!(taken.address.contains(&gateway) && gateway != taken.address.addr());
            if prefix < 31 {
                for end in [taken.address.network(), taken.address.broadcast()] {
                    prop_assert!(end != gateway && end != taken.address.addr());
                }
            }
        }
    }
}
