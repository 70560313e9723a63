use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn set(conditions: &mut Conditions, type_: &str, status: Status, second: i64) -> bool {
    conditions.set(Report::new(type_, status, "Because").message("m"), Some(1), at(second))
}

fn types(conditions: &Conditions) -> Vec<&str> {
    conditions.iter().map(|c| c.type_.as_str()).collect()
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let mut conditions = Conditions::default();
    assert!(set(&mut conditions, kind::READY, Status::False, 10));
    let since = |conditions: &Conditions| conditions.get(kind::READY).unwrap().last_transition_time.0;
    assert!(!set(&mut conditions, kind::READY, Status::False, 20));
    assert_eq!(since(&conditions), at(10));
    let reworded = Report::new(kind::READY, Status::False, "Other");
    assert!(conditions.set(reworded, Some(2), at(30)));
    assert_eq!(since(&conditions), at(10));
    assert_eq!(conditions.get(kind::READY).unwrap().observed_generation, Some(2));
    assert!(set(&mut conditions, kind::READY, Status::True, 40));
    assert_eq!(since(&conditions), at(40));
}

#[test]
fn times_are_cut_to_the_second_so_that_writing_changes_nothing() {
    let mut conditions = Conditions::default();
    let now: Timestamp = "2026-11-20T01:02:03.999Z".parse().unwrap();
    conditions.set(Report::paused(false), None, now);
    let written = serde_json::to_value(&conditions).unwrap();
    assert_eq!(
        written,
        json!([{"type": "Paused", "status": "False", "reason": "NotPaused", "message": "", "lastTransitionTime": "2026-11-20T01:02:03Z"}])
    );
    assert_eq!(serde_json::from_value::<Conditions>(written).unwrap(), conditions);
}

#[test]
fn the_order_is_cores() {
    let mut conditions = Conditions::default();
    for type_ in ["Zeta", kind::DELETING, kind::PAUSED, "Alpha", kind::INFRASTRUCTURE_READY, kind::READY, kind::SCALING_UP, kind::AVAILABLE]
    {
        set(&mut conditions, type_, Status::True, 1);
    }
    assert_eq!(types(&conditions), ["Available", "Ready", "InfrastructureReady", "ScalingUp", "Alpha", "Zeta", "Paused", "Deleting"]);
    assert!(conditions.remove("Alpha"));
    assert!(!conditions.remove("Alpha"));
}

#[test]
fn a_missing_condition_is_neither_true_nor_false() {
    let conditions = Conditions::default();
    assert!(!conditions.is_true(kind::READY) && !conditions.is_false(kind::READY));
}

#[test]
fn reading_prefers_v1beta2_and_fills_in_what_may_be_missing() {
    let object = json!({
        "metadata": {"generation": 7},
        "status": {
            "conditions": [{"type": "Old", "status": "True"}],
            "v1beta2": {"conditions": [
                {"type": "Paused", "status": "False", "severity": "Info", "lastTransitionTime": null},
                "no object",
                {"type": "Ready", "status": "Unknown", "reason": "R", "message": "m", "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        },
    });
    let conditions = read(&object, at(5)).unwrap();
    assert_eq!(types(&conditions), ["Ready", "Paused"]);
    let paused = conditions.get("Paused").unwrap();
    assert_eq!(paused.reason, reason::NO_REASON_REPORTED);
    assert_eq!(paused.observed_generation, Some(7));
    assert_eq!(paused.last_transition_time.0, at(5));
    let ready = conditions.get("Ready").unwrap();
    assert_eq!(ready.observed_generation, Some(3));
    assert_eq!(ready.last_transition_time.0, "2026-01-01T00:00:00Z".parse().unwrap());
}

#[test]
fn reading_falls_back_to_the_old_place_and_then_to_none() {
    for (status, expected) in [
        (json!({"conditions": [{"type": "A", "status": "True"}]}), vec!["A"]),
        (json!({"v1beta2": {}, "conditions": [{"type": "A", "status": "True"}]}), vec!["A"]),
        (json!({"v1beta2": {"conditions": []}, "conditions": [{"type": "A", "status": "True"}]}), vec![]),
        (json!({"conditions": {}}), vec![]),
        (json!({}), vec![]),
    ] {
        assert_eq!(types(&read(&json!({"status": status.clone()}), at(0)).unwrap()), expected, "{status}");
    }
}

#[test]
fn a_bad_condition_is_an_error_that_names_the_field() {
    for (condition, error) in [
        (json!({"status": "True"}), "status.conditions[1].type must be set"),
        (json!({"type": "", "status": "True"}), "status.conditions[1].type must be set"),
        (json!({"type": "A"}), "status.conditions[1].status must be set"),
        (json!({"type": "A", "status": "true"}), "status.conditions[1].status is \"true\", not True, False or Unknown"),
        (json!({"type": "A", "status": true}), "status.conditions[1].status is not a string"),
        (json!({"type": "A", "status": "True", "reason": 1}), "status.conditions[1].reason is not a string"),
        (json!({"type": "A", "status": "True", "observedGeneration": "1"}), "status.conditions[1].observedGeneration is not an integer"),
        (
            json!({"type": "A", "status": "True", "lastTransitionTime": "yesterday"}),
            "status.conditions[1].lastTransitionTime is not an RFC 3339 time",
        ),
    ] {
        let object = json!({"status": {"conditions": [{"type": "Fine", "status": "True"}, condition]}});
        assert_eq!(read(&object, at(0)).unwrap_err().to_string(), error);
    }
}

fn report(type_: &str, status: Status, message: &str) -> Report {
    Report::new(type_, status, "Because").message(message)
}

fn sum(reports: &[Report], summary: &Summary) -> Option<(Status, String, String)> {
    let mut conditions = Conditions::default();
    for report in reports {
        conditions.set(report.clone(), None, at(0));
    }
    summary.of(&conditions).map(|sum| (sum.status, sum.reason, sum.message))
}

#[test]
fn a_summary_surfaces_issues_then_unknowns_then_news() {
    use Status::{False, True, Unknown};
    let ready = Summary { target: kind::READY, types: &["VmReady", "NetReady", kind::DELETING], optional: &[kind::DELETING] };
    let text = |status, reason: &str, message: &str| Some((status, reason.to_owned(), message.to_owned()));
    assert_eq!(sum(&[report("VmReady", True, ""), report("NetReady", True, "")], &ready), text(True, "Ready", ""));
    assert_eq!(sum(&[report("VmReady", True, "booted"), report("NetReady", True, "")], &ready), text(True, "Ready", "* VmReady: booted"));
    assert_eq!(sum(&[report("VmReady", True, "booted")], &ready), text(Unknown, "ReadyUnknown", "* NetReady: Condition not yet reported"));
    assert_eq!(
        sum(
            &[report("NetReady", False, "no route"), report("VmReady", Unknown, ""), report(kind::DELETING, True, "* disk\n* tap"),],
            &ready
        ),
        text(False, "NotReady", "* VmReady: Because\n* NetReady: no route\n* Deleting:\n  * disk\n  * tap")
    );
    assert_eq!(
        sum(&[report("VmReady", False, "two things:\n* one"), report("NetReady", True, ""), report(kind::DELETING, False, ""),], &ready),
        text(False, "NotReady", "* VmReady:\n  * two things:\n    * one")
    );
}

#[test]
fn a_summary_of_nothing_is_none_and_other_targets_have_generic_reasons() {
    let nothing = Summary { target: kind::READY, types: &["A"], optional: &["A"] };
    assert_eq!(sum(&[], &nothing), None);
    let other = Summary { target: "HostReady", types: &["A"], optional: &[] };
    assert_eq!(sum(&[report("A", Status::False, "x")], &other).unwrap().1, reason::ISSUES_REPORTED);
}

fn any_report() -> impl Strategy<Value = Report> {
    (
        prop_oneof!["Ready", "Paused", "Deleting", "[A-C]"],
        prop_oneof![Just(Status::True), Just(Status::False), Just(Status::Unknown)],
        "[A-B]",
        "[a-b]?",
    )
        .prop_map(|(type_, status, reason, message)| Report::new(type_, status, reason).message(message))
}

proptest! {
    /// Whatever was set before, setting the same again is no change; each type is there once and the order does not depend on history.
    #[test]
    fn setting_never_flaps(reports in proptest::collection::vec(any_report(), 1..12)) {
        let mut conditions = Conditions::default();
        for (second, report) in reports.iter().enumerate() {
            conditions.set(report.clone(), Some(1), at(second as i64));
        }
        let settled = conditions.clone();
        for condition in settled.iter() {
            let again = Report::new(&condition.type_, condition.status, &condition.reason).message(&condition.message);
            prop_assert!(!conditions.set(again, Some(1), at(1_000)));
        }
        prop_assert_eq!(&conditions, &settled);
        let reversed: Conditions = settled.iter().cloned().rev_collect();
        prop_assert_eq!(reversed, settled);
    }

    /// The tolerant reader reads back what is written.
    #[test]
    fn what_is_written_is_read(reports in proptest::collection::vec(any_report(), 0..8)) {
        let mut conditions = Conditions::default();
        for report in reports {
            conditions.set(report, Some(1), at(9));
        }
        let object: Value = json!({"status": {"conditions": &conditions}});
        prop_assert_eq!(read(&object, at(99)).unwrap(), conditions);
    }
}

trait RevCollect: Iterator<Item = Condition> + Sized {
    fn rev_collect(self) -> Conditions {
        let mut all: Vec<_> = self.collect();
        all.reverse();
        all.into_iter().collect()
    }
}

impl<I: Iterator<Item = Condition>> RevCollect for I {}
