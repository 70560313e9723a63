use capstead_doctor::Diagnosis;
use capstead_doctor::Evidence;
use capstead_doctor::Finding;
use capstead_doctor::Severity;
use capstead_doctor::picture::Unseen;

use super::diagnosis;

fn finding(severity: Severity) -> Finding {
    let evidence =
        |n: usize| Evidence { source: format!("MicrovmMachine team/m{n}"), said: "macvtap network interfaces not supported".into() };
    Finding {
        id: "macvtap".into(),
        severity,
        about: "machines with macvtap".into(),
        symptom: "macvtap network interfaces not supported".into(),
        cause: "the VMM takes none".into(),
        evidence: vec![evidence(1), evidence(2)],
        more: 3,
        fix: "use tap".into(),
    }
}

#[test]
fn people_read_cause_evidence_and_what_to_do() {
    let found = Diagnosis { ok: false, looked: vec!["host a".into()], findings: vec![finding(Severity::Error)], unseen: Vec::new() };
    let expected = "SEVERITY   FINDING   ABOUT
ERROR      macvtap   machines with macvtap

macvtap (ERROR): machines with macvtap
  symptom:  macvtap network interfaces not supported
  cause:    the VMM takes none
  seen:     MicrovmMachine team/m1: macvtap network interfaces not supported
            MicrovmMachine team/m2: macvtap network interfaces not supported
            and 3 more
  do:       use tap

looked at: host a
found: 1 error";
    assert_eq!(diagnosis(&found), expected);
}

#[test]
fn the_last_line_says_what_it_comes_to() {
    let unseen = || Unseen { what: "objects of the kind Machine".into(), why: "forbidden".into() };
    let cases = [
        (vec![], vec![], "nothing wrong was found"),
        (
            vec![],
            vec![unseen()],
            "not looked at: objects of the kind Machine: forbidden\nnothing wrong was found, but not everything could be looked at",
        ),
        (vec![finding(Severity::Note), finding(Severity::Note), finding(Severity::Warning)], vec![], "\n\nfound: 1 warning, 2 notes"),
    ];
    for (findings, unseen, end) in cases {
        let text = diagnosis(&Diagnosis { ok: false, looked: Vec::new(), findings, unseen });
        assert!(text.ends_with(end), "{text}");
    }
}
