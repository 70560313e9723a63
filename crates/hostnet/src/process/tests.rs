use super::*;

fn sleeper(dir: &Path, instance: &str) -> Launch {
    Launch {
        program: "sleep",
        package: "coreutils",
        args: vec!["600".into()],
        mark: ProcessMark { instance: instance.into(), role: Role::Lan, of: "default".into() },
        files: dir.join("sleeper"),
    }
}

/// Not used by another test that runs now, nor by another run of this one.
fn instance(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[test]
fn marks_survive_text() {
    let mark = ProcessMark { instance: "a".into(), role: Role::Passt, of: "uid.0".into() };
    assert_eq!(ProcessMark::parse(&mark.text()), Some(mark));
    for bad in ["", "capstead-hostnet:a:passt", "capstead-hostnet:a:other:b", "hostnet:a:lan:b"] {
        assert_eq!(ProcessMark::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn one_process_is_started_found_and_ended() {
    let (dir, instance) = (tempfile::tempdir().expect("temporary folder"), instance("once"));
    let launch = sleeper(dir.path(), &instance);
    let (first, second) = tokio::join!(launch.ensure(|| Ok(())), launch.ensure(|| Ok(())));
    let first = first.expect("started");
    assert_eq!(second.expect("found"), first);
    assert_eq!(list(&instance), std::slice::from_ref(&first));
    assert!(list("another").is_empty());
    stop(&first).await.expect("ended");
    stop(&first).await.expect("still ended");
    assert!(list(&instance).is_empty());
    assert!(launch.files.with_extension("lock").exists());
    forget(&launch.files).expect("removed");
    forget(&launch.files).expect("still removed");
    assert!(!launch.files.with_extension("lock").exists());
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed() {
    let (dir, instance) = (tempfile::tempdir().expect("temporary folder"), instance("deaf"));
    let script = "trap '' TERM; echo deaf; while :; do read line; sleep 0.1; done";
    let launch = Launch { program: "sh", args: vec!["-c".into(), script.into()], ..sleeper(dir.path(), &instance) };
    let found = launch.ensure(|| Ok(())).await.expect("started");
    let log = launch.log();
    launch.wait("speak", &found, || fs::read(&log).is_ok_and(|said| said == b"deaf\n")).await.expect("spoke");
    stop(&found).await.expect("ended");
    assert!(list(&instance).iter().all(|left| left.pid != found.pid));
}

#[tokio::test]
async fn another_process_with_the_same_id_is_left_alone() {
    let (dir, instance) = (tempfile::tempdir().expect("temporary folder"), instance("stale"));
    let launch = sleeper(dir.path(), &instance);
    let found = launch.ensure(|| Ok(())).await.expect("started");
    let stale = OwnedProcess { mark: ProcessMark { of: "other".into(), ..found.mark.clone() }, ..found.clone() };
    stop(&stale).await.expect("nothing to do");
    assert!(alive(found.pid));
    stop(&found).await.expect("ended");
}

#[tokio::test]
async fn a_program_that_is_missing_or_fails_is_named() {
    let (dir, instance) = (tempfile::tempdir().expect("temporary folder"), instance("fails"));
    let missing = Launch { program: "/nowhere/passt", package: "passt", ..sleeper(dir.path(), &instance) };
    let told = missing.ensure(|| Ok(())).await.expect_err("refused").to_string();
    assert_eq!(told, "cannot start /nowhere/passt; it is in the package passt");
    let fails = Launch { program: "sh", args: vec!["-c".into(), "echo no route >&2; exit 1".into()], ..sleeper(dir.path(), &instance) };
    let found = fails.ensure(|| Ok(())).await.expect("started");
    let told = fails.wait("come up", &found, || false).await.expect_err("it ended").to_string();
    assert_eq!(told, "sh did not come up: no route");
}
