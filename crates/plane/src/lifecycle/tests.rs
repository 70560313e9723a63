mod explored;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn wish() -> Wish {
    Wish { run: true, objects: true, webhooks: true }
}

/// Everything at hand, nothing running.
fn idle() -> Observed {
    Observed {
        binary: true,
        files: true,
        processes: Vec::new(),
        exits: Exits::default(),
        taken: None,
        objects: Installed::Yes,
        webhooks: Installed::Yes,
        unready: Vec::new(),
        without_objects: Vec::new(),
        dependents: Vec::new(),
    }
}

fn process(pid: u32) -> Process {
    Process { pid, held: true, current: true, ready: true }
}

fn running(process: Process) -> Observed {
    Observed { processes: vec![process], ..idle() }
}

fn steps(wish: &Wish, seen: &Observed) -> Vec<Step> {
    Lifecycle::plan(wish, seen, NOW).steps
}

#[test]
fn what_is_done_in_each_situation() {
    let no = Wish { run: false, ..wish() };
    let plain = Wish { run: true, objects: false, webhooks: false };
    let exits = |failures| Exits { failures, last: Some(NOW) };
    let taken = Some(Taken { port: 12_000, by: "nginx (pid 7)".into() });
    let cases: Vec<(&str, Wish, Observed, Vec<Step>)> = vec![
        ("all at hand", wish(), idle(), vec![Step::Start]),
        (
            "nothing at hand",
            wish(),
            Observed { binary: false, files: false, objects: Installed::No, ..idle() },
            vec![Step::Fetch, Step::Write, Step::InstallObjects, Step::Start],
        ),
        ("without objects the API is not asked", plain, Observed { objects: Installed::Unknown, ..idle() }, vec![Step::Start]),
        (
            "what it needs is not ready: fetch meanwhile",
            wish(),
            Observed { binary: false, unready: vec!["etcd".into()], ..idle() },
            vec![Step::Fetch],
        ),
        (
            "others' objects are not there: install meanwhile",
            wish(),
            Observed { objects: Installed::No, without_objects: vec!["capi-core".into()], ..idle() },
            vec![Step::InstallObjects],
        ),
        ("a port is taken", wish(), Observed { taken, ..idle() }, vec![]),
        ("the API cannot be asked", wish(), Observed { objects: Installed::Unknown, ..idle() }, vec![]),
        ("ended once: again at once", wish(), Observed { exits: exits(1), ..idle() }, vec![Step::Start]),
        ("ended twice: later", wish(), Observed { exits: exits(2), ..idle() }, vec![]),
        ("found running", wish(), running(Process { held: false, ready: false, ..process(5) }), vec![Step::Adopt(5)]),
        ("another command", wish(), running(Process { current: false, ..process(5) }), vec![Step::Stop(5)]),
        (
            "another command, binary gone: fetch first",
            wish(),
            Observed { binary: false, ..running(Process { current: false, ..process(5) }) },
            vec![Step::Fetch],
        ),
        ("certificates near their end", wish(), Observed { files: false, ..running(process(5)) }, vec![Step::Write]),
        ("objects were lost", wish(), Observed { objects: Installed::No, ..running(process(5)) }, vec![Step::InstallObjects]),
        ("starting", wish(), running(Process { ready: false, ..process(5) }), vec![]),
        ("answers", wish(), Observed { webhooks: Installed::No, ..running(process(5)) }, vec![Step::InstallWebhooks]),
        ("ready", wish(), running(process(5)), vec![]),
        ("two", wish(), Observed { processes: vec![Process { held: false, ..process(5) }, process(6)], ..idle() }, vec![Step::Stop(5)]),
        ("down", no.clone(), idle(), vec![]),
        ("to be stopped", no.clone(), running(Process { held: false, ..process(5) }), vec![Step::Stop(5)]),
        ("to be stopped after others", no, Observed { dependents: vec!["capi-core".into()], ..running(process(5)) }, vec![]),
    ];
    for (name, wish, seen, expected) in cases {
        assert_eq!(steps(&wish, &seen), expected, "{name}");
    }
}

#[test]
fn a_plan_that_does_nothing_says_why_unless_all_is_well() {
    let waits = |seen: &Observed| Lifecycle::plan(&wish(), seen, NOW).waits;
    assert_eq!(waits(&Observed { unready: vec!["etcd".into()], ..idle() })[0].on, "etcd");
    assert_eq!(waits(&Observed { exits: Exits { failures: 3, last: Some(NOW) }, ..idle() })[0].on, "its next start");
    assert_eq!(waits(&running(Process { ready: false, ..process(5) }))[0].on, "its process");
    assert!(Lifecycle::plan(&wish(), &running(process(5)), NOW).is_settled());
}

#[test]
fn what_keeps_ending_is_told_and_tried_ever_more_slowly() {
    let seen = |failures| Observed { exits: Exits { failures, last: Some(NOW) }, ..idle() };
    let mut before = NOW;
    for failures in 2..20 {
        let plan = Lifecycle::plan(&wish(), &seen(failures), NOW);
        let again = plan.again.expect("it is tried again");
        assert!(again >= before && again <= after(NOW, LONGEST_BACKOFF), "{failures}: {again}");
        assert_eq!(plan.findings.len(), usize::from(failures >= FAILING_AFTER), "{failures}");
        before = again;
    }
    assert_eq!(before, after(NOW, LONGEST_BACKOFF));
}

#[test]
fn a_taken_port_is_told_with_who_has_it() {
    let plan = Lifecycle::plan(&wish(), &Observed { taken: Some(Taken { port: 12_000, by: "nginx (pid 7)".into() }), ..idle() }, NOW);
    assert_eq!(plan.findings[0].reason, "PortTaken");
    assert!(plan.findings[0].message.contains("12000 is taken by nginx (pid 7)"), "{}", plan.findings[0].message);
    assert!(plan.again.is_some(), "it looks again by itself");
}
