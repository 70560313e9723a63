use std::time::Duration;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 7)
}

fn run(steps: &[u8], outcomes: &[Outcome]) -> Report<u8> {
    let mut pass = Pass::new(steps.to_vec());
    for outcome in outcomes {
        assert!(pass.next().is_some());
        pass.record(outcome.clone());
    }
    assert!(pass.next().is_none(), "the pass is over");
    pass.report()
}

#[test]
fn steps_go_in_order_until_one_is_not_done() {
    let failed = Outcome::transient("refused");
    let cases: &[(&[Outcome], &[u8], Ended<u8>)] = &[
        (&[Outcome::Done, Outcome::Done], &[1, 2], Ended::Finished),
        (&[Outcome::Gone], &[], Ended::Gone),
        (&[Outcome::Done, Outcome::Gone], &[1], Ended::Gone),
        (&[failed], &[], Ended::Transient { step: 1, cause: "refused".into(), after: None }),
        (&[Outcome::Done, Outcome::terminal("no")], &[1], Ended::Terminal { step: 2, cause: "no".into() }),
    ];
    for (outcomes, applied, ended) in cases {
        let report = run(&[1, 2], outcomes);
        assert_eq!((&report.applied[..], &report.ended), (*applied, ended), "{outcomes:?}");
    }
}

#[test]
fn when_to_look_again() {
    let idle = Plan::<u8>::settled();
    let timed = Plan::<u8>::settled().look_at(Timestamp::MAX).look_at(NOW);
    assert_eq!(run(&[], &[]).look(&idle, NOW, &mut backoff()), Look::OnChange);
    assert_eq!(run(&[], &[]).look(&timed, NOW, &mut backoff()), Look::At(NOW));
    assert_eq!(run(&[1], &[Outcome::Done]).look(&timed, NOW, &mut backoff()), Look::Now);
    assert_eq!(run(&[1], &[Outcome::Gone]).look(&idle, NOW, &mut backoff()), Look::Now);
    let told = Outcome::Transient { cause: String::new(), after: Some(Duration::from_secs(9)) };
    assert_eq!(run(&[1], &[told]).look(&idle, NOW, &mut backoff()), Look::At(later(NOW, Duration::from_secs(9))));
    assert_eq!(run(&[1], &[Outcome::terminal("")]).look(&idle, NOW, &mut backoff()), Look::At(later(NOW, Duration::from_secs(60))));
}

#[test]
fn success_forgets_failures() {
    let mut backoff = backoff();
    run(&[1], &[Outcome::transient("")]).look(&Plan::<u8>::settled(), NOW, &mut backoff);
    assert_eq!(backoff.failures(), 1);
    run(&[1], &[Outcome::Done]).look(&Plan::<u8>::settled(), NOW, &mut backoff);
    assert_eq!(backoff.failures(), 0);
}
