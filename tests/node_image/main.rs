//! `capstead image build`: whole images of small parts, dry runs and refusals. `make node-image` builds real ones (`real.rs`).

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../../crates/image/tests/support/layout.rs"]
mod layout;
mod real;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use capstead_artifact::NoProgress;
use capstead_artifact::Platform;
use capstead_image::Limits;
use capstead_image::pull::PullOptions;
use capstead_image::pull::pull;
use capstead_image::store::Store;
use serde_json::Value;
use serde_json::json;

use registry::Entry;
use registry::TestRegistry;
use support::Capstead;
use support::Ran;
use support::entries;

/// An image of its own: a base, a program, a file, and the program as a container image.
const FILE: &str = "
base: {image: 'oci:BASE'}
variables: {WHO: nobody}
binaries:
  - name: kubelet
    version: v1
    path: /usr/bin/kubelet
    probe: {args: [--version], pattern: 'Kubernetes {version}'}
    go: {module: none, package: x.test/kubelet}
files: [{path: /etc/motd, content: 'hello ${WHO} of ${KUBERNETES_VERSION}'}]
preload: archives
images: [{names: ['a.test/kubelet:1'], files: [{binary: kubelet, path: /kubelet}]}]
";

/// A folder to build in, with a cache, a configuration and all that `FILE` names.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("bin")).unwrap();
        place.program("Kubernetes v1");
        write_base(&place.path("base"));
        fs::write(place.path("own.yaml"), FILE.replace("BASE", place.path("base").to_str().unwrap())).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The program, which says this.
    fn program(&self, says: &str) {
        let path = self.path("bin/kubelet");
        fs::write(&path, format!("#!/bin/sh\necho {says}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Capstead {
        let mut capstead = Capstead::new(&self.path("config"), [&["image", "build"], words].concat())
            .without("CAPSTEAD_SOURCE")
            .without("CAPSTEAD_BIN_DIR")
            .env("CAPSTEAD_CACHE_DIR", self.cache());
        capstead.command.current_dir(self.0.path());
        capstead
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words).run()
    }

    /// Builds the image of `FILE`.
    fn build(&self, words: &[&str]) -> Value {
        self.run(&[&["node", "-f", "own.yaml", "--bin-dir", "bin", "-o", "json"], words].concat()).json()
    }
}

/// A base of one layer, as a folder of the OCI layout.
fn write_base(folder: &Path) {
    let layer = registry::tar(&[Entry::Folder("etc"), Entry::Folder("usr"), Entry::Folder("usr/bin"), Entry::File("etc/hosts", b"")]);
    let Platform { os, architecture } = Platform::host();
    let rootfs = json!({ "type": "layers", "diff_ids": [registry::digest(&layer)] });
    let config = json!({ "os": os, "architecture": architecture, "rootfs": rootfs }).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": layout::MANIFEST,
        "config": layout::descriptor(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": [layout::descriptor(&layer, "application/vnd.oci.image.layer.v1.tar")],
    });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({ "schemaVersion": 2, "manifests": [layout::descriptor(&manifest, layout::MANIFEST)] });
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    for bytes in [&layer, &config, &manifest] {
        fs::write(folder.join("blobs").join(registry::digest(bytes).replace(':', "/")), bytes).unwrap();
    }
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
}

/// A file of an image, as a host takes it out.
fn file_of(reference: &Value, path: &str) -> Vec<u8> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let reference = reference.as_str().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let image = runtime.block_on(pull(&store, &reference, &PullOptions::default(), &NoProgress)).unwrap();
    fs::read(store.file(&image, path, Limits::default()).unwrap()).unwrap()
}

fn newest() -> String {
    capstead_nodeimage::kubernetes_versions().remove(0)
}

#[test]
fn an_image_is_what_its_file_says_and_the_same_each_time() {
    let place = Place::new();
    let first = place.build(&["--set", "WHO=you"]);
    // Where nothing is said, it goes into the folder that one is in.
    assert_eq!(first["reference"], format!("oci:{}", place.path("node").display()));
    assert_eq!((&first["kubernetes"], &first["name"]), (&newest().into(), &"node".into()));
    assert_eq!(first["images"][0]["names"], json!(["a.test/kubelet:1"]));
    assert_eq!(file_of(&first["reference"], "etc/motd"), format!("hello you of {}", newest()).as_bytes());
    assert_eq!(file_of(&first["reference"], "usr/bin/kubelet"), fs::read(place.path("bin/kubelet")).unwrap());
    let document = |name: &str| -> Value { serde_json::from_slice(&fs::read(place.path(name)).unwrap()).unwrap() };
    assert_eq!(document("node.manifest.json")["digest"], first["digest"]);
    assert_eq!(document("node.spdx.json")["spdxVersion"], "SPDX-2.3");

    let again = place.build(&["--set", "WHO=you"]);
    let anew = place.build(&["--set", "WHO=you", "--no-cache", "--output", "oci:anew"]);
    assert_eq!((&again["digest"], &anew["digest"]), (&first["digest"], &first["digest"]));
    let archive = place.build(&["--set", "WHO=you", "--output", "docker-archive:node.tar"]);
    assert_eq!(archive["imageId"], first["imageId"]);
    assert!(place.path("node.tar.spdx.json").is_file());
    assert!(entries(&place.cache().join("node-image/work")).is_empty() && entries(&place.cache().join("node-image/output")).is_empty());

    // What it is called in the store that hosts have, and what people see.
    let state = place.path("state");
    let words = ["image", "import", "oci:node", "--as", "a.test/node:1", "--state-dir", state.to_str().unwrap()];
    let mut import = Capstead::new(&place.path("config"), words);
    import.command.current_dir(place.0.path());
    import.run().ok();
    let table = place.run(&["node", "-f", "own.yaml", "--bin-dir", "bin", "--set", "WHO=you"]).ok();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["Image", first["reference"].as_str().unwrap()]);
    assert_eq!(lines[1], ["Digest", first["digest"].as_str().unwrap()]);

    place.program("Kubernetes v1 or so");
    assert_ne!(place.build(&["--set", "WHO=you"])["digest"], first["digest"]);
    // What does not tell the version that is wanted is not taken.
    place.program("Kubernetes v1.1");
    let error = place.run(&["node", "-f", "own.yaml", "--bin-dir", "bin"]).fails(1);
    assert!(error.contains("bin/kubelet is not v1 (it says: Kubernetes v1.1)"), "{error}");
}

#[test]
fn an_image_goes_to_a_registry_and_its_documents_where_they_are_wanted() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = runtime.block_on(TestRegistry::start(place.0.path()));
    let mirror = format!("r.test=http://{}", registry.address);
    let pushed = place.build(&["--output", "r.test/nodes/own:1", "--registry-mirror", &mirror, "--documents", "own"]);
    assert!(registry.stored(pushed["digest"].as_str().unwrap()).is_file());
    let documents = pushed["documents"].as_array().unwrap();
    assert_eq!(documents[..], [json!("own.manifest.json"), json!("own.spdx.json")]);
    assert!(place.path("own.spdx.json").is_file());
    // Packed by default, where it has to travel.
    let plain = place.build(&["--output", &registry.reference("nodes/own:2"), "--compression", "none"]);
    assert_eq!(plain["imageId"], pushed["imageId"]);
    assert!(plain["size"].as_u64() > pushed["size"].as_u64(), "{plain} {pushed}");
    assert_eq!(plain["documents"], json!([]));
}

#[test]
fn a_dry_run_tells_what_would_be_done_and_does_nothing() {
    let place = Place::new();
    let before = entries(place.0.path());
    let plan = place.run(&["node", "--dry-run", "-o", "json"]).json();
    assert_eq!(plan["reference"], format!("oci:{}", place.path("node").display()));
    let binaries = plan["binaries"].as_array().unwrap();
    let kubelet = binaries.iter().find(|binary| binary["name"] == "kubelet").unwrap();
    assert_eq!(kubelet, &json!({ "name": "kubelet", "version": newest(), "from": ["Go build of k8s.io/kubernetes/cmd/kubelet"] }));
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps[0]["what"].as_str().unwrap().starts_with("Debian bookworm with ") && steps[0]["key"].is_string(), "{steps:?}");
    // What is in the files' layer is not here yet.
    let files = steps.iter().find(|step| step["what"] == "files, programs and units").unwrap();
    assert_eq!((&files["key"], &files["done"]), (&Value::Null, &false.into()));
    let only_go = place.run(&["node", "--dry-run", "--source", "go", "-o", "yaml"]).ok();
    assert!(only_go.contains("Go build of go.etcd.io/etcd/server/v3") && !only_go.contains("OCI image"), "{only_go}");
    let kernel = place.run(&["kernel", "--dry-run", "--package", "linux-image-6.1.0-44-cloud-amd64"]).ok();
    assert!(kernel.contains("\nthe kernel linux-image-6.1.0-44-cloud-amd64 of Debian bookworm   to do\n"), "{kernel}");
    assert!(kernel.ends_with("/kernel would be made with 0 binaries to fetch and 1 steps to do; nothing was changed\n"), "{kernel}");
    assert_eq!(entries(place.0.path()), before);

    // Once it is built, it shows what is left to do.
    let dry = ["--dry-run", "--set", "WHO=you"];
    let done = |plan: &Value| -> Vec<bool> { plan["steps"].as_array().unwrap().iter().map(|step| step["done"] == true).collect() };
    assert_eq!(place.build(&dry)["binaries"][0]["from"], json!(["path"]));
    place.build(&["--set", "WHO=you"]);
    // The base is a file's, which is read again each time, and what is put upon it depends on it.
    assert_eq!(done(&place.build(&dry)), [false, true, false, true]);
    assert_eq!(done(&place.build(&[&dry[..], &["--no-cache"]].concat())), [false; 4]);
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_is_done() {
    let place = Place::new();
    for (name, text) in [
        ("unknown.yaml", "basis: {}\n"),
        ("rules.yaml", "packages: ['a b']\n"),
        ("variable.yaml", "base: {debian: {suite: '${SUITE}'}}\n"),
        ("source.yaml", "base: {debian: {suite: bookworm}}\nfiles: [{path: /x, source: nowhere}]\n"),
    ] {
        fs::write(place.path(name), text).unwrap();
    }
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/other"), "").unwrap();
    let cases: [(&[&str], &str); 15] = [
        (&["node", "--kubernetes", "1.20.1"], "Kubernetes v1.20.1 is not built in; there are v1."),
        (&["node", "--kubernetes", "latest", "-f", "own.yaml"], "`vlatest` is not a version of Kubernetes, such as v"),
        (&["node", "-f", "none.yaml"], "cannot read none.yaml: No such file"),
        (&["node", "-f", "unknown.yaml"], "unknown.yaml is not an image file: "),
        (&["node", "-f", "rules.yaml"], "rules.yaml cannot be built:\n  base: is needed"),
        (&["node", "-f", "variable.yaml"], "SUITE"),
        (&["node", "-f", "source.yaml", "--dry-run"], "files[0].source names nowhere, which cannot be read"),
        (&["node", "--output", "json"], "how the result is printed is said by -o json"),
        (&["node", "--output", "oci:full"], "/full: the folder holds something that is no OCI layout"),
        (&["node", "--output", "file:disk.raw"], "is no place for an image: write oci:DIR"),
        (&["node", "--debian-mirror", "nowhere"], "base.debian.mirrors[0]: `nowhere` is neither a URL nor"),
        (&["node", "--registry-mirror", "x"], "`x` is not a registry mirror"),
        (&["node", "--bin-dir", "none"], "--bin-dir none: no such folder"),
        (&["kernel", "--package", "x'y"], "\n  package: `x'y` is no package's name"),
        (&["kernel", "--debian-mirror", "nowhere"], "\n  mirrors[0]: `nowhere` is neither a URL nor"),
    ];
    for (words, told) in cases {
        let error = place.run(words).fails(1);
        assert!(error.contains(told), "{words:?}: {error}");
    }
    let error = place.run(&["node", "--set", "WHO"]).fails(2);
    assert!(error.contains("KEY=VALUE is expected"), "{error}");
    let error = place.run(&["node", "-o", "oci:x"]).fails(2);
    assert!(error.contains("[possible values: table, json, yaml]"), "{error}");
    assert!(!place.cache().exists());
}

#[test]
fn without_mmdebstrap_nothing_is_fetched_in_vain() {
    let place = Place::new();
    for words in [&["node"][..], &["kernel"]] {
        let error = place.command(words).env("PATH", place.path("bin")).run().fails(1);
        assert!(error.contains("there is no `mmdebstrap` on the search path: install the package mmdebstrap"), "{error}");
    }
    assert_eq!(entries(&place.cache()), ["node-image"]);
}

#[test]
fn defaults_come_from_the_environment_and_the_configuration() {
    let place = Place::new();
    fs::create_dir_all(place.path("config/capstead")).unwrap();
    fs::write(place.path("config/capstead/config.yaml"), "kubernetes: 1.1.1\ndebianMirrors: [file-says]\n").unwrap();
    let node = |words: &[&str]| place.command(&[&["node"], words].concat());
    let kernel = |words: &[&str]| place.command(&[&["kernel", "--dry-run"], words].concat());
    assert!(node(&[]).run().fails(1).contains("Kubernetes v1.1.1 is not built in"));
    assert!(node(&[]).env("CAPSTEAD_KUBERNETES", "1.2.2").run().fails(1).contains("Kubernetes v1.2.2 is not"));
    assert!(node(&["--kubernetes", "1.3.3"]).env("CAPSTEAD_KUBERNETES", "1.2.2").run().fails(1).contains("Kubernetes v1.3.3 is not"));
    assert!(kernel(&[]).run().fails(1).contains("`file-says`"));
    assert!(kernel(&[]).env("CAPSTEAD_DEBIAN_MIRRORS", "environment-says").run().fails(1).contains("`environment-says`"));
    kernel(&["--debian-mirror", "http://mirror.test/debian"]).env("CAPSTEAD_DEBIAN_MIRRORS", "environment-says").run().ok();
}

#[test]
fn the_command_explains_itself() {
    let place = Place::new();
    for (words, told) in [
        (&["--help"][..], &["node", "kernel"][..]),
        (&["node", "--help"][..], &["Examples:", "--kubernetes <V>", "--dry-run", "--no-cache", "-o, --format", "CAPSTEAD_KUBERNETES"][..]),
        (&["kernel", "--help"][..], &["Examples:", "--package <PACKAGE>", "boot/vmlinux"][..]),
    ] {
        let help = place.run(words).ok();
        for part in told {
            assert!(help.contains(part), "{part} is not in {help}");
        }
    }
    // What clap makes for fish goes two words deep.
    for shell in ["bash", "zsh"] {
        let script = Capstead::new(&place.path("config"), ["completion", shell]).run().ok();
        assert!(script.contains("no-cache") && script.contains("kubernetes"), "{shell}");
    }
}
