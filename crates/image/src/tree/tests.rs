use super::*;
use crate::Limits;
use crate::testing::Layer;
use crate::unpack::check_layer;

fn tree() -> Tree {
    let layer = Layer::default()
        .file("usr/lib/vmlinux-6.1", b"kernel")
        .link("lib", "usr/lib")
        .link("vmlinux", "/boot/current")
        .link("boot/current", "../../../lib/vmlinux-6.1")
        .link("loop", "loop")
        .link("a", "b/..")
        .hard_link("same", "usr/lib/vmlinux-6.1");
    check_layer(&layer.tar(), Limits::default()).unwrap()
}

#[test]
fn links_are_followed_inside_the_tree() {
    let tree = tree();
    let kernel = Content { offset: 0, size: 6 };
    for path in ["usr/lib/vmlinux-6.1", "/lib/vmlinux-6.1", "vmlinux", "./boot//current", "../../vmlinux", "boot/../vmlinux", "same"] {
        assert_eq!(tree.file(path), Ok(kernel), "{path}");
    }
    assert_eq!(tree.find("/"), Ok(Tree::ROOT));
    assert_eq!(tree.file("usr"), Err(FindError::NotAFile { path: "usr".to_owned() }));
    assert_eq!(tree.file(""), Err(FindError::NotAFile { path: String::new() }));
    for path in ["none", "vmlinux/x", "usr/none/x"] {
        assert_eq!(tree.file(path), Err(FindError::NotFound { path: path.to_owned() }), "{path}");
    }
    assert_eq!(tree.file("loop"), Err(FindError::Links { path: "loop".to_owned() }));
}

#[test]
fn what_has_two_names_counts_once() {
    // The root, usr, usr/lib, boot, the file, and five links.
    assert_eq!(tree().totals(), Totals { inodes: 10, bytes: 6, blocks: 1 });
}
