//! The machine: a microVM that is reached by ssh.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::daemon::BOOT;
use crate::guest::Recipe;
use crate::layout;
use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::ssh::At;
use crate::ssh::Key;
use crate::ssh::OPTIONS;
use crate::support::Capstead;
use crate::support::host::HostDaemon;
use crate::support::within;

pub const RECIPE: Recipe = Recipe {
    script: "tests/e2e_host/machine.sh",
    sources: &[
        include_str!("machine.sh"),
        include_str!("../host/initrd.sh"),
        include_str!("../host/debian.sh"),
        include_str!("../host/cloud.cfg"),
    ],
};

/// Pushes what it boots, as `machine/root` and `machine/kernel`, and as `machine/besides` what it gets besides: packages, our command, and the image of a microVM.
pub async fn push(registry: &TestRegistry, made: &Path) {
    let read = |name: &str| fs::read(made.join(name)).unwrap();
    let (kernel, initrd, nested) = (read("vmlinuz"), read("initrd"), read("nested-initrd"));
    let boot = |initrd| registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinuz", &kernel), Entry::File("boot/initrd", initrd)]);
    let work = tempfile::tempdir().unwrap();
    layout::write(&work.path().join("nested"), &[boot(&nested)]);
    let command = command(work.path());
    let mut besides = tar::Builder::new(Vec::new());
    for debs in ["debs", "debs-flintlock"] {
        besides.append_dir_all(debs, made.join(debs)).unwrap();
    }
    besides.append_dir_all("nested", work.path().join("nested")).unwrap();
    besides.append_path_with_name(&command, "capstead").unwrap();

    registry.push("machine/kernel:1", vec![registry::plain(boot(&initrd))]).await;
    registry.push("machine/root:1", vec![registry::plain(read("root.tar"))]).await;
    registry.push("machine/besides:1", vec![registry::plain(besides.into_inner().unwrap())]).await;
}

/// Our command in that folder, without what a debugger reads of it, which is most of it.
pub fn command(folder: &Path) -> PathBuf {
    // A file of that name would be in the way of the configuration's folder.
    let command = folder.join("stripped/capstead");
    fs::create_dir_all(folder.join("stripped")).unwrap();
    let stripped = Command::new("strip").arg("-o").arg(&command).arg(env!("CARGO_BIN_EXE_capstead")).status().unwrap();
    assert!(stripped.success());
    command
}

pub struct Machine {
    daemon: HostDaemon,
    uid: String,
    /// Where its ssh is reached, on a loopback address.
    pub port: u16,
    pub key: Key,
    pub folder: PathBuf,
    /// What it is to be.
    wish: PathBuf,
    /// With an ssh that gets in.
    path: String,
}

impl Machine {
    /// Boots one, with what it gets besides in /srv.
    pub fn boot(folder: &Path, registry: &str, wish: &str) -> Self {
        let key = Key::make(folder);
        let daemon = HostDaemon::start(&folder.join("s"), &[]);
        let image = |name: &str| format!("{registry}/machine/{name}:1");
        let volume = format!("besides={},mount=/srv", image("besides"));
        let (kernel, root, public) = (image("kernel"), image("root"), key.file.with_extension("pub"));
        let create = [
            &["vm", "create", "machine", "--host", &daemon.address, "--vcpu", "2", "--memory", "4G", "--wait"][..],
            &["--kernel", &kernel, "--kernel-file", "boot/vmlinuz", "--initrd", &kernel, "--initrd-file", "boot/initrd"],
            &["--cmdline", "net.ifnames=0", "--cmdline", "mitigations=off", "--root", &root, "--root-size", "5G", "--volume", &volume],
            &["--network", "user", "--ssh-key", public.to_str().unwrap()],
        ];
        Capstead::new(folder, create.concat()).run().ok();
        let told = daemon.list().remove(0);
        let interfaces = told["status"]["networkInterfaces"].as_object().unwrap();
        let forward = interfaces.values().find_map(|interface| interface["hostDeviceName"].as_str()).unwrap_or_default();
        let port = forward.strip_prefix("127.0.0.1:").and_then(|rest| rest.strip_suffix("->22")).and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("{told:#}"));
        let uid = told["spec"]["uid"].as_str().unwrap().to_owned();
        let (path, file) = (path(&key, folder), folder.join("host.yaml"));
        fs::write(&file, wish).unwrap();
        let machine = Self { daemon, uid, port, key, folder: folder.to_owned(), wish: file, path };
        machine.shell("systemctl is-system-running --wait || true");
        machine
    }

    /// Runs a command there; gives what it printed.
    #[track_caller]
    pub fn shell(&self, command: &str) -> String {
        let at = At { host: "127.0.0.1", port: self.port };
        self.key.run(&at, command, || self.daemon.console(&self.uid))
    }

    /// `capstead host` here, of that machine.
    pub fn host(&self, words: &[&str]) -> Capstead {
        let at = format!("ssh://root@127.0.0.1:{}", self.port);
        let wish = self.wish.to_str().unwrap();
        let wish: &[&str] = if words.contains(&"restore") { &[] } else { &["--config", wish] };
        Capstead::new(&self.folder, [&["host"], words, &["--host", &at], wish].concat()).env("PATH", &self.path)
    }

    /// All checks.
    #[track_caller]
    pub fn check(&self) -> Value {
        let ran = self.host(&["check", "--json", "--timeout", "2m"]).run();
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Cuts it off once it is told to change its uplink: from then on no connection is let through, until it is joined again.
    pub fn cut_off_when_the_uplink_changes(&self) {
        let (ssh, through) = (self.folder.join("bin/ssh"), self.folder.join("bin/through"));
        fs::rename(&ssh, &through).unwrap();
        // Whoever has its answer does not wait for us to end.
        let script = format!(
            "#!/bin/sh
[ ! -e '{0}' ] || {{ echo 'the way there is cut' >&2; exit 255; }}
script=$(cat)
case $script in *unit=capstead-rollback*--on-active*) touch '{0}' ;; esac
printf '%s\\n' \"$script\" | '{1}' \"$@\"
",
            self.folder.join("cut").display(),
            through.display()
        );
        executable(&ssh, &script);
    }

    /// Lets connections through again.
    pub fn join_again(&self) {
        fs::remove_file(self.folder.join("cut")).unwrap();
        fs::rename(self.folder.join("bin/through"), self.folder.join("bin/ssh")).unwrap();
    }

    /// Boots it again.
    pub fn reboot(&self) {
        let boot = "cat /proc/sys/kernel/random/boot_id";
        let first = self.shell(&format!("{boot}; systemctl reboot --no-block >&2"));
        within(BOOT, "the machine has booted again", || {
            let now = self.shell(boot);
            if now == first { Err(now) } else { Ok(()) }
        });
        self.shell("systemctl is-system-running --wait || true");
    }
}

/// A `PATH` with an `ssh` in front that uses this key, and waits for a machine as slow as this. Of an option that is given twice the first counts.
fn path(key: &Key, folder: &Path) -> String {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let options = OPTIONS.map(|option| format!("-o {option}")).join(" ");
    let path = std::env::var("PATH").unwrap();
    let script = format!("#!/bin/sh\nPATH='{path}' exec ssh -F none -i '{}' -o ConnectTimeout=90 {options} \"$@\"\n", key.file.display());
    executable(&bin.join("ssh"), &script);
    format!("{}:{path}", bin.display())
}

fn executable(file: &Path, script: &str) {
    fs::write(file, script).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}
