//! A machine in user, network and mount namespaces: a bridge, settings of the kernel and files of its own. systemd cannot run in there, so a stand-in of some lines
//! reads units and runs what they say; all else is real.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Units as files in `$ROOT/units`: started or not, enabled or not. What a unit reads stands below /etc, which is `$ROOT/etc` in there.
const SYSTEMCTL: &str = include_str!("systemctl.sh");

/// What is in the namespaces besides: `/` is the machine's own, but for /etc and /var/lib.
const ENTER: &str = r#"set -e
mount -t proc proc /proc 2>/dev/null || true
ip link set lo up
ip link add uplink0 type bridge; ip addr add 192.0.2.2/24 dev uplink0; ip link set uplink0 up; ip route add default via 192.0.2.1
for d in etc var-lib run; do mkdir -p "$ROOT/$d"; done
mkdir -p "$ROOT/run/systemd/system" "$ROOT/etc/systemd/system" "$ROOT/etc/sysctl.d" "$ROOT/etc/modules-load.d"
echo root:x:0:0::/root:/bin/sh >"$ROOT/etc/passwd"; printf 'root:x:0:\nkvm:x:104:\n' >"$ROOT/etc/group"
mount --bind "$ROOT/etc" /etc; mount --bind "$ROOT/var-lib" /var/lib; mount --bind "$ROOT/run" /run
# Both leave a lock and copies beside their files.
PATH=$PATH:/usr/sbin:/sbin; useradd --system --groups kvm first && userdel first
echo ready; exec sleep 600
"#;

/// The namespaces live as long as this.
pub struct Namespaces {
    holder: std::process::Child,
    root: tempfile::TempDir,
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Namespaces {
    pub fn new() -> Self {
        use std::io::BufRead;
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, text) in [
            ("systemctl", SYSTEMCTL),
            ("dnsmasq", "#!/bin/sh\n"),
            ("journalctl", "#!/bin/sh\n"),
            ("modprobe", "#!/bin/sh\n"),
            ("capstead", "#!/bin/sh\necho capstead 0\n"),
        ] {
            std::fs::write(bin.join(name), text).unwrap();
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut holder = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", ENTER])
            .env("ROOT", root.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("this test needs unshare (util-linux)");
        let mut line = String::new();
        std::io::BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "this test needs user namespaces: sysctl user.max_user_namespaces kernel.unprivileged_userns_clone");
        Self { holder, root }
    }

    /// A folder of this machine, which is there in the namespaces, too.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The daemon's program, as far as it is needed.
    pub fn daemon(&self) -> String {
        self.root.path().join("bin/capstead").display().to_string()
    }

    /// What leads in there, to be followed by a command.
    pub fn enter(&self) -> Vec<String> {
        let root = self.root.path().display().to_string();
        let path = format!("PATH={root}/bin:{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let words = [
            "nsenter",
            "--preserve-credentials",
            "-U",
            "-n",
            "-m",
            "-t",
            &self.holder.id().to_string(),
            "env",
            &path,
            &format!("ROOT={root}"),
        ]
        .map(str::to_owned);
        words.into()
    }
}

/// Whether the packet filter's own command is there.
pub fn has_nft() -> bool {
    let paths = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
    paths.split(':').any(|folder| Path::new(folder).join("nft").exists())
}
