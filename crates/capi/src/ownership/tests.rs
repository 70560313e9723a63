use super::*;

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
