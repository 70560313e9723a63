use std::thread;

use super::*;
use crate::Limits;
use crate::testing::{Layer, debugfs, fsck, image};

mod hostile;

fn layers() -> Vec<Vec<u8>> {
    vec![
        Layer::default().file("etc/hostname", b"old\n").file("boot/vmlinux-6", b"kernel").link("vmlinux", "boot/vmlinux-6").gzip(),
        Layer::default().file("etc/hostname", b"new\n").zstd(),
    ]
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Every file but locks, and the sum of their lengths.
fn files(store: &Store) -> Vec<PathBuf> {
    ["blobs/sha256", "images", "disks", "files", "work"].iter().flat_map(|folder| store.entries(folder).unwrap()).collect()
}

#[test]
fn an_image_becomes_a_disk_and_a_kernel_once() {
    let (_folder, store) = store();
    let made = image(&store, "registry.test/os:1", &layers());
    let disk = store.disk(&made, Some(32), Limits::default()).unwrap();
    assert_eq!(disk.size, 32 << 20);
    fsck(&disk.path);
    assert_eq!(debugfs(&disk.path, "cat etc/hostname"), "new\n");
    let kernel = store.file(&made, "vmlinux", Limits::default()).unwrap();
    assert_eq!(fs::read(&kernel).unwrap(), b"kernel");
    let before = fs::metadata(&disk.path).unwrap().modified().unwrap();
    assert_eq!(store.disk(&made, Some(32), Limits::default()).unwrap(), disk);
    assert_eq!(store.file(&made, "vmlinux", Limits::default()).unwrap(), kernel);
    assert_eq!(fs::metadata(&disk.path).unwrap().modified().unwrap(), before);
    let larger = store.disk(&made, None, Limits::default()).unwrap();
    assert_eq!(larger.size, u64::from(crate::ext4::DEFAULT_SIZE_MIB) << 20);
    let seen = store.inspect("registry.test/os:1").unwrap();
    assert_eq!((seen.layers.len(), seen.made.len()), (2, 3));
    assert_eq!(store.list().unwrap(), vec![made.clone()]);
    assert!(matches!(store.file(&made, "none", Limits::default()), Err(StoreError::Find { .. })));
    assert_eq!(store.entries("work").unwrap(), Vec::<PathBuf>::new());
    assert_eq!(store.strays().unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn many_that_ask_at_once_share_one_disk() {
    let (_folder, store) = store();
    let made = image(&store, "registry.test/os:1", &layers());
    let disks: Vec<Disk> = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| store.disk(&made, Some(16), Limits::default()).unwrap())).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(disks.iter().all(|disk| *disk == disks[0]));
    assert_eq!(store.entries("disks").unwrap().len(), 1);
}

#[test]
fn what_a_dead_run_left_is_removed_and_what_a_living_one_makes_is_not() {
    let (_folder, store) = store();
    fs::create_dir(store.root().join("work/disk-dead")).unwrap();
    fs::write(store.root().join("work/disk-dead/disk"), b"half").unwrap();
    let lock = store.lock("disk-living").unwrap();
    let work = store.work(&lock).unwrap();
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.entries("work").unwrap(), [work.path()]);
    assert!(matches!(again.prune(&InUse::default(), true), Err(StoreError::Busy)));
    drop((work, lock));
    assert_eq!(again.prune(&InUse::default(), true).unwrap(), Pruned::default());
}

#[test]
fn pruning_keeps_what_is_in_use() {
    let (_folder, store) = store();
    let used = image(&store, "registry.test/used:1", &layers());
    let other = image(&store, "registry.test/other:1", &[Layer::default().file("a", b"other").tar(), layers().remove(1)]);
    for made in [&used, &other] {
        store.disk(made, Some(16), Limits::default()).unwrap();
    }
    let hold = store.hold().unwrap();
    assert!(matches!(store.prune(&InUse::default(), true), Err(StoreError::Busy)));
    drop(hold);
    let all = files(&store).len();
    assert_eq!(store.prune(&InUse::default(), false).unwrap(), Pruned::default());
    assert_eq!(files(&store).len(), all);

    let in_use = InUse { digests: [used.stored.digest().clone()].into(), ..InUse::default() };
    assert!(matches!(store.remove("registry.test/used:1", &in_use), Err(StoreError::InUse { .. })));
    let pruned = store.prune(&in_use, true).unwrap();
    assert_eq!(pruned.references, ["registry.test/other:1"]);
    // Its manifest, its own layer and its disk; the shared layer and configuration stay.
    assert_eq!(pruned.files.len(), 3);
    assert_eq!(store.list().unwrap(), vec![used.clone()]);
    fsck(&store.disk(&used, Some(16), Limits::default()).unwrap().path);

    // A reference that stands for something else by now: the disk in use stays, with what it is made from.
    let newer = image(&store, "registry.test/used:1", &[Layer::default().file("a", b"newer").tar()]);
    assert_eq!(store.prune(&in_use, false).unwrap(), Pruned::default());
    let by_name = InUse { references: ["registry.test/used:1".to_owned()].into(), ..InUse::default() };
    store.prune(&by_name, true).unwrap();
    assert_eq!(store.list().unwrap(), [newer]);
    assert_eq!(store.entries("disks").unwrap(), Vec::<PathBuf>::new());

    assert!(store.remove("registry.test/used:1", &InUse::default()).unwrap());
    assert!(!store.remove("registry.test/used:1", &InUse::default()).unwrap());
    assert!(store.prune(&InUse::default(), false).unwrap().bytes > 0);
    assert_eq!(files(&store), Vec::<PathBuf>::new());
}

#[test]
fn what_a_microvm_has_linked_is_in_use_whoever_asks() {
    let (folder, store) = store();
    let [os, kernel, other] = ["os", "kernel", "other"].map(|name| {
        let reference = format!("registry.test/{name}:1");
        image(&store, &reference, &[Layer::default().file("vmlinux", name.as_bytes()).tar()])
    });
    let disk = store.disk(&os, Some(16), Limits::default()).unwrap();
    let file = store.file(&kernel, "vmlinux", Limits::default()).unwrap();
    store.disk(&other, Some(16), Limits::default()).unwrap();
    let (base, own) = (folder.path().join("root.base"), folder.path().join("kernel"));
    fs::hard_link(&disk.path, &base).unwrap();
    fs::hard_link(&file, &own).unwrap();

    let nobody = InUse::default();
    let would = store.prunable(&nobody, true).unwrap();
    assert_eq!(store.list().unwrap().len(), 3);
    assert_eq!(store.prune(&nobody, true).unwrap(), would);
    assert_eq!(would.references, ["registry.test/other:1"]);
    assert!(would.bytes > 0);
    assert_eq!(store.list().unwrap(), [kernel, os.clone()]);
    assert!(matches!(store.remove("registry.test/os:1", &nobody), Err(StoreError::InUse { .. })));

    // Its last name outside is gone with the microVM.
    fs::remove_file(base).unwrap();
    assert!(store.remove("registry.test/os:1", &nobody).unwrap());
    store.prune(&nobody, true).unwrap();
    assert_eq!(store.entries("disks").unwrap(), Vec::<PathBuf>::new());
    assert_eq!(fs::read(own).unwrap(), b"kernel");
}

#[test]
fn an_image_may_have_several_names() {
    let (_folder, store) = store();
    let made = image(&store, "oci:/images/os", &layers());
    let named = store.name("oci:/images/os", "registry.test/os:1").unwrap();
    assert_eq!((named.reference.as_str(), &named.stored), ("registry.test/os:1", &made.stored));
    assert!(store.remove("oci:/images/os", &InUse::default()).unwrap());
    assert_eq!(store.prune(&InUse::default(), false).unwrap().files, Vec::<PathBuf>::new());
    assert!(matches!(store.name("oci:/images/os", "registry.test/os:2"), Err(StoreError::NotFound { .. })));
}

#[test]
fn bytes_that_are_not_what_they_should_be_are_refused_and_gone() {
    let (_folder, store) = store();
    let lock = store.lock("test").unwrap();
    let work = store.work(&lock).unwrap();
    let right = Expected { digest: Digest::of(b"layer"), size: 5 };
    let cases: [(&[u8], &str); 4] = [(b"laser", "sha256:"), (b"lay", "3 bytes"), (b"layers and more", "more"), (b"", "0 bytes")];
    for (bytes, told) in cases {
        let error = store.put_blob(&work, bytes, Some(&right)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let lying = Expected { size: u64::MAX, ..right.clone() };
    assert!(store.put_blob(&work, &b"layer"[..], Some(&lying)).is_err());
    assert!(!store.has_blob(&right.digest));
    store.put_blob(&work, &b"layer"[..], Some(&right)).unwrap();
    drop((work, lock));
    assert_eq!(files(&store), [store.blob_path(&right.digest)]);
}

#[test]
fn damage_on_disk_is_noticed() {
    let (_folder, store) = store();
    let made = image(&store, "registry.test/os:1", &layers());
    let Stored::Image { manifest } = &made.stored else { panic!() };
    let layer = store.manifest(manifest).unwrap().layers.remove(0);
    let path = store.blob_path(&layer.digest);
    let mut bytes = fs::read(&path).unwrap();
    // A time stamp in gzip's header: the layer still unpacks.
    bytes[4] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(store.disk(&made, Some(16), Limits::default()), Err(StoreError::Mismatch { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.disk(&made, Some(16), Limits::default()), Err(StoreError::Missing { .. })));
    assert_eq!(store.entries("disks").unwrap(), Vec::<PathBuf>::new());
    assert_eq!(store.entries("work").unwrap(), Vec::<PathBuf>::new());

    let record = store.record("registry.test/os:1");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(store.get("registry.test/os:1"), Err(StoreError::Damaged { .. })));
    fs::write(&record, text.replace("sha256:", "sha256:../../")).unwrap();
    assert!(matches!(store.get("registry.test/os:1"), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_hostile_image_leaves_nothing_behind() {
    let (_folder, store) = store();
    let made = image(&store, "registry.test/evil:1", &[Layer::default().file("../../../evil", b"evil").gzip()]);
    let before = files(&store);
    let error = store.disk(&made, Some(16), Limits::default()).unwrap_err();
    let StoreError::Unpack { source } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "layer 0: `../../../evil` leads out of the image: `..` is not allowed");
    assert_eq!(files(&store), before);
}

/// Tells this very program, started again, to make a disk in that store.
const MAKE_IN: &str = "CAPSTEAD_IMAGE_TEST_STORE";

#[test]
fn a_kill_at_any_time_leaves_nothing_that_is_taken_for_whole() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let make = |store: &Store| store.disk(&store.list().unwrap()[0], Some(32), Limits::default()).unwrap();
    if let Some(root) = std::env::var_os(MAKE_IN) {
        make(&Store::open(Path::new(&root)).unwrap());
        return;
    }
    let content: Vec<u8> =
        (0..8_000_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes().into_iter().next()).collect();
    let layers = [Layer::default().file("big", &content).tar()];
    let (_folder, undisturbed) = store();
    image(&undisturbed, "registry.test/os:1", &layers);
    let expected = fs::read(make(&undisturbed).path).unwrap();

    let (_other, store) = store();
    image(&store, "registry.test/os:1", &layers);
    let written = |file: &str, bytes: u64| {
        let works = store.entries("work").unwrap();
        works.iter().any(|work| fs::metadata(work.join(file)).is_ok_and(|meta| meta.blocks() * 512 > bytes))
    };
    // From soon after the start to after the end. A step that is over before it is seen ends with the process.
    let stages: [&dyn Fn() -> bool; 6] = [
        &|| !store.entries("work").unwrap().is_empty(),
        &|| written("disk", 0),
        &|| written("disk", 1 << 20),
        &|| written("disk", 7 << 20),
        &|| !store.entries("disks").unwrap().is_empty(),
        &|| false,
    ];
    for (number, stage) in stages.iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::a_kill_at_any_time_leaves_nothing_that_is_taken_for_whole"])
            .env(MAKE_IN, store.root())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !stage() && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "stage {number}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for disk in store.entries("disks").unwrap() {
            assert!(fs::read(&disk).unwrap() == expected, "stage {number}");
            fs::remove_file(disk).unwrap();
        }
        let again = Store::open(store.root()).unwrap();
        assert_eq!(again.strays().unwrap(), Vec::<PathBuf>::new(), "stage {number}");
    }
    assert!(fs::read(make(&store).path).unwrap() == expected);
}
