//! What needs no plane.

use crate::support::TestPlane;

const SHOWN: [&str; 11] = ["up", "down", "status", "logs", "kubeconfig", "kubectl", "clusterctl", "ls", "fetch", "template", "completion"];

#[test]
fn completion_knows_every_command() {
    let place = TestPlane::new("completion");
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completion", shell]).ok();
        for command in SHOWN {
            assert!(script.contains(command), "{shell}: no {command}");
        }
        assert!(!script.contains("supervise"), "{shell} offers what is not for people");
    }
    assert!(place.run(&["completion", "bash"]).ok().contains("complete -F _capstead"));
    assert!(place.run(&["completion", "zsh"]).ok().starts_with("#compdef capstead"));
    assert!(place.run(&["completion", "fish"]).ok().contains("complete -c capstead"));
}

#[test]
fn completion_is_taken_by_bash() {
    let place = TestPlane::new("bash");
    let file = place.scratch().join("capstead.bash");
    std::fs::write(&file, place.run(&["completion", "bash"]).ok()).unwrap();
    // What bash does when TAB is pressed after "capstead st".
    let script = r#". "$1"; COMP_WORDS=(capstead st); COMP_CWORD=1; _capstead capstead st capstead; echo "${COMPREPLY[@]}""#;
    let output = std::process::Command::new("bash").args(["-c", script, "bash"]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "status", "{output:?}");
}

#[test]
fn man_pages_are_written_for_every_command() {
    let place = TestPlane::new("man");
    let dir = place.scratch().join("man/man1");
    place.run(&["man", dir.to_str().unwrap()]).ok();
    for command in SHOWN {
        let page = std::fs::read_to_string(dir.join(format!("capstead-{command}.1"))).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(".TH") && page.contains(command), "{command}: {page}");
    }
    assert!(std::fs::read_to_string(dir.join("capstead.1")).unwrap().contains("Cluster API"));
    assert!(!dir.join("capstead-supervise.1").exists());
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let place = TestPlane::new("codes");
    // 2: a wrong command line.
    assert!(place.run(&["up", "--no-such-flag"]).fails(2).contains("--no-such-flag"));
    assert!(place.run(&["brew"]).fails(2).contains("brew"));
    // 4: no such plane, whatever is asked of it.
    for words in [&["status"][..], &["down"], &["logs", "etcd"], &["kubeconfig"], &["kubectl", "get", "ns"], &["down", "--purge"]] {
        let error = place.run(words).fails(4);
        assert!(error.contains("there is no plane named") && error.contains(&place.name), "{words:?}: {error}");
    }
    // 1: what was asked cannot be done.
    assert!(place.run(&["status", "--name", "No_Such"]).fails(1).contains("lower-case letters"));
    let error = place.run(&["up", "--detach", "--capi-version", "1.9"]).fails(1);
    assert!(error.contains("Cluster API 1.9 is not built in; there are v1.14"), "{error}");
    let error = place.run(&["up", "--detach", "--without", "ectd"]).fails(1);
    assert!(error.contains("ectd") && error.contains("there are etcd, kube-apiserver"), "{error}");
    let error = place.run(&["up", "--detach", "--without", "kube-apiserver"]).fails(1);
    assert!(error.contains("needs kube-apiserver"), "{error}");
    assert!(place.run(&["fetch", "kubeclt"]).fails(1).contains("there is no binary \"kubeclt\""));
    assert_eq!(place.run(&["ls"]).ok().lines().count(), 1, "only the head: what failed to begin is no plane");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = TestPlane::new("unwritable");
    let file = place.scratch().join("file");
    std::fs::write(&file, "").unwrap();
    // Not even root can make a folder below these.
    for dir in [file.join("planes"), "/proc/planes".into()] {
        let error = place.command(&["up", "--detach", "--data-dir", dir.to_str().unwrap()]).run().fails(1);
        let named = error.starts_with("error: cannot ") && error.contains(dir.to_str().unwrap());
        assert!(named, "{error}");
    }
}
