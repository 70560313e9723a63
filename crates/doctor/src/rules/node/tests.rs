use capstead_preflight::machine::Answer;

use crate::Diagnosis;
use crate::Finding;
use crate::Node;
use crate::Picture;
use crate::Severity;
use crate::diagnose;
use crate::node::Subject;
use crate::node::console;
use crate::node::tests::addresses;
use crate::node::tests::answers;
use crate::node::tests::disk;
use crate::node::tests::node;
use crate::node::tests::registered;
use crate::node::tests::subject;
use crate::node::tests::units;
use crate::sample::now;

const ID: &str = "microvm://10.0.0.5:9090/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const REFUSED: &str = "local 127.0.0.1:6443 curl: (7) Failed to connect to 127.0.0.1 port 6443 after 0 ms: Connection refused 000
endpoint 10.0.0.100:6443 curl: (7) Failed to connect to 10.0.0.100 port 6443 after 3060 ms: No route to host 000
";
/// On a worker whose control plane is away.
const AWAY: &str = "endpoint 10.0.0.100:6443 curl: (7) Failed to connect to 10.0.0.100 port 6443 after 3060 ms: No route to host 000\n";
const WORKER: &[(&str, &str)] = &[("manifests", ""), ("api", "endpoint 10.0.0.100:6443 401\n"), ("containers", "{\"containers\":[]}")];

fn diagnosis(node: Node) -> Diagnosis {
    diagnose(&Picture { nodes: vec![node], ..Picture::new(now()) })
}

/// A node that nobody has registered, and these answers.
fn unregistered(changes: &[(&str, &str)]) -> Node {
    let mut answers = answers(changes);
    if !changes.iter().any(|(name, _)| *name == "node") {
        let said = "The connection to the server 10.0.0.100:6443 was refused - did you specify the right host or port?";
        answers.0.insert("node".into(), Answer::failed(1, said));
    }
    node(subject(), &answers)
}

fn worker(changes: &[(&str, &str)]) -> Node {
    unregistered(&[WORKER, changes].concat())
}

#[track_caller]
fn first(node: Node, id: &str) -> Finding {
    let diagnosis = diagnosis(node);
    let first = diagnosis.findings.first().unwrap_or_else(|| panic!("{id}: nothing was found"));
    assert_eq!(first.id, id, "{:#?}", diagnosis.findings);
    first.clone()
}

#[test]
fn of_a_node_that_is_well_nothing_is_found() {
    assert_eq!(diagnosis(node(subject(), &answers(&[]))).findings, []);
    assert_eq!(diagnosis(node(subject(), &answers(WORKER))).findings, []);
    let told = diagnosis(node(subject(), &answers(&[]))).looked;
    assert_eq!(told, ["team/cp-0 (by ssh root@10.0.0.17)"]);
}

#[test]
fn what_a_ready_node_complained_of_has_passed() {
    let journal = "Nov 22 11:51:01 cp-0 kubelet[900]: \"Container runtime network not ready\" networkReady=\"NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized\"
Nov 22 11:51:02 cp-0 kubelet[900]: Failed to pull image \"a.lan/b:1\": dial tcp: lookup a.lan: no such host\n";
    let output = "[preflight] Some fatal errors occurred:\n\t[ERROR Port-6443]: Port 6443 is in use\nerror execution phase preflight: preflight checks failed\n";
    let changes = [("kubelet-journal", journal), ("cloud-init-output", output)];
    assert_eq!(diagnosis(node(subject(), &answers(&changes))).findings, []);
}

#[test]
fn a_guest_that_is_to_be_no_node_lacks_nothing() {
    let none = units(&[("kubelet", "not-found"), ("containerd", "not-found")]);
    let mut answers = answers(&[("units", &none)]);
    for name in ["manifests", "containers", "cni", "endpoint", "vip", "api", "node", "bootstrapped", "kubelet-flags"] {
        answers.0.insert(name.into(), Answer::failed(1, "No such file or directory"));
    }
    let plain = Subject { name: "default/m1".into(), ..Subject::default() };
    assert_eq!(diagnosis(node(plain, &answers)).findings, []);
    // A Machine does.
    let found = diagnosis(node(subject(), &answers)).findings;
    assert!(found.iter().any(|finding| finding.id == "node-kubelet" && finding.cause.contains("no kubelet in its image")), "{found:#?}");
}

/// Answers that differ, the rule that comes first, and what its cause and its evidence hold.
type Case = (Node, &'static str, &'static str, &'static str);

#[track_caller]
fn all(cases: Vec<Case>) {
    for (node, id, cause, said) in cases {
        let finding = first(node, id);
        assert_eq!(finding.severity, Severity::Error, "{finding:#?}");
        assert!(finding.cause.contains(cause), "{cause}: {finding:#?}");
        let told = finding.evidence.iter().any(|evidence| format!("{}: {}", evidence.source, evidence.said).contains(said));
        assert!(told, "{said}: {finding:#?}");
        assert_eq!(finding.about, "node team/cp-0");
        assert!(!finding.fix.is_empty() && !finding.symptom.is_empty());
    }
}

#[test]
fn the_guest_itself_may_be_the_cause() {
    let log = |line: &str| format!("2026-11-22T11:58:02+0000 cp-0 kubelet[900]: {line}\n");
    let behind = (now().as_second() - 7200).to_string();
    let expired = log(
        "\"Unable to register node with API server\" err=\"Post \\\"https://10.0.0.100:6443/api/v1/nodes\\\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-22T09:58:02Z is before 2026-11-22T11:40:00Z\" node=\"cp-0\"",
    );
    let lookup = "[ 61.0] error execution phase preflight: couldn't validate the identity of the API Server: failed to request the cluster-info ConfigMap: Get \"https://api.lan:6443/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s\": dial tcp: lookup api.lan on 10.0.0.1:53: no such host\n";
    let killed = "[  300.1] Out of memory: Killed process 812 (kube-apiserver) total-vm:1200000kB, anon-rss:400000kB\n";
    let full = log(
        "\"Failed to create pod sandbox\" err=\"mkdir /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/new-1: no space left on device\"",
    );
    all(vec![
        (
            unregistered(&[("disk", &disk(20_000, "12%"))]),
            "node-disk",
            "hardly any room is left on /",
            "file system /: 19 of 5887 MiB are free",
        ),
        (unregistered(&[("disk", &disk(2_000_000, "100%"))]), "node-disk", "hardly any room is left on /", "100% of inodes"),
        (unregistered(&[("kubelet-journal", &full)]), "node-disk", "was full", "no space left on device"),
        (
            unregistered(&[("clock", &behind), ("kubelet-journal", &expired)]),
            "node-clock",
            "7200 s behind",
            "is before 2026-11-22T11:40:00Z",
        ),
        (unregistered(&[("kubelet-journal", &expired)]), "node-clock", "the clock is right", "not yet valid"),
        (unregistered(&[("kernel", killed)]), "node-memory", "memory did not suffice", "kube-apiserver"),
        (
            unregistered(&[("addresses", &addresses(&["169.254.0.1/16"]))]),
            "node-address",
            "nobody on its network answers DHCP",
            "interface eth1: no address",
        ),
        (worker(&[("cloud-init-output", lookup)]), "node-dns", "it asks 10.0.0.1", "lookup api.lan on 10.0.0.1:53: no such host"),
    ]);
    let two = diagnosis(unregistered(&[("disk", &disk(400_000, "12%"))])).findings;
    assert_eq!((two[0].id.as_str(), two[0].severity), ("node-disk", Severity::Warning), "the kubelet evicts below a tenth");
    // kubeadm looks for the newest version's name, and goes on without.
    let harmless = "W1122 version.go:109] could not fetch a Kubernetes version from the internet: unable to get URL \"https://dl.k8s.io/release/stable-1.txt\": dial tcp: lookup dl.k8s.io on 10.0.0.1:53: server misbehaving\n";
    assert_eq!(diagnosis(worker(&[("cloud-init-output", harmless)])).findings, []);
}

#[test]
fn cloud_init_and_its_data_may_be_the_cause() {
    let yaml = "2026-11-22 11:50:02,100 - util.py[WARNING]: Failed loading yaml blob. Invalid format at line 3 column 5: \"mapping values are not allowed here\n";
    let none = crate::node::tests::CLOUD_INIT.replace("DataSourceNoCloud [seed=/dev/vdc][dsmode=net]", "DataSourceNone");
    let error =
        "\"modules-final\": {\"errors\": [\"('scripts_user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))\"]";
    let failed = crate::node::tests::CLOUD_INIT.replace("\"modules-final\": {\"errors\": []", error);
    let output = "+ ./prepare\n./prepare: 3: frobnicate: not found\n";
    let log = "2026-11-22 11:50:02,100 - util.py[WARNING]: Running module write-files (<module 'cloudinit.config.cc_write_files' from '/usr/lib/python3/dist-packages/cloudinit/config/cc_write_files.py'>) failed\n";
    all(vec![
        (unregistered(&[("cloud-init-log", yaml)]), "node-user-data", "cannot read its user-data", "Invalid format at line 3"),
        (unregistered(&[("cloud-init", &none)]), "node-user-data", "found no data", "DataSourceNone"),
        (
            unregistered(&[("cloud-init", &failed), ("cloud-init-output", output)]),
            "node-cloud-init",
            "scripts_user failed: a command of the user-data's runcmd",
            "frobnicate: not found",
        ),
        (unregistered(&[("cloud-init-log", log)]), "node-cloud-init", "write_files failed", "Running module write-files"),
        (
            unregistered(&[("bootstrapped", "ls: cannot access\n")]),
            "node-kubeadm",
            "kubeadm never came to its end",
            "bootstrap-success.complete is not there",
        ),
    ]);
    // While it runs, nothing has failed.
    let busy = crate::node::tests::CLOUD_INIT
        .replace("\"finished\": 1763812090.0, ", "\"finished\": null, ")
        .replace("\"stage\": null", "\"stage\": \"modules-final\"");
    let down = units(&[("kubelet", "activating"), ("containerd", "active")]);
    let config = "kubelet[900]: E1122 run.go:72] \"command failed\" err=\"failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error failed to read kubelet config file \\\"/var/lib/kubelet/config.yaml\\\", error: open /var/lib/kubelet/config.yaml: no such file or directory\"\n";
    let found = diagnosis(worker(&[("cloud-init", &busy), ("units", &down), ("kubelet-journal", config), ("bootstrapped", "")])).findings;
    let told: Vec<_> = found.iter().map(|finding| (finding.id.as_str(), finding.severity)).collect();
    assert_eq!(told, [("node-kubelet", Severity::Note), ("node-booting", Severity::Note)], "{found:#?}");
    let late = diagnosis(worker(&[("cloud-init", &busy), ("uptime", "2000.0 1.0")])).findings;
    assert_eq!((late[0].id.as_str(), late[0].severity), ("node-booting", Severity::Warning));
}

#[test]
fn what_runs_containers_may_be_the_cause() {
    let kubelet = |line: &str| format!("2026-11-22T11:58:02+0000 cp-0 kubelet[900]: E1122 11:58:02.000000     900 {line}\n");
    let down = units(&[("kubelet", "activating"), ("containerd", "active")]);
    let dead = units(&[("kubelet", "active"), ("containerd", "failed")]);
    let containerd = "2026-11-22T11:58:02+0000 cp-0 containerd[700]: containerd: failed to load TOML: /etc/containerd/config.toml: (3, 1): unexpected token\n";
    let cri = kubelet(
        "run.go:72] \"command failed\" err=\"failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint \\\"unix:///run/containerd/containerd.sock\\\": rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService\"",
    );
    let swap = kubelet(
        "run.go:72] \"command failed\" err=\"failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false\"",
    );
    let cgroup = kubelet(
        "pod_workers.go:1301] \"Error syncing pod, skipping\" err=\"failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: expected cgroupsPath to be of format \\\"slice:prefix:name\\\" for systemd cgroups, got \\\"/kubepods/burstable/pod1\\\" instead: unknown\"",
    );
    let pull = |why: &str| {
        kubelet(&format!(
            "kuberuntime_image.go:43] \"Failed to pull image\" err=\"failed to pull and unpack image \\\"registry.lan:5000/kube-apiserver:v1.36.3\\\": failed to resolve reference \\\"registry.lan:5000/kube-apiserver:v1.36.3\\\": {why}\""
        ))
    };
    let refused = pull(
        "failed to do request: Head \\\"https://registry.lan:5000/v2/kube-apiserver/manifests/v1.36.3\\\": dial tcp 10.0.0.9:5000: connect: connection refused",
    );
    let missing = pull("registry.lan:5000/kube-apiserver:v1.36.3: not found");
    let never = kubelet(
        "kuberuntime_manager.go:1449] \"Unhandled Error\" err=\"container etcd start failed in pod etcd-cp-0: ErrImageNeverPull: Container image \\\"registry.k8s.io/etcd:3.6.8-0\\\" is not present with pull policy of Never\"",
    );
    let preflight = "\t[ERROR ImagePull]: failed to pull image registry.k8s.io/etcd:3.6.8-0: rpc error: code = DeadlineExceeded desc = failed to pull and unpack image \"registry.k8s.io/etcd:3.6.8-0\": dial tcp 10.0.0.9:443: i/o timeout\n";
    all(vec![
        (
            unregistered(&[("units", &dead), ("containerd-journal", containerd)]),
            "node-runtime",
            "containerd does not run",
            "unexpected token",
        ),
        (unregistered(&[("units", &down), ("kubelet-journal", &cri)]), "node-runtime", "without its CRI plugin", "unknown service"),
        (unregistered(&[("units", &down), ("kubelet-journal", &swap)]), "node-kubelet", "refuses to run with swap", "running with swap on"),
        (unregistered(&[("kubelet-journal", &cgroup)]), "node-kubelet", "different cgroup drivers", "expected cgroupsPath"),
        (unregistered(&[("kubelet-journal", &refused)]), "node-image", "the registry is not reached", "connection refused"),
        (
            unregistered(&[("kubelet-journal", &missing)]),
            "node-image",
            "no such image: registry.lan:5000/kube-apiserver:v1.36.3",
            "not found",
        ),
        (unregistered(&[("kubelet-journal", &never)]), "node-image", "is not there: registry.k8s.io/etcd:3.6.8-0", "pull policy of Never"),
        (worker(&[("cloud-init-output", preflight)]), "node-image", "the registry is not reached", "[ERROR ImagePull]"),
    ]);
}

#[test]
fn kubeadm_may_say_the_cause() {
    let preflight = "[preflight] Running pre-flight checks\n[preflight] Some fatal errors occurred:\n\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents are not set to 1\n[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\nerror execution phase preflight: preflight checks failed\n";
    let join = |why: &str| {
        format!(
            "error execution phase preflight: couldn't validate the identity of the API Server: {why}\nTo see the stack trace of this error execute with --v=5 or higher\n"
        )
    };
    let token = join("could not find a JWS signature in the cluster-info ConfigMap for token ID \"q3m9x1\"");
    let hash = join(
        "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"sha256:e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204\" are pinned",
    );
    let away = join(
        "failed to request the cluster-info ConfigMap: Get \"https://10.0.0.100:6443/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s\": dial tcp 10.0.0.100:6443: connect: no route to host",
    );
    let certs = "error execution phase control-plane-prepare/download-certs: error downloading certs: error downloading the secret: Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace. This Secret might have expired.\n";
    let waits = "[kubelet-check] The kubelet is not healthy after 4m0.000512323s\n\nUnfortunately, an error has occurred\nerror execution phase wait-control-plane: failed while waiting for the kubelet to start: The HTTP call equal to 'curl -sSL http://127.0.0.1:10248/healthz' returned error\n";
    all(vec![
        (
            worker(&[("cloud-init-output", preflight)]),
            "node-preflight",
            "FileContent--proc-sys-net-ipv4-ip_forward, NumCPU",
            "available CPUs 1",
        ),
        (worker(&[("cloud-init-output", &token)]), "node-join", "its token has expired", "token ID \"q3m9x1\""),
        (worker(&[("cloud-init-output", &hash)]), "node-join", "another certificate authority", "are pinned"),
        (worker(&[("cloud-init-output", &away), ("api", AWAY)]), "node-join", "does not reach the control plane's API", "no route to host"),
        (worker(&[("cloud-init-output", certs)]), "node-join", "no longer kept there", "kubeadm-certs"),
        (worker(&[("api", AWAY)]), "node-endpoint", "does not answer to it", "No route to host"),
        (unregistered(&[("cloud-init-output", waits)]), "node-kubeadm", "a step of kubeadm failed", "4m0.000512323s"),
    ]);
    let fix = first(worker(&[("cloud-init-output", preflight)]), "node-preflight").fix;
    assert!(fix.contains("two processors") && fix.contains("net.ipv4.ip_forward"), "{fix}");
}

#[test]
fn the_control_plane_may_be_the_cause() {
    let exited = |name: &str| {
        format!(
            r#"{{"containers":[{{"metadata":{{"name":"{name}","attempt":5}},"state":"CONTAINER_EXITED","labels":{{"io.kubernetes.pod.name":"{name}-cp-0"}}}}]}}"#
        )
    };
    let logs = "==> /var/log/pods/kube-system_etcd-cp-0_0a1b/etcd/5.log <==\n2026-11-22T11:59:02.1Z stderr F {\"level\":\"fatal\",\"caller\":\"etcdmain/etcd.go:183\",\"msg\":\"discovery failed\",\"error\":\"wal: crc mismatch\"}\n";
    let only = |name: &str| format!("==> {name}.yaml <==\nkind: Pod\n");
    let moved = "ping 0\n10.0.0.100 dev eth1 src 10.0.0.17 uid 0\n    cache\n10.0.0.100 dev eth1 lladdr 02:00:00:00:00:99 REACHABLE\n";
    let silent = "ping 1\n10.0.0.100 dev eth1 src 10.0.0.17 uid 0\n    cache\n10.0.0.100 dev eth1 FAILED\n";
    let half = REFUSED.replace("curl: (7) Failed to connect to 127.0.0.1 port 6443 after 0 ms: Connection refused 000", "200");
    let own = addresses(&["10.0.0.17/24"]);
    let other = addresses(&["192.168.7.17/24"]);
    let kube_vip = "==> /var/log/pods/kube-system_kube-vip-cp-0_0a1b/kube-vip/0.log <==\n2026-11-22T11:59:02.1Z stderr F time=\"2026-11-22T11:59:02Z\" level=fatal msg=\"no valid interface found\"\n";
    let without = "==> etcd.yaml <==\nkind: Pod\n==> kube-apiserver.yaml <==\nkind: Pod\n";
    all(vec![
        (
            unregistered(&[("containers", &exited("etcd")), ("manifests", &only("etcd")), ("pod-logs", logs)]),
            "node-static-pod",
            "etcd ends again and again",
            "wal: crc mismatch",
        ),
        (
            unregistered(&[("containers", &exited("kube-apiserver")), ("manifests", &only("kube-apiserver")), ("api", REFUSED)]),
            "node-static-pod",
            "kube-apiserver ends again and again",
            "exited, started anew 5 times",
        ),
        (
            unregistered(&[("manifests", &format!("{}{}", only("kube-scheduler"), only("kube-controller-manager")))]),
            "node-static-pod",
            "there is no manifest of kube-apiserver",
            "kube-scheduler, and no kube-apiserver.yaml",
        ),
        (unregistered(&[("api", REFUSED)]), "node-api", "the API server is down", "Connection refused"),
        (
            unregistered(&[("api", &half), ("addresses", &own), ("vip", moved)]),
            "node-vip",
            "another machine has the VIP 10.0.0.100",
            "02:00:00:00:00:99",
        ),
        (
            unregistered(&[("api", &half), ("addresses", &other), ("vip", silent)]),
            "node-vip",
            "in none of the node's networks",
            "the node has fe80::1/64, 192.168.7.17/24",
        ),
        (
            unregistered(&[("api", &half), ("addresses", &addresses(&["192.168.7.17/24", "10.0.0.100/32"]))]),
            "node-vip",
            "has taken the VIP 10.0.0.100, which is in none of its networks",
            "192.168.7.17/24, 10.0.0.100/32",
        ),
        (
            unregistered(&[("api", &half), ("addresses", &own), ("vip", silent), ("pod-logs", kube_vip)]),
            "node-vip",
            "is on none of its interfaces",
            "no valid interface found",
        ),
        (
            unregistered(&[("api", &half), ("addresses", &own), ("vip", silent), ("manifests", without)]),
            "node-vip",
            "nobody on it takes the VIP",
            "on no interface",
        ),
        (
            unregistered(&[("api", &half), ("addresses", &own), ("endpoint", "10.0.0.77:6443\n")]),
            "node-vip",
            "told that the control plane is at 10.0.0.77, and its Cluster says 10.0.0.100",
            "10.0.0.77",
        ),
    ]);
    // kube-vip waits for the API server, so that is the cause, and comes first.
    let found = diagnosis(unregistered(&[("api", REFUSED), ("addresses", &own), ("vip", silent)])).findings;
    let told: Vec<_> = found.iter().map(|finding| (finding.id.as_str(), finding.severity)).collect();
    assert_eq!(told, [("node-api", Severity::Error), ("node-vip", Severity::Warning)], "{found:#?}");
}

#[test]
fn the_cluster_may_miss_something() {
    let network = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
    let unready = registered("False", network, ID);
    let lost = registered("False", "PLEG is not healthy: pleg was last seen active 4m ago", ID);
    let other = registered("True", "", "microvm://10.0.0.6:9090/01ARZ3NDEKTSV4RRFFQ69G5FAA");
    let nobody = registered("True", "", "");
    all(vec![
        (unregistered(&[("node", &unready), ("cni", "")]), "node-cni", "nobody has brought a network", "cni plugin not initialized"),
        (unregistered(&[("node", &unready)]), "node-cni", "its plugin does not come up", "cni plugin not initialized"),
        (unregistered(&[("node", &lost)]), "node-not-ready", "not Ready", "PLEG is not healthy"),
        (unregistered(&[("node", &other)]), "node-provider-id", "another machine than its Machine", ID),
        (unregistered(&[("node", &nobody)]), "node-provider-id", "has no provider id", "it is empty"),
        (
            unregistered(&[("kubelet-flags", "--provider-id=microvm://10.0.0.6:9090/X")]),
            "node-provider-id",
            "another machine",
            "the kubelet's flags",
        ),
    ]);
}

#[test]
fn the_console_alone_tells_what_went_there() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let from = |text: &str| console(subject(), &lines(text));
    let boot = "[    0.000000] Linux version 6.1.0\n[   20.1] cloud-init[400]: Cloud-init v. 22.4.2 running 'modules:final'\n";
    let token = format!(
        "{boot}[   61.2] cloud-init[400]: error execution phase preflight: couldn't validate the identity of the API Server: could not find a JWS signature in the cluster-info ConfigMap for token ID \"q3m9x1\"\n"
    );
    let yaml = format!("{boot}[   20.2] cloud-init[300]: WARNING: Failed loading yaml blob. Invalid format at line 2 column 1\n");
    let runcmd = format!(
        "{boot}[   30.2] cloud-init[300]: WARNING: Failed running /var/lib/cloud/instance/scripts/runcmd [3]\n[   30.3] cloud-init[300]: WARNING: Running module scripts_user (<module 'cloudinit.config.cc_scripts_user' from 'x'>) failed\n"
    );
    all(vec![
        (from(&token), "node-join", "its token has expired", "console of team/cp-0: [   61.2]"),
        (from(&yaml), "node-user-data", "cannot read its user-data", "Invalid format"),
        (from(&runcmd), "node-cloud-init", "scripts_user failed", "Failed running"),
    ]);
    let module = format!(
        "{boot}[   30.2] cloud-init[300]: WARNING: Failed to run module scripts-user (scripts in /var/lib/cloud/instance/scripts)\n"
    );
    all(vec![(from(&module), "node-cloud-init", "scripts_user failed", "Failed to run module")]);
    // As Debian 12 has it, where warnings do not go to the console.
    let unit = "[   57.4] cloud-init[184]: nobody knows frobnicate\n[   57.5] cloud-init[178]: Cloud-init v. 22.4.2 finished at Sun, 22 Nov 2026 16:44:46 +0000. Datasource DataSourceNoCloud.  Up 57.43 seconds\n[\u{1b}[0;1;31mFAILED\u{1b}[0m] Failed to start \u{1b}[0;1;39mcloud-fina\u{2026} Execute cloud user/final scripts.\n";
    let unit = format!("{boot}{unit}");
    all(vec![
        (from(&unit), "node-cloud-init", "final stage failed", "console of team/cp-0: [FAILED] Failed to start cloud-fina"),
        (from(&unit), "node-cloud-init", "final stage failed", "nobody knows frobnicate"),
    ]);
    assert_eq!(diagnosis(from(boot)).findings, []);
}

#[test]
fn nothing_that_is_told_holds_a_secret() {
    let token = "q3m9x1.0f4k8s2d6h1j5l9z";
    let output = format!("kubeadm join 10.0.0.100:6443 --token {token}\nerror execution phase preflight: invalid token {token}\n");
    let found = diagnosis(worker(&[("cloud-init-output", &output)]));
    let text = format!("{found:?}");
    assert!(text.contains("[redacted]") && !text.contains(token), "{text}");
    // What comes another way into a finding is looked through, too.
    let error = format!("\"modules-final\": {{\"errors\": [\"('scripts_user', RuntimeError('--token {token}'))\"]");
    let status = crate::node::tests::CLOUD_INIT.replace("\"modules-final\": {\"errors\": []", &error);
    let text = format!("{:?}", diagnosis(worker(&[("cloud-init", &status)])));
    assert!(text.contains("scripts_user") && !text.contains(token), "{text}");
}
