use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::Timestamp;

use super::Fault;
use super::FaultError;
use super::Faults;
use super::Kind;
use super::Place;
use super::Victim;
use crate::cluster::Trouble;
use crate::etcd::Health;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn place(name: &str) -> Place {
    Place { name: name.into(), endpoint: format!("{name}.example:6443") }
}

fn machines(control_planes: usize, workers: usize) -> Vec<Victim> {
    let of = |role: &'static str, etcd| move |n| Victim { id: format!("{role}-{n}-id"), node: format!("{role}-{n}"), etcd };
    (0..control_planes).map(of("cp", true)).chain((0..workers).map(of("w", false))).collect()
}

fn with(seed: u64, faults: impl IntoIterator<Item = Fault>) -> Faults {
    let mut all = Faults::new(seed);
    for fault in faults {
        all.add(fault, NOW).unwrap();
    }
    all
}

#[test]
fn a_fault_that_makes_no_sense_is_refused() {
    let second = SignedDuration::from_secs(1);
    let cases = [
        (Fault { rate: 1.5, ..Fault::new(Kind::Partition) }, FaultError::Rate("1.5".into())),
        (Fault { rate: f64::NAN, ..Fault::new(Kind::Partition) }, FaultError::Rate("NaN".into())),
        (Fault { machine: Some("m".into()), ..Fault::new(Kind::ApiSilent) }, FaultError::Machine(Kind::ApiSilent)),
        (Fault { by: Some(second), ..Fault::new(Kind::Partition) }, FaultError::NoExtent(Kind::Partition)),
        (Fault { by: Some(-second), ..Fault::new(Kind::ApiSlow) }, FaultError::Extent(Kind::ApiSlow, "how late answers are, up to 10m")),
        (Fault::new(Kind::ClockSkew), FaultError::Extent(Kind::ClockSkew, "how far clocks are ahead, or behind as -1h, up to 20 years")),
        (Fault { lasting: Some(SignedDuration::ZERO), ..Fault::new(Kind::Partition) }, FaultError::Lasting),
    ];
    for (fault, error) in cases {
        let mut faults = Faults::new(0);
        assert_eq!(faults.add(fault, NOW).unwrap_err(), error);
        assert_eq!(faults.iter().count(), 0);
    }
    assert_eq!("api-slaw".parse::<Kind>().unwrap_err().to_string().split(';').next(), Some("there is no fault \"api-slaw\""));
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
}

#[test]
fn a_fault_is_where_it_was_put() {
    let everywhere = with(0, [Fault::new(Kind::ApiSilent)]);
    let by_name = with(0, [Fault { cluster: Some("a".into()), ..Fault::new(Kind::ApiSilent) }]);
    let by_endpoint = with(0, [Fault { cluster: Some("a.example:6443".into()), ..Fault::new(Kind::ApiSilent) }]);
    for (faults, in_b) in [(everywhere, true), (by_name, false), (by_endpoint, false)] {
        assert!(faults.cluster(Kind::ApiSilent, &place("a")).is_some());
        assert_eq!(faults.cluster(Kind::ApiSilent, &place("b")).is_some(), in_b);
        assert!(faults.cluster(Kind::Unreachable, &place("a")).is_none());
    }
    let one = with(0, [Fault { machine: Some("w-1".into()), ..Fault::new(Kind::BootHangs) }]);
    assert!(one.machine(Kind::BootHangs, None, "id", "w-1") && !one.machine(Kind::BootHangs, None, "id", "w-2"));
    let there = with(0, [Fault { cluster: Some("a".into()), ..Fault::new(Kind::BootHangs) }]);
    assert!(there.machine(Kind::BootHangs, Some(&place("a")), "id", "w-1") && !there.machine(Kind::BootHangs, None, "id", "w-1"));
}

#[test]
fn it_ends_when_it_is_removed() {
    let mut faults = with(0, [Fault::new(Kind::ApiSilent), Fault::new(Kind::Partition)]);
    assert!(faults.remove(1) && !faults.remove(1));
    assert_eq!(faults.iter().map(|active| active.id).collect::<Vec<_>>(), [2]);
    assert_eq!(faults.add(Fault::new(Kind::ApiSilent), NOW).unwrap().id, 3, "numbers are not used twice");
    faults.clear();
    assert_eq!(faults.troubles(&place("a"), &machines(3, 1)), Default::default());
}

#[test]
fn a_rate_hits_about_its_part_always_the_same() {
    let hit = |seed, id: u64| -> BTreeSet<usize> {
        let mut faults = Faults::new(seed);
        for _ in 0..id {
            faults.add(Fault { rate: 0.3, ..Fault::new(Kind::NodeVanishes) }, NOW).unwrap();
        }
        (1..id).for_each(|earlier| assert!(faults.remove(earlier)));
        (0..1000).filter(|n| faults.machine(Kind::NodeVanishes, None, &n.to_string(), "node")).collect()
    };
    let first = hit(1, 1);
    assert!((250..350).contains(&first.len()), "{}", first.len());
    assert_eq!(first, hit(1, 1));
    assert_ne!(first, hit(2, 1));
    assert_ne!(first, hit(1, 2), "another fault hits others");
}

#[test]
fn etcd_keeps_or_loses_its_majority() {
    let cases = [
        (Kind::EtcdUnhealthy, 1, 1, Health::Isolated),
        (Kind::EtcdUnhealthy, 3, 1, Health::Isolated),
        (Kind::EtcdUnhealthy, 5, 2, Health::Isolated),
        (Kind::QuorumLost, 1, 1, Health::Stopped),
        (Kind::QuorumLost, 3, 2, Health::Stopped),
        (Kind::QuorumLost, 5, 3, Health::Stopped),
    ];
    for (kind, members, struck, health) in cases {
        let troubles = with(7, [Fault::new(kind)]).troubles(&place("a"), &machines(members, 2));
        let of = |wanted: Health| troubles.machines.values().filter(|trouble| trouble.etcd == wanted).count();
        assert_eq!((of(health), of(Health::Running)), (struck, members + 2 - struck), "{kind} of {members}");
    }
    let named = with(7, [Fault { machine: Some("cp-2".into()), ..Fault::new(Kind::EtcdUnhealthy) }]).troubles(&place("a"), &machines(3, 0));
    assert_eq!(named.machines["cp-2-id"], Trouble { etcd: Health::Isolated, ..Trouble::default() });
    assert_eq!(named.machines["cp-0-id"], Trouble::default());
}

#[test]
fn machines_go_off_and_are_cut_off() {
    let faults = with(
        0,
        [
            Fault { machine: Some("w-0".into()), ..Fault::new(Kind::NodeVanishes) },
            Fault { machine: Some("cp-0".into()), ..Fault::new(Kind::Partition) },
            Fault { by: Some(SignedDuration::from_hours(-1)), ..Fault::new(Kind::ClockSkew) },
        ],
    );
    let troubles = faults.troubles(&place("a"), &machines(1, 2));
    assert_eq!(troubles.clock, SignedDuration::from_hours(-1));
    assert_eq!(troubles.machines["w-0-id"], Trouble { off: true, ..Trouble::default() });
    assert_eq!(troubles.machines["cp-0-id"], Trouble { cut_off: true, ..Trouble::default() });
    assert_eq!(troubles.machines["w-1-id"], Trouble::default());
}

#[test]
fn as_json_it_is_as_it_was() {
    let mut faults = Faults::new(0);
    let fault = Fault {
        cluster: Some("a".into()),
        rate: 0.5,
        by: Some(SignedDuration::from_millis(1500)),
        lasting: Some(SignedDuration::from_secs(30)),
        ..Fault::new(Kind::ApiSlow)
    };
    let active = faults.add(fault, NOW).unwrap();
    let json = serde_json::to_value(&active).unwrap();
    assert_eq!(json["kind"], "api-slow");
    assert_eq!(json["until"], "1970-01-01T00:00:30Z");
    assert_eq!(serde_json::from_value::<super::Active>(json).unwrap(), active);
    let asked: Fault = serde_json::from_str(r#"{"kind": "partition"}"#).unwrap();
    assert_eq!(asked, Fault::new(Kind::Partition));
    let error = serde_json::from_str::<Fault>(r#"{"kind": "partition", "clusters": "a"}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `clusters`"), "{error}");
}
