//! What is asked in a guest. Each question reads, and changes nothing; user-data and keys are not read at all.

use std::net::IpAddr;
use std::time::Duration;

use capstead_preflight::machine::Question;

/// How much of a log is read, from its end, in bytes.
const LOG: u32 = 200_000;
/// Units that are looked at.
const UNITS: [&str; 11] = [
    "kubelet",
    "containerd",
    "crio",
    "keepalived",
    "cloud-init-local",
    "cloud-init",
    "cloud-config",
    "cloud-final",
    "systemd-timesyncd",
    "chrony",
    "systemd-networkd",
];

/// Where the control plane is, as files that kubeadm reads or wrote say; only these lines are read.
const ENDPOINT: &str = "endpoint() {
  { sed -n 's/^ *server: *//p' /etc/kubernetes/admin.conf /etc/kubernetes/kubelet.conf /etc/kubernetes/bootstrap-kubelet.conf
    sed -n 's/^ *\\(controlPlaneEndpoint\\|apiServerEndpoint\\): *//p' /run/kubeadm/kubeadm.yaml /run/kubeadm/kubeadm-join-config.yaml
  } 2>/dev/null | tr -d '\"' | sed 's,^https://,,' | grep -m 1 .
}";

/// All questions. Each is given up at `limit`.
#[must_use]
pub fn questions(vip: Option<IpAddr>, limit: Duration) -> Vec<Question> {
    let vip = vip.map(|vip| vip.to_string()).unwrap_or_default();
    let journal = |units: &str, lines: u32| format!("journalctl --no-pager -q -b -o short-iso -n {lines} {units}");
    let crictl = "c=$(command -v crictl) || { echo 'crictl is not there' >&2; exit 127; }
s=/run/containerd/containerd.sock; [ -S $s ] || s=/run/crio/crio.sock
\"$c\" --timeout 10s --runtime-endpoint unix://$s --image-endpoint unix://$s";
    let all = [
        ("system", "cat /proc/sys/kernel/hostname; uname -rm; sed -n 's/^PRETTY_NAME=//p' /etc/os-release; id -u".to_owned()),
        ("clock", "date +%s".to_owned()),
        ("uptime", "cat /proc/uptime".to_owned()),
        ("memory", "cat /proc/meminfo /proc/swaps".to_owned()),
        ("disk", "df -PkT; echo; df -PiT".to_owned()),
        ("kernel", "dmesg 2>/dev/null | tail -n 300".to_owned()),
        ("addresses", "ip -d -j address show".to_owned()),
        ("routes", "ip route show; ip -6 route show".to_owned()),
        ("listeners", "ss -Hltnp".to_owned()),
        ("resolv", "cat /etc/resolv.conf".to_owned()),
        ("hosts", "cat /etc/hosts".to_owned()),
        ("endpoint", format!("{ENDPOINT}\nendpoint")),
        ("endpoint-name", format!("{ENDPOINT}\ne=$(endpoint); h=${{e%:*}}; case $h in ''|*:*|*[0-9].[0-9]*.[0-9]*) exit 3;; esac; getent ahosts \"$h\" || exit 2")),
        (
            "vip",
            format!(
                "{ENDPOINT}\nv='{vip}'; [ -n \"$v\" ] || {{ e=$(endpoint); v=${{e%:*}}; }}; [ -n \"$v\" ] || exit 3
ping -c 1 -W 2 \"$v\" >/dev/null 2>&1; echo \"ping $?\"; ip route get \"$v\"; ip neigh show to \"$v\""
            ),
        ),
        ("api", format!("{ENDPOINT}\n{ASK}")),
        ("units", format!("systemctl show -p Id,LoadState,ActiveState,SubState,Result,NRestarts {}", UNITS.map(|unit| format!("{unit}.service")).join(" "))),
        ("failed-units", "systemctl list-units --failed --no-legend --plain".to_owned()),
        ("cloud-init", "cat /run/cloud-init/status.json".to_owned()),
        ("cloud-init-result", "cat /run/cloud-init/result.json".to_owned()),
        ("cloud-init-log", format!("tail -c {LOG} /var/log/cloud-init.log")),
        ("cloud-init-output", format!("tail -c {LOG} /var/log/cloud-init-output.log")),
        (
            "cloud-init-journal",
            journal("-u cloud-init-local -u cloud-init-main -u cloud-init-network -u cloud-init -u cloud-config -u cloud-final", 500),
        ),
        ("bootstrapped", "ls -l /run/cluster-api".to_owned()),
        ("kubelet-journal", journal("-u kubelet", 500)),
        ("containerd-journal", journal("-u containerd -u crio", 200)),
        ("network-journal", journal("-u systemd-networkd -u systemd-resolved -u NetworkManager", 100)),
        ("keepalived-journal", journal("-u keepalived", 100)),
        (
            "kubelet-flags",
            "cat /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/sysconfig/kubelet /etc/systemd/system/kubelet.service.d/*.conf 2>/dev/null
p=$(pidof -s kubelet) && tr '\\0' ' ' < /proc/$p/cmdline; true"
                .to_owned(),
        ),
        ("kubelet-config", "cat /var/lib/kubelet/config.yaml".to_owned()),
        ("containerd-config", "cat /etc/containerd/config.toml".to_owned()),
        ("manifests", "cd /etc/kubernetes/manifests && for f in *.yaml *.yml *.json; do [ ! -f \"$f\" ] || { echo \"==> $f <==\"; cat \"$f\"; }; done".to_owned()),
        ("kubernetes-files", "ls -lR /etc/kubernetes /var/lib/kubelet/pki".to_owned()),
        ("cni", "ls -1A /etc/cni/net.d".to_owned()),
        ("cni-plugins", "ls -1A /opt/cni/bin".to_owned()),
        ("containers", format!("{crictl} ps -a -o json")),
        ("images", format!("{crictl} images")),
        (
            "pod-logs",
            "ls -t /var/log/pods/*/*/*.log 2>/dev/null | head -n 40 | while read -r f; do echo \"==> $f <==\"; tail -n 60 \"$f\" | cut -c 1-1000; done".to_owned(),
        ),
        (
            "node",
            "command -v kubectl >/dev/null || { echo 'kubectl is not there' >&2; exit 127; }
for f in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf; do
  [ -r $f ] && kubectl --kubeconfig=$f --request-timeout=5s get node \"$(hostname | tr A-Z a-z)\" -o json && exit 0
done; exit 1"
                .to_owned(),
        ),
        ("processes", "ps -eo pid,ppid,etimes,stat,args --sort=etimes | cut -c 1-300 | head -n 150".to_owned()),
    ];
    all.into_iter().map(|(name, text)| Question::shell(name, text).within(limit)).collect()
}

/// Asks the API server on this node, and that at the control plane's address, for their health. An answer is `NAME HOST:PORT WORDS`, the last word the
/// status of HTTP, where there is `curl`; else whether a connection is made.
const ASK: &str = "try() {
  if command -v curl >/dev/null 2>&1; then
    m=$(curl -sSk --noproxy '*' -m 5 -o /dev/null -w ' %{http_code}' \"https://$2/readyz\" 2>&1)
  elif command -v bash >/dev/null 2>&1; then
    m=$(timeout 5 bash -c \"exec 3<>/dev/tcp/${2%:*}/${2##*:}\" 2>&1) && m='connected 200' || m=\"${m:-no answer} 000\"
  else return; fi
  echo \"$1 $2 \"$m
}
f=/etc/kubernetes/manifests/kube-apiserver.yaml
[ ! -f $f ] || { p=$(sed -n 's/.*--secure-port=//p' $f | head -n 1); try local \"127.0.0.1:${p:-6443}\"; }
e=$(endpoint); [ -z \"$e\" ] || { case $e in *:*) ;; *) e=$e:6443;; esac; try endpoint \"$e\"; }
true";
