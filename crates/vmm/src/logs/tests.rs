use super::*;

#[test]
fn the_tail_is_bounded_and_follows_no_link() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    assert!(tail(&path, 3).is_empty());
    fs::write(&path, (0..100_000).map(|n| format!("line {n}\n")).collect::<String>()).expect("written");
    assert_eq!(tail(&path, 2), ["line 99998", "line 99999"]);
    assert!(tail(&path, usize::MAX).len() < 10_000);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    assert!(tail(&link, 2).is_empty(), "a VMM could have made the link");
}

#[test]
fn a_log_that_grows_is_cut_under_its_writer() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    assert!(!trim(&path, 10).expect("nothing there"));
    let mut writer = files::append(&path).expect("opened");
    writer.write_all(b"0123456789").expect("written");
    assert!(!trim(&path, 10).expect("small enough"));
    writer.write_all(b"a").expect("written");
    assert!(trim(&path, 10).expect("cut"));
    writer.write_all(b"b").expect("written");
    assert_eq!(fs::read(&path).expect("read"), b"b");
    assert_eq!(fs::read(dir.path().join("log.1")).expect("read"), b"6789a");
}

#[test]
fn a_part_begins_where_it_is_asked_to() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    part(&path, 0, 9).expect_err("nothing there");
    assert_eq!(size(&path), 0);
    fs::write(&path, "0123456789").expect("written");
    assert_eq!(size(&path), 10);
    for (begin, max, held) in [(0, 99, "0123456789"), (4, 3, "456"), (10, 9, ""), (11, 2, "01")] {
        assert_eq!(part(&path, begin, max).expect("read"), held, "from {begin}");
    }
}
