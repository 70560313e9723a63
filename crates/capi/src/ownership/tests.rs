use super::*;
use crate::sample::FINALIZER;
use crate::sample::FooMachine;

const LANDING: Duration = Duration::from_secs(10);

fn at(seconds: i64) -> Timestamp {
    Timestamp::constant(seconds, 0)
}

#[test]
fn a_look_counts_only_if_it_began_after_all_that_was_sent() {
    let start = Grounds::unknown(at(100), LANDING);
    let sending = Grounds::NothingMade.sending(at(200), LANDING);
    let cases = [
        ("of unknown past, no look", start, None, false),
        ("what an earlier process sent may still land", start, Some(at(110)), false),
        ("it has landed by then", start, Some(at(111)), true),
        ("nothing made: no look needed", Grounds::NothingMade, None, true),
        ("on its way", sending, Some(at(205)), false),
        ("landed or lost", sending, Some(at(211)), true),
        ("heard, but the look began at that moment", sending.heard(at(201)), Some(at(201)), false),
        ("heard", sending.heard(at(201)), Some(at(202)), true),
        ("sending again never shortens", Grounds::After(at(300)).sending(at(200), LANDING), Some(at(250)), false),
    ];
    for (name, grounds, began, expected) in cases {
        assert_eq!(grounds.cover(began), expected, "{name}");
    }
}

#[test]
fn a_claim_comes_back_from_annotations() {
    let mut object = k8s_openapi::api::core::v1::ConfigMap::default();
    assert_eq!(Claim::read(&object), None);
    let claim = Claim { token: "u1".into(), placement: "host:9090".into() };
    claim.write(&mut object);
    assert_eq!(Claim::read(&object), Some(claim));
    object.annotations_mut().insert(TOKEN.into(), String::new());
    assert_eq!(Claim::read(&object), None, "an empty token is none");
}

#[test]
fn what_is_looked_after_is_held_from_birth() {
    let machine = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut machine = FooMachine::new("m", Default::default());
        (machine.metadata.labels, machine.metadata.annotations) = (Some(map(labels)), Some(map(annotations)));
        machine.metadata.finalizers = Some(vec!["another".into()]);
        machine
    };
    let (own, other) = (("cluster.x-k8s.io/watch-filter", "own"), ("cluster.x-k8s.io/watch-filter", "other"));
    for (what, mut machine, filter, held) in [
        ("anybody's", machine(&[], &[]), "", true),
        ("of a filter, and all are looked after", machine(&[other], &[]), "", true),
        ("of this filter", machine(&[own], &[]), "own", true),
        ("of another", machine(&[other], &[]), "own", false),
        ("of none", machine(&[], &[]), "own", false),
        ("another system's", machine(&[], &[("cluster.x-k8s.io/managed-by", "")]), "", false),
    ] {
        let expected: &[&str] = if held { &["another", FINALIZER] } else { &["another"] };
        for times in 1..3 {
            hold_from_birth(&mut machine, filter);
            assert_eq!(machine.finalizers(), expected, "{what}, {times}");
        }
    }
}
