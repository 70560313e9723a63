//! Images as folders of the OCI layout, made by hand for tests and benches.

#![allow(dead_code, reason = "not all who include this use all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// However a layer is packed: its content tells.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a part is named where it is asked for.
pub fn descriptor(bytes: &[u8], media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// `sha256:<hex>` of bytes.
fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The parts of an image by digest, and its manifest, which is one of them.
pub fn parts(layers: &[Vec<u8>]) -> (BTreeMap<String, Vec<u8>>, Vec<u8>) {
    let config = b"{}".to_vec();
    let named: Vec<Value> = layers.iter().map(|layer| descriptor(layer, LAYER)).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(&config, CONFIG), "layers": named });
    let manifest = manifest.to_string().into_bytes();
    let all = layers.iter().cloned().chain([config, manifest.clone()]);
    (all.map(|bytes| (digest(&bytes), bytes)).collect(), manifest)
}

/// A folder with an image of these layers.
pub fn write(folder: &Path, layers: &[Vec<u8>]) {
    write_with(folder, layers, |manifest| json!({ "schemaVersion": 2, "manifests": [descriptor(manifest, MANIFEST)] }));
}

/// The same, with an index of its own, made of the manifest.
pub fn write_with(folder: &Path, layers: &[Vec<u8>], index: impl FnOnce(&[u8]) -> Value) {
    let (parts, manifest) = parts(layers);
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    for (digest, bytes) in parts {
        fs::write(folder.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
    }
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), index(&manifest).to_string()).unwrap();
}
