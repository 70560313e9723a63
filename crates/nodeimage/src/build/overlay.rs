//! What is put upon the base: files, programs, links, units.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{BuildError, Fetched};
use crate::file::{FileEntry, Link, Units};
use crate::layer::{self, Content, Entry, Kind, Layer};
use crate::root::{Root, RootError};
use crate::units::{self, Change};

/// What goes into the layer.
pub(super) struct Overlay<'a> {
    pub(super) folders: &'a [String],
    pub(super) files: &'a [FileEntry],
    pub(super) links: &'a [Link],
    pub(super) remove: &'a [String],
    pub(super) units: &'a Units,
    /// Name and path.
    pub(super) binaries: &'a [(String, String)],
}

impl Overlay<'_> {
    pub(super) fn layer(&self, root: &Root, fetched: &BTreeMap<String, Fetched>) -> Result<Layer, BuildError> {
        let mut layer = Layer::default();
        for path in self.remove {
            // What is not there need not go.
            if root.find(path).is_some() {
                layer.hide(&root.resolve(path)?.0);
            }
        }
        for path in self.folders {
            // One that is there stays as it is.
            if root.find(path).is_none() {
                put(&mut layer, root, path, Entry::folder())?;
            }
        }
        for (name, path) in self.binaries {
            if let Some(binary) = fetched.get(name) {
                put(&mut layer, root, path, Entry::new(Kind::File(Content::Path(binary.path.clone())), 0o755))?;
            }
        }
        for file in self.files {
            let content = match (&file.content, &file.source) {
                (Some(text), _) => Content::Bytes(text.clone().into_bytes()),
                (None, Some(source)) => Content::Path(PathBuf::from(source)),
                (None, None) => continue,
            };
            let entry = Entry { owner: file.owner_ids(), ..Entry::new(Kind::File(content), file.mode_bits()) };
            put(&mut layer, root, &file.path, entry)?;
        }
        for link in self.links {
            put(&mut layer, root, &link.path, Entry::link(&link.target))?;
        }
        let changes = {
            let text = |path: &str| own_text(&layer, path).or_else(|| root.text(path));
            units::changes(self.units, text, |folder| root.names(folder))?
        };
        for change in changes {
            match change {
                Change::Link(path, target) => put(&mut layer, root, &path, Entry::link(target))?,
                Change::Remove(path) => layer.hide(&path),
            }
        }
        Ok(layer)
    }
}

fn own_text(layer: &Layer, path: &str) -> Option<String> {
    match &layer.get(path)?.kind {
        Kind::File(content) => layer::read(content, 1 << 20).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}

/// Puts an entry where the base's links lead, and makes the folders that the base has not.
fn put(layer: &mut Layer, root: &Root, path: &str, entry: Entry) -> Result<(), RootError> {
    let (place, missing) = root.resolve(path)?;
    for folder in missing {
        if !layer.contains(&folder) {
            layer.put_alone(&folder, Entry::folder());
        }
    }
    layer.put_alone(&place, entry);
    Ok(())
}
