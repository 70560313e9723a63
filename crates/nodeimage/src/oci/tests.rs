use capstead_artifact::NoProgress;
use capstead_image::Reference;
use capstead_image::pull::{PullOptions, pull};
use capstead_image::store::Store;

use super::*;

fn image(folder: &Path, text: &str) -> OciImage {
    let mut layer = Layer::default();
    layer.put("etc/x", Entry::bytes(text, 0o644));
    let path = folder.join("made.tar");
    let written = layer.write(&path, 1_600_000_000).unwrap();
    let about = About { epoch: 1_600_000_000, labels: BTreeMap::from([("a".into(), "b".into())]), ..About::default() };
    OciImage::new(&about, vec![LayerFile::plain(path, written, "test")])
}

async fn pulled(folder: &Path, reference: &Reference) -> Digest {
    let store = Store::open(&folder.join("store")).unwrap();
    pull(&store, reference, &PullOptions::default(), &NoProgress).await.unwrap().stored.digest().clone()
}

#[tokio::test]
async fn a_layout_and_its_archive_are_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "x");
    let (layout, archive) = (folder.path().join("out/layout"), folder.path().join("out.tar"));
    let names = ["a.io/x:1".to_owned()];
    image.write_layout(&layout, &names).unwrap();
    image.write_archive(&archive, &names).unwrap();
    for tag in [None, Some("1".to_owned())] {
        assert_eq!(pulled(folder.path(), &Reference::OciLayout { path: layout.clone(), tag: tag.clone() }).await, image.digest());
        assert_eq!(pulled(folder.path(), &Reference::OciArchive { path: archive.clone(), tag }).await, image.digest());
    }
}

#[tokio::test]
async fn a_docker_archive_has_the_same_layers() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "x");
    let path = folder.path().join("docker.tar");
    image.write_docker_archive(&path, &["a.io/x:1".to_owned()]).unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let reference = Reference::DockerArchive { path, tag: Some("1".into()) };
    let got = pull(&store, &reference, &PullOptions::default(), &NoProgress).await.unwrap();
    let inspected = store.inspect(&got.reference).unwrap();
    assert_eq!(inspected.layers, [(image.layers[0].written.digest.clone(), image.layers[0].written.size)]);
}

#[tokio::test]
async fn packed_layers_are_the_same_image_to_whoever_unpacks_it() {
    let folder = tempfile::tempdir().unwrap();
    let plain = image(folder.path(), &"x".repeat(10_000));
    let layers = plain.layers.iter().cloned().map(|layer| layer.compressed(Compression::Zstd, folder.path()).unwrap()).collect();
    let packed = plain.with_layers(layers);
    assert_eq!(packed.config, plain.config);
    assert_ne!(packed.digest(), plain.digest());
    assert!(packed.size() < plain.size());
    let layout = folder.path().join("layout");
    packed.write_layout(&layout, &[]).unwrap();
    assert_eq!(pulled(folder.path(), &Reference::OciLayout { path: layout, tag: None }).await, packed.digest());
}

#[test]
fn only_layouts_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (image(folder.path(), "1"), folder.path().join("home"));
    fs::create_dir(&second).unwrap();
    fs::write(second.join("thesis.txt"), "years of work").unwrap();
    let error = first.write_layout(&second, &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(second.join("thesis.txt").exists());
    let layout = folder.path().join("layout");
    first.write_layout(&layout, &[]).unwrap();
    first.write_layout(&layout, &["a.io/x:2".to_owned()]).unwrap();
    assert!(fs::read_to_string(layout.join("index.json")).unwrap().contains("a.io/x:2"));
    // Nothing unfinished is left.
    assert!(fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with(".capstead-")));
}
