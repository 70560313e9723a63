use capstead_journeys::look::Host;

use super::*;

fn cells(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn hosts_are_shown_with_what_they_have_or_why_nothing_is_known() {
    let microvm = MicroVm { uid: "U1".into(), name: "demo-cp-1".into(), state: "CREATED".into() };
    let host = |address: &str, microvms| Host { address: address.into(), microvms };
    let hosts = vec![host("h:1", Ok(vec![microvm])), host("h:2", Ok(Vec::new())), host("h:3", Err("refused".into()))];
    let table = microvms(&Look { objects: Vec::new(), hosts });
    let expected = [vec!["h:1", "demo-cp-1", "U1", "CREATED"], vec!["h:2", "-", "-", "-"], vec!["h:3", "-", "-", "refused"]];
    assert_eq!(cells(&table)[1..], expected);
}

#[test]
fn a_tree_has_a_row_for_each_object() {
    let now = "2026-01-01T00:01:30Z".parse().unwrap();
    let [object, branch, ready, reason, note] = ["Machine/a", "└─", "True", "Ready", "microvm://h:1/U1"].map(str::to_owned);
    let since = "2026-01-01T00:00:00Z".parse().ok();
    let rows = [Row { object, branch, ready, reason, since, note }];
    assert_eq!(cells(&tree(&rows, now))[1..], [vec!["└─Machine/a", "True", "Ready", "90s", "microvm://h:1/U1"]]);
}

#[test]
fn times_are_short() {
    for (seconds, text) in [(-3, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")] {
        assert_eq!(age(seconds), text);
    }
}
