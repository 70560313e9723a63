//! Images out of layers: configuration, manifest, and the forms in which images are handed on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use capstead_artifact::Platform;
use capstead_image::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::layer::{Content, Entry, Hashing, Kind, Layer, Written};

#[cfg(test)]
mod tests;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How layers are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: quickest where the image stays on this machine.
    #[default]
    None,
    /// By zstd.
    Zstd,
}

/// One layer as it is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerFile {
    pub(crate) path: PathBuf,
    pub(crate) media_type: String,
    /// Of the file.
    pub(crate) written: Written,
    /// Of the archive in it.
    pub(crate) diff_id: Digest,
    /// What made it, for the history.
    pub(crate) made_by: String,
}

impl LayerFile {
    pub(crate) fn plain(path: PathBuf, written: Written, made_by: impl Into<String>) -> Self {
        Self { path, media_type: LAYER.to_owned(), diff_id: written.digest.clone(), written, made_by: made_by.into() }
    }

    /// The same layer, compressed into a file of the folder. One that is compressed already stays as it is.
    pub(crate) fn compressed(self, compression: Compression, folder: &Path) -> io::Result<Self> {
        if compression == Compression::None || self.media_type != LAYER {
            return Ok(self);
        }
        let path = folder.join(format!("{}.zst", self.diff_id.hex()));
        let mut encoder = zstd::stream::Encoder::new(Hashing::new(File::create(&path)?), 3)?;
        io::copy(&mut File::open(&self.path)?, &mut encoder)?;
        let (file, written) = encoder.finish()?.finish();
        file.sync_all()?;
        Ok(Self { path, media_type: format!("{LAYER}+zstd"), written, ..self })
    }
}

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) platform: Platform,
    pub(crate) epoch: u64,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) user: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// An image: its documents, and where its layers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OciImage {
    pub(crate) layers: Vec<LayerFile>,
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl OciImage {
    pub(crate) fn new(about: &About, layers: Vec<LayerFile>) -> Self {
        let created = Timestamp::from_second(i64::try_from(about.epoch).unwrap_or_default()).unwrap_or_default().to_string();
        let mut run = serde_json::Map::new();
        let mut set = |key: &str, value: Value, empty: bool| {
            if !empty {
                run.insert(key.to_owned(), value);
            }
        };
        set("Entrypoint", json!(about.entrypoint), about.entrypoint.is_empty());
        set("Cmd", json!(about.command), about.command.is_empty());
        set("Env", json!(about.environment), about.environment.is_empty());
        set("User", json!(about.user), about.user.is_empty());
        set("Labels", json!(about.labels), about.labels.is_empty());
        let history: Vec<Value> = layers.iter().map(|layer| json!({"created": created, "created_by": layer.made_by})).collect();
        let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
        let config = text(&json!({
            "created": created,
            "architecture": about.platform.architecture,
            "os": about.platform.os,
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        }));
        Self::of(layers, config)
    }

    fn of(layers: Vec<LayerFile>, config: Vec<u8>) -> Self {
        let descriptors: Vec<Value> =
            layers.iter().map(|layer| descriptor(&layer.media_type, &layer.written.digest, layer.written.size)).collect();
        let manifest = text(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &Digest::of(&config), config.len() as u64),
            "layers": descriptors,
        }));
        Self { layers, config, manifest }
    }

    /// The same image with its layers packed in another way.
    pub(crate) fn with_layers(&self, layers: Vec<LayerFile>) -> Self {
        Self::of(layers, self.config.clone())
    }

    /// What the image is known by.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Bytes of all its layers.
    pub(crate) fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.written.size).sum()
    }

    /// The index of a layout that holds this image alone, under those names.
    fn index(&self, names: &[String]) -> Vec<u8> {
        let mut entry = descriptor(MANIFEST, &self.digest(), self.manifest.len() as u64);
        let entries: Vec<Value> = if names.is_empty() {
            vec![entry]
        } else {
            let named = |name: &String| {
                let tag = name.rsplit_once(':').map_or(name.as_str(), |(_, tag)| tag);
                entry["annotations"] = json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag});
                entry.clone()
            };
            names.iter().map(named).collect()
        };
        text(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
    }

    /// The files of a layout, in an order that does not change.
    fn layout(&self, names: &[String]) -> Vec<(String, Content)> {
        let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        let mut files = BTreeMap::from([
            (blob(&self.digest()), Content::Bytes(self.manifest.clone())),
            (blob(&Digest::of(&self.config)), Content::Bytes(self.config.clone())),
            ("index.json".to_owned(), Content::Bytes(self.index(names))),
            ("oci-layout".to_owned(), Content::Bytes(br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())),
        ]);
        files.extend(self.layers.iter().map(|layer| (blob(&layer.written.digest), Content::Path(layer.path.clone()))));
        files.into_iter().collect()
    }

    /// Writes a layout's folder, in place of a layout that was there. It has its name when it is whole.
    pub(crate) fn write_layout(&self, folder: &Path, names: &[String]) -> io::Result<()> {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let unfinished = tempfile::Builder::new().prefix(".capstead-").tempdir_in(parent)?;
        fs::create_dir_all(unfinished.path().join("blobs/sha256"))?;
        for (name, content) in self.layout(names) {
            let path = unfinished.path().join(name);
            match content {
                Content::Path(from) => drop(fs::copy(from, &path)?),
                other => fs::write(&path, crate::layer::read(&other, u64::MAX)?)?,
            }
            File::open(&path)?.sync_all()?;
        }
        replaceable(folder)?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let path = unfinished.keep();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs::rename(&path, folder)
    }

    /// Writes a layout as one archive.
    pub(crate) fn write_archive(&self, path: &Path, names: &[String]) -> io::Result<Written> {
        whole(path, |unfinished| archive(self.layout(names)).write(unfinished, 0))
    }

    /// Writes what `docker save` writes.
    pub(crate) fn write_docker_archive(&self, path: &Path, names: &[String]) -> io::Result<Written> {
        let config = format!("{}.json", Digest::of(&self.config).hex());
        let layer = |layer: &LayerFile| format!("{}.tar", layer.diff_id.hex());
        let names_of: Vec<String> = self.layers.iter().map(layer).collect();
        let mut files = vec![
            ("manifest.json".to_owned(), Content::Bytes(text(&json!([{"Config": config, "RepoTags": names, "Layers": names_of}])))),
            (config, Content::Bytes(self.config.clone())),
        ];
        files.extend(self.layers.iter().map(|it| (layer(it), Content::Path(it.path.clone()))));
        whole(path, |unfinished| archive(files).write(unfinished, 0))
    }
}

/// Refuses a folder that holds something else than a layout: that is not ours to replace.
pub(crate) fn replaceable(folder: &Path) -> io::Result<()> {
    let ours = !folder.exists() || folder.join("oci-layout").is_file() || fs::read_dir(folder)?.next().is_none();
    if ours {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder holds something that is no OCI layout"))
}

fn archive(files: Vec<(String, Content)>) -> Layer {
    let mut layer = Layer::default();
    for (name, content) in files {
        layer.put(&name, Entry::new(Kind::File(content), 0o644));
    }
    layer
}

/// Writes a file so that its name only ever stands for the whole of it.
fn whole(path: &Path, write: impl FnOnce(&Path) -> io::Result<Written>) -> io::Result<Written> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let unfinished = tempfile::Builder::new().prefix(".capstead-").tempfile_in(parent)?;
    let written = write(unfinished.path())?;
    fs::set_permissions(unfinished.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    unfinished.persist(path).map_err(|error| error.error)?;
    Ok(written)
}

/// Writes a document beside an image.
pub(crate) fn write_document(path: &Path, bytes: &[u8]) -> io::Result<()> {
    whole(path, |unfinished| {
        let mut file = Hashing::new(File::create(unfinished)?);
        file.write_all(bytes)?;
        Ok(file.finish().1)
    })
    .map(drop)
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// JSON whose keys are sorted, so that the same content has the same bytes.
fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
