use serde_json::json;

use super::*;

fn asked() -> Asked {
    Asked { clusters: 2, control_plane: 1, workers: 1, hosts: 1, concurrency: 1, boot_seconds: 0.0, kubeadm_seconds: 0.0, seed: 0 }
}

fn record() -> Record {
    use super::super::record::Kind;
    let mut record = Record::default();
    let condition = |status| json!([{"type": "Available", "status": status, "reason": "NotAvailable", "message": "no workers"}]);
    record.saw(Kind::Cluster, &json!({"metadata": {"name": "a"}, "status": {"conditions": condition("False")}}), 1.0);
    record.saw(Kind::Cluster, &json!({"metadata": {"name": "b"}, "status": {"conditions": condition("True")}}), 8.0);
    record
}

#[test]
fn a_line_tells_how_far_it_is_and_who_waits_longest() {
    assert_eq!(
        line(&asked(), &record(), "coming up", 10.0),
        "10 s: coming up; available are 1 of 2 clusters and 0 of 4 machines; longest a for 9 s NotAvailable: no workers"
    );
}

#[test]
fn the_block_has_a_line_for_each_that_waits() {
    let lines = lines(&asked(), &record(), &Sample::default(), "coming up", 10.0);
    let whats: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(whats, ["fleet", "clusters", "machines", "our processes", "a"]);
    assert_eq!(lines[1].state, "1 of 2 available, 6 a minute; after p50 0.0 s, p90 0.0 s, p99 0.0 s");
    assert_eq!((lines[4].state.as_str(), lines[4].note.as_str()), ("for 9 s NotAvailable", "no workers"));
}

#[test]
fn long_messages_are_cut_between_letters() {
    assert_eq!(short("é"), "é");
    assert_eq!(short(&"é".repeat(200)), "é".repeat(120) + "…");
}
