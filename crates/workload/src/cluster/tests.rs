use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use jiff::Timestamp;
use semver::Version;
use serde_json::Value;
use serde_json::json;

use super::Cluster;
use super::Host;
use super::InitError;
use super::JoinError;
use super::Settings;
use super::Trouble;
use super::Troubles;
use super::nodes;
use crate::etcd::Health;
use crate::guest::Boot;
use crate::guest::discovery;
use crate::guest::tests::INIT;
use crate::guest::tests::JOIN;
use crate::guest::tests::WORKER;
use crate::guest::tests::boots_with;
use crate::store::Deletion;
use crate::store::Part;

const SYSTEM: &str = "kube-system";

/// A cluster, and its clock.
struct World {
    cluster: Cluster,
    now: Timestamp,
    machines: u8,
}

fn host(number: u8) -> Host {
    Host { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), cpus: 2, memory: 2048, uuid: format!("uuid-{number}") }
}

fn machine(data: &str, name: &str) -> Boot {
    let named = data
        .replace("#cloud-config\n", &format!("#cloud-config\nhostname: {name}\n"))
        .replace("ds.meta_data.instance_id", &format!("'{name}'"));
    boots_with(named, Some("1.36.3")).unwrap()
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let cluster = Cluster::init("m1".into(), &machine(INIT, "cp-1"), host(1), Settings::default(), 7, now).unwrap();
        let mut world = Self { cluster, now, machines: 1 };
        world.token(SignedDuration::from_hours(1));
        world.pass(1);
        world
    }

    fn of(control_planes: usize, workers: usize) -> Self {
        let mut world = Self::new();
        for number in 2..=control_planes {
            world.join(JOIN, &format!("cp-{number}")).unwrap();
        }
        for number in 1..=workers {
            world.join(WORKER, &format!("w-{number}")).unwrap();
        }
        world.pass(1);
        world
    }

    /// The token of the golden data, as Cluster API makes it.
    fn token(&mut self, left: SignedDuration) {
        let encode = |text: &str| json!(STANDARD.encode(text));
        let data = json!({
            "token-id": encode("abcdef"), "token-secret": encode("0123456789abcdef"), "expiration": encode(&(self.now + left).to_string()),
            "usage-bootstrap-signing": encode("true"), "usage-bootstrap-authentication": encode("true"),
        });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": "bootstrap-token-abcdef", "namespace": SYSTEM}, "data": data,
        });
        self.cluster.store().lock().create("secrets", secret, self.now).unwrap();
    }

    fn join(&mut self, data: &str, name: &str) -> Result<(), JoinError> {
        self.machines += 1;
        self.cluster.join(format!("m{}", self.machines), &machine(data, name), host(self.machines), self.now)
    }

    /// Lets time pass, step by step as a shell would.
    fn pass(&mut self, seconds: i64) {
        let until = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.cluster.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.cluster.advance(self.now);
        }
        self.now = until;
        self.cluster.advance(until);
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Value {
        self.cluster.store().lock().get(resource, namespace, name).map_or(Value::Null, |object| object.value())
    }

    fn names(&self, resource: &str) -> Vec<String> {
        self.cluster.store().lock().list(resource, None).map(|object| object.name().to_owned()).collect()
    }

    /// What is on a node: names up to the generated part, and whether they are Ready or terminating.
    fn pods(&self, node: &str) -> Vec<String> {
        let store = self.cluster.store().lock();
        let mut pods: Vec<String> = store
            .list("pods", None)
            .filter(|pod| pod.value()["spec"]["nodeName"] == node)
            .map(|pod| {
                let name = if pod.name().starts_with("coredns-") { "coredns" } else { pod.name().trim_end_matches(|c| c != '-') };
                let name = if pod.name().ends_with(node) { pod.name() } else { name.trim_end_matches('-') };
                let mark = if pod.terminating() {
                    " terminating"
                } else if pod.ready() {
                    ""
                } else {
                    " unready"
                };
                format!("{name}{mark}")
            })
            .collect();
        pods.sort();
        pods
    }

    fn taints(&self, node: &str) -> Vec<String> {
        let node = self.get("nodes", "", node);
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints
            .iter()
            .map(|taint| format!("{}:{}", taint["key"].as_str().unwrap_or_default(), taint["effect"].as_str().unwrap_or_default()))
            .collect()
    }

    fn ready(&self, node: &str) -> Value {
        let node = self.get("nodes", "", node);
        node["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready")
            .map_or(Value::Null, |ready| ready["status"].clone())
    }

    fn delete(&mut self, resource: &str, namespace: &str, name: &str, grace: u32) {
        let how = Deletion { grace, ..Deletion::default() };
        self.cluster.store().lock().delete(resource, namespace, name, &how, self.now).unwrap();
        self.cluster.observe(self.now);
    }

    fn modify(&mut self, resource: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.cluster.store().lock().modify(resource, namespace, name, self.now, change).unwrap();
        self.cluster.observe(self.now);
    }

    fn members(&self) -> Vec<String> {
        self.cluster.etcd().map_or(Vec::new(), |etcd| etcd.read(|etcd| etcd.members().values().map(|member| member.name.clone()).collect()))
    }
}

#[test]
fn a_cluster_begins_as_kubeadm_leaves_it() {
    let world = World::new();
    let node = world.get("nodes", "", "cp-1");
    assert_eq!(node["spec"]["providerID"], "microvm://10.0.0.1:9090/cp-1");
    assert_eq!(node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"], "");
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.36.3");
    assert_eq!(node["spec"]["podCIDR"], "172.25.0.0/24");
    assert_eq!(world.taints("cp-1"), ["node-role.kubernetes.io/control-plane:NoSchedule"]);
    assert!(nodes::is_ready(&node));
    let expected =
        ["coredns", "coredns", "etcd-cp-1", "kube-apiserver-cp-1", "kube-controller-manager-cp-1", "kube-proxy", "kube-scheduler-cp-1"];
    assert_eq!(world.pods("cp-1"), expected);
    for (resource, names) in [
        ("namespaces", &["default", "kube-node-lease", "kube-public", "kube-system"][..]),
        ("configmaps", &["cluster-info", "coredns", "kubeadm-config", "kubelet-config", "kube-proxy"]),
        ("clusterroles.rbac.authorization.k8s.io", &["kubeadm:get-nodes", "cluster-admin"]),
        ("clusterrolebindings.rbac.authorization.k8s.io", &["kubeadm:get-nodes", "kubeadm:cluster-admins"]),
        ("daemonsets.apps", &["kube-proxy"]),
        ("deployments.apps", &["coredns"]),
        ("leases.coordination.k8s.io", &["cp-1"]),
    ] {
        let found = world.names(resource);
        assert!(names.iter().all(|name| found.iter().any(|found| found == name)), "{resource}: {found:?}");
    }
    let configuration = world.get("configmaps", SYSTEM, "kubeadm-config")["data"]["ClusterConfiguration"].clone();
    let configuration: Value = yaml_serde::from_str(configuration.as_str().unwrap()).unwrap();
    assert_eq!(configuration["kubernetesVersion"], "v1.36.3");
    assert_eq!(
        configuration["networking"],
        json!({"dnsDomain": "cluster.local", "podSubnet": "172.25.0.0/16", "serviceSubnet": "172.26.0.0/16"})
    );
    assert_eq!(world.get("services", SYSTEM, "kube-dns")["spec"]["clusterIP"], "172.26.0.10");
    let image = |value: &Value| value["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image(&world.get("daemonsets.apps", SYSTEM, "kube-proxy")), "registry.k8s.io/kube-proxy:v1.36.3");
    assert_eq!(world.get("deployments.apps", SYSTEM, "coredns")["status"]["readyReplicas"], 2);
    assert_eq!(world.get("daemonsets.apps", SYSTEM, "kube-proxy")["status"]["numberReady"], 1);
    assert_eq!(world.members(), ["cp-1"]);
}

#[test]
fn what_is_skipped_or_disabled_is_not_there() {
    let now = Timestamp::UNIX_EPOCH;
    let boot =
        boots_with(INIT.replace("--v 5", "--skip-phases=addon/kube-proxy").replace("dns: {}", "dns: {disabled: true}"), None).unwrap();
    let cluster = Cluster::init("m".into(), &boot, host(1), Settings::default(), 1, now).unwrap();
    let store = cluster.store().lock();
    assert!(store.get("daemonsets.apps", SYSTEM, "kube-proxy").is_none());
    assert!(store.get("deployments.apps", SYSTEM, "coredns").is_none());
    assert!(store.get("configmaps", SYSTEM, "kubeadm-config").is_some());
}

#[test]
fn clusters_of_one_seed_have_uids_of_their_own() {
    let uid = |data: &str, seed| {
        let cluster =
            Cluster::init("m1".into(), &machine(data, "cp-1"), host(1), Settings::default(), seed, Timestamp::UNIX_EPOCH).unwrap();
        let store = cluster.store().lock();
        store.get("nodes", "", "cp-1").unwrap().uid().to_owned()
    };
    let endpoint = World::new().cluster.endpoint().to_string();
    let elsewhere = INIT.replace(&endpoint, "10.9.9.9:6443");
    assert_ne!(elsewhere, INIT);
    assert_eq!(uid(INIT, 1), uid(INIT, 1));
    assert_ne!(uid(INIT, 1), uid(INIT, 2));
    assert_ne!(uid(INIT, 1), uid(&elsewhere, 1));
}

#[test]
fn at_rest_nothing_is_written() {
    let mut world = World::of(3, 2);
    let revision = world.cluster.store().lock().revision();
    world.pass(3600);
    world.cluster.observe(world.now);
    assert_eq!(world.cluster.store().lock().revision(), revision);
    assert_eq!(world.cluster.next(), None);
}

#[test]
fn machines_join_and_are_ready_a_little_later() {
    let mut world = World::new();
    world.join(WORKER, "w-1").unwrap();
    assert_eq!(world.ready("w-1"), "False");
    assert!(world.taints("w-1").contains(&"node.kubernetes.io/not-ready:NoSchedule".to_owned()));
    world.pass(1);
    assert_eq!(world.ready("w-1"), "True");
    assert_eq!(world.taints("w-1"), ["dedicated:NoExecute", "node.cluster.x-k8s.io/uninitialized:NoSchedule"]);
    assert_eq!(world.pods("w-1"), ["kube-proxy"]);
    world.join(JOIN, "cp-2").unwrap();
    world.pass(1);
    assert_eq!(
        world.pods("cp-2"),
        ["etcd-cp-2", "kube-apiserver-cp-2", "kube-controller-manager-cp-2", "kube-proxy", "kube-scheduler-cp-2"]
    );
    assert_eq!(world.members().len(), 2);
    assert!(world.cluster.etcd().unwrap().read(|etcd| etcd.members().values().all(|member| !member.learner)));
}

#[test]
fn a_cluster_keeps_out_whom_a_real_one_keeps_out() {
    let mut world = World::new();
    assert!(matches!(world.cluster.join("x".into(), &machine(INIT, "x"), host(9), world.now), Err(JoinError::NotJoin)));
    let settings = Settings::default();
    assert!(matches!(Cluster::init("x".into(), &machine(WORKER, "x"), host(9), settings, 1, world.now), Err(InitError::NotInit)));
    assert!(matches!(world.join(WORKER, "cp-1"), Err(JoinError::NameTaken(name)) if name == "cp-1"));

    world.modify("configmaps", SYSTEM, "kubeadm-config", |map| map["data"]["ClusterConfiguration"] = json!("kubernetesVersion: v1.34.0"));
    let error = world.join(WORKER, "w-1").unwrap_err();
    assert!(matches!(error, JoinError::Refused(discovery::JoinError::ClusterTooOld { .. })) && !error.may_pass());
    world.modify("configmaps", SYSTEM, "kubeadm-config", |map| map["data"] = json!({}));
    assert!(matches!(world.join(WORKER, "w-1"), Err(JoinError::NoConfiguration)));
    world.modify("configmaps", SYSTEM, "kubeadm-config", |map| map["data"]["ClusterConfiguration"] = json!("kubernetesVersion: v1.36.3"));

    world.pass(3600);
    let error = world.join(WORKER, "w-1").unwrap_err();
    assert!(matches!(error, JoinError::Refused(discovery::JoinError::UnknownToken { .. })) && error.may_pass());
    world.cluster.down("m1", world.now);
    let error = world.join(WORKER, "w-1").unwrap_err();
    assert!(matches!(error, JoinError::NoAnswer(_)) && error.may_pass());
}

#[test]
fn a_node_is_unknown_when_its_machine_is_silent_for_long() {
    let mut world = World::of(1, 2);
    world.cluster.down("m2", world.now);
    world.pass(39);
    assert_eq!(world.ready("w-1"), "True");
    world.pass(1);
    assert_eq!(world.ready("w-1"), "Unknown");
    assert_eq!(world.pods("w-1"), ["kube-proxy unready"]);
    assert!(world.taints("w-1").contains(&"node.kubernetes.io/unreachable:NoExecute".to_owned()));
    assert_eq!(world.ready("w-2"), "True");
    world.cluster.up("m2", world.now);
    world.pass(1);
    assert_eq!(world.ready("w-1"), "True");
    assert_eq!(world.pods("w-1"), ["kube-proxy"]);
    assert_eq!(world.taints("w-1"), ["dedicated:NoExecute", "node.cluster.x-k8s.io/uninitialized:NoSchedule"]);
    // A short fall is never seen.
    world.cluster.down("m2", world.now);
    world.pass(20);
    world.cluster.up("m2", world.now);
    world.pass(100);
    assert_eq!(world.ready("w-1"), "True");
}

#[test]
fn without_quorum_nobody_answers_and_nothing_happens() {
    let mut world = World::of(3, 1);
    assert!(world.cluster.answers());
    world.cluster.down("m2", world.now);
    assert!(world.cluster.answers());
    world.cluster.down("m3", world.now);
    assert!(!world.cluster.answers());
    assert_eq!(world.cluster.next(), None);
    world.cluster.down("m4", world.now);
    world.pass(100);
    assert_eq!(world.ready("w-1"), "True");
    // With quorum it is marked after all.
    world.cluster.up("m3", world.now);
    assert!(world.cluster.answers());
    world.pass(1);
    assert_eq!((world.ready("w-1"), world.ready("cp-2"), world.ready("cp-3")), (json!("Unknown"), json!("Unknown"), json!("True")));
}

impl World {
    /// From now on these machines have this trouble, and nobody else has any.
    fn suffer(&mut self, machines: &[&str], trouble: Trouble) {
        let machines = machines.iter().map(|id| ((*id).to_owned(), trouble)).collect();
        self.cluster.suffer(&Troubles { machines, ..Troubles::default() }, self.now);
    }
}

#[test]
fn a_machine_off_or_cut_off_is_not_heard_and_comes_back() {
    let off = Trouble { off: true, ..Trouble::default() };
    let cut_off = Trouble { cut_off: true, ..Trouble::default() };
    for (trouble, health) in [(off, Health::Stopped), (cut_off, Health::Isolated)] {
        let mut world = World::of(3, 1);
        let member = world.cluster.member("cp-2").unwrap();
        let health_of = |world: &World| world.cluster.etcd().unwrap().read(|etcd| etcd.members()[&member].health);
        world.suffer(&["m2", "m4"], trouble);
        // Told again, it is no news.
        world.suffer(&["m2", "m4"], trouble);
        assert!(world.cluster.answers());
        assert_eq!(health_of(&world), health);
        assert!(!world.cluster.is_up("cp-2") && world.cluster.is_up("cp-3"));
        world.pass(40);
        assert_eq!((world.ready("cp-2"), world.ready("w-1"), world.ready("cp-3")), (json!("Unknown"), json!("Unknown"), json!("True")));
        world.suffer(&[], trouble);
        assert_eq!(health_of(&world), Health::Running);
        world.pass(1);
        assert_eq!((world.ready("cp-2"), world.ready("w-1")), (json!("True"), json!("True")));
    }
}

#[test]
fn a_machine_that_is_down_stays_down_when_its_trouble_ends() {
    let mut world = World::of(1, 1);
    world.suffer(&["m2"], Trouble { off: true, ..Trouble::default() });
    world.cluster.gone("m2", world.now);
    world.suffer(&[], Trouble::default());
    world.pass(41);
    assert_eq!(world.ready("w-1"), "Unknown");
    assert!(!world.cluster.is_up("w-1"));
}

#[test]
fn etcd_in_trouble_takes_the_api_with_it_when_the_majority_is_lost() {
    let mut world = World::of(3, 0);
    let stopped = Trouble { etcd: Health::Stopped, ..Trouble::default() };
    world.suffer(&["m1"], stopped);
    assert!(world.cluster.answers() && world.cluster.is_up("cp-1"), "its kubelet goes on");
    world.cluster.observe(world.now);
    let unready = |world: &World| world.pods("cp-1").into_iter().filter(|pod| pod.ends_with("unready")).collect::<Vec<_>>();
    assert_eq!(unready(&world), ["etcd-cp-1 unready", "kube-apiserver-cp-1 unready"]);
    world.suffer(&["m1", "m2"], stopped);
    assert!(!world.cluster.answers());
    world.suffer(&["m2"], stopped);
    assert!(world.cluster.answers());
    world.cluster.observe(world.now);
    assert_eq!(unready(&world), [] as [String; 0]);
    world.suffer(&["m1", "m2", "m3"], Trouble { cut_off: true, ..Trouble::default() });
    assert!(!world.cluster.answers());
}

#[test]
fn a_clock_that_is_ahead_outlives_tokens() {
    let mut world = World::new();
    world.cluster.suffer(&Troubles { clock: SignedDuration::from_hours(2), ..Troubles::default() }, world.now);
    let error = world.join(WORKER, "w-1").unwrap_err();
    assert!(matches!(error, JoinError::Refused(discovery::JoinError::UnknownToken { .. })) && error.may_pass());
    world.cluster.suffer(&Troubles::default(), world.now);
    world.join(WORKER, "w-1").unwrap();
}

#[test]
fn a_cluster_is_made_again_from_its_machines() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let all = [("m1", INIT, "cp-1"), ("m2", JOIN, "cp-2"), ("m3", JOIN, "cp-3"), ("m4", WORKER, "w-1")];
    // The one that began it may be gone.
    for gone in [None, Some("m1")] {
        let left: Vec<_> = all.iter().rev().filter(|(id, ..)| Some(*id) != gone).collect();
        let machines = left.iter().zip(1..).map(|((id, data, name), n)| ((*id).to_owned(), machine(data, name), host(n))).collect();
        let cluster = Cluster::rebuild(machines, Settings::default(), 7, now).unwrap();
        let mut world = World { cluster, now, machines: 9 };
        world.pass(2);
        assert!(world.cluster.answers());
        let mut names: Vec<&str> = left.iter().map(|(_, _, name)| *name).collect();
        names.sort_unstable();
        assert_eq!(world.names("nodes"), names);
        assert!(names.iter().all(|name| world.ready(name) == "True"));
        assert_eq!(world.members().len(), left.len() - 1);
        assert_eq!(
            world.get("configmaps", SYSTEM, "kubeadm-config")["data"]["ClusterConfiguration"].as_str().unwrap().matches("v1.36.3").count(),
            1
        );
        assert_eq!(world.cluster.certificates().authority, World::new().cluster.certificates().authority);
        world.token(SignedDuration::from_hours(1));
        world.join(WORKER, "w-2").unwrap();
    }
    let worker = vec![("m4".to_owned(), machine(WORKER, "w-1"), host(1))];
    assert!(matches!(Cluster::rebuild(worker, Settings::default(), 7, now), Err(InitError::NotInit)));
    assert!(matches!(Cluster::rebuild(Vec::new(), Settings::default(), 7, now), Err(InitError::NotInit)));
}

#[test]
fn a_drain_moves_what_can_move() {
    let mut world = World::of(2, 0);
    world.modify("nodes", "", "cp-1", |node| node["spec"]["unschedulable"] = json!(true));
    let moving: Vec<String> = world.names("pods").into_iter().filter(|name| name.starts_with("coredns-")).collect();
    for name in moving {
        world.delete("pods", SYSTEM, &name, 30);
    }
    assert_eq!(
        world.pods("cp-1"),
        ["etcd-cp-1", "kube-apiserver-cp-1", "kube-controller-manager-cp-1", "kube-proxy", "kube-scheduler-cp-1"]
    );
    assert_eq!(world.pods("cp-2").iter().filter(|pod| *pod == "coredns").count(), 2);
    assert_eq!(world.get("deployments.apps", SYSTEM, "coredns")["status"]["readyReplicas"], 2);
}

#[test]
fn a_replaced_machine_leaves_with_its_node_and_member() {
    let mut world = World::of(3, 0);
    let member = world.cluster.member("cp-1").unwrap();
    let (etcd, at) = (world.cluster.etcd().unwrap().clone(), world.cluster.member("cp-2").unwrap());
    etcd.change(|etcd| etcd.remove(member, at)).unwrap();
    world.cluster.gone("m1", world.now);
    assert!(world.cluster.answers());
    world.delete("nodes", "", "cp-1", 0);
    assert_eq!(world.pods("cp-1"), Vec::<String>::new());
    assert_eq!(world.names("nodes"), ["cp-2", "cp-3"]);
    assert_eq!(world.names("leases.coordination.k8s.io"), ["cp-2", "cp-3"]);
    assert_eq!(world.members().len(), 2);
    world.pass(400);
    assert_eq!(world.names("nodes"), ["cp-2", "cp-3"]);
    world.token_again();
    world.join(JOIN, "cp-1").unwrap();
    world.pass(1);
    assert_eq!(world.ready("cp-1"), "True");
}

impl World {
    fn token_again(&mut self) {
        self.delete("secrets", SYSTEM, "bootstrap-token-abcdef", 0);
        self.token(SignedDuration::from_hours(1));
    }
}

#[test]
fn a_running_kubelet_does_not_register_again_but_a_booting_one_does() {
    let mut world = World::of(1, 1);
    world.delete("nodes", "", "w-1", 0);
    world.pass(600);
    assert_eq!(world.names("nodes"), ["cp-1"]);
    world.cluster.down("m2", world.now);
    world.cluster.up("m2", world.now);
    world.pass(1);
    assert_eq!(world.ready("w-1"), "True");
    assert_eq!(world.pods("w-1"), ["kube-proxy"]);
}

#[test]
fn pods_of_a_dead_machine_terminate_but_do_not_end() {
    let mut world = World::of(3, 0);
    let coredns_on =
        |world: &World, node: &str| world.pods(node).iter().filter(|pod| pod.starts_with("coredns")).cloned().collect::<Vec<_>>();
    let node = ["cp-1", "cp-2", "cp-3"].into_iter().find(|node| !coredns_on(&world, node).is_empty()).unwrap();
    let machine = format!("m{}", &node[3..]);
    world.cluster.down(&machine, world.now);
    world.pass(40 + 300);
    assert!(coredns_on(&world, node).iter().all(|pod| pod == "coredns terminating"), "{:?}", world.pods(node));
    assert_eq!(world.get("deployments.apps", SYSTEM, "coredns")["status"]["readyReplicas"], 2);
    world.delete("nodes", "", node, 0);
    assert_eq!(world.pods(node), Vec::<String>::new());
}

#[test]
fn a_new_template_replaces_pods() {
    let mut world = World::of(1, 2);
    let images = |world: &World, prefix: &str| {
        let store = world.cluster.store().lock();
        let mut images: Vec<Value> = store
            .list("pods", None)
            .filter(|pod| pod.name().starts_with(prefix))
            .map(|pod| pod.value()["spec"]["containers"][0]["image"].clone())
            .collect();
        images.dedup();
        images
    };
    for (resource, name, image) in [("daemonsets.apps", "kube-proxy", "p:2"), ("deployments.apps", "coredns", "c:2")] {
        world.modify(resource, SYSTEM, name, |object| object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image));
        assert_eq!(images(&world, name), [json!(image)], "{name}");
    }
    assert_eq!(world.get("daemonsets.apps", SYSTEM, "kube-proxy")["status"]["numberReady"], 3);
    assert_eq!(world.get("deployments.apps", SYSTEM, "coredns")["status"]["readyReplicas"], 2);
    world.modify("deployments.apps", SYSTEM, "coredns", |object| object["spec"]["replicas"] = json!(1));
    assert_eq!(world.names("pods").iter().filter(|name| name.starts_with("coredns-")).count(), 1);
}

#[test]
fn an_upgrade_is_a_higher_version_in_kubeadms_configuration_and_new_machines() {
    let mut world = World::of(1, 0);
    world.modify("configmaps", SYSTEM, "kubeadm-config", |map| {
        let text = map["data"]["ClusterConfiguration"].as_str().unwrap().replace("v1.36.3", "v1.37.0");
        map["data"]["ClusterConfiguration"] = json!(text);
    });
    let boot = Boot { kubernetes: Some(Version::new(1, 37, 0)), ..machine(JOIN, "cp-2") };
    world.cluster.join("m2".into(), &boot, host(2), world.now).unwrap();
    assert_eq!(world.get("nodes", "", "cp-2")["status"]["nodeInfo"]["kubeletVersion"], "v1.37.0");
    let image = world.get("pods", SYSTEM, "kube-apiserver-cp-2")["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "registry.k8s.io/kube-apiserver:v1.37.0");
}

#[test]
fn compressed_settings_compress() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let milli = Duration::from_millis;
    let settings = Settings { ready: milli(1), grace: milli(4), toleration: milli(30), patience: milli(1) };
    let mut cluster = Cluster::init("m1".into(), &machine(INIT, "cp-1"), host(1), settings, 7, now).unwrap();
    assert_eq!(cluster.next(), Some(now + SignedDuration::from_millis(1)));
    cluster.advance(now + SignedDuration::from_millis(1));
    assert_eq!(cluster.next(), None);
    // A status that somebody else wrote stays as the kubelet's next word leaves it.
    let node = cluster.store().lock().get("nodes", "", "cp-1").unwrap().value();
    assert!(cluster.store().lock().update("nodes", node, Part::Status, now).is_ok());
}
