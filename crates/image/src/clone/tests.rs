use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::*;

const MIB: u64 = 1 << 20;

/// A disk with something at its beginning and its end, and a hole between.
fn base(folder: &Path) -> PathBuf {
    let path = folder.join("base");
    let file = File::create(&path).unwrap();
    file.set_len(64 * MIB).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"end", 64 * MIB - 3).unwrap();
    path
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bytes(path: &Path, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open(path).unwrap().read_exact_at(&mut bytes, at).unwrap();
    bytes
}

#[test]
fn a_copy_has_the_same_bytes_and_holes_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(folder.path());
    let target = folder.path().join("vm.raw");
    let made = clone_disk(&base, &target, 100 * MIB, false).unwrap();
    // Which of the two depends on the file system the tests run on.
    assert!(matches!(made.made, Some(Method::Copy | Method::Reflink)), "{made:?}");
    assert_eq!(made.format, Format::Raw);
    assert_eq!(bytes(&target, 0, 5), b"begin");
    assert_eq!(bytes(&target, 64 * MIB - 3, 5), b"end\0\0");
    let meta = fs::metadata(&target).unwrap();
    assert_eq!(meta.len(), 100 * MIB);
    assert!(meta.blocks() * 512 < MIB, "{} bytes on disk", meta.blocks() * 512);

    // A second call finds it as the microVM left it.
    File::options().write(true).open(&target).unwrap().write_all_at(b"guest", 0).unwrap();
    let again = clone_disk(&base, &target, 100 * MIB, false).unwrap();
    assert_eq!(again, Cloned { made: None, ..made });
    assert_eq!(bytes(&target, 0, 5), b"guest");
    assert_eq!(bytes(&base, 0, 5), b"begin");
}

#[test]
fn an_overlay_reads_as_its_base_to_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(folder.path());
    let target = folder.path().join("vm.qcow2");
    let size = 600 * MIB + 512;
    fs::write(&target, qcow2::overlay(&base, size).unwrap()).unwrap();
    assert_eq!(clone_disk(&base, &target, size, true).unwrap().format, Format::Qcow2);
    run(Command::new("qemu-img").arg("check").arg(&target));
    let info: serde_json::Value =
        serde_json::from_str(&run(Command::new("qemu-img").args(["info", "--output=json"]).arg(&target))).unwrap();
    assert_eq!(info["virtual-size"], size);
    assert_eq!(info["backing-filename"], base.to_str().unwrap());
    assert_eq!(info["backing-filename-format"], "raw");
    let raw = folder.path().join("raw");
    run(Command::new("qemu-img").args(["convert", "-O", "raw"]).args([&target, &raw]));
    assert_eq!(bytes(&raw, 0, 5), b"begin");
    assert_eq!(bytes(&raw, 64 * MIB - 3, 5), b"end\0\0");
    assert_eq!(fs::metadata(&raw).unwrap().len(), size);
    // And it can be written to, up to its last byte.
    run(Command::new("qemu-io").args(["-f", "qcow2", "-c", "write -P 7 0 64k", "-c", "write -P 8 629145600 512"]).arg(&target));
    run(Command::new("qemu-img").arg("check").arg(&target));
    assert_eq!(bytes(&base, 0, 5), b"begin");
}

#[test]
fn what_a_dead_run_left_is_not_taken_for_a_disk_and_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(folder.path());
    let target = folder.path().join("vm.raw");
    fs::write(unfinished(&target), b"half of it").unwrap();
    clone_disk(&base, &target, 0, false).unwrap();
    assert_eq!(bytes(&target, 0, 5), b"begin");
    assert!(!unfinished(&target).exists());
    fs::write(unfinished(&target), b"half of it").unwrap();
    remove(&target).unwrap();
    remove(&target).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [base]);
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("vm");
    assert!(matches!(clone_disk(&folder.path().join("none"), &target, 0, true), Err(CloneError::Base { .. })));
    fs::create_dir(&target).unwrap();
    assert!(matches!(clone_disk(&base(folder.path()), &target, 0, true), Err(CloneError::InTheWay { .. })));
    let long = PathBuf::from(format!("/{}", "x".repeat(LONGEST)));
    assert_eq!(qcow2::overlay(&long, MIB), Err(QcowError::Name { base: long.clone() }));
    for size in [u64::MAX, u64::MAX - 1024, 1 << 60] {
        assert_eq!(qcow2::overlay(Path::new("/x"), size), Err(QcowError::Size { size }));
    }
}

const LONGEST: usize = 1023;

#[test]
fn a_blank_disk_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    blank_disk(&target, 1 << 30).unwrap();
    blank_disk(&target, 5).unwrap();
    let meta = fs::metadata(&target).unwrap();
    assert_eq!((meta.len(), meta.blocks()), (1 << 30, 0));
}
