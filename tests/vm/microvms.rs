//! MicroVMs of a host that may be anywhere.

use serde_json::Value;

use crate::lab::Lab;
use crate::support::Capstead;

const QUICK: [&str; 4] = ["--boot-delay", "50ms", "--delete-delay", "50ms"];

fn names(listed: &Value) -> Vec<String> {
    let name = |microvm: &Value| format!("{}/{}", microvm["spec"]["namespace"].as_str().unwrap(), microvm["spec"]["id"].as_str().unwrap());
    listed.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_microvm_is_made_seen_and_deleted() {
    let lab = Lab::start(&QUICK);
    assert_eq!(lab.vm(&["ls", "-o", "json"]).run().json(), Value::Array(Vec::new()));

    let said = lab.vm(&["create", "m1", "-n", "team", "--network", "tap:br0,ip=10.0.0.5/24,gateway=10.0.0.1", "--wait"]).run().ok();
    assert!(said.starts_with("microVM team/m1 (") && said.ends_with(") runs at 10.0.0.5\n"), "{said}");
    let table = lab.vm(&["ls"]).run().ok();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((table.lines().count(), &row[..3], row[4]), (2, &["team", "m1", "CREATED"][..], "10.0.0.5"), "{table}");

    let shown = lab.vm(&["get", "m1", "-o", "json"]).run().json();
    let uid = shown["spec"]["uid"].as_str().unwrap().to_owned();
    assert_eq!((&shown["status"]["state"], &shown["spec"]["vcpu"]), (&"CREATED".into(), &2.into()));
    for way in [&["get", "team/m1"][..], &["get", "m1", "-n", "team"], &["get", &uid]] {
        let text = lab.vm(way).run().ok();
        assert!(text.contains(&uid) && text.contains("State        CREATED"), "{text}");
    }

    // What is printed of one makes another.
    let yaml = lab.vm(&["get", &uid, "-o", "yaml"]).run().ok();
    lab.vm(&["create", "m2", "-f", "-", "--wait"]).input(&yaml).run().ok();
    assert_eq!(names(&lab.vm(&["ls", "-n", "team", "-o", "json"]).run().json()), ["team/m1", "team/m2"]);
    assert_eq!(lab.vm(&["ls", "-n", "other", "-o", "json"]).run().json(), Value::Array(Vec::new()));

    let said = lab.vm(&["delete", "team/m1", &uid]).run().ok();
    assert_eq!(said, format!("microVM team/m1 ({uid}) is gone\n"));
    assert_eq!(names(&lab.vm(&["ls", "-o", "json"]).run().json()), ["team/m2"]);
    let error = lab.vm(&["delete", "--all", "-n", "team"]).run().fails(1);
    assert!(error.contains("1 microVMs: team/m2") && error.contains("--yes"), "{error}");
    lab.vm(&["delete", "--all", "-n", "team", "--yes"]).run().ok();
    assert_eq!(lab.vm(&["ls", "-o", "json"]).run().json(), Value::Array(Vec::new()));
}

#[test]
fn one_that_is_called_wrongly_is_told_and_keeps_the_others() {
    let lab = Lab::start(&QUICK);
    for namespace in ["blue", "red"] {
        lab.vm(&["create", "m1", "-n", namespace, "--wait"]).run().ok();
    }
    let error = lab.vm(&["get", "m1"]).run().fails(1);
    assert!(error.contains("2 microVMs are called m1: blue/m1 (") && error.contains("red/m1 ("), "{error}");
    let error = lab.vm(&["delete", "blue/m1", "red/m2"]).run().fails(1);
    assert!(error.contains("there is no microVM red/m2"), "{error}");
    assert_eq!(names(&lab.vm(&["ls", "-o", "json"]).run().json()), ["blue/m1", "red/m1"]);
    lab.vm(&["delete", "blue/m1", "red/m2", "--ignore-not-found"]).run().ok();
    assert_eq!(names(&lab.vm(&["ls", "-o", "json"]).run().json()), ["red/m1"]);
    let error = lab.vm(&["get", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).run().fails(1);
    assert!(error.contains("there is no microVM 01ARZ3NDEKTSV4RRFFQ69G5FAV"), "{error}");
}

#[test]
fn what_fails_is_told_with_what_to_do() {
    let lab = Lab::start(&["--boot-delay", "0s", "--fault", "failed=100%"]);
    let error = lab.vm(&["create", "m1", "--wait"]).run().fails(1);
    assert!(error.contains("microVM default/m1 (") && error.contains("has failed"), "{error}");
    // The host's rules, in its words.
    let error = lab.vm(&["create", "m1", "-f", "-"]).input("id: m1\nvcpu: 65\n").run().fails(1);
    assert!(error.contains("VCPU"), "{error}");
    let error = lab.vm(&["create", "-f", "-"]).input("id: m1\ncpus: 2\n").run().fails(1);
    assert!(error.contains("is no spec of a microVM") && error.contains("cpus"), "{error}");
    let error = lab.vm(&["ssh", "m1"]).run().fails(1);
    assert!(error.contains("default/m1 does not run: it is FAILED"), "{error}");

    let slow = Lab::start(&["--boot-delay", "1h"]);
    let error = slow.vm(&["create", "m1", "--wait", "--timeout", "100ms"]).run().fails(1);
    assert!(error.contains("does not run after 100ms: it is pending"), "{error}");

    let address = lab.address().to_owned();
    drop(lab);
    let home = tempfile::tempdir().unwrap();
    let error = Capstead::new(home.path(), ["vm", "ls", "--host", &address]).run().fails(1);
    assert!(error.contains(&format!("no host can be reached at {address}")) && error.contains("capstead host run"), "{error}");
    let error = Capstead::new(home.path(), ["vm", "ls", "--host", "nowhere"]).run().fails(1);
    assert!(error.contains("HOST:PORT is expected"), "{error}");
}

#[test]
fn a_dry_run_asks_nobody() {
    let home = tempfile::tempdir().unwrap();
    let args = ["vm", "create", "m1", "--dry-run", "--network", "user", "--host", "127.0.0.1:1"];
    let yaml = Capstead::new(home.path(), args).run().ok();
    assert!(yaml.contains("id: m1\n") && yaml.contains("bridge_name: user\n"), "{yaml}");
    let again = ["vm", "create", "-f", "-", "--dry-run", "-o", "json"];
    let json = Capstead::new(home.path(), again).input(&yaml).run().json();
    assert_eq!((&json["id"], &json["kernel"]["filename"]), (&"m1".into(), &"boot/vmlinux".into()));
}

#[test]
fn ssh_is_run_with_where_the_microvm_is() {
    use std::os::unix::fs::PermissionsExt;

    let lab = Lab::start(&QUICK);
    lab.vm(&["create", "m1", "--network", "tap,ip=10.0.0.5/24", "--wait"]).run().ok();
    let ssh = lab.home().join("ssh");
    std::fs::write(&ssh, "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = lab.vm(&["ssh", "m1", "-l", "me", "--", "uptime"]).env("PATH", lab.home()).run().ok();
    assert!(said.contains("-p 22 -l me 10.0.0.5 uptime") && said.contains("HostKeyAlias="), "{said}");
    let error = lab.vm(&["ssh", "m1"]).env("PATH", "/nowhere").run().fails(1);
    assert!(error.contains("cannot run ssh"), "{error}");
}

#[test]
fn debug_looks_into_a_guest_by_ssh() {
    use std::os::unix::fs::PermissionsExt;

    let lab = Lab::start(&QUICK);
    lab.vm(&["create", "m1", "--network", "tap,ip=10.0.0.5/24", "--wait"]).run().ok();
    let (ssh, kept) = (lab.home().join("ssh"), lab.home().join("kept"));
    let debug = |script: &str, words: &[&str]| {
        std::fs::write(&ssh, script).unwrap();
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", lab.home().display(), std::env::var("PATH").unwrap());
        let args = [&["debug"], words, &["-o", "json"]].concat();
        Capstead::new(lab.home(), args).env("CAPSTEAD_HOST", lab.address()).env("PATH", path).run()
    };
    let told = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));

    // The guest is this machine: the last of ssh's words is what it runs there.
    let here = "#!/bin/sh\nfor last; do :; done\necho \"$@\" > \"$0.said\"\nexec sh -c \"$last\"\n";
    let words = ["default/m1", "-l", "me", "-i", "key", "--jump", "root@host", "--artefacts", kept.to_str().unwrap(), "--timeout", "120s"];
    let ran = debug(here, &words);
    // Whether all is well with this machine is not for this test to say.
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
    let said = std::fs::read_to_string(lab.home().join("ssh.said")).unwrap();
    assert!(said.contains("-p 22 -l me -i key -J root@host -- 10.0.0.5 sh -c") && said.contains("HostKeyAlias="), "{said}");
    let looked = told(&ran.out)["looked"].to_string();
    assert!(looked.contains("default/m1 (by ssh me@10.0.0.5)"), "{looked}");
    assert!(std::fs::read_to_string(kept.join("disk.txt")).unwrap().contains("Mounted on"));
    assert_eq!(told(&std::fs::read_to_string(kept.join("diagnosis.json")).unwrap()), told(&ran.out));

    // Nobody is let in, and a simulated microVM has no console: nothing could be looked at.
    let refused = debug("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n", &["m1"]).fails_with_output(2);
    let unseen = told(&refused)["unseen"].to_string();
    assert!(unseen.contains("the inside of default/m1") && unseen.contains("Permission denied"), "{unseen}");
    assert!(unseen.contains("the console of default/m1"), "{unseen}");

    for (words, says) in [
        (&["m2"][..], "has no microVM m2"),
        (&["team/"], "names no machine"),
        (&["m1", "--address", "no way"], "--address: ADDRESS or ADDRESS:PORT is expected"),
        (&["m1", "--host", "127.0.0.1:1"], "host 127.0.0.1:1 does not tell of its microVMs"),
    ] {
        let error = debug("#!/bin/sh\nexit 1\n", words).fails(2);
        assert!(error.contains(says), "{words:?}: {error}");
    }
}
