use super::*;

#[test]
fn churn_is_read() {
    assert_eq!("scale=30/m,delete=2/s".parse(), Ok(Churn { scale: 0.5, delete: 2.0 }));
    assert_eq!("delete=1.8/h".parse(), Ok(Churn { scale: 0.0, delete: 0.0005 }));
}

#[test]
fn what_is_no_churn_is_refused_with_why() {
    let refused = |text: &str| text.parse::<Churn>().expect_err(text);
    for (text, why) in [
        ("", "is no KIND=RATE"),
        ("scale", "is no KIND=RATE"),
        ("grow=1/m", "there are scale and delete"),
        ("scale=1/m,scale=2/m", "stands twice"),
        ("scale=10", "is no rate"),
        ("scale=x/m", "is no number"),
        ("scale=1/d", "is no unit"),
        ("scale=0/m", "is not above 0"),
        ("scale=-1/m", "is not above 0"),
        ("scale=NaN/m", "is not above 0"),
        ("delete=101/s", "at most 100"),
    ] {
        assert!(refused(text).contains(why), "{text}: {}", refused(text));
    }
}

#[test]
fn members_are_odd() {
    assert_eq!(
        ["0", "1", "2", "3", "5", "7", "9", "x"].map(|text| members(text).ok()),
        [None, Some(1), None, Some(3), Some(5), Some(7), None, None]
    );
}

#[test]
fn a_report_is_named_by_its_kind() {
    assert!(report("a/b.json").is_ok() && report("b.html").is_ok());
    assert!(report("b").is_err() && report("b.svg").is_err());
}
