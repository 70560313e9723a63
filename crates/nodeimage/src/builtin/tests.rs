use capstead_artifact::Platform;

use super::*;
use crate::file::{Values, load};

fn platform(architecture: &str) -> Platform {
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned() }
}

#[test]
fn a_node_of_every_version_can_be_built() {
    for version in kubernetes_versions() {
        for architecture in ["amd64", "arm64"] {
            let defaults = node_variables(Some(&version), &platform(architecture), false).unwrap();
            let file = load(None, "node", &Values { defaults, ..Values::default() }).unwrap().file;
            assert!(!format!("{file:?}").contains("${"), "{file:?}");
            assert_eq!(file.kernel.unwrap().package, format!("linux-image-cloud-{architecture}"));
        }
    }
}

/// The node's own sets, and the plane's that it takes its Kubernetes and etcd from.
fn all_modules() -> Vec<GoModules> {
    let mut all = modules();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/control-plane");
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap();
        let name = entry.file_name().into_string().unwrap();
        all.push(GoModules { name: name.into(), go_mod: read("go.mod").into(), go_sum: read("go.sum").into() });
    }
    all
}

#[test]
fn what_is_built_is_what_is_pinned() {
    let modules = all_modules();
    for version in kubernetes_versions() {
        let defaults = node_variables(Some(&version), &platform("amd64"), false).unwrap();
        // All that the node has, and more.
        let file = load(None, "demo", &Values { defaults, ..Values::default() }).unwrap().file;
        assert!(
            file.binaries.iter().any(|binary| binary.name == "kubelet") && file.binaries.iter().any(|binary| binary.name == "flanneld")
        );
        for binary in &file.binaries {
            let go = binary.go.as_ref().unwrap();
            let set = modules.iter().find(|modules| modules.name == go.module).unwrap_or_else(|| panic!("no modules {}", go.module));
            let pinned = set.go_mod.lines().any(|line| {
                let mut words = line.trim().trim_start_matches("require ").split_whitespace();
                words.next().is_some_and(|path| go.package.starts_with(path)) && words.next() == Some(&binary.version)
            });
            assert!(pinned, "{} does not pin {} {}", go.module, binary.name, binary.version);
        }
    }
}

#[test]
fn the_container_images_are_those_that_kubeadm_asks_for() {
    let defaults = node_variables(None, &platform("amd64"), false).unwrap();
    let file = load(None, "node", &Values { defaults, ..Values::default() }).unwrap().file;
    let names: Vec<&str> = file.images.iter().flat_map(|image| image.names.iter().map(String::as_str)).collect();
    assert_eq!(
        names,
        [
            "registry.k8s.io/kube-apiserver:v1.36.3",
            "registry.k8s.io/kube-controller-manager:v1.36.3",
            "registry.k8s.io/kube-scheduler:v1.36.3",
            "registry.k8s.io/etcd:3.6.8-0",
            "registry.k8s.io/etcd:3.6.14-0",
            "registry.k8s.io/coredns/coredns:v1.14.2",
            "registry.k8s.io/pause:3.10.2",
            "registry.k8s.io/kube-proxy:v1.36.3",
        ]
    );
    let older = node_variables(Some("v1.35.4"), &platform("amd64"), false).unwrap();
    let older = load(None, "node", &Values { defaults: older, ..Values::default() }).unwrap().file;
    for name in ["kube-proxy:v1.35.4", "etcd:3.6.6-0", "coredns/coredns:v1.13.1", "pause:3.10.1"] {
        assert!(older.images.iter().any(|image| image.names.contains(&format!("registry.k8s.io/{name}"))), "{name}");
    }
    // containerd must look for the pause image that is there.
    let config = file.files.iter().find(|file| file.path == "/etc/containerd/config.toml").unwrap().content.as_deref().unwrap();
    assert!(config.contains("sandbox = 'registry.k8s.io/pause:3.10.2'") && config.contains("SystemdCgroup = true"), "{config}");
}

#[test]
fn versions_are_named_with_and_without_their_letter() {
    let version = |asked: &str| node_variables(Some(asked), &platform("amd64"), false).map(|mut it| it.remove("KUBERNETES_VERSION"));
    assert_eq!(version("1.36.3").unwrap().as_deref(), Some("v1.36.3"));
    assert_eq!(version("v1.36.3").unwrap().as_deref(), Some("v1.36.3"));
    let error = version("1.20.1").unwrap_err().to_string();
    assert!(error.starts_with("Kubernetes v1.20.1 is not built in; there are v1.36.3, v1.35.4."), "{error}");
}

#[test]
fn another_version_is_for_files_that_name_its_parts() {
    let variables = node_variables(Some("1.34.9"), &platform("amd64"), true).unwrap();
    let get = |name: &str| variables.get(name).map(String::as_str);
    assert_eq!((get("KUBERNETES_VERSION"), get("KUBERNETES_SERIES"), get("ETCD_VERSION")), (Some("v1.34.9"), Some("1.34"), None));
    assert_eq!(node_variables(Some("latest"), &platform("amd64"), true), Err(VersionError::NotAVersion { asked: "vlatest".into() }));
    assert!(matches!(node_variables(None, &platform("riscv64"), false), Err(VersionError::Platform { .. })));
}

/// flannel's plugin as nodes get it, run as containerd runs it.
#[test]
fn the_plugin_of_flannel_hands_on_what_flanneld_wrote() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    let defaults = node_variables(None, &platform("amd64"), false).unwrap();
    let file = load(None, "demo", &Values { defaults, ..Values::default() }).unwrap().file;
    let parts = file.images.iter().flat_map(|image| &image.files);
    let plugin = parts.filter(|part| part.path.as_deref() == Some("/flannel")).find_map(|part| part.content.as_deref()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let plugin = plugin.replace("/run/flannel", &path("run")).replace("/var/lib/cni", &path("cni"));
    std::fs::create_dir(path("bin")).unwrap();
    std::fs::write(path("bin/bridge"), "#!/bin/sh\ncat\n").unwrap();
    std::fs::set_permissions(path("bin/bridge"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let call = |command: &str| {
        let mut child = Command::new("sh")
            .args(["-c", &plugin])
            .envs([("CNI_COMMAND", command), ("CNI_CONTAINERID", "c1")])
            .env("CNI_PATH", format!("{}:/nowhere", path("bin")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(br#"{"cniVersion": "1.0.0", "name": "cbr0", "type": "flannel"}"#).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    // Before flanneld has written: told in words, and there is nothing to take away.
    let (done, told) = call("ADD");
    assert!(!done && told.contains("has not written"), "{told}");
    assert_eq!(call("DEL"), (true, String::new()));

    std::fs::create_dir(path("run")).unwrap();
    let subnet = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
    std::fs::write(path("run/subnet.env"), subnet).unwrap();
    let (done, told) = call("ADD");
    assert!(done, "{told}");
    for part in [r#""name": "cbr0""#, r#""cniVersion": "1.0.0""#, r#""mtu": 1450"#, r#""ipMasq": false"#, r#"{"subnet": "10.244.3.0/24"}"#]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(call("DEL"), (true, told));
    assert_eq!(call("DEL"), (true, String::new()));
}
