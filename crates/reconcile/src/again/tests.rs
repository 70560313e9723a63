use super::*;

#[test]
fn a_look_is_good_enough_when_it_is_newer_than_the_plans_or_as_late_as_it_asked() {
    let time = |second| Timestamp::constant(second, 0);
    let newer = |second| Some(later(time(second), Duration::from_millis(1)));
    let table = [
        ("nothing was asked for", None, Some(1), 9, None),
        ("not yet due", Some(5), Some(1), 4, None),
        ("due, and there was no look", Some(5), None, 5, Some(time(5))),
        ("due: anything newer will do", Some(5), Some(1), 6, newer(1)),
        ("due, and the plan's own look is as late", Some(5), Some(7), 8, Some(time(5))),
    ];
    for (what, at, seen, now, want) in table {
        let plan = at.map_or(Plan::<()>::settled(), |at| Plan::settled().look_at(time(at)));
        let again = Again::of(&plan, seen.map(time));
        assert_eq!(again.and_then(|again| again.not_before(time(now))), want, "{what}");
    }
}
