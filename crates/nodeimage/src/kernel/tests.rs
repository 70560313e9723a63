use std::io::Read;
use std::path::PathBuf;

use super::*;

/// What mmdebstrap's hook leaves: a kernel's and busybox's files.
fn parts(modules: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let mut layer = Layer::default();
    let kernel = {
        let mut encoder = flate2::write::GzEncoder::new(b"code".to_vec(), Compression::fast());
        encoder.write_all(b"\x7fELF kernel").unwrap();
        encoder.finish().unwrap()
    };
    layer.put("parts/boot/vmlinuz-6.1.0-1-cloud-amd64", Entry::bytes(kernel, 0o644));
    layer.put("parts/boot/config-6.1.0-1-cloud-amd64", Entry::bytes("CONFIG_X=y\n", 0o644));
    layer.put("parts/bin/busybox", Entry::bytes("busybox", 0o755));
    let folder = "parts/lib/modules/6.1.0-1-cloud-amd64";
    layer.put(&format!("{folder}/modules.builtin"), Entry::bytes("kernel/fs/ext4/ext4.ko\n", 0o644));
    for (path, depends) in modules {
        layer.put(&format!("{folder}/kernel/{path}"), Entry::bytes(format!("module\0license=GPL\0depends={depends}\0name=x\0"), 0o644));
    }
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("parts.tar");
    layer.write(&path, 0).unwrap();
    let root = Root::read(&[path], folder.path()).unwrap();
    (folder, root)
}

const MODULES: [(&str, &str); 5] = [
    ("drivers/virtio/virtio.ko", "virtio_ring"),
    ("drivers/virtio/virtio_ring.ko", ""),
    ("drivers/block/virtio_blk.ko", "virtio,virtio_ring"),
    ("drivers/net/net-failover.ko", ""),
    ("drivers/net/virtio_net.ko", "net_failover,virtio"),
];

fn spec(modules: &[&str]) -> KernelSpec {
    KernelSpec { modules: modules.iter().map(|name| (*name).to_owned()).collect(), ..KernelSpec::default() }
}

#[test]
fn modules_are_loaded_after_what_they_depend_on() {
    let (_folder, root) = parts(&MODULES);
    let initrd = initrd(&root, "6.1.0-1-cloud-amd64", &spec(&["virtio_net", "ext4", "virtio_blk"]).modules).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&initrd[..]).read_to_end(&mut plain).unwrap();
    let text = String::from_utf8_lossy(&plain);
    let order = "net_failover\nvirtio_ring\nvirtio\nvirtio_net\nvirtio_blk\n";
    assert!(text.contains(order), "{text}");
    // One that is built in is neither there nor loaded.
    assert!(!text.contains("ext4.ko"));
}

#[test]
fn the_kernel_itself_can_read_the_initrd() {
    let (_folder, root) = parts(&MODULES);
    let folder = tempfile::tempdir().unwrap();
    let made = layer(&root, &spec(&["virtio_blk"])).unwrap();
    assert_eq!(made.release, "6.1.0-1-cloud-amd64");
    for name in ["boot/vmlinuz", "boot/vmlinux", "boot/initrd", "boot/config"] {
        assert!(made.layer.contains(name), "{name}");
    }
    // Nothing depends on where and when.
    let again = layer(&root, &spec(&["virtio_blk"])).unwrap();
    let write = |layer: &Layer, name: &str| layer.write(&folder.path().join(name), 1_600_000_000).unwrap();
    assert_eq!(write(&made.layer, "a"), write(&again.layer, "b"));
    let Kind::File(content) = &made.layer.get("boot/initrd").unwrap().kind else { panic!() };
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&layer::read(content, LARGEST).unwrap()[..]).read_to_end(&mut plain).unwrap();
    let names = cpio_names(&plain);
    assert_eq!(
        names,
        [
            "bin",
            "dev",
            "modules",
            "proc",
            "root",
            "sys",
            "dev/console",
            "bin/busybox",
            "init",
            "modules/order",
            "modules/virtio_ring.ko",
            "modules/virtio.ko",
            "modules/virtio_blk.ko",
            "TRAILER!!!"
        ]
    );
}

/// Reads an archive as the kernel does, and fails where the kernel would.
fn cpio_names(mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(&bytes[..6], b"070701");
        let field = |at: usize| usize::from_str_radix(std::str::from_utf8(&bytes[6 + at * 8..14 + at * 8]).unwrap(), 16).unwrap();
        let (size, length) = (field(6), field(11));
        let name = std::str::from_utf8(&bytes[110..110 + length - 1]).unwrap().to_owned();
        let content = (110 + length).next_multiple_of(4);
        bytes = &bytes[(content + size).next_multiple_of(4).min(bytes.len())..];
        names.push(name);
    }
    names
}

#[test]
fn what_is_missing_is_named() {
    let (_folder, root) = parts(&MODULES);
    let error = layer(&root, &spec(&["virtio_gpu"])).unwrap_err();
    let source = std::error::Error::source(&error);
    assert_eq!(error.to_string(), "cannot make boot/initrd");
    assert_eq!(source.unwrap().to_string(), "the kernel has no module `virtio_gpu`, nor is it built in");
    let (_folder, packed) = parts(&[("drivers/block/virtio_blk.ko.zst", "")]);
    let error = initrd(&packed, "6.1.0-1-cloud-amd64", &spec(&["virtio_blk"]).modules).unwrap_err();
    assert!(matches!(error, KernelError::Module(ModuleError::Packed { .. })));
}

#[test]
fn the_init_is_one_that_a_shell_can_read() {
    let read = std::process::Command::new("sh").args(["-n", "-c", INIT]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
