//! Images made to harm: each is refused with a text that names what is wrong, or does no harm, and nothing of it stays in the store or beside it.

use std::error::Error;

use tar::EntryType;

use super::*;
use crate::testing::bomb;

/// A store with an image, beside a folder with a file that nobody may touch.
struct Place {
    folder: tempfile::TempDir,
    store: Store,
    image: Image,
}

impl Place {
    fn new(layers: &[Vec<u8>]) -> Self {
        let (folder, store) = store();
        fs::create_dir(folder.path().join("host")).unwrap();
        fs::write(folder.path().join("host/secret"), b"secret").unwrap();
        let image = image(&store, "registry.test/evil:1", layers);
        Self { folder, store, image }
    }

    /// Everything below the folder but locks: paths, and what is in files that are no disk.
    fn listing(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut todo = vec![self.folder.path().to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    todo.push(path);
                } else if path.extension().is_none_or(|extension| extension != "lock") {
                    found.push((path, meta.len()));
                }
            }
        }
        found.sort();
        found
    }

    fn secret(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("host/secret")).unwrap()
    }
}

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Asks for a disk and a kernel of an image, both of which must be refused with these words.
fn refused(name: &str, layers: &[Vec<u8>], limits: Limits, says: &str) {
    let place = Place::new(layers);
    let before = place.listing();
    let disk = place.store.disk(&place.image, Some(16), limits).map(drop);
    let file = place.store.file(&place.image, "vmlinux", limits).map(drop);
    for result in [disk, file] {
        let error = result.expect_err(name);
        assert!(matches!(error, StoreError::Unpack { .. }), "{name}: {error:?}");
        let told = chain(&error);
        assert!(told.contains(says), "{name}: {told}");
    }
    assert_eq!(place.listing(), before, "{name}");
    assert_eq!(place.store.strays().unwrap(), Vec::<PathBuf>::new(), "{name}");
}

#[test]
fn layers_that_break_a_rule_are_refused_and_leave_nothing() {
    let file = |path: &str| Layer::default().file(path, b"evil");
    let sized = |size: [u8; 12]| Layer::default().raw(EntryType::Regular, "x", "", b"", |header| header.as_old_mut().size = size);
    let cases = [
        ("a path that climbs", file("../../etc/cron.d/evil"), "`../../etc/cron.d/evil` leads out of the image"),
        ("a path that climbs late", file("a/b/../../../evil"), "leads out of the image"),
        ("an absolute path that climbs", file("/../evil"), "leads out of the image"),
        ("a whiteout that climbs", file("../.wh.secret"), "leads out of the image"),
        ("a whiteout of the folder above", file("a/.wh..."), "is no valid whiteout"),
        ("a long name that climbs", Layer::default().pax(&[("path", b"../../evil")]).file("x", b""), "`../../evil` leads out of the image"),
        ("a hard link that climbs", Layer::default().hard_link("x", "../../etc/shadow"), "leads out of the image"),
        (
            "a hard link to the host's",
            Layer::default().hard_link("x", "/etc/shadow"),
            "is a hard link to `/etc/shadow`, which is not there",
        ),
        ("a hard link through a link", Layer::default().link("l", "/etc").hard_link("x", "l/shadow"), "which is not there"),
        ("a hard link to a folder", Layer::default().folder("d").hard_link("d/again", "d"), "is a hard link to the folder `d`"),
        ("links in a circle", Layer::default().link("a", "b").link("b", "a").file("a/x", b""), "is below a chain of links without end"),
        ("the root as a link", Layer::default().link("./", "/etc"), "would replace the root folder"),
        ("a file as a folder", file("x").file("x/y", b""), "is below something that is not a folder"),
        ("a size past 64 bits, in binary", sized([0xff; 12]), "has a size that is no number, or too large"),
        ("a size of 72 bits", sized(*b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), "has a size that is no number, or too large"),
        ("the largest size of 64 bits", sized(*b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), "is a file of 18446744073709551615 bytes"),
        (
            "a size past 64 bits, in words",
            Layer::default().pax(&[("size", b"18446744073709551616")]).file("x", b""),
            "has a PAX header that cannot be read",
        ),
        ("a negative size", Layer::default().pax(&[("size", b"-1")]).file("x", b""), "has a PAX header that cannot be read"),
        ("an owner past 32 bits", Layer::default().pax(&[("uid", b"4294967296")]).file("x", b""), "has a owner that is no number"),
        (
            "a header of attributes without end",
            Layer::default().raw(EntryType::XHeader, "x", "", b"", |header| header.set_size(1 << 40)),
            "bytes of names and attributes",
        ),
        ("a name that says otherwise", Layer::default().pax(&[("path", b"a\0b")]).file("x", b""), "has a zero byte"),
        ("a name in no language", Layer::default().pax(&[("path", b"\xff\xfe")]).file("x", b""), "not UTF-8"),
        ("a sparse file", Layer::default().raw(EntryType::GNUSparse, "x", "", b"", |_| {}), "is of a kind that is not supported"),
    ];
    for (name, layer, says) in cases {
        // Whatever came before it goes, too.
        let base = Layer::default().file("vmlinux", b"kernel").file("large", &[7; 100_000]);
        refused(name, &[base.gzip(), layer.gzip()], Limits::default(), says);
    }
}

#[test]
fn bombs_are_refused_and_leave_nothing() {
    let zeros = Layer::default().file("zeros", &[0; 4 << 20]).gzip();
    let (bytes, ratio) = (Limits { bytes: 1 << 20, ..Limits::default() }, Limits::default());
    refused("more than is allowed", &[zeros], bytes, "exceeds the 1048576 bytes that all layers together may unpack to");
    let halves = || Layer::default().file("half", &[0; 700_000]).gzip();
    refused("more than is allowed, in halves", &[halves(), halves()], bytes, "layer 1: `half` exceeds");
    let many = (0..200).fold(Layer::default(), |layer, n| layer.file(&format!("f{n}"), b""));
    refused("too many entries", &[many.gzip()], Limits { entries: 100, ..ratio }, "`f100` is one too many");
    refused("10 GB of zeros", &[bomb()], ratio, "`bomb` is in a layer that unpacks to more than 200 times its size");
}

#[test]
fn layers_that_point_at_the_host_write_into_the_image_alone() {
    let place = Place::new(&[]);
    let host = place.folder.path().join("host");
    let (outside, secret) = (host.display().to_string(), host.join("secret").display().to_string());
    // Names in a header have 100 bytes.
    assert!(secret.len() < 90, "{secret}");
    let climbing = format!("{}{}", "../".repeat(10), outside.trim_start_matches('/'));
    let links = Layer::default().link("in", &outside).link("climb", &climbing).link("secret", &secret).link("again", "secret");
    let top = Layer::default()
        .file("in/absolute", b"1")
        .file("climb/climbed", b"2")
        .file("secret", b"3")
        .hard_link("hard", "again")
        .file("again", b"4")
        .file(&format!("{outside}/named"), b"5")
        .file("in/.wh.secret", b"")
        .folder("dev")
        .raw(EntryType::Block, "dev/sda", "", b"", |header| {
            header.set_device_major(8).unwrap();
            header.set_device_minor(0).unwrap();
        });
    let image = image(&place.store, "registry.test/evil:2", &[links.gzip(), top.zstd()]);
    let disk = place.store.disk(&image, Some(16), Limits::default()).unwrap();
    fsck(&disk.path);
    let within = |name: &str| debugfs(&disk.path, &format!("cat {outside}/{name}"));
    assert_eq!((within("absolute").as_str(), within("climbed").as_str(), within("named").as_str()), ("1", "2", "5"));
    assert_eq!((debugfs(&disk.path, "cat secret").as_str(), debugfs(&disk.path, "cat again").as_str()), ("3", "4"));
    // A kernel that is a link to the host's files is none.
    for path in ["in/secret", "../../../../../../../../../../etc/passwd", &secret] {
        let error = place.store.file(&image, path, Limits::default()).expect_err(path);
        assert!(matches!(error, StoreError::Find { .. }), "{path}: {error:?}");
    }
    assert_eq!(place.secret(), b"secret");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1, "nothing came beside it");
    assert_eq!(place.store.entries("work").unwrap(), Vec::<PathBuf>::new());
    assert_eq!(place.store.entries("files").unwrap(), Vec::<PathBuf>::new());
    // A hard link to a link stays one to the image's own file.
    assert_eq!(fs::read(place.store.file(&image, "hard", Limits::default()).unwrap()).unwrap(), b"3");
}
