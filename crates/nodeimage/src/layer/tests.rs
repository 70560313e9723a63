use capstead_image::Limits;
use capstead_image::tree::{Kind as TreeKind, Tree};
use capstead_image::unpack::check_layer;

use super::*;

const EPOCH: u64 = 1_600_000_000;

fn written(layer: &Layer) -> (Written, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    let written = layer.write(&path, EPOCH).unwrap();
    (written, std::fs::read(path).unwrap())
}

fn tree(layer: &Layer) -> Tree {
    check_layer(&written(layer).1, Limits::default()).unwrap()
}

#[test]
fn the_order_of_putting_and_the_place_of_sources_change_no_byte() {
    let build = |folder: &Path, backwards: bool| {
        let source = folder.join("program");
        std::fs::write(&source, "program").unwrap();
        let mut entries = vec![
            ("usr/bin/program", Entry::new(Kind::File(Content::Path(source)), 0o755)),
            ("etc/x", Entry::bytes("x", 0o600)),
            ("etc/y", Entry::link("x")),
        ];
        if backwards {
            entries.reverse();
        }
        let mut layer = Layer::default();
        entries.into_iter().for_each(|(path, entry)| layer.put(path, entry));
        written(&layer)
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (build(one.path(), false), build(two.path(), true));
    assert_eq!(first, second);
    assert_eq!(first.0.digest, Digest::of(&first.1));
    assert_eq!(first.0.size, first.1.len() as u64);
}

#[test]
fn nothing_is_newer_than_the_epoch_and_what_is_older_stays() {
    let mut layer = Layer::default();
    let epoch = i64::try_from(EPOCH).unwrap();
    for (name, modified) in [("new", Some(epoch + 1)), ("old", Some(1000)), ("unknown", None)] {
        layer.put(name, Entry { modified, ..Entry::bytes("", 0o644) });
    }
    let tree = tree(&layer);
    let time = |name: &str| tree.inode(tree.find(name).unwrap()).meta.modified.0;
    assert_eq!((time("new"), time("old"), time("unknown")), (epoch, 1000, epoch));
}

#[test]
fn what_tar_has_no_room_for_is_kept() {
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(200));
    let target = "t".repeat(150);
    let mut layer = Layer::default();
    let mut entry = Entry { owner: (3_000_000, 4_000_000_000), ..Entry::bytes("content", 0o4755) };
    entry.xattrs.insert("security.capability".to_owned(), b"\x01\0\n\0".to_vec());
    layer.put(&long, entry);
    layer.put("link", Entry::link(&target));
    layer.put("grüße", Entry::bytes("", 0o644));
    layer.put("null", Entry::new(Kind::CharDevice { major: 1, minor: 3 }, 0o666));
    layer.put("zzz", Entry::new(Kind::HardLink("null".to_owned()), 0o666));
    let tree = tree(&layer);
    let file = tree.inode(tree.find(&long).unwrap());
    assert_eq!((file.meta.mode, file.meta.uid, file.meta.gid), (0o4755, 3_000_000, 4_000_000_000));
    assert_eq!(file.meta.xattrs["security.capability"], b"\x01\0\n\0");
    assert_eq!(tree.inode(tree.child(Tree::ROOT, "link").unwrap()).kind, TreeKind::Symlink(target));
    assert!(tree.find("grüße").is_ok());
    assert_eq!(tree.inode(tree.find("null").unwrap()).kind, TreeKind::CharDevice { major: 1, minor: 3 });
    assert_eq!(tree.find("null"), tree.find("zzz"));
}

#[test]
fn a_path_is_hidden_by_a_whiteout_beside_it() {
    let mut layer = Layer::default();
    layer.hide("/etc/cloud/cloud.cfg.d");
    layer.hide("boot");
    assert!(layer.contains("etc/cloud/.wh.cloud.cfg.d") && layer.contains(".wh.boot"));
}

#[test]
fn a_source_that_is_gone_is_named() {
    let mut layer = Layer::default();
    layer.put("x", Entry::new(Kind::File(Content::Path("/nonexistent/x".into())), 0o644));
    let folder = tempfile::tempdir().unwrap();
    let error = layer.write(&folder.path().join("layer.tar"), EPOCH).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/x"), "{error}");
}
