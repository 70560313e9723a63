use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn seen() -> Observed {
    let (whole, traces) = (BTreeSet::new(), BTreeSet::new());
    Observed { whole, traces, process: Process::None, launched: None, asked: None, trouble: Trouble::default() }
}

fn run() -> Wish {
    Wish::Run { parts: [Part::Interface(0), Part::Root, Part::Kernel].into(), most: 3 }
}

const GONE: Wish = Wish::Gone { grace: Duration::from_secs(5) };

#[test]
fn what_is_missing_is_made_in_order_and_then_it_is_launched() {
    let whole: BTreeSet<Part> = [Part::Root].into();
    let plan = Life::plan(&run(), &Observed { traces: whole.clone(), whole, ..seen() }, at(0));
    assert_eq!(plan.steps, [Step::Make(Part::Kernel), Step::Make(Part::Interface(0)), Step::Launch]);
}

#[test]
fn what_runs_is_adopted_and_left_alone() {
    let running = Observed { process: Process::Running, ..seen() };
    assert_eq!(Life::plan(&run(), &running, at(0)).steps, [Step::Adopt]);
    assert_eq!(Life::plan(&GONE, &running, at(0)).steps, [Step::Adopt], "so that its end is heard");
    let adopted = Observed { launched: Some(at(0)), ..running };
    assert!(Life::plan(&run(), &adopted, at(0)).is_settled());
    assert_eq!(state(&run(), &adopted), State::Created);
}

#[test]
fn a_vmm_whose_guest_is_lost_is_killed_and_the_cause_told() {
    let lost = Observed { process: Process::Lost, launched: Some(at(0)), whole: [Part::Root].into(), ..seen() };
    assert_eq!(Life::plan(&run(), &lost, at(40)).steps, [Step::Kill]);
    assert_eq!(Life::plan(&GONE, &lost, at(40)).steps, [Step::Kill], "it will not shut down");
    assert_eq!(state(&run(), &lost), State::Pending);
    assert_eq!(Life::plan(&run(), &Observed { launched: None, ..lost.clone() }, at(40)).steps, [Step::Adopt]);
    let end = End::Lost("its guest hung".into());
    let killed = Observed { process: Process::Ended(end.clone()), ..lost };
    assert_eq!(Life::plan(&run(), &killed, at(41)).steps, [Step::Bury(Some(end.clone()))]);
    let trouble = Trouble::default().buried(Some(&end), at(0), at(41));
    assert_eq!((trouble.failures, trouble.cause.as_str(), trouble.hopeless), (1, "its guest hung", false));
}

#[test]
fn a_try_is_put_off_longer_each_time_and_at_last_given_up() {
    let failed = |times: u32| (0..times).fold(Trouble::default(), |trouble, _| trouble.failed("no space", at(100)));
    for (times, wait) in [(1, 1), (2, 2), (3, 4)] {
        let seen = Observed { trouble: failed(times), ..seen() };
        let plan = Life::plan(&run(), &seen, at(100));
        assert_eq!((plan.steps.len(), plan.again), (0, Some(at(100 + wait))), "{times}");
        assert_eq!(state(&run(), &seen), State::Pending);
        assert!(!Life::plan(&run(), &seen, at(100 + wait)).steps.is_empty(), "{times}");
    }
    let seen = Observed { trouble: failed(4), ..seen() };
    let plan = Life::plan(&run(), &seen, at(9999));
    assert!(plan.is_settled());
    assert_eq!(plan.findings[0].message, "failed 4 times in a row, at last: no space");
    assert_eq!(state(&run(), &seen), State::Failed);
}

#[test]
fn what_cannot_work_fails_at_once_and_can_be_deleted() {
    let trouble = Trouble::default().hopeless("kernel.filename: the image has no boot/vmlinux", at(0));
    let seen = Observed { trouble, traces: [Part::Root].into(), ..seen() };
    assert!(Life::plan(&run(), &seen, at(9999)).is_settled());
    assert_eq!(state(&run(), &seen), State::Failed);
    assert_eq!(Life::plan(&GONE, &seen, at(9999)).steps, [Step::Unmake(Part::Root), Step::Forget]);
    assert_eq!(state(&GONE, &seen), State::Deleting);
}

#[test]
fn a_guest_is_asked_first_and_its_vmm_killed_when_the_grace_is_over() {
    let running =
        Observed { process: Process::Running, launched: Some(at(0)), traces: [Part::Kernel, Part::Interface(0)].into(), ..seen() };
    assert_eq!(Life::plan(&GONE, &running, at(10)).steps, [Step::Shutdown]);
    let asked = Observed { asked: Some(at(10)), ..running.clone() };
    let plan = Life::plan(&GONE, &asked, at(12));
    assert_eq!((plan.steps.len(), plan.again), (0, Some(at(15))));
    assert_eq!(Life::plan(&GONE, &asked, at(15)).steps, [Step::Kill]);
    let ended = Observed { process: Process::Ended(End::PoweredOff), ..asked };
    assert_eq!(Life::plan(&GONE, &ended, at(16)).steps, [Step::Bury(Some(End::PoweredOff))]);
    let buried = Observed { process: Process::None, launched: None, ..ended };
    assert_eq!(Life::plan(&GONE, &buried, at(16)).steps, [Step::Unmake(Part::Interface(0)), Step::Unmake(Part::Kernel), Step::Forget]);
}
