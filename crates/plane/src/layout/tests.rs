use super::*;

#[test]
fn names_are_checked() {
    let root = Path::new("/tmp");
    for good in ["default", "a", "my-plane-2", "0"] {
        assert!(Layout::new(root, good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "A", "a/b", "..", "a.b", &"a".repeat(41)] {
        assert!(matches!(Layout::new(root, bad), Err(LayoutError::Name(_))), "{bad}");
    }
}

#[test]
fn what_is_written_is_private_and_whole() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("deep/er");
    private_dir(&path).expect("made");
    write_private(&path.join("file"), b"one").expect("written");
    write_private(&path.join("file"), b"two").expect("replaced");
    assert_eq!(fs::read(path.join("file")).expect("there"), b"two");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("file"))), (0o700, 0o600));
    assert_eq!(fs::read_dir(&path).expect("there").count(), 1, "nothing temporary is left");
}

#[test]
fn a_full_disk_is_told_with_the_file() {
    // Nothing can be written below a file.
    let error = write_private(Path::new("/dev/null/file"), b"x").expect_err("refused");
    assert!(error.to_string().contains("cannot write /dev/null/file"), "{error}");
}

#[tokio::test]
async fn a_lock_is_held_once_and_by_every_copy() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("lock");
    let first = try_lock(&path).expect("works").expect("free");
    assert!(try_lock(&path).expect("works").is_none());
    let copy = first.try_clone().expect("copied");
    drop(first);
    assert!(try_lock(&path).expect("works").is_none(), "the copy holds it");
    drop(copy);
    // Another test's fork may hold a copy of any open file until its exec.
    assert!(lock_for_a_while(&path).await.expect("works").is_some());
}

#[test]
fn planes_are_listed_by_their_file() {
    let dir = tempfile::tempdir().expect("temporary folder");
    assert_eq!(Layout::all(&dir.path().join("nowhere")).expect("empty"), []);
    for name in ["b", "a", "c"] {
        private_dir(&dir.path().join(name)).expect("made");
    }
    for name in ["a", "b"] {
        write_private(&dir.path().join(name).join("plane.json"), b"{}").expect("written");
    }
    let names: Vec<String> = Layout::all(dir.path()).expect("listed").iter().map(|layout| layout.name().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
}
