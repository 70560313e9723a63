//! A plane from OCI images alone: a real registry on loopback holds images of the really built binaries, as an air-gapped mirror would.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use capstead_artifact::Artifact;
use capstead_plane::builtin;

use registry::Entry;
use registry::TestRegistry;
use support::Capstead;
use support::TestPlane;

#[test]
fn a_plane_comes_up_from_a_mirror_of_images() {
    let plane = TestPlane::new("oci");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = runtime.block_on(TestRegistry::start(plane.scratch()));
    runtime.block_on(push(&registry, &built(&plane)));
    let mirror = format!("registry.k8s.io=http://{}", registry.address);

    // A mirror that is not there is named, and nobody else is asked.
    let error =
        alone(&plane, &["up", "--detach", "--source", "oci", "--registry-mirror", "registry.k8s.io=http://127.0.0.1:1"]).run().fails(1);
    assert!(error.contains("127.0.0.1:1") && error.contains("etcd"), "{error}");
    let error = alone(&plane, &["up", "--detach", "--registry-mirror", "registry.k8s.io"]).run().fails(1);
    assert!(error.contains("is not a registry mirror"), "{error}");

    alone(&plane, &["up", "--detach", "--source", "oci"]).env("CAPSTEAD_REGISTRY_MIRRORS", &mirror).run().ok();
    let status = alone(&plane, &["status", "-o", "json"]).run().json();
    for component in status["components"].as_array().unwrap() {
        assert_eq!((&component["source"], &component["ready"]), (&"oci".into(), &true.into()), "{component}");
    }
    // The plane knows its mirror; so do its tools.
    let names = alone(&plane, &["kubectl", "get", "crds", "-o", "name"]).run().ok();
    assert!(names.contains("clusters.cluster.x-k8s.io"), "{names}");

    // A damaged file in the cache is noticed and fetched again.
    alone(&plane, &["down"]).run().ok();
    let etcd = cached(&plane, "etcd");
    let whole = fs::read(&etcd).unwrap();
    damage(&etcd);
    alone(&plane, &["up", "--detach"]).run().ok();
    assert!(fs::read(cached(&plane, "etcd")).unwrap() == whole, "it is whole again");

    // With the cache filled nobody is asked; without it, the error says who does not answer.
    alone(&plane, &["down"]).run().ok();
    drop(registry);
    alone(&plane, &["up", "--detach"]).run().ok();
    alone(&plane, &["down"]).run().ok();
    damage(&etcd);
    let error = alone(&plane, &["up", "--detach"]).run().fails(1);
    assert!(error.contains("cannot get etcd") && error.contains(mirror.rsplit('/').next().unwrap()), "{error}");
}

/// With a cache of its own, and nothing of the caller's.
fn alone(plane: &TestPlane, words: &[&str]) -> Capstead {
    let capstead = plane.command(words).without("CAPSTEAD_SOURCE").without("CAPSTEAD_BIN_DIR");
    capstead.env("CAPSTEAD_CACHE_DIR", plane.scratch().join("cache"))
}

/// Where a file lies in that cache.
fn cached(plane: &TestPlane, name: &str) -> PathBuf {
    let source = ["fetch", name, "--source", "oci", "-o", "json"];
    PathBuf::from(alone(plane, &source).run().json()[0]["path"].as_str().unwrap())
}

fn damage(file: &PathBuf) {
    let length = fs::metadata(file).unwrap().len();
    fs::set_permissions(file, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(file, vec![b'#'; usize::try_from(length).unwrap()]).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o500)).unwrap();
}

/// What the caller's cache holds, or brings.
fn built(plane: &TestPlane) -> BTreeMap<String, PathBuf> {
    let rows = plane.run(&["fetch", "-o", "json"]).json();
    let row = |row: &serde_json::Value| (row["name"].as_str().unwrap().to_owned(), PathBuf::from(row["path"].as_str().unwrap()));
    rows.as_array().unwrap().iter().map(row).collect()
}

/// An image for each binary, under the name and path that upstream's has.
async fn push(registry: &TestRegistry, files: &BTreeMap<String, PathBuf>) {
    let components = builtin::components(None).unwrap().into_iter().map(|component| component.binary);
    let all: Vec<Artifact> = components.chain(builtin::tools(None).unwrap()).collect();
    for artifact in all {
        let image = artifact.image.unwrap();
        let repository = image.reference.strip_prefix("registry.k8s.io/").unwrap();
        let content = fs::read(&files[&artifact.name]).unwrap();
        // Upstream's layers are compressed; how is the library's own tests' matter, and takes long for this much.
        registry.push(repository, vec![registry::plain(registry::tar(&[Entry::File(&image.file, &content)]))]).await;
    }
}
