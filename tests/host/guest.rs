//! What the tests' guests run: a real Debian, made once for every test on this machine, and pushed to a real registry.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use capstead_artifact::default_cache_root;

use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;

/// How a guest is made: by a script, which takes the folder that it fills.
pub struct Recipe {
    /// Below this repository.
    pub script: &'static str,
    /// All that the outcome depends on.
    pub sources: &'static [&'static str],
}

/// A guest with just what most tests need.
pub const LEAN: Recipe = Recipe {
    script: "tests/host/guest.sh",
    sources: &[include_str!("guest.sh"), include_str!("initrd.sh"), include_str!("debian.sh"), include_str!("cloud.cfg")],
};

/// The folder with `root.tar`, `vmlinuz` and `initrd`, made if need be. Takes the network, so call it before going into a namespace.
pub fn made(recipe: &Recipe) -> PathBuf {
    let digest = registry::digest(recipe.sources.concat().as_bytes());
    let cache = default_cache_root().expect("a home folder").join("test-guest");
    let folder = cache.join(&digest["sha256:".len()..][..16]);
    if !folder.join("root.tar").exists() {
        // Beside its place, and renamed once it is whole.
        fs::create_dir_all(&cache).unwrap();
        let new = tempfile::tempdir_in(&cache).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(recipe.script);
        let made = Command::new("bash").arg(script).arg(new.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let _ = fs::remove_dir_all(&folder);
        fs::rename(new.keep(), &folder).unwrap();
    }
    folder
}

/// Pushes it, as two images: `guest/root` and `guest/kernel`.
pub async fn push(registry: &TestRegistry, folder: &Path) {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let (kernel, initrd) = (read("vmlinuz"), read("initrd"));
    let boot = registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinuz", &kernel), Entry::File("boot/initrd", &initrd)]);
    registry.push("guest/kernel:1", vec![registry::gzip(&boot)]).await;
    // Uncompressed: how layers are packed is a matter of the image crate's own tests.
    registry.push("guest/root:1", vec![registry::plain(read("root.tar"))]).await;
}
