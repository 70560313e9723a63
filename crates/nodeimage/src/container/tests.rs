use super::*;
use crate::file::ImagePart;
use crate::layer::Entry;

fn platform() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into() }
}

fn image(files: Vec<ImagePart>) -> ContainerImage {
    ContainerImage {
        names: vec!["a.io/etcd:3.6.8-0".into(), "a.io/etcd:3.6.14-0".into()],
        files,
        entrypoint: vec!["/etcd".into()],
        command: Vec::new(),
        environment: Vec::new(),
        user: String::new(),
    }
}

fn binary(name: &str, path: &str) -> ImagePart {
    ImagePart { binary: Some(name.into()), root: None, content: None, path: Some(path.into()) }
}

#[test]
fn the_same_program_gives_the_same_image_wherever_it_lies() {
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("some-program");
        std::fs::write(&program, "program").unwrap();
        let binaries = BTreeMap::from([("etcd".to_owned(), program)]);
        let (archive, digest) =
            make(&image(vec![binary("etcd", "/etcd")]), &binaries, None, &platform(), 1_600_000_000, folder.path()).unwrap();
        (std::fs::read(archive).unwrap(), digest)
    };
    let (first, second) = (build(), build());
    assert_eq!(first, second);
    // Both names stand for it, in the form in which containerd reads them.
    let text = String::from_utf8_lossy(&first.0);
    for name in ["a.io/etcd:3.6.8-0", "a.io/etcd:3.6.14-0"] {
        assert!(text.contains(&format!("\"io.containerd.image.name\":\"{name}\"")), "{name}");
    }
}

#[test]
fn a_file_of_the_base_may_have_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut base = Layer::default();
    base.put("usr/bin/catatonit", Entry::bytes("#!static", 0o755));
    let path = folder.path().join("layer.tar");
    base.write(&path, 0).unwrap();
    let root = Root::read(&[path], folder.path()).unwrap();
    let part = ImagePart { binary: None, root: Some("/usr/bin/catatonit".into()), content: None, path: Some("/pause".into()) };
    let layer = layer(&image(vec![part]), &BTreeMap::new(), Some(&root)).unwrap();
    assert!(layer.contains("pause") && !layer.contains("usr"));
}

#[test]
fn what_the_base_has_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    Layer::default().write(&path, 0).unwrap();
    let root = Root::read(&[path], folder.path()).unwrap();
    let part = ImagePart { binary: None, root: Some("/usr/sbin/nft".into()), content: None, path: None };
    let error = layer(&image(vec![part]), &BTreeMap::new(), Some(&root)).unwrap_err();
    assert_eq!(error.to_string(), "cannot take /usr/sbin/nft out of the base");
}
