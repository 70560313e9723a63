//! Images of a host on this machine, and the CNCF distribution registry.

use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::layout;
use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::support::Capstead;
use crate::support::Ran;

/// A store of its own.
struct Images(tempfile::TempDir);

impl Images {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> std::path::PathBuf {
        self.0.path().join("state")
    }

    fn command(&self, words: &[&str]) -> Capstead {
        let state = self.state();
        Capstead::new(self.0.path(), [&["image"], words, &["--state-dir", state.to_str().unwrap()]].concat())
            .env("DOCKER_CONFIG", self.0.path().join("docker"))
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words).run()
    }

    fn references(&self) -> Vec<String> {
        let listed = self.run(&["ls", "-o", "json"]).json();
        listed.as_array().unwrap().iter().map(|image| image["reference"].as_str().unwrap().to_owned()).collect()
    }
}

/// An image with one file, as a folder of the OCI layout.
fn write(folder: &Path, file: &str) {
    layout::write(folder, &[registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinux", file.as_bytes())])]);
}

#[test]
fn images_come_in_are_seen_and_go() {
    let images = Images::new();
    let error = images.run(&["ls"]).fails(1);
    assert!(error.contains("there are no images in") && error.contains("--state-dir"), "{error}");
    assert!(!images.state().exists());

    let folder = images.0.path().join("layout");
    write(&folder, "kernel");
    let source = format!("oci:{}", folder.display());
    images.run(&["import", &source, "--as", "r.test/os:1"]).ok();
    assert_eq!(images.references(), ["r.test/os:1"]);
    let kernel = images.0.path().join("vmlinux");
    fs::write(&kernel, b"raw").unwrap();
    images.run(&["import", &format!("file:{}", kernel.display()), "--as", "r.test/kernel:1"]).ok();
    let table = images.run(&["ls"]).ok();
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["IMAGE", "DIGEST", "SIZE", "AGE", "MICROVMS"]);
    assert_eq!((words[1][0], words[1][2..4].join(" "), words[2][0]), ("r.test/kernel:1", "0.0 kB".to_owned(), "r.test/os:1"));
    let seen = images.run(&["inspect", "r.test/os:1", "-o", "json"]).json();
    assert_eq!((seen["image"]["stored"]["kind"].as_str(), seen["layers"].as_array().map(Vec::len)), (Some("image"), Some(1)));
    assert!(images.run(&["inspect", "r.test/kernel:1"]).ok().contains("raw file"));

    // A host's microVM names one of them.
    let records = images.state().join("records");
    fs::create_dir(&records).unwrap();
    let uid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let record = json!({
        "format": 1, "uid": uid, "version": 1, "driver": "qemu",
        "spec": { "id": "m1", "namespace": "team", "root_volume": { "id": "root", "source": { "container_source": "r.test/os:1" } } },
    });
    fs::write(records.join(format!("{uid}.json")), record.to_string()).unwrap();
    let error = images.run(&["rm", "r.test/os:1"]).fails(1);
    assert!(error.contains("team/m1") && error.contains("in use"), "{error}");
    let would = images.run(&["prune", "--all", "--dry-run", "-o", "json"]).json();
    assert_eq!(would["images"], json!(["r.test/kernel:1"]));
    assert_eq!(images.references().len(), 2);
    assert_eq!(images.run(&["prune", "--all", "-o", "json"]).json(), would);
    assert_eq!(images.references(), ["r.test/os:1"]);

    fs::remove_file(records.join(format!("{uid}.json"))).unwrap();
    images.run(&["rm", "r.test/os:1"]).ok();
    assert_eq!(images.references(), Vec::<String>::new());
    assert_eq!(fs::read_dir(images.state().join("images/blobs/sha256")).unwrap().count(), 0);
    let error = images.run(&["rm", "r.test/os:1"]).fails(1);
    assert!(error.contains("there is no image r.test/os:1"), "{error}");
    for (words, told) in [
        (&["pull", "os:1"][..], "does not name its registry"),
        (&["import", "r.test/os:1"][..], "capstead image pull r.test/os:1"),
        (&["import", "oci:/none"][..], "cannot read /none"),
        (&["import", &source, "--as", "oci:/x"][..], "HOST/REPOSITORY:TAG"),
    ] {
        let error = images.run(words).fails(1);
        assert!(error.contains(told), "{words:?}: {error}");
    }
}

#[test]
fn what_is_pushed_is_what_is_pulled() {
    let images = Images::new();
    let scratch = tempfile::tempdir().unwrap();
    // The password is "open sesame".
    fs::write(scratch.path().join("htpasswd"), "ali:$2b$04$865f/DtWzs7Jnw7IUy/rWeLOuPZhgDhGuIgAzCX8pHnXhTyjS8EYe\n").unwrap();
    let auth = format!("auth:\n  htpasswd:\n    realm: cave\n    path: {}\n", scratch.path().join("htpasswd").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = runtime.block_on(TestRegistry::start_with(scratch.path(), &auth));
    let target = registry.reference("team/os:1");

    let folder = images.0.path().join("layout");
    // More than one piece.
    write(&folder, &"kernel ".repeat(1 << 17));
    let source = format!("oci:{}", folder.display());
    let digest = {
        images.run(&["import", &source]).ok();
        let seen: Value = images.run(&["inspect", &source, "-o", "json"]).json();
        seen["image"]["stored"]["manifest"].as_str().unwrap().to_owned()
    };
    let error = images.run(&["push", &source, &target]).fails(1);
    assert!(error.contains("log in with `docker login"), "{error}");
    let docker = images.0.path().join("docker");
    fs::create_dir(&docker).unwrap();
    // base64 of "ali:open sesame".
    let login = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"YWxpOm9wZW4gc2VzYW1l\"}}}}}}", registry.address);
    fs::write(docker.join("config.json"), login).unwrap();
    let said = images.run(&["push", &source, &target]).ok();
    assert!(said.contains(&format!("{target} is {digest} there; 92")), "{said}");
    assert!(registry.stored(&digest).is_file());
    // The second time, and under another tag, the registry has it all.
    let said = images.run(&["push", &source, &registry.reference("team/os:2")]).ok();
    assert!(said.contains("0.0 kB were sent"), "{said}");

    let others = Images::new();
    fs::create_dir(others.0.path().join("docker")).unwrap();
    fs::copy(docker.join("config.json"), others.0.path().join("docker/config.json")).unwrap();
    let pulled = others.run(&["pull", &target, "-o", "json"]).json();
    assert_eq!(pulled[0]["stored"]["manifest"], json!(digest));
    // Through another name, as in a network with a mirror.
    let mirror = format!("r.test=http://{}", registry.address);
    others.run(&["pull", "r.test/team/os:2", "--registry-mirror", &mirror]).ok();
    others.command(&["push", "r.test/team/os:2", "r.test/team/os:3"]).env("CAPSTEAD_REGISTRY_MIRRORS", &mirror).run().ok();
    others.run(&["pull", &registry.reference("team/os:3")]).ok();

    for (words, told) in [
        (&["push", "r.test/none:1"][..], "there is no image r.test/none:1"),
        (&["push", &source][..], "is not in a registry"),
        (&["push", &source, &format!("{target}@{digest}")][..], "name a tag, not a digest"),
    ] {
        let error = images.run(words).fails(1);
        assert!(error.contains(told), "{words:?}: {error}");
    }
    // A damaged blob is not taken by the registry, and the tag stands for nothing new.
    let layer = fs::read_dir(images.state().join("images/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layer = layer.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    bytes[600] ^= 1;
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, bytes).unwrap();
    images.run(&["push", &source, &registry.reference("other/os:1")]).fails(1);
    let error = others.run(&["pull", &registry.reference("other/os:1")]).fails(1);
    assert!(error.contains("does not exist"), "{error}");
}
