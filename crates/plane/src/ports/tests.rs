use proptest::prelude::*;

use super::*;

fn wants(names: &[&str]) -> BTreeMap<String, Want> {
    names.iter().map(|name| ((*name).to_owned(), Want { all_addresses: false, before: None })).collect()
}

proptest! {
    #[test]
    fn chosen_ports_differ_are_free_and_unclaimed(seed: u64, claimed in prop::collection::btree_set(10_000_u16..10_200, 0..50)) {
        let ports = choose(&wants(&["a", "b", "c", "d"]), &claimed, seed).expect("enough");
        let distinct: BTreeSet<u16> = ports.values().copied().collect();
        prop_assert_eq!(distinct.len(), 4);
        prop_assert!(distinct.is_disjoint(&claimed));
        prop_assert!(distinct.iter().all(|port| RANGE.contains(port)));
    }
}

#[test]
fn a_port_is_kept_while_it_is_free() {
    let first = choose(&wants(&["a", "b"]), &BTreeSet::new(), 5).expect("enough");
    let again: BTreeMap<String, Want> =
        first.iter().map(|(name, port)| (name.clone(), Want { all_addresses: false, before: Some(*port) })).collect();
    assert_eq!(choose(&again, &BTreeSet::new(), 77).expect("enough"), first);

    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first["a"])).expect("free a moment ago");
    let moved = choose(&again, &BTreeSet::new(), 77).expect("enough");
    assert_ne!(moved["a"], first["a"]);
    assert_eq!(moved["b"], first["b"]);
}

#[test]
fn who_has_a_port_is_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port");
    let port = listener.local_addr().expect("bound").port();
    let taken = taken([(port, false)]).expect("taken");
    assert_eq!(taken.port, port);
    assert!(taken.by.contains(&format!("(pid {})", std::process::id())), "{}", taken.by);
    assert!(!free(port, true), "taken on loopback is taken on all addresses");
    drop(listener);
    assert_eq!(super::taken([(port, false)]), None);
}

#[test]
fn the_kernels_table_is_read() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                 \x20  0: 0100007F:2EE1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                 \x20  1: 0100007F:2EE2 0100007F:2EE1 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
    assert_eq!(listening_inode(table, 12_001), Some(4711));
    assert_eq!(listening_inode(table, 12_002), None, "connected is not listening");
}
