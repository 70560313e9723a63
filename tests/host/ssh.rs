//! The way into a guest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::daemon::BOOT;
use crate::support::within;

/// Nothing is asked, and nothing of this machine's own is read.
const OPTIONS: [&str; 5] =
    ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20", "BatchMode=yes", "LogLevel=ERROR"];

/// A key, whose public half guests get.
pub struct Key {
    file: PathBuf,
    pub public: String,
}

/// Where a guest is reached.
pub struct At<'a> {
    pub host: &'a str,
    pub port: u16,
}

impl Key {
    pub fn make(folder: &Path) -> Self {
        let file = folder.join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status().unwrap();
        assert!(made.success());
        let public = fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned();
        Self { file, public }
    }

    /// A `PATH` with an `ssh` in front that uses this key.
    pub fn path(&self, folder: &Path) -> String {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let options = OPTIONS.map(|option| format!("-o {option}")).join(" ");
        let path = std::env::var("PATH").unwrap();
        let script = format!("#!/bin/sh\nPATH='{path}' exec ssh -F none -i '{}' {options} \"$@\"\n", self.file.display());
        fs::write(bin.join("ssh"), script).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{path}", bin.display())
    }

    /// Where its public half is.
    pub fn public_file(&self) -> PathBuf {
        self.file.with_extension("pub")
    }

    /// Runs a command in a guest that may still be booting; gives what it printed. `look` tells what is seen of the guest meanwhile.
    #[track_caller]
    pub fn run(&self, at: &At<'_>, command: &str, look: impl Fn() -> String) -> String {
        within(BOOT, &format!("{command} in the guest at {}:{}", at.host, at.port), || {
            let mut ssh = Command::new("ssh");
            ssh.arg("-i").arg(&self.file).args(["-p", &at.port.to_string(), "-F", "none"]);
            OPTIONS.iter().for_each(|option| _ = ssh.args(["-o", option]));
            let ran = ssh.arg(format!("root@{}", at.host)).arg(command).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(format!("{}\n{}", text(&ran.stderr), look())) }
        })
    }
}
