use std::collections::BTreeMap;

use super::*;

const HOSTS: [&str; 3] = ["10.0.0.1:9090", "b:1", "c:1"];

fn wish(strategy: Strategy) -> Wish {
    let hosts = HOSTS.iter().map(|endpoint| Host { endpoint: (*endpoint).into(), control_plane_allowed: true, most: None });
    Wish { hosts: hosts.collect(), strategy, ..Wish::default() }
}

fn subject(name: &str, control_plane: bool) -> Subject<'_> {
    Subject { namespace: "default", name, provider_id: None, failure_domain: None, control_plane }
}

/// Places so many machines one after the other, and counts them by host.
fn place(wish: &Wish, control_plane: bool, count: usize, down: &[&str]) -> BTreeMap<String, usize> {
    let mut placed: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..count {
        let load = |host: &str| {
            let machines = placed.get(host).copied().unwrap_or_default();
            Load { machines, control_planes: if control_plane { machines } else { 0 }, down: down.contains(&host) }
        };
        let Ok(host) = choose(&subject(&format!("m-{n}"), control_plane), wish, load) else { break };
        *placed.entry(host).or_default() += 1;
    }
    placed
}

#[test]
fn hash_is_upstreams_choice_and_only_a_host_that_is_down_changes_it() {
    let idle = |_: &str| Load::default();
    // By crc32 of the name, modulo the count, over the sorted hosts.
    for (name, host) in [("m", "c:1"), ("worker-1", "b:1"), ("worker-2", "10.0.0.1:9090"), ("worker-3", "b:1")] {
        let wish = wish(Strategy::Hash);
        assert_eq!(choose(&subject(name, false), &wish, idle).as_deref(), Ok(host), "{name}");
        let others_down = |other: &str| Load { down: other != host, machines: 70, control_planes: 0 };
        assert_eq!(choose(&subject(name, false), &wish, others_down).as_deref(), Ok(host), "{name}");
        let down = |other: &str| Load { down: other == host, ..Load::default() };
        assert_ne!(choose(&subject(name, false), &wish, down).as_deref(), Ok(host), "{name}");
        let all = |_: &str| Load { down: true, ..Load::default() };
        assert_eq!(choose(&subject(name, false), &wish, all).as_deref(), Ok(host), "it is waited for where there is no other");
    }
}

#[test]
fn spread_fills_evenly_and_keeps_control_planes_apart() {
    let even: BTreeMap<String, usize> = HOSTS.iter().map(|host| ((*host).to_owned(), 4)).collect();
    assert_eq!(place(&wish(Strategy::Spread), false, 12, &[]), even);
    // Where workers crowd the other hosts, a second control plane machine still goes to another host than the first.
    let load = |host: &str| match host {
        "b:1" => Load { machines: 1, control_planes: 1, down: false },
        _ => Load { machines: 9, control_planes: 0, down: false },
    };
    assert_ne!(choose(&subject("m", true), &wish(Strategy::Spread), load).as_deref(), Ok("b:1"));
    assert_eq!(choose(&subject("m", false), &wish(Strategy::Spread), load).as_deref(), Ok("b:1"), "a worker goes where there are fewest");
    let placed = place(&wish(Strategy::Spread), false, 8, &["b:1"]);
    assert_eq!(placed, BTreeMap::from([("10.0.0.1:9090".into(), 4), ("c:1".into(), 4)]), "one that is down is avoided");
}

#[test]
fn pack_fills_one_host_after_the_other_and_none_beyond_its_most() {
    let mut wish = wish(Strategy::Pack);
    wish.hosts.iter_mut().for_each(|host| host.most = Some(5));
    assert_eq!(place(&wish, false, 7, &[]), BTreeMap::from([("10.0.0.1:9090".into(), 5), ("b:1".into(), 2)]));
    assert_eq!(place(&wish, false, 7, &["10.0.0.1:9090"]), BTreeMap::from([("b:1".into(), 5), ("c:1".into(), 2)]));
    assert_eq!(place(&wish, false, 99, &[]).values().sum::<usize>(), 15);
    let full = choose(&subject("m", false), &wish, |_| Load { machines: 5, ..Load::default() }).unwrap_err();
    assert_eq!((full.reason.as_str(), full.on.as_str()), (NO_HOST, POOL));
    assert!(full.why.contains("maxMicrovms"), "{}", full.why);
}

#[test]
fn control_planes_go_where_they_may_under_every_strategy() {
    for strategy in [Strategy::Hash, Strategy::Spread, Strategy::Pack] {
        let mut wish = wish(strategy);
        wish.hosts[0].control_plane_allowed = false;
        for n in 0..20 {
            let name = format!("m-{n}");
            let crowded = |host: &str| Load { machines: if host == HOSTS[0] { 0 } else { 50 }, ..Load::default() };
            assert_ne!(choose(&subject(&name, true), &wish, crowded).as_deref(), Ok(HOSTS[0]), "{strategy:?}");
        }
    }
}
