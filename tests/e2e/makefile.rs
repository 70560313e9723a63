//! The targets of make, as upstream's users know them.

use std::path::Path;
use std::process::Command;
use std::process::Output;

fn make(words: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("make");
    for name in ["E2E_ARGS", "E2E_CONFIG", "E2E_FLINTLOCK_HOSTS", "E2E_CAPMVM_VIP", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
        command.env_remove(name);
    }
    command.env("HOME", "/home/somebody").arg("-C").arg(root).args(words).output().unwrap()
}

/// What a target would run, as one line.
fn line(words: &[&str]) -> String {
    let output = make(&[&["-n"], words].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let found = text.lines().find(|line| line.contains("capstead e2e "));
    let found = found.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
    found.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn targets_run_the_suite_with_their_options() {
    let suite = "target/debug/capstead e2e -e2e.artefact-dir /home/somebody/flintlock/_artefacts";
    let hosts = "E2E_FLINTLOCK_HOSTS=a:1,b:2";
    let cases: [(&[&str], &str); 9] = [
        (&["e2e", "E2E_ARGS=-e2e.skip-cleanup --junit a.xml"], "-e2e.skip-cleanup --junit a.xml"),
        (&["e2e", "E2E_CONFIG=own.yaml"], "-e2e.config=own.yaml"),
        (&["e2e-v1beta2", hosts], ""),
        (&["e2e-with-flintlock-mock"], "-e2e.use-flintlock-mock"),
        (&["e2e-with-flintlock-mock-retain-artifacts"], "-e2e.use-flintlock-mock -e2e.skip-cleanup"),
        (&["e2e-with-flintlock", hosts, "E2E_CAPMVM_VIP=10.0.0.9"], "-e2e.flintlock-hosts a:1,b:2 -e2e.capmvm.vip-address=10.0.0.9"),
        (&["e2e-with-flintlock-retain-artifacts", hosts], "-e2e.flintlock-hosts a:1,b:2 -e2e.skip-cleanup"),
        (&["e2e-with-flintlock"], "--own-hosts 2 --isolated"),
        (&["e2e-with-flintlock", "E2E_ARGS=-e2e.flintlock-hosts=c:3"], "-e2e.flintlock-hosts=c:3"),
    ];
    for (words, expected) in cases {
        assert_eq!(line(words), format!("{suite} {expected}").trim(), "{words:?}");
    }
}

#[test]
fn what_makes_no_sense_says_so() {
    for (words, expected) in [
        (&["e2e-with-flintlock", "E2E_ARGS=-e2e.use-flintlock-mock"][..], "e2e-with-flintlock is for real hosts"),
        (&["e2e-v1beta1"], "v1beta2"),
        (&["docker-build-e2e"], "There is no image to build"),
        (&["check-e2e-prereqs"], "needs neither kustomize nor kind nor Docker"),
    ] {
        let output = make(words);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && text.contains(expected), "{words:?}: {text}");
    }
}
