//! Disks that are full, files that are damaged, two that do the same at once.

use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;

use crate::ONLY_ETCD;
use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::until;

/// A shell in which no file may grow beyond this many KiB: what a full disk does, without root. The signal that comes with it is ignored, so
/// that the write fails, as on a full disk.
fn limited(kibibytes: u32) -> Command {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!(r#"trap "" XFSZ; ulimit -f {kibibytes}; exec "$0" "$@""#)).arg(env!("CARGO_BIN_EXE_capstead"));
    shell
}

#[test]
fn a_full_disk_is_told_and_damages_nothing() {
    let plane = TestPlane::new("full");
    let up = ["up", "--detach", ONLY_ETCD];
    // Not even the plane's own file fits.
    let error = plane.command_of(limited(1), &up).run().fails(1);
    assert!(error.contains("cannot write") && error.contains("plane.json") && error.contains("File too large"), "{error}");
    assert!(!plane.folder().join("plane.json").exists(), "whole or not at all");
    plane.run(&["status"]).fails(4);
    // Enough for the plane's files, not for etcd's log.
    let error = plane.command_of(limited(1024), &up).run().fails(3);
    assert!(error.contains("etcd") && error.contains("file too large"), "{error}");
    let id = plane.id();
    plane.down();
    assert!(plane.living(&id).is_empty());
    // With room again it is the same plane.
    plane.run(&up).ok();
    assert_eq!(plane.id(), id);
    // And a plane that is there does not lose its file to a disk that fills up.
    plane.down();
    let kept = std::fs::read(plane.folder().join("plane.json")).unwrap();
    plane.command_of(limited(1), &["up", "--detach"]).run().fails(1);
    assert_eq!(std::fs::read(plane.folder().join("plane.json")).unwrap(), kept);
    plane.up();
    assert_eq!(plane.id(), id);
}

#[test]
fn a_damaged_plane_is_told_and_can_be_purged() {
    for supervised in [true, false] {
        let plane = TestPlane::new("damaged");
        plane.run(&["up", "--detach", ONLY_ETCD]).ok();
        let (id, supervisor) = (plane.id(), plane.supervisor());
        let file = plane.folder().join("plane.json");
        if !supervised {
            kernel::kill(supervisor);
            until("the supervisor is gone", || if kernel::alive(supervisor) { Err("alive".into()) } else { Ok(()) });
        }
        let text = std::fs::read(&file).unwrap();
        std::fs::write(&file, &text[..text.len() / 2]).unwrap();
        for words in [&["status"][..], &["up", "--detach"], &["kubeconfig"], &["logs", "etcd"]] {
            let error = plane.run(words).fails(1);
            assert!(error.contains("plane.json is damaged") && error.contains("down --purge"), "{words:?}: {error}");
        }
        assert_eq!(plane.run(&["ls", "-o", "json"]).json()[0]["state"], "damaged");
        assert_eq!(kernel::processes(&id).len(), 1, "nothing was stopped by looking");
        plane.run(&["down", "--purge"]).ok();
        assert!(plane.living(&id).is_empty(), "supervised: {supervised}; alive: {:?}", plane.living(&id));
        assert!(!plane.folder().exists());
    }
}

#[test]
fn a_lost_status_is_only_a_lost_status() {
    let plane = TestPlane::new("status");
    plane.run(&["up", "--detach", ONLY_ETCD]).ok();
    let pids = plane.pids();
    std::fs::write(plane.folder().join("status.json"), "{").unwrap();
    assert_eq!(plane.pids(), pids, "processes are asked of the kernel");
    kernel::kill(pids["etcd"]);
    until("the supervisor writes it anew", || {
        let status = plane.status();
        if status["ready"] == true && plane.pids() != pids { Ok(()) } else { Err(format!("{status:#}")) }
    });
}

#[test]
fn two_ups_at_once_are_one() {
    let plane = TestPlane::new("twins");
    let start = || plane.command(&["up", "--detach", ONLY_ETCD]).command.stdout(Stdio::null()).spawn().unwrap();
    let ups: Vec<_> = (0..4).map(|_| start()).collect();
    for mut up in ups {
        assert_eq!(up.wait().unwrap().code(), Some(0));
    }
    let id = plane.id();
    assert_eq!(kernel::processes(&id).len(), 1);
    assert_eq!(plane.living(&id).len(), 2, "one etcd, one supervisor: {:?}", plane.living(&id));
}

#[test]
fn certificates_are_issued_again_when_they_age_or_are_lost() {
    let plane = TestPlane::new("certificates");
    plane.run(&["up", "--detach", ONLY_ETCD]).ok();
    let certs = plane.folder().join("components/etcd/certs");
    let certificate = certs.join("tls.crt");
    let read = || std::fs::read(&certificate).unwrap_or_default();
    // They are good for longer than this, but not for ever.
    let (first, pid) = (read(), plane.pids()["etcd"]);
    let old = SystemTime::now() - Duration::from_secs(300 * 24 * 3600);
    std::fs::File::options().append(true).open(&certificate).unwrap().set_modified(old).unwrap();
    until("etcd runs with a new certificate", || {
        let status = plane.status();
        let renewed = read() != first && plane.pids().get("etcd").is_some_and(|other| *other != pid);
        if renewed && status["ready"] == true { Ok(()) } else { Err(format!("{status:#}")) }
    });
    let second = read();
    plane.down();
    std::fs::remove_dir_all(&certs).unwrap();
    plane.up();
    assert!(!read().is_empty() && read() != second);
}
