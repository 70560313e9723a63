use std::time::Duration;

use capstead_preflight::Machine;
use capstead_preflight::Shell;
use capstead_preflight::machine::Answer;
use capstead_preflight::machine::Answers;
use jiff::Timestamp;

use super::*;
use crate::sample::now;

/// The subject of most tests: a control plane's Machine.
pub(crate) fn subject() -> Subject {
    Subject {
        name: "team/cp-0".into(),
        uid: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        machine: true,
        provider_id: Some("microvm://10.0.0.5:9090/01ARZ3NDEKTSV4RRFFQ69G5FAV".into()),
        vip: "10.0.0.100".parse().ok(),
    }
}

/// What a control plane answers that is well.
pub(crate) fn well() -> Vec<(&'static str, String)> {
    let container = |pod: &str, name: &str, attempt: u64, state: &str| {
        format!(
            r#"{{"id":"9c1b","metadata":{{"name":"{name}","attempt":{attempt}}},"state":"{state}","labels":{{"io.kubernetes.pod.name":"{pod}","io.kubernetes.pod.namespace":"kube-system"}}}}"#
        )
    };
    let containers = [
        container("etcd-cp-0", "etcd", 0, "CONTAINER_RUNNING"),
        container("kube-apiserver-cp-0", "kube-apiserver", 0, "CONTAINER_EXITED"),
        container("kube-apiserver-cp-0", "kube-apiserver", 1, "CONTAINER_RUNNING"),
        container("kube-vip-cp-0", "kube-vip", 0, "CONTAINER_RUNNING"),
    ];
    vec![
        ("clock", now().as_second().to_string()),
        ("uptime", "600.11 1100.00\n".into()),
        ("disk", disk(2_500_000, "12%")),
        ("addresses", addresses(&["10.0.0.17/24", "10.0.0.100/32"])),
        ("resolv", "# of DHCP\nnameserver 10.0.0.1\n".into()),
        ("endpoint", "10.0.0.100:6443\n".into()),
        ("vip", "ping 0\nlocal 10.0.0.100 dev lo src 10.0.0.100 uid 0\n    cache <local>\n".into()),
        ("api", "local 127.0.0.1:6443 200\nendpoint 10.0.0.100:6443 200\n".into()),
        ("units", units(&[("kubelet", "active"), ("containerd", "active"), ("cloud-final", "active")])),
        ("cloud-init", CLOUD_INIT.into()),
        ("bootstrapped", "total 4\n-rw-r--r-- 1 root root 8 Nov 22 11:52 bootstrap-success.complete\n".into()),
        (
            "manifests",
            "==> etcd.yaml <==\napiVersion: v1\n==> kube-apiserver.yaml <==\nkind: Pod\n==> kube-vip.yaml <==\nkind: Pod\n".into(),
        ),
        ("containers", format!(r#"{{"containers":[{}]}}"#, containers.join(","))),
        ("cni", ".kubernetes-cni-keep\n10-flannel.conflist\n".into()),
        ("kubelet-flags", "KUBELET_KUBEADM_ARGS=\"--provider-id=microvm://10.0.0.5:9090/01ARZ3NDEKTSV4RRFFQ69G5FAV --v=2\"\n".into()),
        ("node", registered("True", "kubelet is posting ready status", "microvm://10.0.0.5:9090/01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    ]
}

/// As cloud-init 22.4 writes it when all went well.
pub(crate) const CLOUD_INIT: &str = r#"{"v1": {"datasource": "DataSourceNoCloud [seed=/dev/vdc][dsmode=net]",
 "init": {"errors": [], "finished": 1763812001.5, "start": 1763812000.1}, "init-local": {"errors": [], "finished": 1763811999.0, "start": 1763811998.0},
 "modules-config": {"errors": [], "finished": 1763812003.0, "start": 1763812002.0},
 "modules-final": {"errors": [], "finished": 1763812090.0, "start": 1763812004.0}, "stage": null}}"#;

pub(crate) fn disk(free: u64, inodes: &str) -> String {
    format!(
        "Filesystem     Type     1024-blocks    Used Available Capacity Mounted on
/dev/vda       ext4         6028992 1000000 {free} 40% /
tmpfs          tmpfs         203124     500    202624       1% /run
/dev/vdc       iso9660          374     374         0     100% /mnt
overlay        overlay      6028992 6028992         0     100% /run/containerd/io.containerd.runtime.v2.task/k8s.io/a/rootfs

Filesystem     Type      Inodes  IUsed   IFree IUse% Mounted on
/dev/vda       ext4      393216  45000  348216   {inodes} /
tmpfs          tmpfs     253905    400  253505    1% /run
"
    )
}

pub(crate) fn addresses(nets: &[&str]) -> String {
    let info = |net: &&str| {
        let (address, length) = net.split_once('/').unwrap();
        format!(r#"{{"family":"inet","local":"{address}","prefixlen":{length}}}"#)
    };
    let infos: Vec<String> = nets.iter().map(info).collect();
    format!(
        r#"[{{"ifname":"lo","link_type":"loopback","address":"00:00:00:00:00:00","addr_info":[{{"local":"127.0.0.1","prefixlen":8}}]}},
        {{"ifname":"eth1","link_type":"ether","address":"02:00:00:00:00:01","addr_info":[{{"local":"fe80::1","prefixlen":64}},{}]}},
        {{"ifname":"cni0","link_type":"ether","address":"0a:00:00:00:00:01","linkinfo":{{"info_kind":"bridge"}},"addr_info":[{{"local":"10.244.0.1","prefixlen":24}}]}}]"#,
        infos.join(",")
    )
    .replace(",]}", "]}")
}

pub(crate) fn units(told: &[(&str, &str)]) -> String {
    let one = |(name, active): &(&str, &str)| match *active {
        "not-found" => {
            format!("Id={name}.service\nNRestarts=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\n")
        }
        active => format!("Id={name}.service\nNRestarts=7\nLoadState=loaded\nActiveState={active}\nSubState=x\nResult=exit-code\n"),
    };
    told.iter().map(one).collect::<Vec<_>>().join("\n")
}

pub(crate) fn registered(ready: &str, message: &str, id: &str) -> String {
    serde_json::json!({
        "spec": {"providerID": id},
        "status": {"conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready, "message": message}]},
    })
    .to_string()
}

/// Answers that are well but for these.
pub(crate) fn answers(changes: &[(&str, &str)]) -> Answers {
    let mut all: Vec<(String, Answer)> = well().into_iter().map(|(name, out)| (name.to_owned(), Answer::ok(out))).collect();
    for (name, out) in changes {
        all.retain(|(known, _)| known != name);
        all.push(((*name).to_owned(), Answer::ok(*out)));
    }
    Answers(all.into_iter().collect())
}

pub(crate) fn node(subject: Subject, answers: &Answers) -> Node {
    read(subject, "ssh root@10.0.0.17", answers, &(now()..=now())).0
}

#[test]
fn a_node_is_read_as_it_answers() {
    let node = node(subject(), &answers(&[]));
    assert!(node.inside && node.is_ready() && node.is_control_plane() && node.is_to_be_node());
    assert_eq!((node.clock_ahead.clone(), node.uptime.clone()), (Ok(0), Ok(600)));
    let disks: Vec<_> = node.disks.clone().unwrap().into_iter().map(|disk| (disk.mount, disk.free, disk.inodes)).collect();
    assert_eq!(disks, [("/".to_owned(), 2_500_000, Some(12)), ("/run".to_owned(), 202_624, Some(1))]);
    let links = node.links.clone().unwrap();
    assert_eq!(
        links.iter().map(|link| (link.name.as_str(), link.wire)).collect::<Vec<_>>(),
        [("lo", false), ("eth1", true), ("cni0", false)]
    );
    assert_eq!(links[1].addresses.len(), 3);
    assert_eq!(node.nameservers, Ok(vec!["10.0.0.1".to_owned()]));
    assert_eq!(node.local_api, Some(Asked { address: "127.0.0.1:6443".into(), answer: Ok(200) }));
    assert_eq!(node.units["kubelet"], Unit { loaded: true, active: "active".into(), result: "exit-code".into(), restarts: 7 });
    let cloud_init = node.cloud_init.clone().unwrap();
    assert!(
        cloud_init.done
            && cloud_init.stage.is_none()
            && cloud_init.errors.is_empty()
            && cloud_init.datasource.starts_with("DataSourceNoCloud")
    );
    assert_eq!(node.bootstrapped, Ok(true));
    let containers: Vec<_> = node.containers.clone().unwrap().into_iter().map(|it| (it.name, it.attempt, it.running)).collect();
    let one = |name: &str, attempt| (name.to_owned(), attempt, true);
    assert_eq!(containers, [one("etcd", 0), one("kube-apiserver", 1), one("kube-vip", 0)], "the newest of each");
    assert_eq!(node.cni, Ok(vec!["10-flannel.conflist".to_owned()]));
    assert_eq!(node.kubelet_provider_id, subject().provider_id);
    assert_eq!(node.vip(), "10.0.0.100".parse().ok());
}

#[test]
fn an_api_that_does_not_answer_is_told_in_its_words() {
    for (said, why) in [
        (
            "local 127.0.0.1:6443 curl: (7) Failed to connect to 127.0.0.1 port 6443 after 0 ms: Couldn't connect to server 000",
            "curl: (7) Failed to connect to 127.0.0.1 port 6443 after 0 ms: Couldn't connect to server",
        ),
        ("local 127.0.0.1:6443 bash: connect: Connection refused 000", "bash: connect: Connection refused"),
        ("local 127.0.0.1:6443 000", "no answer"),
    ] {
        let node = node(subject(), &answers(&[("api", said)]));
        assert_eq!(node.local_api.unwrap().answer, Err(why.to_owned()), "{said}");
        assert_eq!(node.endpoint_api, None);
    }
    let node = node(subject(), &answers(&[("api", "local 127.0.0.1:6443 connected 200\n")]));
    assert_eq!(node.local_api.unwrap().answer, Ok(200));
}

#[test]
fn logs_of_pods_come_apart_the_newest_last() {
    let said = "==> /var/log/pods/kube-system_etcd-cp-0_0a1b/etcd/3.log <==
2026-11-22T11:59:01.000000001Z stderr F {\"level\":\"info\",\"msg\":\"starting\"}
2026-11-22T11:59:02.000000001Z stderr F {\"level\":\"fatal\",\"msg\":\"discovery failed\"}
==> /var/log/pods/kube-system_etcd-cp-0_0a1b/etcd/2.log <==
2026-11-22T11:50:02.000000001Z stderr F older
";
    let node = node(subject(), &answers(&[("pod-logs", said)]));
    let last = node.last("log of etcd in ", 1);
    assert_eq!(last[0].source, "log of etcd in kube-system/etcd-cp-0, start 3");
    assert_eq!(last[0].said, "{\"level\":\"fatal\",\"msg\":\"discovery failed\"}");
}

#[test]
fn lines_that_say_the_same_are_told_once_the_newest_first() {
    let journal =
        "Nov 22 11:58:01 cp-0 kubelet[900]: E1122 connect: refused\nNov 22 11:58:02 cp-0 kubelet[901]: E1122 connect: refused\nother\n";
    let node = node(subject(), &answers(&[("kubelet-journal", journal)]));
    let lines = node.lines("journal of kubelet", &["refused"]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].said.contains("11:58:02"), "{lines:?}");
    // What somebody wrote to the console may be anybody's.
    let console = console(subject(), &["kubelet: connect: refused".to_owned()]);
    assert_eq!(console.lines("journal of kubelet", &["refused"]).len(), 1);
}

#[test]
fn what_is_kept_holds_no_secrets() {
    let token = "q3m9x1.0f4k8s2d6h1j5l9z";
    let output = format!("kubeadm join 10.0.0.100:6443 --token {token}\n");
    let (node, kept) = read(subject(), "ssh", &answers(&[("cloud-init-output", &output)]), &(now()..=now()));
    assert!(!format!("{node:?}{kept:?}").contains(token));
    assert!(kept.out("cloud-init-output").unwrap().contains("kubeadm join 10.0.0.100:6443 --token [redacted]"));
    let console =
        console(subject(), &["[upload-certs] Using certificate key:".to_owned(), format!("[ 61.0] cloud-init[1]: {}", "ab".repeat(32))]);
    assert!(!format!("{console:?}").contains("abab"));
}

#[test]
fn questions_have_names_of_their_own_and_read_no_secrets() {
    let all = questions("10.0.0.100".parse().ok(), Duration::from_secs(9));
    let names: BTreeSet<_> = all.iter().map(|question| question.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    for question in &all {
        assert_eq!(question.limit, Duration::from_secs(9));
        for secret in ["user-data", "userdata", "instance-data", "/pki/*", ".key", "/run/cluster-api/", "/var/lib/cloud"] {
            assert!(!question.text.contains(secret), "{}: {secret}", question.name);
        }
    }
}

#[test]
fn answers_that_make_no_sense_are_no_knowledge() {
    let names: Vec<String> = questions(None, Duration::from_secs(1)).into_iter().map(|question| question.name).collect();
    for text in [
        "",
        "\n",
        "{}",
        "[]",
        "null",
        "{\"v1\": 1}",
        "a b c d e f g h\n\na b c d e f g h",
        "==> <==\n==> / <==\nx",
        "local\nendpoint x\n",
        "=\n\n=",
        "\u{0}\u{fffd}|||",
    ] {
        let answers = Answers(names.iter().map(|name| (name.clone(), Answer::ok(text))).collect());
        let node = node(subject(), &answers);
        assert!(!node.is_ready());
        let picture = crate::Picture { nodes: vec![node], ..crate::Picture::new(now()) };
        // That it ends is what is asked for.
        let _ = crate::diagnose(&picture);
    }
}

/// The script itself, by the shell of this machine, which is no node: what is missing is told, and nothing hangs.
#[tokio::test]
async fn the_script_ends_and_is_read_where_most_is_missing() {
    let limit = Duration::from_secs(60);
    for vip in [None, "192.0.2.1".parse().ok()] {
        let questions = questions(vip, Duration::from_secs(20));
        let asked = Timestamp::now();
        let answers = Shell::local().ask(&questions, limit).await.unwrap();
        let missing: Vec<_> = answers.0.iter().filter(|(_, answer)| **answer == Answer::TimedOut).collect();
        assert!(missing.is_empty(), "no answer in time: {missing:?}");
        assert_eq!(answers.0.len(), questions.len());
        let (node, _) = read(Subject { vip, ..Subject::default() }, "sh", &answers, &(asked..=Timestamp::now()));
        assert_eq!(node.clock_ahead, Ok(0));
        assert!(node.uptime.unwrap() > 0);
        assert!(node.disks.unwrap().iter().any(|disk| disk.mount == "/"));
    }
}
