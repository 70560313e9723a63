use super::*;

#[test]
fn a_file_is_copied_on_and_anew_when_it_was_cut() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("log");
    let copy = |at| {
        let mut out = Vec::new();
        let at = copy_from(&path, at, &mut out).expect("copied");
        (at, String::from_utf8(out).expect("text"))
    };
    assert_eq!(copy(0), (0, String::new()));
    std::fs::write(&path, "one\ntwo\n").expect("written");
    assert_eq!(copy(0), (8, "one\ntwo\n".to_owned()));
    assert_eq!(copy(4), (8, "two\n".to_owned()));
    assert_eq!(copy(8), (8, String::new()));
    std::fs::write(&path, "new\n").expect("written");
    assert_eq!(copy(8), (4, "new\n".to_owned()));
}

#[test]
fn a_link_is_not_followed_and_a_fifo_not_waited_for() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let link = dir.path().join("log");
    std::os::unix::fs::symlink("/etc/hostname", &link).expect("linked");
    let mut out = Vec::new();
    copy_from(&link, 0, &mut out).expect_err("refused");
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("made");
    copy_from(&fifo, 0, &mut out).expect_err("refused");
    assert!(out.is_empty());
}
