//! The playbook makes a bare machine into a host, over ssh.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Journey;
use crate::WISH;
use crate::journey;
use crate::machine;
use crate::machine::Machine;
use crate::ssh::OPTIONS;

#[test]
fn a_playbook_makes_a_bare_machine_into_a_host() {
    ansible();
    journey("ansible::a_playbook_makes_a_bare_machine_into_a_host", WISH, lead);
}

/// Where Ansible's commands are.
fn ansible() -> PathBuf {
    let folder = std::env::var_os("CAPSTEAD_TEST_ANSIBLE").expect("make e2e-host: CAPSTEAD_TEST_ANSIBLE is the folder of ansible-playbook");
    let folder = PathBuf::from(folder);
    assert!(folder.join("ansible-playbook").exists(), "no ansible-playbook in {}", folder.display());
    folder
}

fn lead(journey: &Journey) {
    let (machine, progress) = (&journey.machine, |what: &str| journey.progress(what));
    let play = |changes: u32, words: &[&str]| {
        let said = play(machine, words);
        assert!(said.contains(&format!(" changed={changes} ")), "{said}");
        progress(&format!("{changes} changes: the play {words:?}"));
        said
    };
    let before = machine.shell("ls /usr/local/bin /etc/systemd/system /etc");
    let said = play(2, &["--check", "--diff"]);
    assert!(said.contains("    +ExecStart=/usr/local/bin/capstead host run --grpc-endpoint 0.0.0.0:9090 --bridge-name br-mvm"), "{said}");
    assert_eq!(machine.shell("ls /usr/local/bin /etc/systemd/system /etc"), before, "check mode changes nothing");
    play(2, &[]);
    play(0, &[]);
    let report = machine.check();
    assert_eq!(report["ok"], true, "{report:#}");
}

/// What the play said.
fn play(machine: &Machine, words: &[&str]) -> String {
    let folder = &machine.folder;
    let options: String = OPTIONS.iter().map(|option| format!(" -o {option}")).collect();
    let (key, port, command) = (machine.key.file.display(), machine.port, machine::command(folder));
    let inventory = format!(
        "all:
  children:
    flintlock_hosts:
      hosts:
        machine: {{ ansible_host: 127.0.0.1, ansible_port: {port}, ansible_user: root, ansible_python_interpreter: /usr/bin/python3 }}
      vars:
        ansible_ssh_private_key_file: {key}
        ansible_ssh_common_args: -F none{options}
        flintlock_capstead_src: {}
        flintlock_check_timeout: 2m
        flintlock_network_mode: tap
        flintlock_subnet: 10.42.0.0/24
        flintlock_dhcp: true
        flintlock_vip: 10.42.0.2
        flintlock_nat_via: eth0
        flintlock_packages: /srv/debs
        flintlock_daemon_flags: [--insecure]
",
        command.display()
    );
    let file = folder.join("inventory.yml");
    fs::write(&file, inventory).unwrap();
    let role = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/ansible");
    let mut ansible = Command::new(ansible().join("ansible-playbook"));
    // As old as the machine is slow.
    ansible.env("ANSIBLE_HOME", folder.join("ansible")).env("ANSIBLE_TIMEOUT", "120").env("ANSIBLE_NOCOLOR", "1");
    let ran = ansible.current_dir(role).arg("--inventory").arg(&file).arg("playbook.yml").args(words).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
    said
}
