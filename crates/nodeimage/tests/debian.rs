//! Real images by mmdebstrap: minutes, a Debian mirror, and root or ranges of user ids are needed, so `make node-image` runs them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::path::Path;
use std::process::Command;

use capstead_artifact::{FetchOptions, NoProgress, Source};
use capstead_image::pull::PullOptions;
use capstead_nodeimage::build::{Options, kernel, node};
use capstead_nodeimage::file::{Values, load};
use capstead_nodeimage::kernel::KernelSpec;
use capstead_nodeimage::modules;
use capstead_nodeimage::output::{OutputOptions, Written};

const FILE: &str = "
base: {debian: {suite: bookworm, exclude: [/usr/share/doc/*, /usr/share/man/*, /usr/share/locale/*]}}
packages: [systemd, systemd-sysv, kmod, catatonit]
kernel: {package: linux-image-cloud-amd64, drop: [drivers/gpu, drivers/net, sound]}
files: [{path: /etc/systemd/system/hello.service, content: \"[Service]\\nExecStart=/bin/echo hello\\n[Install]\\nWantedBy=multi-user.target\\n\"}]
units: {enable: [hello.service], mask: [getty@tty1.service]}
preload: archives
images: [{names: ['registry.k8s.io/pause:3.10.2'], files: [{root: /usr/bin/catatonit, path: /pause}], entrypoint: [/pause, -P]}]
";

fn options(folder: &Path) -> Options {
    Options { cache_root: folder.join("cache"), fetch: FetchOptions::default(), ..Options::default() }
}

async fn write(built: &capstead_nodeimage::output::Built, folder: &Path, name: &str) -> Written {
    let to = format!("oci:{}", folder.join(name).display()).parse().unwrap();
    built.write(&to, Some(folder), &OutputOptions::default(), &NoProgress).await.unwrap()
}

async fn build_node(folder: &Path) -> Written {
    let path = folder.join("node.yaml");
    std::fs::write(&path, FILE).unwrap();
    let mut loaded = load(Some(&path), "node", &Values::default()).unwrap();
    // Where it lies is said in the manifest.
    loaded.from = vec!["node.yaml".into()];
    let built = node(&loaded, "node", &options(folder), &NoProgress).await.unwrap();
    assert!(built.report().packages.iter().any(|package| package.name == "systemd"));
    assert!(built.report().kernel.as_deref().is_some_and(|kernel| kernel.ends_with("-cloud-amd64")));
    write(&built, folder, "node").await
}

#[tokio::test]
#[ignore = "takes minutes, and needs mmdebstrap and a Debian mirror"]
async fn a_node_built_twice_is_the_same() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = build_node(one.path()).await;
    let second = build_node(two.path()).await;
    assert_eq!(first.digest, second.digest);
    for (first, second) in first.documents.iter().zip(&second.documents) {
        assert_eq!(std::fs::read_to_string(first).unwrap(), std::fs::read_to_string(second).unwrap());
    }
}

/// What imports container images, built from its pinned modules.
const STORE: &str = "
extends: ./node.yaml
preload: store
binaries:
  - {name: containerd, version: v2.3.7, path: /usr/bin/containerd, go: {module: containerd-2.3, package: github.com/containerd/containerd/v2/cmd/containerd}}
  - {name: ctr, version: v2.3.7, path: /usr/bin/ctr, go: {module: containerd-2.3, package: github.com/containerd/containerd/v2/cmd/ctr}}
";

#[tokio::test]
#[ignore = "takes minutes, and needs mmdebstrap, a Debian mirror and Go"]
async fn container_images_are_in_containerds_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("node.yaml"), FILE).unwrap();
    let path = folder.path().join("store.yaml");
    std::fs::write(&path, STORE).unwrap();
    let loaded = load(Some(&path), "node", &Values::default()).unwrap();
    let mut options = options(folder.path());
    options.fetch.modules = modules().into();
    options.fetch.source = Source::Go;
    let built = node(&loaded, "node", &options, &NoProgress).await.unwrap();
    let written = write(&built, folder.path(), "node").await;
    let sbom = std::fs::read_to_string(&written.documents[1]).unwrap();
    assert!(sbom.contains("pkg:golang/github.com/containerd/containerd/v2@v2.3.7"));
    let store = capstead_image::store::Store::open(&folder.path().join("store")).unwrap();
    let reference = format!("oci:{}", folder.path().join("node").display()).parse().unwrap();
    let image = capstead_image::pull::pull(&store, &reference, &PullOptions::default(), &NoProgress).await.unwrap();
    let file = |path: &str| store.file(&image, path, capstead_image::Limits::default());
    // Unpacked, with its manifest, and without the archive of its layer.
    let root = "var/lib/containerd";
    assert!(file(&format!("{root}/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/pause")).is_ok());
    let digest = built.report().images[0].digest.hex().to_owned();
    assert!(file(&format!("{root}/io.containerd.content.v1.content/blobs/sha256/{digest}")).is_ok());
    assert!(file(&format!("{root}/io.containerd.grpc.v1.introspection/uuid")).is_err());
}

#[tokio::test]
#[ignore = "takes a minute, and needs mmdebstrap and a Debian mirror"]
async fn a_kernel_built_twice_is_the_same_and_can_be_read() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut digests = Vec::new();
    for folder in [one.path(), two.path()] {
        let built = kernel(&KernelSpec::default(), "kernel", &options(folder), &NoProgress).await.unwrap();
        assert_eq!(built.report().packages.len(), 2);
        digests.push(write(&built, folder, "kernel").await.digest);
    }
    assert_eq!(digests[0], digests[1]);
    // As the host takes its files out of it.
    let store = capstead_image::store::Store::open(&one.path().join("store")).unwrap();
    let reference = format!("oci:{}", one.path().join("kernel").display()).parse().unwrap();
    let image = capstead_image::pull::pull(&store, &reference, &PullOptions::default(), &NoProgress).await.unwrap();
    let file = |path: &str| store.file(&image, path, capstead_image::Limits::default()).unwrap();
    let vmlinux = std::fs::read(file("boot/vmlinux")).unwrap();
    assert!(vmlinux.starts_with(b"\x7fELF") && vmlinux.len() > 20 << 20);
    let initrd = file("boot/initrd");
    let unpacked = Command::new("gzip").arg("-dc").arg(initrd).output().unwrap();
    let unpacked = String::from_utf8_lossy(&unpacked.stdout).into_owned();
    for name in ["init", "bin/busybox", "modules/virtio_blk.ko", "modules/virtio_net.ko"] {
        assert!(unpacked.contains(&format!("{name}\0")), "{name}");
    }
}
