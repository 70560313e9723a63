//! Layers made by hand, for tests.

use std::io::Write;

use tar::{EntryType, Header};

/// A layer's archive in the making. Names are written as they are, whatever they are.
#[derive(Default)]
pub(crate) struct Layer(Vec<u8>);

impl Layer {
    pub(crate) fn raw(mut self, kind: EntryType, path: &str, link: &str, content: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(1000);
        header.set_gid(100);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.raw(EntryType::Directory, path, "", b"", |_| {})
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.raw(EntryType::Regular, path, "", content, |_| {})
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, path, target, b"", |_| {})
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.raw(EntryType::Link, path, target, b"", |_| {})
    }

    /// A PAX header for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            // The length counts its own digits.
            let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
            write!(text, "{length} {key}=").unwrap();
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.raw(EntryType::XHeader, "pax", "", &text, |_| {})
    }

    pub(crate) fn tar(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    pub(crate) fn gzip(self) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.tar()).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn zstd(self) -> Vec<u8> {
        zstd::stream::encode_all(&self.tar()[..], 1).unwrap()
    }
}

/// A layer of 10 MB that holds one file of 10 GB of zeros.
pub(crate) fn bomb() -> Vec<u8> {
    const PART: usize = 100_000_000;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut header = Header::new_gnu();
    header.set_path("bomb").unwrap();
    header.set_size(100 * PART as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    // What gzip packs one after another unpacks as one; 10 GB are a multiple of tar's blocks.
    let zeros = pack(&vec![0; PART]);
    let mut bomb = pack(header.as_bytes());
    (0..100).for_each(|_| bomb.extend_from_slice(&zeros));
    bomb.extend(pack(&[0; 1024]));
    bomb
}

/// Puts an image of layers into a store, as if it had been pulled.
pub(crate) fn image(store: &crate::store::Store, reference: &str, layers: &[Vec<u8>]) -> crate::store::Image {
    use crate::store::{Descriptor, Image, Manifest, Stored};
    let lock = store.lock("test").unwrap();
    let work = store.work(&lock).unwrap();
    let part = |bytes: &[u8]| {
        let (digest, size) = store.put_blob(&work, bytes, None).unwrap();
        Descriptor { media_type: String::new(), digest, size }
    };
    let config = part(b"{}");
    let layers = layers.iter().map(|layer| part(layer)).collect();
    let manifest = Manifest { schema_version: 2, media_type: String::new(), config, layers };
    let text = serde_json::to_vec(&manifest).unwrap();
    let digest = part(&text).digest;
    let image = Image::new(reference.to_owned(), Stored::Image { manifest: digest }, manifest.size());
    store.put(&image).unwrap();
    image
}

/// Asks debugfs, and fails when it complains.
pub(crate) fn debugfs(disk: &std::path::Path, request: &str) -> String {
    let output = std::process::Command::new("debugfs").args(["-R", request]).arg(disk).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    // Its first line is its version.
    assert!(output.status.success() && complaint.lines().count() <= 1, "{request}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fails unless e2fsck finds nothing wrong.
pub(crate) fn fsck(disk: &std::path::Path) {
    let output = std::process::Command::new("e2fsck").arg("-fn").arg(disk).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
