use super::Diagnosis;
use super::Evidence;
use super::Finding;
use super::Severity;
use crate::picture::Unseen;

fn diagnosis(severities: &[Severity], unseen: usize) -> Diagnosis {
    let findings = severities.iter().map(|severity| Finding::new(*severity, "a", "b", "c")).collect();
    let unseen = vec![Unseen { what: "Machines".into(), why: "forbidden".into() }; unseen];
    Diagnosis { ok: true, looked: Vec::new(), findings, unseen }
}

#[test]
fn the_exit_code_says_whether_something_is_wrong_or_could_not_be_told() {
    use Severity::Error;
    use Severity::Note;
    use Severity::Warning;
    let cases: [(&[Severity], usize, u8); 7] =
        [(&[], 0, 0), (&[Note], 0, 0), (&[Note, Warning], 0, 1), (&[Error], 0, 1), (&[], 1, 2), (&[Note], 1, 2), (&[Error], 1, 1)];
    for (severities, unseen, code) in cases {
        assert_eq!(diagnosis(severities, unseen).exit_code(), code, "{severities:?} {unseen}");
    }
}

#[test]
fn evidence_is_told_once_and_not_without_end() {
    let said = |n: usize| Evidence { source: format!("machine {n}"), said: "waits".into() };
    let finding = Finding::error("a", "b", "c").with((0..20).map(said)).with([said(3)]);
    assert_eq!((finding.evidence.len(), finding.more), (8, 12));
    let long = Finding::error("a", "b", "c").seen("log", &"é".repeat(1000));
    assert_eq!(long.evidence[0].said.chars().count(), 401);
    assert_eq!(Finding::error("a", "b", "c").seen("log", "two\n  lines").evidence[0].said, "two lines");
}

#[test]
fn as_json_it_has_the_fields_that_programs_rely_on() {
    let finding = Finding::new(Severity::Warning, "host a", "cause", "fix").seen("log, line 1", "words");
    let value = serde_json::to_value(&finding).unwrap();
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["id", "severity", "about", "symptom", "cause", "evidence", "more", "fix"];
    expected.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!((&value["severity"], &value["evidence"][0]["source"]), (&"warning".into(), &"log, line 1".into()));
}
