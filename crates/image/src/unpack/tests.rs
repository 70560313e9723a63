use proptest::prelude::*;
use tar::EntryType;

use super::*;
use crate::testing::{Layer, bomb};

/// Unpacks layers, and lists what is there: `path kind`, and files with what is in them.
fn unpack(layers: &[Vec<u8>]) -> Result<Vec<String>, UnpackError> {
    let (tree, contents) = unpack_tree(layers, Limits::default())?;
    Ok(listing(&tree, &contents))
}

fn unpack_tree(layers: &[Vec<u8>], limits: Limits) -> Result<(Tree, Vec<u8>), UnpackError> {
    let mut unpacker = Unpacker::new(Vec::new(), limits);
    for layer in layers {
        unpacker.layer(&layer[..])?;
    }
    Ok(unpacker.finish().unwrap())
}

fn listing(tree: &Tree, contents: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![(Tree::ROOT, String::new())];
    while let Some((folder, path)) = todo.pop() {
        for (name, id) in tree.children(folder) {
            let path = format!("{path}/{name}");
            lines.push(match &tree.inode(id).kind {
                Kind::Directory(_) => format!("{path}/"),
                Kind::File(Content { offset, size }) => {
                    let range = usize::try_from(*offset).unwrap()..usize::try_from(offset + size).unwrap();
                    format!("{path} = {}", String::from_utf8_lossy(&contents[range]))
                }
                Kind::Symlink(target) => format!("{path} -> {target}"),
                other => format!("{path} {other:?}"),
            });
            todo.push((id, path));
        }
    }
    lines.sort();
    lines
}

/// The rule a layer on top of a common base breaks.
fn refusal(layer: Layer) -> Refusal {
    let base = Layer::default().folder("etc/").file("etc/passwd", b"root").link("out", "/").link("loop", "loop").link("up", "../../../etc");
    match unpack(&[base.tar(), layer.tar()]) {
        Err(UnpackError::Refused { why, layer: 1, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_of_every_compression_are_put_on_top_of_each_other() {
    let base = Layer::default().folder("./").folder("./etc/").file("./etc/a", b"old").file("./etc/b", b"stays").link("lib", "usr/lib");
    let middle = Layer::default().file("etc/a", b"new").file("usr/lib/x", b"deep").hard_link("etc/c", "etc/b");
    let top = Layer::default().file("/lib/y", b"through a link").file("etc/b", b"changed");
    let found = unpack(&[base.gzip(), middle.tar(), top.zstd()]).unwrap();
    let expected = [
        "/etc/",
        "/etc/a = new",
        "/etc/b = changed",
        "/etc/c = stays",
        "/lib -> usr/lib",
        "/usr/",
        "/usr/lib/",
        "/usr/lib/x = deep",
        "/usr/lib/y = through a link",
    ];
    assert_eq!(found, expected);
}

#[test]
fn whiteouts_hide_the_layers_below_wherever_they_stand() {
    let base = Layer::default()
        .file("keep/a", b"1")
        .file("gone/a", b"1")
        .file("gone/deep/b", b"1")
        .file("opaque/a", b"1")
        .file("opaque/deep/b", b"1")
        .file("again/a", b"1");
    let top = Layer::default()
        .file("opaque/mine", b"2")
        .file("again/b", b"2")
        .file("opaque/.wh..wh..opq", b"")
        .file(".wh.gone", b"")
        .file(".wh.again", b"")
        .file(".wh.never", b"")
        .file("nowhere/.wh.x", b"")
        .file(".wh..wh.plnk/1.2", b"aufs")
        .file("keep/.wh.a", b"")
        .file("keep/a", b"2");
    let found = unpack(&[base.tar(), top.tar()]).unwrap();
    assert_eq!(found, ["/again/", "/again/b = 2", "/keep/", "/keep/a = 2", "/opaque/", "/opaque/mine = 2"]);
}

#[test]
fn a_whiteout_said_again_hides_no_more() {
    let base = Layer::default().file("a/old", b"1").file("b/c/old", b"1");
    let top = Layer::default()
        .file("a/.wh..wh..opq", b"")
        .file("a/new", b"2")
        .file("a/.wh..wh..opq", b"")
        .file(".wh.a", b"")
        .file(".wh.b", b"")
        .file("b/c/new", b"2")
        .file("b/.wh.c", b"")
        .file(".wh.b", b"");
    let next = Layer::default().file(".wh.a", b"").file("b/c/.wh.new", b"");
    let found = unpack(&[base.tar(), top.tar()]).unwrap();
    assert_eq!(found, ["/a/", "/a/new = 2", "/b/", "/b/c/", "/b/c/new = 2"]);
    let base = Layer::default().file("a/old", b"1").file("b/c/new", b"1");
    assert_eq!(unpack(&[base.tar(), next.tar()]).unwrap(), ["/b/", "/b/c/"]);
}

#[test]
fn kinds_take_each_others_place() {
    let base = Layer::default().file("a/x", b"1").file("b", b"1").link("c", "a").folder("d");
    let top = Layer::default()
        .file("a", b"2")
        .folder("b")
        .folder("c")
        .raw(EntryType::Char, "d", "", b"", |header| {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        })
        .raw(EntryType::Fifo, "e", "", b"", |_| {});
    let found = unpack(&[base.tar(), top.tar()]).unwrap();
    assert_eq!(found, ["/a = 2", "/b/", "/c/", "/d CharDevice { major: 5, minor: 1 }", "/e Fifo"]);
}

#[test]
fn owners_modes_times_and_attributes_are_kept() {
    let name = format!("{}/{}", "d".repeat(200), "é".repeat(100));
    let capability = b"\x01\0\0\x02\n=\n20 path=evil\n";
    let layer = Layer::default()
        .pax(&[
            ("path", name.as_bytes()),
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.empty", b""),
            ("uid", b"4294967294"),
            ("mtime", b"-1.25"),
        ])
        .raw(EntryType::Regular, "short", "", b"12", |header| header.set_mode(0o4755))
        .file("next", b"3");
    let (tree, _) = unpack_tree(&[layer.tar()], Limits::default()).unwrap();
    let inode = tree.inode(tree.find(&name).unwrap());
    let meta = &inode.meta;
    assert_eq!((meta.mode, meta.uid, meta.gid, meta.modified), (0o4755, u32::MAX - 1, 100, (-2, 750_000_000)));
    assert_eq!(meta.xattrs["security.capability"], capability);
    assert_eq!(meta.xattrs["user.empty"], b"");
    assert_eq!(inode.kind, Kind::File(Content { offset: 0, size: 2 }));
    // What was said of one entry is not said of the next.
    let next = tree.inode(tree.find("next").unwrap());
    assert_eq!((next.meta.uid, next.meta.xattrs.len()), (1000, 0));
}

#[test]
fn gnu_long_names_are_read() {
    let name = "n".repeat(250);
    let layer = Layer::default()
        .raw(EntryType::GNULongName, "././@LongLink", "", format!("{name}\0").as_bytes(), |_| {})
        .raw(EntryType::GNULongLink, "././@LongLink", "", format!("/{name}x\0").as_bytes(), |_| {})
        .link("cut", "cut");
    assert_eq!(unpack(&[layer.tar()]).unwrap(), [format!("/{name} -> /{name}x")]);
}

#[test]
fn only_files_have_content_whatever_a_header_says() {
    let sized = |header: &mut tar::Header| header.set_size(512);
    let layer =
        Layer::default().raw(EntryType::Directory, "a", "", b"", sized).raw(EntryType::Symlink, "b", "a", b"", sized).file("c", b"1");
    assert_eq!(unpack(&[layer.tar()]).unwrap(), ["/a/", "/b -> a", "/c = 1"]);
}

#[test]
fn nothing_leads_out_of_the_image() {
    let base = Layer::default().folder("etc/").link("out", "/").link("up", "../../../etc").link("nowhere", "../../made");
    let top = Layer::default().file("out/a", b"1").file("up/b", b"1").file("nowhere/c", b"1").file("/etc/d", b"1");
    let found = unpack(&[base.tar(), top.tar()]).unwrap();
    let files: Vec<&str> = found.iter().map(String::as_str).filter(|line| line.contains(" = ")).collect();
    assert_eq!(files, ["/a = 1", "/etc/b = 1", "/etc/d = 1", "/made/c = 1"]);

    for path in ["../etc/shadow", "etc/../../x", "/..", "a/./../b", ".wh.x/..", "../.wh.etc"] {
        assert_eq!(refusal(Layer::default().file(path, b"")), Refusal::LeavesRoot, "{path}");
    }
    assert_eq!(refusal(Layer::default().hard_link("x", "../../etc/shadow")), Refusal::LeavesRoot);
    let target = "etc/shadow".to_owned();
    assert_eq!(refusal(Layer::default().hard_link("x", "etc/shadow")), Refusal::NoTarget { target });
    assert_eq!(refusal(Layer::default().hard_link("x", "/etc")), Refusal::LinkToFolder { target: "/etc".to_owned() });
    assert_eq!(refusal(Layer::default().file("loop/x", b"")), Refusal::Links);
    let long = "etc/../".repeat(500);
    let winding = Layer::default().pax(&[("linkpath", long.as_bytes())]).link("w", "").link("v", "w/w/w/w/w");
    assert_eq!(refusal(winding.file("v/x", b"")), Refusal::Links);
    assert_eq!(refusal(Layer::default().file("etc/passwd/x", b"")), Refusal::NotAFolder);
    assert_eq!(refusal(Layer::default().file("./", b"x").link("/", "etc")), Refusal::Root);
    assert_eq!(refusal(Layer::default().link("/", "etc")), Refusal::Root);
    for path in [".wh.", ".wh..", ".wh...", "etc/.wh.", ".wh.etc/x"] {
        assert_eq!(refusal(Layer::default().file(path, b"")), Refusal::Whiteout, "{path}");
    }
    // Nor do folders that are made where a link leads.
    assert_eq!(refusal(Layer::default().link("a", ".wh.a").folder("a/b")), Refusal::Whiteout);
    assert_eq!(refusal(Layer::default().link("x", "")), Refusal::EmptyTarget);
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert_eq!(refusal(Layer::default().pax(&[("path", b"a\0b")]).file("x", b"")), Refusal::ZeroByte);
    assert_eq!(refusal(Layer::default().pax(&[("path", b"a\xff")]).file("x", b"")), Refusal::NotUtf8);
    assert_eq!(refusal(Layer::default().pax(&[("size", b"99999999999999999999")]).file("x", b"")), Refusal::Pax);
    assert_eq!(refusal(Layer::default().pax(&[("uid", b"4294967296")]).file("x", b"")), Refusal::Number { field: "owner" });
    assert_eq!(refusal(Layer::default().raw(EntryType::XHeader, "x", "", b"99 path=a\n", |_| {}).file("x", b"")), Refusal::Pax);
    assert_eq!(refusal(Layer::default().raw(EntryType::GNUSparse, "x", "", b"", |_| {})), Refusal::Kind { kind: 'S' });
    let sparse = Layer::default().pax(&[("GNU.sparse.major", b"1")]).file("x", b"");
    assert_eq!(refusal(sparse), Refusal::Kind { kind: 'S' });
    let sized = |size: [u8; 12]| refusal(Layer::default().raw(EntryType::Regular, "x", "", b"", |header| header.as_old_mut().size = size));
    assert_eq!(sized([0xff; 12]), Refusal::Number { field: "size" });
    assert_eq!(sized(*b"\x80\0\0\x01\0\0\0\0\0\0\0\x05"), Refusal::Number { field: "size" });
    assert_eq!(sized(*b"12345678901\xff"), Refusal::Number { field: "size" });
    let limit = Limits::default().file;
    assert_eq!(sized(*b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), Refusal::File { size: u64::MAX, limit });

    // Broken off, or not an archive at all.
    let whole = Layer::default().file("a", &[7; 2000]).gzip();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        let result = unpack(&[whole[..cut].to_vec()]);
        assert!(if cut == 0 { result.is_ok() } else { matches!(result, Err(UnpackError::Read { layer: 0, .. })) }, "{cut}");
    }
    let mut wrong = Layer::default().file("a", b"1").tar();
    wrong[0] = b'b';
    assert!(matches!(unpack(&[wrong]), Err(UnpackError::Read { .. })));
}

#[test]
fn every_limit_has_an_error_that_names_the_entry() {
    let refused = |layer: Layer, limits: Limits| match unpack_tree(&[layer.tar()], limits) {
        Err(UnpackError::Refused { entry, why, .. }) => (entry, why),
        other => panic!("{other:?}"),
    };
    let limits = Limits::default();
    let three = || Layer::default().file("a", b"1").folder("b").file("b/c", b"22");
    let (entry, why) = refused(three(), Limits { entries: 2, ..limits });
    assert_eq!((entry.as_str(), why), ("b/c", Refusal::Entries { limit: 2 }));
    let (entry, why) = refused(three(), Limits { file: 1, ..limits });
    assert_eq!((entry.as_str(), why), ("b/c", Refusal::File { size: 2, limit: 1 }));
    let (entry, why) = refused(three(), Limits { path: 2, ..limits });
    assert_eq!((entry.as_str(), why), ("b/c", Refusal::Path { limit: 2 }));
    let (entry, why) = refused(three(), Limits { depth: 1, ..limits });
    assert_eq!((entry.as_str(), why), ("b/c", Refusal::Depth { limit: 1 }));
    let (_, why) = refused(three(), Limits { bytes: 1024, ..limits });
    assert_eq!(why, Refusal::Bytes { limit: 1024 });
    let (entry, why) = refused(three(), Limits { memory: 2, ..limits });
    assert_eq!((entry.as_str(), why), ("b/c", Refusal::Memory { limit: 2 }));
    let long = Layer::default().pax(&[("SCHILY.xattr.user.a", &[b'x'; 600])]).file("a", b"");
    assert_eq!(refused(long, Limits { header: 512, ..limits }).1, Refusal::Header { limit: 512 });
    let name = "n".repeat(256);
    assert_eq!(refusal(Layer::default().pax(&[("path", name.as_bytes())]).file("x", b"")), Refusal::Path { limit: 255 });
    // Each link goes through all the links before it, deeper each time.
    let mut deep = Layer::default().folder("a/b/c/d");
    for at in 0..10 {
        deep = deep.link(&format!("l{at}"), "a/b/c/d");
    }
    assert_eq!(refused(deep.file("l0/x", b""), Limits { depth: 4, ..limits }).1, Refusal::Depth { limit: 4 });
}

#[test]
fn a_bomb_is_noticed_long_before_it_has_gone_off() {
    let bomb = bomb();
    assert!(bomb.len() < 20 << 20, "{}", bomb.len());
    let mut unpacker = Unpacker::new(Counting(0), Limits::default());
    let error = unpacker.layer(&bomb[..]).unwrap_err();
    assert!(matches!(&error, UnpackError::Refused { entry, why: Refusal::Ratio { limit: 200 }, .. } if entry == "bomb"), "{error}");
    // 256 MiB, and 200 times what was read by then.
    assert!(unpacker.contents.0 < 400 << 20, "{} bytes were written", unpacker.contents.0);
}

struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_name_is_fit_to_be_shown() {
    assert_eq!(shown(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\u{fffd}");
    assert_eq!(shown(&[b'x'; 300]).chars().count(), 201);
}

/// Parts of paths that have a meaning to somebody.
fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", "/"]);
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = check_layer(&bytes, Limits::default());
    }

    /// Whatever entries there are in whatever order, what comes out is a tree: every folder is reached by one name.
    #[test]
    fn no_entries_make_anything_but_a_tree(
        layers in prop::collection::vec(prop::collection::vec((0..4, path(), path()), 0..8), 1..4),
    ) {
        let mut unpacker = Unpacker::new(Vec::new(), Limits::default());
        for entries in layers {
            let layer = entries.iter().fold(Layer::default(), |layer, (kind, path, target)| match kind {
                0 => layer.folder(path),
                1 => layer.file(path, target.as_bytes()),
                2 => layer.link(path, target),
                _ => layer.hard_link(path, target),
            });
            if unpacker.layer(&layer.tar()[..]).is_err() {
                return Ok(());
            }
        }
        let (tree, _) = unpacker.finish().unwrap();
        let mut seen = HashSet::new();
        let mut todo = vec![Tree::ROOT];
        while let Some(id) = todo.pop() {
            prop_assert!(seen.insert(id), "a folder has two names");
            for (name, child) in tree.children(id) {
                prop_assert!(!matches!(name, "" | "." | "..") && !name.contains('/') && !name.starts_with(".wh."), "{name}");
                if tree.is_folder(child) {
                    todo.push(child);
                }
            }
        }
    }
}
