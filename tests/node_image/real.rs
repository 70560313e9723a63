//! A real node and its kernel, of the default Kubernetes version, each built twice: with the user's caches, and with none, when Kubernetes is built, too.
//! Debian's mirror and a Go module proxy are needed. `make node-image` runs it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::file_of;
use crate::newest;
use crate::support::Capstead;

/// Builds into a folder, with the user's own caches.
fn build(folder: &tempfile::TempDir, name: &str, words: &[&str]) -> Value {
    build_with(folder, name, words, &[])
}

/// Builds into a folder with empty caches: nothing of an earlier build is in what comes out.
fn build_cold(folder: &tempfile::TempDir, name: &str, words: &[&str]) -> Value {
    let cache = folder.path().join("cache").display().to_string();
    build_with(folder, name, &[words, &["--cache-dir", &cache]].concat(), &[("GOCACHE", &folder.path().join("go-cache"))])
}

fn build_with(folder: &tempfile::TempDir, name: &str, words: &[&str], variables: &[(&str, &Path)]) -> Value {
    let output = format!("oci:{}", folder.path().join(name).display());
    let began = Instant::now();
    let home = folder.path().join("config");
    let mut capstead = Capstead::new(&home, [&["image", "build"], words, &["--output", &output, "-o", "json"]].concat());
    for (name, value) in variables {
        capstead = capstead.env(name, value);
    }
    let built = capstead.run().json();
    let (digest, size) = (built["digest"].as_str().unwrap(), built["size"].as_u64().unwrap() / 1_000_000);
    println!("{} to {name}: {digest}, {size} MB, in {:.0} s", words.join(" "), began.elapsed().as_secs_f64());
    built
}

/// What a document beside an image says.
fn document(built: &Value, number: usize) -> Value {
    serde_json::from_slice(&fs::read(built["documents"][number].as_str().unwrap()).unwrap()).unwrap()
}

#[test]
#[ignore = "takes a quarter of an hour, and needs mmdebstrap, a Debian mirror and Go: make node-image"]
fn a_real_node_and_its_kernel_built_twice_are_the_same() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let version = newest();
    let kernel = build(&folder, "kernel", &["kernel"]);
    let kernel_again = build_cold(&folder, "kernel-again", &["kernel"]);
    assert_eq!(kernel["digest"], kernel_again["digest"]);
    assert!(file_of(&kernel["reference"], "boot/vmlinux").starts_with(b"\x7fELF"));

    let node = build(&folder, "node", &["node", "--kubernetes", &version]);
    let again = build_cold(&folder, "node-again", &["node", "--kubernetes", &version]);
    // Only containerd's store holds times. What is in it is known by the digests of its images.
    let layers = |built: &Value| built["layers"].as_array().unwrap().clone();
    let (mut first, mut second) = (layers(&node), layers(&again));
    let store = first.pop().unwrap();
    assert!(store["what"].as_str().unwrap().ends_with(" container images into the node"), "{store}");
    second.pop();
    assert_eq!(first, second);
    assert_eq!(node["images"], again["images"]);
    let (first, second) = (document(&node, 0), document(&again, 0));
    for part in ["packages", "binaries", "steps", "kernel", "variables"] {
        assert_eq!(first[part], second[part], "{part}");
    }
    // It boots with the kernel that was built beside it, and its kubelet is of the version asked for.
    assert_eq!(node["kernel"], kernel["kernel"]);
    let kubelet = first["binaries"].as_array().unwrap().iter().find(|binary| binary["name"] == "kubelet").unwrap().clone();
    assert_eq!(kubelet["version"], version.as_str());
    assert_eq!(kubelet["digest"], crate::registry::digest(&file_of(&node["reference"], "usr/bin/kubelet")));
    assert!(document(&node, 1).to_string().contains("pkg:golang/k8s.io/kubernetes@"));
}
