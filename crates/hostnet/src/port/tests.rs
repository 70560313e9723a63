use super::*;

fn tcp(guest_port: u16) -> WantedForward {
    WantedForward { protocol: Protocol::Tcp, guest_port, host_port: None }
}

#[test]
fn what_was_chosen_stays_and_others_are_left_alone() {
    let none = BTreeSet::new();
    let first = choose(&[tcp(22), tcp(80)], &[], &none, "uid1").expect("chosen");
    assert!(first.iter().all(|forward| RANGE.contains(&forward.host_port)));
    assert_ne!(first[0].host_port, first[1].host_port);
    // The VMM listens on them by now.
    let held: Vec<_> = first.iter().map(|forward| TcpListener::bind((Ipv4Addr::LOCALHOST, forward.host_port)).expect("free")).collect();
    assert_eq!(choose(&[tcp(22), tcp(80)], &first, &none, "uid1").expect("kept"), first);
    let other = choose(&[tcp(22)], &[], &none, "uid1").expect("chosen");
    assert!(first.iter().all(|forward| forward.host_port != other[0].host_port), "in use");
    drop(held);
    let claimed: BTreeSet<_> = first.iter().map(|forward| (forward.protocol, forward.host_port)).collect();
    let third = choose(&[tcp(22)], &[], &claimed, "uid1").expect("chosen");
    assert!(!claimed.contains(&(Protocol::Tcp, third[0].host_port)), "another's, even if it is down");
}

#[test]
fn a_port_that_is_asked_for_is_given_or_refused() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = held.local_addr().expect("an address").port();
    let wish = WantedForward { host_port: Some(port), ..tcp(22) };
    let none = BTreeSet::new();
    let refused = choose(&[wish], &[], &none, "u").expect_err("in use");
    assert_eq!(refused, PortError::Taken { port, protocol: Protocol::Tcp });
    assert_eq!(refused.to_string(), format!("the port {port} (tcp) of 127.0.0.1 is in use, or another microVM's"));
    let ours = Forward { protocol: Protocol::Tcp, host_port: port, guest_port: 22 };
    assert_eq!(choose(&[wish], &[ours], &none, "u"), Ok(vec![ours]), "in use by us");
    assert!(matches!(choose(&[wish], &[ours], &BTreeSet::from([(Protocol::Tcp, port)]), "u"), Err(PortError::Taken { .. })));
    assert_eq!(choose(&[tcp(0)], &[], &none, "u"), Err(PortError::Guest(0)));
    assert_eq!(choose(&[tcp(22), tcp(22)], &[], &none, "u"), Err(PortError::Guest(22)));
}
