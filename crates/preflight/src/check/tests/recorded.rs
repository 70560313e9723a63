//! What healthy hosts answer.

use crate::machine::Answer;
use crate::machine::Answers;
use crate::wish::Network;
use crate::wish::Runtime;
use crate::wish::Wish;

/// Our own clock when they were asked.
pub(super) const NOW: u64 = 1_790_000_000;

/// A host of Capstead's own: a bridge with NAT and DHCP.
pub(super) fn capstead_wish() -> Wish {
    Wish {
        network: Network::Bridge,
        subnet: "10.42.0.0/24".parse().ok(),
        dhcp: true,
        nat_via: Some("eth0".into()),
        vip: "10.42.0.2".parse().ok(),
        registries: vec!["ghcr.io".into()],
        ..Wish::default()
    }
}

/// A host of upstream's flintlockd.
pub(super) fn flintlock_wish() -> Wish {
    Wish { runtime: Runtime::Flintlock, images: vec!["ghcr.io/a/kernel:1".into()], ..capstead_wish() }
}

/// A host with macvtaps.
pub(super) fn macvtap_wish() -> Wish {
    Wish { network: Network::Macvtap, parent_iface: Some("eno4".into()), ..Wish::default() }
}

const LINKS: &str = r#"[
{"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"address":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
{"ifname":"eth0","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:01","addr_info":[{"family":"inet","local":"192.168.1.57","prefixlen":24,"dynamic":true}]},
{"ifname":"eno4","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:04","addr_info":[]},
{"ifname":"wlo5","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:05","addr_info":[]},
{"ifname":"br-mvm","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"address":"52:54:00:00:00:02","linkinfo":{"info_kind":"bridge"},"addr_info":[{"family":"inet","local":"10.42.0.1","prefixlen":24}]}
]"#;

const RULESET: &str = "table ip capstead {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.42.0.0/24 ip daddr != 10.42.0.0/24 oifname \"eth0\" masquerade
	}
}
";

const LISTENERS: &str = "udp   UNCONN 0      0                   0.0.0.0%br-mvm:67         0.0.0.0:*    users:((\"dnsmasq\",pid=700,fd=4))
tcp   LISTEN 0      128                       0.0.0.0:22         0.0.0.0:*    users:((\"sshd\",pid=600,fd=3))
tcp   LISTEN 0      4096                            *:9090             *:*    users:((\"capstead\",pid=800,fd=9))
";

const CONTAINERD: &str = "version = 2
[grpc]
  address = \"/run/containerd-dev/containerd.sock\"
[plugins.\"io.containerd.snapshotter.v1.devmapper\"]
  pool_name = \"flintlock-dev-thinpool\"
";

const FLINTLOCKD: &str = "{ path=/usr/local/bin/flintlockd ; argv[]=/usr/local/bin/flintlockd run --containerd-socket /run/containerd-dev/containerd.sock --bridge-name br-mvm --tls-cert /etc/host.pem --tls-key /etc/key.pem ; ignore_errors=no ; }";

pub(super) fn unit(id: &str, active: &str, command: &str) -> String {
    format!(
        "Id={id}\nLoadState=loaded\nActiveState={active}\nUnitFileState=enabled\nKillMode=process\nNeedDaemonReload=no\nExecStart={command}\n\n"
    )
}

fn units() -> String {
    [
        unit("capstead-host.service", "active", "{ path=/usr/local/bin/capstead ; argv[]=/usr/local/bin/capstead host run ; }"),
        unit("flintlockd.service", "active", FLINTLOCKD),
        unit("containerd-dev.service", "active", ""),
        unit("capstead-thinpool.service", "active", ""),
    ]
    .concat()
}

/// All answers, of one machine that is each kind of host.
pub(super) fn healthy() -> Answers {
    let texts: &[(&str, &str)] = &[
        ("hostname", "mvm-1\n"),
        ("kernel", "6.1.0-38-amd64 x86_64\n"),
        ("user", "0\n"),
        ("systemd", "running\n"),
        ("memory", "MemTotal: 65000000 kB\nMemFree: 100 kB\nMemAvailable:   40000000 kB\n"),
        ("cpu", "flags\t\t: fpu vme vmx sse2\n"),
        ("disk", "/var/lib\n/dev/sda1 100000000 10 50000000 1% /\n/dev/sda1 0 0 0 - /\nbtrfs\n"),
        ("cgroup", "cpuset cpu io memory pids\n"),
        ("clock", "1790000001\n"),
        ("ntp", "yes\n"),
        (
            "sysctl",
            "net.ipv4.ip_forward=1\nnet.netfilter.nf_conntrack_max=262144\nnet.netfilter.nf_conntrack_count=12\nfs.inotify.max_user_instances=128\nfs.inotify.max_user_watches=524288\nfs.file-max=9223372036854775807\nuser.max_user_namespaces=15000\n",
        ),
        ("kvm", "character special file,660 root:kvm\nopen\n"),
        ("tun", "character special file,666 root:root\nopen\n"),
        ("modules", "bridge\ntun\nmacvlan\nmacvtap\ndm-thin-pool\nloop\nkvm_intel\n"),
        ("loadable", ""),
        ("programs", "ip\nnft\ndnsmasq\ncurl\nslirp4netns\nnsenter\ndmsetup\nlosetup\nctr\ncontainerd\napt-get\n"),
        ("version/qemu-system-x86_64", "QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7)\n"),
        ("version/firecracker", "Firecracker v1.15.1\n"),
        ("version/cloud-hypervisor", "absent\n"),
        ("version/cloud-hypervisor-static", "cloud-hypervisor v41.0\n"),
        ("guest-kvm", "ran\n"),
        ("guest-tcg", "ran\n"),
        ("links", LINKS),
        ("wireless", "wlo5\n"),
        ("routes", r#"[{"dst":"default","gateway":"192.168.1.1","dev":"eth0","metric":100}]"#),
        ("neighbour", "[]"),
        ("vip-route", r#"[{"dst":"10.42.0.2","dev":"br-mvm","prefsrc":"10.42.0.1","flags":[],"uid":0,"cache":[]}]"#),
        ("listeners", LISTENERS),
        ("filter", RULESET),
        ("dhcp", "interface=br-mvm\ndhcp-range=10.42.0.10,10.42.0.200,255.255.255.0,12h\n"),
        ("config", ""),
        ("version", "capstead 0.1.0\n"),
        ("vmm-user", "capstead-vmm kvm\n"),
        ("log", "serving; Ctrl-C ends it\n"),
        ("dns/ghcr.io", "140.82.121.33   STREAM ghcr.io\n"),
        ("registry/ghcr.io", "401"),
        ("images", "ghcr.io/a/kernel:1\n"),
        ("dm-targets", "thin-pool        v1.23.0\nlinear v1.5.0\n"),
        ("pools", "flintlock-dev-thinpool: 0 209715200 thin-pool 1 234/2621440 5/1638400 - rw discard_passdown queue_if_no_space - 1024\n"),
        ("containerd-config", CONTAINERD),
        ("containerd-socket", ""),
        (
            "snapshotters",
            "TYPE ID PLATFORMS STATUS\nio.containerd.snapshotter.v1 native linux/amd64 ok\nio.containerd.snapshotter.v1 devmapper linux/amd64 ok\n",
        ),
    ];
    let mut answers: Answers = Answers(texts.iter().map(|(name, text)| ((*name).to_owned(), Answer::ok(*text))).collect());
    answers.0.insert("units".into(), Answer::ok(units()));
    answers
}
