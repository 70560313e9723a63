use std::collections::BTreeMap;
use std::error::Error;

use proptest::prelude::*;
use semver::Version;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Boot;
use super::BootError;
use super::Machine;
use super::boot;
use super::kubeadm::Discovery;
use super::kubeadm::Etcd;
use super::kubeadm::Role;

/// As Cluster API v1.14.2's own templates and marshallers made them (see `golden/README.md`).
pub(crate) const INIT: &str = include_str!("golden/init-1.36.3.yaml");
pub(crate) const INIT_V1BETA3: &str = include_str!("golden/init-1.30.14.yaml");
pub(crate) const JOIN: &str = include_str!("golden/join-control-plane-1.36.3.yaml");
pub(crate) const JOIN_V1BETA3: &str = include_str!("golden/join-control-plane-1.30.14.yaml");
pub(crate) const WORKER: &str = include_str!("golden/join-worker-1.36.3.yaml");
pub(crate) const WORKER_V1BETA3: &str = include_str!("golden/join-worker-1.30.14.yaml");
pub(crate) const INIT_IGNITION: &str = include_str!("golden/init-1.36.3.ign");
pub(crate) const JOIN_IGNITION: &str = include_str!("golden/join-control-plane-1.36.3.ign");
pub(crate) const WORKER_IGNITION: &str = include_str!("golden/join-worker-1.36.3.ign");

const SENTINEL: &str = "/run/cluster-api/bootstrap-success.complete";

/// What flintlock puts into the metadata of a microVM.
pub(crate) fn meta_data() -> Map<String, Value> {
    match json!({"local_hostname": "demo-x7", "platform": "liquid_metal", "vm_host": "10.0.0.1:9090", "instance_id": "01KB"}) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// All messages of an error, from the outside in.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

pub(crate) fn boots_with(user_data: impl AsRef<[u8]>, image: Option<&str>) -> Result<Boot, BootError> {
    let environment = BTreeMap::from([("COREOS_CUSTOM_HOSTNAME".to_owned(), "flat-1".to_owned())]);
    let image = image.map(|image| Version::parse(image).unwrap());
    boot(&Machine {
        user_data: user_data.as_ref(),
        vendor_data: b"#cloud-config\nhostname: from-vendor\n",
        meta_data: &meta_data(),
        environment: &environment,
        kubernetes: image.as_ref(),
    })
}

pub(crate) fn boots(user_data: impl AsRef<[u8]>) -> Result<Boot, BootError> {
    boots_with(user_data, None)
}

fn taints(boot: &Boot) -> Vec<String> {
    boot.node.taints.iter().map(|taint| format!("{}={}:{}", taint.key, taint.value, taint.effect)).collect()
}

#[test]
fn the_first_machine_is_what_its_bootstrap_data_says() {
    for (data, version, vip) in [(INIT, "1.36.3", true), (INIT_V1BETA3, "1.30.14", true)] {
        let boot = boots(data).unwrap();
        assert_eq!(boot.node.name, "from-vendor");
        assert_eq!(boot.node.provider_id.as_deref(), Some("microvm://10.0.0.1:9090/01KB"), "{version}");
        assert_eq!(taints(&boot), ["node-role.kubernetes.io/control-plane=:NoSchedule"]);
        assert_eq!(boot.sentinel.as_deref(), Some(SENTINEL));
        assert_eq!(boot.kubernetes, Some(Version::parse(version).unwrap()));
        assert_eq!(boot.system.files.contains_key("/etc/kubernetes/manifests/kube-vip.yaml"), vip);
        assert_eq!(boot.system.files["/etc/kubernetes/pki/ca.key"].permissions, 0o600);
        assert_eq!(boot.system.warnings, Vec::<String>::new());
        let Role::Init(init) = boot.role else { panic!("not init") };
        assert_eq!(init.endpoint.to_string(), "10.9.8.7:6443");
        assert_eq!(init.bind_port, 6443);
        assert_eq!(init.cluster.cluster_name, "demo");
        assert_eq!(init.cluster.networking.pod_subnet, "172.25.0.0/16");
        assert_eq!(init.cluster.networking.service_subnet, "172.26.0.0/16");
        assert_eq!(init.cluster.document["kind"], "ClusterConfiguration");
        assert!(init.certificates.authority.key.reveal().contains("PRIVATE KEY"));
        assert!(matches!(init.certificates.etcd, Etcd::Local(_)));
    }
}

#[test]
fn a_further_control_plane_machine_brings_the_authorities() {
    for data in [JOIN, JOIN_V1BETA3, JOIN_IGNITION] {
        let boot = boots(data).unwrap();
        assert_eq!(taints(&boot), ["node-role.kubernetes.io/control-plane=:NoSchedule"]);
        assert_eq!(boot.node.labels, BTreeMap::from([("pool".into(), "blue".into()), ("example.com/gpu".into(), String::new())]));
        let Role::Join(join) = boot.role else { panic!("not join") };
        let control_plane = join.control_plane.unwrap();
        assert_eq!(control_plane.bind_port, 6443);
        assert!(matches!(control_plane.certificates.etcd, Etcd::Local(_)));
        assert_eq!(join.tls_bootstrap.unwrap().id, "abcdef");
    }
}

#[test]
fn a_worker_joins_by_token_and_pin() {
    for (data, provider_id) in [
        (WORKER, "microvm://10.0.0.1:9090/01KB"),
        (WORKER_V1BETA3, "microvm://10.0.0.1:9090/01KB"),
        // Ignition renders nothing.
        (WORKER_IGNITION, "microvm://{{ ds.meta_data.vm_host }}/{{ ds.meta_data.instance_id }}"),
    ] {
        let boot = boots(data).unwrap();
        assert_eq!(boot.node.provider_id.as_deref(), Some(provider_id));
        assert_eq!(taints(&boot), ["dedicated=gpu:NoExecute", "node.cluster.x-k8s.io/uninitialized=:NoSchedule"]);
        assert_eq!(boot.sentinel.as_deref(), Some(SENTINEL));
        assert_eq!(boot.kubernetes, None);
        assert!(boot.system.text("/etc/note").unwrap().starts_with("one\n"));
        let Role::Join(join) = boot.role else { panic!("not join") };
        assert_eq!(join.control_plane, None);
        let Discovery::Token { endpoint, token, pins } = join.discovery else { panic!("not by token") };
        assert_eq!(
            (endpoint.to_string().as_str(), token.id.as_str(), token.secret.reveal()),
            ("10.9.8.7:6443", "abcdef", "0123456789abcdef")
        );
        assert_eq!(pins.len(), 1);
    }
    let boot = boots(WORKER).unwrap();
    assert_eq!(boot.system.text("/etc/packed"), Some("packed\n"));
    assert!(boot.system.text("/etc/note").unwrap().contains("two\n"));
}

#[test]
fn ignition_makes_the_same_cluster() {
    let (Role::Init(cloud), Role::Init(ignition)) = (boots(INIT).unwrap().role, boots(INIT_IGNITION).unwrap().role) else {
        panic!("not init")
    };
    assert_eq!(cloud.cluster.document, ignition.cluster.document);
    assert_eq!(cloud.endpoint, ignition.endpoint);
    let boot = boots(INIT_IGNITION).unwrap();
    assert_eq!(boot.node.name, "demo-x7");
    assert_eq!(boot.sentinel.as_deref(), Some(SENTINEL));
}

/// Each row changes one text of a real one, and names what must be said.
#[test]
fn what_a_real_node_refuses_is_refused() {
    let rows: &[(&str, &str, &str, &str)] = &[
        (WORKER, "write_files:", "write_files: [", "cloud-init fails: the cloud-config cannot be read"),
        (WORKER, "#cloud-config", "#cloud-konfig", "is no header that cloud-init knows"),
        (WORKER, "template: jinja", "template: mako", "renders only jinja"),
        (WORKER, "{{ ds.meta_data.vm_host }}", "{{ ds.meta_data.vm_host", "the jinja template cannot be rendered"),
        (WORKER, "H4sIAAAAAAAA", "AAAAAAAAAAAA", "the content of /etc/packed is not gzip+base64"),
        (WORKER, "permissions: '0600'", "permissions: 'rw'", "the permissions \"\\\"rw\\\"\" of /etc/packed are not an octal number"),
        (WORKER, "kubeadm join --config", "kubelet join --config", "no command runs kubeadm"),
        (WORKER, "kubeadm join --config", "kubeadm join --konfig", "kubeadm is called without --config"),
        (WORKER, "kubeadm join", "kubeadm init", "no InitConfiguration or ClusterConfiguration found"),
        (
            WORKER,
            "path: /run/kubeadm/kubeadm-join-config.yaml",
            "path: /run/else.yaml",
            "kubeadm-join-config.yaml is not among the machine's files",
        ),
        (WORKER, "v1beta4", "v1beta2", "JoinConfiguration uses an old API spec"),
        (WORKER, "v1beta4", "v1beta9", "no kind \"JoinConfiguration\" is registered for version \"kubeadm.k8s.io/v1beta9\""),
        (WORKER, "v1beta4", "v1beta3", "kubeletExtraArgs is a map in v1beta3"),
        (WORKER, "kind: JoinConfiguration", "knd: JoinConfiguration", "document 1: kind and apiVersion is mandatory"),
        (WORKER, "abcdef.0123456789abcdef", "abcdef.short", "discovery.bootstrapToken.token: \"…\": the bootstrap token is invalid"),
        (WORKER, "- sha256:", "- sha1:", "discovery.bootstrapToken.caCertHashes"),
        (WORKER, "apiServerEndpoint: 10.9.8.7:6443", "apiServerEndpoint: 10.9.8.7", "it must be host:port"),
        (
            WORKER,
            "pool=blue",
            "node-role.kubernetes.io/pool=blue",
            "--node-labels: node-role.kubernetes.io/pool is in a namespace of Kubernetes",
        ),
        (WORKER, "pool=blue", "pool", "--node-labels: \"pool\" is not a label"),
        (WORKER, "/etc/packed", "/etc/kubernetes/pki/ca.crt", "[ERROR FileAvailable--etc-kubernetes-pki-ca.crt]"),
        (WORKER, "if [ -f", "exit 3 #", "the script ends before kubeadm at \"exit 3"),
        (JOIN, "kube-vip.yaml\n", "etcd.yaml\n", "[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]"),
        (JOIN, "pki/sa.key", "pki/sa.kee", "/etc/kubernetes/pki/sa.key is not among the machine's files"),
        (INIT, "pki/ca.crt", "pki/ca.cert", "/etc/kubernetes/pki/ca.crt is not among the machine's files"),
        (INIT, "etcd/ca.key", "etcd/ca.kei", "/etc/kubernetes/pki/etcd/ca.key is not among the machine's files"),
        (INIT, "-----BEGIN CERTIFICATE", "-----BEGIN CERTIFICAT", "/etc/kubernetes/pki/ca.crt is not a certificate in PEM"),
        (INIT, "kubernetesVersion: v1.36.3", "kubernetesVersion: latest", "kubernetesVersion: \"latest\" is not a version"),
        (
            INIT,
            "controlPlaneEndpoint: 10.9.8.7:6443",
            "controlPlaneEndpoint: https://10.9.8.7",
            "controlPlaneEndpoint: \"https://10.9.8.7\": it must be host[:port]",
        ),
        (INIT, "kind: InitConfiguration", "kind: ClusterConfiguration", "kind \"ClusterConfiguration\" is specified twice"),
        (INIT_IGNITION, "\"2.3.0\"", "\"4.0.0\"", "ignition.version \"4.0.0\" is not supported"),
        (INIT_IGNITION, "\"source\":\"data:,-----BEGIN", "\"source\":\"https://host/-----BEGIN", "only data URLs are understood"),
        (INIT_IGNITION, "\"storage\":{", "\"storage\":[", "cannot be read"),
        (
            INIT_IGNITION,
            "\"enabled\":true,\"name\":\"kubeadm.service\"",
            "\"enabled\":false,\"name\":\"kubeadm.service\"",
            "no command runs kubeadm",
        ),
    ];
    for (data, from, to, expected) in rows {
        assert!(data.contains(from), "{from:?} is not in the data");
        let error = boots(data.replacen(from, to, 1)).expect_err(&format!("{from:?} became {to:?}"));
        let told = told(&error);
        assert!(told.contains(expected), "{to:?}: {told}");
    }
    assert!(told(&boots("").unwrap_err()).contains("it is empty"));
}

#[test]
fn kubeadm_and_kubelet_of_the_image_must_fit() {
    let rows: &[(&str, &str, Option<&str>)] = &[
        (INIT, "1.36.3", None),
        (INIT, "1.36.9", None),
        (INIT, "1.37.0", Some("the kubelet version is higher than the control plane version")),
        (INIT, "1.38.0", Some("only supports deploying clusters with the control plane version >= 1.37.0. Current version: v1.36.3")),
        // An older image only gets warned.
        (INIT, "1.35.0", None),
        (INIT, "1.30.0", Some("no kind \"ClusterConfiguration\" is registered for version \"kubeadm.k8s.io/v1beta4\" in kubeadm 1.30.0")),
        (WORKER_V1BETA3, "1.30.0", None),
        (WORKER, "1.30.0", Some("registered for version")),
    ];
    for (data, image, expected) in rows {
        match (boots_with(data, Some(image)), expected) {
            (Ok(boot), None) => assert_eq!(boot.kubernetes.unwrap().to_string(), *image),
            (Err(error), Some(expected)) => assert!(told(&error).contains(expected), "{image}: {}", told(&error)),
            (result, expected) => panic!("{image}: {:?}, not {expected:?}", result.map(|boot| boot.node)),
        }
    }
}

#[test]
fn a_variable_that_is_missing_shows_in_the_provider_id_and_is_told() {
    let boot = boots(WORKER.replace("ds.meta_data.instance_id", "ds.meta_data.instanz")).unwrap();
    assert_eq!(boot.node.provider_id.as_deref(), Some("microvm://10.0.0.1:9090/CI_MISSING_JINJA_VAR/instanz"));
    assert_eq!(boot.system.warnings.len(), 1);
}

#[test]
fn a_preflight_error_can_be_ignored() {
    let taken = JOIN.replacen("kube-vip.yaml\n", "etcd.yaml\n", 1);
    let ignored = taken.replace("DirAvailable--etc-kubernetes-manifests", "FileAvailable--etc-kubernetes-manifests-etcd.yaml");
    boots(&ignored).unwrap();
    boots(taken.replace("--v 5", "--ignore-preflight-errors=all")).unwrap();
}

#[test]
fn a_node_can_be_named_and_tainted_otherwise() {
    let named = WORKER.replace("nodeRegistration:", "nodeRegistration:\n        name: '{{ v1.local_hostname }}-a'");
    assert_eq!(boots(&named).unwrap().node.name, "demo-x7-a");
    let error = boots(named.replace("}}-a", "}}-A")).unwrap_err();
    assert!(told(&error).contains("the node name \"demo-x7-A\" is not a DNS subdomain"));
    let untainted = INIT.replace("taints: null", "taints: []");
    assert_eq!(taints(&boots(untainted).unwrap()), Vec::<String>::new());
    let external = INIT.replace("name: provider-id", "name: cloud-provider\n          value: external\n        - name: provider-id");
    assert!(taints(&boots(external).unwrap()).contains(&"node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule".to_owned()));
}

#[test]
fn a_further_master_without_etcds_authority_says_etcd_is_elsewhere() {
    let external = JOIN.replace("pki/etcd/ca", "pki/else/ca");
    let Role::Join(join) = boots(external).unwrap().role else { panic!("not join") };
    assert!(matches!(join.control_plane.unwrap().certificates.etcd, Etcd::External));
}

#[test]
fn a_kubeconfig_on_the_machine_is_discovery_too() {
    let by_file = WORKER_FILE;
    let Role::Join(join) = boots(by_file).unwrap().role else { panic!("not join") };
    assert_eq!(join.discovery.endpoint().to_string(), "10.9.8.7:6443");
    assert_eq!(join.tls_bootstrap, None);
    let error = boots(by_file.replace("https://10", "http://10")).unwrap_err();
    assert!(told(&error).contains("discovery.file.kubeConfigPath"), "{}", told(&error));
}

const WORKER_FILE: &str = r"#cloud-config
write_files:
- path: /etc/discovery.conf
  content: |
    apiVersion: v1
    kind: Config
    clusters:
    - name: default
      cluster: {server: 'https://10.9.8.7:6443', insecure-skip-tls-verify: true}
- path: /run/kubeadm/kubeadm-join-config.yaml
  content: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: JoinConfiguration
    discovery: {file: {kubeConfigPath: /etc/discovery.conf}}
runcmd:
- [kubeadm, join, --config, /run/kubeadm/kubeadm-join-config.yaml]
";

#[test]
fn secrets_do_not_show_in_logs() {
    let shown = format!("{:?}{:?}", boots(INIT).unwrap(), boots(WORKER).unwrap());
    assert!(!shown.contains("PRIVATE") && !shown.contains("0123456789abcdef"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is cut out of it or put into it, it is told; nothing panics.
    #[test]
    fn broken_data_is_an_error_or_a_boot(which in 0..4_usize, at in 0..9000_usize, gone in 0..40_usize, new in "[ -~\n]{0,8}") {
        let data = [WORKER, INIT, WORKER_IGNITION, WORKER_FILE][which];
        let start = at.min(data.len());
        let end = (start + gone).min(data.len());
        let broken = [&data.as_bytes()[..start], new.as_bytes(), &data.as_bytes()[end..]].concat();
        let _ = boots(broken);
    }

    #[test]
    fn any_bytes_are_an_error(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(boots(data).is_err());
    }
}
