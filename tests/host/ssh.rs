//! The way into a guest.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::daemon::BOOT;
use crate::support::within;

/// Nothing is asked, and nothing of this machine's own is read. A guest that starts anew takes leave of nobody.
pub const OPTIONS: [&str; 7] = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=8",
    "BatchMode=yes",
    "LogLevel=ERROR",
];

/// A key, whose public half guests get.
pub struct Key {
    pub file: PathBuf,
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
