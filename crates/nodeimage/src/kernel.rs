//! An image with a kernel for microVMs: Debian's for clouds, taken out of its package and installed nowhere.
//!
//! ```text
//! boot/vmlinuz   what QEMU starts
//! boot/vmlinux   the same, uncompressed: what Firecracker and Cloud Hypervisor start
//! boot/initrd    busybox, the modules that a root file system's disk needs, and a small init
//! boot/config    what the kernel was built with
//! ```

use std::io::{self, Write};

use capstead_artifact::Platform;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::file::Problem;
use crate::layer::{self, Entry, Kind, Layer};
use crate::root::Root;
use cpio::{Cpio, Node};

mod cpio;
mod modules;
#[cfg(test)]
mod tests;
pub mod vmlinux;

pub use modules::ModuleError;
pub use vmlinux::VmlinuxError;

const INIT: &str = include_str!("kernel/init.sh");
/// Where mmdebstrap's hook puts what it takes out of packages.
const PARTS: &str = "parts";
/// The largest file taken out of a package, in bytes.
const LARGEST: u64 = 512 << 20;

/// Which kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KernelSpec {
    /// The Debian release.
    pub suite: String,
    /// Where its packages are; without any, what mmdebstrap takes by itself.
    pub mirrors: Vec<String>,
    /// The kernel's package, or the one that always depends on the newest.
    pub package: String,
    /// The modules in the initrd. What they depend on comes along.
    pub modules: Vec<String>,
    /// No file is newer than this: seconds since 1970.
    pub epoch: u64,
}

impl Default for KernelSpec {
    fn default() -> Self {
        // Disk and network of microVMs, and file systems of seed disks.
        let modules = ["virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "vfat", "nls_cp437", "nls_ascii", "isofs"];
        Self {
            suite: "bookworm".to_owned(),
            mirrors: Vec::new(),
            package: "linux-image-cloud-amd64".to_owned(),
            modules: modules.map(str::to_owned).to_vec(),
            epoch: crate::plan::DEFAULT_EPOCH,
        }
    }
}

/// Why there is no image of a kernel.
#[derive(Debug, Error)]
pub enum KernelError {
    /// There is no uncompressed kernel as others want it.
    #[error("images of kernels are made for linux/amd64, not for {platform}: elsewhere the VMMs take another form than ELF")]
    Platform {
        /// What was asked for.
        platform: Platform,
    },
    /// It breaks rules.
    #[error("the kernel cannot be built:{}", problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Rules {
        /// Which.
        problems: Vec<Problem>,
    },
    /// What the packages should have is not there.
    #[error("the packages have no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// The kernel cannot be uncompressed.
    #[error("cannot make boot/vmlinux of {file}")]
    Vmlinux {
        /// The kernel's file.
        file: String,
        /// Why.
        source: VmlinuxError,
    },
    /// A module cannot be had.
    #[error("cannot make boot/initrd")]
    Module(#[from] ModuleError),
    /// A file cannot be read or written.
    #[error("cannot make the image of the kernel")]
    Io(#[from] io::Error),
}

/// What a layer was made of.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) layer: Layer,
    /// The kernel's release, as `uname -r` says it.
    pub(crate) release: String,
}

/// Makes the layer from the packages' files.
pub(crate) fn layer(root: &Root, spec: &KernelSpec) -> Result<Made, KernelError> {
    let names = root.names(&format!("{PARTS}/boot"));
    let file = names.iter().find(|name| name.starts_with("vmlinuz-")).ok_or(KernelError::Missing { what: "boot/vmlinuz-*" })?;
    let release = file.trim_start_matches("vmlinuz-").to_owned();
    let kernel = bytes(root, &format!("{PARTS}/boot/{file}"))?.ok_or(KernelError::Missing { what: "boot/vmlinuz-*" })?;
    let vmlinux = vmlinux::extract(&kernel).map_err(|source| KernelError::Vmlinux { file: file.clone(), source })?;
    let initrd = initrd(root, &release, &spec.modules)?;
    let mut layer = Layer::default();
    layer.put("boot/vmlinuz", Entry::bytes(kernel, 0o644));
    layer.put("boot/vmlinux", Entry::bytes(vmlinux, 0o644));
    layer.put("boot/initrd", Entry::bytes(initrd, 0o644));
    if let Some(config) = bytes(root, &format!("{PARTS}/boot/config-{release}"))? {
        layer.put("boot/config", Entry::bytes(config, 0o644));
    }
    Ok(Made { layer, release })
}

fn bytes(root: &Root, path: &str) -> io::Result<Option<Vec<u8>>> {
    match root.find(path).map(|entry| entry.kind) {
        Some(Kind::File(content)) => layer::read(&content, LARGEST).map(Some),
        _ => Ok(None),
    }
}

fn initrd(root: &Root, release: &str, wanted: &[String]) -> Result<Vec<u8>, KernelError> {
    let busybox = ["usr/bin/busybox", "bin/busybox"].iter().find_map(|path| bytes(root, &format!("{PARTS}/{path}")).transpose());
    let busybox = busybox.ok_or(KernelError::Missing { what: "busybox" })??;
    let folder = format!("{PARTS}/lib/modules/{release}");
    let folder = if root.names(&folder).is_empty() { format!("{PARTS}/usr/lib/modules/{release}") } else { folder };
    let built_in = root.text(&format!("{folder}/modules.builtin")).unwrap_or_default();
    let files = module_files(root, &folder);
    let mut failed = None;
    let ordered = modules::ordered(wanted, &mut |name| {
        let of = |path: &str| modules::plain(path.rsplit('/').next().unwrap_or_default().split(".ko").next().unwrap_or_default());
        let Some(path) = files.iter().find(|path| of(path) == name) else {
            let is_built_in = built_in.lines().any(|line| of(line) == name);
            return if is_built_in { Ok(None) } else { Err(ModuleError::NotFound { name: name.to_owned() }) };
        };
        let packed = || ModuleError::Packed { name: name.to_owned(), file: path.clone() };
        match bytes(root, path) {
            Ok(Some(bytes)) if path.ends_with(".ko") => Ok(Some(bytes)),
            Ok(Some(bytes)) if path.ends_with(".xz") => vmlinux::unxz(&bytes).map(Some).map_err(|_| packed()),
            Ok(_) => Err(packed()),
            Err(error) => {
                failed = Some(error);
                Err(packed())
            }
        }
    });
    let modules = match (ordered, failed) {
        (_, Some(error)) => return Err(error.into()),
        (ordered, None) => ordered?,
    };
    let order: String = modules.iter().map(|(name, _)| format!("{name}\n")).collect();

    let mut cpio = Cpio::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    for folder in ["bin", "dev", "modules", "proc", "root", "sys"] {
        cpio.put(folder, Node::Folder)?;
    }
    // Where the init's own words go before /dev is there.
    cpio.put("dev/console", Node::CharDevice { major: 5, minor: 1 })?;
    cpio.put("bin/busybox", Node::File { bytes: &busybox, mode: 0o755 })?;
    cpio.put("init", Node::File { bytes: INIT.as_bytes(), mode: 0o755 })?;
    cpio.put("modules/order", Node::File { bytes: order.as_bytes(), mode: 0o644 })?;
    for (name, bytes) in &modules {
        cpio.put(&format!("modules/{name}.ko"), Node::File { bytes, mode: 0o644 })?;
    }
    let mut packed = cpio.finish()?;
    packed.flush()?;
    Ok(packed.finish()?)
}

/// The paths of all modules.
fn module_files(root: &Root, folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut todo = vec![format!("{folder}/kernel")];
    while let Some(folder) = todo.pop() {
        for name in root.names(&folder) {
            let path = format!("{folder}/{name}");
            if name.contains(".ko") { files.push(path) } else { todo.push(path) }
        }
    }
    files.sort();
    files
}
