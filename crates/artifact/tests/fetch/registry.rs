//! The CNCF distribution registry as a child process on loopback, and images made for it. It is built by this crate's own Go half.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use capstead_artifact::{Artifact, FetchOptions, GoModules, GoSource, NoProgress, Platform, Probe, Source, Store, default_cache_root};
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer, PushResponse};
use oci_client::manifest::{ImageIndexEntry, OciImageIndex, OciImageManifest, Platform as IndexPlatform};
use oci_client::secrets::RegistryAuth;
use sha2::{Digest, Sha256};

static MODULES: [GoModules; 1] = [GoModules::new(
    "test-registry",
    include_str!("../../../../tools/test-registry/go.mod"),
    include_str!("../../../../tools/test-registry/go.sum"),
)];

/// A running registry, stopped when dropped.
pub struct TestRegistry {
    process: Child,
    /// `127.0.0.1:<port>`.
    pub address: String,
    pub storage: PathBuf,
}

impl TestRegistry {
    /// Starts one with its storage in a folder.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, "").await
    }

    /// The same, with more configuration (YAML).
    pub async fn start_with(folder: &Path, more: &str) -> Self {
        Self::start_by(&[], folder, more).await
    }

    /// The same, by a command that runs another, such as nsenter.
    pub async fn start_by(by: &[&str], folder: &Path, more: &str) -> Self {
        let program = built().await;
        let storage = folder.join("registry");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{more}",
            storage.display()
        );
        fs::write(&config, text).unwrap();
        let mut words = by.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none").env("OTEL_SDK_DISABLED", "true");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the registry ended at once").unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ' ', ',']).next().unwrap().to_owned();
            }
        };
        // Its log must be read on, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, storage }
    }

    pub fn reference(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    /// Pushes an image of layers, each a media type and its bytes, and gives its manifest's digest.
    pub async fn push(&self, repository: &str, layers: Vec<ImageLayer>) -> String {
        let config = Config::oci_v1(b"{}".to_vec(), None);
        let manifest = OciImageManifest::build(&layers, &config, None);
        let reference = self.reference(repository).parse().unwrap();
        let pushed: PushResponse = client().push(&reference, &layers, config, &RegistryAuth::Anonymous, Some(manifest)).await.unwrap();
        pushed.manifest_url.rsplit('/').next().unwrap().to_owned()
    }

    /// Pushes an index of pushed images by platform.
    pub async fn push_index(&self, repository: &str, images: &[(&Platform, &str)]) {
        let mut manifests = Vec::new();
        for (platform, digest) in images {
            let text = self.manifest_text(digest);
            let json = serde_json::json!({ "os": platform.os, "architecture": platform.architecture });
            manifests.push(ImageIndexEntry {
                media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
                digest: (*digest).to_owned(),
                size: i64::try_from(text.len()).unwrap(),
                platform: Some(serde_json::from_value::<IndexPlatform>(json).unwrap()),
                annotations: None,
                artifact_type: None,
            });
        }
        let index = OciImageIndex {
            schema_version: 2,
            media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
            manifests,
            artifact_type: None,
            annotations: None,
        };
        client().push_manifest_list(&self.reference(repository).parse().unwrap(), &RegistryAuth::Anonymous, index).await.unwrap();
    }

    fn manifest_text(&self, digest: &str) -> Vec<u8> {
        fs::read(self.stored(digest)).unwrap()
    }

    /// The file in which the registry keeps a blob.
    pub fn stored(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The registry's binary, built once for every test on this machine.
async fn built() -> PathBuf {
    let artifact = Artifact {
        name: "registry".to_owned(),
        version: "v3.1.2".to_owned(),
        itself: false,
        probe: Some(Probe { args: vec!["--version".to_owned()], pattern: "{version}".to_owned() }),
        image: None,
        go: Some(GoSource {
            module: "test-registry".to_owned(),
            package: "github.com/distribution/distribution/v3/cmd/registry".to_owned(),
            ldflags: "-s -w -X github.com/distribution/distribution/v3/version.version={version}".to_owned(),
            cgo: false,
        }),
    };
    let options = FetchOptions { source: Source::Go, modules: (&MODULES[..]).into(), ..FetchOptions::default() };
    let store = Store::open(&default_cache_root().expect("a home folder")).unwrap();
    let fetched = store.fetch(&artifact, &options, &NoProgress).await.unwrap_or_else(|error| panic!("{error}"));
    fetched.path
}

fn client() -> Client {
    Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })
}

/// One entry of a layer.
pub enum Entry<'a> {
    Folder(&'a str),
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

/// A layer's archive.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        match entry {
            Entry::Folder(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, path, std::io::empty()).unwrap();
            }
            Entry::File(path, content) => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, path, *content).unwrap();
            }
            Entry::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, path, target).unwrap();
            }
            Entry::HardLink(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                archive.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    archive.into_inner().unwrap()
}

pub fn plain(archive: Vec<u8>) -> ImageLayer {
    ImageLayer::new(archive, "application/vnd.oci.image.layer.v1.tar".to_owned(), None)
}

pub fn gzip(archive: &[u8]) -> ImageLayer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(archive).unwrap();
    ImageLayer::new(encoder.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(), None)
}

pub fn zstd(archive: &[u8]) -> ImageLayer {
    let bytes = zstd::stream::encode_all(archive, 1).unwrap();
    ImageLayer::new(bytes, "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(), None)
}

/// `sha256:<hex>` of bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
