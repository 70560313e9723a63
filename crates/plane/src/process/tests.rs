use super::*;
use crate::layout::lock_for_a_while;

fn sleeper(dir: &Path, plane: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "echo hello; exec sleep 600".into()],
        env: BTreeMap::from([("EXTRA".into(), "yes".into())]),
        dir: dir.to_owned(),
        log: dir.join("log"),
        mark: Mark { plane: plane.into(), component: "sleeper".into(), digest: "d1".into() },
    }
}

/// What is found once the shell has become the program it runs: in the middle of that, when it has its new name already, the kernel shows no environment for a moment.
fn found_settled(plane: &str, name: &str) -> Vec<Found> {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = find(plane);
        let settled = |found: &Found| fs::read_to_string(format!("/proc/{}/comm", found.pid)).is_ok_and(|comm| comm.trim() == name);
        if found.iter().any(settled) && find(plane) == found {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{name} never ran: {found:?}");
        std::thread::yield_now();
    }
}

fn unique() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_process_is_found_by_its_mark_adopted_and_stopped() {
    let (dir, plane) = (tempfile::tempdir().expect("temporary folder"), unique());
    let lock = dir.path().join("lock");
    let launched = launch(&sleeper(dir.path(), &plane), &lock).expect("started");
    // As if the supervisor had died: its handle is gone, the process is not.
    let pid = launched.pid();
    let mut child = launched;
    let found = found_settled(&plane, "sleep");
    assert_eq!(found, [Found { pid, mark: child.mark().clone() }]);
    assert!(find(&unique()).is_empty());
    let again = launch(&sleeper(dir.path(), &plane), &lock).expect_err("only one");
    assert!(matches!(again, LaunchError::Locked(_)), "{again}");

    let mut adopted = Held::adopt(&found[0]).expect("adopted");
    let end = adopted.stop(Duration::from_secs(10)).await.expect("stopped");
    assert_eq!(end.to_string(), "it ended");
    assert_eq!(child.ended().await.expect("reaped").to_string(), "it was ended by signal 15");
    assert!(find(&plane).is_empty());
    // Another test's fork may hold a copy of any open file until its exec.
    assert!(lock_for_a_while(&lock).await.expect("works").is_some(), "the lock went with the process");
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed() {
    let (dir, plane) = (tempfile::tempdir().expect("temporary folder"), unique());
    let mut stubborn = sleeper(dir.path(), &plane);
    stubborn.args = vec!["-c".into(), "trap '' TERM; echo deaf; while :; do sleep 600 & wait; done".into()];
    let mut held = launch(&stubborn, &dir.path().join("lock")).expect("started");
    // Only once it has said so has it set its trap.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while log_tail(&dir.path().join("log"), 1) != ["deaf"] {
        assert!(std::time::Instant::now() < deadline, "it never spoke");
        tokio::task::yield_now().await;
    }
    assert!(alive(held.pid()) && has_argument(held.pid(), "-c") && !has_argument(held.pid(), "c"));
    let end = held.stop(Duration::from_millis(50)).await.expect("stopped");
    assert_eq!(end.to_string(), "it was ended by signal 9");
    // Its own children hold the inherited lock and mark; end them too.
    for left in find(&plane) {
        if let Some(mut child) = Held::adopt(&left) {
            child.stop(Duration::from_secs(5)).await.expect("stopped");
        }
    }
}

#[tokio::test]
async fn another_process_with_the_same_id_is_not_adopted() {
    let (dir, plane) = (tempfile::tempdir().expect("temporary folder"), unique());
    let mut held = launch(&sleeper(dir.path(), &plane), &dir.path().join("lock")).expect("started");
    found_settled(&plane, "sleep");
    let stale = Found { pid: held.pid(), mark: Mark { digest: "d0".into(), ..held.mark().clone() } };
    assert!(Held::adopt(&stale).is_none());
    held.stop(Duration::from_secs(10)).await.expect("stopped");
}

#[test]
fn a_binary_that_is_missing_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let missing = Launch { program: "/nowhere/etcd".into(), ..sleeper(dir.path(), "p") };
    let error = runtime.block_on(async { launch(&missing, &dir.path().join("lock")).expect_err("refused") });
    assert_eq!(error.to_string(), "cannot start /nowhere/etcd");
    let lock = runtime.block_on(lock_for_a_while(&dir.path().join("lock"))).expect("works");
    assert!(lock.is_some(), "the lock is free again");
}

#[test]
fn the_last_words_of_a_panic_are_what_it_said() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    let stack = "goroutine 1 [running]:\nmain.open(...)\n\tmain.go:307 +0x9d\nmain.main()\n\tmain.go:31 +0x28\n";
    fs::write(&path, format!("opening\npanic: file too large\n\n{stack}exit status 2\n")).expect("written");
    assert_eq!(last_words(&path, 9), ["opening", "panic: file too large", "exit status 2"]);
    assert_eq!(last_words(&path, 2), ["panic: file too large", "exit status 2"]);
}

#[test]
fn the_tail_of_a_log_is_bounded() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    assert!(log_tail(&path, 3).is_empty());
    fs::write(&path, (0..100_000).map(|n| format!("line {n}\n")).collect::<String>()).expect("written");
    assert_eq!(log_tail(&path, 2), ["line 99998", "line 99999"]);
    assert!(log_tail(&path, 1_000_000).len() < 10_000);
}

#[test]
fn memory_is_read_from_the_kernel() {
    assert!(resident_bytes(std::process::id()).expect("we live") > 100_000);
    assert_eq!(resident_bytes(u32::MAX), None);
}
