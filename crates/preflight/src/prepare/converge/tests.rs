use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;

use super::super::goals::Goal;
use super::super::journal::Entry;
use super::super::state::Key;
use super::super::state::State;
use super::Guard;
use super::Prepare;
use super::Restore;
use super::Situation;
use super::Step;

mod explored;
mod uplink;

const RUNS: State = State::Unit { enabled: true, active: true };
const STOPPED: State = State::Unit { enabled: true, active: false };
const IDLE: State = State::Unit { enabled: false, active: false };

fn file(path: &str) -> Key {
    Key::File(path.into())
}

fn user() -> Key {
    Key::User("vmm".into())
}

fn unit(name: &str) -> Key {
    Key::Unit(name.into())
}

fn goal(key: Key, state: State, rests: &[Key]) -> Goal {
    Goal { key, state, rests: rests.to_vec() }
}

fn prepare(goals: &[Goal], now: &Situation) -> Vec<Step> {
    Prepare::plan(&goals.to_vec(), now, Timestamp::UNIX_EPOCH).steps
}

fn record(key: Key, before: State, rests: &[Key]) -> Step {
    Step::Record(Entry { key, before, rests: rests.to_vec() })
}

#[test]
fn each_change_is_recorded_before_it_is_made_and_what_stays_is_not() {
    let goals = [
        goal(Key::Package("nftables".into()), State::Present, &[]),
        goal(user(), State::Present, &[]),
        goal(file("/a"), State::text("new"), &[]),
        goal(unit("u"), RUNS, &[file("/a"), user()]),
    ];
    let now = Situation { states: [(file("/a"), State::text("old")), (unit("u"), IDLE)].into(), ..Situation::default() };
    let expected = [
        Step::Set(Key::Package("nftables".into()), State::Present),
        record(user(), State::Absent, &[]),
        Step::Set(user(), State::Present),
        record(file("/a"), State::text("old"), &[]),
        Step::Set(file("/a"), State::text("new")),
        record(unit("u"), IDLE, &[file("/a"), user()]),
        Step::Set(unit("u"), RUNS),
    ];
    assert_eq!(prepare(&goals, &now), expected);
}

#[test]
fn what_is_as_wished_needs_no_step() {
    let goals = [goal(file("/a"), State::text("x"), &[]), goal(unit("u"), RUNS, &[file("/a")])];
    let now = Situation { states: goals.iter().map(|goal| (goal.key.clone(), goal.state.clone())).collect(), ..Situation::default() };
    assert!(Prepare::plan(&goals.to_vec(), &now, Timestamp::UNIX_EPOCH).is_settled());
}

#[test]
fn a_unit_stops_before_what_it_rests_on_changes_and_those_that_rest_on_it_stop_first() {
    let goals = [goal(file("/a"), State::text("new"), &[]), goal(unit("u"), RUNS, &[file("/a")]), goal(unit("w"), RUNS, &[unit("u")])];
    let before = [(file("/a"), State::text("old")), (unit("u"), RUNS), (unit("w"), RUNS)];
    let journal = goals.iter().map(|goal| Entry { key: goal.key.clone(), before: State::Absent, rests: Vec::new() }).collect();
    let now = Situation { states: before.into(), journal, guard: Guard::Idle };
    let expected = [
        Step::Set(unit("w"), STOPPED),
        Step::Set(unit("u"), STOPPED),
        Step::Set(file("/a"), State::text("new")),
        Step::Set(unit("u"), RUNS),
        Step::Set(unit("w"), RUNS),
    ];
    assert_eq!(prepare(&goals, &now), expected);
}

#[test]
fn a_user_who_was_there_before_is_not_taken_away() {
    let goals = [goal(user(), State::Present, &[]), goal(unit("u"), RUNS, &[user()])];
    let theirs = Situation { states: [(user(), State::Present), (unit("u"), IDLE)].into(), ..Situation::default() };
    assert_eq!(prepare(&goals, &theirs), [record(unit("u"), IDLE, &[user()]), Step::Set(unit("u"), RUNS)]);
    let journal = |keys: &[(Key, State)]| {
        keys.iter().map(|(key, before)| Entry { key: key.clone(), before: before.clone(), rests: vec![user()] }).collect()
    };
    let prepared = |journal| Situation { states: [(user(), State::Present), (unit("u"), RUNS)].into(), journal, guard: Guard::Idle };
    let back = |now: &Situation| Restore::plan(&(), now, Timestamp::UNIX_EPOCH).steps;
    assert_eq!(back(&prepared(journal(&[(unit("u"), IDLE)]))), [Step::Set(unit("u"), IDLE)]);
    // One that was made goes, after the daemon whose VMMs it ran.
    let ours = prepared(journal(&[(user(), State::Absent), (unit("u"), IDLE)]));
    assert_eq!(back(&ours), [Step::Set(unit("u"), IDLE), Step::Set(user(), State::Absent)]);
}

#[test]
fn what_another_wish_changed_goes_back() {
    let journal = vec![
        Entry { key: file("/old"), before: State::Absent, rests: Vec::new() },
        Entry { key: unit("old"), before: IDLE, rests: vec![file("/old")] },
    ];
    let now = Situation { states: [(file("/old"), State::text("x")), (unit("old"), RUNS)].into(), journal, guard: Guard::Idle };
    let expected = [Step::Set(unit("old"), IDLE), Step::Set(file("/old"), State::Absent)];
    assert_eq!(prepare(&[], &now), expected);
}

#[test]
fn restore_goes_backwards_and_forgets_last() {
    let journal = vec![
        Entry { key: Key::Folder("/f".into()), before: State::Absent, rests: Vec::new() },
        Entry { key: file("/f/a"), before: State::Absent, rests: Vec::new() },
        Entry { key: unit("u"), before: IDLE, rests: vec![file("/f/a")] },
    ];
    let states = [(Key::Folder("/f".into()), State::Present), (file("/f/a"), State::text("x")), (unit("u"), RUNS)];
    let now = Situation { states: states.into(), journal, guard: Guard::Idle };
    let expected = [Step::Set(unit("u"), IDLE), Step::Set(file("/f/a"), State::Absent), Step::Set(Key::Folder("/f".into()), State::Absent)];
    assert_eq!(Restore::plan(&(), &now, Timestamp::UNIX_EPOCH).steps, expected);

    // Somebody put something into the folder.
    let left = Situation { states: [(Key::Folder("/f".into()), State::Present), (unit("u"), IDLE)].into(), ..now };
    let expected = [Step::Set(Key::Folder("/f".into()), State::Absent), Step::Forget];
    assert_eq!(Restore::plan(&(), &left, Timestamp::UNIX_EPOCH).steps, expected);
    assert!(Restore::plan(&(), &Situation::default(), Timestamp::UNIX_EPOCH).is_settled());
}
