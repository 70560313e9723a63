use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One entry of a test layer.
#[derive(Clone, Debug)]
enum Item {
    Folder(&'static str),
    File(&'static str, &'static str),
    Link(&'static str, &'static str),
    HardLink(&'static str, &'static str),
    Pipe(&'static str),
}

fn archive(items: &[Item]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        // Written as bytes, because the builder refuses the paths a hostile image may have.
        let name = |path: &str, header: &mut tar::Header| header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        let (path, kind, content) = match item {
            Item::Folder(path) => (path, tar::EntryType::Directory, ""),
            Item::File(path, content) => (path, tar::EntryType::Regular, *content),
            Item::Link(path, target) => {
                header.set_link_name_literal(target).unwrap();
                (path, tar::EntryType::Symlink, "")
            }
            Item::HardLink(path, target) => {
                header.set_link_name_literal(target).unwrap();
                (path, tar::EntryType::Link, "")
            }
            Item::Pipe(path) => (path, tar::EntryType::Fifo, ""),
        };
        name(path, &mut header);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// The content of a file in an image of layers, `None` when there is none.
fn content(layers: &[Vec<Item>], path: &str) -> Option<String> {
    let archives: Vec<Vec<u8>> = layers.iter().map(|layer| archive(layer)).collect();
    let mut view = View::default();
    for archive in &archives {
        view.add(archive.as_slice()).unwrap();
    }
    let place = view.find(Path::new(path)).ok()?;
    let mut out = Vec::new();
    copy(archives[place.layer].as_slice(), place, &mut out).unwrap();
    Some(String::from_utf8(out).unwrap())
}

use Item::{File as F, Folder, HardLink, Link, Pipe};

#[test]
fn later_layers_hide_earlier_ones() {
    let layers = [vec![F("a/b", "old"), F("a/c", "kept")], vec![F("./a/b", "new")]];
    assert_eq!(content(&layers, "/a/b").as_deref(), Some("new"));
    assert_eq!(content(&layers, "a/c").as_deref(), Some("kept"));
    assert_eq!(content(&layers, "a"), None);
    // Within a layer the last one counts, too.
    assert_eq!(content(&[vec![F("a", "first"), F("a", "second")]], "a").as_deref(), Some("second"));
    // A file in place of a folder hides all of it, and the other way round.
    assert_eq!(content(&[vec![F("a/b", "x")], vec![F("a", "y")]], "a/b"), None);
    assert_eq!(content(&[vec![F("a", "x")], vec![Folder("a"), F("a/b", "y")]], "a/b").as_deref(), Some("y"));
    // A folder said again keeps what is in it.
    assert_eq!(content(&[vec![F("a/b", "x")], vec![Folder("a")]], "a/b").as_deref(), Some("x"));
}

#[test]
fn whiteouts_remove_from_the_layers_below_only() {
    let below = vec![F("a/b", "b"), F("a/c/d", "d"), F("ab", "kept")];
    assert_eq!(content(&[below.clone(), vec![F("a/.wh.b", "")]], "a/b"), None);
    assert_eq!(content(&[below.clone(), vec![F("a/.wh.c", "")]], "a/c/d"), None);
    assert_eq!(content(&[below.clone(), vec![F(".wh.a", "")]], "ab").as_deref(), Some("kept"));
    // Beside the same name, in either order, the file stays.
    for same in [vec![F("a/.wh.b", ""), F("a/b", "new")], vec![F("a/b", "new"), F("a/.wh.b", "")]] {
        assert_eq!(content(&[below.clone(), same], "a/b").as_deref(), Some("new"));
    }
    let opaque = [below, vec![F("a/e", "e"), F("a/.wh..wh..opq", "")]];
    assert_eq!(content(&opaque, "a/b"), None);
    assert_eq!(content(&opaque, "a/c/d"), None);
    assert_eq!(content(&opaque, "a/e").as_deref(), Some("e"));
    assert_eq!(content(&opaque, "ab").as_deref(), Some("kept"));
}

#[test]
fn links_are_followed_inside_the_image() {
    let layers = [
        vec![Folder("usr/bin"), F("usr/bin/tool-1", "one"), Link("bin", "usr/bin"), Link("usr/bin/tool", "tool-1")],
        vec![F("bin/tool-2", "two"), Link("usr/bin/tool", "/bin/tool-2"), HardLink("same", "usr/bin/tool-2")],
    ];
    assert_eq!(content(&layers, "/bin/tool-1").as_deref(), Some("one"));
    assert_eq!(content(&layers, "/bin/tool").as_deref(), Some("two"));
    assert_eq!(content(&layers, "usr/bin/tool-2").as_deref(), Some("two"));
    assert_eq!(content(&layers, "same").as_deref(), Some("two"));
    // Never out of it.
    assert_eq!(content(&[vec![F("etc/passwd", "image"), Link("a", "../../../etc/passwd")]], "a").as_deref(), Some("image"));
    assert_eq!(content(&[vec![F("../escaped", "x"), F("b", "y")]], "escaped"), None);
    // Nor round in circles.
    let round = archive(&[Link("a", "b"), Link("b", "a"), F("a/c", "x")]);
    let mut view = View::default();
    view.add(round.as_slice()).unwrap();
    assert!(matches!(view.find(Path::new("a")), Err(LayerError::Links { .. })));
    assert!(matches!(view.find(Path::new("a/c")), Err(LayerError::Links { .. })));
}

#[test]
fn a_hard_link_is_the_file_of_its_time() {
    let layers = [vec![F("a", "old"), HardLink("b", "a")], vec![F("a", "new")]];
    assert_eq!(content(&layers, "b").as_deref(), Some("old"));
    assert_eq!(content(&[vec![HardLink("b", "nowhere")]], "b"), None);
}

#[test]
fn only_regular_files_count() {
    assert_eq!(content(&[vec![F("a", "x")], vec![Pipe("a")]], "a"), None);
    assert_eq!(content(&[vec![Folder("a")]], "a"), None);
    assert_eq!(content(&[], "a"), None);
}

#[test]
fn a_layer_that_breaks_off_is_an_error() {
    let whole = archive(&[F("a", "some content"), F("b", "more")]);
    for length in [100, 520, 700] {
        let mut view = View::default();
        assert!(matches!(view.add(&whole[..length]), Err(LayerError::Read { layer: 0, .. })), "{length}");
    }
}

const NAMES: [&str; 6] = ["a", "b", "a/a", "a/b", "b/a", "a/b/a"];

/// The same with plain files only, the obvious way.
fn model(layers: &[Vec<(usize, u8)>]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for (number, layer) in layers.iter().enumerate() {
        for (name, what) in layer {
            match what {
                0 => files.retain(|path, _| !below(path, NAMES[*name])),
                1 => files.retain(|path, _| !path.starts_with(&format!("{}/", NAMES[*name]))),
                _ => {}
            }
        }
        for (name, what) in layer {
            if *what > 1 {
                let path = NAMES[*name];
                // What was a folder is a file now, and what was a file on the way is a folder.
                files.retain(|other, _| !below(other, path) && !below(path, other));
                files.insert(path.to_owned(), format!("{number}:{what}"));
            }
        }
    }
    files
}

proptest! {
    #[test]
    fn layers_merge_as_the_obvious_way_does(layers in prop::collection::vec(prop::collection::vec((0..NAMES.len(), 0u8..5), 0..5), 0..5)) {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let items: Vec<Vec<Item>> = layers.iter().enumerate().map(|(number, layer)| {
            layer.iter().flat_map(|(name, what)| {
                let path = NAMES[*name];
                let (folder, last) = path.rsplit_once('/').map_or((String::new(), path), |(folder, last)| (format!("{folder}/"), last));
                // The folders on the way are said first, as every builder of images does.
                let on_the_way = (1..path.split('/').count()).map(|depth| {
                    Folder(leak(path.split('/').take(depth).collect::<Vec<_>>().join("/")))
                });
                match what {
                    0 => vec![F(leak(format!("{folder}.wh.{last}")), "")],
                    1 => vec![F(leak(format!("{path}/.wh..wh..opq")), "")],
                    _ => on_the_way.chain([F(path, leak(format!("{number}:{what}")))]).collect(),
                }
            }).collect()
        }).collect();
        let expected = model(&layers);
        for name in NAMES {
            prop_assert_eq!(content(&items, name), expected.get(name).cloned(), "{} in {:?}", name, items);
        }
    }
}
