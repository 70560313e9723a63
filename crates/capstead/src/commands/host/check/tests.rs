use std::time::Duration;

use capstead_preflight::Report;
use capstead_preflight::Status;
use capstead_preflight::Wish;
use capstead_preflight::machine::Answer;
use capstead_preflight::machine::Answers;
use capstead_preflight::machine::Recorded;

use super::all;
use crate::commands::host::table;
use crate::progress::Bars;

/// A machine that answered this, and hung on all else.
async fn looked_at(answers: &[(&str, &str)]) -> Report {
    let answers = answers.iter().map(|(name, text)| ((*name).to_owned(), Answer::ok(*text))).collect();
    let machine = Recorded { name: "ssh://mvm-1".into(), answers: Answers(answers) };
    all(&machine, &Wish::default(), Duration::from_secs(1), &Bars::new()).await.unwrap()
}

fn found(report: &Report, id: &str) -> (Status, String) {
    let check = report.checks.iter().find(|check| check.id == id).unwrap();
    (check.status, check.found.clone())
}

#[tokio::test]
async fn a_recorded_host_is_judged_and_told() {
    let report = looked_at(&[
        ("kernel", "4.19.0-1 x86_64"),
        ("memory", "MemAvailable: 8000000 kB"),
        ("guest-kvm", "hung"),
        ("guest-tcg", "ran"),
        ("kvm", "absent"),
    ])
    .await;
    assert_eq!(report.host, "ssh://mvm-1");
    assert_eq!(found(&report, "kernel"), (Status::Fail, "4.19.0-1".into()));
    assert_eq!(found(&report, "memory").0, Status::Pass);
    // The guest is booted, not only asked for.
    assert_eq!(found(&report, "emulation"), (Status::Pass, "by emulation".into()));
    assert_eq!(found(&report, "kvm"), (Status::Warn, "there is no /dev/kvm".into()));
    assert_eq!(report.exit_code(), 1);
    let text = table::report(&report);
    assert!(text.starts_with("STATUS") && text.contains("\nFAIL     kernel"), "{text}");
    assert!(text.contains("kernel (FAIL): 4.19.0-1\n") && text.contains("\n  do:       install a newer kernel\n"), "{text}");
    assert!(text.contains("cannot tell: no answer in time") && !text.contains("thin-pool"), "{text}");
}

#[tokio::test]
async fn a_host_that_tells_nothing_is_not_ready() {
    let report = looked_at(&[]).await;
    assert!(!report.ok);
    assert_ne!(report.exit_code(), 0);
    assert_eq!(found(&report, "kernel"), (Status::Skip, "cannot tell: no answer in time".into()));
    assert!(table::report(&report).contains("ssh://mvm-1 is not ready"));
}
