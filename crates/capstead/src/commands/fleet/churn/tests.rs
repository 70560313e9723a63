use super::*;

const CHURN: Churn = Churn { scale: 0.5, delete: 0.1 };
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_plan_has_the_rates_that_are_asked_for_in_order_of_time() {
    let plan = plan(CHURN, MINUTE, 4, 3, 1);
    let deletes = plan.iter().filter(|(_, action)| matches!(action, Action::Delete { .. })).count();
    assert_eq!((plan.len(), deletes), (36, 6));
    assert!(plan.is_sorted_by_key(|(at, _)| *at));
    assert!(plan.iter().all(|(at, _)| *at > Duration::ZERO && *at < MINUTE));
}

#[test]
fn the_same_seed_makes_the_same_plan_and_another_one_another() {
    assert_eq!(plan(CHURN, MINUTE, 4, 3, 1), plan(CHURN, MINUTE, 4, 3, 1));
    assert_ne!(plan(CHURN, MINUTE, 4, 3, 1), plan(CHURN, MINUTE, 4, 3, 2));
}

#[test]
fn scaling_changes_something_and_meets_every_cluster() {
    let scaled: Vec<(usize, u32)> = plan(Churn { scale: 10.0, delete: 0.0 }, MINUTE, 4, 3, 1)
        .into_iter()
        .filter_map(|(_, action)| match action {
            Action::Scale { cluster, workers } => Some((cluster, workers)),
            Action::Delete { .. } => None,
        })
        .collect();
    let counts: std::collections::BTreeSet<u32> = scaled.iter().map(|(_, workers)| *workers).collect();
    let clusters: std::collections::BTreeSet<usize> = scaled.iter().map(|(cluster, _)| *cluster).collect();
    assert_eq!((counts, clusters), ([0, 1, 2, 4, 5, 6].into(), [1, 2, 3, 4].into()));
    let of_none = plan(CHURN, MINUTE, 1, 0, 1);
    assert!(of_none.iter().any(|(_, action)| *action == Action::Scale { cluster: 1, workers: 1 }), "of none there is one");
}
