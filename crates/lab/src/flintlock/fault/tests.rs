use super::*;

#[test]
fn a_fault_is_a_kind_and_a_rate() {
    for (text, kind, rate) in [
        ("unavailable=0.05", FaultKind::Unavailable, 0.05),
        ("late-create=5%", FaultKind::LateCreate, 0.05),
        ("slow=1", FaultKind::Slow, 1.0),
    ] {
        assert_eq!(text.parse(), Ok(Fault { kind, rate }));
    }
    for kind in FaultKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    for (text, error) in [
        ("slow", "\"slow\" is not KIND=RATE, such as unavailable=5%"),
        ("slow=", "\"\" is not a rate: 0 to 1, or 0% to 100%"),
        ("slow=1.1", "\"1.1\" is not a rate: 0 to 1, or 0% to 100%"),
        ("slow=-1%", "\"-1%\" is not a rate: 0 to 1, or 0% to 100%"),
        ("slow=NaN", "\"NaN\" is not a rate: 0 to 1, or 0% to 100%"),
        ("fire=1", "there is no fault \"fire\"; there are unavailable, slow, lost-reply, late-create, failed, vanished"),
    ] {
        assert_eq!(text.parse::<Fault>().unwrap_err().to_string(), error);
    }
}

#[test]
fn json_is_a_map_of_kind_to_rate() {
    let faults: Faults = ["slow=20%", "failed=0.5", "slow=10%"].iter().map(|text| text.parse::<Fault>().unwrap()).collect();
    assert_eq!(serde_json::to_string(&faults).unwrap(), r#"{"failed":0.5,"slow":0.1}"#);
    assert_eq!(serde_json::from_str::<Faults>(r#"{"slow":0.1,"failed":0.5}"#).unwrap(), faults);
    let error = serde_json::from_str::<Faults>(r#"{"fire":0.1}"#).unwrap_err().to_string();
    assert!(error.contains("there is no fault \"fire\"; there are unavailable,"), "{error}");
    assert!(serde_json::from_str::<Faults>(r#"{"slow":2}"#).is_err());
}
