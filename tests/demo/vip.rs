//! What a control plane machine makes of the template's files: its scripts, run for real in a folder, with a machine's own commands beside them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::generate::documents;
use crate::generate::generate;

const VIP: &str = "10.0.0.5";
const MANIFEST: &str = "etc/kubernetes/manifests/kube-vip.yaml";
const FIRST: &str = "run/kubeadm/kubeadm.yaml";
const JOINS: &str = "run/kubeadm/kubeadm-join-config.yaml";
const SUCCEEDED: &str = "run/cluster-api/bootstrap-success.complete";

/// A machine's files.
struct Machine {
    root: tempfile::TempDir,
    commands: tempfile::TempDir,
}

/// The bootstrap configuration of a flavor's control plane.
fn configuration(flavor: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let words = ["edge", "-i", "microvm", "--kubernetes-version", "v1.36.3", "--set", "CONTROL_PLANE_VIP=10.0.0.5"];
    let objects = documents(&generate(home.path(), &[&words[..], flavor].concat(), &[]).ok());
    let spec = |kind| objects.iter().find(|object| object["kind"] == kind).map(|object| &object["spec"]);
    let spec = spec("KubeadmControlPlane").or_else(|| Some(&spec("KubeadmControlPlaneTemplate")?["template"]["spec"])).unwrap();
    spec["kubeadmConfigSpec"].clone()
}

impl Machine {
    fn new(version: &str, files: &[&str]) -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap(), commands: tempfile::tempdir().unwrap() };
        for file in configuration(&[])["files"].as_array().unwrap() {
            let content = file["content"].as_str().unwrap();
            // What cloud-init would take for its own.
            assert!(["{{", "{%", "{#"].iter().all(|mark| !content.contains(mark)), "{content}");
            machine.write(file["path"].as_str().unwrap().trim_start_matches('/'), content);
        }
        for file in files {
            machine.write(file, "");
        }
        machine.command("kubeadm", &format!("echo {version}"));
        machine.command("ip", "case \"$*\" in *'route get'*) echo '10.0.0.5 via 10.0.0.1 dev eth7 src 10.0.0.9 uid 0' ;; esac");
        machine.command("systemctl", "echo \"$@\" >>\"$VIP_ROOT/systemctl\"");
        machine.write("etc/hosts", "");
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn write(&self, file: &str, content: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A command of the machine.
    fn command(&self, name: &str, text: &str) {
        let path = self.commands.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    /// Whether it succeeded, and what it told.
    fn vip(&self, words: &[&str]) -> (bool, String) {
        let path = format!("{}:/usr/bin:/bin", self.commands.path().display());
        let mut command = Command::new("sh");
        command.arg(self.path("etc/capstead/vip/vip.sh")).args(words).env_clear();
        let output = command.env("PATH", path).env("VIP_ROOT", self.root.path()).env("VIP_PATIENCE", "1").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    #[track_caller]
    fn does(&self, words: &[&str]) {
        let (succeeded, told) = self.vip(words);
        assert!(succeeded, "{words:?}: {told}");
    }

    /// The file by which kube-vip speaks to the API server.
    fn kubeconfig(&self) -> String {
        let pod: Value = yaml_serde::from_str(&self.read(MANIFEST)).unwrap();
        pod["spec"]["volumes"][0]["hostPath"]["path"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn kube_vip_begins_by_the_file_that_has_rights() {
    let (admin, super_admin) = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf");
    let cases: [(&str, &[&str], &str); 6] = [
        ("v1.28.15", &[FIRST], admin),
        ("v1.29.0", &[FIRST], super_admin),
        ("v1.36.3", &[FIRST], super_admin),
        ("v1.36.3", &[JOINS], admin),
        ("v1.28.15", &[JOINS], admin),
        // The script runs again, later.
        ("v1.36.3", &[FIRST, SUCCEEDED], admin),
    ];
    for (version, files, expected) in cases {
        let machine = Machine::new(version, files);
        for _ in 0..2 {
            machine.does(&["start", "kube-vip", VIP, "auto"]);
            assert_eq!(machine.kubeconfig(), expected, "{version} {files:?}");
        }
        // kubeadm failed: nothing changes.
        let successful = files.contains(&SUCCEEDED);
        machine.does(&["settle"]);
        assert_eq!(machine.kubeconfig(), expected);
        if !successful {
            machine.write(SUCCEEDED, "success");
        }
        for _ in 0..2 {
            machine.does(&["settle"]);
            assert_eq!(machine.kubeconfig(), admin, "{version} {files:?}");
        }
    }
}

#[test]
fn ignition_tells_first_machines_too() {
    for (script, expected) in [("kubeadm init --config x\n", "super-admin.conf"), ("kubeadm join --config x\n", "/admin.conf")] {
        let machine = Machine::new("v1.36.3", &[]);
        machine.write("etc/kubeadm.sh", script);
        machine.does(&["start", "kube-vip", VIP]);
        assert!(machine.kubeconfig().ends_with(expected), "{script}");
    }
}

#[test]
fn kube_vip_is_told_the_address_and_where() {
    let machine = Machine::new("v1.36.3", &[FIRST]);
    machine.does(&["start", "kube-vip", VIP, "auto"]);
    let text = machine.read(MANIFEST);
    assert!(!text.contains('@'), "{text}");
    let pod: Value = yaml_serde::from_str(&text).unwrap();
    let container = &pod["spec"]["containers"][0];
    let env = |name: &str| {
        let found = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name);
        found.map(|variable| variable["value"].as_str().unwrap().to_owned()).unwrap()
    };
    let expected = [("address", VIP), ("vip_subnet", "32"), ("vip_interface", "eth7"), ("port", "6443"), ("vip_arp", "true")];
    for (name, value) in expected {
        assert_eq!(env(name), value, "{name}");
    }
    assert_eq!(container["image"], "ghcr.io/kube-vip/kube-vip:v1.2.3");
    let mode = std::fs::metadata(machine.path(MANIFEST)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // kubelet reads every file of the folder.
    assert_eq!(std::fs::read_dir(machine.path(MANIFEST).parent().unwrap()).unwrap().count(), 1);
    assert!(!machine.path("etc/keepalived").exists());
    assert_eq!(machine.read("systemctl"), "");
}

#[test]
fn keepalived_is_told_the_address_and_where() {
    for (router, id) in [("auto", "5"), ("77", "77")] {
        let machine = Machine::new("v1.36.3", &[FIRST]);
        machine.command("keepalived", "exit 1");
        machine.does(&["start", "keepalived", VIP, router]);
        let text = machine.read("etc/keepalived/keepalived.conf");
        let line = |line: &str| text.lines().any(|own| own.trim() == line);
        assert!(line(&format!("virtual_router_id {id}")) && line("interface eth7") && line("10.0.0.5/32"), "{text}");
        assert!(line("script \"/etc/capstead/vip/check.sh\"") && !text.contains('@'), "{text}");
        assert!(machine.read("systemctl").ends_with("enable keepalived.service\nreload-or-restart keepalived.service\n"));
        assert!(!machine.path(MANIFEST).exists());
    }
    // Every number that comes of an address is one that VRRP takes.
    for address in ["fd00::5", "10.0.0.0", "fd00::"] {
        let machine = Machine::new("v1.36.3", &[FIRST]);
        machine.command("keepalived", "exit 1");
        machine.does(&["start", "keepalived", address, "auto"]);
        let text = machine.read("etc/keepalived/keepalived.conf");
        let id: u16 = text.lines().find_map(|line| line.trim().strip_prefix("virtual_router_id ")?.parse().ok()).unwrap();
        assert!((1..=255).contains(&id), "{address}: {id}");
    }
}

#[test]
fn what_cannot_work_ends_with_its_reason() {
    let machine = Machine::new("v1.36.3", &[FIRST]);
    let cases: [(&[&str], &str); 4] = [
        (&["start", "metallb", VIP], "VIP_PROVIDER is metallb: kube-vip, keepalived or none is expected"),
        (&["start", "keepalived", VIP], "there is no keepalived: add the package to the node image, or set VIP_PROVIDER=kube-vip"),
        (&["start", "kube-vip", "nowhere.invalid"], "nowhere.invalid is no address, and no DNS server knows it"),
        (&[], "start or settle is expected"),
    ];
    for (words, reason) in cases {
        let (succeeded, told) = machine.vip(words);
        assert!(!succeeded && told.contains(&format!("vip: {reason}")), "{words:?}: {told}");
    }
    machine.command("ip", "exit 2");
    let (succeeded, told) = machine.vip(&["start", "kube-vip", VIP]);
    assert!(!succeeded && told.contains("no route leads to 10.0.0.5"), "{told}");
    assert!(!machine.path(MANIFEST).exists());
    machine.does(&["start", "none", VIP]);
    machine.does(&["settle"]);
    assert!(!machine.path("etc/kubernetes").exists() && !machine.path("etc/keepalived").exists());
}

#[test]
fn a_machine_knows_its_own_name() {
    let machine = Machine::new("v1.36.3", &[FIRST]);
    machine.command("hostname", "echo edge-x7k2p");
    for _ in 0..2 {
        machine.command("getent", "exit 2");
        machine.does(&["start", "none", VIP]);
        machine.command("getent", "exit 0");
        machine.does(&["start", "none", VIP]);
        assert!(machine.read("etc/hosts").starts_with("127.0.1.1 edge-x7k2p\n"));
    }
}

#[test]
fn the_class_has_the_same_files() {
    assert_eq!(configuration(&["--flavor", "topology"])["files"], configuration(&[])["files"]);
    assert_eq!(configuration(&["--flavor", "topology"])["postKubeadmCommands"], configuration(&[])["postKubeadmCommands"]);
}

#[test]
fn the_check_is_about_this_machine() {
    let machine = Machine::new("v1.36.3", &[]);
    let check = machine.path("etc/capstead/vip/check.sh");
    let answers = |path: &Path, curl: &str| {
        machine.command("curl", curl);
        let mut command = Command::new("sh");
        command.arg(path).env("PATH", format!("{}:/usr/bin:/bin", machine.commands.path().display())).output().unwrap().status.success()
    };
    for (code, well) in [("200", true), ("401", true), ("403", true), ("500", false), ("000", false)] {
        assert_eq!(answers(&check, &format!("echo {code}")), well, "{code}");
    }
}
