//! Images as folders of the OCI layout: one with a guest of a few instructions, one with a whole system.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use capstead_artifact::default_cache_root;
use capstead_vmm::guest;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::Outcome;

/// What the guest writes before it halts.
pub const GREETING: &[u8] = b"capstead: alive\n";
/// mov $greeting, %esi; mov $16, %ecx; mov $0x3f8, %edx; rep outsb; cli; hlt, and back; the greeting.
const CODE: &[u8] = &[0xbe, 0xe5, 0x00, 0x10, 0x00, 0xb9, 16, 0, 0, 0, 0xba, 0xf8, 0x03, 0, 0, 0xf3, 0x6e, 0xfa, 0xf4, 0xeb, 0xfd];

/// The file system of a whole system, if the tests have made one.
pub fn large() -> Option<PathBuf> {
    let cache = default_cache_root()?.join("test-guest");
    let folders = fs::read_dir(cache).ok()?.filter_map(Result::ok);
    folders.map(|folder| folder.path().join("root.tar")).find(|file| file.exists())
}

/// The folder with the images `small` and, if it can be had, `large`.
pub fn make(dir: &Path) -> Outcome<PathBuf> {
    let images = dir.join("images");
    let kernel = guest::elf(&[CODE, GREETING].concat());
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(kernel.len() as u64);
    layer.append_data(&mut header, "vmlinux", &kernel[..])?;
    layout(&images.join("small"), &layer.into_inner()?)?;
    if let Some(file) = large() {
        layout(&images.join("large"), &fs::read(file)?)?;
    }
    Ok(images)
}

fn layout(folder: &Path, layer: &[u8]) -> Outcome<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |bytes: &[u8], media_type: &str| -> Outcome<serde_json::Value> {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(blobs.join(&hex), bytes)?;
        Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()}))
    };
    let layer = blob(layer, "application/vnd.oci.image.layer.v1.tar")?;
    let config = blob(br#"{"os":"linux","architecture":"amd64"}"#, "application/vnd.oci.image.config.v1+json")?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    let manifest = blob(manifest.to_string().as_bytes(), media_type)?;
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())?;
    Ok(fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?)
}
