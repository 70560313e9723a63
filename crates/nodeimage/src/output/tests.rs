use capstead_artifact::NoProgress;

use super::*;
use crate::layer::{Entry, Layer};
use crate::oci::About;

#[path = "../../../artifact/tests/fetch/registry.rs"]
#[allow(dead_code, reason = "the library's tests use all of it")]
mod registry;

fn built(folder: &Path) -> Built {
    let mut layer = Layer::default();
    layer.put("etc/x", Entry::bytes("x", 0o644));
    let path = folder.join("layer.tar");
    let written = layer.write(&path, 0).unwrap();
    let image = OciImage::new(&About::default(), vec![LayerFile::plain(path, written, "test")]);
    let report = Report { name: "node".into(), ..Report::default() };
    Built {
        image,
        tag: Some("v1.36.3".into()),
        report,
        contents: Contents { name: "node".into(), ..Contents::default() },
        epoch: 0,
        cache: None,
    }
}

async fn write(to: &str, folder: &Path, compression: Compression) -> Result<Written, OutputError> {
    let options = OutputOptions { compression, ..OutputOptions::default() };
    built(folder).write(&to.parse().unwrap(), Some(folder), &options, &NoProgress).await
}

#[tokio::test]
async fn what_is_in_an_image_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let written = write(&format!("oci:{}", path.display()), folder.path(), Compression::None).await.unwrap();
    assert_eq!(written.documents, ["node.manifest.json", "node.spdx.json"].map(|name| folder.path().join(name)));
    let read = |at: usize| -> serde_json::Value { serde_json::from_slice(&std::fs::read(&written.documents[at]).unwrap()).unwrap() };
    assert_eq!(read(0)["digest"], written.digest.to_string());
    assert_eq!(read(1)["spdxVersion"], "SPDX-2.3");
    let index = std::fs::read_to_string(path.join("index.json")).unwrap();
    assert!(index.contains("capstead.local/node:v1.36.3") && index.contains(&written.digest.to_string()), "{index}");
}

#[tokio::test]
async fn every_form_is_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for (to, compression) in
        [("oci:a", Compression::None), ("oci-archive:b", Compression::Zstd), ("docker-archive:c:mine", Compression::Zstd)]
    {
        let (form, name) = to.split_once(':').unwrap();
        let written = write(&format!("{form}:{}/{name}", folder.path().display()), folder.path(), compression).await.unwrap();
        ids.insert(written.image_id);
    }
    assert_eq!(ids.len(), 1);
    let docker = std::fs::read(folder.path().join("c")).unwrap();
    assert!(String::from_utf8_lossy(&docker).contains("\"RepoTags\":[\"capstead.local/node:mine\"]"));
    // What was only needed meanwhile is gone.
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("output-")), "{left:?}");
}

#[tokio::test]
async fn a_raw_file_is_no_place_for_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let error = write("file:/tmp/disk.raw", folder.path(), Compression::None).await.unwrap_err();
    assert!(error.to_string().starts_with("file:/tmp/disk.raw is no place for an image: write oci:DIR"), "{error}");
}

#[tokio::test]
async fn a_registry_has_what_was_built() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry::TestRegistry::start(folder.path()).await;
    let target = registry.reference("nodes/debian:v1.36.3");
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let written = write(&target, &work, Compression::Zstd).await.unwrap();
    assert_eq!(written.documents, [""; 0].map(PathBuf::from));
    let store = Store::open(&folder.path().join("store")).unwrap();
    let image = pull(&store, &target.parse().unwrap(), &PullOptions::default(), &NoProgress).await.unwrap();
    assert_eq!(*image.stored.digest(), written.digest);
    // Nothing but the layer that was built from is left.
    let left: Vec<_> = std::fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["layer.tar"]);
}
