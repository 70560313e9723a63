//! Images out of folders, archives and files of this host.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::files::{Files, regular};
use super::{PullError, PullOptions, finish, unreadable};
use crate::clone::copy_whole;
use crate::digest::Hashing;
use crate::reference::Reference;
use crate::store::{Descriptor, Expected, Image, LARGEST_MANIFEST, Lock, Manifest, Store, StoreError, Stored, Work};

/// How many indexes may be in one another.
const MOST_INDEXES: usize = 4;
/// The tag's place in an index.
const TAG: &str = "org.opencontainers.image.ref.name";

/// An index of images.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<IndexEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Option<IndexPlatform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct IndexPlatform {
    os: String,
    architecture: String,
}

/// An image in what `docker save` writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

pub(super) fn import(store: &Store, reference: &Reference, options: &PullOptions, held: (Lock, Work)) -> Result<Image, PullError> {
    let (_lock, work) = held;
    let name = reference.to_string();
    let import = Import { store, options, work: &work, name: &name };
    match reference {
        Reference::OciLayout { path, tag } => import.layout(&Files::Folder(path.clone()), tag.as_deref()),
        Reference::OciArchive { path, tag } => import.layout(&Files::archive(path, &work, options.limits)?, tag.as_deref()),
        Reference::DockerArchive { path, tag } => import.docker(&Files::archive(path, &work, options.limits)?, tag.as_deref()),
        Reference::File { path } => import.file(path),
        Reference::Registry(_) => Err(PullError::Stopped { reference: name.clone() }),
    }
}

struct Import<'a> {
    store: &'a Store,
    options: &'a PullOptions,
    work: &'a Work,
    name: &'a str,
}

impl Import<'_> {
    fn stored(&self, source: StoreError) -> PullError {
        PullError::Store { reference: self.name.to_owned(), source }
    }

    /// Takes in a part of an image.
    fn part(&self, files: &Files, name: &str, expected: Option<&Expected>) -> Result<Descriptor, PullError> {
        if let Some(Expected { digest, size }) = expected
            && self.store.has_blob(digest)
        {
            return Ok(Descriptor { media_type: String::new(), digest: digest.clone(), size: *size });
        }
        let put = self.store.put_blob(self.work, files.open(name)?, expected);
        put.map(|(digest, size)| Descriptor { media_type: String::new(), digest, size }).map_err(|error| self.stored(error))
    }

    /// A file of the layout that a descriptor names, whole and right.
    fn document(&self, files: &Files, descriptor: &Descriptor) -> Result<Vec<u8>, PullError> {
        let text = files.read(&blob(descriptor), LARGEST_MANIFEST)?;
        let expected = Expected { digest: descriptor.digest.clone(), size: descriptor.size };
        crate::store::check(&expected, &crate::Digest::of(&text), text.len() as u64).map_err(|error| self.stored(error))?;
        Ok(text)
    }

    fn layout(&self, files: &Files, tag: Option<&str>) -> Result<Image, PullError> {
        let index = |text: &[u8], what: &str| -> Result<Index, PullError> {
            serde_json::from_slice(text).map_err(|error| files.wrong(format!("{what} cannot be read: {error}")))
        };
        let mut entries = index(&files.read("index.json", LARGEST_MANIFEST)?, "index.json")?.manifests;
        if let Some(tag) = tag {
            let tags: Vec<String> = entries.iter().filter_map(|entry| entry.annotations.get(TAG).cloned()).collect();
            entries.retain(|entry| entry.annotations.get(TAG).is_some_and(|name| name == tag || name.ends_with(&format!(":{tag}"))));
            if entries.is_empty() {
                return Err(files.wrong(format!("it has no image tagged {tag}, only: {}", tags.join(", "))));
            }
        }
        for _ in 0..MOST_INDEXES {
            let chosen = self.choose(files, &entries)?;
            let text = self.document(files, &chosen.descriptor)?;
            if !chosen.descriptor.media_type.contains("index") && !chosen.descriptor.media_type.contains("manifest.list") {
                return self.manifest(files, &text);
            }
            entries = index(&text, chosen.descriptor.digest.hex())?.manifests;
        }
        Err(files.wrong("its indexes lead to further ones without end"))
    }

    /// The one image that is meant: the only one there is, or the only one for the platform.
    fn choose(&self, files: &Files, entries: &[IndexEntry]) -> Result<IndexEntry, PullError> {
        let platform = &self.options.platform;
        let wanted = IndexPlatform { os: platform.os.clone(), architecture: platform.architecture.clone() };
        let mut fitting = entries.iter().filter(|entry| entry.platform.as_ref().is_none_or(|platform| *platform == wanted));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(files.wrong(format!("it has no image for {platform}"))),
            (Some(_), Some(_)) => Err(files.wrong("it has several images: name one by its tag, after another `:`")),
        }
    }

    fn manifest(&self, files: &Files, text: &[u8]) -> Result<Image, PullError> {
        let manifest = Manifest::parse(text, "the manifest").map_err(|error| self.stored(error))?;
        let (size, limit) = (manifest.size(), self.options.limits.bytes);
        if size > limit {
            return Err(PullError::TooLarge { reference: self.name.to_owned(), size, limit });
        }
        for part in manifest.parts() {
            self.part(files, &blob(part), Some(&Expected { digest: part.digest.clone(), size: part.size }))?;
        }
        finish(self.store, self.work, self.name, text, size).map_err(|error| self.stored(error))
    }

    fn docker(&self, files: &Files, tag: Option<&str>) -> Result<Image, PullError> {
        let text = files.read("manifest.json", LARGEST_MANIFEST)?;
        let images: Vec<DockerImage> =
            serde_json::from_slice(&text).map_err(|error| files.wrong(format!("manifest.json cannot be read: {error}")))?;
        let tagged =
            |image: &&DockerImage| tag.is_none_or(|tag| image.repo_tags.iter().flatten().any(|name| name.ends_with(&format!(":{tag}"))));
        let mut fitting = images.iter().filter(tagged);
        let image = match (fitting.next(), fitting.next()) {
            (Some(only), None) => only,
            (None, _) => return Err(files.wrong("it has no such image")),
            (Some(_), Some(_)) => return Err(files.wrong("it has several images: name one by its tag, after another `:`")),
        };
        let typed = |descriptor: Descriptor, media_type: &str| Descriptor { media_type: media_type.to_owned(), ..descriptor };
        let config = typed(self.part(files, &image.config, None)?, "application/vnd.oci.image.config.v1+json");
        let mut layers = Vec::new();
        for layer in &image.layers {
            layers.push(typed(self.part(files, layer, None)?, "application/vnd.oci.image.layer.v1.tar"));
        }
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let manifest = Manifest { schema_version: 2, media_type, config, layers };
        let text = serde_json::to_vec(&manifest).map_err(|error| files.wrong(error.to_string()))?;
        finish(self.store, self.work, self.name, &text, manifest.size()).map_err(|error| self.stored(error))
    }

    /// Takes in a raw file, with its holes. What is hashed is the copy, which nobody else writes to.
    fn file(&self, path: &Path) -> Result<Image, PullError> {
        let from = regular(path)?;
        let copy = self.work.path().join("file");
        let at = |error| self.stored(StoreError::at(&copy, error));
        let to = File::options().read(true).write(true).create_new(true).open(&copy).map_err(at)?;
        copy_whole(&from, &to).map_err(at)?;
        let mut stream = Hashing::new(File::open(&copy).map_err(at)?);
        io::copy(&mut stream, &mut io::sink()).map_err(unreadable(&copy))?;
        let (digest, size) = stream.finish();
        self.store.take_in(&copy, &self.store.blob_path(&digest)).map_err(|error| self.stored(error))?;
        let image = Image::new(self.name.to_owned(), Stored::File { blob: digest }, size);
        self.store.put(&image).map_err(|error| self.stored(error))?;
        Ok(image)
    }
}

/// Where a layout has a part. A digest is safe as a name.
fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest.hex())
}
