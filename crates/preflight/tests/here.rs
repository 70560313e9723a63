//! This machine, for real: what is observed, how long it takes, and that nothing changes by it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows helpers of a test for tests in test modules only")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use capstead_preflight::Network;
use capstead_preflight::Runtime;
use capstead_preflight::Shell;
use capstead_preflight::Wish;
use capstead_preflight::check::rules;
use capstead_preflight::judge;
use capstead_preflight::observe;

fn wishes() -> Vec<Wish> {
    let bridge =
        Wish { network: Network::Bridge, subnet: "10.42.0.0/24".parse().ok(), dhcp: true, nat_via: Some("lo".into()), ..Wish::default() };
    let flintlock = Wish { runtime: Runtime::Flintlock, images: vec!["ghcr.io/a/b:1".into()], ..bridge.clone() };
    vec![Wish::default(), bridge, flintlock]
}

#[tokio::test]
async fn this_machine_is_looked_at_and_every_rule_says_something() {
    for wish in wishes() {
        let start = Instant::now();
        let observed = observe(&Shell::local(), &wish, None, Duration::from_secs(60)).await.unwrap();
        eprintln!("{:?} {:?}: {:?}", wish.runtime, wish.network, start.elapsed());
        let report = judge("here", &wish, &observed);
        assert_eq!(report.checks.len(), rules().count());
        for check in &report.checks {
            assert!(!check.found.is_empty() || !check.required, "{check:?}");
        }
        // What this process knows by itself.
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(observed.release.unwrap(), release.trim());
        assert_eq!(observed.kvm.unwrap().is_some(), Path::new("/dev/kvm").exists());
        assert!(observed.clock_ahead.unwrap().abs() < 60);
        assert!(observed.links.unwrap().contains_key("lo"));
        assert!(observed.memory_mib.unwrap() > 0);
        assert!(observed.disk.unwrap().free_mib > 0);
    }
}

/// Files of a folder with size and time of change; what the kernel makes is left out.
fn files(path: &str) -> BTreeMap<String, (u64, Option<std::time::SystemTime>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![Path::new(path).to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            if meta.is_dir() {
                left.push(entry.path());
            }
            found.insert(entry.path().display().to_string(), (meta.len(), meta.modified().ok()));
        }
    }
    found
}

fn state() -> Vec<BTreeMap<String, (u64, Option<std::time::SystemTime>)>> {
    let network = |folder: &str| files(folder).into_keys().map(|key| (key, (0, None))).collect();
    vec![files("/etc"), files("/var/lib/systemd"), files("/var/lib/flintlock"), network("/sys/class/net"), network("/sys/module")]
}

#[tokio::test]
async fn looking_changes_nothing() {
    let before = state();
    for wish in wishes() {
        observe(&Shell::local(), &wish, None, Duration::from_secs(60)).await.unwrap();
    }
    assert!(before == state(), "something of /etc, /var/lib, the interfaces or the modules changed");
}

#[tokio::test]
async fn a_machine_that_hangs_takes_no_longer_than_it_may() {
    // Every program that is asked hangs, as with a dead disk.
    let path = tempfile::tempdir().unwrap();
    for name in ["ip", "ss", "systemctl", "uname", "df", "dmsetup", "ctr", "timedatectl", "date", "journalctl"] {
        let file = path.path().join(name);
        std::fs::write(&file, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("PATH={}:{}", path.path().display(), std::env::var("PATH").unwrap());
    let machine = Shell::by("hanging", ["env", &path, "sh", "-s"]);
    let start = Instant::now();
    let observed = observe(&machine, &wishes()[2], None, Duration::from_secs(4)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    let report = judge("hanging", &wishes()[2], &observed);
    let check = report.checks.iter().find(|check| check.id == "kernel").unwrap();
    assert_eq!(check.found, "cannot tell: no answer in time");
    assert!(!report.ok);
}
