//! Whole builds, of small real parts: a base from a folder, programs from another.

use std::os::unix::fs::PermissionsExt;

use capstead_artifact::{NoProgress, Source};
use capstead_image::tree::{Kind as TreeKind, Tree};

use super::*;
use crate::layer::{Entry, Layer};
use crate::output::OutputOptions;

const STATUS: &str = "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n";

/// Folders of one machine: what is built from, and where it is cached.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        let mut base = Layer::default();
        for name in ["bin", "sbin", "lib"] {
            base.put(name, Entry::link(format!("usr/{name}")));
            base.put(&format!("usr/{name}"), Entry::folder());
        }
        base.put("var/lib/dpkg/status", Entry::bytes(STATUS, 0o644));
        base.put("usr/bin/catatonit", Entry::bytes("#!static", 0o755));
        base.put("etc/cloud/cloud.cfg.d/50.cfg", Entry::bytes("x", 0o644));
        base.put("usr/lib/systemd/system/ssh.service", Entry::bytes("[Install]\nWantedBy=multi-user.target\n", 0o644));
        let path = machine.path("base.tar");
        let written = base.write(&path, 1_500_000_000).unwrap();
        let about = About { epoch: 1_500_000_000, ..About::default() };
        let image = OciImage::new(&about, vec![LayerFile::plain(path.clone(), written, "base")]);
        image.write_layout(&machine.path("base"), &[]).unwrap();
        std::fs::create_dir(machine.path("bin")).unwrap();
        machine.program("kubelet", "kubelet 1");
        std::fs::write(machine.path("motd"), "welcome\n").unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn loaded(&self) -> Loaded {
        let text = format!(
            "base: {{image: 'oci:{}'}}\n\
             binaries: [{{name: kubelet, version: v1, path: /opt/bin/kubelet, go: {{module: m, package: p}}}}]\n\
             files: [{{path: /lib/systemd/system/kubelet.service, content: \"[Install]\\nWantedBy=multi-user.target\\n\"}}, {{path: /etc/motd, mode: '0600', owner: '1:2', source: {}}}]\n\
             folders: [/etc/kubernetes/manifests, /etc/cloud]\n\
             links: [{{path: /etc/resolv.conf, target: ../run/resolv.conf}}]\n\
             remove: [/etc/cloud/cloud.cfg.d, /nothing]\n\
             units: {{enable: [kubelet.service, ssh.service], mask: [apt.timer]}}\n\
             preload: archives\n\
             images: [{{names: ['a.io/pause:3'], files: [{{root: /usr/bin/catatonit, path: /pause}}]}}, {{names: ['a.io/kubelet:1'], files: [{{binary: kubelet, path: /kubelet}}]}}]\n",
            self.path("base").display(),
            self.path("motd").display()
        );
        let file: ImageFile = yaml_serde::from_str(&text).unwrap();
        assert_eq!(file.problems(), []);
        Loaded { file, from: vec!["test".into()] }
    }

    async fn build(&self) -> Result<Built, BuildError> {
        let fetch = FetchOptions { source: Source::Path, bin_dir: Some(self.path("bin")), ..FetchOptions::default() };
        let options = Options { cache_root: self.path("cache"), fetch, ..Options::default() };
        node(&self.loaded(), "node", &options, &NoProgress).await
    }

    /// The tree of an image that was built.
    async fn tree(&self, built: &Built) -> Tree {
        let layers: Vec<PathBuf> = built.image.layers.iter().map(|layer| layer.path.clone()).collect();
        let mut unpacker = capstead_image::unpack::Unpacker::new(io::sink(), capstead_image::Limits::default());
        layers.iter().for_each(|path| unpacker.layer(std::fs::File::open(path).unwrap()).unwrap());
        unpacker.finish().unwrap().0
    }
}

#[tokio::test]
async fn the_image_is_what_the_file_says() {
    let machine = Machine::new();
    let built = machine.build().await.unwrap();
    let tree = machine.tree(&built).await;
    let link = |path: &str| {
        let (folder, name) = path.rsplit_once('/').unwrap();
        match &tree.inode(tree.child(tree.find(folder).unwrap(), name).unwrap_or_else(|| panic!("no {path}"))).kind {
            TreeKind::Symlink(target) => target.clone(),
            other => panic!("{path} is {other:?}"),
        }
    };
    // The base's own links are still there, and what was put below them is where they lead.
    assert!(matches!(tree.inode(tree.child(Tree::ROOT, "lib").unwrap()).kind, TreeKind::Symlink(_)));
    assert!(tree.find("usr/lib/systemd/system/kubelet.service").is_ok());
    assert_eq!(link("etc/systemd/system/multi-user.target.wants/kubelet.service"), "/usr/lib/systemd/system/kubelet.service");
    assert_eq!(link("etc/systemd/system/multi-user.target.wants/ssh.service"), "/usr/lib/systemd/system/ssh.service");
    assert_eq!(link("etc/systemd/system/apt.timer"), "/dev/null");
    assert_eq!(link("etc/resolv.conf"), "../run/resolv.conf");
    assert!(tree.find("etc/cloud/cloud.cfg.d").is_err() && tree.find("etc/cloud").is_ok());
    assert_eq!(tree.children(tree.find("etc/kubernetes/manifests").unwrap()).count(), 0);
    let motd = &tree.inode(tree.find("etc/motd").unwrap()).meta;
    assert_eq!((motd.mode, motd.uid, motd.gid), (0o600, 1, 2));
    assert_eq!(tree.inode(tree.find("opt/bin/kubelet").unwrap()).meta.mode, 0o755);
    for path in ["var/lib/capstead/images/000.tar", "var/lib/capstead/images/001.tar", "usr/lib/capstead/import"] {
        assert!(tree.find(path).is_ok(), "{path}");
    }
    let report = built.report();
    assert_eq!(report.packages.len(), 1);
    assert_eq!(report.binaries[0].digest, Digest::of(b"kubelet 1"));
    assert_eq!(report.images.iter().flat_map(|image| image.names.clone()).collect::<Vec<_>>(), ["a.io/pause:3", "a.io/kubelet:1"]);
}

#[tokio::test]
async fn two_machines_build_the_same_layers_at_any_time() {
    let build = || async {
        let machine = Machine::new();
        // Times of what is built from say nothing.
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(std::process::id()));
        std::fs::File::open(machine.path("motd")).unwrap().set_modified(old).unwrap();
        let built = machine.build().await.unwrap();
        let layers: Vec<Digest> = built.image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        (layers, built.report().images.clone())
    };
    let (first, second) = (build().await, build().await);
    assert_eq!(first, second);
    assert_eq!(first.0.len(), 3);
}

#[tokio::test]
async fn what_is_in_the_cache_is_not_made_again() {
    let machine = Machine::new();
    let first = machine.build().await.unwrap();
    let made = |built: &Built| {
        let time = |layer: &LayerFile| std::fs::metadata(&layer.path).unwrap().modified().unwrap();
        built.image.layers.iter().map(time).collect::<Vec<_>>()
    };
    let times = made(&first);
    let second = machine.build().await.unwrap();
    assert_eq!(second.digest(), first.digest());
    assert_eq!(made(&second), times);
    // Another program is another image; the base and what is not of it stay.
    machine.program("kubelet", "kubelet 2");
    let third = machine.build().await.unwrap();
    assert_ne!(third.digest(), first.digest());
    assert_eq!(third.image.layers[0], first.image.layers[0]);
    assert_eq!(third.report().images[0], first.report().images[0]);
    assert_ne!(third.report().images[1], first.report().images[1]);
    let out = machine.path("out");
    let written = third.write(&format!("oci:{}", out.display()).parse().unwrap(), None, &OutputOptions::default(), &NoProgress).await;
    assert_eq!(written.unwrap().digest, third.digest());
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let machine = Machine::new();
    std::fs::remove_file(machine.path("motd")).unwrap();
    let error = machine.build().await.unwrap_err();
    assert!(
        error.to_string().starts_with("files[1].source names ") && error.to_string().ends_with("/motd, which cannot be read"),
        "{error}"
    );
    let machine = Machine::new();
    std::fs::remove_file(machine.path("bin/kubelet")).unwrap();
    assert!(matches!(machine.build().await, Err(BuildError::Fetch(_))));
    // Nothing half-made is left.
    let steps = std::fs::read_dir(machine.path("cache/node-image/work")).unwrap().count();
    assert_eq!(steps, 0);
}
