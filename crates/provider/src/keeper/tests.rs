use capstead_reconcile::Report;

use super::*;

fn known(failure: Option<&str>) -> Known {
    Known {
        uid: "u".into(),
        grounds: Grounds::NothingMade,
        failure: failure.map(|cause| Failure { cause: cause.into() }),
        again: None,
        backoff: Backoff::new(TRIES.0, TRIES.1, 7),
    }
}

/// How long until the next look, after a step was refused for this cause.
fn wait(known: &mut Known, cause: &str) -> Duration {
    let plan = Plan::settled().then("make");
    let report = Report { applied: Vec::new(), ended: Ended::Terminal { step: "make", cause: cause.into() } };
    let before = Timestamp::now();
    let passed = judge(&plan, &report, None, known, &Name::new("team", "m"));
    assert!(passed.failed);
    match passed.look {
        Look::At(at) => Duration::try_from(at.duration_since(before)).unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_refused_for_good_is_looked_at_soon_only_while_its_cause_is_news() {
    let soon = Duration::from_secs(1);
    let mut known = known(None);
    assert!(wait(&mut known, "no macvtap here") < soon, "so that the next pass tells it");
    assert_eq!(known.failure, Some(Failure { cause: "no macvtap here".into() }));
    assert!(wait(&mut known, "no macvtap here") > TRIES.1 / 2, "it was told, and nothing is new");
    assert!(wait(&mut known, "no such image") < soon, "another cause is news again");
}
