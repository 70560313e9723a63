use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;

use tar::EntryType;

use super::*;
use crate::Limits;
use crate::testing::{Layer, debugfs, fsck};
use crate::unpack::Unpacker;

fn unpack(layers: &[Vec<u8>]) -> (Tree, File) {
    let mut unpacker = Unpacker::new(tempfile::tempfile().unwrap(), Limits::default());
    for layer in layers {
        unpacker.layer(&layer[..]).unwrap();
    }
    unpacker.finish().unwrap()
}

fn options(size_mib: u32) -> Options {
    Options { size_mib, uuid: [7; 16], label: "root".to_owned() }
}

/// A list for the owner, user 1000, the group, the mask and the others, as archives have it. Those without a name have a number that says so.
fn access_list(unnamed: u32) -> Vec<u8> {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permission, id) in [(1_u16, 6_u16, unnamed), (2, 4, 1000), (4, 4, unnamed), (16, 6, unnamed), (32, 0, unnamed)] {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permission.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    value
}

fn rich() -> (Tree, File) {
    let mut layer = Layer::default()
        .raw(EntryType::Directory, "./", "", b"", |header| header.set_mode(0o750))
        .folder("etc")
        .raw(EntryType::Regular, "etc/passwd", "", b"root:x:0:0\n", |header| header.set_mode(0o640))
        .raw(EntryType::Regular, "bin/su", "", &[9; 10_000], |header| {
            header.set_mode(0o4755);
            header.set_uid(0);
        })
        .hard_link("bin/again", "bin/su")
        .link("long", &"t".repeat(90))
        .link("short", "etc/passwd")
        .raw(EntryType::Char, "dev/console", "", b"", |header| {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        })
        .raw(EntryType::Block, "dev/disk", "", b"", |header| {
            header.set_device_major(259).unwrap();
            header.set_device_minor(70_000).unwrap();
        })
        .raw(EntryType::Fifo, "dev/pipe", "", b"", |_| {})
        .file("lost+found/x", b"not wanted")
        .file("empty", b"")
        .pax(&[
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("SCHILY.xattr.user.long", &[b'v'; 2000]),
            ("SCHILY.xattr.system.posix_acl_access", &access_list(u32::MAX)),
            ("SCHILY.xattr.com.apple.nonsense", b"left out"),
            ("mtime", b"4102444800.5"),
        ])
        .file("ping", b"ping");
    for number in 0..300 {
        layer = layer.file(&format!("many/{number}-{}", "x".repeat(60)), number.to_string().as_bytes());
    }
    unpack(&[layer.tar()])
}

#[test]
fn a_tree_is_a_sound_file_system_with_all_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let (tree, contents) = rich();
    write(&tree, &contents, &path, &options(64)).unwrap();
    fsck(&path);
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!(meta.len(), 64 << 20);
    assert!(meta.blocks() * 512 < 4 << 20, "{} bytes on disk", meta.blocks() * 512);

    let has = |request: &str, parts: &[&str]| {
        let told = debugfs(&path, request);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(parts.iter().all(|part| told.contains(part)), "{request}: {told}");
    };
    has("stat /", &["Mode: 0750", "User: 1000 Group: 100"]);
    has("stat etc/passwd", &["Mode: 0640", "User: 1000 Group: 100", "Size: 11", "mtime: 0x6553f100"]);
    has("stat bin/su", &["Mode: 04755", "User: 0 Group: 100", "Links: 2", "Size: 10000"]);
    has("stat dev/console", &["Type: character special", "05:01"]);
    has("stat dev/disk", &["Type: block special", "Device major/minor number: 259:70000"]);
    has("stat dev/pipe", &["Type: FIFO"]);
    has("stat short", &["Type: symlink", "Fast link dest: \"etc/passwd\""]);
    has("stat long", &["Type: symlink", "Size: 90"]);
    has("stat ping", &["2100"]);
    has("ea_list ping", &["security.capability", "user.long", "system.posix_acl_access"]);
    assert_eq!(debugfs(&path, "cat etc/passwd"), "root:x:0:0\n");
    assert_eq!(debugfs(&path, &format!("cat many/299-{}", "x".repeat(60))), "299");
    assert_eq!(debugfs(&path, "ls -p lost+found").matches("/x/").count(), 0);
    let inode = |name: &str| debugfs(&path, &format!("stat {name}")).split_whitespace().nth(1).map(str::to_owned);
    assert_eq!(inode("bin/su"), inode("bin/again"));

    // What debugfs gives back is the list as system calls have it, but for the unnamed numbers.
    let given = folder.path().join("acl");
    debugfs(&path, &format!("ea_get -f {} ping system.posix_acl_access", given.display()));
    assert_eq!(std::fs::read(given).unwrap(), access_list(0));
    let given = folder.path().join("su");
    debugfs(&path, &format!("dump bin/su {}", given.display()));
    assert_eq!(std::fs::read(given).unwrap(), [9; 10_000]);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| {
        let (tree, contents) = rich();
        let path = folder.path().join(name);
        write(&tree, &contents, &path, &options(32)).unwrap();
        std::fs::read(path).unwrap()
    });
    assert!(first == second);
}

#[test]
fn contents_over_many_extents_and_with_holes_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut content: Vec<u8> = (0..5_000_001_u32).map(|at| u8::try_from(at % 253).unwrap()).collect();
    content[1_000_000..3_000_000].fill(0);
    let (tree, contents) = unpack(&[Layer::default().file("big", &content).file("zeros", &[0; 100_000]).zstd()]);
    write(&tree, &contents, &path, &options(16)).unwrap();
    fsck(&path);
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 6 << 20);
    let given = folder.path().join("big");
    debugfs(&path, &format!("dump big {}", given.display()));
    assert!(std::fs::read(&given).unwrap() == content);
    debugfs(&path, &format!("dump zeros {}", given.display()));
    assert!(std::fs::read(&given).unwrap() == [0; 100_000]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut contents = tempfile::tempfile().unwrap();
    contents.write_all(&vec![1; 20 << 20]).unwrap();
    contents.rewind().unwrap();
    let mut unpacker = Unpacker::new(contents, Limits::default());
    unpacker.layer(&Layer::default().file("big", &vec![1; 20 << 20]).tar()[..]).unwrap();
    let (tree, contents) = unpacker.finish().unwrap();
    for size_mib in [1, 16, 20, 21] {
        let error = write(&tree, &contents, &path, &options(size_mib)).unwrap_err();
        assert!(matches!(error, Ext4Error::TooSmall { needed: 21, .. }), "{size_mib}: {error}");
    }
    write(&tree, &contents, &path, &options(32)).unwrap();
    fsck(&path);
    assert_eq!(size_for(&tree), DEFAULT_SIZE_MIB);
    let size_mib = LARGEST_SIZE_MIB + 1;
    assert!(matches!(write(&tree, &contents, &path, &options(size_mib)), Err(Ext4Error::TooLarge { .. })));

    let (tree, contents) = unpack(&[Layer::default().pax(&[("SCHILY.xattr.user.long", &[b'v'; 5000])]).file("a/b", b"").tar()]);
    let error = write(&tree, &contents, &path, &options(32)).unwrap_err();
    // Only the layout finds this out, and does not say where.
    assert!(matches!(&error, Ext4Error::Layout { reason } if reason.contains("xattr")), "{error}");
    let (tree, contents) = unpack(&[Layer::default().pax(&[("SCHILY.xattr.system.posix_acl_access", b"?")]).file("a/b", b"").tar()]);
    let error = write(&tree, &contents, &path, &options(32)).unwrap_err();
    assert!(matches!(&error, Ext4Error::Entry { path, .. } if path == "/a/b"), "{error}");
}
