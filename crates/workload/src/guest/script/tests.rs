use std::collections::BTreeMap;

use super::ScriptError;
use super::run;
use crate::guest::system::File;
use crate::guest::system::Script;
use crate::guest::system::System;

fn system(text: &str, strict: bool) -> System {
    let file = File { content: b"name: ${HOST}, $HOST, $$, ${}, $1, ${UNSET}, ${HOST".to_vec(), permissions: 0o600, owner: String::new() };
    System {
        hostname: "first".into(),
        files: BTreeMap::from([("/etc/kubeadm.yml".into(), file)]),
        scripts: vec![Script { text: text.into(), strict }],
        warnings: Vec::new(),
    }
}

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("HOST".to_owned(), "h-1".to_owned())])
}

#[test]
fn kubeadm_is_found_wherever_it_is_called() {
    for (text, init, config, sentinel) in [
        ("kubeadm init --config /a --v 5 && echo success > /run/s", true, "/a", Some("/run/s")),
        ("kubeadm join --config=/b", false, "/b", None),
        ("sudo /usr/bin/kubeadm join --v=2 --config /b; echo success > /run/s", false, "/b", Some("/run/s")),
        ("if ! kubeadm init --config /a; then reboot; fi", true, "/a", None),
        ("#!/bin/bash\nset -e\nkubeadm join \\\n  --config /b\nmkdir -p /run && echo success > /run/s\n", false, "/b", Some("/run/s")),
        ("echo it's odd\nkubeadm join --config /b", false, "/b", None),
        ("kubeadm version\nkubeadm config images pull\nkubeadm join --config /b", false, "/b", None),
    ] {
        let found = run(&mut system(text, false), &environment()).unwrap();
        assert_eq!((found.init, found.config.as_str(), found.sentinel.as_deref()), (init, config, sentinel), "{text}");
    }
    let flags = "kubeadm init --config /a --ignore-preflight-errors=NumCPU,Mem --skip-phases addon/kube-proxy";
    let found = run(&mut system(flags, false), &environment()).unwrap();
    assert_eq!((found.ignored, found.skipped), (vec!["NumCPU".to_owned(), "Mem".to_owned()], vec!["addon/kube-proxy".to_owned()]));
}

#[test]
fn what_keeps_a_script_from_kubeadm_is_told() {
    let ended = |command: &str| ScriptError::Ended { command: command.into() };
    for (text, strict, expected) in [
        ("echo hello", false, ScriptError::NoKubeadm),
        ("# kubeadm init --config /a", false, ScriptError::NoKubeadm),
        ("exit 1\nkubeadm init --config /a", false, ended("exit 1")),
        ("false\nkubeadm init --config /a", true, ended("false")),
        ("kubeadm init", false, ScriptError::NoConfig { command: "kubeadm init".into() }),
        ("kubeadm init --config", false, ScriptError::NoConfig { command: "kubeadm init --config".into() }),
    ] {
        assert_eq!(run(&mut system(text, strict), &environment()).unwrap_err(), expected, "{text}");
    }
    assert!(run(&mut system("false\nkubeadm init --config /a", false), &environment()).is_ok());
}

#[test]
fn names_and_files_change_before_kubeadm() {
    let text = "hostnamectl set-hostname \"second\"\nenvsubst < /etc/kubeadm.yml > /etc/kubeadm.yml.tmp\nmv /etc/kubeadm.yml.tmp /etc/kubeadm.yml\n\
                cp /etc/kubeadm.yml /tmp/\nkubeadm init --config /etc/kubeadm.yml\nhostname third";
    let mut system = system(text, true);
    run(&mut system, &environment()).unwrap();
    assert_eq!(system.hostname, "second");
    let filled = "name: h-1, h-1, $$, ${}, $1, , ${HOST";
    assert_eq!(system.text("/etc/kubeadm.yml"), Some(filled));
    assert_eq!(system.text("/tmp/kubeadm.yml"), Some(filled));
    assert!(!system.files.contains_key("/etc/kubeadm.yml.tmp"));
}
