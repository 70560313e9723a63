//! What is asked. Each question reads, and changes nothing.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::machine::Question;
use crate::machine::quoted;
use crate::wish::Runtime;
use crate::wish::VMM_USER;
use crate::wish::Wish;

/// A guest of a few instructions, to find out what can boot one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// An ELF file with a PVH entry.
    pub kernel: Vec<u8>,
    /// What it writes to its first serial port.
    pub greeting: String,
}

/// Settings of the kernel that are looked at.
const SYSCTLS: [&str; 8] = [
    "net.ipv4.ip_forward",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.bridge.bridge-nf-call-iptables",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.file-max",
    "user.max_user_namespaces",
];

/// Programs whose version is asked, as `--version` tells it.
const VERSIONED: [&str; 4] = ["qemu-system-x86_64", "firecracker", "cloud-hypervisor", "cloud-hypervisor-static"];
/// Programs that need only be there.
const PROGRAMS: [&str; 17] = [
    "ip",
    "nft",
    "dnsmasq",
    "curl",
    "slirp4netns",
    "passt",
    "nsenter",
    "dmsetup",
    "losetup",
    "ctr",
    "containerd",
    "modprobe",
    "apt-get",
    "dnf",
    "apk",
    "pacman",
    "zypper",
];

/// All questions for a wish. With `guest`, one is booted by QEMU, where there is QEMU.
#[must_use]
pub fn questions(wish: &Wish, guest: Option<&Guest>) -> Vec<Question> {
    let mut all = system(wish);
    all.extend(network(wish));
    all.extend(service(wish));
    if let Some(guest) = guest {
        all.push(boot("guest-kvm", "kvm", guest, 2));
        all.push(boot("guest-tcg", "tcg", guest, 20));
    }
    all
}

fn system(wish: &Wish) -> Vec<Question> {
    let state = quoted(&wish.state_dir);
    let disk = format!(
        "d={state}; while [ ! -d \"$d\" ]; do d=$(dirname \"$d\"); done; echo \"$d\"; df -Pk \"$d\" | tail -n 1; df -Pi \"$d\" | tail -n 1; stat -f -c %T \"$d\"
[ \"$(stat -f -c %T \"$d\")\" != xfs ] || xfs_info \"$d\" 2>/dev/null | grep -o reflink=1 || true"
    );
    let sysctls =
        format!("for k in {}; do f=/proc/sys/$(echo $k | tr . /); [ ! -e \"$f\" ] || echo \"$k=$(cat \"$f\")\"; done", SYSCTLS.join(" "));
    let device = |path: &str| {
        format!(
            "[ -e {path} ] || {{ echo absent; exit 0; }}; stat -c '%F,%a %U:%G' {path}; [ ! -r {path} ] || [ ! -w {path} ] || echo open"
        )
    };
    let versions = VERSIONED.map(|p| {
        Question::shell(
            format!("version/{p}"),
            format!("p=$(command -v {p}) || {{ echo absent; exit 0; }}; \"$p\" --version </dev/null 2>&1 | head -n 1"),
        )
    });
    let present = format!("for p in {}; do command -v $p >/dev/null 2>&1 && echo $p; done; true", PROGRAMS.join(" "));
    let modules = wish.modules().join(" ");
    let mut all = vec![
        Question::file("hostname", "/proc/sys/kernel/hostname"),
        Question::run("kernel", &["uname", "-rm"]),
        Question::run("user", &["id", "-u"]),
        Question::shell("systemd", "[ -d /run/systemd/system ] || { cat /proc/1/comm; exit 3; }; systemctl is-system-running || true"),
        Question::file("memory", "/proc/meminfo"),
        Question::shell("cpu", "grep -m 1 -E '^(flags|Features)' /proc/cpuinfo"),
        Question::shell("disk", disk),
        Question::shell(
            "cgroup",
            "m=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts); [ -n \"$m\" ] || { echo 'cgroup v2 is not mounted' >&2; exit 1; }; cat \"$m/cgroup.controllers\"",
        ),
        Question::run("clock", &["date", "+%s"]),
        Question::run("ntp", &["timedatectl", "show", "-p", "NTPSynchronized", "--value"]),
        Question::shell("sysctl", sysctls),
        Question::shell("kvm", device("/dev/kvm")),
        Question::shell("tun", device("/dev/net/tun")),
        Question::shell(
            "modules",
            "ls /sys/module /sys/class/misc; sed 's|.*/||; s|[.]ko.*||' \"/lib/modules/$(uname -r)/modules.builtin\" 2>/dev/null || true",
        ),
        Question::shell("loadable", format!("for m in {modules}; do modprobe -nq $m && echo $m; done; true")),
        Question::shell("programs", present),
    ];
    all.extend(versions);
    all
}

fn network(wish: &Wish) -> Vec<Question> {
    // Whoever has the address answers who they are, even where ping is filtered; a neighbour that only was there does not.
    let vip = wish.vip.into_iter().flat_map(|vip| {
        [
            Question::shell("neighbour", format!("ping -c 1 -W 1 {vip} >/dev/null 2>&1; ip -j neigh show to {vip}")),
            // With 2 it says that there is none.
            Question::shell("vip-route", format!("ip -j route get {vip} 2>/dev/null || [ $? = 2 ]")),
        ]
    });
    let filter = "if command -v nft >/dev/null; then nft list ruleset; r=$?; else r=127; fi
if command -v iptables-save >/dev/null; then iptables-save; s=$?; else s=127; fi
[ $r = 0 ] || [ $s = 0 ] || { [ $r$s != 127127 ] || echo 'neither nft nor iptables is installed' >&2; exit 1; }";
    let all = [
        Question::run("links", &["ip", "-j", "-d", "addr", "show"]),
        Question::shell("wireless", "for d in /sys/class/net/*/wireless; do [ ! -e \"$d\" ] || basename \"$(dirname \"$d\")\"; done"),
        Question::run("routes", &["ip", "-j", "-4", "route", "show", "default"]),
        Question::run("listeners", &["ss", "-Htulnp"]),
        Question::shell("filter", filter),
        Question::shell(
            "dhcp",
            "cat /etc/capstead/dhcp.conf /etc/dnsmasq.conf /etc/dnsmasq.d/* /var/lib/libvirt/dnsmasq/*.conf 2>/dev/null; true",
        ),
    ];
    all.into_iter().chain(vip).collect()
}

fn service(wish: &Wish) -> Vec<Question> {
    let units = [
        wish.unit(),
        "systemd-networkd.service",
        "NetworkManager.service",
        "networking.service",
        "docker.service",
        &wish.containerd.unit,
        "capstead-thinpool.service",
    ];
    let show = ["systemctl", "show", "-p", "Id,LoadState,ActiveState,UnitFileState,ExecStart,KillMode,NeedDaemonReload", "--"];
    let program = quoted(wish.program());
    let (version, images) = match wish.runtime {
        Runtime::Capstead => {
            (format!("{program} --version"), format!("FLINTLOCKD_STATE_DIR={} {program} image ls", quoted(&wish.state_dir)))
        }
        Runtime::Flintlock => (
            format!("{program} version --short"),
            format!("ctr -a {} -n {} images ls -q", quoted(&wish.containerd.socket), quoted(&wish.containerd.namespace)),
        ),
    };
    let mut all = vec![
        Question::run("units", &[&show[..], &units].concat()),
        Question::file("config", "/etc/opt/flintlockd/config.yaml"),
        Question::shell("version", version),
        Question::run("log", &["journalctl", "-u", wish.unit(), "-n", "1", "-o", "cat", "--no-pager", "-q"]),
    ];
    if wish.runtime == Runtime::Capstead {
        let text = format!("getent passwd {VMM_USER} >/dev/null; case $? in 0) id -Gn {VMM_USER} ;; 2) ;; *) exit 1 ;; esac");
        all.push(Question::shell("vmm-user", text));
    }
    if !wish.images.is_empty() {
        all.push(Question::shell("images", images));
    }
    for registry in &wish.registries {
        let host = registry.split(':').next().unwrap_or_default();
        all.push(Question::run(format!("dns/{registry}"), &["getent", "ahosts", host]));
        let url = format!("https://{registry}/v2/");
        all.push(
            Question::run(format!("registry/{registry}"), &["curl", "-sS", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", &url])
                .within(Duration::from_secs(3)),
        );
    }
    if wish.runtime == Runtime::Flintlock {
        all.extend([
            Question::run("dm-targets", &["dmsetup", "targets"]),
            Question::run("pools", &["dmsetup", "status", "--target", "thin-pool"]),
            Question::file("containerd-config", &wish.containerd.config),
            Question::run("containerd-socket", &["test", "-S", &wish.containerd.socket]),
            Question::run("snapshotters", &["ctr", "-a", &wish.containerd.socket, "plugins", "ls"]),
        ]);
    }
    all
}

/// QEMU reads its kernel by name, so that is the one file that is written; it goes as soon as the guest has ended.
fn boot(name: &str, accel: &str, guest: &Guest, seconds: u64) -> Question {
    let (kernel, greeting) = (STANDARD.encode(&guest.kernel), quoted(guest.greeting.trim()));
    let text = format!(
        "q=$(command -v qemu-system-x86_64) || {{ echo no-vmm; exit 0; }}
d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && echo {kernel} | base64 -d >\"$d/guest\" || exit 1
timeout -s KILL {seconds} \"$q\" -M microvm,x-option-roms=off,isa-serial=on,rtc=off,acpi=off -nodefaults -no-user-config -no-reboot -display none -m 32 -accel {accel} \\
  -device isa-debug-exit,iobase=0xf4,iosize=0x1 -serial stdio -kernel \"$d/guest\" >\"$d/out\" 2>&1 </dev/null
r=$?; if grep -q {greeting} \"$d/out\"; then echo ran; elif [ $r = 137 ]; then echo hung; else echo failed; tail -n 2 \"$d/out\"; fi"
    );
    Question::shell(name, text).within(Duration::from_secs(seconds + 1))
}
