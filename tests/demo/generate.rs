//! `generate cluster` as clusterctl's users know it, compared with the real clusterctl.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::support::Capstead;
use crate::support::Ran;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/microvm/cluster-template.yaml");
/// With how many objects each makes.
const FLAVORS: [(&str, usize); 7] =
    [("", 7), ("cilium", 9), ("flannel", 9), ("topology", 7), ("v1alpha2", 7), ("v1alpha2-cilium", 9), ("v1alpha2-flannel", 9)];
const HOSTS: &str = r#"[{endpoint: "10.0.0.1:9090"}, {endpoint: "10.0.0.2:9090", controlplaneAllowed: false}]"#;

/// Environment variables.
type Env<'a> = &'a [(&'a str, &'a str)];

pub fn generate(home: &Path, words: &[&str], env: Env) -> Ran {
    let capstead = Capstead::new(home, [&["generate", "cluster"], words].concat());
    env.iter().fold(capstead, |capstead, (name, value)| capstead.env(name, value)).run()
}

pub fn documents(text: &str) -> Vec<Value> {
    yaml_serde::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn clusterctl(home: &Path, words: &[&str], env: Env) -> String {
    let binary = std::env::var_os("CAPSTEAD_TEST_CLUSTERCTL");
    let binary =
        binary.unwrap_or_else(|| panic!("CAPSTEAD_TEST_CLUSTERCTL is not set: run `make test`, or set it to a clusterctl v1.14.2"));
    let mut command = Command::new(binary);
    command.args(["generate", "cluster"]).args(words).env_clear().envs(env.iter().copied());
    command.env("HOME", home).env("XDG_CONFIG_HOME", home).env("CLUSTERCTL_DISABLE_VERSIONCHECK", "true").env("GOPROXY", "off");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn clusterctl_makes_the_same_of_the_same_template() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("clusterctl.yaml");
    std::fs::write(&config, "CONTROL_PLANE_VIP: 10.0.0.9\nWORKER_MACHINE_COUNT: 4\nPOD_CIDR: 10.9.0.0/16\n").unwrap();
    let config = config.to_str().unwrap();
    let vip = ("CONTROL_PLANE_VIP", "10.0.0.5");
    let version = ["--kubernetes-version", "v1.34.1"];
    let cases: [(&[&str], Env); 5] = [
        (&[], &[vip]),
        (&["--control-plane-machine-count", "3", "--worker-machine-count", "2"], &[vip, ("HOST_ENDPOINT", "10.0.0.1:9090")]),
        (&[], &[vip, ("MVM_HOSTS", HOSTS), ("MVM_ROOT_IMAGE", "example.com/root:1"), ("MVM_KERNEL_VERSION", "6.1")]),
        (
            &[],
            &[
                vip,
                ("VIP_PROVIDER", "keepalived"),
                ("MVM_VOLUMES", "[]"),
                ("MVM_INITRD", "{image: a, filename: b}"),
                ("MVM_SSH_KEYS", "[{user: root, authorizedKeys: [a]}]"),
                ("FLANNEL_IMAGE", "c"),
            ],
        ),
        (&["--config", config], &[("POD_CIDR", "10.8.0.0/16")]),
    ];
    for (words, env) in cases {
        let words = [&["edge", "-n", "team"], &version[..], words].concat();
        for (flavor, count) in FLAVORS {
            let suffix = if flavor.is_empty() { String::new() } else { format!("-{flavor}") };
            let template = &TEMPLATE.replace(".yaml", &format!("{suffix}.yaml"));
            let theirs = clusterctl(home.path(), &[&words[..], &["--from", template]].concat(), env);
            let expected = documents(&theirs);
            assert_eq!(expected.len(), count, "{theirs}");
            let flavor: &[&str] = if flavor.is_empty() { &[] } else { &["--flavor", flavor] };
            for source in [&[&["--provider", "microvm"], flavor].concat()[..], &["--from", template]] {
                let ours = generate(home.path(), &[&words[..], source].concat(), env).ok();
                assert_eq!(documents(&ours), expected, "{words:?} {env:?}");
            }
        }
    }
}

#[test]
fn several_hosts_are_one_variable() {
    let home = tempfile::tempdir().unwrap();
    let words = ["edge", "-i", "microvm", "--kubernetes-version", "v1.34.1", "--set", "CONTROL_PLANE_VIP=10.0.0.5"];
    let hosts = |more: &[&str]| {
        let objects = documents(&generate(home.path(), &[&words[..], more].concat(), &[]).ok());
        let cluster = objects.into_iter().find(|object| object["kind"] == "MicrovmCluster").unwrap();
        cluster["spec"]["placement"]["staticPool"]["hosts"].clone()
    };
    assert_eq!(hosts(&[]), json!([{"endpoint": "127.0.0.1:9090", "controlplaneAllowed": true}]));
    assert_eq!(hosts(&["--set", "HOST_ENDPOINT=h:1"]), json!([{"endpoint": "h:1", "controlplaneAllowed": true}]));
    let both = json!([{"endpoint": "10.0.0.1:9090"}, {"endpoint": "10.0.0.2:9090", "controlplaneAllowed": false}]);
    assert_eq!(hosts(&["--set", &format!("MVM_HOSTS={HOSTS}")]), both);
}

#[test]
fn what_is_missing_is_named_with_the_ways_to_set_it() {
    let home = tempfile::tempdir().unwrap();
    let error = generate(home.path(), &["edge", "-i", "microvm"], &[]).fails(1);
    let said = "the template of microvm needs CONTROL_PLANE_VIP and KUBERNETES_VERSION; set it with";
    assert!(error.contains(said) && error.contains("--set CONTROL_PLANE_VIP=VALUE") && error.contains("--kubernetes-version V"), "{error}");
    let error = generate(home.path(), &["edge", "-i", "microvm", "--flavor", "calico"], &[]).fails(1);
    assert!(error.contains("there are: the default one, cilium, flannel, topology"), "{error}");
    let error = generate(home.path(), &["edge", "-i", "vsphere"], &[]).fails(1);
    assert!(error.contains("there are those of microvm"), "{error}");
    let error = generate(home.path(), &["Edge", "-i", "microvm"], &[]).fails(1);
    assert!(error.contains("the cluster name \"Edge\" must be"), "{error}");
    generate(home.path(), &["-i", "microvm"], &[]).fails(2);
    generate(home.path(), &["edge"], &[]).fails(2);
}

#[test]
fn variables_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let list = generate(home.path(), &["-i", "microvm", "--list-variables", "-o", "json"], &[]).json();
    let required: Vec<&str> =
        list.as_array().unwrap().iter().filter(|row| row["required"] == true).filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(required, ["CLUSTER_NAME", "CONTROL_PLANE_VIP", "KUBERNETES_VERSION"]);
    let table = generate(home.path(), &["edge", "-i", "microvm", "--list-variables"], &[]).ok();
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row("CLUSTER_NAME "), ["CLUSTER_NAME", "no", "edge"]);
    assert_eq!(row("HOST_ENDPOINT "), ["HOST_ENDPOINT", "no", "127.0.0.1:9090"]);
    // The same variables that clusterctl lists.
    let theirs = clusterctl(home.path(), &["edge", "-n", "team", "--from", TEMPLATE, "--list-variables"], &[]);
    for row in list.as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        assert!(theirs.lines().any(|line| line.trim_start().starts_with(&format!("- {name}"))), "{name}: {theirs}");
    }
}

#[test]
fn two_clusters_of_a_namespace_share_no_object() {
    let home = tempfile::tempdir().unwrap();
    // A class is shared on purpose, so each has its own here.
    let objects = |name: &str, flavor: &str| {
        let words = [name, "-i", "microvm", "--kubernetes-version", "v1.34.1", "--flavor", flavor, "--set", "CONTROL_PLANE_VIP=10.0.0.5"];
        let objects = documents(&generate(home.path(), &words, &[("CLUSTER_CLASS_NAME", name)]).ok());
        let id = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        objects.iter().map(id).collect::<std::collections::BTreeSet<_>>()
    };
    for (flavor, _) in FLAVORS.iter().filter(|(flavor, _)| !flavor.is_empty()) {
        assert!(objects("one", flavor).is_disjoint(&objects("two", flavor)), "{flavor}");
    }
}

#[test]
fn a_plugin_comes_to_its_own_cluster_alone() {
    let home = tempfile::tempdir().unwrap();
    for flavor in ["cilium", "flannel"] {
        let words = ["edge", "-i", "microvm", "--kubernetes-version", "v1.34.1", "--flavor", flavor, "--set", "CONTROL_PLANE_VIP=10.0.0.5"];
        let objects = documents(&generate(home.path(), &words, &[("POD_CIDR", "10.7.0.0/16")]).ok());
        let one = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
        let set = &one("ClusterResourceSet")["spec"];
        let labels = json!({"cluster.x-k8s.io/cluster-name": "edge", "cni": flavor});
        assert_eq!((&set["clusterSelector"]["matchLabels"], &one("Cluster")["metadata"]["labels"]), (&labels, &labels));
        assert_eq!(set["resources"], json!([{"kind": "ConfigMap", "name": one("ConfigMap")["metadata"]["name"]}]));
        let parts = documents(one("ConfigMap")["data"][format!("{flavor}.yaml")].as_str().unwrap());
        assert!(parts.iter().any(|part| part["kind"] == "DaemonSet"), "{parts:#?}");
    }
}

#[test]
fn an_address_that_cannot_work_is_doubted() {
    let home = tempfile::tempdir().unwrap();
    let words = |vip: &str| {
        let set = format!("CONTROL_PLANE_VIP={vip}");
        let words = ["edge", "-i", "microvm", "--kubernetes-version", "v1.34.1", "--set", &set];
        generate(home.path(), &words, &[])
    };
    let doubted = words("172.25.0.9");
    assert!(doubted.err.contains("warning: the control plane's address: 172.25.0.9 lies in the network of pods"), "{}", doubted.err);
    assert_eq!(documents(&doubted.ok()).len(), 7, "its user decides");
    assert_eq!(words("10.0.0.9").err, "");
}
