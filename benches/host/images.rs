//! Images as folders of the OCI layout: one with a guest of a few instructions, one with a whole system.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use capstead_artifact::default_cache_root;
use capstead_vmm::guest;

use crate::Outcome;
use crate::layout;

/// Writes the greeting before it halts: mov $greeting, %esi; mov $16, %ecx; mov $0x3f8, %edx; rep outsb; cli; hlt, and back; the greeting.
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
    let kernel = guest::elf(&[CODE, guest::GREETING.as_bytes()].concat());
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(kernel.len() as u64);
    layer.append_data(&mut header, "vmlinux", &kernel[..])?;
    layout::write(&images.join("small"), &[layer.into_inner()?]);
    if let Some(file) = large() {
        layout::write(&images.join("large"), &[fs::read(file)?]);
    }
    Ok(images)
}
