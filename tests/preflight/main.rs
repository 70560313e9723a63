//! `capstead host check`, `prepare`, `restore`, and `capstead doctor` of hosts: on a machine in namespaces, there by ssh, and of a daemon that is only reached.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[allow(dead_code, reason = "the commands of microVMs use more of it")]
#[path = "../vm/lab.rs"]
mod lab;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/preflight/tests/support/mod.rs"]
mod namespace;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use lab::Lab;
use namespace::Namespaces;
use serde_json::Value;
use support::Capstead;

/// A machine, and what it is to be.
struct Machine {
    namespaces: Namespaces,
    config: PathBuf,
}

impl Machine {
    fn bare() -> Self {
        let namespaces = Namespaces::new();
        let config = namespaces.root().join("host.yaml");
        let daemon = namespaces.daemon();
        let text = format!(
            "network: bridge\nbridge-name: br-test\nsubnet: 10.42.0.0/24\ndhcp: true\nvip: 10.42.0.20\ndaemon: {daemon}\npackages: none\n"
        );
        fs::write(&config, text).unwrap();
        Self { namespaces, config }
    }

    fn inside(&self) -> Command {
        let words = self.namespaces.enter();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    /// `capstead host` in there.
    fn host(&self, words: &[&str]) -> Capstead {
        let mut command = self.inside();
        command.arg(env!("CARGO_BIN_EXE_capstead"));
        Capstead::of(command, self.namespaces.root(), self.words(words))
    }

    /// `capstead host` out here, with an ssh that leads in there, or does whatever else it is told.
    fn host_by(&self, ssh: &str, words: &[&str]) -> Capstead {
        let folder = self.namespaces.root().join("ssh");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ssh");
        fs::write(&path, format!("#!/bin/sh\necho \"$@\" >>\"$0.log\"\nfor last; do :; done\n{ssh}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        Capstead::new(self.namespaces.root(), self.words(words)).env("PATH", path)
    }

    /// What an ssh does that leads in there.
    fn leads(&self) -> String {
        let words: Vec<String> = self.namespaces.enter().iter().map(|word| format!("'{word}'")).collect();
        format!("exec {} sh -c \"$last\"", words.join(" "))
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let config = self.config.display().to_string();
        let config = |word: &&str| if *word == "CONFIG" { config.clone() } else { (*word).to_owned() };
        ["host".to_owned()].into_iter().chain(words.iter().map(config)).collect()
    }

    fn told(&self, text: &str) -> String {
        let output = self.inside().args(["sh", "-c", text]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a restore must bring back.
    fn everything(&self) -> String {
        self.told("find /etc /var/lib /run -mindepth 1 -printf '%y %m %p\\n' | sort; ip -br link; ip -4 -br addr; cat /proc/sys/net/ipv4/ip_forward")
    }

    fn addresses(&self) -> String {
        self.told("ip -4 -br addr show br-test")
    }
}

fn status(report: &Value, id: &str) -> String {
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id);
    check.unwrap_or_else(|| panic!("no {id}: {report:#}"))["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_machine_is_prepared_checked_and_restored() {
    let machine = Machine::bare();
    let before = machine.everything();

    let plan = machine.host(&["prepare", "--config", "CONFIG", "--dry-run", "--", "--insecure"]).run().ok();
    assert!(plan.contains("+ /etc/systemd/system/capstead-link.service\n") && plan.contains(" changes; nothing was changed\n"), "{plan}");
    assert_eq!(machine.everything(), before, "a dry run changes nothing");

    let prepared = machine.host(&["prepare", "--config", "CONFIG", "--", "--insecure"]).run();
    assert!(prepared.err.contains("localhost: start capstead-link.service\n"), "{prepared:#?}");
    let said = prepared.ok();
    assert!(said.contains("\nlocalhost is prepared: "), "{said}");
    assert!(machine.addresses().contains("10.42.0.1/24"), "{}", machine.addresses());
    assert!(machine.told("cat /etc/systemd/system/capstead-host.service.d/capstead.conf").contains("--insecure"));
    let as_prepared = machine.everything();

    let again = machine.host(&["prepare", "--config", "CONFIG", "-o", "json", "--", "--insecure"]).run().json();
    assert_eq!((&again["changes"], &again["applied"], &again["host"]), (&Value::Array(Vec::new()), &true.into(), &"localhost".into()));
    assert_eq!(machine.everything(), as_prepared);

    // The bridge and its DHCP are there; what is called the daemon serves nothing.
    let report = machine.host(&["check", "--config", "CONFIG", "--json"]).run().fails_with_output(1);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!([status(&report, "bridge"), status(&report, "bridge-address"), status(&report, "listening")], ["pass", "pass", "fail"]);
    assert_eq!((&report["host"], &report["ok"]), (&"localhost".into(), &false.into()));
    assert_eq!(machine.everything(), as_prepared, "a check changes nothing");

    let plan = machine.host(&["restore", "--dry-run"]).run().ok();
    assert!(plan.contains("- /etc/systemd/system/capstead-link.service\n") && plan.contains("localhost would be restored by "), "{plan}");
    let said = machine.host(&["restore"]).run().ok();
    assert!(said.contains("\nlocalhost is restored: "), "{said}");
    assert_eq!(machine.everything(), before);
    assert_eq!(machine.host(&["restore"]).run().ok(), "localhost has nothing to be restored\n");
}

/// A guest is booted, with the real QEMU, and without its firmware none can be.
#[test]
fn a_machine_that_has_qemu_and_boots_no_guest_is_told() {
    let machine = Machine::bare();
    let emulation = || {
        let ran = machine.host(&["check", "--json", "--timeout", "1m"]).run();
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let check = |id: &str| report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap().clone();
        assert_eq!(check("vmm")["status"], "pass", "this test needs QEMU: {:#}", check("vmm"));
        check("emulation")
    };
    let boots = emulation();
    assert_eq!(boots["status"], "pass", "{boots:#}");
    let firmware = "/usr/share/qemu /usr/share/seabios";
    machine.told(&format!("for d in {firmware}; do [ ! -d $d ] || mount -t tmpfs none $d; done"));
    let broken = emulation();
    assert_eq!((&broken["status"], &broken["required"]), (&"fail".into(), &true.into()), "{broken:#}");
    assert!(broken["found"].as_str().unwrap().contains("could not load PC BIOS"), "{broken:#}");
    machine.told(&format!("umount {firmware} 2>&1"));
    assert_eq!(emulation(), boots);
}

#[test]
fn a_machine_far_away_is_prepared_by_ssh() {
    let machine = Machine::bare();
    let (before, leads) = (machine.everything(), machine.leads());
    let at = "ssh://root@mvm-1:2222";
    let prepared = machine.host_by(&leads, &["prepare", "--host", at, "--config", "CONFIG", "--", "--insecure"]).run();
    assert!(prepared.err.contains("ssh://root@mvm-1:2222: start capstead-link.service\n"), "{prepared:#?}");
    assert!(prepared.ok().contains("\nssh://root@mvm-1:2222 is prepared: "));
    assert!(machine.addresses().contains("10.42.0.1/24"), "{}", machine.addresses());
    let log = fs::read_to_string(machine.namespaces.root().join("ssh/ssh.log")).unwrap();
    assert!(log.lines().all(|line| line.contains("-o BatchMode=yes ") && line.contains(" -- ssh://root@mvm-1:2222 ")), "{log}");

    let table = machine.host_by(&leads, &["check", "--host", at, "--config", "CONFIG"]).run().fails_with_output(1);
    assert!(table.contains("\npass     bridge ") && table.contains("\nlistening (FAIL): nothing listens on port 9090\n"), "{table}");
    assert!(table.contains("\nssh://root@mvm-1:2222 is not ready for Capstead's runtime"), "{table}");

    machine.host_by(&leads, &["restore", "--host", at]).run().ok();
    assert_eq!(machine.everything(), before);
}

#[test]
fn a_machine_that_does_not_let_us_in_is_told_from_one_that_fails() {
    let machine = Machine::bare();
    let refuses = "echo 'Permission denied (publickey).' >&2; exit 255";
    let ran = machine.host_by(refuses, &["check", "--host", "ssh://me@mvm-1", "-o", "json"]).run();
    assert_eq!(ran.out, "");
    assert_eq!(ran.fails(2), "error: cannot ask ssh://me@mvm-1: Permission denied (publickey).\n");
    let error = machine.host_by(refuses, &["prepare", "--host", "ssh://me@mvm-1"]).run().fails(1);
    assert!(error.contains("cannot ask ssh://me@mvm-1: Permission denied (publickey)."), "{error}");
    let error = machine.host_by(refuses, &["restore", "--host", "mvm-1"]).run().fails(2);
    assert!(error.contains("ssh://[USER@]HOST[:PORT] is expected"), "{error}");
    let error = machine.host(&["check", "--config", "/nowhere.yaml"]).run().fails(2);
    assert!(error.contains("--config: cannot read /nowhere.yaml"), "{error}");
}

#[test]
fn a_wish_that_cannot_come_true_is_refused_with_all_reasons() {
    let machine = Machine::bare();
    let before = machine.everything();
    let error = machine.host(&["prepare", "--network", "macvtap", "--packages", "none", "--daemon", "/nowhere/capstead"]).run().fails(1);
    for reason in [
        "nothing was changed:\n",
        "  --network macvtap needs a parent; name it with --parent-iface",
        "/nowhere/capstead does not run: ",
        "its flags stand behind `--`",
    ] {
        assert!(error.contains(reason), "{reason} is not in {error}");
    }
    assert_eq!(machine.everything(), before);
}

#[test]
fn a_daemon_is_checked_from_outside() {
    let lab = Lab::start(&["--boot-delay", "0s"]);
    let check = |words: &[&str]| {
        let words = [&["host", "check", "--host", lab.address()], words].concat();
        Capstead::new(lab.home(), words).run()
    };
    let report = check(&["--json"]).json();
    let ids: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["reachable", "tls", "auth", "grpc-api", "list-microvms"]);
    assert!(ids.iter().all(|id| status(&report, id) == "pass"), "{report:#}");
    assert_eq!((&report["host"], &report["ok"]), (&lab.address().into(), &true.into()));
    assert!(check(&[]).ok().ends_with(" is ready for Capstead's runtime; of 5 checks: all passed\n"));
    // It speaks no TLS.
    let report: Value = serde_json::from_str(&check(&["--tls", "--json"]).fails_with_output(1)).unwrap();
    assert_eq!([status(&report, "reachable"), status(&report, "tls")], ["pass", "fail"]);

    let address = lab.address().to_owned();
    drop(lab);
    let home = tempfile::tempdir().unwrap();
    let gone = Capstead::new(home.path(), ["host", "check", "--host", &address, "-o", "yaml"]).run().fails_with_output(1);
    assert!(gone.contains("id: reachable") && gone.contains("Connection refused"), "{gone}");
}

#[test]
fn a_doctor_looks_at_a_host_and_explains_a_log() {
    let lab = Lab::start(&["--boot-delay", "0s"]);
    // No other cluster is looked at than one that is meant: there is none in this home.
    let doctor = |words: &[&str]| Capstead::new(lab.home(), [&["doctor"], words].concat()).env("HOME", lab.home());
    let well = doctor(&["--host", lab.address(), "-o", "json"]).run().json();
    assert_eq!((&well["ok"], &well["findings"]), (&true.into(), &Value::Array(Vec::new())), "{well:#}");
    assert_eq!(well["looked"][0], format!("host {}", lab.address()));

    let log = "msg=\"reconciling\"\nlevel=error msg=\"runtime_volume_mount: snapshotter not loaded: devmapper: invalid argument\"\n";
    let told = doctor(&["--log", "-"]).input(log).run().fails_with_output(1);
    assert!(told.contains("\ndevmapper (ERROR): a host of microVMs\n"), "{told}");
    assert!(told.contains("standard input, line 2: level=error") && told.contains("capstead host prepare --runtime flintlock"), "{told}");
    // What frightens and means nothing is no failure.
    let harmless = doctor(&["--log", "-", "-o", "json"]).input("W1122 unrecognized format \"int64\"\n").run().json();
    assert_eq!((&harmless["findings"][0]["id"], &harmless["findings"][0]["severity"]), (&"unrecognized-format".into(), &"note".into()));

    let error = doctor(&["-n", "a/b"]).run().fails(2);
    assert!(error.contains("a name of lower-case letters"), "{error}");
    let error = doctor(&[]).run().fails(2);
    assert!(error.contains("no cluster: give a kubeconfig"), "{error}");

    let (address, home) = (lab.address().to_owned(), tempfile::tempdir().unwrap());
    drop(lab);
    let gone = Capstead::new(home.path(), ["doctor", "--host", &address, "-o", "json"]).env("HOME", home.path()).run().fails_with_output(1);
    let gone: Value = serde_json::from_str(&gone).unwrap();
    assert_eq!(gone["findings"][0]["id"], "host-unreachable");
    assert!(gone["findings"][0]["cause"].as_str().unwrap().contains("nobody listens on that port"), "{gone:#}");
}

/// An ssh that leads into a machine: its checks are told as what they mean.
#[test]
fn a_doctor_looks_at_a_machine_far_away() {
    let machine = Machine::bare();
    let before = machine.everything();
    let folder = machine.namespaces.root().join("home");
    fs::create_dir_all(&folder).unwrap();
    let doctor = |ssh: &str, words: &[&str]| {
        // As for the other commands, but not below `host`.
        let prepared = machine.host_by(ssh, &[]);
        let path = prepared.command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        let config = machine.config.display().to_string();
        let words: Vec<String> =
            ["doctor", "--config", &config, "--host", "ssh://root@mvm-1"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        Capstead::new(machine.namespaces.root(), words).env("PATH", path).env("HOME", &folder).run()
    };
    let told: Value = serde_json::from_str(&doctor(&machine.leads(), &["-o", "json"]).fails_with_output(1)).unwrap();
    let ids: Vec<&str> = told["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"bridge") && ids.contains(&"guest-network") && ids.contains(&"daemon"), "{told:#}");
    let bridge = told["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "bridge").unwrap();
    assert!(bridge["cause"].as_str().unwrap().starts_with("Bridge: there is no br-test"), "{bridge:#}");
    assert_eq!(machine.everything(), before, "it changes nothing");

    let refuses = "echo 'Permission denied (publickey).' >&2; exit 255";
    let table = doctor(refuses, &[]).fails_with_output(2);
    assert!(table.contains("not looked at: host ssh://root@mvm-1: cannot ask ssh://root@mvm-1: Permission denied (publickey)."), "{table}");
}
